"""A given list of orders against a day's snapshots: every order as if it were our only one.

Orders are independent probes of the market, so that fills under `back`, `pro_rata` and `front` nest order by order; only
displayed size taken on arrival is consumed once across the list, in order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import FillModel, OrderKind, RejectReason
from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.day_ticks import DayTicks
from ghtrader.sim.queue_kernel import (
    LIVE,
    UNSEEN,
    advance_queue,
    carry_used,
    displayed,
    infer_trades,
    queue_after_gap,
    queue_at,
    take,
    whole_lots,
)

__all__ = ["FillArray", "OrderArray", "Trades", "live_rows", "simulate_orders", "trades_of"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

NEVER_NS = np.iinfo(np.int64).max
NO_PRICE = -(1 << 40)
FAK, FOK = int(OrderKind.FAK), int(OrderKind.FOK)
R_PHASE, R_DEPTH, R_FOK = int(RejectReason.PHASE), int(RejectReason.BEYOND_DEPTH), int(RejectReason.NOT_FILLABLE)
R_AFTER, R_LIMIT = int(RejectReason.AFTER_DATA), int(RejectReason.LIMIT)
CONTINUOUS = int(Phase.CONTINUOUS)


@dataclass(frozen=True)
class OrderArray:
    """Orders as arrays (m,): side 1/-1, limit price in ticks, lots, decision time ns, kind, cancel decision ns.

    ``cancel_ns`` of ``NEVER_NS`` rests until the end of the trading day. Sorted by decision time.
    """

    side: I64
    price: I64
    lots: I64
    decision_ns: I64
    kind: I64
    cancel_ns: I64


@dataclass(frozen=True)
class FillArray:
    """Fills as arrays (f,), by order then time: order index, row, price paid in ticks, lots, passive; and rejects (m,)."""

    order: I64
    row: I64
    price: I64
    lots: I64
    passive: npt.NDArray[np.bool_]
    reject: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Trades:
    """Inferred trades by row: lots sold at ``low``, bought at ``high``; ``live`` rows can fill."""

    low: I64
    high: I64
    sold: F64
    bought: F64
    live: npt.NDArray[np.int8]


def live_rows(ticks: DayTicks) -> npt.NDArray[np.int8]:
    """1 where a fill is possible: continuous trading, two-sided and uncrossed book, no locked limit."""
    bid, ask = ticks.bid_px[:, 0], ticks.ask_px[:, 0]
    locked = (ticks.flags & np.uint32(TickFlag.AT_LIMIT)) != 0
    live = (ticks.phase == CONTINUOUS) & (bid != NO_PRICE) & (ask != NO_PRICE) & (bid < ask) & ~locked
    return np.asarray(live, dtype=np.int8)


def trades_of(ticks: DayTicks) -> Trades:
    """Trades between snapshots, inferred from turnover and volume."""
    size = len(ticks)
    trades = Trades(np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size), np.empty(size), live_rows(ticks))
    infer_trades(
        ticks.bid_px,
        ticks.ask_px,
        ticks.last_px,
        ticks.volume,
        ticks.amount,
        trades.live,
        ticks.break_before,
        ticks.price_tick * ticks.multiplier,
        trades.low,
        trades.high,
        trades.sold,
        trades.bought,
    )
    return trades


@nb.njit(cache=True)
def _arrive(
    ts: Any, phase: Any, breaks: Any, live: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, upper: Any, lower: Any,
    side: Any, price: Any, lots: Any, decision: Any, kind: Any, latency: int,
    join: Any, left: Any, reject: Any, f_order: Any, f_row: Any, f_price: Any, f_lots: Any,
) -> int:  # fmt: skip
    """First pass, orders by arrival: phase and depth checks, displayed size taken. Returns the number of fills.

    join: row at which an order rests (-1: it does not). left: lots still open then.
    """
    used_bid, used_ask = np.zeros(5, np.int64), np.zeros(5, np.int64)
    paid, got = np.zeros(5, np.int64), np.zeros(5, np.int64)
    fills, at_row, decided = 0, 0, 0
    for order in range(len(side)):
        join[order], left[order], reject[order] = -1, lots[order], 0
        while decided + 1 < len(ts) and ts[decided + 1] <= decision[order]:
            decided += 1
        row = max(at_row, decided)
        while row < len(ts) and ts[row] < decision[order] + latency:
            row += 1
        if row >= len(ts):
            reject[order] = R_AFTER
            continue
        while at_row < row:
            at_row += 1
            if used_bid.any() or used_ask.any():
                carry_used(bid_px[at_row - 1], bid_px[at_row], bid_sz[at_row], used_bid)
                carry_used(ask_px[at_row - 1], ask_px[at_row], ask_sz[at_row], used_ask)
        immediate = kind[order] == FAK or kind[order] == FOK
        if phase[row] != CONTINUOUS or (immediate and breaks[row]):
            reject[order] = R_PHASE
            continue
        if (upper[row] != NO_PRICE and price[order] > upper[row]) or (lower[row] != NO_PRICE and price[order] < lower[row]):
            reject[order] = R_LIMIT
            continue
        buys = side[order] == 1
        prices, sizes, used = (ask_px[row], ask_sz[row], used_ask) if buys else (bid_px[row], bid_sz[row], used_bid)
        if live[row] == LIVE and not breaks[row]:
            touch = NO_PRICE
            if ts[decided] <= decision[order] and live[decided] == LIVE:
                touch = ask_px[decided, 0] if buys else bid_px[decided, 0]
            if kind[order] == FOK:
                trial = used.copy()
                count = take(side[order], price[order], touch, lots[order], prices, sizes, trial, paid, got)
                if got[:count].sum() < lots[order]:
                    reject[order] = R_FOK
                    continue
            count = take(side[order], price[order], touch, lots[order], prices, sizes, used, paid, got)
            for level in range(count):
                f_order[fills], f_row[fills], f_price[fills], f_lots[fills] = order, row, paid[level], got[level]
                left[order] -= got[level]
                fills += 1
        elif kind[order] == FOK:
            reject[order] = R_FOK
            continue
        if left[order] > 0 and not immediate:
            own_px, own_sz = (bid_px[row], bid_sz[row]) if buys else (ask_px[row], ask_sz[row])
            if displayed(own_px, own_sz, side[order], price[order]) == UNSEEN:
                reject[order] = R_DEPTH
            else:
                join[order] = row
    return fills


@nb.njit(cache=True)
def _rest(
    ts: Any, breaks: Any, gaps: Any, live: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any,
    low: Any, high: Any, sold: Any, bought: Any,
    order: int, side: int, price: int, lots: int, row: int, cancel_at: int, model: int,
    f_order: Any, f_row: Any, f_price: Any, f_lots: Any, fills: int,
) -> int:  # fmt: skip
    """Second pass, one resting order: walk the rows after ``row`` until it is filled, cancelled or the day ends."""
    buys = side == 1
    own_px, own_sz = (bid_px, bid_sz) if buys else (ask_px, ask_sz)
    other_px, other_sz = (ask_px, ask_sz) if buys else (bid_px, bid_sz)
    queue = queue_at(own_px[row], own_sz[row], side, price, model)
    before = displayed(own_px[row], own_sz[row], side, price)
    reach, filled, lost = 0.0, 0, False
    for at in range(row + 1, len(ts)):
        if ts[at] >= cancel_at:
            break
        lost = lost or gaps[at]
        if live[at] != LIVE:
            continue
        now = displayed(own_px[at], own_sz[at], side, price)
        if lost or breaks[at] or live[at - 1] != LIVE:
            if lost:
                queue = queue_after_gap(now, model)
            elif now != UNSEEN:
                queue = min(queue, now)
            before, lost = now, False
            continue
        queue, beyond = advance_queue(side, price, queue, model, low[at], high[at], sold[at], bought[at], before, now)
        reach += beyond
        crossing = 0
        for level in range(5):
            offered = other_px[at, level]
            if offered == NO_PRICE or (buys and offered > price) or (not buys and offered < price):
                break
            crossing += other_sz[at, level]
        goal = min(lots, whole_lots(reach) + crossing)
        if crossing > 0:
            queue, reach = 0.0, max(reach, float(goal))
        if goal > filled:
            f_order[fills], f_row[fills], f_price[fills], f_lots[fills] = order, at, price, goal - filled
            fills += 1
            filled = goal
            if filled == lots:
                break
        before = now
    return fills


@nb.njit(cache=True)
def _simulate(
    ts: Any, phase: Any, breaks: Any, gaps: Any, live: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, upper: Any, lower: Any,
    low: Any, high: Any, sold: Any, bought: Any,
    side: Any, price: Any, lots: Any, decision: Any, kind: Any, cancel: Any, latency: int, model: int,
    reject: Any, f_order: Any, f_row: Any, f_price: Any, f_lots: Any,
) -> tuple[int, int]:  # fmt: skip
    join, left = np.empty(len(side), np.int64), np.empty(len(side), np.int64)
    taken = _arrive(
        ts, phase, breaks, live, bid_px, bid_sz, ask_px, ask_sz, upper, lower, side, price, lots, decision, kind, latency,
        join, left, reject, f_order, f_row, f_price, f_lots,
    )  # fmt: skip
    fills = taken
    for order in range(len(side)):
        if join[order] >= 0:
            cancel_at = cancel[order] if cancel[order] == NEVER_NS else cancel[order] + latency
            fills = _rest(
                ts, breaks, gaps, live, bid_px, bid_sz, ask_px, ask_sz, low, high, sold, bought,
                order, side[order], price[order], left[order], join[order], cancel_at, model,
                f_order, f_row, f_price, f_lots, fills,
            )  # fmt: skip
    return taken, fills


def simulate_orders(
    ticks: DayTicks, orders: OrderArray, model: FillModel, *, latency_ns: int, trades: Trades | None = None
) -> FillArray:
    """Fills of a list of orders on one trading day under one fill model.

    Parameters
    ----------
    ticks: the day. orders: sorted by decision time; raises UsageError otherwise, or when lots are not positive.
    latency_ns: from decision to the exchange, for orders and cancels. trades: :func:`trades_of` when at hand.

    An order joins at the first snapshot at or after decision + latency. What arrives in an auction is rejected, FAK and
    FOK also on the first snapshot after a break or a ledger gap, so also what arrives inside a gap. GFD orders survive breaks
    and gaps, after a gap behind all that is displayed; what is left ends with the day.
    """
    if len(orders.side) and (np.any(np.diff(orders.decision_ns) < 0) or np.any(orders.lots <= 0)):
        raise UsageError("orders must be sorted by decision time and have positive lots")
    known = trades_of(ticks) if trades is None else trades
    count = len(orders.side)
    capacity = int(orders.lots.sum()) + 1
    reject = np.zeros(count, np.uint8)
    out = [np.empty(capacity, np.int64) for _ in range(4)]
    taken, fills = _simulate(
        ticks.ts_ns,
        ticks.phase,
        ticks.break_before,
        ticks.gap_before,
        known.live,
        ticks.bid_px,
        ticks.bid_sz,
        ticks.ask_px,
        ticks.ask_sz,
        ticks.upper_px,
        ticks.lower_px,
        known.low,
        known.high,
        known.sold,
        known.bought,
        orders.side,
        orders.price,
        orders.lots,
        orders.decision_ns,
        orders.kind,
        orders.cancel_ns,
        latency_ns,
        int(model),
        reject,
        *out,
    )
    passive = np.zeros(fills, np.bool_)
    passive[taken:] = True
    index = np.lexsort((out[1][:fills], out[0][:fills]))
    order, row, price, lots = (values[:fills][index] for values in out)
    return FillArray(order, row, price, lots, passive[index], reject)
