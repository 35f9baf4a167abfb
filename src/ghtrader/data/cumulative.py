"""Rows that contradict the day's cumulative volume: late arrivals and short stale runs go, a feed that restarted stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["late_rows_that_fall", "stale_runs"]

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: A stale row is followed by volume that stands at or above the old level again within so many rows.
STALE_RUN_ROWS = 10


def late_rows_that_fall(volume: F64, late: Mask) -> Mask:
    """Late rows that do not fit between their punctual neighbours. Rows in time order.

    late: rows before which a row with a later stamp had arrived. Such a row fits when its volume lies between those of
    the nearest rows before and after it that were not late; where the feed itself restarted between the two, one of them
    is enough.

    >>> volume, late = np.array([1.0, 9.0, 1.5, 2.0, 3.0]), np.array([False, True, True, False, False])
    >>> late_rows_that_fall(volume, late).tolist()
    [False, True, False, False, False]
    """
    if not late.any():
        return late
    punctual = np.flatnonzero(~late)
    after = np.searchsorted(punctual, np.arange(len(volume)))
    levels = np.concatenate(([0.0], volume[punctual], [np.inf]))
    before, behind = levels[after], levels[after + 1]
    above, below = volume >= before, volume <= behind
    return late & ~np.where(before <= behind, above & below, above | below)


def stale_runs(volume: F64) -> tuple[Mask, Mask]:
    """(stale, fell): short runs of rows below the volume already seen are stale; long ones are a feed that restarted.

    >>> stale, fell = stale_runs(np.array([5.0, 9.0, 4.0, 9.0, 10.0]))
    >>> stale.tolist(), bool(fell.any())
    ([False, False, True, False, False], False)
    """
    highest = np.maximum.accumulate(volume)
    below = volume < highest
    stale = np.zeros(len(volume), dtype=np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False]))))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start <= STALE_RUN_ROWS:
            stale[start:stop] = True
    return stale, below & ~stale
