"""One snapshot of a day venue, compiled: what happens to every working order, and to what arrives.

The market of a day lies in two arrays, so that a step is handed few things: ``market`` int64 (n, 30) and ``flow`` float64 (n, 4).
Orders lie in ``orders`` int64 (capacity, 10) and ``queues`` float64 (capacity, 3), in the order in which they were submitted.
The rules of arrival and of the queue are those of `ghtrader.sim.orders`, or, where ``screening`` is set, those of
`ghtrader.sim.policy_kernel`.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.core.orders import OrderKind, RejectReason
from ghtrader.sim.queue_kernel import (
    LEVELS,
    LIVE,
    UNSEEN,
    advance_queue,
    carry_used,
    displayed,
    queue_after_gap,
    queue_at,
    take,
    whole_lots,
)

__all__ = ["advance_row", "arrive_now"]

NO_PRICE = -(1 << 40)
# columns of ``market``
TS, BREAK, GAP, IS_LIVE, CONTINUOUS, UPPER, LOWER, LOW, HIGH = range(9)
BID_PX, BID_SZ, ASK_PX, ASK_SZ, LAST = 9, 14, 19, 24, 29
MARKET_COLUMNS = 30
# columns of ``flow``
SOLD, BOUGHT, VOLUME, AMOUNT = range(4)
FLOW_COLUMNS = 4
# columns of ``orders``; lots: what is left when the order joins, filled: what it got while it rested
STATE, SIDE, PRICE, LOTS, FILLED, KIND, DECISION, ARRIVES, CANCELLED_AT, LOST = range(10)
ORDER_COLUMNS = 10
QUEUE, REACH, BEFORE = range(3)
QUEUE_COLUMNS = 3
# states of an order
ENDED, SENT, RESTING = range(3)
# columns of ``out``: what happened, the order's slot, price in ticks, lots, passive or the reject reason
WHAT, SLOT, AT_PRICE, OF_LOTS, DETAIL = range(5)
OUT_COLUMNS = 5
ACCEPTED, FILL, CANCELLED, REJECTED = range(4)
#: An order gives at most so many events at one snapshot: accepted, a fill a level, one end.
MOST_EVENTS = LEVELS + 2
FAK, FOK = int(OrderKind.FAK), int(OrderKind.FOK)
R_PHASE, R_DEPTH, R_FOK = int(RejectReason.PHASE), int(RejectReason.BEYOND_DEPTH), int(RejectReason.NOT_FILLABLE)
R_LIMIT, R_TAKES = int(RejectReason.LIMIT), int(RejectReason.WOULD_TAKE)


@nb.njit(cache=True)
def _tell(out: Any, events: int, what: int, slot: int, price: int, lots: int, detail: int) -> int:
    out[events, WHAT], out[events, SLOT], out[events, AT_PRICE] = what, slot, price
    out[events, OF_LOTS], out[events, DETAIL] = lots, detail
    return events + 1


@nb.njit(cache=True)
def _crossing(market: Any, row: int, side: int, price: int) -> int:
    """Lots displayed on the opposite side at our price or better."""
    first, sizes = (ASK_PX, ASK_SZ) if side == 1 else (BID_PX, BID_SZ)
    lots = 0
    for level in range(LEVELS):
        offered = market[row, first + level]
        if offered == NO_PRICE or (side == 1 and offered > price) or (side == -1 and offered < price):
            break
        lots += market[row, sizes + level]
    return lots


@nb.njit(cache=True)
def _own_size(market: Any, row: int, side: int, price: int) -> float:
    first, sizes = (BID_PX, BID_SZ) if side == 1 else (ASK_PX, ASK_SZ)
    return displayed(market[row, first : first + LEVELS], market[row, sizes : sizes + LEVELS], side, price)


@nb.njit(cache=True)
def _rest(
    market: Any, flow: Any, row: int, orders: Any, queues: Any, slot: int, model: int, screening: bool, out: Any, events: int
) -> int:
    """A resting order at one snapshot."""
    order, queue = orders[slot], queues[slot]
    reached = market[row, TS] >= order[CANCELLED_AT]
    if reached and not screening:
        order[STATE] = ENDED
        return _tell(out, events, CANCELLED, slot, order[PRICE], 0, 0)
    if market[row, GAP]:
        order[LOST] = 1
    if market[row, IS_LIVE] != LIVE:
        return events
    if reached:
        order[STATE] = ENDED
        return _tell(out, events, CANCELLED, slot, order[PRICE], 0, 0)
    side, price = order[SIDE], order[PRICE]
    now = _own_size(market, row, side, price)
    if order[LOST] or market[row, BREAK] or market[row - 1, IS_LIVE] != LIVE:
        if order[LOST]:
            queue[QUEUE] = queue_after_gap(now, model)
        elif now != UNSEEN:
            queue[QUEUE] = min(queue[QUEUE], now)
        queue[BEFORE], order[LOST] = now, 0
        return events
    ahead, beyond = advance_queue(
        side, price, queue[QUEUE], model, market[row, LOW], market[row, HIGH], flow[row, SOLD], flow[row, BOUGHT],
        queue[BEFORE], now,
    )  # fmt: skip
    queue[QUEUE], queue[BEFORE] = ahead, now
    queue[REACH] += beyond
    crossing = _crossing(market, row, side, price)
    if screening and crossing > 0:
        crossing = order[LOTS]
    goal = min(order[LOTS], whole_lots(queue[REACH]) + crossing)
    if crossing > 0:
        queue[QUEUE], queue[REACH] = 0.0, max(queue[REACH], float(goal))
    if goal > order[FILLED]:
        events = _tell(out, events, FILL, slot, price, goal - order[FILLED], 1)
        order[FILLED] = goal
        if goal == order[LOTS]:
            order[STATE] = ENDED
    return events


@nb.njit(cache=True)
def _join(market: Any, row: int, orders: Any, queues: Any, slot: int, model: int) -> bool:
    """Put an order behind what is displayed at its price; False where no queue is known."""
    order = orders[slot]
    side, price = order[SIDE], order[PRICE]
    size = _own_size(market, row, side, price)
    if size == UNSEEN:
        return False
    first, sizes = (BID_PX, BID_SZ) if side == 1 else (ASK_PX, ASK_SZ)
    queues[slot, QUEUE] = queue_at(market[row, first : first + LEVELS], market[row, sizes : sizes + LEVELS], side, price, model)
    queues[slot, REACH], queues[slot, BEFORE] = 0.0, size
    order[STATE], order[FILLED], order[LOST] = RESTING, 0, 0
    return True


@nb.njit(cache=True)
def _touch_at_decision(market: Any, row: int, side: int, decision: int) -> int:
    """Opposite touch of the last snapshot that the decision could know; NO_PRICE where it could not be traded on."""
    decided = row
    while decided > 0 and market[decided, TS] > decision:
        decided -= 1
    if market[decided, TS] > decision or market[decided, IS_LIVE] != LIVE:
        return NO_PRICE
    return int(market[decided, ASK_PX] if side == 1 else market[decided, BID_PX])


@nb.njit(cache=True)
def _carry(market: Any, row: int, used: Any, used_row: Any) -> None:
    """Bring what we took of displayed sizes to this snapshot. used: (2, 5), of bids and of asks."""
    at = used_row[0]
    if at >= 0 and used.any():
        while at < row:
            at += 1
            carry_used(
                market[at - 1, BID_PX : BID_PX + 5], market[at, BID_PX : BID_PX + 5], market[at, BID_SZ : BID_SZ + 5], used[0]
            )
            carry_used(
                market[at - 1, ASK_PX : ASK_PX + 5], market[at, ASK_PX : ASK_PX + 5], market[at, ASK_SZ : ASK_SZ + 5], used[1]
            )
    used_row[0] = row


@nb.njit(cache=True)
def _refusal(market: Any, row: int, order: Any, screening: bool) -> int:
    """Why an order is refused on arrival, before it touches the book; 0 when it is not."""
    side, price = order[SIDE], order[PRICE]
    immediate = order[KIND] == FAK or order[KIND] == FOK
    if screening:
        if market[row, IS_LIVE] != LIVE or market[row, BREAK]:
            return R_PHASE
        return R_TAKES if not immediate and _crossing(market, row, side, price) > 0 else 0
    if not market[row, CONTINUOUS] or (immediate and market[row, BREAK]):
        return R_PHASE
    above = market[row, UPPER] != NO_PRICE and price > market[row, UPPER]
    below = market[row, LOWER] != NO_PRICE and price < market[row, LOWER]
    return R_LIMIT if above or below else 0


@nb.njit(cache=True)
def _arrive(
    market: Any, row: int, orders: Any, queues: Any, slot: int, used: Any, used_row: Any, model: int, screening: bool,
    out: Any, events: int,
) -> int:  # fmt: skip
    """An order arrives: refused, filled from what is displayed, and what is left of a day order joins the queue."""
    order = orders[slot]
    side, price, kind = order[SIDE], order[PRICE], order[KIND]
    immediate = kind == FAK or kind == FOK
    refusal = _refusal(market, row, order, screening)
    if refusal:
        order[STATE] = ENDED
        return _tell(out, events, REJECTED, slot, price, 0, refusal)
    begin = events
    events = _tell(out, events, ACCEPTED, slot, price, order[LOTS], 0)
    if screening:
        used[:] = 0
    _carry(market, row, used, used_row)
    if market[row, IS_LIVE] == LIVE and not market[row, BREAK]:
        first, sizes, mine = (ASK_PX, ASK_SZ, used[1]) if side == 1 else (BID_PX, BID_SZ, used[0])
        prices, shown = market[row, first : first + LEVELS], market[row, sizes : sizes + LEVELS]
        touch = _touch_at_decision(market, row, side, order[DECISION])
        paid, got, trial = np.zeros(LEVELS, np.int64), np.zeros(LEVELS, np.int64), mine.copy()
        count = take(side, price, touch, order[LOTS], prices, shown, trial, paid, got)
        if kind != FOK or got[:count].sum() == order[LOTS]:
            mine[:] = trial
            for level in range(count):
                events = _tell(out, events, FILL, slot, paid[level], got[level], 0)
                order[LOTS] -= got[level]
    if order[LOTS] == 0:
        order[STATE] = ENDED
    elif kind == FOK:
        order[STATE] = ENDED
        events = _tell(out, begin, REJECTED, slot, price, 0, R_FOK)
    elif immediate:
        order[STATE] = ENDED
        events = _tell(out, events, CANCELLED, slot, price, 0, 0)
    elif not _join(market, row, orders, queues, slot, model):
        order[STATE] = ENDED
        events = _tell(out, begin if events == begin + 1 else events, REJECTED, slot, price, 0, R_DEPTH)
    elif not screening and market[row, TS] >= order[CANCELLED_AT]:
        order[STATE] = ENDED
        events = _tell(out, events, CANCELLED, slot, price, 0, 0)
    return events


@nb.njit(cache=True)
def arrive_now(
    market: Any, row: int, orders: Any, queues: Any, count: int, used: Any, used_row: Any, model: int, screening: bool,
    out: Any, events: int,
) -> int:  # fmt: skip
    """Let every sent order arrive whose time has come at this snapshot; returns how many events ``out`` holds."""
    for slot in range(count):
        if orders[slot, STATE] == SENT and market[row, TS] >= orders[slot, ARRIVES]:
            events = _arrive(market, row, orders, queues, slot, used, used_row, model, screening, out, events)
    return events


@nb.njit(cache=True)
def advance_row(
    market: Any, flow: Any, row: int, orders: Any, queues: Any, count: int, used: Any, used_row: Any, model: int,
    screening: bool, out: Any,
) -> int:  # fmt: skip
    """Bring the venue to the next snapshot: resting orders first, then what arrives. Returns the number of events in ``out``."""
    events = 0
    for slot in range(count):
        if orders[slot, STATE] == RESTING:
            events = _rest(market, flow, row, orders, queues, slot, model, screening, out, events)
    return arrive_now(market, row, orders, queues, count, used, used_row, model, screening, out, events)
