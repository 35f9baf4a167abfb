"""Drift of a distribution against a reference: PSI and the Kolmogorov-Smirnov distance, from counts; rows are not kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Reference", "psi"]

F64 = npt.NDArray[np.float64]

PSI_BINS = 10
KS_POINTS = 1024
#: Shares below this count as this, so that an empty bin gives a large and finite PSI.
FLOOR = 1e-4


def psi(expected: F64, observed: F64) -> float:
    """Population stability index of two histograms over the same bins: sum of (q - p) ln(q / p) over the bins' shares.

    Below 0.1 is usually called stable, above 0.25 shifted. NaN where one of them is empty.

    >>> psi(np.array([50.0, 50.0]), np.array([5.0, 5.0]))
    0.0
    >>> round(psi(np.array([50.0, 50.0]), np.array([75.0, 25.0])), 4)
    0.2747
    """
    if not expected.sum() or not observed.sum():
        return float("nan")
    p, q = (np.maximum(counts / counts.sum(), FLOOR) for counts in (expected, observed))
    return float(((q - p) * np.log(q / p)).sum())


def _edges(ordered: F64, bins: int) -> F64:
    """Inner edges of equal-mass bins. A value that fills whole bins gets one of its own, so that zeros are counted apart."""
    cuts = np.quantile(ordered, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="inverted_cdf")
    tied = cuts[1:][cuts[1:] == cuts[:-1]]
    return np.unique(np.concatenate([cuts, np.nextafter(tied, -np.inf)]))


@dataclass(frozen=True)
class Reference:
    """What is kept of the reference days of one factor: bin edges and shares, and 1,024 quantiles with their distribution.

    Bins are quantiles of the reference alone, never of the days that are compared with it.

    >>> reference = Reference.of(np.arange(1000.0))
    >>> reference.psi(np.arange(1000.0)), reference.ks(np.arange(1000.0))
    (0.0, 0.0)
    >>> reference.ks(np.arange(500.0, 1500.0))
    0.5
    """

    edges: F64
    counts: F64
    points: F64
    at: F64
    below: F64

    @classmethod
    def of(cls, values: F64) -> Reference:
        """The reference of finite values, in any order; empty values give one against which everything is NaN."""
        ordered = np.sort(values)
        if not len(ordered):
            nothing = np.zeros(0)
            return cls(nothing, nothing, nothing, nothing, nothing)
        edges = _edges(ordered, PSI_BINS)
        # the smallest value of a reference without ties lies in the first bin; all bins are closed on the right
        points = np.unique(np.quantile(ordered, np.linspace(0.0, 1.0, KS_POINTS), method="inverted_cdf"))
        return cls(edges, _histogram(ordered, edges), points, *_distribution(ordered, points))

    def psi(self, ordered: F64) -> float:
        """PSI of sorted finite values; NaN without any."""
        return psi(self.counts, _histogram(ordered, self.edges)) if len(ordered) and len(self.counts) else float("nan")

    def ks(self, ordered: F64) -> float:
        """Largest distance of the two distribution functions for sorted finite values; exact to 1/1,024. NaN without any."""
        if not len(ordered) or not len(self.points):
            return float("nan")
        at, below = _distribution(ordered, self.points)
        return float(max(np.abs(at - self.at).max(), np.abs(below - self.below).max()))


def _histogram(ordered: F64, edges: F64) -> F64:
    ends = np.searchsorted(ordered, edges, side="right")
    return np.diff(np.concatenate([[0], ends, [len(ordered)]])).astype(np.float64)


def _distribution(ordered: F64, points: F64) -> tuple[F64, F64]:
    """Share of values at or below each point, and below it."""
    size = len(ordered)
    return np.searchsorted(ordered, points, side="right") / size, np.searchsorted(ordered, points, side="left") / size
