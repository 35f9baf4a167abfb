"""How a feed keeps time: the 500 ms grid or events, slots without a row, inter-tick intervals. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import PART_NAMES
from ghtrader.data.sessions import PartWindow
from ghtrader.data.verdict import PartCoverage

__all__ = ["EVENT", "GRID", "SLOT_NS", "coverage_of", "strict_ratio"]

I64 = npt.NDArray[np.int64]

SLOT_NS = 500_000_000
GRID, EVENT = "grid", "event"
QUANTILES = (0.5, 0.95, 0.99)


def strict_ratio(ts: I64) -> float | None:
    """Share of active seconds (those with a row) that have two rows or more; None without rows. Rows in time order.

    >>> strict_ratio(np.array([0, 500_000_000, 1_000_000_000, 3_000_000_000]))
    0.3333333333333333
    """
    if not len(ts):
        return None
    starts = np.flatnonzero(np.concatenate(([True], np.diff(ts // NS_PER_S) > 0)))
    rows = np.diff(np.append(starts, len(ts)))
    return float(np.mean(rows >= 2))


def coverage_of(ts: I64, window: PartWindow) -> PartCoverage:
    """Coverage of one session part by its rows (continuous trading, time order); gap time is added by whoever knows it."""
    name = PART_NAMES[window.part]
    if not len(ts):
        return PartCoverage(session_part=name, rows=0, slots_filled=0.0, first_ns=None, last_ns=None)
    slots = max(1, (window.end_ns - window.start_ns) // SLOT_NS)
    occupied = ts // SLOT_NS
    filled = 1 + int(np.count_nonzero(np.diff(occupied)))
    intervals = np.diff(ts) / 1e6
    quantiles = [round(float(value), 3) for value in np.quantile(intervals, QUANTILES)] if len(intervals) else [None] * 3
    return PartCoverage(
        session_part=name,
        rows=len(ts),
        slots_filled=round(min(1.0, filled / slots), 6),
        first_ns=int(ts[0]),
        last_ns=int(ts[-1]),
        slots_missed=int(occupied[-1] - occupied[0]) + 1 - filled,
        interval_ms_p50=quantiles[0],
        interval_ms_p95=quantiles[1],
        interval_ms_p99=quantiles[2],
        interval_ms_max=round(float(intervals.max()), 3) if len(intervals) else None,
    )
