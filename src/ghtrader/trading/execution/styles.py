"""What each style wants at a moment: how many lots, at which price, of which kind, and for how long."""

from __future__ import annotations

import msgspec

from ghtrader.core.messages import Style
from ghtrader.core.orders import OrderKind, Side
from ghtrader.trading.execution.goals import ExecView, Goal
from ghtrader.trading.words import MarketView

__all__ = ["SWEEP_TICKS", "Wish", "wanted_change", "wish_of"]

#: How far through the touch a sweep goes where the day's price limits are not known.
SWEEP_TICKS = 20
CHASE, PASSIVE, SWEEP, TWAP = Style.CHASE, Style.PASSIVE, Style.SWEEP, Style.TWAP
BUY, GFD, FAK = Side.BUY, OrderKind.GFD, OrderKind.FAK


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Price in ticks and kind of an order; cancel_ns: when its patience ends, 0 for an order that does not rest."""

    price_ticks: int
    kind: OrderKind
    cancel_ns: int = 0


def wanted_change(goal: Goal, position: int, now_ns: int, done_slice: int) -> tuple[int, int]:
    """(signed lots that an order may ask for now, slice it belongs to). done_slice: the last slice of a TWAP that got its order.

    A TWAP of 2 slices from 0 to 5 lots wants 2 in its first half, 5 in its second.

    >>> from ghtrader.core.messages import ExecutionStyle
    >>> goal = Goal(lots=5, execution=ExecutionStyle(style=Style.TWAP, duration_ns=100, slices=2))
    >>> wanted_change(goal, 0, 10, -1), wanted_change(goal, 1, 10, 0), wanted_change(goal, 1, 50, 0), wanted_change(goal, 1, 100, 1)
    ((2, 0), (0, 0), (4, 1), (4, 2))
    """
    if goal.execution.style is not TWAP:
        return goal.lots - position, 0
    slices = max(1, goal.execution.slices)
    part = _slice_at(goal, now_ns)
    if part >= slices:
        return goal.lots - position, slices
    if part <= done_slice:
        return 0, done_slice
    total = goal.lots - goal.started_lots
    sign = 1 if total > 0 else -1
    change = goal.started_lots + sign * (abs(total) * (part + 1) // slices) - position
    return (change if change * sign > 0 else 0), part


def _slice_at(goal: Goal, now_ns: int) -> int:
    """Number of the slice at a moment; as many as there are once the duration is over."""
    slices, duration = max(1, goal.execution.slices), goal.execution.duration_ns
    age = now_ns - goal.started_ns
    return slices if age >= duration else max(0, age * slices // duration)


def wish_of(goal: Goal, side: Side, view: ExecView) -> Wish | None:
    """The order that a style sends now; None where the market has no price for it."""
    market = view.market
    if market is None or not market.continuous:
        return None
    own, other = (market.bid, market.ask) if side is BUY else (market.ask, market.bid)
    execution, now = goal.execution, view.now_ns
    style = execution.style
    if style is SWEEP:
        return _sweep(market, side, other)
    if style is PASSIVE:
        return _rest(own, now + execution.patience_ns)
    if style is CHASE and now < goal.started_ns + execution.patience_ns:
        return _rest(own, goal.started_ns + execution.patience_ns)
    if style is TWAP and now < goal.started_ns + execution.duration_ns:
        slices, part = max(1, execution.slices), _slice_at(goal, now)
        next_slice = goal.started_ns + -(-execution.duration_ns * (part + 1) // slices)
        return _rest(own, min(now + execution.patience_ns, next_slice))
    return None if other is None else Wish(price_ticks=other, kind=FAK)


def _rest(price: int | None, cancel_ns: int) -> Wish | None:
    return None if price is None else Wish(price_ticks=price, kind=GFD, cancel_ns=cancel_ns)


def _sweep(market: MarketView, side: Side, touch: int | None) -> Wish | None:
    if touch is None:
        return None
    limit = market.upper if side is BUY else market.lower
    return Wish(price_ticks=touch + side * SWEEP_TICKS if limit is None else limit, kind=FAK)
