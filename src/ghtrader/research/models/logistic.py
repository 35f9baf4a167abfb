"""Multinomial logistic regression on winsorised, scaled factors: the champion to beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.inference.linear import LinearArtefact, LinearPredictor
from ghtrader.inference.scaler import Scaler
from ghtrader.ports.predictor import Predictor

__all__ = ["Logistic"]

C = 0.05
MAX_ITERATIONS = 200


class Logistic:
    """Winsorise at 5 robust sigma, standardise, L2-regularised multinomial regression (lbfgs, C = 0.05)."""

    name = "logistic"

    def fit(
        self,
        factors: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int8],
        *,
        factor_names: tuple[str, ...],
        seed: int,
        threads: int,
    ) -> Predictor:
        """Fit; bounds, centre and scale come from these rows alone."""
        del threads
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        scaler = Scaler.fit(factors)
        present = np.unique(classes)
        weights, intercepts = np.zeros((3, factors.shape[1])), np.full(3, -20.0)
        if len(present) == 1:
            intercepts[present[0]] = 0.0
        else:
            model = LogisticRegression(C=C, max_iter=MAX_ITERATIONS, random_state=seed)
            with threadpool_limits(limits=1):  # threads that spin between small products cost ten times what they bring
                model.fit(scaler.transform(factors), classes)
            if len(present) == 2:
                weights[present[1]], intercepts[present] = model.coef_[0], (0.0, float(model.intercept_[0]))
            else:
                weights, intercepts = model.coef_, model.intercept_
        return LinearPredictor(
            LinearArtefact(
                family=self.name,
                factor_names=factor_names,
                scaler=scaler,
                weights=weights.tolist(),
                intercepts=intercepts.tolist(),
            )
        )
