"""Two policies as one compiled state machine on a day's snapshots.

FLAT -> (strong score) ENTER -> HOLD -> (held long enough, or the score turned) LEAVE -> FLAT. `taker` enters and leaves by
FAK at the touch; `passive` joins the touch, cancels after its patience, leaves passively first and takes when its patience
ends. Near the end of a session part every position is taken out, so nothing is held across a break. Orders and cancels
reach the exchange after the latency; a fill in between counts.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.sim.queue_kernel import LIVE, UNSEEN, advance_queue, displayed, queue_after_gap, queue_at, take, whole_lots

__all__ = ["ENDED_SHORT", "LOG_COLUMNS", "REFUSED", "run_day"]

NO_PRICE = -(1 << 40)
FAR = 1 << 30
FLAT, ENTER, HOLD, LEAVE = 0, 1, 2, 3
NONE, SENT, RESTING = 0, 1, 2
#: Columns of the log: rows of decision and end, side, whether it opens, price, lots, whether it takes, lots filled, how it ended.
DECIDED, ENDED, SIDE, OPENS, PRICE, LOTS, TAKES, FILLED, END = 0, 1, 2, 3, 4, 5, 6, 7, 8
LOG_COLUMNS = 9
#: How a logged order ended: something else is filled whole, or still open at the end of the day where its row is -1.
ENDED_SHORT, REFUSED = 1, 2


@nb.njit(cache=True)
def _log(log: Any, number: int, row: int, side: int, opens: bool, price: int, lots: int, takes: bool) -> None:
    """Write down an order that was just decided, where there is room."""
    if number < len(log):
        log[number, DECIDED], log[number, ENDED], log[number, SIDE], log[number, OPENS] = row, -1, side, opens
        log[number, PRICE], log[number, LOTS], log[number, TAKES] = price, lots, takes
        log[number, FILLED], log[number, END] = 0, 0


@nb.njit(cache=True)
def run_day(
    ts: Any, breaks: Any, gaps: Any, live: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any,
    low: Any, high: Any, sold: Any, bought: Any, part_end: Any, score: Any,
    threshold: float, passive: bool, lots: int, latency: int, hold: int, patience: int, flat_before: int, model: int,
    f_row: Any, f_side: Any, f_open: Any, f_price: Any, f_lots: Any, f_passive: Any, counts: Any, log: Any,
) -> int:  # fmt: skip
    """Run one day; returns the number of fills.

    score: float64 (n,), NaN where nothing may be decided. counts: int64 (4,): orders, cancels, unfilled entries, rejects.
    f_side: side of the fill (1 buys); f_open: it opens a position. log: int64 (m, LOG_COLUMNS), the first m orders; m may be 0.
    """
    used = np.zeros(5, np.int64)
    paid, got = np.zeros(5, np.int64), np.zeros(5, np.int64)
    state, position, direction, entered = FLAT, 0, 0, 0
    # the one working order
    order, o_side, o_price, o_lots, o_filled, o_taker = NONE, 0, 0, 0, 0, False
    o_touch, o_arrives, o_cancel = NO_PRICE, 0, 0
    queue, reach, before, lost = 0.0, 0.0, 0.0, False
    fills, ended, refused = 0, 0, counts[3]
    capacity = len(f_row)
    for row in range(len(ts)):
        usable = live[row] == LIVE and not breaks[row]
        now = ts[row]
        lost = lost or gaps[row]
        # --- what happens to the working order at this snapshot
        if order == RESTING and live[row] == LIVE:
            own_px, own_sz = (bid_px[row], bid_sz[row]) if o_side == 1 else (ask_px[row], ask_sz[row])
            size = displayed(own_px, own_sz, o_side, o_price)
            if usable and not lost and live[row - 1] == LIVE and now < o_cancel + latency:
                queue, beyond = advance_queue(
                    o_side, o_price, queue, model, low[row], high[row], sold[row], bought[row], before, size
                )
                reach += beyond
                other = ask_px[row, 0] if o_side == 1 else bid_px[row, 0]
                if (o_side == 1 and other <= o_price) or (o_side == -1 and other >= o_price):
                    reach = float(o_lots)
                goal = min(o_lots, whole_lots(reach))
                if goal > o_filled and fills < capacity:
                    f_row[fills], f_side[fills], f_open[fills] = row, o_side, state == ENTER
                    f_price[fills], f_lots[fills], f_passive[fills] = o_price, goal - o_filled, True
                    fills += 1
                    position += o_side * (goal - o_filled)
                    o_filled = goal
            elif lost:
                queue = queue_after_gap(size, model)
            elif size != UNSEEN:
                queue = min(queue, size)
            before, lost = size, False
            if o_filled == o_lots or now >= o_cancel + latency:
                order = NONE
                if o_filled < o_lots:
                    counts[1] += 1
        if order == SENT and now >= o_arrives:
            order = NONE
            if not usable:
                counts[3] += 1
            elif o_taker:
                prices, sizes = (ask_px[row], ask_sz[row]) if o_side == 1 else (bid_px[row], bid_sz[row])
                limit = o_price if state == ENTER else o_side * FAR
                used[:] = 0
                levels = take(o_side, limit, o_touch, o_lots, prices, sizes, used, paid, got)
                for level in range(levels):
                    if fills < capacity:
                        f_row[fills], f_side[fills], f_open[fills] = row, o_side, state == ENTER
                        f_price[fills], f_lots[fills], f_passive[fills] = paid[level], got[level], False
                        fills += 1
                        position += o_side * got[level]
                        o_filled += got[level]
            else:
                own_px, own_sz = (bid_px[row], bid_sz[row]) if o_side == 1 else (ask_px[row], ask_sz[row])
                size = displayed(own_px, own_sz, o_side, o_price)
                other = ask_px[row, 0] if o_side == 1 else bid_px[row, 0]
                crosses = (o_side == 1 and other <= o_price) or (o_side == -1 and other >= o_price)
                if size == UNSEEN or crosses:
                    counts[3] += 1  # a passive policy does not cross; the order is given up
                else:
                    order, reach, before, lost = RESTING, 0.0, size, False
                    queue = queue_at(own_px, own_sz, o_side, o_price, model)
        # --- state after the order's end
        if order == NONE:
            if ended < counts[0]:
                if ended < len(log):
                    how = REFUSED if counts[3] > refused else ENDED_SHORT if o_filled < o_lots else 0
                    log[ended, ENDED], log[ended, FILLED], log[ended, END] = row, o_filled, how
                ended, refused = ended + 1, counts[3]
            if state == ENTER:
                if position == 0:
                    counts[2] += 1
                    state = FLAT
                else:
                    state, entered = HOLD, now
            elif state == LEAVE:
                state = FLAT if position == 0 else HOLD
        if not usable:
            continue
        # --- decisions
        closing = part_end[row] - now <= flat_before
        if state == FLAT and not closing and order == NONE and part_end[row] - now > flat_before + hold:
            if not np.isnan(score[row]) and abs(score[row]) >= threshold:
                direction = 1 if score[row] > 0 else -1
                state, order, o_side, o_taker = ENTER, SENT, direction, not passive
                o_touch = ask_px[row, 0] if direction == 1 else bid_px[row, 0]
                o_price = o_touch if not passive else bid_px[row, 0] if direction == 1 else ask_px[row, 0]
                o_lots, o_filled, o_arrives, o_cancel = lots, 0, now + latency, now + patience
                _log(log, counts[0], row, o_side, True, o_price, o_lots, o_taker)
                counts[0] += 1
        elif state == ENTER and closing and order == RESTING:
            o_cancel = min(o_cancel, now)
        elif state == HOLD and order == NONE:
            turned = not np.isnan(score[row]) and score[row] * direction <= -threshold
            if now - entered >= hold or turned or closing:
                waited = now - entered >= hold + patience + latency
                state, order, o_side = LEAVE, SENT, -direction
                o_taker = not passive or turned or closing or waited
                o_touch = ask_px[row, 0] if o_side == 1 else bid_px[row, 0]
                o_price = o_touch if o_taker else bid_px[row, 0] if o_side == 1 else ask_px[row, 0]
                o_lots, o_filled, o_arrives, o_cancel = abs(position), 0, now + latency, now + patience
                _log(log, counts[0], row, o_side, False, o_price, o_lots, o_taker)
                counts[0] += 1
        elif state == LEAVE and closing and order == RESTING:
            o_cancel = min(o_cancel, now)
    return fills
