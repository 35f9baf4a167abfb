"""Orders at a broker. The exchange's word counts: what nobody confirmed is ``unknown``, never assumed.

A broker belongs to one thread. Client order ids are the caller's and unique within a trading day: submitting one twice changes
nothing and gives the order that is there, also from another process after a restart. `poll` lets time pass and gives what changed
since. An order is sent at most once: one that the exchange turns out not to know becomes ``lost`` and stays so.
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
    "tells_today_apart",
]


class OrderState(StrEnum):
    """What is known of an order.

    FILLED, CANCELLED (with what was filled before), REJECTED and LOST (it never reached the exchange) are final. UNKNOWN: it may
    work, be filled, or not exist; it waits for the exchange's word.
    """

    SENT = "sent"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Nothing more can happen to the order."""
        return self in {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.LOST}


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
    """Lots of a contract, long and short, today's and history, each with what closing orders froze of it."""

    symbol: str
    long_today: int
    long_history: int
    short_today: int
    short_history: int
    long_today_frozen: int = 0
    long_history_frozen: int = 0
    short_today_frozen: int = 0
    short_history_frozen: int = 0

    @property
    def lots(self) -> int:
        """Lots of both sides together."""
        return self.long_today + self.long_history + self.short_today + self.short_history

    def closable(self, side: Side) -> tuple[int, int]:
        """Lots of today and of history that a closing order of this side may still take (SELL closes long).

        >>> held = BrokerPosition(symbol="SHFE.rb2510", long_today=3, long_history=2, short_today=0, short_history=0, long_today_frozen=1)
        >>> held.closable(Side.SELL)
        (2, 2)
        """
        if side < 0:
            return self.long_today - self.long_today_frozen, self.long_history - self.long_history_frozen
        return self.short_today - self.short_today_frozen, self.short_history - self.short_history_frozen


class AccountFunds(msgspec.Struct, frozen=True, kw_only=True):
    """Money in CNY; NaN where the broker said nothing."""

    balance: float
    available: float
    margin: float
    commission: float
    close_profit: float
    position_profit: float


def tells_today_apart(symbol: str) -> bool:
    """Whether the contract's exchange takes CLOSE for history and CLOSETODAY for today's lots only.

    >>> tells_today_apart("SHFE.rb2510"), tells_today_apart("DCE.m2509")
    (True, False)
    """
    return symbol.split(".", 1)[0] in {"SHFE", "INE"}


def split_close(position: BrokerPosition, side: Side, lots: int) -> list[tuple[Offset, int]]:
    """How an order that reduces a position is split: at most what is there and not frozen by another closing order.

    side: of the closing order (SELL closes long). On SHFE and INE history goes first, then today's; elsewhere CLOSE takes both.

    >>> held = BrokerPosition(symbol="SHFE.rb2510", long_today=3, long_history=2, short_today=0, short_history=0)
    >>> split_close(held, Side.SELL, 4)
    [(<Offset.CLOSE: 'close'>, 2), (<Offset.CLOSE_TODAY: 'close_today'>, 2)]
    """
    today, history = position.closable(side)
    today, history = max(0, today), max(0, history)
    if not tells_today_apart(position.symbol):
        pieces = [(Offset.CLOSE, min(lots, today + history))]
    else:
        old = min(lots, history)
        pieces = [(Offset.CLOSE, old), (Offset.CLOSE_TODAY, min(lots - old, today))]
    return [(offset, count) for offset, count in pieces if count > 0]


class Broker(Protocol):
    """A session of one account.

    Raises RiskDenied (``reason``) for orders that the exchange would refuse, HaltedError while the link is down: neither is sent.
    A session that cannot come back by itself is made anew by `poll`; orders keep their ids over it.
    """

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order; the same client order id again gives the order that is there, whatever became of it."""

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; the outcome comes with `poll`. Raises DataError for an id nobody submitted.

        While the link is down nothing is sent: the cancel goes out when the account is reconciled, if the order still works.
        """

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Orders that changed since the last call, each as it stands, at the latest after the timeout (a new session may take longer)."""

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
        """Whether orders may leave: the link is up and what happened while it was down is known."""

    def close(self) -> None:
        """Hang up; orders stay at the exchange."""
