"""Direction labels: the mid change over a horizon, in ticks, or the reason why there is none.

``y = m(end) - m(t)``. Horizon of H ticks: ``end`` is the H-th emitted continuous snapshot after the row. Horizon of
H seconds: ``end`` is the last snapshot at or before t + H, and the run must reach t + H. A label never crosses a session
break, a ledger gap or a roll, never starts at the first snapshot after one, and is void, never flat, across one-sided
books and limit-locks. The reason is what the horizon meets first: where rows are missing up to the end of a session part, the
gap comes before the break; where the first rows of the next part are missing, the break comes before the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.labels.runs import BEYOND, Runs, horizon_ends, runs_of

__all__ = ["DEFAULT_HORIZONS", "direction_labels"]

DEFAULT_HORIZONS: tuple[Horizon, ...] = (
    Horizon("ticks", 10),
    Horizon("ticks", 50),
    Horizon("ticks", 200),
    Horizon("seconds", 5),
    Horizon("seconds", 25),
    Horizon("seconds", 100),
)

_ONE_SIDED_AHEAD, _LIMIT_LOCK = int(VoidReason.ONE_SIDED_AHEAD), int(VoidReason.LIMIT_LOCK)


@nb.njit(cache=True)
def _label(start: Any, causes: Any, mid: Any, locked: Any, ahead: Any, y: Any, void: Any) -> None:
    for row in range(len(start)):
        y[row], end = np.nan, ahead[row]
        if start[row]:
            void[row] = start[row]
        elif end == BEYOND:
            void[row] = causes[row]
        elif locked[end]:
            void[row] = _LIMIT_LOCK
        elif np.isnan(mid[end]):
            void[row] = _ONE_SIDED_AHEAD
        else:
            void[row] = 0
            y[row] = mid[end] - mid[row]


def direction_labels(
    ticks: DayTicks, horizons: Sequence[Horizon] = DEFAULT_HORIZONS, *, runs: Runs | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Labels of every row: ``y`` float64 (n, H) in ticks, NaN where void; ``void`` uint8 (n, H) of `VoidReason`. O(n) each."""
    known = runs_of(ticks) if runs is None else runs
    y = np.empty((len(horizons), len(ticks)))
    void = np.zeros((len(horizons), len(ticks)), dtype=np.uint8)
    for column, horizon in enumerate(horizons):
        ahead = horizon_ends(known, horizon)
        _label(known.start, known.causes, known.mid, known.locked, ahead, y[column], void[column])
    return np.ascontiguousarray(y.T), np.ascontiguousarray(void.T)
