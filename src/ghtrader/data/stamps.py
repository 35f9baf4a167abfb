"""Stamps of one day: equal ones are spaced +1 us in arrival order, and a spacing that a source made is undone first.

Exchange stamps are whole milliseconds. A source that spaced equal stamps itself (+1 us each, perhaps through a float, so
+1.024 us) and one that did not then give the same rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SPACING_NS", "respace", "snap_stamps"]

I64 = npt.NDArray[np.int64]

MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000
SPACING_NS = MICROSECOND_NS
#: Stamps this close to a whole millisecond are that millisecond.
SNAP_NS = 100_000


def _rounded(ts_ns: I64, unit_ns: int) -> I64:
    return (ts_ns + unit_ns // 2) // unit_ns * unit_ns


def snap_stamps(ts_ns: I64) -> I64:
    """Undo +1 us spacing: a run of stamps 1 us apart becomes its first one, and that a whole millisecond if it is near one.

    ts_ns: int64 (n,), any order. Near means 0.1 ms. Stamps of finer clocks that are neither spaced nor near stay as they
    are, to the microsecond. Spacing what comes out and snapping again gives the same stamps.

    >>> snap_stamps(np.array([1_749_042_000_500_001_024, 1_749_042_000_500_312_000])).tolist()
    [1749042000500000000, 1749042000500312000]
    """
    whole = _rounded(ts_ns, MILLISECOND_NS)
    if np.array_equal(whole, ts_ns):
        return whole
    stamps = _rounded(ts_ns, MICROSECOND_NS)
    order = np.argsort(stamps, kind="stable")
    in_time = stamps[order]
    starts = np.concatenate(([True], np.diff(in_time) > SPACING_NS))
    first = in_time[starts]
    nearest = _rounded(first, MILLISECOND_NS)
    base = np.where(np.abs(first - nearest) <= SNAP_NS, nearest, first)
    snapped = np.empty_like(stamps)
    snapped[order] = base[np.cumsum(starts) - 1]
    return snapped


def respace(ts_ns: I64) -> tuple[I64, npt.NDArray[np.bool_]]:
    """Sorted stamps with equal ones spaced +1 us in order, pushing later ones on; second value: rows that moved.

    >>> respace(np.array([5_000, 5_000, 5_000, 6_000, 9_000]))[0].tolist()
    [5000, 6000, 7000, 8000, 9000]
    """
    steps = np.arange(len(ts_ns), dtype=np.int64) * SPACING_NS
    spaced = np.maximum.accumulate(ts_ns - steps) + steps
    return spaced, spaced != ts_ns
