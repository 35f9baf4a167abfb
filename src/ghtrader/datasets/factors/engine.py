"""Factors of a day in one pass, and of one tick after another: the same kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors import kernels
from ghtrader.datasets.factors.declaration import FactorSet

__all__ = ["FactorStream", "compute", "flip", "part_ends"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def part_ends(ticks: DayTicks, sessions: DaySessions) -> I64:
    """End of the session part each row stands in, ns; 0 where it stands in none."""
    ends = np.zeros(5, dtype=np.int64)
    for window in sessions.parts:
        ends[int(window.part)] = window.end_ns
    return ends[np.where(ticks.part < 0, 4, ticks.part)]


def _state() -> tuple[F64, I64, I64, F64]:
    s = np.zeros(kernels.SIZE_S)
    s[kernels.S_DT] = -1.0
    return s, np.zeros(kernels.SIZE_K, np.int64), np.zeros(kernels.RING, np.int64), np.zeros(kernels.RING)


def compute(ticks: DayTicks, sessions: DaySessions, chosen: FactorSet) -> F64:
    """Factors of every row of a day, float64 (n, F); NaN where undefined. Uses rows <= i only."""
    out = np.empty((len(ticks), kernels.N_FACTORS))
    kernels.run_batch(
        *_state(),
        ticks.ts_ns,
        ticks.bid_px,
        ticks.bid_sz,
        ticks.ask_px,
        ticks.ask_sz,
        ticks.last_px,
        ticks.volume,
        ticks.amount,
        ticks.open_interest,
        ticks.break_before,
        ticks.phase == int(Phase.CONTINUOUS),
        part_ends(ticks, sessions),
        ticks.price_tick * ticks.multiplier,
        out,
    )
    return np.ascontiguousarray(out[:, [factor.slot for factor in chosen.factors]])


class FactorStream:
    """Factors tick by tick; ``step`` returns the same numbers as :func:`compute`, bit for bit."""

    def __init__(self, chosen: FactorSet, *, tick_value_cny: float) -> None:
        self._state = _state()
        self._unit = tick_value_cny
        self._out = np.empty(kernels.N_FACTORS)
        self._slots = np.array([factor.slot for factor in chosen.factors])

    def step(
        self,
        ts_ns: int,
        bid_px: I64,
        bid_sz: I64,
        ask_px: I64,
        ask_sz: I64,
        last_px: int,
        volume: float,
        amount: float,
        open_interest: float,
        *,
        break_before: bool,
        continuous: bool,
        part_end_ns: int,
    ) -> F64:
        """Factors after one snapshot, float64 (F,). Parameters as one row of `DayTicks`."""
        kernels.step(
            *self._state,
            ts_ns,
            bid_px,
            bid_sz,
            ask_px,
            ask_sz,
            last_px,
            volume,
            amount,
            open_interest,
            break_before,
            continuous,
            part_end_ns,
            self._unit,
            self._out,
        )
        return np.asarray(self._out[self._slots], dtype=np.float64)


def flip(ticks: DayTicks) -> DayTicks:
    """The mirrored market: bids become asks, prices reflect around the first mid, turnover with them.

    Odd factors change sign on it, even ones do not: the symmetry every factor's test relies on.
    """
    from dataclasses import replace

    from ghtrader.data.day_ticks import NO_PRICE

    present = ticks.bid_px[:, 0][ticks.bid_px[:, 0] != NO_PRICE]
    centre = 2 * int(present[0]) if len(present) else 0

    def mirror(prices: I64) -> I64:
        return np.where(prices == NO_PRICE, NO_PRICE, centre - prices)

    unit = ticks.price_tick * ticks.multiplier
    return replace(
        ticks,
        bid_px=mirror(ticks.ask_px),
        ask_px=mirror(ticks.bid_px),
        bid_sz=ticks.ask_sz,
        ask_sz=ticks.bid_sz,
        last_px=mirror(ticks.last_px),
        amount=np.where(ticks.amount > 0, centre * unit * ticks.volume - ticks.amount, ticks.amount),
        upper_px=mirror(ticks.lower_px),
        lower_px=mirror(ticks.upper_px),
    )
