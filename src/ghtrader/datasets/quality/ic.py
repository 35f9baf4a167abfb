"""Information coefficients from sums by block: Pearson, Spearman, and what is left of them after other factors.

A day's rows become sums (`DaySums`); sums of days add up, blocks can be resampled, rows are not kept. Ranks are taken within a
trading day (within a session part of the day for ICs by part), over the rows on which factor and label (and controls) are known;
ties get their mean rank. The pooled Spearman IC is the correlation of such ranks: for a single day Spearman's coefficient exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["DaySums", "correlation", "day_sums", "partial_correlation"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PARTS = 4
#: n, sx, sy, sxx, syy, sxy
PAIR = 6
#: n, and first and second sums of (x, y, control 1, control 2)
QUAD = 15
#: Below this share of its variance nothing is left of a factor after the others.
NOTHING_LEFT = 1e-7
FLAT = 1e-12
PAIRS = [(i, j) for i in range(4) for j in range(i, 4)]


@dataclass(frozen=True)
class DaySums:
    """Sums over one day's rows by block; F factors, H horizons, B blocks, of which C controlled horizons.

    pearson, spearman: (6, F, H, B). part: (6, F, C, 4, B), ranks within the session part. control: (15, F, C, B), ranks of factor,
    label and two controls.
    """

    pearson: F64
    spearman: F64
    part: F64
    control: F64


def correlation(sums: F64) -> F64:
    """Correlation from sums (6, ...): n, sx, sy, sxx, syy, sxy; NaN below three rows or where one side does not vary.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    >>> float(correlation(np.array([3.0, x.sum(), y.sum(), x @ x, y @ y, x @ y])))
    1.0
    """
    n, sx, sy, sxx, syy, sxy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        vx, vy = n * sxx - sx * sx, n * syy - sy * sy
        flat = (n < 3) | (vx <= FLAT * n * sxx) | (vy <= FLAT * n * syy)
        value = (n * sxy - sx * sy) / np.sqrt(np.where(flat, np.nan, vx) * vy)
    return np.asarray(np.clip(value, -1.0, 1.0), dtype=np.float64)


def partial_correlation(sums: F64, *, controls: tuple[bool, bool] = (True, True)) -> F64:
    """Correlation of the label with what is left of the factor after the controls, from sums (15, ...); NaN where nothing is.

    The factor's ranks are regressed on the controls' (with a constant); the label is taken as it is, so that the value says what the factor
    adds. controls: which of the two to take.
    """
    n = sums[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        cov = {}
        for at, (i, j) in enumerate(PAIRS):
            cov[i, j] = sums[5 + at] / n - sums[1 + i] * sums[1 + j] / (n * n)
        left, along = cov[0, 0], cov[0, 1]
        slope = _slope(cov[2, 3], cov[2, 2], cov[2, 2]) if all(controls) else np.zeros_like(n)
        if controls[0]:
            left = left - cov[0, 2] * _slope(cov[0, 2], cov[2, 2], cov[2, 2])
            along = along - cov[1, 2] * _slope(cov[0, 2], cov[2, 2], cov[2, 2])
        if controls[1]:  # what is new in the second control
            var, cx, cy = cov[3, 3] - slope * cov[2, 3], cov[0, 3] - slope * cov[0, 2], cov[1, 3] - slope * cov[1, 2]
            left = left - cx * _slope(cx, var, cov[3, 3])
            along = along - cy * _slope(cx, var, cov[3, 3])
        nothing = (n < 5) | (left <= NOTHING_LEFT * cov[0, 0]) | (cov[1, 1] <= 0.0)
        value = along / np.sqrt(np.where(nothing, np.nan, left) * cov[1, 1])
    return np.asarray(np.clip(value, -1.0, 1.0), dtype=np.float64)


def _slope(covariance: F64, variance: F64, whole: F64) -> F64:
    """covariance / variance; 0 where nothing is left of the variance."""
    gone = variance <= NOTHING_LEFT * whole
    return np.where(gone, 0.0, covariance / np.where(gone, 1.0, variance))


@nb.njit(cache=True)
def _ranks(order: Any, values: Any, known: Any, groups: Any, wanted: int, out: Any) -> None:
    """Mean ranks of known rows (of one group, -1: all) among themselves, centred and over their number: within (-0.5, 0.5)."""
    size = 0
    for row in order:
        if known[row] and (wanted < 0 or groups[row] == wanted):
            size += 1
    place, start = 0, 0
    tied = np.empty(len(order), np.int64)
    for row in order:
        if not known[row] or (wanted >= 0 and groups[row] != wanted):
            continue
        if place > start and values[tied[start]] != values[row]:
            rank = (0.5 * (start + place - 1) + 0.5 - 0.5 * size) / size
            for at in range(start, place):
                out[tied[at]] = rank
            start = place
        tied[place] = row
        place += 1
    rank = (0.5 * (start + place - 1) + 0.5 - 0.5 * size) / max(size, 1)
    for at in range(start, place):
        out[tied[at]] = rank


@nb.njit(cache=True)
def _pair(x: Any, y: Any, known: Any, block: Any, sums: Any) -> None:
    for row in range(len(x)):
        if known[row]:
            a, b, at = x[row], y[row], block[row]
            sums[0, at] += 1.0
            sums[1, at] += a
            sums[2, at] += b
            sums[3, at] += a * a
            sums[4, at] += b * b
            sums[5, at] += a * b


@nb.njit(cache=True)
def _quad(four: Any, known: Any, block: Any, sums: Any) -> None:
    for row in range(four.shape[1]):
        if not known[row]:
            continue
        at = block[row]
        sums[0, at] += 1.0
        place = 5
        for i in range(4):
            sums[1 + i, at] += four[i, row]
            for j in range(i, 4):
                sums[place, at] += four[i, row] * four[j, row]
                place += 1


@nb.njit(cache=True)
def _controlled_sums(
    x: Any, x_order: Any, y: Any, y_order: Any, controls: Any, c_order: Any, parts: Any, block: Any, part: Any, control: Any
) -> None:
    """Sums of one factor and label within each session part, and with the controls."""
    size = len(x)
    known, wider, four = np.zeros(size, np.bool_), np.zeros(size, np.bool_), np.zeros((4, size))
    for row in range(size):
        wider[row] = not (np.isnan(x[row]) or np.isnan(y[row]))
        known[row] = wider[row] and not (np.isnan(controls[0, row]) or np.isnan(controls[1, row]))
    _ranks(x_order, x, known, parts, -1, four[0])
    _ranks(y_order, y, known, parts, -1, four[1])
    for number in range(2):
        _ranks(c_order[number], controls[number], known, parts, -1, four[2 + number])
    _quad(four, known, block, control)
    for number in range(PARTS):
        _ranks(x_order, x, wider, parts, number, four[0])
        _ranks(y_order, y, wider, parts, number, four[1])
        for row in range(size):
            known[row] = wider[row] and parts[row] == number
        _pair(four[0], four[1], known, block, part[:, number])


@nb.njit(cache=True)
def _factor_sums(
    x: Any, x_order: Any, y: Any, y_order: Any, controls: Any, c_order: Any, parts: Any, block: Any, controlled: Any,
    seen: Any, rank_y: Any, pearson: Any, spearman: Any, part: Any, control: Any,
) -> None:  # fmt: skip
    """All sums of one factor with every label. Orders: rows with a value, in the order of their values.

    seen, rank_y: known rows and the labels' ranks of the factor before, kept while the rows are the same.
    """
    size = len(x)
    rank_x = np.zeros(size)
    for horizon in range(y.shape[0]):
        known, labels, order, at = seen[horizon], y[horizon], y_order[horizon], controlled[horizon]
        same = True
        for row in range(size):
            here = not (np.isnan(x[row]) or np.isnan(labels[row]))
            same = same and here == known[row]
            known[row] = here
        _pair(x, labels, known, block, pearson[:, horizon])
        _ranks(x_order, x, known, parts, -1, rank_x)
        if not same:
            _ranks(order, labels, known, parts, -1, rank_y[horizon])
        _pair(rank_x, rank_y[horizon], known, block, spearman[:, horizon])
        if at >= 0:
            _controlled_sums(x, x_order, labels, order, controls, c_order, parts, block, part[:, at], control[:, at])


def _order(values: F64) -> I64:
    """Rows with a value, by value."""
    order = np.argsort(values)
    return order[: int(np.isfinite(values).sum())].astype(np.int64)


def day_sums(
    factors: F64, y: F64, controls: F64, parts: npt.NDArray[np.int8], block: I64, blocks: int, controlled: tuple[int, ...]
) -> DaySums:
    """Sums of one trading day.

    Parameters
    ----------
    factors: (F, n), NaN where absent (and on rows that do not count). y: (H, n) labels, NaN where void. controls: (2, n).
    parts: (n,) session part. block: (n,) number of each row's block, below ``blocks``. controlled: horizons (columns of y)
    for which parts and controls are taken.
    """
    count, horizons = len(factors), len(y)
    place = np.full(horizons, -1, dtype=np.int64)
    place[list(controlled)] = np.arange(len(controlled))
    sums = DaySums(
        np.zeros((count, PAIR, horizons, blocks)),
        np.zeros((count, PAIR, horizons, blocks)),
        np.zeros((count, PAIR, len(controlled), PARTS, blocks)),
        np.zeros((count, QUAD, len(controlled), blocks)),
    )
    y, orders = np.ascontiguousarray(y), nb.typed.List([_order(row) for row in y])
    controls, c_orders = np.ascontiguousarray(controls), nb.typed.List([_order(row) for row in controls])
    seen, rank_y = np.zeros(y.shape, dtype=np.bool_), np.zeros(y.shape)
    for at in range(count):
        x = np.where(np.isfinite(factors[at]), factors[at], np.nan)
        tables = (sums.pearson[at], sums.spearman[at], sums.part[at], sums.control[at])
        _factor_sums(x, _order(x), y, orders, controls, c_orders, parts, block, place, seen, rank_y, *tables)
    return DaySums(*(np.moveaxis(table, 1, 0) for table in (sums.pearson, sums.spearman, sums.part, sums.control)))
