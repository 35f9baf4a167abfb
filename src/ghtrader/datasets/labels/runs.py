"""What every label stands on: unbroken runs of rows, what ends them, and where a horizon ends. Compiled, one pass each.

A run is a stretch of continuous trading without a session break, a gap or a roll. Nothing that a label looks at lies
outside the run of its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.day_ticks import GAP_FOLLOWS, NO_GAP, DayTicks
from ghtrader.datasets.day_dataset import Horizon, VoidReason

__all__ = ["BEYOND", "Runs", "horizon_ends", "runs_of"]

I64 = npt.NDArray[np.int64]
#: The horizon does not end inside the run.
BEYOND = -1

_NOT_CONTINUOUS, _ONE_SIDED, _AFTER_BREAK = (
    int(VoidReason.NOT_CONTINUOUS),
    int(VoidReason.ONE_SIDED),
    int(VoidReason.AFTER_BREAK),
)
_BREAK, _GAP, _ROLL, _END = int(VoidReason.BREAK), int(VoidReason.GAP), int(VoidReason.ROLL), int(VoidReason.END)
_LIMIT_LOCK = int(VoidReason.LIMIT_LOCK)


@dataclass(frozen=True, slots=True)
class Runs:
    """Per row of a day: start: the `VoidReason` of the row itself (0: a label may start here). ends: last row of its run (0 outside
    continuous trading). causes: the `VoidReason` of what ends the run. mid: ticks, NaN without a two-sided book. locked: at a limit.
    """

    ts_ns: I64
    start: npt.NDArray[np.uint8]
    ends: I64
    causes: npt.NDArray[np.uint8]
    mid: npt.NDArray[np.float64]
    locked: npt.NDArray[np.bool_]
    continuous: npt.NDArray[np.bool_]


@nb.njit(cache=True)
def _run_ends(breaks: Any, continuous: Any, part: Any, segment: Any, gap_after: Any, ends: Any, causes: Any) -> None:
    """Last row of each row's unbroken run, and what ends it."""
    end, cause, following = -1, _END, -1
    for row in range(len(breaks) - 1, -1, -1):
        if not continuous[row]:
            end = -1
            continue
        if end == -1:
            end, cause = row, _END if following == -1 else _BREAK
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
def _starts(continuous: Any, breaks: Any, locked: Any, mid: Any, start: Any) -> None:
    for row in range(len(start)):
        if not continuous[row]:
            start[row] = _NOT_CONTINUOUS
        elif breaks[row]:
            start[row] = _AFTER_BREAK
        elif locked[row]:
            start[row] = _LIMIT_LOCK
        elif np.isnan(mid[row]):
            start[row] = _ONE_SIDED
        else:
            start[row] = 0


def runs_of(ticks: DayTicks) -> Runs:
    """Runs of a day. O(n)."""
    size = len(ticks)
    continuous = ticks.phase == int(Phase.CONTINUOUS)
    locked = (ticks.flags & np.uint32(TickFlag.AT_LIMIT)) != 0
    mid = ticks.mid_ticks
    ends, causes, start = np.zeros(size, np.int64), np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    _run_ends(ticks.break_before, continuous, ticks.part, ticks.segment_id, ticks.gap_after, ends, causes)
    _starts(continuous, ticks.break_before, locked, mid, start)
    return Runs(ticks.ts_ns, start, ends, causes, mid, locked, continuous)


@nb.njit(cache=True)
def _horizon_ends(ts: Any, continuous: Any, ends: Any, by_ticks: bool, length: int, out: Any) -> None:
    at = 0
    for row in range(len(ts)):
        out[row] = BEYOND
        if not continuous[row]:
            continue
        last = ends[row]
        if by_ticks:
            if row + length <= last:
                out[row] = row + length
        elif ts[last] >= ts[row] + length:
            at = max(at, row)
            while at + 1 <= last and ts[at + 1] <= ts[row] + length:
                at += 1
            out[row] = at


def horizon_ends(runs: Runs, horizon: Horizon) -> I64:
    """Row at which the horizon from each row ends, int64 (n,); `BEYOND` where the run ends before it does. O(n).

    H ticks: the H-th snapshot after the row. H seconds: the last snapshot at or before t + H; the run must reach t + H.
    """
    out = np.empty(len(runs.ts_ns), np.int64)
    by_ticks = horizon.unit == "ticks"
    length = horizon.length if by_ticks else horizon.length * NS_PER_S
    _horizon_ends(runs.ts_ns, runs.continuous, runs.ends, by_ticks, length, out)
    return out
