"""A file of ticks as trading days of arrays, row for row traceable to the file; no store is read or written.

What `ghtrader features compute` and `ghtrader labels compute` work on. Rows become canonical exactly as an import makes
them; each kept row knows its place in the file and each dropped one why it was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import canonical_day
from ghtrader.data.day_ticks import DayTicks, from_frame
from ghtrader.data.ingest import SourceArrays, canonical_frame, frame_arrays
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import load_mapping, read_ticks
from ghtrader.data.sessions import DaySessions, sessions_for, trading_days_of
from ghtrader.data.stamps import snap_stamps
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.validation import validate_day

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FileDay", "TickFile", "load_tick_file"]

I64 = npt.NDArray[np.int64]
PROVENANCE = ("underlying_symbol", "segment_id", "schedule_hash")


@dataclass(frozen=True)
class FileDay:
    """One trading day of a file. ``arrival``: for each row of ``ticks`` its row in the file, from 0."""

    ticks: DayTicks
    sessions: DaySessions
    arrival: I64
    gaps: int = 0


@dataclass(frozen=True)
class TickFile:
    """A file's rows by trading day, days in order; days of which no row is kept are left out.

    rows: how many rows the file has (up to ``until_ns``). datetime_ns: int64 (rows,), stamps as ingest makes them; a dropped
    row has the stamp it was read with. dropped: object (rows,) of str, the `DropReason` of a dropped row, "" where it is kept.
    sha256: of the file. notes: what else should be known about how it was read.
    """

    symbol: str
    rows: int
    datetime_ns: I64
    dropped: npt.NDArray[np.object_]
    days: tuple[FileDay, ...]
    sha256: str
    notes: tuple[str, ...] = ()


def load_tick_file(
    path: Path,
    symbol: str | None,
    calendar: Calendar,
    instruments: InstrumentTable,
    *,
    until_ns: int | None = None,
    mapping_file: Path | None = None,
    gap_limits: Thresholds | None = None,
) -> TickFile:
    """Read a file of any format that `ghtrader data import` reads.

    Parameters
    ----------
    symbol: the contract; without one the file's metadata or columns say it, else its name does.
    until_ns: rows stamped later than this in the file are not read.
    gap_limits: judge the holes of each day as validation does and make its gaps hard segments. The judgement learns from the
    whole day, so it is for labels, which look ahead anyway, and never for factors. What is missing before the file's first row
    and after its last one is no gap.

    Raises DataError (no file, unreadable, symbol unknown, no row left), SchemaError, UnknownInstrumentError, CalendarError.
    """
    source = read_ticks(path, symbol=symbol, mapping=None if mapping_file is None else load_mapping(mapping_file))
    frame, provenance = source.frame, _provenance(path, source.frame)
    if until_ns is not None:
        read = frame["datetime"] <= until_ns
        frame, provenance = frame.filter(read), None if provenance is None else provenance.filter(read)
    arrays, product = frame_arrays(frame), instruments.product(source.symbol).product
    trading_days, index = trading_days_of(arrays.ts_ns, product, calendar, instruments)
    stamps, dropped = snap_stamps(arrays.ts_ns), np.full(len(frame), "", dtype=np.object_)
    days: list[FileDay] = []
    for position, trading_day in enumerate(trading_days):
        chosen = np.flatnonzero(index == position)
        contract = source.symbol if provenance is None else str(provenance["underlying_symbol"][int(chosen[0])])
        spec = instruments.spec(contract, trading_day)
        sessions = sessions_for(product, trading_day, calendar, instruments)
        table, arrival, gone = _canonical(arrays.rows(chosen), source.symbol, sessions, spec.price_tick)
        for reason, rows in gone:
            dropped[chosen[rows]] = reason
        kept = chosen[arrival]
        if len(kept):
            stamps[kept] = table["datetime"].to_numpy()
            table = table if provenance is None else table.hstack(provenance[kept])
            edges = {"first": position == 0, "last": position == len(trading_days) - 1}
            gaps = None if gap_limits is None else _gaps(table, sessions, gap_limits, source.symbol, **edges)
            ticks = from_frame(table, price_tick=spec.price_tick, multiplier=spec.multiplier, gaps_ns=gaps)
            days.append(FileDay(ticks, sessions, kept, 0 if gaps is None else len(gaps)))
    if not days:
        hint = "ghtrader data import FILE counts dropped rows by reason"
        raise DataError(f"{path.name}: no row of {source.symbol} is left", hint=hint, path=str(path), rows=len(frame))
    return TickFile(source.symbol, len(frame), stamps, dropped, tuple(days), source.sha256, source.notes)


def _canonical(
    rows: SourceArrays, symbol: str, sessions: DaySessions, price_tick: float
) -> tuple[pl.DataFrame, I64, tuple[tuple[str, I64], ...]]:
    """A day's rows in canonical form, the input row of each, and the input rows that are gone, by reason."""
    day = canonical_day(
        rows.ts_ns,
        rows.columns,
        sessions=sessions,
        price_tick=price_tick,
        local_nano=rows.local_nano,
        upper_limit=rows.upper_limit,
        lower_limit=rows.lower_limit,
    )
    return canonical_frame(day, symbol, sessions.trading_day), day.arrival, day.gone


def _provenance(path: Path, frame: pl.DataFrame) -> pl.DataFrame | None:
    """Underlying contract, segment and schedule of a stored series' own file; None where the file has no such columns."""
    import polars as pl

    if path.suffix != ".parquet" or not set(PROVENANCE) <= set(pl.read_parquet_schema(path)):
        return None
    columns = pl.read_parquet(path, columns=list(PROVENANCE), use_statistics=False)
    assert len(columns) == len(frame)
    return columns


def _gaps(table: pl.DataFrame, sessions: DaySessions, limits: Thresholds, symbol: str, *, first: bool, last: bool) -> I64:
    """Gaps of a day as validation judges them, (k, 2); what lies before the file's first row or after its last one is none."""
    verdict = validate_day(table, sessions, limits, symbol=symbol)
    stamps = table["datetime"].to_numpy()
    trading = stamps[table["phase"].to_numpy() == int(Phase.CONTINUOUS)]
    begin, end = (int(trading[0]), int(trading[-1])) if len(trading) else (int(stamps[0]), int(stamps[-1]))
    found = [
        (gap.start_ns, gap.end_ns)
        for gap in verdict.gaps
        if not (first and gap.end_ns <= begin) and not (last and gap.start_ns >= end)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
