"""A live feed whose ticks reach the simulated exchange before anybody else sees them: paper trading on the market as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import LiveCanonical
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.ports.live_feed import FeedStatus, LiveFeed, LiveTick
from ghtrader.sim.venue_account import VenueAccount

__all__ = ["LimitsOf", "PaperFeed"]

#: Upper and lower price limit of a contract today, in CNY; NaN where nobody knows.
LimitsOf = Callable[[str], tuple[float, float]]


def _unknown(symbol: str) -> tuple[float, float]:
    del symbol
    return float("nan"), float("nan")


class PaperFeed:
    """`ports.live_feed.LiveFeed` around another: passes its ticks on when the venue stands at them.

    Rows become canonical as everywhere; one that is not kept moves nothing at the venue. The first kept row of a later trading day
    settles the one before. Ids that were lost are a gap: orders that were working stand behind all that is displayed afterwards.
    Ticks of a feed carry no price limits (27 values): ``limits_of`` gives them. What came is passed on as it came.
    """

    def __init__(
        self,
        feed: LiveFeed,
        account: VenueAccount,
        symbols: Sequence[str],
        calendar: Calendar,
        instruments: InstrumentTable,
        *,
        limits_of: LimitsOf = _unknown,
    ) -> None:
        self._feed, self._account, self._instruments, self._limits_of = feed, account, instruments, limits_of
        self._symbols = tuple(symbols)
        self._live = {symbol: LiveCanonical(symbol, calendar, instruments) for symbol in symbols}
        self._ids: dict[str, int] = {}
        self._holes: set[str] = set()
        self._joined: set[str] = set()

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """Ticks that arrived; the venue has gone through them."""
        ticks = self._feed.poll(timeout_s)
        for tick in ticks:
            if tick.symbol in self._live:
                self._play(tick)
        return ticks

    def _play(self, tick: LiveTick) -> None:
        symbol = tick.symbol
        if self._ids.setdefault(symbol, tick.identity - 1) != tick.identity - 1:
            self._holes.add(symbol)
        self._ids[symbol] = tick.identity
        raw = np.full(len(COLUMNS), np.nan)
        raw[: len(tick.values)] = tick.values
        if len(tick.values) < len(COLUMNS):
            raw[-2:] = self._limits_of(symbol)
        live = self._live[symbol]
        if live.push(tick.ts_ns, raw) != 0:
            return
        day, account = live.row_facts.day, self._account
        if account.trading_day is not None and day > account.trading_day:
            account.close_day()
        if account.trading_day is None:
            account.open_live_day(day, [self._instruments.spec(name, day) for name in self._symbols])
        if day == account.trading_day:
            if symbol not in self._joined:  # subscribed while the day was open
                account.join_live_day([self._instruments.spec(name, day) for name in self._symbols])
                self._joined |= set(self._symbols)
            account.on_live_tick(symbol, live.row, gap=symbol in self._holes)
            self._holes.discard(symbol)

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands."""
        return self._feed.status

    def close(self) -> None:
        """Hang up; the open day is not settled."""
        self._feed.close()
