"""From the continuous label to classes; theta comes from the training fold and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["DOWN", "FLAT", "UP", "VOID", "classes", "theta_from_train"]

DOWN, FLAT, UP, VOID = 0, 1, 2, -1
MIN_THETA_TICKS = 1.0


def theta_from_train(y_train: npt.NDArray[np.float64]) -> float:
    """Threshold in ticks: half a standard deviation of the training labels, at least one tick."""
    known = y_train[~np.isnan(y_train)]
    return max(MIN_THETA_TICKS, 0.5 * float(known.std())) if len(known) else MIN_THETA_TICKS


def classes(y: npt.NDArray[np.float64], theta: float) -> npt.NDArray[np.int8]:
    """DOWN where y <= -theta, UP where y >= theta, FLAT between, VOID where y is NaN.

    >>> classes(np.array([-1.0, 0.5, 1.0, np.nan]), 1.0).tolist()
    [0, 1, 2, -1]
    """
    out = np.full(y.shape, FLAT, dtype=np.int8)
    out[y <= -theta] = DOWN
    out[y >= theta] = UP
    out[np.isnan(y)] = VOID
    return out
