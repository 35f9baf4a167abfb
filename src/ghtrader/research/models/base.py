"""What a model family is: from training rows to a predictor."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ghtrader.ports.predictor import Predictor

__all__ = ["ModelFamily"]


class ModelFamily(Protocol):
    """Fit a predictor. Deterministic: same rows, seed and settings give the same artefact bytes, on any thread count."""

    name: str

    def fit(
        self,
        factors: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int8],
        *,
        factor_names: tuple[str, ...],
        seed: int,
        threads: int,
    ) -> Predictor:
        """Fit on ``factors`` (n, F), finite, and ``classes`` (n,) in {0 down, 1 flat, 2 up}."""
