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

__all__ = ["LockstepFeed", "run_lockstep"]

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


def run_lockstep(
    shell: GatewayShell,
    feed: LockstepFeed,
    views: MarketViews,
    *,
    move_clock: Callable[[int], None],
    decide: Callable[[LiveTick, int], list[Target]],
    begin_day: Callable[[int], ev.DayBegan | None],
    between: Callable[[], None] = lambda: None,
) -> int:
    """Run a replay to its end; returns the number of ticks.

    decide: gives a tick with its number in the stream to the strategy and returns what it wants; it waits for it. begin_day: the
    event of the trading day that a tick's stamp opens, None when it is open already. between: called once a second of replay time.
    """
    seq, last_clock = 0, 0
    while not feed.is_over:
        following = feed.next_ns
        while (wake := shell.state.executors.wake_ns()) and following is not None and wake <= following:
            move_clock(wake)
            shell.tick_clock()
            shell.pump()
            if shell.state.executors.wake_ns() == wake:
                break
        if following is not None:
            opened = begin_day(following)
        ticks = feed.poll()
        if following is not None and opened is not None:
            shell.handle(opened)
        shell.pump()
        for tick in ticks:
            seq += 1
            view, _ = views.view(tick.symbol, seq, tick.ts_ns, tick.receive_ns, np.asarray(tick.values))
            if view is not None:
                shell.handle(ev.TickArrived(now_ns=tick.receive_ns, market=view))
            for target in decide(tick, seq):
                shell.handle(ev.TargetArrived(now_ns=tick.receive_ns, target=target))
            shell.pump()
            if tick.ts_ns - last_clock >= CLOCK_EVERY_NS:
                last_clock = tick.ts_ns
                shell.tick_clock()
                between()
    return seq
