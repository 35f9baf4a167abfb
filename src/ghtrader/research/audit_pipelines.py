"""What the auditor is shown: the project's own pipeline, and the same with a leak built into one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.splits import Fold, RowMasks, row_masks
from ghtrader.inference.scaler import Scaler
from ghtrader.research.audit import AUDIT_HORIZON, AUDIT_SET, Pipeline
from ghtrader.research.models.factory import FAMILIES, model_family
from ghtrader.research.models.logistic import Logistic
from ghtrader.research.training import fit_fold, stride_of, training_matrix

__all__ = ["PLANTS", "honest_pipeline", "plant"]

F64 = npt.NDArray[np.float64]
SELECTED = 8
SEED = 7
RANDOM_SHARE = 0.7
CENTRED_ROWS = 11


def _train_theta(datasets: Sequence[DayDataset], masks: RowMasks) -> float:
    return theta_from_train(training_matrix(datasets, masks, AUDIT_HORIZON)[1])


def _train_scaler(datasets: Sequence[DayDataset], masks: RowMasks) -> Scaler:
    return Scaler.fit(training_matrix(datasets, masks, AUDIT_HORIZON)[0])


def _train_selection(datasets: Sequence[DayDataset], masks: RowMasks) -> tuple[int, ...]:
    """The factors that correlate most with the label, strongest first."""
    factors, y = training_matrix(datasets, masks, AUDIT_HORIZON)
    centred = factors - factors.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0) * ((y - y.mean()) ** 2).sum())
    strength = np.abs(centred.T @ (y - y.mean())) / np.where(scale > 0, scale, 1.0)
    return tuple(int(column) for column in np.argsort(-strength, kind="stable")[:SELECTED])


def _train_model(
    datasets: Sequence[DayDataset], masks: RowMasks, theta: float, scaler: Scaler, selection: tuple[int, ...]
) -> bytes:
    factors, y = training_matrix(datasets, masks, AUDIT_HORIZON)
    columns = list(selection)
    names = tuple(datasets[0].factor_names[column] for column in columns)
    scaled = np.ascontiguousarray(scaler.transform(factors)[:, columns])
    return Logistic().fit(scaled, classes(y, theta), factor_names=names, seed=SEED, threads=1).to_bytes()


def _fold_fit(family: str) -> Callable[[Sequence[DayDataset], Fold], bytes]:
    """What `ghtrader train` fits on a fold: theta, trading threshold and artefact as bytes."""

    def fit(datasets: Sequence[DayDataset], fold: Fold) -> bytes:
        fitted = fit_fold(datasets, fold, AUDIT_HORIZON, model_family(family), seed=SEED, threads=1, trade_quantile=0.98)
        return repr((fitted.theta, fitted.trade_threshold, fitted.rows)).encode() + fitted.predictor.to_bytes()

    return fit


def honest_pipeline() -> Pipeline:
    """The project's own steps: causal factors, labels, walk-forward rows, everything fitted on training rows."""
    chosen = factor_set(AUDIT_SET)
    return Pipeline(
        factors=lambda ticks, sessions: compute(ticks, sessions, chosen),
        labels=lambda ticks: direction_labels(ticks, (AUDIT_HORIZON,)),
        split=lambda datasets, fold: row_masks(fold, datasets, AUDIT_HORIZON, stride=stride_of(AUDIT_HORIZON)),
        theta=_train_theta,
        scaler=_train_scaler,
        selection=_train_selection,
        model=_train_model,
        fits={family: _fold_fit(family) for family in FAMILIES},
    )


def _random_split(datasets: Sequence[DayDataset], fold: Fold) -> RowMasks:
    """Rows of all days shuffled into training and test."""
    generator = np.random.default_rng(SEED)
    train, test = {}, {}
    for day in (*fold.train_days, *fold.test_days):
        dataset = next(d for d in datasets if d.trading_day.iso == day)
        usable = dataset.eligible & (dataset.void[:, dataset.column(AUDIT_HORIZON)] == 0)
        chosen = generator.random(len(dataset)) < RANDOM_SHARE
        train[day], test[day] = usable & chosen, usable & ~chosen
    return RowMasks(train, test)


def _all_rows(masks: RowMasks) -> RowMasks:
    return RowMasks({**masks.train, **masks.test}, {})


def _centred(ticks: DayTicks, sessions: DaySessions) -> F64:
    """The level 1 imbalance smoothed over five rows before and five rows after."""
    factors = compute(ticks, sessions, factor_set(AUDIT_SET))
    column = factor_set(AUDIT_SET).ids.index("F4")
    smooth = np.convolve(np.nan_to_num(factors[:, column]), np.ones(CENTRED_ROWS) / CENTRED_ROWS, mode="same")
    factors[:, column] = np.where(np.isnan(factors[:, column]), np.nan, smooth)
    return factors


def _shifted_labels(ticks: DayTicks) -> tuple[F64, npt.NDArray[np.uint8]]:
    """Each row gets the label of the row before: part of it has already happened."""
    y, void = direction_labels(ticks, (AUDIT_HORIZON,))
    return np.roll(y, 1, axis=0), np.roll(void, 1, axis=0)


def _test_theta(datasets: Sequence[DayDataset], masks: RowMasks) -> float:
    return theta_from_train(training_matrix(datasets, RowMasks(masks.test, {}), AUDIT_HORIZON)[1])


PLANTS: dict[str, Callable[[Pipeline], Pipeline]] = {
    "random_split": lambda p: replace(p, split=_random_split),
    "scaler_all_data": lambda p: replace(p, scaler=lambda d, m: _train_scaler(d, _all_rows(m))),
    "centred_window": lambda p: replace(p, factors=_centred),
    "label_shifted_by_one": lambda p: replace(p, labels=_shifted_labels),
    "theta_from_test": lambda p: replace(p, theta=_test_theta),
    "selection_all_days": lambda p: replace(p, selection=lambda d, m: _train_selection(d, _all_rows(m))),
}


def plant(name: str) -> Pipeline:
    """The honest pipeline with one leak built into it; a KeyError for an unknown name.

    >>> plant("theta_from_test").theta is honest_pipeline().theta
    False
    """
    return PLANTS[name](honest_pipeline())
