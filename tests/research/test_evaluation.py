from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, matthews_corrcoef, roc_auc_score

from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.splits import walk_forward
from ghtrader.research.evaluation import DECAY_HORIZONS, Metric, OutOfFold, decay, edges, judge, predict_out_of_fold
from ghtrader.research.models.factory import model_family
from ghtrader.research.training import fit_fold, score_of

HORIZON = Horizon("ticks", 10)
Build = Callable[..., DayDataset]


def _out_of_fold(datasets: list[DayDataset], family: str) -> OutOfFold:
    folds = walk_forward([dataset.trading_day for dataset in datasets])
    fitted = [fit_fold(datasets, fold, HORIZON, model_family(family), seed=1, threads=1, trade_quantile=0.98) for fold in folds]
    return predict_out_of_fold(datasets, fitted)


def _judged(datasets: list[DayDataset], family: str = "logistic") -> tuple[dict[str, Metric], OutOfFold, OutOfFold]:
    oof, prior = _out_of_fold(datasets, family), _out_of_fold(datasets, "prior")
    metrics, _ = judge(oof, prior, replicates=200, seed=1)
    return {metric.metric: metric for metric in metrics}, oof, prior


def test_metrics_agree_with_independent_implementations(day_dataset: Build) -> None:
    metrics, oof, prior = _judged([day_dataset(number) for number in range(4)])
    p, truth = np.concatenate(oof.probabilities), np.concatenate(oof.classes)
    base = log_loss(truth, np.concatenate(prior.probabilities), labels=[0, 1, 2])
    ours = log_loss(truth, p, labels=[0, 1, 2])
    assert metrics["log_loss"].value == pytest.approx(ours, rel=1e-9)
    assert metrics["log_loss_skill"].value == pytest.approx(1.0 - ours / base, rel=1e-9)
    assert metrics["brier"].value == pytest.approx(((p - np.eye(3)[truth]) ** 2).sum(axis=1).mean(), rel=1e-9)
    moved = truth != 1
    assert metrics["directional_auc"].value == pytest.approx(roc_auc_score(truth[moved] == 2, score_of(p)[moved]), abs=1e-4)
    assert metrics["mcc"].value == pytest.approx(matthews_corrcoef(truth, p.argmax(axis=1)), abs=1e-9)
    assert metrics["macro_f1"].value == pytest.approx(f1_score(truth, p.argmax(axis=1), average="macro"), abs=1e-9)
    assert metrics["directional_auc"].rows == moved.sum()


def test_a_real_signal_is_credited_and_noise_is_not(day_dataset: Build) -> None:
    found, _, _ = _judged([day_dataset(number, signal=1.0) for number in range(5)])
    chance, _, _ = _judged([day_dataset(number, signal=0.0) for number in range(5)])
    assert found["directional_auc"].low is not None
    assert found["directional_auc"].low > 0.55
    assert found["log_loss_skill"].low is not None
    assert found["log_loss_skill"].low > 0.0
    assert chance["directional_auc"].low is not None
    assert chance["directional_auc"].high is not None
    assert chance["directional_auc"].low < 0.5 < chance["directional_auc"].high


def test_prior_has_no_skill_against_itself_and_no_direction(day_dataset: Build) -> None:
    metrics, _, _ = _judged([day_dataset(number) for number in range(3)], "prior")
    assert metrics["log_loss_skill"].value == 0.0
    assert "directional_auc" not in metrics


def test_every_test_row_is_judged_once_by_a_model_that_never_saw_its_day(day_dataset: Build) -> None:
    datasets = [day_dataset(number) for number in range(5)]
    oof = _out_of_fold(datasets, "prior")
    assert list(oof.days) == [dataset.trading_day.iso for dataset in datasets[2:]]
    for rows, dataset in zip(oof.index, datasets[2:], strict=True):
        assert rows.tolist() == np.flatnonzero(dataset.void[:, 0] == 0).tolist()


def test_calibrated_probabilities_have_a_small_error_and_overconfident_ones_a_large_one(day_dataset: Build) -> None:
    datasets = [day_dataset(number, rows=8000) for number in range(3)]
    oof, prior = _out_of_fold(datasets, "logistic"), _out_of_fold(datasets, "prior")
    sharpened = [p**4 / (p**4).sum(axis=1, keepdims=True) for p in oof.probabilities]
    for judged, low, high in ((oof, 0.0, 0.03), (replace(oof, probabilities=sharpened), 0.08, 1.0)):
        metrics, curves = judge(judged, prior, replicates=100, seed=1)
        ece = next(metric.value for metric in metrics if metric.metric == "ece")
        assert ece is not None
        assert low <= ece <= high
        assert [curve.outcome for curve in curves] == ["down", "flat", "up"]
        assert all(len(curve.predicted) == 15 and curve.predicted == sorted(curve.predicted) for curve in curves)


def test_decay_is_the_correlation_with_the_change_ahead_and_never_crosses_a_break(day_dataset: Build) -> None:
    datasets = [day_dataset(number, signal=1.0) for number in range(3)]
    oof = _out_of_fold(datasets, "logistic")
    points = {point.horizon_ticks: point for point in decay(oof, datasets, replicates=100, seed=1)}
    assert tuple(points) == DECAY_HORIZONS
    dataset, rows = datasets[2], oof.index[0]
    run = np.cumsum(dataset.break_before)
    inside = rows[(rows + 20 < len(dataset)) & (run[np.minimum(rows + 20, len(dataset) - 1)] == run[rows])]
    change = dataset.mid_ticks[inside + 20] - dataset.mid_ticks[inside]
    score = score_of(oof.probabilities[0])[np.searchsorted(rows, inside)]
    assert points[20].ic == pytest.approx(np.corrcoef(score, change)[0, 1], abs=1e-9)
    assert points[1].ic > points[10].ic > points[200].ic
    assert points[1].low < points[1].ic < points[1].high


def test_strongest_signals_earn_more_before_costs(day_dataset: Build) -> None:
    datasets = [day_dataset(number, signal=1.0) for number in range(4)]
    found = edges(_out_of_fold(datasets, "logistic"), replicates=100, seed=1)
    assert [edge.share for edge in found] == [0.20, 0.05, 0.01]
    assert found[0].gross_ticks < found[1].gross_ticks < found[2].gross_ticks
    assert found[0].low > 0.0
