"""Walk-forward by trading day: train on earlier days, test on the next ones.

Fewer than 20 days: expanding from 2 training days, one-day tests. From 20 days on: as many
training days first as leave 20 for testing (6 to 60), tests of 5 days, training on at most the last 60 days.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay

__all__ = ["MIN_DAYS", "Fold", "split_note", "walk_forward"]

FEW_DAYS = 20
MIN_DAYS = 3
FIRST_TRAIN_FEW = 2
MIN_TRAIN, MAX_TRAIN = 6, 60
TEST_DAYS = 5


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """Training days and test days (ISO), in order. ``embargo_parts``: session parts that are not trained on, on either side of
    a block of test days.
    """

    number: int
    train_days: tuple[str, ...]
    test_days: tuple[str, ...]
    embargo_parts: int = 1


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
