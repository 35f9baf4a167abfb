"""The battery over days: one day's arrays in, what is kept are counts, sums by block, quantiles and a sample of rows.

Memory grows by about 100 kB per block for 108 factors and 12 horizons, and not with a day's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ghtrader.datasets.quality.drift import Reference
from ghtrader.datasets.quality.ic import DaySums, day_sums

__all__ = ["Battery", "DayRows", "blocks_of"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SAMPLE_ROWS = 40_000
REFERENCE_ROWS = 65_536
MIN_DAY_ROWS = 500


@dataclass(frozen=True)
class DayRows:
    """One trading day of n rows. factors: (n, F); controls: (n, 2); y: (n, H), NaN where void; part: session part.

    continuous: rows of continuous trading. counted: of these, rows with a two-sided, uncrossed book. block: number of each row's
    block within the day, below ``blocks``.
    """

    trading_day: str
    factors: F64
    controls: F64
    y: F64
    continuous: Bools
    counted: Bools
    part: npt.NDArray[np.int8]
    block: I64
    blocks: int


@dataclass
class Battery:
    """Collects days in their order; everything public is by factor in the set's order.

    days: how many will come. reference_days: how many of the first ones are the reference of PSI and KS. controlled: horizons for
    which session parts and marginal ICs are taken. coverage: (days, F) share of continuous rows with a value. absent: (days, F) share
    of counted rows without. psi, ks: (days, F); reference days are compared with the reference they belong to.
    """

    factors: int
    days: int
    controlled: tuple[int, ...]
    reference_days: int = 1
    seed: int = 0
    names: list[str] = field(default_factory=list)
    rows: list[tuple[int, int]] = field(default_factory=list)
    coverage: list[F64] = field(default_factory=list)
    absent: list[F64] = field(default_factory=list)
    psi: list[F64] = field(default_factory=list)
    ks: list[F64] = field(default_factory=list)
    labelled: list[I64] = field(default_factory=list)
    _sums: list[DaySums] = field(default_factory=list)
    _samples: list[F64] = field(default_factory=list)
    _waiting: list[F64] = field(default_factory=list)
    _centre: F64 = field(default_factory=lambda: np.zeros(0))
    _references: list[Reference] = field(default_factory=list)

    def add(self, day: DayRows) -> None:
        """Take one day in."""
        values = np.where(np.isfinite(day.factors) & day.counted[:, None], day.factors, np.nan)
        known = ~np.isnan(values)
        counted, continuous = int(day.counted.sum()), int(day.continuous.sum())
        self.coverage.append(known.sum(axis=0) / max(continuous, 1))
        self.absent.append(1.0 - known.sum(axis=0) / max(counted, 1))
        self._sample(values[day.counted])
        self._drift(values[day.counted])
        y = np.where(day.counted[:, None], day.y, np.nan)
        self.labelled.append(np.isfinite(y).sum(axis=0))
        if not len(self._centre):  # sums of squares lose digits far from 0
            first = np.isfinite(values)
            self._centre = np.where(first, values, 0.0).sum(axis=0) / np.maximum(first.sum(axis=0), 1)
        columns = np.ascontiguousarray((values - self._centre).T)
        controls = np.where(day.counted[:, None], day.controls, np.nan).T
        self._sums.append(day_sums(columns, y.T, controls, day.part, day.block, day.blocks, self.controlled))
        self.names.append(day.trading_day)
        self.rows.append((len(values), counted))

    def _chosen(self, rows: int, quota: int) -> I64:
        if rows <= quota:
            return np.arange(rows)
        return np.sort(np.random.default_rng([self.seed, len(self.names)]).choice(rows, quota, replace=False))

    def _sample(self, values: F64) -> None:
        quota = max(MIN_DAY_ROWS, SAMPLE_ROWS // max(self.days, 1))
        self._samples.append(values[self._chosen(len(values), quota)])

    def _drift(self, values: F64) -> None:
        if self._references:
            self._compare(values)
            return
        quota = max(MIN_DAY_ROWS, REFERENCE_ROWS // max(self.reference_days, 1))
        self._waiting.append(values[self._chosen(len(values), quota)])
        if len(self._waiting) == min(self.reference_days, self.days):
            pooled = np.concatenate(self._waiting)
            self._references = [Reference.of(_known(pooled[:, at])) for at in range(self.factors)]
            for waiting in self._waiting:
                self._compare(waiting)
            self._waiting = []

    def _compare(self, values: F64) -> None:
        ordered = [np.sort(_known(values[:, at])) for at in range(self.factors)]
        pairs = list(zip(self._references, ordered, strict=True))
        self.psi.append(np.array([reference.psi(column) for reference, column in pairs]))
        self.ks.append(np.array([reference.ks(column) for reference, column in pairs]))

    @property
    def sums(self) -> DaySums:
        """Sums of all days, blocks of one day behind those of the day before."""
        names = ("pearson", "spearman", "part", "control")
        return DaySums(*(np.concatenate([getattr(day, name) for day in self._sums], axis=-1) for name in names))

    @property
    def sample(self) -> F64:
        """Counted rows (m, F), equally many of each day, NaN where absent: at most 40,000, or 500 a day."""
        return np.concatenate(self._samples)


def _known(column: F64) -> F64:
    return column[~np.isnan(column)]


def blocks_of(ts_ns: I64, block_ns: int | None) -> tuple[I64, int]:
    """Number of each row's block within the day, and how many there are; None: the day is one block.

    >>> blocks_of(np.array([0, 5, 10, 25]), 10)
    (array([0, 0, 1, 2]), 3)
    """
    if block_ns is None:
        return np.zeros(len(ts_ns), dtype=np.int64), 1
    found, index = np.unique(np.asarray(ts_ns) // block_ns, return_inverse=True)
    return index.astype(np.int64), max(1, len(found))
