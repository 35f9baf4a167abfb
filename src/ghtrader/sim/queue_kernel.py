"""The queue on snapshots, compiled: who traded, what is ahead of us, what we take. Shared by order lists and policies.

Between two snapshots the traded volume is split by its average price into lots sold at the lower and bought at the upper
reference quote (the previous quotes; widened by the new ones when the average lies outside them). A buy order at price p:

* sells at p reduce the queue ahead; what goes beyond it fills us. Sells below p traded through us: no queue is left.
* a fall of the displayed size at p beyond the trades is cancels; the fill model says how many of them were ahead.
* the queue ahead is never more than what is displayed at p.
* an ask at or below p fills us from its displayed size.
* after a ledger gap nobody knows the queue: we stand behind all that is displayed, or, beyond level 5, behind whatever will be.
* nothing fills on a break row, outside continuous trading, with a one-sided book or at a locked limit; the bid falling
  away without trades at our price is no fill.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

__all__ = ["LIVE", "UNSEEN", "advance_queue", "displayed", "infer_trades", "queue_after_gap", "queue_at", "take"]

NO_PRICE = -(1 << 40)
LEVELS = 5
BACK, PRO_RATA, FRONT, FIRST = 0, 1, 2, 3
UNSEEN = -1.0
#: A queue that nobody saw: longer than any displayed size, so that the first one that is seen replaces it.
UNKNOWN_QUEUE = 1e15
LIVE = 1
ROUNDING = 1e-9


@nb.njit(cache=True)
def infer_trades(
    bid_px: Any, ask_px: Any, last_px: Any, volume: Any, amount: Any, live: Any, breaks: Any, unit: float,
    low: Any, high: Any, sold: Any, bought: Any,
) -> None:  # fmt: skip
    """Lots sold at ``low`` and bought at ``high`` since the previous row; nothing on rows that cannot fill.

    live: int8, 1 where a fill is possible at all (continuous, two-sided, uncrossed, not limit-locked).
    """
    for row in range(len(volume)):
        low[row], high[row], sold[row], bought[row] = NO_PRICE, NO_PRICE, 0.0, 0.0
        if row == 0 or breaks[row] or live[row] != LIVE or live[row - 1] != LIVE:
            continue
        lots = volume[row] - volume[row - 1]
        if lots <= 0.0:
            continue
        lower, upper = bid_px[row - 1, 0], ask_px[row - 1, 0]
        turnover = amount[row] - amount[row - 1]
        if turnover > 0.0:
            scale = lots * unit
            excess = turnover - scale * ((lower + upper) / 2.0)
            if abs(excess) > scale * (upper - lower) / 2.0:
                lower, upper = min(lower, bid_px[row, 0]), max(upper, ask_px[row, 0])
                excess = turnover - scale * ((lower + upper) / 2.0)
            share = 2.0 * excess / (scale * (upper - lower))
        elif last_px[row] == NO_PRICE:
            continue
        else:
            share = 1.0 if last_px[row] >= upper else -1.0 if last_px[row] <= lower else 0.0
        share = max(-1.0, min(1.0, share))
        low[row], high[row] = lower, upper
        bought[row] = (1.0 + share) / 2.0 * lots
        sold[row] = (1.0 - share) / 2.0 * lots


@nb.njit(cache=True)
def displayed(prices: Any, sizes: Any, side: int, price: int) -> float:
    """Size shown at ``price`` on our side (1 bids, -1 asks): 0 where it would be seen but is empty, UNSEEN beyond level 5."""
    deepest = NO_PRICE
    for level in range(LEVELS):
        if prices[level] == NO_PRICE:
            return 0.0
        if prices[level] == price:
            return float(sizes[level])
        deepest = prices[level]
    beyond = price < deepest if side == 1 else price > deepest
    return UNSEEN if beyond else 0.0


@nb.njit(cache=True)
def queue_at(prices: Any, sizes: Any, side: int, price: int, model: int) -> float:
    """Queue ahead of an order that joins now; UNSEEN where no queue is known."""
    size = displayed(prices, sizes, side, price)
    return 0.0 if model == FIRST and size != UNSEEN else size


@nb.njit(cache=True)
def queue_after_gap(size: float, model: int) -> float:
    """Queue ahead of an order that was alive across a gap, where ``size`` is displayed at its price now (UNSEEN allowed)."""
    if model == FIRST:
        return 0.0
    return UNKNOWN_QUEUE if size == UNSEEN else size


@nb.njit(cache=True)
def advance_queue(
    side: int, price: int, queue: float, model: int,
    traded_low: int, traded_high: int, sold: float, bought: float,
    size_before: float, size_now: float,
) -> tuple[float, float]:  # fmt: skip
    """One step of a resting order: (queue ahead, lots that went beyond it). All sizes as floats, UNSEEN allowed."""
    reference = traded_low if side == 1 else traded_high
    volume = sold if side == 1 else bought
    if volume > 0.0 and ((side == 1 and reference < price) or (side == -1 and reference > price)):
        return 0.0, volume
    at_price = volume if reference == price else 0.0
    beyond = max(0.0, at_price - queue)
    queue = max(0.0, queue - at_price)
    if size_before != UNSEEN and size_now != UNSEEN:
        left = size_before - at_price
        cancelled = max(0.0, left - size_now)
        if cancelled > 0.0 and left > 0.0:
            if model == PRO_RATA:
                queue = queue - cancelled * min(1.0, queue / left)
            elif model == FRONT:
                queue = queue - cancelled
        queue = max(0.0, queue)
    if size_now != UNSEEN:
        queue = min(queue, size_now)
    return queue, beyond


@nb.njit(cache=True)
def take(
    side: int, limit: int, touch_at_decision: int, lots: int, prices: Any, sizes: Any, used: Any, levels_out: Any, lots_out: Any
) -> int:
    """Take displayed size of the opposite side up to ``limit``; returns how many levels gave something.

    prices, sizes: opposite side, best first. used: lots of each level already consumed by us, raised here. The price
    paid is the worse of the level at arrival and the touch at decision; levels whose price paid would pass the limit
    are left. levels_out, lots_out: price paid and lots by level, (5,).
    """
    count = 0
    for level in range(LEVELS):
        price = prices[level]
        if price == NO_PRICE or lots <= 0:
            break
        paid = price
        if touch_at_decision != NO_PRICE:
            paid = max(price, touch_at_decision) if side == 1 else min(price, touch_at_decision)
        if (side == 1 and paid > limit) or (side == -1 and paid < limit):
            break
        free = sizes[level] - used[level]
        if free <= 0:
            continue
        got = min(lots, free)
        used[level] += got
        lots -= got
        levels_out[count], lots_out[count] = paid, got
        count += 1
    return count


@nb.njit(cache=True)
def carry_used(before: Any, prices: Any, sizes: Any, used: Any) -> None:
    """Carry consumption to the next snapshot: the same price keeps it up to the size now shown, a new price starts at 0."""
    old = used.copy()
    used[:] = 0
    for level in range(LEVELS):
        if prices[level] == NO_PRICE:
            break
        for earlier in range(LEVELS):
            if before[earlier] == prices[level]:
                used[level] = min(old[earlier], sizes[level])


@nb.njit(cache=True)
def whole_lots(reach: float) -> int:
    """Whole lots in a sum of fractional ones (rounding of sums must not lose a lot)."""
    return int(np.floor(reach + ROUNDING))
