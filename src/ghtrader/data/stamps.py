"""Stamps of one day: equal ones are spaced +1 us in arrival order, and a spacing that a source made is undone first.

Exchange stamps are whole milliseconds. A source that spaced equal stamps itself (+1 us each, perhaps through a float, so
+1.024 us) and one that did not then give the same rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SPACING_NS", "respace", "snap_stamps"]

I64 = npt.NDArray[np.int64]

MILLISECOND_NS = 1_000_000
SPACING_NS = 1_000
#: Stamps this close to a whole millisecond are that millisecond.
SNAP_NS = 100_000
#: Neighbours up to this far apart belong to one spaced run: the spacing and what a float (256 ns) does to it.
CHAIN_NS = 1_600


def snap_stamps(ts_ns: I64) -> I64:
    """Undo +1 us spacing: stamps within 0.1 ms of a whole millisecond become it, and so do longer spaced runs.

    Stamps of finer clocks, which are far from a millisecond and not spaced, stay as they are.

    >>> snap_stamps(np.array([1_749_042_000_500_001_024, 1_749_042_000_500_312_000])).tolist()
    [1749042000500000000, 1749042000500312000]
    """
    nearest = (ts_ns + MILLISECOND_NS // 2) // MILLISECOND_NS * MILLISECOND_NS
    near = np.abs(ts_ns - nearest) <= SNAP_NS
    snapped = np.where(near, nearest, ts_ns)
    if near.all():
        return snapped
    order = np.argsort(ts_ns, kind="stable")
    stamps = ts_ns[order]
    run = np.cumsum(np.concatenate(([0], (np.diff(stamps) > CHAIN_NS).astype(np.int64))))
    first = np.searchsorted(run, np.arange(run[-1] + 1))
    last = np.concatenate((first[1:], [len(stamps)])) - 1
    long = (stamps[last] - stamps[first] > SNAP_NS) & near[order][first]
    chosen = long[run]
    snapped[order[chosen]] = nearest[order][first][run[chosen]]
    return snapped


def respace(ts_ns: I64) -> tuple[I64, npt.NDArray[np.bool_]]:
    """Sorted stamps with equal ones spaced +1 us in order, pushing later ones on; second value: rows that moved.

    >>> respace(np.array([5_000, 5_000, 5_000, 6_000, 9_000]))[0].tolist()
    [5000, 6000, 7000, 8000, 9000]
    """
    steps = np.arange(len(ts_ns), dtype=np.int64) * SPACING_NS
    spaced = np.maximum.accumulate(ts_ns - steps) + steps
    return spaced, spaced != ts_ns
