"""The simulator's rules a second time, slow and plain: lists, dictionaries, one order after the other.

Written from the prose of docs/concepts/fills.md. It shares nothing with the kernel but the words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from ghtrader.core.phases import Phase, TickFlag
from ghtrader.data.day_ticks import DayTicks

NONE = -(1 << 40)
BACK, PRO_RATA, FRONT, FIRST = range(4)
GFD, FAK, FOK = range(3)


@dataclass
class Snapshot:
    ts: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    last: int
    volume: float
    amount: float
    auction: bool
    after_break: bool
    after_gap: bool
    live: bool
    upper: int
    lower: int
    low: int = NONE
    high: int = NONE
    sold: float = 0.0
    bought: float = 0.0


@dataclass
class Order:
    side: int
    price: int
    lots: int
    decision: int
    kind: int
    cancel: int


@dataclass
class Outcome:
    fills: list[tuple[int, int, int, bool]] = field(default_factory=list)  # row, price, lots, passive
    reject: str = ""


def read_day(ticks: DayTicks) -> list[Snapshot]:
    day: list[Snapshot] = []
    for i in range(len(ticks)):
        bids = [(int(p), int(q)) for p, q in zip(ticks.bid_px[i], ticks.bid_sz[i], strict=True) if p != NONE]
        asks = [(int(p), int(q)) for p, q in zip(ticks.ask_px[i], ticks.ask_sz[i], strict=True) if p != NONE]
        continuous = int(ticks.phase[i]) == int(Phase.CONTINUOUS)
        two_sided = bool(bids) and bool(asks) and ticks.bid_px[i, 0] != NONE and ticks.ask_px[i, 0] != NONE
        locked = bool(int(ticks.flags[i]) & int(TickFlag.AT_LIMIT))
        live = continuous and two_sided and bids[0][0] < asks[0][0] and not locked
        day.append(
            Snapshot(
                int(ticks.ts_ns[i]),
                bids,
                asks,
                int(ticks.last_px[i]),
                float(ticks.volume[i]),
                float(ticks.amount[i]),
                not continuous,
                bool(ticks.break_before[i]),
                i > 0 and int(ticks.gap_after[i - 1]) > 0,
                live,
                int(ticks.upper_px[i]),
                int(ticks.lower_px[i]),
            )
        )
    unit = ticks.price_tick * ticks.multiplier
    for before, now in pairwise(day):
        lots = now.volume - before.volume
        if now.after_break or not now.live or not before.live or lots <= 0:
            continue
        low, high = before.bids[0][0], before.asks[0][0]
        turnover = now.amount - before.amount
        if turnover > 0:
            scale = lots * unit
            excess = turnover - scale * ((low + high) / 2.0)
            if abs(excess) > scale * (high - low) / 2.0:
                low, high = min(low, now.bids[0][0]), max(high, now.asks[0][0])
                excess = turnover - scale * ((low + high) / 2.0)
            share = 2.0 * excess / (scale * (high - low))
        elif now.last == NONE:
            continue
        else:
            share = 1.0 if now.last >= high else -1.0 if now.last <= low else 0.0
        share = max(-1.0, min(1.0, share))
        now.low, now.high = low, high
        now.bought, now.sold = (1.0 + share) / 2.0 * lots, (1.0 - share) / 2.0 * lots
    return day


def shown(levels: list[tuple[int, int]], side: int, price: int) -> float | None:
    """Size displayed at a price; None beyond five full levels."""
    for level_price, size in levels:
        if level_price == price:
            return float(size)
    if len(levels) < 5:
        return 0.0
    worst = levels[-1][0]
    return None if (price < worst if side == 1 else price > worst) else 0.0


class Consumption:
    """Displayed lots that we took already: by side and price, kept while the price stays displayed."""

    def __init__(self) -> None:
        self.row = 0
        self.used: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def move_to(self, day: list[Snapshot], row: int) -> None:
        while self.row < row:
            self.row += 1
            for side, levels in ((-1, day[self.row].bids), (1, day[self.row].asks)):
                kept = {price: min(self.used[side].get(price, 0), size) for price, size in levels}
                self.used[side] = {price: lots for price, lots in kept.items() if lots}

    def take(
        self, side: int, limit: int, touch: int | None, lots: int, levels: list[tuple[int, int]]
    ) -> list[tuple[int, int, int]]:
        """(level price, price paid, lots) without booking them."""
        got: list[tuple[int, int, int]] = []
        for price, size in levels:
            if lots <= 0:
                break
            paid = price if touch is None else (max(price, touch) if side == 1 else min(price, touch))
            if (paid > limit) if side == 1 else (paid < limit):
                break
            free = size - self.used[side].get(price, 0)
            if free > 0:
                part = min(free, lots)
                got.append((price, paid, part))
                lots -= part
        return got

    def book(self, side: int, got: list[tuple[int, int, int]]) -> None:
        for price, _, lots in got:
            self.used[side][price] = self.used[side].get(price, 0) + lots


def run(day: list[Snapshot], orders: list[Order], model: int, latency: int) -> list[Outcome]:
    outcomes = [Outcome() for _ in orders]
    consumption = Consumption()
    resting: list[tuple[int, int, int]] = []  # order index, row, lots left
    for index, order in enumerate(orders):
        out = outcomes[index]
        row = next((i for i in range(len(day)) if day[i].ts >= order.decision + latency), None)
        if row is None:
            out.reject = "after_data"
            continue
        consumption.move_to(day, row)
        now = day[row]
        if now.auction or (order.kind in (FAK, FOK) and now.after_break):
            out.reject = "phase"
            continue
        if (now.upper != NONE and order.price > now.upper) or (now.lower != NONE and order.price < now.lower):
            out.reject = "limit"
            continue
        left = order.lots
        if now.live and not now.after_break:
            decided = [snapshot for snapshot in day if snapshot.ts <= order.decision]
            touch = None
            if decided and decided[-1].live:
                touch = decided[-1].asks[0][0] if order.side == 1 else decided[-1].bids[0][0]
            levels = now.asks if order.side == 1 else now.bids
            got = consumption.take(order.side, order.price, touch, order.lots, levels)
            if order.kind == FOK and sum(lots for _, _, lots in got) < order.lots:
                out.reject = "fok"
                continue
            consumption.book(order.side, got)
            for _, paid, lots in got:
                out.fills.append((row, paid, lots, False))
                left -= lots
        elif order.kind == FOK:
            out.reject = "fok"
            continue
        if left and order.kind == GFD:
            own = now.bids if order.side == 1 else now.asks
            if shown(own, order.side, order.price) is None:
                out.reject = "depth"
            else:
                resting.append((index, row, left))
    for index, row, left in resting:
        rest(day, orders[index], row, left, model, latency, outcomes[index])
    return outcomes


def rest(day: list[Snapshot], order: Order, row: int, lots: int, model: int, latency: int, out: Outcome) -> None:
    def own(i: int) -> list[tuple[int, int]]:
        return day[i].bids if order.side == 1 else day[i].asks

    def other(i: int) -> list[tuple[int, int]]:
        return day[i].asks if order.side == 1 else day[i].bids

    before = shown(own(row), order.side, order.price)
    ahead = 0.0 if model == FIRST else before
    assert ahead is not None
    reach, filled, blind = 0.0, 0, False
    for i in range(row + 1, len(day)):
        now = day[i]
        if order.cancel < 1 << 62 and now.ts >= order.cancel + latency:
            return
        blind |= now.after_gap
        if not now.live:
            continue
        size = shown(own(i), order.side, order.price)
        if blind:
            # rows are missing: whoever is displayed now may stand before us, and where nothing is displayed anybody may
            ahead = 0.0 if model == FIRST else math.inf if size is None else size
            before, blind = size, False
            continue
        if now.after_break or not day[i - 1].live:
            if size is not None:
                ahead = min(ahead, size)
            before = size
            continue
        traded_at, traded = (now.low, now.sold) if order.side == 1 else (now.high, now.bought)
        through = traded > 0 and (traded_at < order.price if order.side == 1 else traded_at > order.price)
        if through:
            ahead = 0.0
            reach += traded
        else:
            at_price = traded if traded_at == order.price else 0.0
            reach += max(0.0, at_price - ahead)
            ahead = max(0.0, ahead - at_price)
            if before is not None and size is not None:
                left = before - at_price
                cancelled = max(0.0, left - size)
                if cancelled > 0 and left > 0:
                    if model == PRO_RATA:
                        ahead = ahead - cancelled * min(1.0, ahead / left)
                    elif model == FRONT:
                        ahead = ahead - cancelled
                ahead = max(0.0, ahead)
            if size is not None:
                ahead = min(ahead, size)
        offered = sum(q for p, q in other(i) if (p <= order.price if order.side == 1 else p >= order.price))
        goal = min(lots, math.floor(reach + 1e-9) + offered)
        if offered > 0:
            ahead, reach = 0.0, max(reach, float(goal))
        if goal > filled:
            out.fills.append((i, order.price, goal - filled, True))
            filled = goal
            if filled == lots:
                return
        before = size
