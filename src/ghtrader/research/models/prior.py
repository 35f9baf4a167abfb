"""The prior: class frequencies of the training fold, whatever the factors say. The floor that skill is measured from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.inference.linear import LinearArtefact, LinearPredictor
from ghtrader.inference.scaler import Scaler
from ghtrader.ports.predictor import Predictor

__all__ = ["Prior"]


class Prior:
    """Laplace-smoothed class frequencies as a linear predictor without weights."""

    name = "prior"

    def fit(
        self,
        factors: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int8],
        *,
        factor_names: tuple[str, ...],
        seed: int,
        threads: int,
    ) -> Predictor:
        """Fit; ``seed`` and ``threads`` change nothing."""
        del seed, threads
        width = factors.shape[1]
        counts = np.bincount(classes, minlength=3).astype(np.float64) + 1.0
        return LinearPredictor(
            LinearArtefact(
                family=self.name,
                factor_names=factor_names,
                scaler=Scaler.nothing(width),
                weights=[[0.0] * width] * 3,
                intercepts=np.log(counts / counts.sum()).tolist(),
            )
        )
