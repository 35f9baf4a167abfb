"""The leak audit: does information of the test rows reach anything that was fitted, or the future any factor?

The auditor is given a pipeline as callables and looks at what they do, not at what they say:

* factors on a day cut off at a row must equal the factors of the whole day up to it;
* labels must equal the plain definition, written here a second time;
* training and test rows must be disjoint in time, labels included;
* every test row is disfigured (prices, sizes, trades): rows, threshold, scaler, selection, models must stay as they were, byte
  for byte. Each step is repeated with what the other steps gave before, so that the cause is named, not its effects.

Each leak has a name and the evidence for it. Whatever cannot be shown is not accused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.splits import Fold, RowMasks, check_disjoint
from ghtrader.inference.scaler import Scaler

__all__ = ["AUDIT_HORIZON", "AUDIT_SET", "AuditDay", "AuditReport", "Leak", "Pipeline", "audit"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
AUDIT_HORIZON = Horizon("ticks", 50)
AUDIT_SET = "minimal16"
MIN_DAYS = 3
CUTS = (0.11, 0.32, 0.5, 0.83)
LABEL_SAMPLES = 1000
DISFIGURE = 7
WILD = 1000.0
CHECKS = (
    "factors on days cut off",
    "labels against the definition",
    "training and test rows disjoint in time",
    "fits with every test row disfigured",
)


@dataclass(frozen=True)
class AuditDay:
    """One day's input."""

    ticks: DayTicks
    sessions: DaySessions


@dataclass(frozen=True)
class Pipeline:
    """What is audited: each step as a function of what it is given.

    Every fitting step is handed the datasets of all days, test days too, and the masks that say which rows train: what it
    reads is up to it. factors, labels: of one day. fits: whole fits of a fold by name, as bytes of all that they fix.
    """

    factors: Callable[[DayTicks, DaySessions], F64]
    labels: Callable[[DayTicks], tuple[F64, npt.NDArray[np.uint8]]]
    split: Callable[[Sequence[DayDataset], Fold], RowMasks]
    theta: Callable[[Sequence[DayDataset], RowMasks], float]
    scaler: Callable[[Sequence[DayDataset], RowMasks], Scaler]
    selection: Callable[[Sequence[DayDataset], RowMasks], tuple[int, ...]]
    model: Callable[[Sequence[DayDataset], RowMasks, float, Scaler, tuple[int, ...]], bytes]
    fits: Mapping[str, Callable[[Sequence[DayDataset], Fold], bytes]] = field(default_factory=dict)


class Leak(msgspec.Struct, frozen=True):
    """A leak by name, with the evidence."""

    name: str
    evidence: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome; ``clean`` when nothing is accused. ``checks`` names what was looked at, ``fits`` the whole fits among it."""

    clean: bool
    leaks: list[Leak]
    checks: list[str]
    fits: list[str]
    days: int
    rows: int


def audit(pipeline: Pipeline, days: Sequence[AuditDay]) -> AuditReport:
    """Audit a pipeline on at least three days in order; the last one is the test day."""
    if len(days) < MIN_DAYS:
        raise UsageError(f"{len(days)} days: the audit needs {MIN_DAYS}", hint="ghtrader audit --days 4")
    names = [day.ticks.trading_day.iso for day in days]
    fold = Fold(number=1, train_days=tuple(names[:-1]), test_days=(names[-1],))
    datasets = [_dataset(pipeline, day) for day in days]
    masks = pipeline.split(datasets, fold)
    overlap = check_disjoint(masks, datasets, AUDIT_HORIZON)
    leaks = [
        *_first("centred_window", (_moved_factor(pipeline, day) for day in days[:2])),
        *_first("label_shifted_by_one", (_wrong_label(pipeline, day) for day in days)),
        *_first("random_split", [overlap]),
    ]
    if overlap:
        # the test rows stand among the training rows: only their own factors and labels are disfigured, not the ticks
        changed = [_wild_rows(dataset, masks) for dataset in datasets]
    else:
        changed = [*datasets[:-1], _dataset(pipeline, _disfigured(days[-1]))]
    leaks += _moved_fits(pipeline, datasets, changed, fold, masks, judge_split=not overlap)
    return AuditReport(
        clean=not leaks,
        leaks=leaks,
        checks=list(CHECKS),
        fits=[] if overlap else list(pipeline.fits),
        days=len(days),
        rows=sum(len(dataset) for dataset in datasets),
    )


def _first(name: str, found: Iterable[str]) -> list[Leak]:
    evidence = next((text for text in found if text), "")
    return [Leak(name, evidence)] if evidence else []


def _dataset(pipeline: Pipeline, day: AuditDay) -> DayDataset:
    base = build_day(day.ticks, day.sessions, factor_set(AUDIT_SET), (AUDIT_HORIZON,))
    factors = pipeline.factors(day.ticks, day.sessions)
    y, void = pipeline.labels(day.ticks)
    return replace(base, factors=factors, y=y, void=void, eligible=base.eligible & np.isfinite(factors).all(axis=1))


def _moved_factor(pipeline: Pipeline, day: AuditDay) -> str:
    """The first factor that changes when the future is cut off, in words."""
    whole = pipeline.factors(day.ticks, day.sessions)
    for share in CUTS:
        cut = int(len(day.ticks) * share)
        part = pipeline.factors(day.ticks.rows(slice(0, cut)), day.sessions)
        differs = ~((part == whole[:cut]) | (np.isnan(part) & np.isnan(whole[:cut])))
        if differs.any():
            row, column = (int(index[0]) for index in np.nonzero(differs))
            name = factor_set(AUDIT_SET).ids[column]
            return f"{name} of row {row} of {day.ticks.trading_day} changes when the rows from {cut} on are cut off"
    return ""


def _plain_label(mid: list[float], runs: list[int], row: int) -> float:
    end = row + AUDIT_HORIZON.length
    return mid[end] - mid[row] if row >= 0 and end < len(mid) and runs[end] == runs[row] else float("nan")


def _wrong_label(pipeline: Pipeline, day: AuditDay) -> str:
    """The first label that is not the mid at the horizon's end minus the mid at the row, in words."""
    y, void = pipeline.labels(day.ticks)
    mid, runs = day.ticks.mid_ticks.tolist(), np.cumsum(day.ticks.break_before).tolist()
    labelled = np.flatnonzero(void[:, 0] == 0)
    sample = labelled[:: max(1, len(labelled) // LABEL_SAMPLES)].tolist()
    wrong = [row for row in sample if y[row, 0] != _plain_label(mid, runs, row)]
    if not wrong:
        return ""
    row = wrong[0]
    text = f"the label of row {row} of {day.ticks.trading_day} is {y[row, 0]:g}; by definition {_plain_label(mid, runs, row):g}"
    for shift in (-1, 1):
        if all(y[other, 0] == _plain_label(mid, runs, other + shift) for other in wrong):
            return f"{text}; every sampled label is that of the row {'before' if shift < 0 else 'after'}"
    return text


def _disfigured(day: AuditDay) -> AuditDay:
    """The same stamps with prices stretched around the first one, sizes and trades changed: nothing of the day is as it was."""
    ticks = day.ticks
    first = int(ticks.bid_px[ticks.bid_px[:, 0] != NO_PRICE][0, 0])

    def stretched(prices: I64) -> I64:
        return np.where(prices == NO_PRICE, NO_PRICE, first + DISFIGURE * (prices - first))

    unit = ticks.price_tick * ticks.multiplier
    changed = replace(
        ticks,
        bid_px=stretched(ticks.bid_px),
        ask_px=stretched(ticks.ask_px),
        last_px=stretched(ticks.last_px),
        bid_sz=ticks.bid_sz * 3 + 1,
        ask_sz=ticks.ask_sz[:, ::-1] * 2 + 5,
        volume=ticks.volume * 2.0,
        amount=2.0 * (DISFIGURE * ticks.amount + (1 - DISFIGURE) * first * unit * ticks.volume),
        open_interest=-ticks.open_interest,
        flags=np.zeros_like(ticks.flags),
    )
    return AuditDay(changed, day.sessions)


def _wild_rows(dataset: DayDataset, masks: RowMasks) -> DayDataset:
    """The dataset with wild factors and labels in its test rows, every other row as it was."""
    rows = masks.test.get(dataset.trading_day.iso)
    if rows is None:
        return dataset
    wild = np.random.default_rng(0).normal(0.0, WILD, (len(dataset), dataset.factors.shape[1] + 1))
    factors = np.where(rows[:, None], wild[:, :-1], dataset.factors)
    return replace(dataset, factors=factors, y=np.where(rows[:, None], wild[:, -1:], dataset.y))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _rows_id(masks: RowMasks) -> str:
    return _short(b"".join(masks.train[day].tobytes() for day in sorted(masks.train)))


def _moved_fits(
    pipeline: Pipeline,
    before: Sequence[DayDataset],
    after: Sequence[DayDataset],
    fold: Fold,
    masks: RowMasks,
    *,
    judge_split: bool,
) -> list[Leak]:
    """Leaks of the fitting steps, each repeated on disfigured test rows with what the other steps gave before."""
    theta, scaler = pipeline.theta(before, masks), pipeline.scaler(before, masks)
    selection = pipeline.selection(before, masks)
    models = [pipeline.model(data, masks, theta, scaler, selection) for data in (before, after)]
    pairs = {
        "theta_from_test": (f"{theta:.4f}", f"{pipeline.theta(after, masks):.4f}"),
        "scaler_all_data": (_short(scaler.to_bytes()), _short(pipeline.scaler(after, masks).to_bytes())),
        "selection_all_days": (repr(selection), repr(pipeline.selection(after, masks))),
        "model_saw_test": (_short(models[0]), _short(models[1])),
    }
    if judge_split:
        pairs["rows_chosen_by_test"] = (_rows_id(masks), _rows_id(pipeline.split(after, fold)))
        for name, fit in pipeline.fits.items():
            pairs[f"fit_saw_test: {name}"] = (_short(fit(before, fold)), _short(fit(after, fold)))
    test = ", ".join(fold.test_days) if judge_split else "the split"
    return [
        Leak(name, f"{first} becomes {second} when only the test rows of {test} are disfigured")
        for name, (first, second) in pairs.items()
        if first != second
    ]
