"""Leaks built into the description of a clean job, each under the name that the auditor has to give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.leaks.job import Fit, FitKind, JobDay, JobFold, Rows, TrainingJob

__all__ = ["JOB_PLANTS", "plant_job"]

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
Plant = Callable[[TrainingJob, np.random.Generator], TrainingJob]
FEW = 20
LATER_ROWS = 3


def _with_last(job: TrainingJob, fold: JobFold) -> TrainingJob:
    return replace(job, folds=(*job.folds[:-1], fold))


def _whole(rows: Rows, others: Rows) -> Rows:
    """Rows of both sets."""
    names = {*rows, *others}
    return {name: rows.get(name, np.zeros_like(others.get(name))) | others.get(name, False) for name in names}


def _fitted_on(kind: FitKind, *, everything: bool) -> Plant:
    """One thing is fitted on the test rows, or on training and test rows."""

    def build(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
        del generator
        fold = job.folds[-1]
        rows = _whole(fold.train, fold.test) if everything else dict(fold.test)
        others = tuple(fit for fit in fold.fits if fit.kind != kind)
        return _with_last(job, replace(fold, fits=(*others, Fit(kind, rows))))

    return build


def _range_of_all(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Parameters of factors were fitted on a range of time that runs to the last day."""
    del generator
    fold, days = job.folds[-1], list(job.days.values())
    fit = Fit.of_range("factor_parameters", job.days, int(days[0].ts_ns[0]), int(days[-1].ts_ns[-1]))
    return _with_last(job, replace(fold, fits=(*fold.fits, fit)))


def _random_rows(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Usable rows of all days of a fold are drawn into training and test."""
    fold = job.folds[-1]
    rows = _whole(fold.train, fold.test)
    drawn = {name: generator.random(len(mask)) < 0.7 for name, mask in rows.items()}
    train = {name: mask & drawn[name] for name, mask in rows.items()}
    test = {name: mask & ~drawn[name] for name, mask in rows.items()}
    fits = tuple(Fit(fit.kind, train) for fit in fold.fits)
    return replace(job, folds=(JobFold(fold.number, train, test, fits),))


def _some(mask: Bools, generator: np.random.Generator) -> Bools:
    chosen = np.zeros_like(mask)
    chosen[generator.choice(np.flatnonzero(mask), FEW, replace=False)] = True
    return chosen


def _both_sets(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    fold = job.folds[-1]
    name = max(fold.test)
    extra = {name: _some(fold.test[name], generator)}
    return _with_last(job, replace(fold, train=_whole(fold.train, extra)))


def _copies(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Test rows stand a second time among the training rows of another day."""
    fold = job.folds[-1]
    name, tested = min(fold.train), max(fold.test)
    ids = job.days[name].row_id.copy()
    ids[_some(fold.train[name], generator)] = job.days[tested].row_id[np.flatnonzero(fold.test[tested])[:FEW]]
    return replace(job, days={**job.days, name: replace(job.days[name], row_id=ids)})


def _shuffled(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Days change places before the folds are cut."""
    names = list(job.days)
    order = generator.permutation(len(names)).tolist()
    if order == sorted(order):
        order.reverse()
    swapped = {names[place]: job.days[names[taken]] for place, taken in enumerate(order)}
    folds = tuple(
        replace(fold, train=_refit(fold.train, swapped), test=_refit(fold.test, swapped), fits=()) for fold in job.folds
    )
    return replace(job, days=swapped, folds=folds)


def _refit(rows: Rows, days: dict[str, JobDay]) -> Rows:
    """Masks for days that took the place of others: every labelled row."""
    return {name: (days[name].void == 0) for name in rows}


def _future_day(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """The day after the test is trained on."""
    del generator
    fold, later = job.folds[-2], job.folds[-1].test
    train = {**fold.train, **{name: mask for name, mask in later.items() if name not in fold.test}}
    return replace(job, folds=(*job.folds[:-2], replace(fold, train=train), job.folds[-1]), embargo_parts=0)


def _overlapping(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    del generator
    last = job.folds[-1]
    return replace(job, folds=(*job.folds, replace(last, number=last.number + 1)))


def _cut_inside_a_part(job: TrainingJob, keep: Callable[[I64, I64, int], Bools], purge: Horizon | None) -> TrainingJob:
    """One fold tests the second half of a session part of its last training day and trains on what ``keep`` leaves before."""
    fold = job.folds[-1]
    name = max(fold.train)
    day = job.days[name]
    usable = (day.void == 0) & (day.part == day.part[fold.train[name]].max())
    rows = np.flatnonzero(usable)
    cut = int(rows[len(rows) // 2])
    before = np.arange(len(day)) < cut
    train = {**fold.train, name: fold.train[name] | (usable & before)}
    train[name] = train[name] & before & keep(day.ts_ns, job.known_until(name), cut)
    test = {name: usable & ~before}
    return replace(job, folds=(JobFold(fold.number, train, test),), embargo_parts=0, purge=purge)


def _no_purge(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    del generator
    return _cut_inside_a_part(job, lambda ts, _, cut: ts < ts[cut], None)


def _short_purge(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """The purge is made for a horizon of one snapshot, the label looks further."""
    del generator
    return _cut_inside_a_part(job, lambda ts, _, cut: ts < ts[cut - 1], Horizon("ticks", 1))


def _embargo(lacking: int) -> Plant:
    """The embargo is declared so many parts longer than it was kept."""

    def build(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
        del generator
        return replace(job, embargo_parts=job.embargo_parts + lacking)

    return build


def _memory(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """A day that follows the test is trained on, with a label-informed factor that looks back two days."""
    del generator
    fold, last = job.folds[-2], job.folds[-1]
    train = {**fold.train, **{name: mask for name, mask in last.test.items() if name not in fold.test}}
    folds = (replace(fold, train=train, fits=()),)
    return replace(job, folds=folds, scheme="combinatorial", embargo_parts=0, memory_ns=2 * 86_400 * 10**9)


def _label_into(job: TrainingJob, change: str) -> TrainingJob:
    """A roll or a gap that the labels do not know of lies in the middle of a training part."""
    fold = job.folds[-1]
    name = min(fold.train)
    day = job.days[name]
    rows = np.flatnonzero(fold.train[name])
    row = int(rows[len(rows) // 2]) + 1
    later = np.arange(len(day)) >= row
    run = day.run + later
    segment = day.segment + later if change == "roll" else day.segment
    days = {**job.days, name: replace(day, run=run, segment=segment)}
    return replace(job, days=days)


def _long_memory(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """The contract changes between two training days, and a factor remembers the old one."""
    del generator
    names = sorted(job.folds[-1].train)
    days = {name: replace(day, segment=day.segment + (name >= names[1])) for name, day in job.days.items()}
    return replace(job, days=days, memory_ns=3600 * 10**9)


def _longer_label(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Labels look a few snapshots further than was declared."""
    del generator
    days = {}
    for name, day in job.days.items():
        ends = job.declared_ends(name)
        later = np.minimum(ends + LATER_ROWS, len(day) - 1)
        days[name] = replace(day, y=np.where(day.void == 0, day.mid[later] - day.mid, np.nan))
    return replace(job, days=days)


def _other_label(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """Labels of other rows: shuffled within the day."""
    days = {}
    for name, day in job.days.items():
        y, rows = day.y.copy(), np.flatnonzero(day.void == 0)
        y[rows] = y[generator.permutation(rows)] + 0.25
        days[name] = replace(day, y=y)
    return replace(job, days=days)


def _void_rows(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    fold = job.folds[-1]
    name = min(fold.train)
    void = job.days[name].void.copy()
    void[_some(fold.train[name], generator)] = 6
    return replace(job, days={**job.days, name: replace(job.days[name], void=void)})


def _reaching_fit(job: TrainingJob, generator: np.random.Generator) -> TrainingJob:
    """The calibrator takes the embargoed rows up to the first test row, labels and all."""
    job = _cut_inside_a_part(job, lambda ts, until, cut: until < ts[cut], job.horizon)
    fold = job.folds[-1]
    name = max(fold.train)
    day = job.days[name]
    del generator
    rows = {name: (day.void == 0) & ~fold.train[name] & (day.ts_ns < int(day.ts_ns[fold.test[name]][0]))}
    return _with_last(job, replace(fold, fits=(Fit("calibrator", rows),)))


#: Name that the auditor has to give -> how the leak is built into a clean walk-forward job of at least two folds.
JOB_PLANTS: dict[str, Plant] = {
    "theta_from_all_days": _fitted_on("theta", everything=True),
    "theta_from_test": _fitted_on("theta", everything=False),
    "scaler_on_all_data": _fitted_on("scaler", everything=True),
    "winsor_limits_from_test": _fitted_on("winsor_limits", everything=False),
    "class_weights_from_test": _fitted_on("class_weights", everything=False),
    "feature_selection_on_test": _fitted_on("feature_selection", everything=False),
    "target_encoding_on_all_rows": _fitted_on("target_encoding", everything=True),
    "calibrator_on_test": _fitted_on("calibrator", everything=False),
    "early_stopping_on_test": _fitted_on("early_stopping", everything=False),
    "trade_threshold_from_test": _fitted_on("trade_threshold", everything=False),
    "model_fitted_on_test": _fitted_on("model", everything=True),
    "fitted_factors_on_test": _range_of_all,
    "fit_reaches_test": _reaching_fit,
    "random_row_split": _random_rows,
    "row_in_both_sets": _both_sets,
    "duplicated_rows": _copies,
    "shuffled_days": _shuffled,
    "future_day_in_train": _future_day,
    "overlapping_test_folds": _overlapping,
    "purge_missing": _no_purge,
    "purge_too_short": _short_purge,
    "embargo_off_by_one": _embargo(1),
    "embargo_missing": _embargo(2),
    "memory_reaches_test": _memory,
    "roll_crossed": lambda job, _: _label_into(job, "roll"),
    "gap_crossed": lambda job, _: _label_into(job, "gap"),
    "label_horizon_longer_than_declared": _longer_label,
    "label_not_as_declared": _other_label,
    "void_label_trained": _void_rows,
}


def plant_job(name: str, job: TrainingJob, *, seed: int = 0) -> TrainingJob:
    """A clean walk-forward job with one leak built in; a KeyError for an unknown name."""
    return JOB_PLANTS[name](job, np.random.default_rng(seed))
