"""Stored days as a feed would have brought them: raw rows beside the arrays that the venue fills orders from.

A replay walks through both in lockstep: row n of ``values`` is the tick that a process sees when the venue stands at row n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.phases import TickFlag
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import canonical_day
from ghtrader.data.day_ticks import DayTicks, from_frame
from ghtrader.data.ingest import canonical_frame, frame_arrays
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.data.row_hash import require_version
from ghtrader.data.schema import TWO_SIDED_COLUMNS
from ghtrader.data.sessions import sessions_for
from ghtrader.ports.market_data import MarketDataProvider
from ghtrader.ports.tick_store import DayKey, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["GapsOf", "ReplayClock", "ReplayDay", "merged_rows", "provided_days", "replay_day", "stored_days"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
#: The known gaps of a contract's day, (k, 2) starts and ends; None where none are known.
GapsOf = Callable[[str, TradingDay], I64 | None]


@dataclass(frozen=True)
class ReplayDay:
    """One contract's trading day.

    values: float64 (n, 29), `ghtrader.data.live_kernel.COLUMNS`, as a feed gives them (absent price NaN, absent size 0, two-sided
    counters before 2020 as they were published). settlement_ticks: when it is known, else it is estimated.
    """

    ticks: DayTicks
    values: F64
    spec: InstrumentSpec
    settlement_ticks: float | None = None

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.ticks.symbol


class ReplayClock:
    """`core.clock.Clock` of a replay: the time is that of the market, moved by whoever drives the replay."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Exchange time of the present moment."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same: a replay has one time."""
        return self._now_ns

    def move_to(self, now_ns: int) -> None:
        """Go on to a moment; raises UsageError when it lies before the present one.

        >>> clock = ReplayClock(5)
        >>> clock.move_to(7)
        >>> clock.now_ns()
        7
        """
        if now_ns < self._now_ns:
            raise UsageError(f"time goes forward only: {now_ns} ns comes before {self._now_ns} ns")
        self._now_ns = now_ns


def replay_day(
    frame: pl.DataFrame, spec: InstrumentSpec, *, gaps_ns: I64 | None = None, settlement_ticks: float | None = None
) -> ReplayDay:
    """A day's canonical rows (`RAW_COLUMNS`, in time order) as a replay needs them; ``spec`` is that of the day."""
    values = np.full((len(frame), len(COLUMNS)), np.nan)
    for column, name in enumerate(COLUMNS):
        if name in frame.columns:
            values[:, column] = frame[name].to_numpy()
    halved = (frame["flags"].to_numpy() & np.uint32(TickFlag.HALVED)) != 0
    for name in TWO_SIDED_COLUMNS:
        values[halved, COLUMNS.index(name)] *= 2.0
    ticks = from_frame(frame, price_tick=spec.price_tick, multiplier=spec.multiplier, gaps_ns=gaps_ns)
    return ReplayDay(ticks, values, spec, settlement_ticks)


def stored_days(
    store: TickStore,
    instruments: InstrumentTable,
    symbols: Sequence[str],
    days: Sequence[TradingDay],
    *,
    gaps_of: GapsOf | None = None,
) -> Iterator[list[ReplayDay]]:
    """Contracts' stored days, a trading day at a time, read when they are asked for; a contract without a day is left out.

    Raises DataError for a day that no contract has, HashVersionError for rows of an unknown hash version.
    """
    for day in sorted(days):
        keys = [DayKey("raw", symbol, day) for symbol in symbols]
        manifests = [(key, manifest) for key in keys if (manifest := store.manifest(key)) is not None]
        for key, manifest in manifests:
            require_version(manifest.row_hash_version, subject=f"{key.symbol} {key.trading_day}")
        if not manifests:
            raise DataError(f"no ticks of {', '.join(symbols)} are stored on {day}", hint="ghtrader data list", day=day.iso)
        yield [
            replay_day(
                store.read_day(key),
                instruments.spec(key.symbol, day),
                gaps_ns=None if gaps_of is None else gaps_of(key.symbol, day),
            )
            for key, _ in manifests
        ]


def provided_days(
    provider: MarketDataProvider,
    calendar: Calendar,
    instruments: InstrumentTable,
    symbols: Sequence[str],
    days: Sequence[TradingDay] | None = None,
    *,
    gaps_of: GapsOf | None = None,
) -> Iterator[list[ReplayDay]]:
    """Contracts' days of a provider (a folder of files, a generated market), made canonical as an import makes them.

    days: default every day that a contract has. Raises what the provider raises, DataError for a day of which no row is left.
    """
    had = {symbol: set(provider.trading_days(symbol)) for symbol in symbols}
    for day in sorted(set().union(*had.values()) if days is None else days):
        yield [
            replay_day(
                _canonical(provider, symbol, day, calendar, instruments),
                instruments.spec(symbol, day),
                gaps_ns=None if gaps_of is None else gaps_of(symbol, day),
            )
            for symbol in symbols
            if day in had[symbol]
        ]


def _canonical(
    provider: MarketDataProvider, symbol: str, day: TradingDay, calendar: Calendar, instruments: InstrumentTable
) -> pl.DataFrame:
    arrays = frame_arrays(provider.ticks(symbol, day).frame)
    sessions = sessions_for(instruments.product(symbol).product, day, calendar, instruments)
    rows = canonical_day(
        arrays.ts_ns,
        arrays.columns,
        sessions=sessions,
        price_tick=instruments.spec(symbol, day).price_tick,
        local_nano=arrays.local_nano,
        upper_limit=arrays.upper_limit,
        lower_limit=arrays.lower_limit,
    )
    return canonical_frame(rows, symbol, day)


def merged_rows(days: Sequence[ReplayDay]) -> tuple[I64, I64]:
    """Rows of several contracts in order of exchange time, equal stamps in the order of ``days``: (place in ``days``, row)."""
    which = np.repeat(np.arange(len(days)), [len(day.ticks) for day in days])
    rows = np.concatenate([np.arange(len(day.ticks)) for day in days])
    order = np.lexsort((rows, which, np.concatenate([day.ticks.ts_ns for day in days])))
    return which[order], rows[order]
