"""What a leak looks like in a job's rows. Each check names one kind of leak and gives the evidence; what it explains is left to it.

A check returns (name, evidence) pairs. Rows that one check has accused are taken out before the next ones look, so that a leak is
named once, by its cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ghtrader.datasets.leaks.job import FIT_KINDS, Fit, FitKind, JobFold, Rows, TrainingJob

__all__ = ["Accusation", "fit_accusations", "job_accusations", "label_accusations", "row_accusations", "time_accusations"]

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
#: A part in which training and test rows change places more often than this was split at random.
MOST_CHANGES = 2
#: How many rows beyond the declared end a longer horizon is looked for, in declared lengths.
LONGER = 4
SAMPLED = 2000

_FIT_NAMES: dict[FitKind, str] = {
    "theta": "theta_from_test",
    "scaler": "scaler_on_all_data",
    "winsor_limits": "winsor_limits_from_test",
    "class_weights": "class_weights_from_test",
    "feature_selection": "feature_selection_on_test",
    "target_encoding": "target_encoding_on_all_rows",
    "calibrator": "calibrator_on_test",
    "early_stopping": "early_stopping_on_test",
    "factor_parameters": "fitted_factors_on_test",
    "trade_threshold": "trade_threshold_from_test",
    "model": "model_fitted_on_test",
}


class Accusation(NamedTuple):
    """A leak by name, the evidence, and the fold (0: the job as a whole)."""

    name: str
    evidence: str
    fold: int = 0


def _count(rows: Rows) -> int:
    return sum(int(np.count_nonzero(mask)) for mask in rows.values())


def _minus(rows: Rows, taken: Rows) -> Rows:
    return {name: mask & ~taken[name] if name in taken else mask for name, mask in rows.items()}


def _both(rows: Rows, others: Rows) -> Rows:
    return {name: mask & others[name] for name, mask in rows.items() if name in others and (mask & others[name]).any()}


def _first(rows: Rows) -> str:
    name = min(name for name, mask in rows.items() if mask.any())
    return f"row {int(np.flatnonzero(rows[name])[0])} of {name}"


def job_accusations(job: TrainingJob) -> Iterator[Accusation]:
    """What is wrong with the order of days and with folds beside each other."""
    names = [name for name in job.days if len(job.days[name])]
    starts = [int(job.days[name].ts_ns[0]) for name in names]
    for before, after, first, second in zip(names, names[1:], starts, starts[1:], strict=False):
        if second <= first:
            yield Accusation("shuffled_days", f"{after} is taken after {before}, but begins before it")
            break
    if job.scheme != "walk_forward":
        return
    tested: Rows = {}
    for fold in job.folds:
        twice = _both(fold.test, tested)
        if twice:
            yield Accusation("overlapping_test_folds", f"{_first(twice)} was tested by an earlier fold", fold.number)
        for name, mask in fold.test.items():
            tested[name] = mask | tested.get(name, np.zeros_like(mask))


def row_accusations(job: TrainingJob, fold: JobFold) -> tuple[list[Accusation], Rows, bool]:
    """Rows that stand on both sides. Returns the accusations, the training rows that are left, and whether time still tells."""
    found: list[Accusation] = []
    both = _both(fold.train, fold.test)
    if both:
        found.append(Accusation("row_in_both_sets", f"{_count(both)} rows, the first {_first(both)}", fold.number))
    train = _minus(fold.train, both)
    tested = [job.days[name].row_id[mask] for name, mask in fold.test.items()]
    ids = np.sort(np.concatenate(tested)) if tested else np.empty(0, np.int64)
    copies = {name: _known_ids(job.days[name].row_id, mask, ids) for name, mask in train.items()}
    if _count(copies):
        words = f"{_count(copies)} training rows are copies of test rows, the first {_first(copies)}"
        found.append(Accusation("duplicated_rows", words, fold.number))
        train = _minus(train, copies)
    mixed = _mixed_part(job, train, fold.test)
    if mixed:
        found.append(Accusation("random_row_split", mixed, fold.number))
    return found, train, not mixed


def _known_ids(row_id: I64, mask: Bools, ids: I64) -> Bools:
    """Rows of the mask whose id is among the sorted ``ids``."""
    found, rows = np.zeros_like(mask), np.flatnonzero(mask)
    if len(ids):
        near = np.minimum(np.searchsorted(ids, row_id[rows]), len(ids) - 1)
        found[rows] = ids[near] == row_id[rows]
    return found


def _mixed_part(job: TrainingJob, train: Rows, test: Rows) -> str:
    for name in sorted(train.keys() & test.keys()):
        side = np.where(test[name], 1, np.where(train[name], -1, 0))
        for part in np.unique(job.days[name].part):
            used = side[(side != 0) & (job.days[name].part == part)]
            changes = int(np.count_nonzero(np.diff(used)))
            if changes > MOST_CHANGES:
                return f"training and test rows change places {changes} times in part {part} of {name}"
    return ""


def label_accusations(job: TrainingJob, fold: JobFold, train: Rows) -> Iterator[Accusation]:
    """Labels that are not what was declared, or that cross what no label may cross."""
    void = {name: mask & (job.days[name].void != 0) for name, mask in train.items()}
    if _count(void):
        yield Accusation("void_label_trained", f"{_count(void)} rows, the first {_first(void)}", fold.number)
    train = _minus(train, void)
    crossing: dict[str, Rows] = {"roll_crossed": {}, "gap_crossed": {}}
    for name, mask in train.items():
        day, ends = job.days[name], job.declared_ends(name)
        there = mask & (ends >= 0)
        roll = there & (day.segment[ends] != day.segment)
        crossing["roll_crossed"][name] = roll
        crossing["gap_crossed"][name] = (there & (day.run[ends] != day.run) & ~roll) | (mask & (ends < 0))
    for leak, rows in crossing.items():
        if _count(rows):
            words = f"the label of {_first(rows)} ends beyond a {leak.split('_', maxsplit=1)[0]}; {_count(rows)} rows"
            yield Accusation(leak, words, fold.number)
    for rows in crossing.values():
        train = _minus(train, rows)
    yield from _wrong_values(job, fold, train)


def _wrong_values(job: TrainingJob, fold: JobFold, train: Rows) -> Iterator[Accusation]:
    for name in sorted({*train, *fold.test}):
        day, ends = job.days[name], job.declared_ends(name)
        none = np.zeros(len(day), np.bool_)
        mask = train.get(name, none) | fold.test.get(name, none)
        rows = np.flatnonzero(mask & (day.void == 0) & (ends >= 0))
        rows = rows[:: max(1, len(rows) // SAMPLED)]
        wrong = rows[day.y[rows] != day.mid[ends[rows]] - day.mid[rows]]
        if not len(wrong):
            continue
        words = f"the label of row {int(wrong[0])} of {name} is not the mid change over {job.horizon}"
        further = _horizon_of(day.y, day.mid, wrong, ends, longest=LONGER * int(np.max(ends[rows] - rows)) + LONGER)
        if further:
            words += f"; it is that up to {further} rows later"
        yield Accusation("label_horizon_longer_than_declared" if further else "label_not_as_declared", words, fold.number)
        return


def _horizon_of(y: npt.NDArray[np.float64], mid: npt.NDArray[np.float64], rows: I64, ends: I64, *, longest: int) -> int:
    """By how many rows every label ends later than declared; 0 when no such number explains them."""
    for shift in range(1, longest + 1):
        inside = rows[ends[rows] + shift < len(mid)]
        if len(inside) and (y[inside] == mid[ends[inside] + shift] - mid[inside]).all():
            return shift
    return 0


class _Block(NamedTuple):
    """A run of test rows without training rows between them: session parts by number, and the time that it spans."""

    first_unit: int
    last_unit: int
    start_ns: int
    end_ns: int


def _units(job: TrainingJob) -> dict[tuple[str, int], int]:
    pairs = ((name, part) for name, day in job.days.items() for part in np.unique(day.part[day.part >= 0]).tolist())
    return {pair: number for number, pair in enumerate(pairs)}


def _units_of(job: TrainingJob, rows: Rows, units: dict[tuple[str, int], int]) -> list[tuple[int, str, Bools]]:
    found = []
    for name, mask in rows.items():
        for part in np.unique(job.days[name].part[mask & (job.days[name].part >= 0)]).tolist():
            found.append((units[name, part], name, mask & (job.days[name].part == part)))
    return sorted(found, key=lambda item: item[0])


def _test_blocks(job: TrainingJob, train: Rows, test: Rows, units: dict[tuple[str, int], int]) -> list[_Block]:
    trained = {unit for unit, _, _ in _units_of(job, train, units)}
    blocks: list[_Block] = []
    for unit, name, mask in _units_of(job, test, units):
        start, end = int(job.days[name].ts_ns[mask].min()), int(job.known_until(name)[mask].max())
        if blocks and not trained & set(range(blocks[-1].last_unit + 1, unit)):
            blocks[-1] = _Block(blocks[-1].first_unit, unit, blocks[-1].start_ns, max(end, blocks[-1].end_ns))
        else:
            blocks.append(_Block(unit, unit, start, end))
    return blocks


def time_accusations(job: TrainingJob, fold: JobFold, train: Rows) -> Iterator[Accusation]:
    """Training rows that are too near to the test rows, or later than they may be."""
    units = _units(job)
    blocks = _test_blocks(job, train, fold.test, units)
    if not blocks:
        return
    if job.scheme == "walk_forward":
        late = {name: mask & (job.days[name].ts_ns >= blocks[0].start_ns) for name, mask in train.items()}
        if _count(late):
            words = f"{_first(late)} is trained on although tests begin before it; {_count(late)} rows"
            yield Accusation("future_day_in_train", words, fold.number)
            train = _minus(train, late)
            blocks = _test_blocks(job, train, fold.test, units)
    for block in blocks:
        yield from _embargo(job, fold, train, block, units)
        yield from _purge(job, fold, train, block)
    yield from _memory(job, fold, train, blocks)


def _embargo(
    job: TrainingJob, fold: JobFold, train: Rows, block: _Block, units: dict[tuple[str, int], int]
) -> Iterator[Accusation]:
    nearest = job.embargo_parts
    where: Rows = {}
    for unit, name, mask in _units_of(job, train, units):
        between = max(0, max(block.first_unit - unit, unit - block.last_unit) - 1)
        if between < nearest:
            nearest, where = between, {name: mask}
    lacking = job.embargo_parts - nearest
    if lacking:
        words = f"{nearest} session parts lie between {_first(where)} and the test, {job.embargo_parts} were declared"
        yield Accusation("embargo_off_by_one" if lacking == 1 else "embargo_missing", words, fold.number)


def _purge(job: TrainingJob, fold: JobFold, train: Rows, block: _Block) -> Iterator[Accusation]:
    reaching: Rows = {}
    for name, mask in train.items():
        ts, until = job.days[name].ts_ns, job.known_until(name)
        reaching[name] = mask & (until >= block.start_ns) & (ts <= block.end_ns)
    if not _count(reaching):
        return
    short = job.purge is not None and job.purge != job.horizon
    told = f"purged for {job.purge}, labels look {job.horizon} ahead" if short else f"labels look {job.horizon} ahead"
    words = f"the label of {_first(reaching)} shares time with the test; {_count(reaching)} rows; {told}"
    yield Accusation("purge_too_short" if short else "purge_missing", words, fold.number)


def _memory(job: TrainingJob, fold: JobFold, train: Rows, blocks: list[_Block]) -> Iterator[Accusation]:
    """Label-informed factors of a training row that still remember test labels, or another contract."""
    if not job.memory_ns:
        return
    remembering: Rows = {}
    rolled: Rows = {}
    starts = _segment_starts(job)
    for name, mask in train.items():
        day = job.days[name]
        remembers = np.zeros(len(day), np.bool_)
        for block in blocks:
            remembers |= (day.ts_ns > block.end_ns) & (day.ts_ns - job.memory_ns <= block.end_ns)
        remembering[name] = mask & remembers
        rolled[name] = mask & (day.ts_ns - job.memory_ns < starts[name])
    if _count(remembering):
        words = (
            f"a factor of {_first(remembering)} looks back {job.memory_ns / 1e9:.0f} s, into the test; {_count(remembering)} rows"
        )
        yield Accusation("memory_reaches_test", words, fold.number)
    if _count(rolled):
        words = f"a factor of {_first(rolled)} looks back {job.memory_ns / 1e9:.0f} s, beyond a roll; {_count(rolled)} rows"
        yield Accusation("roll_crossed", words, fold.number)


def _segment_starts(job: TrainingJob) -> dict[str, I64]:
    """Stamp from which on the rows before each row are of its segment; the smallest integer where no other segment lies before."""
    found: dict[str, I64] = {}
    start, before = int(np.iinfo(np.int64).min), None
    for name, day in job.days.items():
        found[name] = np.full(len(day), start)
        for row in np.flatnonzero(np.diff(day.segment, prepend=day.segment[:1] if before is None else before)).tolist():
            start = int(day.ts_ns[row])
            found[name][row:] = start
        before = day.segment[-1:]
    return found


def fit_accusations(job: TrainingJob, fold: JobFold) -> Iterator[Accusation]:
    """Fits that read rows of the test, or rows whose labels know its time. Training rows are judged as rows, not here."""
    for fit in fold.fits:
        outside = _minus(fit.rows, fold.train)
        tested = _both(outside, fold.test)
        if tested:
            name = _FIT_NAMES[fit.kind]
            everything = fit.kind == "theta" and _covers(fit, fold)
            words = f"{fit.kind} was fitted on {_count(tested)} test rows, the first {_first(tested)}"
            yield Accusation("theta_from_all_days" if everything else name, words, fold.number)
        elif FIT_KINDS[fit.kind]:
            yield from _reaching_fit(job, fold, fit, outside)


def _covers(fit: Fit, fold: JobFold) -> bool:
    """Whether the fit took every training row too: all data, not the test alone."""
    return not any((mask & ~fit.rows.get(name, np.zeros_like(mask))).any() for name, mask in fold.train.items())


def _reaching_fit(job: TrainingJob, fold: JobFold, fit: Fit, outside: Rows) -> Iterator[Accusation]:
    for block in _test_blocks(job, fold.train, fold.test, _units(job)):
        reaching = {
            name: mask & (job.known_until(name) >= block.start_ns) & (job.days[name].ts_ns <= block.end_ns)
            for name, mask in outside.items()
        }
        if _count(reaching):
            words = f"{fit.kind} was fitted on {_first(reaching)}, whose label shares time with the test; {_count(reaching)} rows"
            yield Accusation("fit_reaches_test", words, fold.number)
            return
