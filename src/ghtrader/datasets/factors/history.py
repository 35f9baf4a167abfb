"""What a trading day leaves to the following ones: volume, depth, VPIN, activity by the clock. O(1) per day, whatever its rows.

Days are summarised one by one (`summarise`), and what a day may know of earlier ones is a pure function of their summaries
(`history_array`): days can be computed in any order and in parallel, and live comes out the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.datasets.factors.kernels.layout import (
    C_ACTIVITY,
    C_ROWS,
    C_SUM_DV,
    C_SUM_LOGA,
    C_SUM_LOGB,
    C_VPIN_HIST,
    H_ACTIVITY,
    H_DAYS,
    H_LOGA,
    H_LOGB,
    H_VOLUME,
    H_VPIN,
    HISTORY,
    HISTORY_END,
    PART_MINUTES,
    PARTS,
    VPIN_BINS,
)

__all__ = ["HISTORY_DAYS", "VPIN_DAYS", "DaySummary", "history_array", "no_history", "summarise"]

HISTORY_DAYS, VPIN_DAYS = 20, 5
F64 = npt.NDArray[np.float64]


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one contract. trading_day: ISO. volume: lots of rows that count. log_bid, log_ask: mean ln depth of each side.

    vpin: counts of VPIN values in bins of 0.01. activity: rows by session part and minute, 4 x 360 in one list.
    """

    trading_day: str
    volume: float
    log_bid: float
    log_ask: float
    vpin: tuple[float, ...]
    activity: tuple[float, ...]


def summarise(trading_day: str, f: F64) -> DaySummary:
    """Summary of a day from the kernel's ``f`` after its last row (computed with every group that keeps some)."""
    rows = max(1.0, float(f[C_ROWS]))
    return DaySummary(
        trading_day=trading_day,
        volume=float(f[C_SUM_DV]),
        log_bid=float(f[C_SUM_LOGB]) / rows,
        log_ask=float(f[C_SUM_LOGA]) / rows,
        vpin=tuple(f[C_VPIN_HIST : C_VPIN_HIST + VPIN_BINS].tolist()),
        activity=tuple(f[C_ACTIVITY : C_ACTIVITY + PARTS * PART_MINUTES].tolist()),
    )


def no_history() -> F64:
    """The history section of ``f`` where nothing is known of earlier days."""
    h = np.zeros(HISTORY_END - HISTORY)
    h[[H_LOGB - HISTORY, H_LOGA - HISTORY, H_VPIN - HISTORY]] = np.nan
    return h


def history_array(earlier: Sequence[DaySummary]) -> F64:
    """The history section of ``f`` from the summaries of the contract's earlier days, in order; the last twenty count."""
    kept = earlier[-HISTORY_DAYS:]
    if not kept:
        return no_history()
    h = np.zeros(HISTORY_END - HISTORY)
    h[H_DAYS - HISTORY], h[H_VOLUME - HISTORY], h[H_LOGB - HISTORY], h[H_LOGA - HISTORY] = (
        len(kept),
        kept[-1].volume,
        kept[-1].log_bid,
        kept[-1].log_ask,
    )
    if not any(kept[-1].activity):  # a day on which no row counted has no depth
        h[[H_LOGB - HISTORY, H_LOGA - HISTORY]] = np.nan
    counts = np.sum([day.vpin for day in kept[-VPIN_DAYS:]], axis=0)
    total = counts.sum()
    h[H_VPIN - HISTORY : H_ACTIVITY - HISTORY] = np.concatenate([[0.0], np.cumsum(counts) / total]) if total else np.nan
    h[H_ACTIVITY - HISTORY :] = np.mean([day.activity for day in kept], axis=0)
    return h
