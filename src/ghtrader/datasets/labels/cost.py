"""Execution cost: what a fill costs against the mid at arrival, and what the price does to us afterwards. Ticks, fees apart.

A passive fill at ``p`` of an order that joined at row a: ``cost = p - m(a)`` for a buy, ``m(a) - p`` for a sell (below 0: the half
spread earned, if nothing moved). A taker pays the worse touch of decision and arrival. ``adverse = p - m(after)`` for a buy,
``m(after) - p`` for a sell, ``after`` being the end of a horizon from the fill: above 0, the fill was worth less than it cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.labels.fills import FillEnd, FillLabels
from ghtrader.datasets.labels.runs import BEYOND, Runs, horizon_ends

__all__ = ["ExecutionCost", "passive_cost", "taker_cost"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
_FILLED = int(FillEnd.FILLED)


@dataclass(frozen=True, slots=True)
class ExecutionCost:
    """cost and adverse in ticks, float64, one column per queue model for passive orders; NaN where there is no fill or no mid."""

    cost: F64
    adverse: F64


@nb.njit(cache=True)
def _costs(side: int, paid: Any, arrival: Any, fill: Any, mid: Any, locked: Any, ahead: Any, cost: Any, adverse: Any) -> None:
    for row in range(len(paid)):
        cost[row], adverse[row] = np.nan, np.nan
        if fill[row] < 0:
            continue
        cost[row] = side * (paid[row] - mid[arrival[row]])
        after = ahead[fill[row]]
        if after != BEYOND and not locked[after]:
            adverse[row] = side * (paid[row] - mid[after])


def passive_cost(fills: FillLabels, runs: Runs, after: Horizon, *, buys: bool) -> ExecutionCost:
    """Cost of every filled passive order, (n, 3) each. O(n)."""
    ahead, side = horizon_ends(runs, after), 1 if buys else -1
    out = ExecutionCost(np.empty(fills.end.shape), np.empty(fills.end.shape))
    for model in range(fills.end.shape[1]):
        fill = np.where(fills.end[:, model] == _FILLED, fills.row[:, model], -1)
        _costs(side, fills.price, fills.arrival, fill, runs.mid, runs.locked, ahead, out.cost[:, model], out.adverse[:, model])
    return out


def taker_cost(ticks: DayTicks, fills: FillLabels, runs: Runs, after: Horizon, *, buys: bool) -> ExecutionCost:
    """Cost of taking at every row instead, (n,) each: the worse touch of decision and arrival. O(n).

    fills: the passive orders of the same side, which know when an order arrives.
    """
    side, touch = (1, ticks.ask_px[:, 0]) if buys else (-1, ticks.bid_px[:, 0])
    arrives = (fills.arrival >= 0) & ~np.isnan(runs.mid[fills.arrival]) & ~runs.locked[fills.arrival]
    paid = side * np.maximum(side * touch, side * touch[fills.arrival])
    out = ExecutionCost(np.empty(len(ticks)), np.empty(len(ticks)))
    fill = np.where(arrives, fills.arrival, -1)
    _costs(side, paid, fills.arrival, fill, runs.mid, runs.locked, horizon_ends(runs, after), out.cost, out.adverse)
    return out
