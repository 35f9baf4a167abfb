from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ghtrader.adapters.predictors import load_predictor
from ghtrader.core.errors import DataError, UsageError
from ghtrader.ports.predictor import Predictor
from ghtrader.research.models.factory import FAMILIES, model_family

NAMES = ("A", "B", "C")


def _rows(rows: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    factors = random.normal(size=(rows, 3))
    push = factors[:, 0] + random.normal(size=rows)
    return factors, np.select([push < -0.7, push > 0.7], [0, 2], 1).astype(np.int8)


def _fit(name: str, *, seed: int = 1, threads: int = 1, rows: int = 3000) -> Predictor:
    return model_family(name).fit(*_rows(rows), factor_names=NAMES, seed=seed, threads=threads)


@pytest.mark.parametrize("name", FAMILIES)
def test_same_rows_give_the_same_bytes_on_any_number_of_threads(name: str) -> None:
    once = _fit(name, threads=1, rows=20_000).to_bytes()
    assert once == _fit(name, threads=1, rows=20_000).to_bytes()
    assert once == _fit(name, threads=2, rows=20_000).to_bytes()
    assert once == _fit(name, threads=5, rows=20_000).to_bytes()


def test_logistic_bytes_do_not_depend_on_the_threads_of_the_linear_algebra() -> None:
    fits = []
    for threads in (1, 2, 4):
        with threadpool_limits(limits=threads):
            fits.append(_fit("logistic", rows=20_000).to_bytes())
    assert fits[0] == fits[1] == fits[2]


@pytest.mark.parametrize("name", FAMILIES)
def test_stored_artefact_predicts_the_same_bits_and_keeps_its_identity(name: str) -> None:
    fitted, (factors, _) = _fit(name), _rows(500, seed=9)
    loaded = load_predictor(fitted.to_bytes())
    assert np.array_equal(loaded.predict_proba(factors), fitted.predict_proba(factors))
    assert loaded.factor_names == NAMES
    assert loaded.artefact_hash == fitted.artefact_hash
    assert loaded.to_bytes() == fitted.to_bytes()


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_with_nan_get_nan_and_leave_the_others_alone(name: str) -> None:
    fitted, (factors, _) = _fit(name), _rows(50, seed=9)
    holed = factors.copy()
    holed[[3, 7], [0, 2]] = np.nan
    holed[11, 1] = np.inf
    found, whole = fitted.predict_proba(holed), fitted.predict_proba(factors)
    bad = np.isin(np.arange(50), [3, 7, 11])
    assert np.isnan(found[bad]).all()
    assert np.array_equal(found[~bad], whole[~bad])
    assert whole.sum(axis=1) == pytest.approx(np.ones(50))
    assert np.isnan(fitted.predict_proba(np.full((2, 3), np.nan))).all()


def test_prior_is_the_class_frequencies_whatever_the_factors() -> None:
    _, classes = _rows()
    found = _fit("prior").predict_proba(np.array([[0.0, 0.0, 0.0], [9.0, -9.0, 1e6]]))
    frequencies = np.bincount(classes, minlength=3) / len(classes)
    assert found[0] == pytest.approx(frequencies, abs=1e-3)
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_models_find_the_factor_that_pushes(name: str) -> None:
    fitted, (factors, classes) = _fit(name), _rows(3000, seed=4)
    score = np.diff(fitted.predict_proba(factors)[:, [0, 2]])[:, 0]
    assert np.corrcoef(score, factors[:, 0])[0, 1] > 0.85
    assert score[classes == 2].mean() > 0.2 > -0.2 > score[classes == 0].mean()


@pytest.mark.parametrize("present", [[1], [0, 2], [0, 1]])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_fold_without_some_class_still_fits(name: str, present: list[int]) -> None:
    factors, _ = _rows(1000)
    classes = np.array(present, dtype=np.int8)[(factors[:, 0] > 0).astype(int) % len(present)]
    found = model_family(name).fit(factors, classes, factor_names=NAMES, seed=1, threads=1).predict_proba(factors)
    assert found.sum(axis=1) == pytest.approx(np.ones(1000))
    absent = [outcome for outcome in range(3) if outcome not in present]
    assert found[:, absent].max() < 0.05


def test_an_outlier_moves_the_logistic_score_no_further_than_the_winsor_bound() -> None:
    fitted = _fit("logistic")
    far, farther = fitted.predict_proba(np.array([[50.0, 0.0, 0.0], [1e9, 0.0, 0.0]]))
    assert np.array_equal(far, farther)


def test_unknown_family_names_those_that_exist() -> None:
    with pytest.raises(UsageError) as caught:
        model_family("deeplob")
    assert "lightgbm" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\x80\x04pickle", b"GHTM1", b"GHTM1\xff\xff\x00\x00{}"])
def test_bytes_that_are_no_artefact_are_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        load_predictor(data)


def test_truncated_artefacts_are_refused() -> None:
    for name in FAMILIES:
        data = _fit(name).to_bytes()
        with pytest.raises(DataError):
            load_predictor(data[: len(data) // 3])


def test_one_changed_byte_is_refused_wherever_it_is() -> None:
    data = _fit("lightgbm").to_bytes()
    for position in np.linspace(0, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[position] ^= 1
        with pytest.raises(DataError):
            load_predictor(bytes(damaged))
