"""The description of a training job: its rows, what each fold trained and tested on, and from which rows each thing was fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.splits import Fold, RowMasks

__all__ = ["FIT_KINDS", "Fit", "FitKind", "JobDay", "JobFold", "Scheme", "TrainingJob", "describe_job", "job_day"]

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Rows = dict[str, Bools]
Scheme = Literal["walk_forward", "combinatorial"]
FitKind = Literal[
    "theta",
    "scaler",
    "winsor_limits",
    "class_weights",
    "feature_selection",
    "target_encoding",
    "calibrator",
    "early_stopping",
    "factor_parameters",
    "trade_threshold",
    "model",
]
#: Everything that is fitted; True where the fit reads labels.
FIT_KINDS: dict[FitKind, bool] = {
    "theta": True,
    "scaler": False,
    "winsor_limits": False,
    "class_weights": True,
    "feature_selection": True,
    "target_encoding": True,
    "calibrator": True,
    "early_stopping": True,
    "factor_parameters": False,
    "trade_threshold": False,
    "model": True,
}


@dataclass(frozen=True)
class JobDay:
    """One day's rows; every array has one element a row.

    ts_ns: UTC ns. part: session part, below 0 outside. run: number of the unbroken run (grows at every break, gap and roll).
    segment: of the main contract. mid: ticks. y, void: of the label that is trained on. row_id: equal for rows that are the same
    observation, wherever they stand.
    """

    ts_ns: I64
    part: npt.NDArray[np.int8]
    run: I64
    segment: I64
    mid: F64
    y: F64
    void: npt.NDArray[np.uint8]
    row_id: I64

    def __len__(self) -> int:
        return len(self.ts_ns)


@dataclass(frozen=True)
class Fit:
    """Something that was fitted, and the rows it was fitted on, by ISO day."""

    kind: FitKind
    rows: Rows

    @classmethod
    def of_range(cls, kind: FitKind, days: dict[str, JobDay], first_ns: int, last_ns: int) -> Fit:
        """A fit on every row between two stamps, both included."""
        return cls(kind, {name: (day.ts_ns >= first_ns) & (day.ts_ns <= last_ns) for name, day in days.items()})


@dataclass(frozen=True)
class JobFold:
    """Rows that a fold trained on and tested on, by ISO day, and what was fitted for it."""

    number: int
    train: Rows
    test: Rows
    fits: tuple[Fit, ...] = ()


@dataclass(frozen=True)
class TrainingJob:
    """A whole job. days: by ISO day, in the order in which the job takes them.

    horizon: declared horizon of the label. purge: horizon that the purge was made for, None without one. embargo_parts: session
    parts that have to lie between training and test rows. memory_ns: longest lookback of label-informed factors.
    """

    days: dict[str, JobDay]
    folds: tuple[JobFold, ...]
    horizon: Horizon
    scheme: Scheme = "walk_forward"
    purge: Horizon | None = None
    embargo_parts: int = 1
    memory_ns: int = 0
    _ends: dict[str, I64] = field(default_factory=dict, init=False, compare=False, repr=False)
    _until: dict[str, I64] = field(default_factory=dict, init=False, compare=False, repr=False)

    def declared_ends(self, name: str) -> I64:
        """Row at which each label of a day ends by declaration; -1 where the day has no such row."""
        if name not in self._ends:
            self._ends[name] = _horizon_rows(self.days[name].ts_ns, self.horizon)
        return self._ends[name]

    def known_until(self, name: str) -> I64:
        """Stamp up to which each row's label knows the future; the row's own stamp where it has no label."""
        if name not in self._until:
            day, ends = self.days[name], self.declared_ends(name)
            last = day.ts_ns[ends] if self.horizon.unit == "ticks" else day.ts_ns + self.horizon.length * 1_000_000_000
            self._until[name] = np.where((day.void == 0) & (ends >= 0), last, day.ts_ns)
        return self._until[name]


def _horizon_rows(ts_ns: I64, horizon: Horizon) -> I64:
    if horizon.unit == "ticks":
        rows = np.arange(len(ts_ns)) + horizon.length
        return np.where(rows < len(ts_ns), rows, -1)
    return np.searchsorted(ts_ns, ts_ns + horizon.length * 1_000_000_000, side="right") - 1


def job_day(dataset: DayDataset, horizon: Horizon) -> JobDay:
    """A dataset's day as the auditor reads it. Rows of a day with several segments take the number of the first one."""
    column = dataset.column(horizon)
    segment = dataset.segment_ids[0] if dataset.segment_ids else 0
    return JobDay(
        ts_ns=dataset.ts_ns,
        part=dataset.part,
        run=np.cumsum(dataset.break_before),
        segment=np.full(len(dataset), segment, np.int64),
        mid=dataset.mid_ticks,
        y=dataset.y[:, column],
        void=dataset.void[:, column],
        row_id=dataset.ts_ns,
    )


def describe_job(
    datasets: Sequence[DayDataset],
    folds: Sequence[tuple[Fold, RowMasks]],
    horizon: Horizon,
    *,
    fitted: Sequence[FitKind],
    scheme: Scheme = "walk_forward",
    memory_ns: int = 0,
    factor_ranges: Mapping[int, tuple[int, int]] | None = None,
) -> TrainingJob:
    """The description of a job that purges for ``horizon`` and fits everything on its training rows.

    datasets: every day of the job, in order. folds: with the rows that each one used. fitted: what was fitted. memory_ns: of
    label-informed factors. factor_ranges: by fold number, first and last stamp of the rows that parameters of factors were fitted on.
    """
    days = {dataset.trading_day.iso: job_day(dataset, horizon) for dataset in datasets}
    ranges = factor_ranges or {}
    described = []
    for fold, rows in folds:
        fits = [Fit(kind, dict(rows.train)) for kind in fitted]
        if fold.number in ranges:
            fits.append(Fit.of_range("factor_parameters", days, *ranges[fold.number]))
        described.append(JobFold(fold.number, dict(rows.train), dict(rows.test), tuple(fits)))
    return TrainingJob(
        days=days,
        folds=tuple(described),
        horizon=horizon,
        scheme=scheme,
        purge=horizon,
        embargo_parts=min((fold.embargo_parts for fold, _ in folds), default=0),
        memory_ns=memory_ns,
    )
