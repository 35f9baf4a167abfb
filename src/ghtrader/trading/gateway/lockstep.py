"""A gateway in lockstep with a replay: time stands still until everybody has dealt with a tick, so nothing is ever dropped.

For every tick, in this order: timers that ring before it; the venue deals with the snapshot; its word reaches the core; the core
sees the tick; the strategy sees it, and what it wants is taken before the next tick. The screening backtester decides in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ghtrader.core.messages import Target
from ghtrader.ports.live_feed import LiveTick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.market import MarketViews
from ghtrader.trading.gateway.shell import GatewayShell

__all__ = ["Lockstep", "LockstepFeed"]

CLOCK_EVERY_NS = 1_000_000_000


class LockstepFeed(Protocol):
    """A replay that moves the clock and the venue with every tick (`adapters.replay_feed.ReplayFeed`)."""

    @property
    def next_ns(self) -> int | None:
        """Exchange time of the next tick."""

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""

    def poll(self, timeout_s: float = 0.0) -> list[LiveTick]:
        """The next tick; nothing where a day was settled."""


class Lockstep:
    """Runs a replay to its end.

    move_clock: sets the replay's time. decide: gives a tick to the strategy, waits for it, and returns what it wants. begin_day: the
    event of the trading day that a stamp opens, None when it is open already. between: called once a second of replay time.
    offer: gives a tick to the strategy without waiting; called ahead of ``decide`` where the core has nothing to say about the tick
    that the strategy had to hear before it (no executor trades the contract), so that both work on it at once.
    """

    def __init__(
        self,
        shell: GatewayShell,
        feed: LockstepFeed,
        views: MarketViews,
        *,
        move_clock: Callable[[int], None],
        decide: Callable[[LiveTick], list[Target]],
        begin_day: Callable[[int], ev.DayBegan | None],
        between: Callable[[], None] = lambda: None,
        offer: Callable[[LiveTick], None] | None = None,
    ) -> None:
        self._shell, self._feed, self._views = shell, feed, views
        self._move_clock, self._decide, self._begin_day, self._between = move_clock, decide, begin_day, between
        self._offer = offer
        self._last_clock = 0
        self.ticks = 0

    def run(self) -> int:
        """Every tick; returns how many they were."""
        feed, shell = self._feed, self._shell
        while not feed.is_over:
            following = feed.next_ns
            opened = None
            if following is not None:
                self._ring_until(following)
                opened = self._begin_day(following)
            ticks = feed.poll()
            if opened is not None:
                shell.handle(opened)
            shell.pump()
            for tick in ticks:
                self._take(tick)
        return self.ticks

    def _ring_until(self, following: int) -> None:
        """Timers that ring before the next tick ring at their own time."""
        shell = self._shell
        while (wake := shell.state.executors.wake_ns()) and wake <= following:
            self._move_clock(wake)
            shell.tick_clock()
            shell.pump()
            if shell.state.executors.wake_ns() == wake:
                return

    def _take(self, tick: LiveTick) -> None:
        shell, now = self._shell, tick.receive_ns
        self.ticks += 1
        state = shell.state
        if self._offer is not None and not state.killed and state.executors.get(tick.symbol) is None:
            self._offer(tick)
        view, _ = self._views.view(tick.symbol, self.ticks, tick.ts_ns, now, np.asarray(tick.values))
        if view is not None:
            shell.handle(ev.TickArrived(now_ns=now, market=view))
        for target in self._decide(tick):
            shell.handle(ev.TargetArrived(now_ns=now, target=target))
        shell.pump()
        if tick.ts_ns - self._last_clock >= CLOCK_EVERY_NS:
            self._last_clock = tick.ts_ns
            shell.tick_clock()
            self._between()
