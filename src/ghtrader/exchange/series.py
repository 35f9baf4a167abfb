"""Served ticks of one symbol as arrays with contiguous ids, and the bars made of them.

Ids begin at 0 over everything that is served, ascending in time; a client asks for windows of ids. Bars of a duration are made
when they are first asked for: intraday ones by wall time of Shanghai, daily ones by trading day. As with the provider, an
auction counts for the bar that opens the session, and what is printed at its last instant for the bar that closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.schema import MARKET_COLUMNS, PRICE_COLUMNS

__all__ = ["Bars", "Piece", "TickSeries", "concatenate"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
SHANGHAI_NS = 8 * 3600 * 10**9
DAY_NS = 24 * 3600 * 10**9
Piece = tuple[TradingDay, str, I64, dict[str, F64], F64, F64, I64]
ABSENT = "-"
_PRICES = frozenset(PRICE_COLUMNS) | {"amount"}


@dataclass
class TickSeries:
    """Ticks of one symbol. ``day_of[i]`` indexes ``days``; limits are NaN where the source has none, sizes are never NaN.

    bar_ns: the stamps with auctions and closing prints moved into the session that they belong to; bars are cut by them.
    """

    symbol: str
    ts_ns: I64
    bar_ns: I64
    columns: dict[str, F64]
    days: list[TradingDay]
    day_of: npt.NDArray[np.int32]
    contracts: list[str]
    upper_limit: F64
    lower_limit: F64
    _bars: dict[int, Bars] = field(default_factory=dict)

    @cached_property
    def traded(self) -> F64:
        """Lots traded since the tick before, of the same day."""
        volume = self.columns["volume"]
        steps = np.diff(volume, prepend=0.0)
        begins = np.ones(len(self), dtype=bool)
        begins[1:] = self.day_of[1:] != self.day_of[:-1]
        steps[begins] = volume[begins]
        return steps

    def __len__(self) -> int:
        return len(self.ts_ns)

    def index_at(self, ns: int) -> int:
        """Id of the first tick at or after a moment; the length when there is none."""
        return int(np.searchsorted(self.ts_ns, ns, side="left"))

    def rows(self, first: int, stop: int) -> dict[str, dict[str, Any]]:
        """Ticks ``first`` to ``stop`` (exclusive) by id, as the protocol has them: absent prices are ``-``, sizes whole numbers."""
        chosen = slice(first, stop)
        lists: list[list[Any]] = [self.ts_ns[chosen].tolist()]
        for name in MARKET_COLUMNS:
            values = self.columns[name][chosen]
            if name in _PRICES:
                plain: list[Any] = values.tolist()
                if np.isnan(values).any():
                    plain = [ABSENT if value != value else value for value in plain]  # noqa: PLR0124 - NaN
            else:
                plain = values.astype(np.int64).tolist()
            lists.append(plain)
        names = ("datetime", *MARKET_COLUMNS)
        return {str(first + n): dict(zip(names, row, strict=True)) for n, row in enumerate(zip(*lists, strict=True))}

    def bars(self, duration_ns: int) -> Bars:
        """Bars of a duration over all ticks."""
        if duration_ns not in self._bars:
            self._bars[duration_ns] = Bars(self, duration_ns)
        return self._bars[duration_ns]

    @cached_property
    def _edges(self) -> list[int]:
        """Id of each day's first tick, and the length."""
        found: list[int] = np.searchsorted(self.day_of, np.arange(len(self.days) + 1, dtype=np.int32), side="left").tolist()
        return found

    def day_range(self, position: int) -> tuple[int, int]:
        """Ids of a day's ticks: first and one after the last."""
        return self._edges[position], self._edges[position + 1]

    @cached_property
    def extremes(self) -> tuple[F64, F64]:
        """Highest and lowest price of the day up to each tick; NaN before the first price."""
        high, low = np.empty(len(self)), np.empty(len(self))
        for position in range(len(self.days)):
            day = slice(*self.day_range(position))
            high[day] = np.fmax.accumulate(self.columns["last_price"][day])
            low[day] = np.fmin.accumulate(self.columns["last_price"][day])
        return high, low

    @cached_property
    def first_prices(self) -> list[float]:
        """The first price of each day (its first bid or ask where nothing traded); 0 when it has none."""
        return [self._first_price(position) for position in range(len(self.days))]

    def _first_price(self, position: int) -> float:
        day = slice(*self.day_range(position))
        for name in ("last_price", "bid_price1", "ask_price1"):
            priced = self.columns[name][day]
            known = np.flatnonzero(~np.isnan(priced))
            if len(known):
                return float(priced[known[0]])
        return 0.0

    def day_index(self, tick: int) -> int:
        """Position in ``days`` of a tick."""
        return int(self.day_of[tick])


class Bars:
    """Bars of one duration: ``start_ns`` and the ticks that each covers. No bar spans two trading days, but those of many days."""

    def __init__(self, series: TickSeries, duration_ns: int) -> None:
        self._series = series
        if duration_ns >= DAY_NS:
            stamps = np.array([day.stamp_ns - SHANGHAI_NS for day in series.days], dtype=np.int64)
            together = duration_ns // DAY_NS
            keys = stamps[series.day_of // together * together]
        else:
            keys = (series.bar_ns + SHANGHAI_NS) // duration_ns * duration_ns - SHANGHAI_NS
        begins = np.ones(len(series), dtype=bool)
        begins[1:] = keys[1:] != keys[:-1]
        if duration_ns < DAY_NS:
            begins[1:] |= series.day_of[1:] != series.day_of[:-1]
        self._first = np.flatnonzero(begins)
        self._of = np.cumsum(begins) - 1
        self.start_ns: I64 = keys[self._first]
        self._stop = np.append(self._first[1:], len(series))

    def __len__(self) -> int:
        return len(self.start_ns)

    def bar_of(self, tick: int) -> int:
        """Id of the bar that a tick belongs to; -1 before the first."""
        return int(self._of[tick]) if tick >= 0 else -1

    def index_at(self, ns: int) -> int:
        """Id of the first bar that begins at or after a moment."""
        return int(np.searchsorted(self.start_ns, ns, side="left"))

    def rows(self, first: int, stop: int, last_tick: int) -> dict[str, dict[str, Any]]:
        """Bars by id, as they are when ``last_tick`` is the newest tick."""
        last = min(stop, len(self), self.bar_of(last_tick) + 1)
        return {str(bar): self._row(bar, last_tick) for bar in range(first, last)}

    def _row(self, bar: int, last_tick: int) -> dict[str, Any]:
        columns = self._series.columns
        begin, end = int(self._first[bar]), min(int(self._stop[bar]), last_tick + 1)
        prices = columns["last_price"][begin:end]
        known = prices[~np.isnan(prices)]
        before = max(begin - 1, 0)
        opened, closed = (float(known[0]), float(known[-1])) if len(known) else (ABSENT, ABSENT)
        return {
            "datetime": int(self.start_ns[bar]),
            "open": opened,
            "high": float(known.max()) if len(known) else ABSENT,
            "low": float(known.min()) if len(known) else ABSENT,
            "close": closed,
            "volume": int(self._series.traded[begin:end].sum()),
            "open_oi": int(columns["open_interest"][before]),
            "close_oi": int(columns["open_interest"][end - 1]),
        }


def concatenate(symbol: str, pieces: Sequence[Piece]) -> TickSeries:
    """A series of whole trading days in order: (day, contract, stamps, columns, upper limit, lower limit, stamps for bars)."""
    sizes = [len(piece[2]) for piece in pieces]
    return TickSeries(
        symbol=symbol,
        ts_ns=np.concatenate([piece[2] for piece in pieces]),
        bar_ns=np.concatenate([piece[6] for piece in pieces]),
        columns={name: np.concatenate([piece[3][name] for piece in pieces]) for name in MARKET_COLUMNS},
        days=[piece[0] for piece in pieces],
        day_of=np.repeat(np.arange(len(pieces), dtype=np.int32), sizes),
        contracts=[piece[1] for piece in pieces],
        upper_limit=np.concatenate([piece[4] for piece in pieces]),
        lower_limit=np.concatenate([piece[5] for piece in pieces]),
    )
