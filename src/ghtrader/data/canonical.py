"""One trading day in canonical form: what is kept, flagged, dropped and counted (market.md, 'Ticks')."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.cumulative import late_rows_that_fall, stale_runs
from ghtrader.data.row_hash import row_hashes
from ghtrader.data.schema import (
    ASK_PRICES,
    ASK_SIZES,
    BID_PRICES,
    BID_SIZES,
    LEVELS,
    MARKET_COLUMNS,
    PRICE_COLUMNS,
    TWO_SIDED_COLUMNS,
)
from ghtrader.data.sessions import DaySessions, classify
from ghtrader.data.stamps import respace, snap_stamps

__all__ = ["CanonicalDay", "DropReason", "canonical_day", "canonical_values"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Columns = dict[str, F64]

LATE_NS = 60 * NS_PER_S
#: Volume, amount and open interest were counted on both sides until this trading day.
LAST_TWO_SIDED_DAY = "2019-12-31"
HALVED_NOTE = "volume, amount and open interest halved: counted on both sides until 2019-12-31"
NO_RECEIVE_TIME = 0
#: Magnitudes beyond this are a feed's way to say "no price" (DBL_MAX).
ABSURD = 1e15


class DropReason:
    """Why rows were dropped; the keys of every ``dropped`` counter."""

    HEARTBEAT = "heartbeat"  # before the session, no book and no volume
    DUPLICATE = "duplicate"  # equal to an earlier row in stamp and every market column; counted as deduped, not as dropped
    OUTSIDE_SESSION = "outside_session"  # outside every phase of its trading day
    LATE_VOLUME = "late_volume_fell"  # late or stale: the cumulative volume does not fit where the row stands
    NO_VOLUME = "volume_absent"  # no cumulative volume although the day has traded before
    IMPOSSIBLE = "impossible"  # a negative price, size, volume or amount


@dataclass(frozen=True)
class CanonicalDay:
    """Rows of one trading day in canonical form and time order, with counters.

    ``arrival`` holds, for each kept row, its index in the input (arrival order). ``deduped`` and ``dropped`` count new
    rows; ``superseded`` counts rows that had been stored and that later rows proved stale. So, over new rows:
    rows in = ``added`` + ``deduped`` + all of ``dropped``. ``gone`` holds the input indices of the rows that are not kept, with
    the reason.
    """

    ts_ns: I64
    columns: Columns
    local_nano: I64
    upper_limit: F64
    lower_limit: F64
    phase: npt.NDArray[np.uint8]
    part: npt.NDArray[np.int8]
    flags: npt.NDArray[np.uint32]
    row_hash: I64
    arrival: I64
    added: int
    deduped: int
    reordered: int
    superseded: int
    dropped: dict[str, int] = field(default_factory=dict)
    conversions: tuple[str, ...] = ()
    gone: tuple[tuple[str, I64], ...] = ()


def canonical_values(columns: Columns) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """Absence in its one form, and a mask of impossible rows (negative price, size, volume or amount).

    Absent price: NaN (null, 0, infinity, absurd magnitude). A level without price or without size is absent as a whole.
    Absent size, volume, amount, open interest: 0.
    """
    rows = len(columns["last_price"])
    impossible = np.zeros(rows, dtype=np.bool_)
    out: Columns = {}
    for name in MARKET_COLUMNS:
        values = columns[name]
        with np.errstate(invalid="ignore"):
            known = np.isfinite(values) & (np.abs(values) < ABSURD)
            impossible |= known & (values < 0)
        if name in PRICE_COLUMNS:
            out[name] = np.where(known & (values != 0), values, np.nan)
        else:
            out[name] = np.where(known, values, 0.0)
    for price, size in zip((*BID_PRICES, *ASK_PRICES), (*BID_SIZES, *ASK_SIZES), strict=True):
        absent = np.isnan(out[price]) | (out[size] == 0)
        out[price][absent] = np.nan
        out[size][absent] = 0.0
    return out, impossible


def _book_flags(columns: Columns) -> npt.NDArray[np.uint32]:
    bids = np.stack([columns[name] for name in BID_PRICES])
    asks = np.stack([columns[name] for name in ASK_PRICES])
    bid_there, ask_there = ~np.isnan(bids), ~np.isnan(asks)
    flags = np.zeros(bids.shape[1], dtype=np.uint32)
    flags[~(bid_there[0] & ask_there[0])] |= np.uint32(TickFlag.ONE_SIDED)
    depth = np.minimum(bid_there.sum(axis=0), ask_there.sum(axis=0))
    flags[depth < LEVELS] |= np.uint32(TickFlag.SHALLOW)
    with np.errstate(invalid="ignore"):
        flags[bids[0] >= asks[0]] |= np.uint32(TickFlag.CROSSED)
        disordered = (bids[1:] >= bids[:-1]).any(axis=0) | (asks[1:] <= asks[:-1]).any(axis=0)
    holes = (bid_there[1:] & ~bid_there[:-1]).any(axis=0) | (ask_there[1:] & ~ask_there[:-1]).any(axis=0)
    flags[disordered | holes] |= np.uint32(TickFlag.DISORDERED_LEVELS)
    flags[np.isnan(columns["last_price"])] |= np.uint32(TickFlag.NO_LAST)
    return flags


def _off_tick(columns: Columns, price_tick: float) -> npt.NDArray[np.bool_]:
    off = np.zeros(len(columns["last_price"]), dtype=np.bool_)
    for name in ("last_price", BID_PRICES[0], ASK_PRICES[0]):
        ticks = columns[name] / price_tick
        with np.errstate(invalid="ignore"):
            off |= np.abs(ticks - np.rint(ticks)) > 1e-6 * np.maximum(1.0, np.abs(ticks))
    return off


@dataclass
class _Rows:
    """The rows still alive, every array cut together, and why the others went."""

    ts_ns: I64
    columns: Columns
    extras: dict[str, npt.NDArray[Any]]
    volume_absent: npt.NDArray[np.bool_]
    late: npt.NDArray[np.bool_]
    arrival: I64
    stored: int
    dropped: dict[str, int] = field(default_factory=dict)
    gone: list[tuple[str, I64]] = field(default_factory=list)

    def keep(self, selection: npt.NDArray[Any]) -> None:
        self.ts_ns = self.ts_ns[selection]
        self.columns = {name: values[selection] for name, values in self.columns.items()}
        self.extras = {name: values[selection] for name, values in self.extras.items()}
        self.volume_absent = self.volume_absent[selection]
        self.late = self.late[selection]
        self.arrival = self.arrival[selection]

    def drop(self, mask: npt.NDArray[np.bool_], reason: str) -> None:
        if mask.any():
            count = int(np.count_nonzero(self.arrival[mask] >= self.stored))
            if count:
                self.dropped[reason] = self.dropped.get(reason, 0) + count
            self.gone.append((reason, self.arrival[mask]))
            self.keep(~mask)


def _drop_outside(rows: _Rows, sessions: DaySessions) -> None:
    outside = classify(rows.ts_ns, sessions)[0] == Phase.CLOSED
    if not outside.any():
        return
    no_book = (rows.columns[BID_SIZES[0]] == 0) & (rows.columns[ASK_SIZES[0]] == 0)
    # a heartbeat says nothing: before trading has begun, without volume, mostly without prices
    heartbeat = outside & (rows.columns["volume"] == 0) & ((rows.ts_ns < sessions.first_ns) | no_book)
    rows.drop(heartbeat, DropReason.HEARTBEAT)
    rows.drop(classify(rows.ts_ns, sessions)[0] == Phase.CLOSED, DropReason.OUTSIDE_SESSION)


def _mark_late(rows: _Rows) -> None:
    """Mark new rows that arrived after a later stamp of their own source; what is stored makes no row late."""
    new = rows.arrival >= rows.stored
    stamps = rows.ts_ns[new]
    rows.late[new] = stamps < np.maximum.accumulate(stamps) if len(stamps) else False


def _drop_identical(rows: _Rows) -> int:
    """Rows equal to an earlier one in stamp and every market column; returns how many."""
    hashes = row_hashes(rows.ts_ns, [rows.columns[name] for name in MARKET_COLUMNS])
    _, first = np.unique(hashes, return_index=True)
    if len(first) == len(hashes):
        return 0
    keep = np.zeros(len(hashes), dtype=np.bool_)
    keep[first] = True
    rows.gone.append((DropReason.DUPLICATE, rows.arrival[~keep]))
    rows.keep(keep)
    return len(hashes) - len(first)


def _sort(rows: _Rows) -> int:
    """Time order, equal stamps as they arrived; returns how many rows stood before an earlier one."""
    reordered = int(np.count_nonzero(np.diff(rows.ts_ns) < 0))
    if reordered:
        rows.keep(np.argsort(rows.ts_ns, kind="stable"))
    return reordered


def _drop_contradictions(rows: _Rows) -> npt.NDArray[np.bool_]:
    """Drop rows that contradict the cumulative volume; returns a mask of kept rows at which the feed had restarted."""
    volume = rows.columns["volume"]
    rows.drop(rows.volume_absent & (np.maximum.accumulate(volume) > 0), DropReason.NO_VOLUME)
    rows.drop(late_rows_that_fall(rows.columns["volume"], rows.late), DropReason.LATE_VOLUME)
    stale, fell = stale_runs(rows.columns["volume"])
    rows.drop(stale, DropReason.LATE_VOLUME)
    return fell[~stale]


def _flags(
    rows: _Rows, phase: npt.NDArray[np.uint8], moved: npt.NDArray[np.bool_], fell: npt.NDArray[np.bool_], price_tick: float
) -> npt.NDArray[np.uint32]:
    flags = _book_flags(rows.columns)
    flags[_off_tick(rows.columns, price_tick)] |= np.uint32(TickFlag.OFF_TICK)
    flags[moved] |= np.uint32(TickFlag.RESPACED)
    flags[fell] |= np.uint32(TickFlag.VOLUME_FELL)
    flags[(phase == Phase.MATCH) | (phase == Phase.ORDER_ENTRY)] |= np.uint32(TickFlag.AUCTION)
    with np.errstate(invalid="ignore"):
        at_upper = rows.columns[BID_PRICES[0]] >= rows.extras["upper_limit"]
        at_lower = rows.columns[ASK_PRICES[0]] <= rows.extras["lower_limit"]
    flags[at_upper | at_lower] |= np.uint32(TickFlag.AT_LIMIT)
    receive = rows.extras["local_nano"]
    flags[(receive != NO_RECEIVE_TIME) & (receive - rows.ts_ns > LATE_NS)] |= np.uint32(TickFlag.LATE)
    return flags


def canonical_day(
    ts_ns: I64,
    columns: Columns,
    *,
    sessions: DaySessions,
    price_tick: float,
    local_nano: I64 | None = None,
    upper_limit: F64 | None = None,
    lower_limit: F64 | None = None,
    already_canonical: int = 0,
) -> CanonicalDay:
    """Turn rows of one trading day, in arrival order, into their canonical form.

    Parameters
    ----------
    ts_ns, columns: stamps and the 27 market columns (float64, source's own absence allowed), arrival order.
    sessions: windows of the trading day. price_tick: of the contract that day.
    local_nano, upper_limit, lower_limit: optional columns, never hashed.
    already_canonical: the first so many rows come from the store (not halved, not counted again).
    """
    size = len(ts_ns)
    nan = np.full(size, np.nan)
    extras = {
        "local_nano": np.full(size, NO_RECEIVE_TIME, dtype=np.int64) if local_nano is None else local_nano,
        "upper_limit": nan if upper_limit is None else upper_limit,
        "lower_limit": nan if lower_limit is None else lower_limit,
    }
    values, impossible = canonical_values(columns)
    halved = sessions.trading_day.iso <= LAST_TWO_SIDED_DAY
    if halved:
        for name in TWO_SIDED_COLUMNS:
            values[name][already_canonical:] /= 2.0
    absent, on_time = ~np.isfinite(columns["volume"]), np.zeros(size, dtype=np.bool_)
    rows = _Rows(snap_stamps(ts_ns), values, extras, absent, on_time, np.arange(size, dtype=np.int64), already_canonical)
    rows.drop(impossible, DropReason.IMPOSSIBLE)
    _drop_outside(rows, sessions)
    _mark_late(rows)
    deduped = _drop_identical(rows)
    reordered = _sort(rows)
    fell = _drop_contradictions(rows)
    phase, part = classify(rows.ts_ns, sessions)  # before spacing: a second row at 15:00:00.000 still belongs to the day
    rows.ts_ns, moved = respace(rows.ts_ns)
    flags = _flags(rows, phase, moved, fell, price_tick)
    if halved:
        flags |= np.uint32(TickFlag.HALVED)
    added = int(np.count_nonzero(rows.arrival >= already_canonical))
    return CanonicalDay(
        ts_ns=rows.ts_ns,
        columns=rows.columns,
        local_nano=rows.extras["local_nano"],
        upper_limit=rows.extras["upper_limit"],
        lower_limit=rows.extras["lower_limit"],
        phase=phase,
        part=part,
        flags=flags,
        row_hash=row_hashes(rows.ts_ns, [rows.columns[name] for name in MARKET_COLUMNS]),
        arrival=rows.arrival,
        added=added,
        deduped=deduped,
        reordered=reordered,
        superseded=already_canonical - (len(rows.arrival) - added),
        dropped=rows.dropped,
        conversions=(HALVED_NOTE,) if halved else (),
        gone=tuple(rows.gone),
    )
