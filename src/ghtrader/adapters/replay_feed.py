"""Stored days as a live feed, in lockstep with the venue that fills the orders: one tick a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ghtrader.ports.live_feed import FeedState, FeedStatus, LiveTick
from ghtrader.sim.replay import ReplayClock, ReplayDay, merged_rows
from ghtrader.sim.venue_account import SettledDay, VenueAccount

__all__ = ["ReplayFeed"]


class ReplayFeed:
    """`ports.live_feed.LiveFeed` over trading days, contracts merged by exchange time.

    A call of `poll` gives the next tick, alone. Before it returns, the clock stands at the tick's time and the venue at its
    snapshot: what the snapshot does to working orders is there when somebody first sees the tick. Where a trading day is over, a
    call gives nothing: the venue has settled, positions are history. The next call opens the following day. Ids of a contract
    ascend by one over the days; ``settled``: the days that are over.
    ``values`` are the 29 of `ghtrader.data.live_kernel.COLUMNS`; a tick was received when it happened.
    """

    def __init__(self, days: Iterable[Sequence[ReplayDay]], account: VenueAccount, clock: ReplayClock) -> None:
        self._days = iter(days)
        self._account, self._clock = account, clock
        self.settled: list[SettledDay] = []
        self._next: Sequence[ReplayDay] | None = next(self._days, None)
        self._ticks: Iterator[tuple[int, int]] = iter(())
        self._now: Sequence[ReplayDay] = ()
        self._row: tuple[int, int] | None = None
        self._ids: dict[str, int] = {}
        self._given, self._message = 0, ""
        self._state = FeedState.CONNECTING if self._next is not None else FeedState.CLOSED

    @property
    def next_ns(self) -> int | None:
        """Exchange time of the next tick, of this day or the next one; None when nothing follows. Timers due before it ring first."""
        if self._row is not None:
            return int(self._now[self._row[0]].ticks.ts_ns[self._row[1]])
        return None if self._next is None else min(int(day.ticks.ts_ns[0]) for day in self._next)

    @property
    def is_over(self) -> bool:
        """Whether every day is settled."""
        return self._row is None and self._next is None and self._account.trading_day is None

    def poll(self, timeout_s: float = 0.0) -> list[LiveTick]:
        """The next tick; nothing where a trading day has just been settled, and after the last one."""
        del timeout_s
        if self._state == FeedState.CLOSED:
            return []
        if self._row is None:
            if self._account.trading_day is not None:
                self._settle()
                return []
            if not self._open():
                return []
        assert self._row is not None
        which, row = self._row
        day = self._now[which]
        stamp = int(day.ticks.ts_ns[row])
        self._clock.move_to(stamp)
        self._account.on_tick(day.symbol, row)
        self._row = next(self._ticks, None)
        identity = self._ids[day.symbol] = self._ids.get(day.symbol, -1) + 1
        self._given += 1
        self._state = FeedState.LIVE
        return [LiveTick(day.symbol, identity, stamp, stamp, tuple(day.values[row].tolist()))]

    def _open(self) -> bool:
        if self._next is None:
            return False
        self._now, self._next = self._next, None
        self._account.open_day(self._now)
        which, rows = merged_rows(self._now)
        self._ticks = zip(which.tolist(), rows.tolist(), strict=True)
        self._row = next(self._ticks, None)
        return True

    def _settle(self) -> None:
        done = self._account.close_day()
        self.settled.append(done)
        self._message = f"settled {done.trading_day.iso}"
        self._next, self._now = next(self._days, None), ()
        if self._next is None:
            self._state = FeedState.CLOSED

    @property
    def status(self) -> FeedStatus:
        """Where the replay stands; the message names the day that was settled last."""
        now = self._clock.now_ns()
        return FeedStatus(state=self._state, ticks=self._given, rebuilds=0, lost=0, last_receive_ns=now, message=self._message)

    def close(self) -> None:
        """Stop; the open day is not settled."""
        self._state = FeedState.CLOSED
