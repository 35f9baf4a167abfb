"""What reaching a position cost against the price at which it was decided, taken apart; pure arithmetic, in ticks.

The arrival price is the mid of the tick that a target was decided on. For a side s (1 buys, -1 sells) and a lot filled at price p,
where M are mids at decision, at the order's send and at the fill, and E is the mid at the end of the target's window:

    s (p - M_decision)  =  s (M_send - M_decision)  +  s (M_fill - M_send)  +  s (p - M_fill)
                           timing                      impact                  spread

A lot that was wanted and never filled costs s (E - M_decision): opportunity. With the fees these add up to the shortfall, whatever
happened. Positive is a cost. A mid that is absent (NaN, a one-sided book) is taken to be the one before it, so that the sum stays whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.core.messages import Style
from ghtrader.core.orders import OrderKind, Side

__all__ = [
    "Cost",
    "CostParts",
    "FillEntry",
    "OrderCost",
    "OrderEntry",
    "Quote",
    "TargetCost",
    "TargetEntry",
    "expected_cost",
    "order_cost",
    "target_cost",
]

#: Styles that cross the spread at once; the others wait at the touch.
CROSSING: Final = frozenset({Style.TAKER, Style.SWEEP})


class Quote(msgspec.Struct, frozen=True):
    """The touch at a moment, in ticks; None where a side is empty."""

    ts_ns: int
    bid: int | None
    ask: int | None

    @property
    def mid(self) -> float:
        """Between bid and ask, in ticks; NaN where a side is empty.

        >>> Quote(0, 100, 103).mid, Quote(0, 100, None).mid
        (101.5, nan)
        """
        return math.nan if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def half_spread(self) -> float:
        """Half of ask minus bid, in ticks; NaN where a side is empty."""
        return math.nan if self.bid is None or self.ask is None else (self.ask - self.bid) / 2


class FillEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A fill: price in ticks, and the mid of the newest snapshot before it (NaN: none)."""

    ts_ns: int
    price: float
    lots: int
    mid: float
    fee_cny: float = 0.0


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was sent: the mid when it left, its fills in order of time, and when and at which mid it ended."""

    order_id: str
    side: Side
    lots: int
    kind: OrderKind
    limit: float
    sent_ns: int
    mid: float
    end_ns: int
    end_mid: float
    fills: tuple[FillEntry, ...] = ()


class TargetEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A wanted change of position and what was done for it.

    target_id: the journal's number of the target or command. side, wanted: direction and lots of the change when it was decided;
    unfilled: lots of it that were missing at the end. decision: the touch that was decided on. end_ns, end_mid: end of the window
    (a newer target of the contract, the end of the trading day). tick_value_cny: one tick of one lot.
    """

    target_id: int
    symbol: str
    trading_day: str
    side: Side
    wanted: int
    unfilled: int
    decision: Quote
    end_ns: int
    end_mid: float
    tick_value_cny: float
    style: Style | None = None
    orders: tuple[OrderEntry, ...] = ()


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Parts of a cost, each in ticks times lots; positive is lost."""

    timing: float = 0.0
    impact: float = 0.0
    spread: float = 0.0
    fees: float = 0.0
    opportunity: float = 0.0

    @property
    def traded(self) -> float:
        """What the filled lots cost against the arrival price, without fees."""
        return self.timing + self.impact + self.spread

    @property
    def shortfall(self) -> float:
        """Everything together."""
        return self.traded + self.fees + self.opportunity

    def __add__(self, other: Cost) -> Cost:
        """Part by part."""
        return Cost(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class CostParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a cost side by side with their sum, ``shortfall``, also in CNY; the unit is that of the row which has them."""

    timing: float
    impact: float
    spread: float
    fees: float
    shortfall: float
    shortfall_cny: float


class OrderCost(msgspec.Struct, frozen=True, kw_only=True):
    """An order's share of the cost. price: average paid, ticks, NaN when nothing filled.

    missed: what the market moved away from its unfilled lots while it worked, ticks times lots; it explains and is in no sum.
    """

    order_id: str
    lots: int
    filled: int
    price: float
    cost: Cost
    missed: float


class TargetCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a target cost. arrival: mid at decision; price: average paid, ticks, NaN when nothing filled.

    expected: cost of a lot that the style promised when it was decided, realised: what a filled lot cost, both in ticks and without fees;
    NaN where they are not known. A target decided on a one-sided book has no arrival price: its timing, and with it the sum, is NaN.
    """

    target_id: int
    symbol: str
    trading_day: str
    side: Side
    style: Style | None
    decision_ns: int
    wanted: int
    filled: int
    unfilled: int
    arrival: float
    price: float
    cost: Cost
    expected: float
    realised: float
    tick_value_cny: float
    orders: tuple[OrderCost, ...]

    @property
    def shortfall_cny(self) -> float:
        """The shortfall in CNY."""
        return self.cost.shortfall * self.tick_value_cny

    @property
    def surprise(self) -> float:
        """Realised minus expected: what a filled lot cost more than its style had promised, ticks."""
        return self.realised - self.expected


def _known(mid: float, before: float) -> float:
    return before if math.isnan(mid) else mid


def _average(fills: Sequence[FillEntry]) -> float:
    lots = sum(fill.lots for fill in fills)
    return sum(fill.price * fill.lots for fill in fills) / lots if lots else math.nan


def order_cost(order: OrderEntry, arrival: float, tick_value_cny: float) -> OrderCost:
    """Take an order's cost apart; arrival: mid at decision, ticks. Raises UsageError when more was filled than was asked for.

    >>> fill = FillEntry(ts_ns=2, price=102.0, lots=2, mid=101.5)
    >>> order = OrderEntry(order_id="a", side=Side.BUY, lots=3, kind=OrderKind.FAK, limit=102.0, sent_ns=1, mid=101.0, end_ns=2,
    ...                    end_mid=101.5, fills=(fill,))
    >>> found = order_cost(order, 100.5, 10.0)
    >>> found.cost.timing, found.cost.impact, found.cost.spread, found.missed
    (1.0, 1.0, 1.0, 0.5)
    """
    side, filled = int(order.side), sum(fill.lots for fill in order.fills)
    if filled > order.lots:
        raise UsageError(f"order {order.order_id}: {filled} lots filled of {order.lots}")
    sent = _known(order.mid, arrival)
    timing = impact = spread = 0.0
    for fill in order.fills:
        mid = _known(fill.mid, sent)
        timing += side * (sent - arrival) * fill.lots
        impact += side * (mid - sent) * fill.lots
        spread += side * (fill.price - mid) * fill.lots
    fees = sum(fill.fee_cny for fill in order.fills) / tick_value_cny
    return OrderCost(
        order_id=order.order_id,
        lots=order.lots,
        filled=filled,
        price=_average(order.fills),
        cost=Cost(timing=timing, impact=impact, spread=spread, fees=fees),
        missed=side * (_known(order.end_mid, sent) - sent) * (order.lots - filled),
    )


def expected_cost(style: Style | None, decision: Quote) -> float:
    """What a style promises a lot to cost, ticks: half the spread, paid by who crosses and earned by who waits; NaN where none trades.

    >>> expected_cost(Style.TAKER, Quote(0, 100, 101)), expected_cost(Style.PASSIVE, Quote(0, 100, 101))
    (0.5, -0.5)
    """
    if style is None or style is Style.STOP:
        return math.nan
    return decision.half_spread if style in CROSSING else -decision.half_spread


def target_cost(target: TargetEntry) -> TargetCost:
    """Take a target's cost apart, order by order. Raises UsageError when an order is on the wrong side."""
    wrong = [order.order_id for order in target.orders if order.side != target.side]
    if wrong:
        raise UsageError(f"target {target.target_id} wants {target.side.name}, but {', '.join(wrong)} trade the other way")
    arrival = target.decision.mid
    orders = tuple(order_cost(order, arrival, target.tick_value_cny) for order in target.orders)
    total = sum((order.cost for order in orders), Cost())
    missing = int(target.side) * (_known(target.end_mid, arrival) - arrival) * target.unfilled
    total += Cost(opportunity=missing)
    filled = sum(order.filled for order in orders)
    return TargetCost(
        target_id=target.target_id,
        symbol=target.symbol,
        trading_day=target.trading_day,
        side=target.side,
        style=target.style,
        decision_ns=target.decision.ts_ns,
        wanted=target.wanted,
        filled=filled,
        unfilled=target.unfilled,
        arrival=arrival,
        price=_average([fill for order in target.orders for fill in order.fills]),
        cost=total,
        expected=expected_cost(target.style, target.decision),
        realised=total.traded / filled if filled else math.nan,
        tick_value_cny=target.tick_value_cny,
        orders=orders,
    )
