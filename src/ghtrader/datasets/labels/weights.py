"""Uniqueness weights: a label that shares its future with many others tells little on its own.

A label from row t to row end covers the steps t -> t+1, ..., end-1 -> end. The concurrency of a step is how many labels of the
day cover it; the weight is one over the mean concurrency of the label's steps. With stride 1 and a horizon of H snapshots it is
about 1/H, and the sum of the weights is about the number of independent labels. Lopez de Prado (2018), chapter 4.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.labels.runs import Runs, horizon_ends

__all__ = ["uniqueness_weights"]


@nb.njit(cache=True)
def _weights(used: Any, ends: Any, weights: Any) -> None:
    size = len(used)
    change = np.zeros(size + 1, np.int64)
    for row in range(size):
        if used[row]:
            change[row] += 1
            change[ends[row]] -= 1
    covered = np.zeros(size + 1, np.int64)  # sum of the concurrency of all steps before a row
    concurrency = 0
    for row in range(size):
        concurrency += change[row]
        covered[row + 1] = covered[row] + concurrency
    for row in range(size):
        weights[row] = np.nan
        if used[row]:
            steps = ends[row] - row
            weights[row] = 1.0 if steps == 0 else steps / (covered[ends[row]] - covered[row])


def uniqueness_weights(runs: Runs, horizon: Horizon, used: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Weight of each label in (0, 1], float64 (n,); NaN where ``used`` is False. O(n).

    used: rows whose label counts, among those whose horizon ends inside the run (all labelled rows, or those of a training
    set: a stride lowers concurrency). A horizon in seconds that meets no further snapshot shares no step: weight 1.
    """
    ends = horizon_ends(runs, horizon)
    weights = np.empty(len(ends))
    _weights(used & (ends >= 0), ends, weights)
    return weights
