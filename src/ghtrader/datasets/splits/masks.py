"""Which rows a fold trains and tests on: purge, embargo and rolls as hard segments.

A training row knows the time from ``t - memory`` (what its label-informed factors still remember) to the end of its longest
label. A block of test days spans the time from its first row to the end of its last label. No training row of a fold knows any of a
block's time: that is the purge, its length the longer of horizon and memory. Embargo: so many session parts on either side of a
block are not trained on at all. Rolls: a row whose memory or label reaches into another segment is not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.splits.walk_forward import Fold

__all__ = ["RowMasks", "check_disjoint", "label_ends", "row_masks"]

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowMasks:
    """Rows of each day that a fold trains on and tests on, by ISO day."""

    train: dict[str, Bools]
    test: dict[str, Bools]


def row_masks(
    fold: Fold,
    datasets: Sequence[DayDataset],
    horizon: Horizon,
    *,
    stride: int = 1,
    horizons: Sequence[Horizon] = (),
    memory_ns: int = 0,
) -> RowMasks:
    """Rows to train on (eligible, labelled, every ``stride``-th, purged, embargoed, in one segment) and to test on.

    horizon: of the label that is trained on. horizons: further labels of the same rows (the purge is as long as the longest).
    memory_ns: longest lookback of label-informed factors; 0 without any.
    """
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    days = sorted({*fold.train_days, *fold.test_days})
    ends = {name: _longest(by_day[name], (horizon, *horizons)) for name in days}
    test = {name: by_day[name].eligible & (by_day[name].void[:, by_day[name].column(horizon)] == 0) for name in fold.test_days}
    blocks = _blocks(days, fold, by_day, ends)
    embargoed = _embargoed(days, fold, by_day)
    train: dict[str, Bools] = {}
    for name in fold.train_days:
        dataset = by_day[name]
        usable = dataset.eligible & (dataset.void[:, dataset.column(horizon)] == 0)
        if stride > 1:
            kept = np.zeros(len(dataset), dtype=np.bool_)
            kept[::stride] = True
            usable = usable & kept
        usable = usable & ~np.isin(dataset.part, sorted(embargoed.get(name, ())))
        for start_ns, end_ns in blocks:
            usable = usable & ((ends[name] < start_ns) | (dataset.ts_ns - memory_ns > end_ns))
        first_ns, last_ns = _segment_span(dataset, by_day)
        train[name] = usable & (dataset.ts_ns - memory_ns >= first_ns) & (ends[name] <= last_ns)
    return RowMasks(train, test)


def label_ends(dataset: DayDataset, horizon: Horizon) -> I64:
    """Stamp of the last snapshot each row's label looks at (the day's last one where a tick horizon runs past it)."""
    if horizon.unit == "seconds":
        return dataset.ts_ns + horizon.length * 1_000_000_000
    index = np.minimum(np.arange(len(dataset)) + horizon.length, len(dataset) - 1)
    return dataset.ts_ns[index]


def _longest(dataset: DayDataset, horizons: Sequence[Horizon]) -> I64:
    return np.asarray(np.max([label_ends(dataset, horizon) for horizon in horizons], axis=0), dtype=np.int64)


def _blocks(days: Sequence[str], fold: Fold, by_day: dict[str, DayDataset], ends: dict[str, I64]) -> list[tuple[int, int]]:
    """Time of each run of test days, from its first row to the end of its last label."""
    blocks: list[tuple[int, int]] = []
    before = ""
    for name in days:
        if name in fold.test_days:
            start, end = int(by_day[name].ts_ns[0]), int(ends[name].max())
            if before in fold.test_days:
                start = blocks.pop()[0]
            blocks.append((start, end))
        before = name
    return blocks


def _embargoed(days: Sequence[str], fold: Fold, by_day: dict[str, DayDataset]) -> dict[str, set[int]]:
    """Session parts of training days within ``embargo_parts`` of a test day, by day."""
    units = [(name, part) for name in days for part in sorted({int(part) for part in by_day[name].part if part >= 0})]
    tested = [index for index, (name, _) in enumerate(units) if name in fold.test_days]
    near = {at for index in tested for at in range(index - fold.embargo_parts, index + fold.embargo_parts + 1)}
    found: dict[str, set[int]] = {}
    for index in sorted(near & set(range(len(units)))):
        found.setdefault(units[index][0], set()).add(units[index][1])
    return found


def _segment_span(dataset: DayDataset, by_day: dict[str, DayDataset]) -> tuple[int, int]:
    """Time of the segment that the day belongs to: from its first row to its last one, open where no other segment follows.

    A day with rows of several segments belongs to none: without memory its labels are void at the roll, with memory it has
    no row to train on.
    """
    names = sorted(by_day)
    at = names.index(dataset.trading_day.iso)
    first_ns, last_ns = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    if len(dataset.segment_ids) > 1:
        return int(dataset.ts_ns[0]), int(dataset.ts_ns[-1])
    segment = dataset.segment_ids
    for index in range(at, -1, -1):
        if by_day[names[index]].segment_ids != segment:
            first_ns = int(by_day[names[index + 1]].ts_ns[0])
            break
    for index in range(at, len(names)):
        if by_day[names[index]].segment_ids != segment:
            last_ns = int(by_day[names[index - 1]].ts_ns[-1])
            break
    return first_ns, last_ns


def check_disjoint(masks: RowMasks, datasets: Sequence[DayDataset], horizon: Horizon) -> str:
    """The first way in which training and test rows share information, in words; empty when they share none.

    Looks at rows, not at days: a row in both sets, a training row after the first test row, or a training label that
    ends inside the tested time.
    """
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    for name in masks.train.keys() & masks.test.keys():
        both = np.flatnonzero(masks.train[name] & masks.test[name])
        if len(both):
            return f"row {both[0]} of {name} is trained on and tested on"
    tested = [(int(by_day[name].ts_ns[rows][0]), name) for name, rows in masks.test.items() if rows.any()]
    if not tested:
        return ""
    first_test, test_day = min(tested)
    for name, rows in masks.train.items():
        dataset = by_day[name]
        late = np.flatnonzero(rows & (dataset.ts_ns >= first_test))
        if len(late):
            return f"row {late[0]} of {name} is trained on although tests begin on {test_day}, before it"
        reaching = np.flatnonzero(rows & (label_ends(dataset, horizon) >= first_test))
        if len(reaching):
            return f"the label of row {reaching[0]} of {name} reaches into the test day {test_day}"
    return ""
