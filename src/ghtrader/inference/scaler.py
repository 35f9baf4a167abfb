"""Winsorise and standardise: fitted on training rows once, then frozen in the artefact."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import canonical_json

__all__ = ["FrozenScaler", "Scaler"]

F64 = npt.NDArray[np.float64]

WINSOR_SIGMAS = 5.0
MAD_TO_SIGMA = 1.4826


class FrozenScaler(NamedTuple):
    """A scaler's numbers as arrays, each (F,)."""

    low: F64
    high: F64
    centre: F64
    scale: F64

    def transform(self, factors: F64) -> F64:
        """``(n, F)`` factors, bounded and standardised; NaN stays NaN."""
        scaled: F64 = np.clip(factors, self.low, self.high)
        scaled -= self.centre
        scaled /= self.scale
        return scaled


class Scaler(msgspec.Struct, frozen=True, kw_only=True):
    """Winsor bounds, centre and scale of every factor, each (F,).

    >>> scaler = Scaler.fit(np.array([[0.0], [1.0], [2.0], [3.0], [1000.0]]))
    >>> scaler.high[0] < 10.0, scaler.transform(np.array([[1e9]]))[0, 0] < 2.5
    (True, np.True_)
    """

    low: list[float]
    high: list[float]
    centre: list[float]
    scale: list[float]

    @classmethod
    def fit(cls, factors: F64) -> Scaler:
        """Bounds at 5 robust sigma (median absolute deviation), then mean and deviation of the bounded rows (n, F), finite.

        A factor that is mostly one value (a spread of one tick) has no robust sigma: its own range bounds it. A constant
        factor keeps scale 1.
        """
        median = np.median(factors, axis=0)
        sigma = MAD_TO_SIGMA * np.median(np.abs(factors - median), axis=0)
        low = np.where(sigma > 0, median - WINSOR_SIGMAS * sigma, factors.min(axis=0))
        high = np.where(sigma > 0, median + WINSOR_SIGMAS * sigma, factors.max(axis=0))
        clipped = np.clip(factors, low, high)
        centre, scale = clipped.mean(axis=0), clipped.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        return cls(low=low.tolist(), high=high.tolist(), centre=centre.tolist(), scale=scale.tolist())

    @classmethod
    def nothing(cls, width: int) -> Scaler:
        """The scaler of a model without weights: every one of ``width`` factors becomes 0."""
        return cls(low=[0.0] * width, high=[0.0] * width, centre=[0.0] * width, scale=[1.0] * width)

    def transform(self, factors: F64) -> F64:
        """``(n, F)`` factors, bounded and standardised; NaN stays NaN."""
        return self.frozen().transform(factors)

    def frozen(self) -> FrozenScaler:
        """The same numbers as arrays, for one row after the other."""
        return FrozenScaler(*(np.array(values) for values in (self.low, self.high, self.centre, self.scale)))

    def to_bytes(self) -> bytes:
        """Canonical bytes: equal scalers give equal bytes."""
        return canonical_json(self)
