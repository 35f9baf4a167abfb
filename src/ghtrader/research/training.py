"""Fit a family on a fold: theta, rows and model from the training days alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.datasets.provenance import require_trainable
from ghtrader.datasets.splits import Fold, RowMasks, row_masks
from ghtrader.ports.predictor import Predictor
from ghtrader.research.models.base import ModelFamily

__all__ = ["FittedFold", "fit_fold", "score_of", "stride_of", "training_matrix"]

F64 = npt.NDArray[np.float64]
MIN_TRAINING_ROWS = 500


@dataclass(frozen=True)
class FittedFold:
    """A fitted predictor with what was fixed on its training rows; ``masks``: those rows, and the ones it is tested on.

    parameters: of fitted factors, from the fold's training days; None where no factor has a fitted part, or they are neutral.
    """

    fold: Fold
    horizon: Horizon
    family: str
    theta: float
    predictor: Predictor
    rows: int
    trade_threshold: float
    masks: RowMasks
    parameters: FittedParameters | None = None

    @property
    def theta_from(self) -> str:
        """Where theta came from, in words."""
        days = sorted(self.masks.train)
        return f"max(1 tick, 0.5 sd) of {self.rows} training labels, {days[0]} to {days[-1]}"


def stride_of(horizon: Horizon) -> int:
    """Training stride: labels over H snapshots overlap, so every H/10-th row carries nearly all there is."""
    length = horizon.length if horizon.unit == "ticks" else 2 * horizon.length
    return max(1, length // 10)


def score_of(probabilities: F64) -> F64:
    """The signed score: P(up) - P(down)."""
    return probabilities[:, 2] - probabilities[:, 0]


def training_matrix(datasets: Sequence[DayDataset], masks: RowMasks, horizon: Horizon) -> tuple[F64, F64]:
    """Factors and continuous labels of the training rows, days in order."""
    chosen = [dataset for dataset in datasets if dataset.trading_day.iso in masks.train]
    factors = np.concatenate([d.factors[masks.train[d.trading_day.iso]] for d in chosen])
    y = np.concatenate([d.y[masks.train[d.trading_day.iso], d.column(horizon)] for d in chosen])
    return factors, y


def fit_fold(
    datasets: Sequence[DayDataset],
    fold: Fold,
    horizon: Horizon,
    family: ModelFamily,
    *,
    seed: int,
    threads: int,
    trade_quantile: float,
    parameters: FittedParameters | None = None,
) -> FittedFold:
    """Fit one family on one fold. Raises DataError when too few rows are left to train on, ProvenanceError when days of a series
    do not say where they belong.

    trade_quantile: the policy's score threshold is this quantile of |score| over the training rows. parameters: what the fitted
    factors of ``datasets`` were computed with (`datasets.refit`).
    """
    used = {*fold.train_days, *fold.test_days}
    require_trainable([dataset for dataset in datasets if dataset.trading_day.iso in used], strict=True)
    masks = row_masks(fold, datasets, horizon, stride=stride_of(horizon))
    factors, y = training_matrix(datasets, masks, horizon)
    if len(y) < MIN_TRAINING_ROWS:
        raise DataError(
            f"{len(y)} training rows before {fold.test_days[0]}: at least {MIN_TRAINING_ROWS} are needed",
            hint="import more days, or whole ones",
            days=list(fold.train_days),
        )
    theta = theta_from_train(y)
    names = next(d.factor_names for d in datasets)
    predictor = family.fit(factors, classes(y, theta), factor_names=names, seed=seed, threads=threads)
    threshold = float(np.quantile(np.abs(score_of(predictor.predict_proba(factors))), trade_quantile))
    return FittedFold(fold, horizon, family.name, theta, predictor, len(y), threshold, masks, parameters)
