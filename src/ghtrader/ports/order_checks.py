"""What the exchange would refuse is refused before it leaves: the client itself checks neither tick, lots, limits nor positions."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.core.errors import RiskDenied
from ghtrader.core.instruments import OrderLimits, is_continuous
from ghtrader.core.orders import Offset
from ghtrader.ports.broker import BrokerPosition, OrderRequest, tells_today_apart

__all__ = ["QuoteFacts", "check_order"]


class QuoteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a quote says about orders: tick and limits in CNY (NaN when absent), lots of one order (0 when absent)."""

    price_tick: float
    upper_limit: float
    lower_limit: float
    min_lots: int = 0
    max_lots: int = 0

    @classmethod
    def of(cls, quote: Any) -> QuoteFacts:
        """From the client's quote."""
        return cls(
            price_tick=float(quote.price_tick),
            upper_limit=float(quote.upper_limit),
            lower_limit=float(quote.lower_limit),
            min_lots=int(quote.min_limit_order_volume or 0),
            max_lots=int(quote.max_limit_order_volume or 0),
        )


def _deny(request: OrderRequest, reason: str, words: str) -> RiskDenied:
    asked = f"{request.symbol} {request.lots} at {request.limit_price:g}"
    return RiskDenied(f"{asked}: {words}", hint="correct the order", reason=reason, order=request.client_order_id)


def check_order(request: OrderRequest, facts: QuoteFacts, declared: OrderLimits, held: BrokerPosition) -> None:
    """Raise RiskDenied with ``reason`` symbol, order_size, price_tick, price_limit, no_limits or close_volume; else nothing.

    ``declared`` limits of the instrument table hold where the quote says none. Price limits that nobody knows refuse the order.
    """
    if is_continuous(request.symbol):
        raise _deny(request, "symbol", "an alias cannot be traded, only the contract that it stands for")
    least, most = max(1, facts.min_lots or declared.min_lots), facts.max_lots or declared.max_limit_lots
    if request.lots < least or request.lots > most:
        raise _deny(request, "order_size", f"lots must be between {least} and {most}")
    tick, price = facts.price_tick, request.limit_price
    steps = price / tick if tick > 0 else float("nan")
    if not abs(steps) < float("inf") or abs(steps - round(steps)) > 1e-6:
        raise _deny(request, "price_tick", f"the price is no multiple of {tick:g}")
    if not facts.lower_limit <= facts.upper_limit:
        raise _deny(request, "no_limits", "the price limits of the day are not known")
    if not facts.lower_limit - tick / 2 <= price <= facts.upper_limit + tick / 2:
        raise _deny(request, "price_limit", f"the price lies outside the limits {facts.lower_limit:g} to {facts.upper_limit:g}")
    if request.offset != Offset.OPEN:
        _check_close(request, held)


def _check_close(request: OrderRequest, held: BrokerPosition) -> None:
    today, history = held.closable(request.side)
    if tells_today_apart(request.symbol):
        kind, free = ("of today", today) if request.offset == Offset.CLOSE_TODAY else ("of history", history)
    else:
        kind, free = "in all", today + history
    if request.lots > free:
        raise _deny(request, "close_volume", f"only {max(0, free)} lots {kind} are held and not frozen by another order")
