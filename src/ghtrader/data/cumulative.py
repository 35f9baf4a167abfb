"""Rows that contradict the day's cumulative volume: late arrivals and short stale runs go, a feed that restarted stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["late_rows_that_fall", "stale_runs"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: A stale row is followed by volume that stands at or above the old level again within so many rows.
STALE_RUN_ROWS = 10


def late_rows_that_fall(volume: F64, arrival: I64) -> Mask:
    """Late rows that do not fit between their punctual neighbours. Rows in time order, ``arrival`` their order in the source.

    A row is late when a row with a later stamp arrived before it. It fits when its volume lies between those of the
    nearest rows before and after it that were not late; where the feed itself restarted between the two, one of them is
    enough.

    >>> late_rows_that_fall(np.array([1.0, 9.0, 5.0, 2.0, 3.0]), np.array([0, 4, 5, 1, 2])).tolist()
    [False, True, True, False, False]
    """
    rows = len(volume)
    later = np.minimum.accumulate(arrival[::-1])[::-1]
    late = np.zeros(rows, dtype=np.bool_)
    late[:-1] = arrival[:-1] > later[1:]
    if not late.any():
        return late
    punctual = np.flatnonzero(~late)
    after = np.searchsorted(punctual, np.arange(rows))
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
