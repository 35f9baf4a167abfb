from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from ghtrader.inference.linear import LinearArtefact, LinearPredictor
from ghtrader.inference.scaler import Scaler

WEIGHTS = np.random.default_rng(3).normal(size=(3, 16))


def _predictor() -> LinearPredictor:
    scaler = Scaler(low=[-5.0, -5.0], high=[5.0, 5.0], centre=[1.0, 0.0], scale=[2.0, 1.0])
    weights = [[-1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]
    return LinearPredictor(
        LinearArtefact(family="logistic", factor_names=("A", "B"), scaler=scaler, weights=weights, intercepts=[0.1, 0.2, 0.3])
    )


def test_probabilities_are_the_softmax_of_the_scaled_linear_score() -> None:
    factors = np.array([[3.0, 2.0], [-2.0, 0.5]])
    scaled = (factors - [1.0, 0.0]) / [2.0, 1.0]
    expected = softmax(scaled @ np.array([[-1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]).T + [0.1, 0.2, 0.3], axis=1)
    assert _predictor().predict_proba(factors) == pytest.approx(expected)


def test_one_row_predicts_the_same_bits_as_many() -> None:
    factors = np.random.default_rng(1).normal(size=(500, 16)) * 4.0
    scaler, names = Scaler.fit(factors), tuple(str(column) for column in range(16))
    artefact = LinearArtefact(
        family="logistic", factor_names=names, scaler=scaler, weights=WEIGHTS.tolist(), intercepts=[0.0, 0.1, 0.2]
    )
    predictor = LinearPredictor(artefact)
    together = predictor.predict_proba(factors)
    apart = np.concatenate([predictor.predict_proba(factors[row : row + 1]) for row in range(500)])
    assert np.array_equal(together, apart)


def test_huge_scores_do_not_overflow() -> None:
    scaler = Scaler(low=[-1e300], high=[1e300], centre=[0.0], scale=[1.0])
    artefact = LinearArtefact(
        family="logistic", factor_names=("A",), scaler=scaler, weights=[[-1.0], [0.0], [1.0]], intercepts=[0.0, 0.0, 0.0]
    )
    assert LinearPredictor(artefact).predict_proba(np.array([[1e6], [-1e6]])).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_artefact_comes_back_from_its_bytes() -> None:
    predictor = _predictor()
    assert LinearPredictor.from_bytes(predictor.to_bytes()).artefact == predictor.artefact


def test_no_rows_give_no_probabilities() -> None:
    assert _predictor().predict_proba(np.empty((0, 2))).shape == (0, 3)
