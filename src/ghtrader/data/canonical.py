"""One trading day in canonical form: what is kept, flagged, dropped and counted (market.md, 'Ticks')."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.row_hash import row_hashes
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, LEVELS, MARKET_COLUMNS, PRICE_COLUMNS
from ghtrader.data.sessions import DaySessions, classify

__all__ = ["CanonicalDay", "DropReason", "canonical_day", "canonical_values", "snap_stamps"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Columns = dict[str, F64]

MILLISECOND_NS = 1_000_000
#: Stamps this close to a whole millisecond are that millisecond (a float on the way moved them, or +1 us spacing).
SNAP_NS = 100_000
SPACING_NS = 1_000
#: A stale row is followed by volume that stands at or above the old level again within so many rows.
STALE_RUN_ROWS = 10
LATE_NS = 60 * NS_PER_S
#: Volume, amount and open interest were counted on both sides until this trading day.
LAST_TWO_SIDED_DAY = "2019-12-31"
NO_RECEIVE_TIME = 0
#: Magnitudes beyond this are a feed's way to say "no price" (DBL_MAX).
ABSURD = 1e15


class DropReason:
    """Why rows were dropped; the keys of every ``dropped`` counter."""

    HEARTBEAT = "heartbeat"  # before the session, no book and no volume
    OUTSIDE_SESSION = "outside_session"  # outside every phase of its trading day
    STALE_VOLUME = "late_volume_fell"  # late: cumulative volume falls below what was already seen
    IMPOSSIBLE = "impossible"  # a negative price, size, volume or amount


@dataclass(frozen=True)
class CanonicalDay:
    """Rows of one trading day in canonical form and time order, with counters.

    ``arrival`` holds, for each kept row, its index in the input (arrival order).
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
    deduped: int
    reordered: int
    dropped: dict[str, int] = field(default_factory=dict)
    conversions: tuple[str, ...] = ()


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


def snap_stamps(ts_ns: I64) -> I64:
    """Stamps within 0.1 ms of a whole millisecond become it: undoes +1 us spacing and the rounding of floats.

    >>> snap_stamps(np.array([1_749_042_000_500_001_024])).tolist()
    [1749042000500000000]
    """
    nearest = (ts_ns + MILLISECOND_NS // 2) // MILLISECOND_NS * MILLISECOND_NS
    return np.where(np.abs(ts_ns - nearest) <= SNAP_NS, nearest, ts_ns)


def _respace(ts_ns: I64) -> tuple[I64, npt.NDArray[np.bool_]]:
    """Sorted stamps with equal ones spaced +1 us in order; second value: rows that moved."""
    steps = np.arange(len(ts_ns), dtype=np.int64) * SPACING_NS
    spaced = np.maximum.accumulate(ts_ns - steps) + steps
    return spaced, spaced != ts_ns


def _stale_rows(volume: F64) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(stale, fell): short runs of rows below the volume already seen are stale; long ones are a feed that restarted."""
    highest = np.maximum.accumulate(volume)
    below = volume < highest
    stale = np.zeros(len(volume), dtype=np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False]))))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start <= STALE_RUN_ROWS:
            stale[start:stop] = True
    return stale, below & ~stale


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
    """The rows still alive, every array cut together."""

    ts_ns: I64
    columns: Columns
    extras: dict[str, npt.NDArray[Any]]
    arrival: I64

    def keep(self, selection: npt.NDArray[Any]) -> None:
        self.ts_ns = self.ts_ns[selection]
        self.columns = {name: values[selection] for name, values in self.columns.items()}
        self.extras = {name: values[selection] for name, values in self.extras.items()}
        self.arrival = self.arrival[selection]


def _drop(rows: _Rows, mask: npt.NDArray[np.bool_], reason: str, dropped: dict[str, int]) -> None:
    count = int(np.count_nonzero(mask))
    if count:
        dropped[reason] = dropped.get(reason, 0) + count
        rows.keep(~mask)


def _drop_outside(rows: _Rows, sessions: DaySessions, dropped: dict[str, int]) -> None:
    phase, _ = classify(rows.ts_ns, sessions)
    outside = phase == Phase.CLOSED
    no_book = (rows.columns[BID_SIZES[0]] == 0) & (rows.columns[ASK_SIZES[0]] == 0)
    # a heartbeat says nothing: before trading has begun, without volume, mostly without prices
    heartbeat = outside & (rows.columns["volume"] == 0) & ((rows.ts_ns < sessions.first_ns) | no_book)
    _drop(rows, heartbeat, DropReason.HEARTBEAT, dropped)
    phase, _ = classify(rows.ts_ns, sessions)
    _drop(rows, phase == Phase.CLOSED, DropReason.OUTSIDE_SESSION, dropped)


def _drop_identical(rows: _Rows) -> int:
    """Rows equal to an earlier one in stamp and every market column; returns how many."""
    hashes = row_hashes(rows.ts_ns, [rows.columns[name] for name in MARKET_COLUMNS])
    _, first = np.unique(hashes, return_index=True)
    if len(first) == len(hashes):
        return 0
    keep = np.zeros(len(hashes), dtype=np.bool_)
    keep[first] = True
    rows.keep(keep)
    return len(hashes) - len(first)


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
    already_canonical: the first so many rows come from the store (not halved again).
    """
    size = len(ts_ns)
    nan = np.full(size, np.nan)
    receive = np.full(size, NO_RECEIVE_TIME, dtype=np.int64) if local_nano is None else local_nano
    extras = {
        "local_nano": receive,
        "upper_limit": nan if upper_limit is None else upper_limit,
        "lower_limit": nan if lower_limit is None else lower_limit,
    }
    values, impossible = canonical_values(columns)
    halved = sessions.trading_day.iso <= LAST_TWO_SIDED_DAY
    if halved:
        for name in ("volume", "amount", "open_interest"):
            values[name][already_canonical:] /= 2.0
    dropped: dict[str, int] = {}
    rows = _Rows(snap_stamps(ts_ns), values, extras, np.arange(size, dtype=np.int64))
    _drop(rows, impossible, DropReason.IMPOSSIBLE, dropped)
    _drop_outside(rows, sessions, dropped)
    deduped = _drop_identical(rows)
    order = np.argsort(rows.ts_ns, kind="stable")
    reordered = int(np.count_nonzero(np.diff(rows.ts_ns) < 0))
    if reordered:
        rows.keep(order)
    stale, fell = _stale_rows(rows.columns["volume"])
    if stale.any():
        fell = fell[~stale]
    _drop(rows, stale, DropReason.STALE_VOLUME, dropped)
    spaced, moved = _respace(rows.ts_ns)
    rows.ts_ns = spaced
    phase, part = classify(spaced, sessions)
    flags = _book_flags(rows.columns)
    flags[_off_tick(rows.columns, price_tick)] |= np.uint32(TickFlag.OFF_TICK)
    flags[moved] |= np.uint32(TickFlag.RESPACED)
    flags[fell] |= np.uint32(TickFlag.VOLUME_FELL)
    flags[(phase == Phase.MATCH) | (phase == Phase.ORDER_ENTRY)] |= np.uint32(TickFlag.AUCTION)
    if halved:
        flags |= np.uint32(TickFlag.HALVED)
    with np.errstate(invalid="ignore"):
        at_limit = (rows.columns[BID_PRICES[0]] >= rows.extras["upper_limit"]) | (
            rows.columns[ASK_PRICES[0]] <= rows.extras["lower_limit"]
        )
    flags[at_limit] |= np.uint32(TickFlag.AT_LIMIT)
    receive = rows.extras["local_nano"]
    flags[(receive != NO_RECEIVE_TIME) & (receive - spaced > LATE_NS)] |= np.uint32(TickFlag.LATE)
    return CanonicalDay(
        ts_ns=spaced,
        columns=rows.columns,
        local_nano=receive,
        upper_limit=rows.extras["upper_limit"],
        lower_limit=rows.extras["lower_limit"],
        phase=phase,
        part=part,
        flags=flags,
        row_hash=row_hashes(spaced, [rows.columns[name] for name in MARKET_COLUMNS]),
        arrival=rows.arrival,
        deduped=deduped,
        reordered=reordered,
        dropped=dropped,
        conversions=("volume, amount and open interest halved: counted on both sides until 2019-12-31",) if halved else (),
    )
