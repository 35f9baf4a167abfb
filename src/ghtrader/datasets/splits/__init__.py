"""Splits: folds of trading days, the rows of each day that a fold trains and tests on, and what keeps the two apart."""

from ghtrader.datasets.splits.combinatorial import CombinatorialSplit, combinatorial
from ghtrader.datasets.splits.masks import RowMasks, check_disjoint, label_ends, row_masks
from ghtrader.datasets.splits.walk_forward import MIN_DAYS, Fold, split_note, walk_forward

__all__ = [
    "MIN_DAYS",
    "CombinatorialSplit",
    "Fold",
    "RowMasks",
    "check_disjoint",
    "combinatorial",
    "label_ends",
    "row_masks",
    "split_note",
    "walk_forward",
]
