"""Orders at a broker. The exchange's word counts: what nobody confirmed is ``unknown``, never assumed.

A broker belongs to one thread. Client order ids are the caller's and unique: submitting one twice changes nothing and gives the
order that is there. `poll` lets time pass and gives what changed since.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from ghtrader.core.orders import Offset, OrderKind, Side

__all__ = [
    "AccountFunds",
    "Broker",
    "BrokerFill",
    "BrokerOrder",
    "BrokerPosition",
    "OrderRequest",
    "OrderState",
    "split_close",
]


class OrderState(StrEnum):
    """What is known of an order. FILLED, CANCELLED and REJECTED are final; UNKNOWN waits for the exchange's word."""

    SENT = "sent"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Nothing more can happen to the order."""
        return self in {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A limit order; ``kind`` is a day order, FAK or FOK."""

    client_order_id: str
    symbol: str
    side: Side
    offset: Offset
    lots: int
    limit_price: float
    kind: OrderKind = OrderKind.GFD


class BrokerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands: lots asked, lots left, the exchange's number, the broker's words."""

    request: OrderRequest
    state: OrderState
    left: int
    exchange_order_id: str = ""
    message: str = ""


class BrokerFill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of an order."""

    client_order_id: str
    trade_id: str
    symbol: str
    side: Side
    offset: Offset
    lots: int
    price: float
    ts_ns: int


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Lots of a contract, long and short, today's and history, with what closing orders froze."""

    symbol: str
    long_today: int
    long_history: int
    short_today: int
    short_history: int
    long_frozen: int = 0
    short_frozen: int = 0


class AccountFunds(msgspec.Struct, frozen=True, kw_only=True):
    """Money in CNY; NaN where the broker said nothing."""

    balance: float
    available: float
    margin: float
    commission: float
    close_profit: float
    position_profit: float


def split_close(position: BrokerPosition, side: Side, lots: int) -> list[tuple[Offset, int]]:
    """How an order that reduces a position is split on SHFE and INE: history first, then today's; at most what there is.

    side: of the closing order (SELL closes long).

    >>> held = BrokerPosition(symbol="SHFE.rb2510", long_today=3, long_history=2, short_today=0, short_history=0)
    >>> split_close(held, Side.SELL, 4)
    [(<Offset.CLOSE: 'close'>, 2), (<Offset.CLOSE_TODAY: 'close_today'>, 2)]
    """
    today, history = (
        (position.long_today, position.long_history) if side == Side.SELL else (position.short_today, position.short_history)
    )
    old = min(lots, history)
    new = min(lots - old, today)
    pieces = [(Offset.CLOSE, old), (Offset.CLOSE_TODAY, new)]
    return [(offset, count) for offset, count in pieces if count]


class Broker(Protocol):
    """Raises RiskDenied for orders that the exchange would refuse, HaltedError while the trade link is down."""

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order; the same client order id again gives the order that is there."""

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; the outcome comes with `poll`. Raises DataError for an id nobody submitted."""

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Orders that changed, at the latest after the timeout."""

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order as it stands."""

    def orders(self) -> list[BrokerOrder]:
        """Every order of the trading day."""

    def fills(self) -> list[BrokerFill]:
        """Every trade of the trading day, by exchange time."""

    def positions(self) -> list[BrokerPosition]:
        """Positions with lots."""

    def funds(self) -> AccountFunds:
        """Money."""

    @property
    def is_up(self) -> bool:
        """Whether the trade link is up and reconciled."""

    def close(self) -> None:
        """Hang up; orders stay at the exchange."""
