"""Who traded between two snapshots, by the average price of the step: lots sold at the lower, bought at the upper quote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import NO_PRICE, DayTicks

__all__ = ["StepTrades", "step_trades"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepTrades:
    """Per row, of the step that ends in it: ``sold`` lots at price ``low``, ``bought`` lots at price ``high`` (ticks).

    Nothing (0 lots, `NO_PRICE`) on the first row of a run and where the book before or after the step is not two-sided.
    """

    low: I64
    high: I64
    sold: F64
    bought: F64


@nb.njit(cache=True)
def _share_bought(excess: float, half_width: float, last: int, low: int, high: int, has_turnover: bool) -> float:
    if has_turnover:
        return max(0.0, min(1.0, 0.5 + 0.5 * excess / half_width))
    return 1.0 if last >= high else 0.0 if last <= low else 0.5


@nb.njit(cache=True)
def _infer(
    bid: Any, ask: Any, last: Any, volume: Any, amount: Any, tradable: Any, breaks: Any, unit: float,
    low: Any, high: Any, sold: Any, bought: Any,
) -> None:  # fmt: skip
    for row in range(1, len(volume)):
        lots, turnover = volume[row] - volume[row - 1], amount[row] - amount[row - 1]
        if breaks[row] or not (tradable[row] and tradable[row - 1]) or lots <= 0.0:
            continue
        if turnover <= 0.0 and last[row] == NO_PRICE:
            continue
        lower, upper, scale = bid[row - 1], ask[row - 1], lots * unit
        excess = turnover - scale * ((lower + upper) / 2.0)
        if turnover > 0.0 and abs(excess) > scale * (upper - lower) / 2.0:
            # the average lies outside the quotes before: the trades swept into the quotes after
            lower, upper = min(lower, bid[row]), max(upper, ask[row])
            excess = turnover - scale * ((lower + upper) / 2.0)
        share = _share_bought(excess, scale * (upper - lower) / 2.0, last[row], lower, upper, turnover > 0.0)
        low[row], high[row] = lower, upper
        bought[row] = share * lots
        sold[row] = (1.0 - share) * lots


def step_trades(ticks: DayTicks, tradable: npt.NDArray[np.bool_]) -> StepTrades:
    """Trades of every step of a day. tradable: rows with a two-sided, uncrossed, unlocked book in continuous trading. O(n)."""
    size = len(ticks)
    trades = StepTrades(np.full(size, NO_PRICE), np.full(size, NO_PRICE), np.zeros(size), np.zeros(size))
    _infer(
        ticks.bid_px[:, 0], ticks.ask_px[:, 0], ticks.last_px, ticks.volume, ticks.amount, tradable, ticks.break_before,
        ticks.price_tick * ticks.multiplier, trades.low, trades.high, trades.sold, trades.bought,
    )  # fmt: skip
    return trades
