"""Combinatorial purged cross-validation: every choice of k groups of days is tested once, by a model trained on the others.

N groups of consecutive trading days and k tested at a time give C(N, k) folds; each group is tested in C(N-1, k-1) of them, so
that as many whole paths through all days can be put together, each day predicted by a model that did not see it. Training days lie
on both sides of a test block: purge and embargo hold on both (`masks`). Lopez de Prado (2018), chapter 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import msgspec

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.splits.walk_forward import Fold

__all__ = ["CombinatorialSplit", "combinatorial"]


class CombinatorialSplit(msgspec.Struct, frozen=True, kw_only=True):
    """groups: days of each group (ISO). folds: one per choice. paths: per path, for each group the number of the fold that tests it.

    Over all paths every pair of fold and tested group occurs once.
    """

    groups: tuple[tuple[str, ...], ...]
    folds: tuple[Fold, ...]
    paths: tuple[tuple[int, ...], ...]


def combinatorial(
    days: Sequence[TradingDay], *, groups: int = 10, test_groups: int = 2, embargo_parts: int = 1
) -> CombinatorialSplit:
    """Split trading days into ``groups`` runs of equal length (but for one day) and test every choice of ``test_groups``.

    Raises UsageError when the numbers make no sense, DataError with fewer days than groups.

    >>> days = [TradingDay.parse(f"2025-06-{day:02}") for day in (3, 4, 5, 6)]
    >>> split = combinatorial(days, groups=4, test_groups=2)
    >>> len(split.folds), split.paths
    (6, ((1, 1, 2, 3), (2, 4, 4, 5), (3, 5, 6, 6)))
    """
    if not 1 <= test_groups < groups or embargo_parts < 0:
        raise UsageError(
            f"{test_groups} of {groups} groups tested, embargo {embargo_parts}: expected 1 <= test groups < groups and no negative embargo",
            hint="ten groups, two tested",
        )
    names = [day.iso for day in sorted(days)]
    if len(set(names)) < max(groups, len(names)):
        raise DataError(
            f"{len(set(names))} different trading days of {len(names)} for {groups} groups",
            hint="fewer groups, or import more days",
        )
    edges = [len(names) * index // groups for index in range(groups + 1)]
    parts = tuple(tuple(names[start:stop]) for start, stop in pairwise(edges))
    folds: list[Fold] = []
    tested_by: list[list[int]] = [[] for _ in range(groups)]
    for number, chosen in enumerate(combinations(range(groups), test_groups), start=1):
        train = tuple(day for index, part in enumerate(parts) if index not in chosen for day in part)
        test = tuple(day for index in chosen for day in parts[index])
        folds.append(Fold(number=number, train_days=train, test_days=test, embargo_parts=embargo_parts))
        for index in chosen:
            tested_by[index].append(number)
    return CombinatorialSplit(groups=parts, folds=tuple(folds), paths=tuple(zip(*tested_by, strict=True)))
