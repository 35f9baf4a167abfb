"""Factors with fitted parts, anew for every fold: parameters from its training days alone, then those columns of its days.

A set whose factors have no fitted part has nothing to refit (`refit_of` gives None): its datasets serve every fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from ghtrader.core.errors import DataError
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import CATALOGUE
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.factors.fit import FitSample, fit_parameters, fit_sample
from ghtrader.datasets.factors.parameters import FittedParameters, parameter_array
from ghtrader.datasets.splits import Fold

__all__ = ["Compute", "FoldRefit", "Keep", "RefitDay", "fitted_part", "refit_of"]

#: A day's ticks with gaps as hard segments, its sessions, and what earlier days left (empty where the set reads none).
RefitDay = tuple[DayTicks, DaySessions, Sequence[float]]
Compute = Callable[[], FittedParameters]
#: Gives the parameters of these training days: those that it kept, or computed ones.
Keep = Callable[[Sequence[str], Compute], FittedParameters]

#: Files of the kernel with fitted factors: what reads them may change with the parameters.
FITTED_KERNELS = frozenset(item.kernel for item in CATALOGUE if item.fitted)


def _changes(item: Factor) -> bool:
    return bool(item.fitted) or (item.user and not FITTED_KERNELS.isdisjoint(item.reads))


def fitted_part(chosen: FactorSet) -> FactorSet:
    """The factors of a set whose values depend on fitted parameters; one's own that read such a group of the kernel among them.

    >>> from ghtrader.datasets.factors.catalogue import factor_set
    >>> fitted_part(factor_set("full")).ids, fitted_part(factor_set("minimal16")).ids
    (('F13', 'F24', 'F30', 'F54', 'F77'), ())
    """
    factors = tuple(item for item in chosen.factors if _changes(item))
    own = chosen.user_file if any(item.user for item in factors) else ""
    return FactorSet(name=f"{chosen.name}, fitted", factors=factors, set_hash=chosen.set_hash, user_file=own)


def _anew(days: Sequence[str], compute_: Compute) -> FittedParameters:
    del days
    return compute_()


class FoldRefit:
    """Refits the factors of ``part`` for one fold after the other.

    read: a day of the series by its ISO name. keep: remembers parameters; default: computes them. Holds what the estimators read of
    the last fold's training days (about 6 MB a day of rb), and no ticks.
    """

    def __init__(self, symbol: str, part: FactorSet, read: Callable[[str], RefitDay], keep: Keep = _anew) -> None:
        self.symbol = symbol
        self.part = part
        self._read = read
        self._keep = keep
        self._samples: dict[str, FitSample] = {}

    def parameters(self, fold: Fold) -> FittedParameters:
        """The parameters of a fold, from every row of its training days. Raises DataError when they hold too little."""
        return self._keep(fold.train_days, lambda: fit_parameters(self.symbol, self._samples_of(fold.train_days)))

    def _samples_of(self, days: Sequence[str]) -> list[FitSample]:
        known = {day: self._samples[day] for day in days if day in self._samples}
        self._samples = {day: known[day] if day in known else fit_sample(*self._read(day)[:2]) for day in days}
        return [self._samples[day] for day in days]

    def datasets(self, datasets: Sequence[DayDataset], fold: Fold, fitted: FittedParameters) -> list[DayDataset]:
        """The same days, those of the fold with the fitted columns in place of the neutral ones.

        A row that a fitted factor has no number for is not eligible. Raises DataError when a day's rows are not the dataset's.
        """
        used = {*fold.train_days, *fold.test_days}
        return [self._with(dataset, fitted) if dataset.trading_day.iso in used else dataset for dataset in datasets]

    def _with(self, dataset: DayDataset, fitted: FittedParameters) -> DayDataset:
        name = dataset.trading_day.iso
        ticks, sessions, history = self._read(name)
        if not np.array_equal(ticks.ts_ns, dataset.ts_ns):
            raise DataError(
                f"{name} of {self.symbol} changed after its dataset was built", hint="run the same command again", retryable=True
            )
        there = [item for item in self.part.factors if item.id in dataset.factor_names]
        part = msgspec.structs.replace(self.part, factors=tuple(there))
        values = compute(
            ticks, sessions, part, params=parameter_array(fitted.values), history=np.array(history) if len(history) else None
        )
        factors = dataset.factors.copy()
        factors[:, [dataset.factor_names.index(item.id) for item in there]] = values
        return replace(dataset, factors=factors, eligible=dataset.eligible & np.isfinite(values).all(axis=1))


def refit_of(symbol: str, chosen: FactorSet, read: Callable[[str], RefitDay], keep: Keep = _anew) -> FoldRefit | None:
    """What refits a set's factors for each fold; None for a set without fitted parts."""
    part = fitted_part(chosen)
    return FoldRefit(symbol, part, read, keep) if part.factors else None
