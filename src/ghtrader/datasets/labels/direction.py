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

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.day_ticks import GAP_FOLLOWS, NO_GAP, DayTicks
from ghtrader.datasets.day_dataset import Horizon, VoidReason

__all__ = ["DEFAULT_HORIZONS", "direction_labels"]

DEFAULT_HORIZONS: tuple[Horizon, ...] = (
    Horizon("ticks", 10),
    Horizon("ticks", 50),
    Horizon("ticks", 200),
    Horizon("seconds", 5),
    Horizon("seconds", 25),
    Horizon("seconds", 100),
)

_NOT_CONTINUOUS, _ONE_SIDED, _ONE_SIDED_AHEAD = (
    int(VoidReason.NOT_CONTINUOUS),
    int(VoidReason.ONE_SIDED),
    int(VoidReason.ONE_SIDED_AHEAD),
)
_AFTER_BREAK, _BREAK, _GAP, _ROLL = int(VoidReason.AFTER_BREAK), int(VoidReason.BREAK), int(VoidReason.GAP), int(VoidReason.ROLL)
_LIMIT_LOCK = int(VoidReason.LIMIT_LOCK)


@nb.njit(cache=True)
def _run_ends(breaks: Any, continuous: Any, part: Any, segment: Any, gap_after: Any, ends: Any, causes: Any) -> None:
    """Last row of each row's unbroken run, and what ends it."""
    end, cause, following = -1, _BREAK, -1
    for row in range(len(breaks) - 1, -1, -1):
        if not continuous[row]:
            end = -1
            continue
        if end == -1:
            end, cause = row, _BREAK
            adjacent = following == row + 1 and part[following] == part[row]
            if gap_after[row] == GAP_FOLLOWS or (gap_after[row] != NO_GAP and adjacent):
                cause = _GAP
            elif following >= 0 and segment[following] != segment[row]:
                cause = _ROLL
            elif adjacent and breaks[following]:
                cause = _GAP  # nothing else breaks a run inside a part
        ends[row], causes[row] = end, cause
        following = row
        if breaks[row]:
            end = -1


@nb.njit(cache=True)
def _label(
    ts: Any, mid: Any, breaks: Any, continuous: Any, locked: Any, ends: Any, causes: Any,
    by_ticks: bool, length: int, y: Any, void: Any,
) -> None:  # fmt: skip
    at = 0
    for row in range(len(ts)):
        y[row] = np.nan
        if not continuous[row]:
            void[row] = _NOT_CONTINUOUS
            continue
        if breaks[row]:
            void[row] = _AFTER_BREAK
            continue
        if locked[row]:
            void[row] = _LIMIT_LOCK
            continue
        if np.isnan(mid[row]):
            void[row] = _ONE_SIDED
            continue
        last = ends[row]
        if by_ticks:
            end = row + length
            if end > last:
                void[row] = causes[row]
                continue
        else:
            target = ts[row] + length
            if ts[last] < target:
                void[row] = causes[row]
                continue
            at = max(at, row)
            while at + 1 <= last and ts[at + 1] <= target:
                at += 1
            end = at
        if locked[end]:
            void[row] = _LIMIT_LOCK
        elif np.isnan(mid[end]):
            void[row] = _ONE_SIDED_AHEAD
        else:
            void[row] = 0
            y[row] = mid[end] - mid[row]


def direction_labels(
    ticks: DayTicks, horizons: Sequence[Horizon] = DEFAULT_HORIZONS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Labels of every row: ``y`` float64 (n, H) in ticks, NaN where void; ``void`` uint8 (n, H) of `VoidReason`."""
    size = len(ticks)
    continuous = ticks.phase == int(Phase.CONTINUOUS)
    locked = (ticks.flags & np.uint32(TickFlag.AT_LIMIT)) != 0
    mid, breaks = ticks.mid_ticks, ticks.break_before
    ends, causes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.uint8)
    _run_ends(breaks, continuous, ticks.part, ticks.segment_id, ticks.gap_after, ends, causes)
    y = np.empty((len(horizons), size))
    void = np.zeros((len(horizons), size), dtype=np.uint8)
    for column, horizon in enumerate(horizons):
        by_ticks = horizon.unit == "ticks"
        length = horizon.length if by_ticks else horizon.length * NS_PER_S
        _label(ticks.ts_ns, mid, breaks, continuous, locked, ends, causes, by_ticks, length, y[column], void[column])
    return np.ascontiguousarray(y.T), np.ascontiguousarray(void.T)
