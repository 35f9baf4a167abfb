from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.inference.scaler import Scaler


def _factors(rows: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal([0.0, 100.0, -5.0], [1.0, 20.0, 0.1], (rows, 3))


def test_scaled_training_rows_have_mean_zero_and_deviation_one() -> None:
    factors = _factors()
    scaled = Scaler.fit(factors).transform(factors)
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    assert scaled.std(axis=0) == pytest.approx(np.ones(3))


def test_outliers_are_bounded_at_five_robust_sigma_and_barely_move_the_fit() -> None:
    factors = _factors()
    wild = factors.copy()
    wild[:5] = 1e12
    clean, hit = Scaler.fit(factors), Scaler.fit(wild)
    assert np.array(hit.scale) == pytest.approx(np.array(clean.scale), rel=0.1)
    assert hit.transform(wild[:1]).max() < 6.0


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_a_constant_factor_becomes_zero_and_no_nan(value: float) -> None:
    factors = np.column_stack([np.full(100, value), np.arange(100.0)])
    assert Scaler.fit(factors).transform(factors)[:, 0].tolist() == [0.0] * 100


def test_a_factor_that_is_mostly_one_value_keeps_its_rare_values() -> None:
    spread = np.ones((1000, 1))
    spread[:30] = 2.0
    scaled = Scaler.fit(spread).transform(np.array([[1.0], [2.0]]))
    assert scaled[1, 0] - scaled[0, 0] > 1.0


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_scaling_is_row_by_row_and_the_order_of_rows_does_not_matter(seed: int) -> None:
    factors = _factors(200, seed)
    scaler = Scaler.fit(factors)
    order = np.random.default_rng(seed).permutation(200)
    assert np.array_equal(scaler.transform(factors)[order], scaler.transform(factors[order]))
    assert np.array_equal(scaler.transform(factors[:1]), scaler.transform(factors)[:1])


def test_nan_stays_nan() -> None:
    scaler = Scaler.fit(_factors())
    assert np.isnan(scaler.transform(np.array([[np.nan, 100.0, -5.0]]))).tolist() == [[True, False, False]]
