"""The event-level book (Gillespie, steps of at most 0.1 s) and the coin-flip null market, compiled.

Both write snapshots on a 500 ms grid, only when something changed, as the exchange does. Prices are integer ticks
relative to the day's opening price; amounts are in ticks x lots and become CNY outside.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

__all__ = ["GRID", "LEVELS", "run_book", "run_null"]

GRID = 8192  # price levels of the ladder; the opening price is its middle
LEVELS = 5
NEAR = 8  # distances with order flow of their own
SLOT_S = 0.5
MAX_STEP_S = 0.1
RESTOCK_SHARE = 0.02
MAX_HOLE = 6  # somebody always quotes within so many ticks of the last trade
OPEN_INTEREST = 180_000.0
SIZE_TABLE = 4096
NO_SIDE, BID, ASK = 0, 1, 2

P_LIMIT, P_DECAY, P_INSIDE, P_CANCEL, P_MARKET = 0, 1, 2, 3, 4
P_SAME, P_OTHER, P_EXCITE_DECAY, P_TILT, P_REFILL, P_CAP = 5, 6, 7, 8, 9, 10
P_KAPPA, P_ETA, P_OFF, P_LEAK, P_EFFECT = 11, 12, 13, 14, 15


@nb.njit(cache=True)
def _lots() -> int:
    u = np.random.random()
    if u < 0.55:
        return 1
    if u < 0.80:
        return 1 + np.random.randint(0, 4)
    if u < 0.95:
        return 5 + np.random.randint(0, 10)
    return min(150, int(12.0 * (1.0 - np.random.random()) ** (-1.0 / 1.7)))


@nb.njit(cache=True)
def _season(second: float, total: float) -> float:
    """Intraday activity: 1.35 at the edges of the day, 0.7 in its middle."""
    x = 2.0 * second / total - 1.0
    return 0.7 + 0.65 * x * x


@nb.njit(cache=True)
def _stock(bids: Any, asks: Any, best_bid: int, best_ask: int, first: int, last: int, empty_only: bool) -> None:
    for distance in range(first, last):
        for side in range(2):
            price = best_bid - distance if side == 0 else best_ask + distance
            book = bids if side == 0 else asks
            if price <= 0 or price >= GRID or (empty_only and book[price] > 0):
                continue
            total = 0
            for _ in range(8):
                total += _lots()
            book[price] = total


@nb.njit(cache=True)
def _next_bid(bids: Any, start: int) -> int:
    price = start
    while price > 0 and bids[price] == 0:
        price -= 1
    return price


@nb.njit(cache=True)
def _next_ask(asks: Any, start: int) -> int:
    price = start
    while price < GRID - 1 and asks[price] == 0:
        price += 1
    return price


@nb.njit(cache=True)
def _snapshot(bids: Any, asks: Any, best_bid: int, best_ask: int, row_bp: Any, row_bs: Any, row_ap: Any, row_as: Any) -> None:
    price, ask = best_bid, best_ask
    for level in range(LEVELS):
        row_bp[level], row_bs[level] = price, bids[price]
        row_ap[level], row_as[level] = ask, asks[ask]
        price, ask = _next_bid(bids, price - 1), _next_ask(asks, ask + 1)


@nb.njit(cache=True)
def _same_row(row: int, bp: Any, bs: Any, ap: Any, as_: Any, volume: Any, now: float) -> bool:
    if volume[row - 1] != now:
        return False
    for level in range(LEVELS):
        if bp[row, level] != bp[row - 1, level] or bs[row, level] != bs[row - 1, level]:
            return False
        if ap[row, level] != ap[row - 1, level] or as_[row, level] != as_[row - 1, level]:
            return False
    return True


@nb.njit(cache=True)
def _level_rates(
    p: Any, bids: Any, asks: Any, best_bid: int, best_ask: int, season: float, leak: int, powers: Any, rates: Any
) -> float:
    """Limit and cancel rates by side and distance; returns their sum. Order: bid limits, bid cancels, ask the same."""
    total = 0.0
    for side in range(2):
        supporting = (leak == 1 and side == 0) or (leak == -1 and side == 1)
        for distance in range(NEAR):
            rate = p[P_LIMIT] * np.exp(-p[P_DECAY] * distance) * season
            if leak != 0 and 2 <= distance <= 4:
                rate = rate * (1.0 + p[P_KAPPA]) if supporting else rate / (1.0 + p[P_KAPPA])
            size = bids[best_bid - distance] if side == 0 else asks[best_ask + distance]
            cancel = p[P_CANCEL] * powers[min(size, SIZE_TABLE - 1)] * season
            rates[side * 2 * NEAR + distance] = rate
            rates[side * 2 * NEAR + NEAR + distance] = cancel
            total += rate + cancel
    return total


@nb.njit(cache=True)
def _next_alpha(p: Any, clock: float, alpha: Any) -> None:
    """Advance the hidden state: alpha[0] sign, alpha[1] phase (0 off, 1 leak, 2 effect), alpha[2] end of the phase."""
    while clock >= alpha[2]:
        if alpha[1] == 0.0:
            alpha[0] = 1.0 if np.random.random() < 0.5 else -1.0
            alpha[1] = 1.0
            alpha[2] += p[P_LEAK]
        elif alpha[1] == 1.0:
            alpha[1] = 2.0
            alpha[2] += p[P_EFFECT]
        else:
            alpha[0] = alpha[1] = 0.0
            alpha[2] += np.random.exponential(p[P_OFF])


@nb.njit(cache=True)
def run_book(
    seed: int, p: Any, slots: Any, total_s: float,
    out_slot: Any, bp: Any, bs: Any, ap: Any, as_: Any, last: Any, volume: Any, amount: Any, oi: Any, alpha_out: Any, phase_out: Any,
) -> int:  # fmt: skip
    """One day of the book. ``slots``: int64 slot numbers of each session part's rows, -1 between parts. Returns rows."""
    np.random.seed(seed)
    bids, asks = np.zeros(GRID, dtype=np.int64), np.zeros(GRID, dtype=np.int64)
    powers = np.arange(SIZE_TABLE).astype(np.float64) ** 0.85
    rates = np.zeros(4 * NEAR)
    best_bid, best_ask = GRID // 2 - 1, GRID // 2
    _stock(bids, asks, best_bid, best_ask, 0, 24, False)
    excite_buy = excite_sell = 0.0
    depleted = NO_SIDE
    traded = float(200 + np.random.randint(0, 400))
    turnover, interest, price_last = traded * best_bid, OPEN_INTEREST, best_bid
    alpha = np.zeros(3)
    alpha[2] = np.random.exponential(p[P_OFF])
    clock, row = 0.0, 0
    for index in range(len(slots)):
        if slots[index] < 0:
            excite_buy = excite_sell = 0.0
            continue
        end = clock + SLOT_S
        while True:
            _next_alpha(p, clock, alpha)
            season = _season(clock, total_s)
            leak = int(alpha[0]) if alpha[1] == 1.0 else 0
            near = _level_rates(p, bids, asks, best_bid, best_ask, season, leak, powers, rates)
            spread = best_ask - best_bid
            inside = 2.0 * p[P_INSIDE] * (spread - 1) * season
            inside_bid = inside * (0.5 if depleted == NO_SIDE else p[P_REFILL] if depleted == BID else 1.0 - p[P_REFILL])
            tilt = p[P_TILT] * (bids[best_bid] - asks[best_ask]) / (bids[best_bid] + asks[best_ask])
            if alpha[1] == 2.0:
                tilt += p[P_ETA] * alpha[0]
            buy = p[P_MARKET] * season * np.exp(tilt) + excite_buy
            sell = p[P_MARKET] * season * np.exp(-tilt) + excite_sell
            total = near + inside + buy + sell
            wait = np.random.exponential(1.0 / total)
            step = min(wait, MAX_STEP_S, end - clock)
            decay = np.exp(-p[P_EXCITE_DECAY] * step)
            excite_buy *= decay
            excite_sell *= decay
            clock += step
            if clock >= end - 1e-9:
                clock = end
                break
            if step < wait:
                continue
            u = np.random.random() * total
            if u < near:
                slot = 0
                while slot < 4 * NEAR - 1 and u >= rates[slot]:
                    u -= rates[slot]
                    slot += 1
                side, cancels, distance = slot // (2 * NEAR), (slot // NEAR) % 2 == 1, slot % NEAR
                price = best_bid - distance if side == 0 else best_ask + distance
                book = bids if side == 0 else asks
                if not cancels:
                    book[price] += _lots()
                elif book[price] > 0:
                    book[price] -= min(book[price], _lots())
                    if book[price] == 0 and distance == 0:
                        depleted = BID if side == 0 else ASK
            elif u < near + inside:
                if u < near + inside_bid:
                    best_bid += 1
                    bids[best_bid] = _lots()
                else:
                    best_ask -= 1
                    asks[best_ask] = _lots()
            else:
                buys = u < near + inside + buy
                left = _lots()
                if np.random.random() < p[P_CAP]:
                    left = min(left, asks[best_ask] if buys else bids[best_bid])
                filled = 0
                while left > 0:
                    book = asks if buys else bids
                    price = best_ask if buys else best_bid
                    take = min(left, book[price])
                    book[price] -= take
                    left -= take
                    filled += take
                    traded += take
                    turnover += take * price
                    price_last = price
                    if book[price] == 0:
                        depleted = ASK if buys else BID
                        if buys:
                            best_ask = _next_ask(asks, best_ask)
                            if best_ask > price + MAX_HOLE:
                                best_ask = price + MAX_HOLE
                                asks[best_ask] = _lots()
                        else:
                            best_bid = _next_bid(bids, best_bid)
                            if best_bid < price - MAX_HOLE:
                                best_bid = price - MAX_HOLE
                                bids[best_bid] = _lots()
                draw = np.random.random()
                interest += filled if draw < 0.33 else -filled if draw < 0.55 else 0
                if buys:
                    excite_buy += p[P_SAME]
                    excite_sell += p[P_OTHER]
                else:
                    excite_sell += p[P_SAME]
                    excite_buy += p[P_OTHER]
            if np.random.random() < RESTOCK_SHARE:
                _stock(bids, asks, best_bid, best_ask, LEVELS, 2 * LEVELS, True)
            best_bid, best_ask = _next_bid(bids, best_bid), _next_ask(asks, best_ask)
            if best_bid < 64 or best_ask > GRID - 64:
                return -1
        _snapshot(bids, asks, best_bid, best_ask, bp[row], bs[row], ap[row], as_[row])
        if bs[row, LEVELS - 1] == 0 or as_[row, LEVELS - 1] == 0:  # a fast market ran out of deep orders
            _stock(bids, asks, best_bid, best_ask, 1, 2 * LEVELS, True)
            _snapshot(bids, asks, best_bid, best_ask, bp[row], bs[row], ap[row], as_[row])
        if row > 0 and _same_row(row, bp, bs, ap, as_, volume, traded):
            continue
        out_slot[row] = slots[index]
        last[row], volume[row], amount[row], oi[row] = price_last, traded, turnover, interest
        alpha_out[row], phase_out[row] = alpha[0], alpha[1]
        row += 1
    return row


@nb.njit(cache=True)
def run_null(
    seed: int, slots: Any,
    out_slot: Any, bp: Any, bs: Any, ap: Any, as_: Any, last: Any, volume: Any, amount: Any, oi: Any,
) -> int:  # fmt: skip
    """One day of the null market: a symmetric walk at times whose rate drifts; sizes and trades know nothing of it."""
    np.random.seed(seed)
    price, rate = GRID // 2, 0.0
    rate = np.random.normal() * 0.6
    size = np.random.normal(0.0, 0.5, 2 * LEVELS)
    traded = float(200 + np.random.randint(0, 400))
    turnover, interest = traded * price, OPEN_INTEREST
    row = 0
    for index in range(len(slots)):
        if slots[index] < 0:
            continue
        rate += -0.002 * rate + np.sqrt(2.0 * 0.002) * 0.6 * np.random.normal()
        activity = np.exp(rate)
        if np.random.random() < min(0.9, 0.08 * activity):
            price += 1 if np.random.random() < 0.5 else -1
        for level in range(LEVELS):
            for side in range(2):
                slot = side * LEVELS + level
                size[slot] += -0.1 * size[slot] + np.sqrt(0.2) * 0.5 * np.random.normal()
                lots = max(1, int(22.0 * np.exp(size[slot])))
                if side == 0:
                    bp[row, level], bs[row, level] = price - level, lots
                else:
                    ap[row, level], as_[row, level] = price + 1 + level, lots
        bought, sold = 0, 0
        if np.random.random() < min(0.9, 0.2 * activity):
            bought = _lots()
        if np.random.random() < min(0.9, 0.2 * activity):
            sold = _lots()
        traded += bought + sold
        turnover += bought * (price + 1) + sold * price
        draw = np.random.random()
        interest += bought + sold if draw < 0.33 else -(bought + sold) if draw < 0.55 else 0
        last[row] = price + 1 if bought > 0 and np.random.random() < 0.5 else price
        out_slot[row] = slots[index]
        volume[row], amount[row], oi[row] = traded, turnover, interest
        row += 1
    return row
