"""The leak audit: does information of the test rows reach anything that was fitted, or the future any factor?

The auditor is given a pipeline as callables and looks at what they do, not at what they say:

* factors on a day cut off at a row must equal the factors of the whole day up to it;
* labels must equal the plain definition, written here a second time;
* training and test rows must be disjoint in time, labels included;
* every test row is disfigured (prices, sizes): threshold, scaler, selection and model must stay byte-identical.

Each leak has a name and the evidence for it. Whatever cannot be shown is not accused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.splits import Fold, RowMasks, check_disjoint, row_masks
from ghtrader.research.models.logistic import Logistic
from ghtrader.research.training import stride_of, training_matrix

__all__ = ["PLANTS", "AuditDay", "AuditReport", "Leak", "Pipeline", "audit", "honest_pipeline", "plant"]

F64 = npt.NDArray[np.float64]
AUDIT_HORIZON = Horizon("ticks", 50)
SELECTED = 8
CUTS = (0.2, 0.5, 0.8)
LABEL_SAMPLES = 500
DISFIGURE = 7


@dataclass(frozen=True)
class AuditDay:
    """One day's input."""

    ticks: DayTicks
    sessions: DaySessions


Rows = Callable[[Sequence[DayDataset], RowMasks], F64]


@dataclass(frozen=True)
class Pipeline:
    """What is audited: each step as a function of what it is given. Datasets are all days, masks say which rows train."""

    factors: Callable[[DayTicks, DaySessions], F64]
    labels: Callable[[DayTicks], tuple[F64, npt.NDArray[np.uint8]]]
    split: Callable[[Sequence[DayDataset], Fold], RowMasks]
    theta: Callable[[Sequence[DayDataset], RowMasks], float]
    scaler: Rows
    selection: Rows
    model: Callable[[Sequence[DayDataset], RowMasks, float, F64, F64], bytes]


class Leak(msgspec.Struct, frozen=True):
    """A leak by name, with the evidence."""

    name: str
    evidence: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome; ``clean`` when nothing is accused. ``checks`` names what was looked at."""

    clean: bool
    leaks: list[Leak]
    checks: list[str]


# --- the honest pipeline ---------------------------------------------------------------------------------------------


def _column(dataset: DayDataset) -> int:
    return dataset.column(AUDIT_HORIZON)


def _train_theta(datasets: Sequence[DayDataset], masks: RowMasks) -> float:
    return theta_from_train(training_matrix(datasets, masks, AUDIT_HORIZON)[1])


def _train_scaler(datasets: Sequence[DayDataset], masks: RowMasks) -> F64:
    factors, _ = training_matrix(datasets, masks, AUDIT_HORIZON)
    return np.stack([factors.mean(axis=0), factors.std(axis=0)])


def _correlations(factors: F64, y: F64) -> F64:
    centred = factors - factors.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0) * ((y - y.mean()) ** 2).sum())
    return np.asarray(np.abs(centred.T @ (y - y.mean())) / np.where(scale > 0, scale, 1.0), dtype=np.float64)


def _train_selection(datasets: Sequence[DayDataset], masks: RowMasks) -> F64:
    return _correlations(*training_matrix(datasets, masks, AUDIT_HORIZON))


def _fit_model(datasets: Sequence[DayDataset], masks: RowMasks, theta: float, scaler: F64, selection: F64) -> bytes:
    factors, y = training_matrix(datasets, masks, AUDIT_HORIZON)
    columns = np.argsort(-selection, kind="stable")[:SELECTED]
    scaled = ((factors - scaler[0]) / np.where(scaler[1] > 0, scaler[1], 1.0))[:, columns]
    names = tuple(datasets[0].factor_names[column] for column in columns)
    return Logistic().fit(scaled, classes(y, theta), factor_names=names, seed=7, threads=1).to_bytes()


def honest_pipeline() -> Pipeline:
    """The project's own steps: causal factors, labels, walk-forward rows, everything fitted on training rows."""
    chosen = factor_set("minimal16")
    return Pipeline(
        factors=lambda ticks, sessions: compute(ticks, sessions, chosen),
        labels=lambda ticks: direction_labels(ticks, (AUDIT_HORIZON,)),
        split=lambda datasets, fold: row_masks(fold, datasets, AUDIT_HORIZON, stride=stride_of(AUDIT_HORIZON)),
        theta=_train_theta,
        scaler=_train_scaler,
        selection=_train_selection,
        model=_fit_model,
    )


# --- leaks to plant --------------------------------------------------------------------------------------------------


def _random_split(datasets: Sequence[DayDataset], fold: Fold) -> RowMasks:
    generator = np.random.default_rng(7)
    train, test = {}, {}
    for dataset in datasets:
        usable = dataset.eligible & (dataset.void[:, _column(dataset)] == 0)
        chosen = generator.random(len(dataset)) < 0.7
        train[dataset.trading_day.iso], test[dataset.trading_day.iso] = usable & chosen, usable & ~chosen
    del fold
    return RowMasks(train, test)


def _all_rows(masks: RowMasks) -> RowMasks:
    return RowMasks({**masks.train, **{day: masks.test[day] for day in masks.test}}, {})


def _centred(ticks: DayTicks, sessions: DaySessions) -> F64:
    factors = compute(ticks, sessions, factor_set("minimal16"))
    window = np.ones(11) / 11.0
    column = np.nan_to_num(factors[:, 1])
    factors[:, 1] = np.where(np.isnan(factors[:, 1]), np.nan, np.convolve(column, window, mode="same"))
    return factors


def _shifted_labels(ticks: DayTicks) -> tuple[F64, npt.NDArray[np.uint8]]:
    y, void = direction_labels(ticks, (AUDIT_HORIZON,))
    return np.roll(y, 1, axis=0), np.roll(void, 1, axis=0)


def _test_theta(datasets: Sequence[DayDataset], masks: RowMasks) -> float:
    return theta_from_train(
        np.concatenate([d.y[masks.test[d.trading_day.iso], 0] for d in datasets if d.trading_day.iso in masks.test])
    )


PLANTS: dict[str, Callable[[Pipeline], Pipeline]] = {
    "random_split": lambda p: replace(p, split=_random_split),
    "scaler_all_data": lambda p: replace(p, scaler=lambda d, m: _train_scaler(d, _all_rows(m))),
    "centred_window": lambda p: replace(p, factors=_centred),
    "label_shifted_by_one": lambda p: replace(p, labels=_shifted_labels),
    "theta_from_test": lambda p: replace(p, theta=_test_theta),
    "selection_all_days": lambda p: replace(p, selection=lambda d, m: _train_selection(d, _all_rows(m))),
}


def plant(name: str) -> Pipeline:
    """The honest pipeline with one leak built in."""
    return PLANTS[name](honest_pipeline())


# --- the auditor -----------------------------------------------------------------------------------------------------


def _dataset(pipeline: Pipeline, day: AuditDay) -> DayDataset:
    base = build_day(day.ticks, day.sessions, factor_set("minimal16"), (AUDIT_HORIZON,))
    factors = pipeline.factors(day.ticks, day.sessions)
    y, void = pipeline.labels(day.ticks)
    return replace(base, factors=factors, y=y, void=void, eligible=base.eligible & np.isfinite(factors).all(axis=1))


def _disfigured(day: AuditDay) -> AuditDay:
    """The same stamps with prices stretched around the first one and sizes changed: nothing of the day is as it was."""
    ticks = day.ticks
    first = int(ticks.bid_px[ticks.bid_px[:, 0] != NO_PRICE][0, 0])

    def stretched(prices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.where(prices == NO_PRICE, NO_PRICE, first + DISFIGURE * (prices - first))

    changed = replace(
        ticks,
        bid_px=stretched(ticks.bid_px),
        ask_px=stretched(ticks.ask_px),
        last_px=stretched(ticks.last_px),
        bid_sz=ticks.bid_sz * 3 + 1,
        ask_sz=ticks.ask_sz * 2 + 5,
        flags=np.zeros_like(ticks.flags),
    )
    return AuditDay(changed, day.sessions)


def _check_factors(pipeline: Pipeline, day: AuditDay) -> str:
    whole = pipeline.factors(day.ticks, day.sessions)
    for share in CUTS:
        cut = int(len(day.ticks) * share)
        part = pipeline.factors(day.ticks.rows(slice(0, cut)), day.sessions)
        differs = ~((part == whole[:cut]) | (np.isnan(part) & np.isnan(whole[:cut])))
        if differs.any():
            row, column = (int(index[0]) for index in np.nonzero(differs))
            return f"factor {column} of row {row} changes when the rows from {cut} on are cut off"
    return ""


def _check_labels(pipeline: Pipeline, day: AuditDay) -> str:
    y, void = pipeline.labels(day.ticks)
    mid, runs = day.ticks.mid_ticks, np.cumsum(day.ticks.break_before)
    labelled = np.flatnonzero(void[:, 0] == 0)
    for row in labelled[:: max(1, len(labelled) // LABEL_SAMPLES)]:
        end = row + AUDIT_HORIZON.length
        if end >= len(mid) or runs[end] != runs[row] or y[row, 0] != mid[end] - mid[row]:
            return (
                f"the label of row {row} is {y[row, 0]}, which is not the mid {AUDIT_HORIZON.length} snapshots on minus the mid"
            )
    return ""


def _artefacts(pipeline: Pipeline, datasets: Sequence[DayDataset], fold: Fold) -> dict[str, bytes]:
    masks = pipeline.split(datasets, fold)
    theta = pipeline.theta(datasets, masks)
    scaler, selection = pipeline.scaler(datasets, masks), pipeline.selection(datasets, masks)
    return {
        "theta_from_test": repr(theta).encode(),
        "scaler_all_data": scaler.tobytes(),
        "selection_all_days": selection.tobytes(),
        "model_saw_test": pipeline.model(datasets, masks, theta, scaler, selection),
    }


def audit(pipeline: Pipeline, days: Sequence[AuditDay]) -> AuditReport:
    """Audit a pipeline on at least three days: the last is the test day."""
    leaks: list[Leak] = []
    checks = ["factors on cut days", "labels against the definition", "rows disjoint in time", "fits with disfigured test rows"]
    evidence = _check_factors(pipeline, days[0])
    if evidence:
        leaks.append(Leak("centred_window", evidence))
    evidence = _check_labels(pipeline, days[0])
    if evidence:
        leaks.append(Leak("label_shifted_by_one", evidence))
    names = [day.ticks.trading_day.iso for day in days]
    fold = Fold(number=1, train_days=tuple(names[:-1]), test_days=(names[-1],))
    datasets = [_dataset(pipeline, day) for day in days]
    evidence = check_disjoint(pipeline.split(datasets, fold), datasets, AUDIT_HORIZON)
    if evidence:
        leaks.append(Leak("random_split", evidence))
        return AuditReport(clean=False, leaks=leaks, checks=checks[:3])
    before = _artefacts(pipeline, datasets, fold)
    after = _artefacts(pipeline, [*datasets[:-1], _dataset(pipeline, _disfigured(days[-1]))], fold)
    moved = [name for name in before if before[name] != after[name]]
    # a model fitted with a leaking threshold, scaler or selection moves with it: the cause is named, not the effect
    causes = [name for name in moved if name != "model_saw_test"] or moved
    leaks += [Leak(name, "it changes when only test rows are disfigured") for name in causes]
    return AuditReport(clean=not leaks, leaks=leaks, checks=checks)
