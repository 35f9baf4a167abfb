"""The canonical form of one tick after another, compiled: what a row is, as far as the rows before it can tell.

The rules are those of `ghtrader.data.canonical`, decided at the row. Where that form looks at later rows, this one cannot: a
row that comes after a later stamp is dropped (there it is sorted in), and of rows whose cumulative volume has fallen the first
ten are dropped (there they stay when more than ten follow, because then the feed had restarted).

One row with a stamp far ahead must not make everything after it late: after ten late rows, in time order and none of them
before the row that preceded the one ahead, the eleventh is believed. The clock is set back and a new stretch begins.
"""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from ghtrader.core.phases import Phase
from ghtrader.data.canonical import ABSURD, DropReason
from ghtrader.data.cumulative import STALE_RUN_ROWS
from ghtrader.data.day_ticks import NO_PRICE
from ghtrader.data.schema import MARKET_COLUMNS, PRICE_COLUMNS
from ghtrader.data.stamps import MICROSECOND_NS, MILLISECOND_NS, SNAP_NS, SPACING_NS

__all__ = ["COLUMNS", "REASON_CODES", "SAME_STAMP_ROWS", "SIZE_K", "classify_row", "classify_rows"]

#: Columns of a raw row: the 27 market columns, then the limits.
COLUMNS: Final = (*MARKET_COLUMNS, "upper_limit", "lower_limit")
N_MARKET: Final = len(MARKET_COLUMNS)
BID_PX, BID_SZ, ASK_PX, ASK_SZ = (
    MARKET_COLUMNS.index(f"{name}1") for name in ("bid_price", "bid_volume", "ask_price", "ask_volume")
)
VOLUME, AMOUNT, OPEN_INTEREST = (MARKET_COLUMNS.index(name) for name in ("volume", "amount", "open_interest"))
IS_PRICE = np.array([name in PRICE_COLUMNS for name in MARKET_COLUMNS])
LEVELS: Final = 5
#: So many late rows in order are dropped before the next one is believed.
LATE_RUN_ROWS: Final = 10
#: A row is compared with so many earlier rows of its stamp to find that it is a duplicate.
SAME_STAMP_ROWS: Final = 256

KEPT, HEARTBEAT, OUTSIDE, LATE, DUPLICATE, NO_VOLUME, FELL, IMPOSSIBLE = range(8)
#: Reasons by code; 0: the row is kept.
REASON_CODES: Final = (
    "",
    DropReason.HEARTBEAT,
    DropReason.OUTSIDE_SESSION,
    "late_row",
    DropReason.DUPLICATE,
    DropReason.NO_VOLUME,
    DropReason.LATE_VOLUME,
    DropReason.IMPOSSIBLE,
)

# the state: trading day (its number) and stretch, last stamps, late rows in a row and the last of them, the stamp before the
# last one, another day that rows came from; the run of spaced stamps of the day and of the other one
DAY, STRETCH, LAST, LAST_RAW, SPACED, BELOW, PART, CONTINUOUS, SAME, LATE_ROWS, LATE_RAW, BEFORE, OTHER_DAY = range(13)
RUN, OTHER_RUN = 13, 16  # each: first and last stamp of the run, what it stands for
SIZE_K: Final = 19
NO_STAMP: Final = -(1 << 62)
CLOSED, TRADING = int(Phase.CLOSED), int(Phase.CONTINUOUS)


@nb.njit(cache=True)
def _snapped(k: Any, run: int, ts: int, last: int) -> int:
    """The stamp without the spacing that its source made (`stamps.snap_stamps`); ``last``: stamp of the row alive before."""
    stamp = (ts + MICROSECOND_NS // 2) // MICROSECOND_NS * MICROSECOND_NS
    if k[run] <= stamp <= k[run + 1] + SPACING_NS:
        k[run + 1] = max(k[run + 1], stamp)
        return int(k[run + 2])
    nearest = (stamp + MILLISECOND_NS // 2) // MILLISECOND_NS * MILLISECOND_NS
    base = nearest if abs(stamp - nearest) <= SNAP_NS else stamp
    if stamp > k[run + 1] or base >= last:
        k[run] = k[run + 1] = stamp
        k[run + 2] = base
    return int(base)


@nb.njit(cache=True)
def _canonical(raw: Any, value: Any) -> bool:
    """Absence in its one form (`canonical.canonical_values`), from ``raw`` to ``value``; whether the row is impossible."""
    impossible = False
    for column in range(N_MARKET):
        known = abs(raw[column]) < ABSURD  # false for NaN and infinity
        impossible = impossible or (known and raw[column] < 0.0)
        if IS_PRICE[column]:
            value[column] = raw[column] if known and raw[column] != 0.0 else np.nan
        else:
            value[column] = raw[column] if known else 0.0
    for level in range(LEVELS):
        for price, size in ((BID_PX + level, BID_SZ + level), (ASK_PX + level, ASK_SZ + level)):
            if np.isnan(value[price]) or value[size] == 0.0:
                value[price], value[size] = np.nan, 0.0
    return impossible


@nb.njit(cache=True)
def _seen_before(k: Any, seen: Any, value: Any) -> bool:
    """Whether a row of this stamp had the same market columns; notes the row when none had."""
    for row in range(min(k[SAME], SAME_STAMP_ROWS)):
        same = True
        for column in range(N_MARKET):
            if value[column] != seen[row, column] and not (np.isnan(value[column]) and np.isnan(seen[row, column])):
                same = False
                break
        if same:
            return True
    seen[k[SAME] % SAME_STAMP_ROWS, :] = value
    k[SAME] += 1
    return False


@nb.njit(cache=True)
def _contradiction(k: Any, highest: Any, volume: float, absent: bool) -> int:
    """The reason to drop a row whose cumulative volume contradicts the rows before it."""
    top = max(highest[0], volume)
    if absent and top > 0.0:
        return NO_VOLUME
    highest[0] = top
    k[BELOW] = k[BELOW] + 1 if volume < top else 0
    return FELL if 0 < k[BELOW] <= STALE_RUN_ROWS else KEPT


@nb.njit(cache=True)
def _ticks(price: float, price_tick: float) -> int:
    return int(np.rint(price / price_tick)) if abs(price) < ABSURD else NO_PRICE


@nb.njit(cache=True)
def _begin_stretch(k: Any, highest: Any, day: int) -> None:
    k[DAY] = day
    k[STRETCH] = max(0, k[STRETCH] + 1)
    k[LAST] = k[SPACED] = NO_STAMP
    k[BELOW] = k[SAME] = 0
    k[PART] = k[CONTINUOUS] = -2
    highest[0] = 0.0


@nb.njit(cache=True)
def _is_believed(k: Any, ts: int) -> bool:
    """Whether so many late rows came in order that the row ahead of them was wrong; counts this one."""
    if ts < k[BEFORE]:
        return False
    k[LATE_ROWS] = k[LATE_ROWS] + 1 if k[LATE_ROWS] > 0 and ts >= k[LATE_RAW] else 1
    k[LATE_RAW] = ts
    return bool(k[LATE_ROWS] > LATE_RUN_ROWS)


@nb.njit(cache=True)
def _write(k: Any, raw: Any, value: Any, stamp: int, phase: int, part: int, price_tick: float, row: int, out: Any) -> None:
    """A kept row into the arrays ``out`` (in the order of `live_canonical.LiveRows`), prices in ticks."""
    ts_ns, bid_px, bid_sz, ask_px, ask_sz, last_px, limits, counters, phases, parts, breaks, stretches = out
    k[SPACED] = max(stamp, k[SPACED] + SPACING_NS)
    ts_ns[row] = k[SPACED]
    for level in range(LEVELS):
        bid_px[row, level], bid_sz[row, level] = _ticks(value[BID_PX + level], price_tick), int(value[BID_SZ + level])
        ask_px[row, level], ask_sz[row, level] = _ticks(value[ASK_PX + level], price_tick), int(value[ASK_SZ + level])
    last_px[row] = _ticks(value[0], price_tick)
    limits[row, 0], limits[row, 1] = _ticks(raw[N_MARKET], price_tick), _ticks(raw[N_MARKET + 1], price_tick)
    counters[row, 0], counters[row, 1], counters[row, 2] = value[VOLUME], value[AMOUNT], value[OPEN_INTEREST]
    phases[row], parts[row] = phase, part
    breaks[row] = part != k[PART] or int(phase == TRADING) != k[CONTINUOUS]
    k[PART], k[CONTINUOUS] = part, int(phase == TRADING)
    stretches[row] = k[STRETCH]


@nb.njit(cache=True)
def classify_row(
    k: Any, highest: Any, seen: Any, value: Any,
    ts: int, raw: Any,
    day: int, edges: Any, phases: Any, parts: Any, first_ns: int, halved: bool, price_tick: float,
    row: int, out: Any,
) -> int:  # fmt: skip
    """Read one row, update the state, write it to ``out[row]`` when it is kept; returns its code (`REASON_CODES`).

    raw: float64 (29,), `COLUMNS`, NaN where absent. day: number of the stamp's trading day; edges, phases, parts, first_ns:
    its windows. halved: counted on both sides that day.
    """
    other = day != k[DAY]
    if other and k[OTHER_DAY] != day:
        k[OTHER_DAY] = day
        k[OTHER_RUN : OTHER_RUN + 3] = NO_STAMP
    run = OTHER_RUN if other else RUN
    last = NO_STAMP if other else k[LAST]
    stamp = _snapped(k, run, ts, last)
    if _canonical(raw, value):
        return IMPOSSIBLE
    if halved:
        value[VOLUME] /= 2.0
        value[AMOUNT] /= 2.0
        value[OPEN_INTEREST] /= 2.0
    span = np.searchsorted(edges, stamp, side="right")
    if phases[span] == CLOSED:
        no_book = value[BID_SZ] == 0.0 and value[ASK_SZ] == 0.0
        return HEARTBEAT if value[VOLUME] == 0.0 and (stamp < first_ns or no_book) else OUTSIDE
    if stamp < last or ts < k[LAST_RAW]:
        if not _is_believed(k, ts):
            return LATE
        _begin_stretch(k, highest, day)
        k[RUN] = k[RUN + 1] = k[RUN + 2] = stamp
        k[BEFORE] = NO_STAMP
    else:
        if other:
            _begin_stretch(k, highest, day)
            k[RUN : RUN + 3] = k[OTHER_RUN : OTHER_RUN + 3]
        if k[LATE_ROWS] <= 0:
            k[BEFORE] = k[LAST_RAW]
    k[LATE_ROWS], k[LAST_RAW] = 0, ts
    if stamp > k[LAST]:
        k[LAST], k[SAME] = stamp, 0
    if _seen_before(k, seen, value):
        return DUPLICATE
    reason = _contradiction(k, highest, value[VOLUME], not np.isfinite(raw[VOLUME]))
    if reason == KEPT:
        _write(k, raw, value, stamp, phases[span], parts[span], price_tick, row, out)
    return reason


@nb.njit(cache=True)
def classify_rows(
    k: Any, highest: Any, seen: Any, value: Any,
    ts: Any, raw: Any,
    day: int, edges: Any, phases: Any, parts: Any, first_ns: int, halved: bool, price_tick: float,
    first: int, last: int, out: Any, codes: Any,
) -> None:  # fmt: skip
    """``classify_row`` over the rows ``first`` to ``last`` (not included) of arrays, all of one trading day."""
    for row in range(first, last):
        codes[row] = classify_row(
            k, highest, seen, value, ts[row], raw[row], day, edges, phases, parts, first_ns, halved, price_tick, row, out
        )  # fmt: skip
