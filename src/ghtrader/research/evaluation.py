"""Judge out-of-fold predictions: skill, direction, calibration, decay, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.labels.classes import DOWN, UP, classes
from ghtrader.research.bootstrap import Interval, Resampler, auc_table, block_ids, interval_auc, interval_ratio
from ghtrader.research.training import FittedFold, score_of

__all__ = [
    "DECAY_HORIZONS",
    "Decay",
    "Edge",
    "Metric",
    "OutOfFold",
    "Reliability",
    "decay",
    "edges",
    "joined",
    "judge",
    "predict_out_of_fold",
]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

DECAY_HORIZONS = (1, 2, 5, 10, 20, 50, 100, 200, 400)
CALIBRATION_BINS = 15
EDGE_SHARES = (0.20, 0.05, 0.01)
EPSILON = 1e-12
OUTCOMES = ("down", "flat", "up")


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one model and horizon on pooled out-of-fold rows."""

    model: str
    horizon: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """Mean predicted probability against observed frequency, equal-mass bins, one class."""

    model: str
    outcome: str
    predicted: list[float]
    observed: list[float]
    ece: float


class Decay(msgspec.Struct, frozen=True, kw_only=True):
    """Correlation of the score with the mid change so many snapshots ahead."""

    model: str
    horizon_ticks: int
    ic: float
    low: float
    high: float


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Mean label in the score's direction among the strongest share of signals, in ticks, before costs."""

    share: float
    signals: int
    gross_ticks: float
    low: float
    high: float


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for test rows only, per test day in order; every array has the day's tested rows.

    index: positions in the day's rows. classes: true class under the fold's theta.
    """

    model: str
    horizon: Horizon
    days: tuple[str, ...]
    index: list[I64]
    ts_ns: list[I64]
    probabilities: list[F64]
    y: list[F64]
    classes: list[npt.NDArray[np.int8]]


def predict_out_of_fold(datasets: Sequence[DayDataset], fitted: Sequence[FittedFold]) -> OutOfFold:
    """Predict every eligible, labelled row of every test day with the model of its fold."""
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    horizon = fitted[0].horizon
    out = OutOfFold(fitted[0].family, horizon, tuple(day for f in fitted for day in f.fold.test_days), [], [], [], [], [])
    for fold in fitted:
        for day in fold.fold.test_days:
            dataset = by_day[day]
            column = dataset.column(horizon)
            rows = np.flatnonzero(dataset.eligible & (dataset.void[:, column] == 0))
            y = dataset.y[rows, column]
            out.index.append(rows)
            out.ts_ns.append(dataset.ts_ns[rows])
            out.probabilities.append(fold.predictor.predict_proba(dataset.factors[rows]))
            out.y.append(y)
            out.classes.append(classes(y, fold.theta))
    return out


def joined(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Predictions of one model and horizon, folds one after the other."""
    out = OutOfFold(parts[0].model, parts[0].horizon, tuple(day for part in parts for day in part.days), [], [], [], [], [])
    for part in parts:
        out.index.extend(part.index)
        out.ts_ns.extend(part.ts_ns)
        out.probabilities.extend(part.probabilities)
        out.y.extend(part.y)
        out.classes.extend(part.classes)
    return out


def _row_losses(oof: OutOfFold) -> F64:
    p, truth = np.concatenate(oof.probabilities), np.concatenate(oof.classes)
    losses: F64 = -np.log(np.maximum(p[np.arange(len(p)), truth], EPSILON))
    return losses


def _sums(values: F64, blocks: I64, count: int) -> F64:
    return np.bincount(blocks, weights=values, minlength=count).astype(np.float64)


def _metric(oof: OutOfFold, name: str, interval: Interval, rows: int) -> Metric:
    bounds = {"value": interval.value, "low": interval.low, "high": interval.high}
    known = {key: float(value) if np.isfinite(value) else None for key, value in bounds.items()}
    return Metric(model=oof.model, horizon=str(oof.horizon), metric=name, rows=rows, **known)


def _calibration(oof: OutOfFold) -> list[Reliability]:
    p, truth = np.concatenate(oof.probabilities), np.concatenate(oof.classes)
    curves: list[Reliability] = []
    for outcome, name in enumerate(OUTCOMES):
        order = np.argsort(p[:, outcome], kind="stable")
        bins = np.array_split(order, CALIBRATION_BINS)
        predicted = [float(p[rows, outcome].mean()) for rows in bins if len(rows)]
        observed = [float((truth[rows] == outcome).mean()) for rows in bins if len(rows)]
        ece = float(np.mean(np.abs(np.array(predicted) - np.array(observed))))
        curves.append(Reliability(model=oof.model, outcome=name, predicted=predicted, observed=observed, ece=ece))
    return curves


def _matthews(oof: OutOfFold) -> tuple[float, float]:
    """MCC and macro-F1 of the most probable class; side notes, because both reward forecasting volatility."""
    truth = np.concatenate(oof.classes).astype(np.int64)
    guess = np.concatenate(oof.probabilities).argmax(axis=1)
    table = np.bincount(truth * 3 + guess, minlength=9).reshape(3, 3).astype(np.float64)
    rows, columns, total, hits = table.sum(axis=1), table.sum(axis=0), table.sum(), np.trace(table)
    spread = np.sqrt((total**2 - (columns**2).sum()) * (total**2 - (rows**2).sum()))
    f1 = [2 * table[c, c] / (rows[c] + columns[c]) if rows[c] + columns[c] else 0.0 for c in range(3)]
    return float((hits * total - rows @ columns) / spread) if spread else 0.0, float(np.mean(f1))


def judge(oof: OutOfFold, prior: OutOfFold, *, replicates: int, seed: int) -> tuple[list[Metric], list[Reliability]]:
    """Metrics and reliability of one model's out-of-fold predictions against the prior of the same folds."""
    blocks = np.concatenate(block_ids(oof.ts_ns))
    count = int(blocks.max()) + 1
    resampler = Resampler(count, replicates=replicates, seed=seed)
    losses, base = _row_losses(oof), _row_losses(prior)
    rows = len(losses)
    ones = _sums(np.ones(rows), blocks, count)
    probabilities, truth = np.concatenate(oof.probabilities), np.concatenate(oof.classes)
    hit = np.zeros_like(probabilities)
    hit[np.arange(rows), truth] = 1.0
    brier = ((probabilities - hit) ** 2).sum(axis=1)
    skill = interval_ratio(_sums(base - losses, blocks, count), _sums(base, blocks, count), resampler)
    metrics = [
        _metric(oof, "log_loss", interval_ratio(_sums(losses, blocks, count), ones, resampler), rows),
        _metric(oof, "log_loss_skill", skill, rows),
        _metric(oof, "brier", interval_ratio(_sums(brier, blocks, count), ones, resampler), rows),
    ]
    moved = (truth == DOWN) | (truth == UP)
    if moved.any() and oof.model != "prior":
        table = auc_table(score_of(probabilities)[moved], truth[moved] == UP, blocks[moved], count)
        metrics.append(_metric(oof, "directional_auc", interval_auc(table, resampler), int(moved.sum())))
    curves = _calibration(oof)
    ece, (mcc, f1) = float(np.mean([curve.ece for curve in curves])), _matthews(oof)
    for name, value in (("ece", ece), ("mcc", mcc), ("macro_f1", f1)):
        metrics.append(_metric(oof, name, Interval(value, np.nan, np.nan), rows))
    return metrics, curves


def _forward_changes(dataset: DayDataset, rows: I64, ahead: int) -> F64:
    """Mid change ``ahead`` snapshots on, within the unbroken run; NaN where the run ends before."""
    run = np.cumsum(dataset.break_before)
    target = rows + ahead
    inside = target < len(dataset)
    target = np.minimum(target, len(dataset) - 1)
    same = inside & (run[target] == run[rows])
    return np.where(same, dataset.mid_ticks[target] - dataset.mid_ticks[rows], np.nan)


def decay(oof: OutOfFold, datasets: Sequence[DayDataset], *, replicates: int, seed: int) -> list[Decay]:
    """Alpha decay: the score's correlation with the mid change at each horizon, with block-bootstrap intervals."""
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    blocks = np.concatenate(block_ids(oof.ts_ns))
    count = int(blocks.max()) + 1
    resampler = Resampler(count, replicates=replicates, seed=seed)
    score = score_of(np.concatenate(oof.probabilities))
    points: list[Decay] = []
    for ahead in DECAY_HORIZONS:
        change = np.concatenate(
            [_forward_changes(by_day[day], rows, ahead) for day, rows in zip(oof.days, oof.index, strict=True)]
        )
        known = np.isfinite(change)
        x, z, owner = score[known], change[known], blocks[known]
        moments = np.stack([_sums(v, owner, count) for v in (np.ones(len(x)), x, z, x * x, z * z, x * z)])
        value = float(_correlation(moments.sum(axis=1)))
        interval = resampler.interval(value, _correlation(moments @ resampler.counts.T))
        low, high = (bound if np.isfinite(bound) else value for bound in (interval.low, interval.high))
        points.append(Decay(model=oof.model, horizon_ticks=ahead, ic=value, low=float(low), high=float(high)))
    return points


def _correlation(moments: F64) -> F64:
    n, sx, sz, sxx, szz, sxz = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        value: F64 = (n * sxz - sx * sz) / np.sqrt((n * sxx - sx * sx) * (n * szz - sz * sz))
    return np.nan_to_num(value)


def edges(oof: OutOfFold, *, replicates: int, seed: int) -> list[Edge]:
    """Gross ticks of the strongest signals: the mean label in the score's direction, by share of |score|."""
    blocks = np.concatenate(block_ids(oof.ts_ns))
    count = int(blocks.max()) + 1
    resampler = Resampler(count, replicates=replicates, seed=seed)
    score, y = score_of(np.concatenate(oof.probabilities)), np.concatenate(oof.y)
    found: list[Edge] = []
    for share in EDGE_SHARES:
        strong = np.abs(score) >= np.quantile(np.abs(score), 1.0 - share)
        gross = np.sign(score[strong]) * y[strong]
        owner = blocks[strong]
        interval = interval_ratio(_sums(gross, owner, count), _sums(np.ones(len(gross)), owner, count), resampler)
        low, high = (bound if np.isfinite(bound) else interval.value for bound in (interval.low, interval.high))
        found.append(Edge(share=share, signals=int(strong.sum()), gross_ticks=interval.value, low=float(low), high=float(high)))
    return found
