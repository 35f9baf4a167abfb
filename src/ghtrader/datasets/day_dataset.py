"""``DayDataset``: one trading day of factors and labels, row by row with the ticks. What training and judging read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.trading_day import TradingDay

__all__ = ["DayDataset", "Horizon", "VoidReason", "present_factors"]


class Horizon(msgspec.Struct, frozen=True, order=True):
    """How far a label looks: ``Horizon("ticks", 50)`` emitted snapshots or ``Horizon("seconds", 25)`` of exchange time.

    >>> str(Horizon("ticks", 50)), str(Horizon("seconds", 5))
    ('50t', '5s')
    """

    unit: Literal["ticks", "seconds"]
    length: int

    def __str__(self) -> str:
        return f"{self.length}{'t' if self.unit == 'ticks' else 's'}"


class VoidReason(IntEnum):
    """Why a row has no label (0: it has one). Stored; append-only. A void label is never FLAT."""

    NONE = 0
    NOT_CONTINUOUS = 1  # the row stands in an auction or outside continuous trading
    ONE_SIDED = 2  # no two-sided, uncrossed book at the row
    ONE_SIDED_AHEAD = 3  # none at the horizon's end
    AFTER_BREAK = 4  # first snapshot after a session break, a ledger gap or a roll
    BREAK = 5  # the horizon crosses a session break
    GAP = 6  # the horizon crosses a ledger gap
    ROLL = 7  # the horizon crosses a change of the underlying contract
    LIMIT_LOCK = 8  # the book is locked at a price limit, here or at the horizon's end
    END = 9  # the horizon crosses the end of the trading day, or of the data


@dataclass(frozen=True, slots=True)
class DayDataset:
    """Factors and labels of one symbol and trading day; every array has the rows of the day's ticks.

    factors: (n, F) float64, NaN where undefined. y: (n, H) float64, mid change in ticks over each horizon, NaN where
    void. void: (n, H) uint8 `VoidReason`. mid_ticks: NaN where the book is not two-sided. eligible: rows at which a
    model may predict (continuous phase, two-sided book, every factor finite that needs nothing beside the day's rows).
    build_hash: identity of factor set, label spec, data digests and code. schedule_hash and segment_ids: provenance of the
    rows (empty and (0,) for raw contracts).
    """

    symbol: str
    trading_day: TradingDay
    ts_ns: npt.NDArray[np.int64]
    part: npt.NDArray[np.int8]
    break_before: npt.NDArray[np.bool_]
    mid_ticks: npt.NDArray[np.float64]
    factor_names: tuple[str, ...]
    factors: npt.NDArray[np.float64]
    horizons: tuple[Horizon, ...]
    y: npt.NDArray[np.float64]
    void: npt.NDArray[np.uint8]
    eligible: npt.NDArray[np.bool_]
    build_hash: str
    schedule_hash: str = ""
    segment_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.ts_ns)

    def column(self, horizon: Horizon) -> int:
        """Index of a horizon in ``y`` and ``void``."""
        return self.horizons.index(horizon)

    def keep(self, names: tuple[str, ...]) -> DayDataset:
        """The same day with only these factors, in this order."""
        if names == self.factor_names:
            return self
        columns = [self.factor_names.index(name) for name in names]
        return replace(self, factor_names=names, factors=np.ascontiguousarray(self.factors[:, columns]))


def present_factors(datasets: Sequence[DayDataset]) -> list[DayDataset]:
    """The same days without factors that some eligible row lacks: those that need a peer, the next contract or earlier days.

    What is there on some days only cannot be learned from the others; whether it is there is no matter of what it says.
    """
    known = np.ones(len(datasets[0].factor_names), dtype=np.bool_) if datasets else np.empty(0, dtype=np.bool_)
    for dataset in datasets:
        known &= np.isfinite(dataset.factors[dataset.eligible]).all(axis=0)
    names = tuple(name for name, there in zip(datasets[0].factor_names, known, strict=True) if there) if datasets else ()
    return [dataset.keep(names) for dataset in datasets]
