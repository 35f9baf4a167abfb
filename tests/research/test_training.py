from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ghtrader.core.errors import DataError, ProvenanceError
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.provenance import require_trainable
from ghtrader.datasets.splits import Fold, row_masks, walk_forward
from ghtrader.pipelines.evaluate import JudgeSettings, evaluate
from ghtrader.research.models.factory import FAMILIES, model_family
from ghtrader.research.training import FittedFold, fit_fold, stride_of, training_matrix

HORIZON = Horizon("ticks", 10)
Build = Callable[..., DayDataset]


def _fit(datasets: list[DayDataset], fold: Fold, family: str) -> FittedFold:
    return fit_fold(datasets, fold, HORIZON, model_family(family), seed=1, threads=1, trade_quantile=0.98)


def _disfigured(dataset: DayDataset) -> DayDataset:
    """Every factor and label of the day replaced by something wild."""
    random = np.random.default_rng(99)
    return replace(
        dataset,
        factors=random.normal(50.0, 200.0, dataset.factors.shape),
        y=np.where(np.isnan(dataset.y), np.nan, random.normal(0.0, 500.0, dataset.y.shape)),
        mid_ticks=random.normal(9000.0, 100.0, len(dataset)),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_changing_every_test_row_leaves_theta_threshold_and_artefact_as_they_were(day_dataset: Build, family: str) -> None:
    datasets = [day_dataset(number) for number in range(4)]
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    changed = [*datasets[:2], *(_disfigured(dataset) for dataset in datasets[2:])]
    before, after = _fit(datasets, fold, family), _fit(changed, fold, family)
    assert before.predictor.to_bytes() == after.predictor.to_bytes()
    assert (before.theta, before.trade_threshold, before.rows) == (after.theta, after.trade_threshold, after.rows)


@pytest.mark.parametrize("family", ["logistic", "lightgbm"])
def test_changing_the_training_rows_does_change_the_artefact(day_dataset: Build, family: str) -> None:
    datasets = [day_dataset(number) for number in range(3)]
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    before = _fit(datasets, fold, family)
    after = _fit([_disfigured(datasets[0]), *datasets[1:]], fold, family)
    assert before.predictor.artefact_hash != after.predictor.artefact_hash
    assert before.theta != after.theta


def test_theta_is_half_a_deviation_of_the_training_labels_and_at_least_a_tick(day_dataset: Build) -> None:
    datasets = [day_dataset(number) for number in range(3)]
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    fitted = _fit(datasets, fold, "prior")
    _, y = training_matrix(datasets, row_masks(fold, datasets, HORIZON), HORIZON)
    assert fitted.theta == max(1.0, 0.5 * float(y.std()))
    calm = [replace(dataset, y=dataset.y * 0.01) for dataset in datasets]
    assert _fit(calm, fold, "prior").theta == 1.0


def test_void_and_ineligible_rows_are_never_trained_on(day_dataset: Build) -> None:
    datasets = [day_dataset(number) for number in range(3)]
    poisoned = np.zeros(4000, dtype=np.bool_)
    poisoned[500:900] = True
    wild = np.where(poisoned[:, None], 1e6, datasets[0].factors)
    barred = replace(datasets[0], factors=wild, eligible=~poisoned)
    voided = replace(datasets[0], factors=wild, void=np.where(poisoned[:, None], 3, datasets[0].void).astype(np.uint8))
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    for changed in (barred, voided):
        factors, y = training_matrix([changed, *datasets[1:]], row_masks(fold, [changed, *datasets[1:]], HORIZON), HORIZON)
        assert factors.max() < 100.0
        assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("horizon", "stride"),
    [(Horizon("ticks", 10), 1), (Horizon("ticks", 200), 20), (Horizon("seconds", 25), 5), (Horizon("seconds", 1), 1)],
)
def test_training_takes_every_tenth_of_a_horizon(horizon: Horizon, stride: int) -> None:
    assert stride_of(horizon) == stride


def test_too_few_training_rows_are_an_error_that_says_how_many(day_dataset: Build) -> None:
    datasets = [day_dataset(number, rows=200) for number in range(3)]
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    with pytest.raises(DataError, match="training rows before 2020-02-06") as caught:
        _fit(datasets, fold, "prior")
    assert caught.value.context["days"] == ["2020-02-04", "2020-02-05"]


def test_trading_threshold_is_the_quantile_of_training_scores(day_dataset: Build) -> None:
    datasets = [day_dataset(number) for number in range(3)]
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    fitted = _fit(datasets, fold, "logistic")
    factors, _ = training_matrix(datasets, row_masks(fold, datasets, HORIZON), HORIZON)
    probabilities = fitted.predictor.predict_proba(factors)
    share = float((np.abs(probabilities[:, 2] - probabilities[:, 0]) > fitted.trade_threshold).mean())
    assert share == pytest.approx(0.02, abs=0.001)


@pytest.mark.parametrize(
    "spoilt",
    [{"schedule_hash": ""}, {"segment_ids": ()}, {"segment_ids": (0,)}, {"schedule_hash": "another"}],
    ids=["no schedule", "no segments", "segment 0", "another schedule"],
)
def test_days_of_a_series_without_provenance_are_not_trained_on(day_dataset: Build, spoilt: dict[str, object]) -> None:
    honest = [replace(day_dataset(n), symbol="KQ.m@SHFE.cu", schedule_hash="one", segment_ids=(1,)) for n in range(5)]
    fold = walk_forward([dataset.trading_day for dataset in honest])[0]
    _fit(honest, fold, "prior")
    datasets = [honest[0], replace(honest[1], **spoilt), *honest[2:]]
    bad = datasets[1].trading_day.iso
    judging = JudgeSettings(models=("prior",), horizons=("10t",), seed=1, replicates=20, trade_quantile=0.98)
    for train in (
        lambda: _fit(datasets, fold, "prior"),
        lambda: evaluate(datasets, judging, artifacts=None, trials=None),
        lambda: require_trainable(datasets, strict=True),
    ):
        with pytest.raises(ProvenanceError, match=bad) as caught:
            train()
        assert caught.value.context["days"] == [bad]
    kept, left_out = require_trainable(datasets, strict=False)
    assert ([d.trading_day.iso for d in kept], left_out) == ([d.trading_day.iso for d in honest if d is not honest[1]], [bad])
    evaluation, scores = evaluate(datasets, judging, artifacts=None, trials=None, strict=False)
    assert evaluation.left_out == [bad]
    assert bad not in scores.score
    assert all(bad not in card.train_days for card in evaluation.cards)
