"""Short ways to say orders, updates, trades and positions in tests; SHFE.rb2510, buy one to open at 3000 unless told otherwise."""

from __future__ import annotations

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.trading.words import MarketView, OrderIntent, Origin

__all__ = ["DAY", "SYMBOL", "fill", "held", "intent", "market", "update"]

SYMBOL, DAY = "SHFE.rb2510", "2025-06-05"


def intent(
    side: Side = Side.BUY,
    lots: int = 1,
    *,
    offset: Offset = Offset.OPEN,
    price: int = 3000,
    kind: OrderKind = OrderKind.GFD,
    symbol: str = SYMBOL,
    origin: Origin = Origin.STRATEGY,
) -> OrderIntent:
    """An order that somebody wants."""
    return OrderIntent(symbol=symbol, side=side, offset=offset, lots=lots, price_ticks=price, kind=kind, origin=origin)


def update(
    identity: str, state: OrderState, left: int, *, of: OrderIntent | None = None, number: str = "", message: str = ""
) -> BrokerOrder:
    """A broker's word about an order; ``of`` is what was wanted."""
    wanted = intent(lots=max(left, 1)) if of is None else of
    request = OrderRequest(
        client_order_id=identity,
        symbol=wanted.symbol,
        side=wanted.side,
        offset=wanted.offset,
        lots=wanted.lots,
        limit_price=float(wanted.price_ticks),
        kind=wanted.kind,
    )
    return BrokerOrder(request=request, state=state, left=left, exchange_order_id=number, message=message)


def fill(
    identity: str,
    trade: str,
    lots: int = 1,
    *,
    side: Side = Side.BUY,
    offset: Offset = Offset.OPEN,
    price: float = 3000.0,
    symbol: str = SYMBOL,
    ts_ns: int = 0,
) -> BrokerFill:
    """A trade."""
    return BrokerFill(
        client_order_id=identity, trade_id=trade, symbol=symbol, side=side, offset=offset, lots=lots, price=price, ts_ns=ts_ns
    )


def held(symbol: str = SYMBOL, **lots: int) -> BrokerPosition:
    """A position; lots that are not named are none."""
    return BrokerPosition(symbol=symbol, **{"long_today": 0, "long_history": 0, "short_today": 0, "short_history": 0, **lots})


def market(
    bid: int | None = 3000,
    ask: int | None = 3001,
    *,
    seq: int = 1,
    ts_ns: int = 0,
    upper: int | None = None,
    lower: int | None = None,
    continuous: bool = True,
    symbol: str = SYMBOL,
) -> MarketView:
    """The newest tick."""
    return MarketView(
        symbol=symbol,
        seq=seq,
        ts_ns=ts_ns,
        receive_ns=ts_ns,
        bid=bid,
        ask=ask,
        bid_lots=10,
        ask_lots=10,
        last=bid,
        upper=upper,
        lower=lower,
        continuous=continuous,
        accepts_orders=continuous,
        part_end_ns=1 << 62,
        trading_day=DAY,
        price_tick=1.0,
    )
