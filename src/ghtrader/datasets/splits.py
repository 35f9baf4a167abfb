"""Splits by trading day: walk-forward folds with purge and embargo, and the check that proves them disjoint.

The unit is the trading day. Fewer than 20 days: expanding from 2 training days, one-day tests. From 20 days on: as many
training days first as leave 20 for testing (6 to 60), tests of 5 days, training on at most the last 60 days.
Embargo: the last session part before a test is not trained on. Purge: a training row whose label reaches into a test
day is dropped, whatever the day cut says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.day_dataset import DayDataset, Horizon

__all__ = ["Fold", "RowMasks", "check_disjoint", "row_masks", "split_note", "walk_forward"]

FEW_DAYS = 20
MIN_DAYS = 3
FIRST_TRAIN_FEW = 2
MIN_TRAIN, MAX_TRAIN = 6, 60
TEST_DAYS = 5

Bools = npt.NDArray[np.bool_]


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """Training days and test days (ISO), in order. ``embargo_parts``: session parts dropped at the training end."""

    number: int
    train_days: tuple[str, ...]
    test_days: tuple[str, ...]
    embargo_parts: int = 1


@dataclass(frozen=True)
class RowMasks:
    """Rows of each day that a fold trains on and tests on, by ISO day."""

    train: dict[str, Bools]
    test: dict[str, Bools]


def walk_forward(days: Sequence[TradingDay]) -> list[Fold]:
    """Folds over trading days in order; raises DataError with fewer than three.

    >>> days = [TradingDay.parse(f"2025-06-{day:02}") for day in (5, 6, 9, 10)]
    >>> [(len(fold.train_days), fold.test_days) for fold in walk_forward(days)]
    [(2, ('2025-06-09',)), (3, ('2025-06-10',))]
    """
    if len(days) < MIN_DAYS:
        raise DataError(
            f"{len(days)} trading days: walk-forward needs at least {MIN_DAYS} (two to train on, one to test)",
            hint="ghtrader data import FILE...",
            days=[day.iso for day in days],
        )
    names = [day.iso for day in sorted(days)]
    if len(names) < FEW_DAYS:
        first, step = FIRST_TRAIN_FEW, 1
    else:
        first, step = min(max(len(names) - FEW_DAYS, MIN_TRAIN), MAX_TRAIN), TEST_DAYS
    folds: list[Fold] = []
    for start in range(first, len(names), step):
        train = names[max(0, start - MAX_TRAIN) : start]
        folds.append(Fold(number=len(folds) + 1, train_days=tuple(train), test_days=tuple(names[start : start + step])))
    return folds


def split_note(folds: Sequence[Fold]) -> str:
    """How the days were split, in plain words."""
    tests = sum(len(fold.test_days) for fold in folds)
    few = ", few days" if tests < FEW_DAYS else ""
    return (
        f"Walk-forward over {len(folds)} folds ({tests} disjoint test days{few}); training on {len(folds[0].train_days)} to "
        f"{len(folds[-1].train_days)} earlier days; one session part embargoed before each test; labels purged at the cut."
    )


def row_masks(fold: Fold, datasets: Sequence[DayDataset], horizon: Horizon, *, stride: int = 1) -> RowMasks:
    """Rows to train on (eligible, labelled, every ``stride``-th, purged, embargoed) and to test on (eligible, labelled)."""
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    test_start = int(by_day[fold.test_days[0]].ts_ns[0])
    train: dict[str, Bools] = {}
    for name in fold.train_days:
        dataset = by_day[name]
        usable = dataset.eligible & (dataset.void[:, dataset.column(horizon)] == 0)
        if stride > 1:
            kept = np.zeros(len(dataset), dtype=np.bool_)
            kept[::stride] = True
            usable = usable & kept
        if name == fold.train_days[-1] and fold.embargo_parts:
            parts = sorted({int(part) for part in dataset.part if part >= 0})
            usable = usable & ~np.isin(dataset.part, parts[-fold.embargo_parts :])
        train[name] = usable & (label_ends(dataset, horizon) < test_start)
    test = {name: by_day[name].eligible & (by_day[name].void[:, by_day[name].column(horizon)] == 0) for name in fold.test_days}
    return RowMasks(train, test)


def label_ends(dataset: DayDataset, horizon: Horizon) -> npt.NDArray[np.int64]:
    """Stamp of the last snapshot each row's label looks at (the day's last one where a tick horizon runs past it)."""
    if horizon.unit == "seconds":
        return dataset.ts_ns + horizon.length * 1_000_000_000
    index = np.minimum(np.arange(len(dataset)) + horizon.length, len(dataset) - 1)
    return dataset.ts_ns[index]


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
