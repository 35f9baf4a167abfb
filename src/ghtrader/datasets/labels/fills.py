"""Fill labels: would a passive order of one lot, joining the best quote now, be filled, and when? Under three queue models.

The decision falls at row t, the limit price is the best own quote of that row. The order joins at the first snapshot at or after
t + latency, behind what is displayed at its price there, and is cancelled ``patience`` after the decision (the cancel takes the
same latency). From the next snapshot on it is filled when trades at its price go beyond the queue ahead, when trades go through
its price, or when the opposite quote reaches it. Sizes that vanish without trades are cancels: behind us (`back`), spread over
the queue (`pro_rata`) or ahead of us (`front`).

Competing risk: the own best quote stands ``away_ticks`` or more beyond the price (the market left without us). What was not seen to
its end is right-censored where observation stops: end of the session part, gap, roll, a book in which nothing fills (one-sided,
crossed, locked at a limit), end of the data. An order is looked at no longer than its patience, so a day costs at most
rows x rows within the patience.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.orders import FillModel
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.datasets.day_dataset import VoidReason
from ghtrader.datasets.labels.runs import Runs, runs_of
from ghtrader.datasets.labels.trades import StepTrades, step_trades

__all__ = ["FILL_MODELS", "MAX_AWAY_TICKS", "FillEnd", "FillLabels", "fill_labels"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

#: The queue models, in the order of the columns of every array.
FILL_MODELS: tuple[FillModel, ...] = (FillModel.BACK, FillModel.PRO_RATA, FillModel.FRONT)
#: The price may move away by no more than the book shows levels: beyond them the queue is unknown.
MAX_AWAY_TICKS = 5


class FillEnd(IntEnum):
    """How an order ended, or why it was seen no longer. Stored; append-only."""

    VOID = 0  # no order: the row itself is void
    FILLED = 1
    AWAY = 2  # competing risk: the price moved away first
    PATIENCE = 3  # cancelled, not filled
    BREAK = 4  # from here on right-censored: end of the session part
    GAP = 5
    ROLL = 6
    HALT = 7  # a book in which nothing fills
    END = 8  # end of the trading day or of the data


_FILLED, _AWAY, _PATIENCE, _HALT = int(FillEnd.FILLED), int(FillEnd.AWAY), int(FillEnd.PATIENCE), int(FillEnd.HALT)
#: `VoidReason` of what ends a run -> how an order in it ends.
_CENSORED = np.zeros(max(VoidReason) + 1, np.uint8)
for _cause in (FillEnd.BREAK, FillEnd.GAP, FillEnd.ROLL, FillEnd.END):
    _CENSORED[VoidReason[_cause.name]] = _cause
_BACK, _PRO_RATA, _FRONT = 0, 1, 2
_LEVELS = 5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class FillLabels:
    """Orders on one side, one a row. end: uint8 (n, 3) of `FillEnd`, columns as `FILL_MODELS`. row: int64 (n, 3), the row of the
    event, or the last row at which the order was seen unfilled; -1 where void. price: int64 (n,) ticks. arrival: int64 (n,), the
    row at which the order joins, -1 where there is none in the run.
    """

    end: U8
    row: I64
    price: I64
    arrival: I64

    def filled(self) -> F64:
        """1 filled within the patience, 0 not (cancelled, or the price moved away), NaN void or censored; (n, 3)."""
        known = np.where((self.end == _AWAY) | (self.end == _PATIENCE), 0.0, np.nan)
        return np.where(self.end == _FILLED, 1.0, known)

    def ticks(self) -> I64:
        """Snapshots from the decision to ``row``, (n, 3); -1 where void."""
        return np.where(self.row < 0, -1, self.row - np.arange(len(self.row))[:, None])

    def seconds(self, ts_ns: I64) -> F64:
        """Seconds from the decision to ``row``, (n, 3); NaN where void."""
        return np.where(self.row < 0, np.nan, (ts_ns[self.row] - ts_ns[:, None]) / NS_PER_S)


@nb.njit(cache=True)
def _shown(prices: Any, sizes: Any, price: int) -> float:
    """Size displayed at ``price`` among the bids; 0 where none is."""
    for level in range(_LEVELS):
        if prices[level] == price:
            return float(sizes[level])
        if prices[level] == NO_PRICE:
            break
    return 0.0


@nb.njit(cache=True)
def _advance(model: int, queue: float, traded: float, before: float, now: float) -> float:
    """Queue ahead after a step: trades at the price take from its head, cancels as the model says, never more than is shown."""
    ahead = max(0.0, queue - traded)
    rest = before - traded
    cancelled = rest - now
    if cancelled > 0.0 and rest > 0.0:
        if model == _PRO_RATA:
            ahead -= cancelled * min(1.0, ahead / rest)
        elif model == _FRONT:
            ahead -= cancelled
    return min(max(0.0, ahead), now)


@nb.njit(cache=True)
def _stops(at: int, last: int, ts: Any, tradable: Any, cancel_at: int, cause: int) -> int:
    """Why the order is not looked at in row ``at`` any more; 0 when it is."""
    if at > last:
        return cause
    if ts[at] >= cancel_at:
        return _PATIENCE
    return 0 if tradable[at] else _HALT


@nb.njit(cache=True)
def _work(
    ts: Any, own_px: Any, own_sz: Any, other_px: Any, reference: Any, traded: Any, tradable: Any,
    price: int, row: int, last: int, cancel_at: int, cause: int, away: int, queue: Any, reach: Any, end: Any, at_row: Any,
) -> None:  # fmt: skip
    """One order that rests from ``row`` on, under every model at once; ``end`` and ``at_row`` of each model are set."""
    before = _shown(own_px[row], own_sz[row], price)
    for model in range(3):
        queue[model], reach[model], end[model] = before, 0.0, 0
    open_orders, at = 3, row
    while open_orders:
        at += 1
        stop, seen = _stops(at, last, ts, tradable, cancel_at, cause), at - 1
        if not stop:
            now = _shown(own_px[at], own_sz[at], price)
            lots = traded[at]
            through = lots > 0.0 and reference[at] < price
            here = lots if reference[at] == price else 0.0
            for model in range(3):
                reach[model] += lots if through else max(0.0, here - queue[model])
                queue[model] = 0.0 if through else _advance(model, queue[model], here, before, now)
                if not end[model] and (other_px[at, 0] <= price or reach[model] + _ROUNDING >= 1.0):
                    end[model], at_row[model] = _FILLED, at
                    open_orders -= 1
            before = now
            if own_px[at, 0] - price >= away:
                stop, seen = _AWAY, at
        if stop:
            for model in range(3):
                if not end[model]:
                    end[model], at_row[model] = stop, seen
            return


@nb.njit(cache=True)
def _orders(
    ts: Any, own_px: Any, own_sz: Any, other_px: Any, reference: Any, traded: Any, tradable: Any,
    start: Any, ends: Any, censored: Any, latency: int, patience: int, away: int, end: Any, at_row: Any, arrival: Any,
) -> None:  # fmt: skip
    queue, reach = np.zeros(3), np.zeros(3)
    joins = 0
    for row in range(len(ts)):
        if start[row]:
            continue
        joins = max(joins, row)
        while joins < len(ts) and ts[joins] < ts[row] + latency:
            joins += 1
        price, last, cancel_at = own_px[row, 0], ends[row], ts[row] + patience + latency
        stop, seen = _stops(joins, last, ts, tradable, cancel_at, censored[row]), min(joins - 1, last)
        if joins <= last:
            arrival[row] = joins
            if not stop and own_px[joins, 0] - price >= away:
                stop, seen = _AWAY, joins
        if stop:
            end[row, :], at_row[row, :] = stop, seen
            continue
        _work(
            ts, own_px, own_sz, other_px, reference, traded, tradable, price, joins, last, cancel_at, censored[row], away,
            queue, reach, end[row], at_row[row],
        )  # fmt: skip


def _mirrored(prices: I64) -> I64:
    return np.where(prices == NO_PRICE, NO_PRICE, -prices)


def fill_labels(
    ticks: DayTicks,
    side: Literal["bid", "ask"],
    *,
    latency_ns: int,
    patience_ns: int,
    away_ticks: int,
    runs: Runs | None = None,
    trades: StepTrades | None = None,
) -> FillLabels:
    """Orders of one lot joining the best ``side`` at every row.

    latency_ns: decision to exchange, for the order and its cancel; 0 or more. patience_ns: above 0. away_ticks: 1 to
    `MAX_AWAY_TICKS`. runs, trades: when at hand.
    """
    known = runs_of(ticks) if runs is None else runs
    tradable = known.continuous & ~known.locked & ~np.isnan(known.mid)
    steps = step_trades(ticks, tradable) if trades is None else trades
    if side == "bid":
        own_px, own_sz, other_px, reference, traded = ticks.bid_px, ticks.bid_sz, ticks.ask_px, steps.low, steps.sold
    else:  # a sell is a buy in a market turned upside down
        own_px, own_sz, other_px = _mirrored(ticks.ask_px), ticks.ask_sz, _mirrored(ticks.bid_px)
        reference, traded = _mirrored(steps.high), steps.bought
    size = len(ticks)
    found = FillLabels(np.zeros((size, 3), np.uint8), np.full((size, 3), -1), ticks.ask_px[:, 0], np.full(size, -1))
    if side == "bid":
        found = FillLabels(found.end, found.row, ticks.bid_px[:, 0], found.arrival)
    _orders(
        ticks.ts_ns, own_px, own_sz, other_px, reference, traded, tradable, known.start, known.ends, _CENSORED[known.causes],
        latency_ns, patience_ns, away_ticks, found.end, found.row, found.arrival,
    )  # fmt: skip
    return found
