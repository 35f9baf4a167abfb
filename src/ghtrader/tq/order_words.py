"""Orders, trades and positions of the client as the port's values, and back: pure conversions, no session."""

from __future__ import annotations

from typing import Any

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState

__all__ = ["fill_of", "insert_arguments", "is_unanswered", "order_of", "position_of", "request_of"]

OFFSETS = {Offset.OPEN: "OPEN", Offset.CLOSE: "CLOSE", Offset.CLOSE_TODAY: "CLOSETODAY"}
FROM_OFFSET = {word: offset for offset, word in OFFSETS.items()}
ADVANCED = {OrderKind.GFD: None, OrderKind.FAK: "FAK", OrderKind.FOK: "FOK"}
#: An exchange that refuses after it had given a number says so; so does the client's own simulator, which numbers refused orders too.
REFUSED, SIMULATOR_REFUSED = "拒绝", ("不足", "不支持", "下单失败")


def insert_arguments(request: OrderRequest) -> dict[str, Any]:
    """Arguments of the client's ``insert_order``.

    >>> insert_arguments(OrderRequest(client_order_id="a", symbol="SHFE.rb2510", side=Side.SELL, offset=Offset.CLOSE_TODAY, lots=1,
    ...                               limit_price=3000.0, kind=OrderKind.FAK))["offset"]
    'CLOSETODAY'
    """
    return {
        "symbol": request.symbol,
        "direction": "BUY" if request.side == Side.BUY else "SELL",
        "offset": OFFSETS[request.offset],
        "volume": request.lots,
        "limit_price": request.limit_price,
        "advanced": ADVANCED[request.kind],
        "order_id": request.client_order_id,
    }


def request_of(identity: str, found: Any) -> OrderRequest:
    """The request behind an order that another process sent, from what the exchange knows of it."""
    killed = found.time_condition == "IOC"
    kind = OrderKind.GFD if not killed else OrderKind.FOK if found.volume_condition == "ALL" else OrderKind.FAK
    return OrderRequest(
        client_order_id=identity,
        symbol=f"{found.exchange_id}.{found.instrument_id}",
        side=Side.BUY if found.direction == "BUY" else Side.SELL,
        offset=FROM_OFFSET.get(found.offset, Offset.CLOSE),
        lots=int(found.volume_orign),
        limit_price=float(found.limit_price),
        kind=kind,
    )


def is_unanswered(found: Any) -> bool:
    """Whether nobody has spoken of an order yet: the client made it, no gateway stamped or numbered or ended it."""
    return found.status != "FINISHED" and not found.exchange_order_id and not int(found.insert_date_time or 0)


def order_of(request: OrderRequest, found: Any, *, is_known: bool, simulated: bool = False) -> BrokerOrder:
    """An order as it stands.

    is_known: whether the client's word may be taken (the link is up, the answer not overdue); else a living order is UNKNOWN.
    An order that ended whole is REJECTED when no exchange ever numbered it, else CANCELLED unless its last words are a refusal.
    """
    left, asked = int(found.volume_left), int(found.volume_orign)
    number, message = str(found.exchange_order_id), str(found.last_msg)
    if found.status == "FINISHED":
        words = SIMULATOR_REFUSED if simulated else (REFUSED,)
        refused = left == asked and (not number or any(word in message for word in words))
        state = OrderState.FILLED if left == 0 else OrderState.REJECTED if refused else OrderState.CANCELLED
    elif not is_known:
        state = OrderState.UNKNOWN
    else:
        state = OrderState.WORKING if number else OrderState.SENT
    return BrokerOrder(request=request, state=state, left=left, exchange_order_id=number, message=message)


def fill_of(name: str, trade: Any) -> BrokerFill:
    """A trade of an order."""
    return BrokerFill(
        client_order_id=str(trade.order_id),
        trade_id=name,
        symbol=f"{trade.exchange_id}.{trade.instrument_id}",
        side=Side.BUY if trade.direction == "BUY" else Side.SELL,
        offset=FROM_OFFSET.get(trade.offset, Offset.CLOSE),
        lots=int(trade.volume),
        price=float(trade.price),
        ts_ns=int(trade.trade_date_time),
    )


def position_of(symbol: str, held: Any) -> BrokerPosition:
    """Lots of a contract; what the client does not know yet (NaN) is none."""

    def lots(name: str) -> int:
        value = float(getattr(held, name) or 0)
        return 0 if value != value else int(value)  # noqa: PLR0124 - NaN

    return BrokerPosition(
        symbol=symbol,
        long_today=lots("pos_long_today"),
        long_history=lots("pos_long_his"),
        short_today=lots("pos_short_today"),
        short_history=lots("pos_short_his"),
        long_today_frozen=lots("volume_long_frozen_today"),
        long_history_frozen=lots("volume_long_frozen_his"),
        short_today_frozen=lots("volume_short_frozen_today"),
        short_history_frozen=lots("volume_short_frozen_his"),
    )
