"""Executable taker labels: what is left of a move when the spread is crossed twice, late, and fees are paid.

The decision falls at row t, the order meets the book at row e = t + latency (snapshots), the way out is the horizon from e:
``long = bid(end) - ask(e) - fees``, ``short = bid(e) - ask(end) - fees``, in ticks; fees are those of both prices. A label is void
for the same reasons as a direction label; it needs a two-sided, unlocked book at t, e and end, and all three in one run. Depth is
not looked at: one lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.labels.classes import DOWN, FLAT, UP, VOID
from ghtrader.datasets.labels.fees import TakerFees
from ghtrader.datasets.labels.runs import BEYOND, Runs, horizon_ends, runs_of

__all__ = ["TakerLabels", "taker_labels"]

F64 = npt.NDArray[np.float64]
_ONE_SIDED_AHEAD, _LIMIT_LOCK = int(VoidReason.ONE_SIDED_AHEAD), int(VoidReason.LIMIT_LOCK)


@dataclass(frozen=True, slots=True)
class TakerLabels:
    """Per row: net ticks of a long and of a short (NaN where void), int8 classes and uint8 `VoidReason`.

    classes: UP where the long earns, DOWN where the short does, FLAT where neither does (no trade), VOID. Both never earn.
    """

    long: F64
    short: F64
    classes: npt.NDArray[np.int8]
    void: npt.NDArray[np.uint8]


@nb.njit(cache=True)
def _label(
    start: Any, ends: Any, causes: Any, mid: Any, locked: Any, ahead: Any, bid: Any, ask: Any,
    latency: int, fixed: float, entry_rate: float, exit_rate: float, long: Any, short: Any, chosen: Any, void: Any,
) -> None:  # fmt: skip
    for row in range(len(start)):
        long[row], short[row], chosen[row] = np.nan, np.nan, VOID
        entry = row + latency
        if start[row]:
            void[row] = start[row]
        elif entry > ends[row] or ahead[entry] == BEYOND:
            void[row] = causes[row]
        elif locked[entry] or locked[ahead[entry]]:
            void[row] = _LIMIT_LOCK
        elif np.isnan(mid[entry]) or np.isnan(mid[ahead[entry]]):
            void[row] = _ONE_SIDED_AHEAD
        else:
            end = ahead[entry]
            void[row] = 0
            long[row] = bid[end] - ask[entry] - (fixed + entry_rate * ask[entry] + exit_rate * bid[end])
            short[row] = bid[entry] - ask[end] - (fixed + entry_rate * bid[entry] + exit_rate * ask[end])
            chosen[row] = UP if long[row] > 0 else DOWN if short[row] > 0 else FLAT


def taker_labels(
    ticks: DayTicks, horizon: Horizon, *, latency_snapshots: int, fees: TakerFees, runs: Runs | None = None
) -> TakerLabels:
    """Taker labels of every row over one horizon. O(n).

    latency_snapshots: from the decision to the book, at least 0.
    """
    known, size = runs_of(ticks) if runs is None else runs, len(ticks)
    out = TakerLabels(np.empty(size), np.empty(size), np.empty(size, np.int8), np.empty(size, np.uint8))
    _label(
        known.start, known.ends, known.causes, known.mid, known.locked, horizon_ends(known, horizon),
        ticks.bid_px[:, 0], ticks.ask_px[:, 0], latency_snapshots, fees.fixed, fees.entry_rate, fees.exit_rate,
        out.long, out.short, out.classes, out.void,
    )  # fmt: skip
    return out
