"""Which touch was the newest at a moment: what a cost is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.trading.tca.costs import Quote

__all__ = ["DayQuotes", "Quotes"]


class Quotes(Protocol):
    """The touch of a contract at moments of exchange time."""

    def at(self, symbol: str, ts_ns: int) -> Quote:
        """The newest touch at a moment, its own snapshot included; both sides empty before the first."""

    def before(self, symbol: str, ts_ns: int) -> Quote:
        """The newest touch strictly before a moment: what stood there when a fill at that moment came about."""

    def trading_day(self, symbol: str, ts_ns: int) -> str:
        """The trading day of the newest snapshot at a moment."""

    def day_end(self, symbol: str, ts_ns: int) -> int:
        """The last snapshot's time of that trading day."""


@dataclass(frozen=True, slots=True)
class _Touches:
    """What is kept of a day: stamps and the touch, in ticks."""

    trading_day: str
    ts_ns: npt.NDArray[np.int64]
    bid: npt.NDArray[np.int64]
    ask: npt.NDArray[np.int64]


class DayQuotes:
    """`Quotes` over days of ticks, in any order; keeps the touch of each, not the days. Raises DataError for a contract without ticks."""

    def __init__(self, days: Iterable[DayTicks]) -> None:
        found: dict[str, list[_Touches]] = {}
        for day in days:
            kept = _Touches(day.trading_day.iso, day.ts_ns, day.bid_px[:, 0].copy(), day.ask_px[:, 0].copy())
            found.setdefault(day.symbol, []).append(kept)
        for own in found.values():
            own.sort(key=lambda kept: int(kept.ts_ns[0]))
        self._days = found
        self._starts = {symbol: np.array([int(day.ts_ns[0]) for day in own]) for symbol, own in found.items()}

    def _day(self, symbol: str, ts_ns: int) -> _Touches:
        if symbol not in self._days:
            raise DataError(f"no ticks of {symbol} to measure costs against", hint="ghtrader data list", symbol=symbol)
        place = int(np.searchsorted(self._starts[symbol], ts_ns, side="right")) - 1
        return self._days[symbol][max(place, 0)]

    def _quote(self, symbol: str, ts_ns: int, newest_ns: int) -> Quote:
        day = self._day(symbol, newest_ns)
        row = int(np.searchsorted(day.ts_ns, newest_ns, side="right")) - 1
        if row < 0:
            return Quote(ts_ns, None, None)
        bid, ask = int(day.bid[row]), int(day.ask[row])
        return Quote(ts_ns, None if bid == NO_PRICE else bid, None if ask == NO_PRICE else ask)

    def at(self, symbol: str, ts_ns: int) -> Quote:
        """The newest touch at a moment."""
        return self._quote(symbol, ts_ns, ts_ns)

    def before(self, symbol: str, ts_ns: int) -> Quote:
        """The newest touch strictly before a moment."""
        return self._quote(symbol, ts_ns, ts_ns - 1)

    def trading_day(self, symbol: str, ts_ns: int) -> str:
        """The trading day of the newest snapshot."""
        return self._day(symbol, ts_ns).trading_day

    def day_end(self, symbol: str, ts_ns: int) -> int:
        """The last snapshot's time of that day."""
        return int(self._day(symbol, ts_ns).ts_ns[-1])
