"""Words that the cores of the trading runtime share: modes, intents, what the market shows, what an order is for."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.core.orders import Offset, OrderKind, Side

__all__ = ["MarketView", "Mode", "OrderIntent", "Origin"]


class Mode(StrEnum):
    """What a gateway may do. Orders leave in PAPER, SIM and LIVE_TRADE only; anything missing degrades LIVE_TRADE to LIVE_MONITOR."""

    IDLE = "idle"
    PAPER = "paper"
    SIM = "sim"
    LIVE_MONITOR = "live_monitor"
    LIVE_TRADE = "live_trade"

    @property
    def sends_orders(self) -> bool:
        """Whether orders may leave at all."""
        return self in _SENDING


_SENDING = frozenset({Mode.PAPER, Mode.SIM, Mode.LIVE_TRADE})


class Origin(StrEnum):
    """Whose order it is: the strategy's, an operator's, or the kill's own."""

    STRATEGY = "strategy"
    COMMAND = "command"
    KILL = "kill"
    ROLL = "roll"


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An order that somebody wants; only the risk gate turns it into one that a broker accepts.

    price_ticks: limit in ticks. cause: sequence number of the journal record that led to it. direct: an operator's own order, which
    brings no target about.
    """

    symbol: str
    side: Side
    offset: Offset
    lots: int
    price_ticks: int
    kind: OrderKind
    origin: Origin
    cause: int = 0
    note: str = ""
    direct: bool = False


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest tick of a contract as the gateway needs it; prices in ticks, None where absent.

    seq: number of the tick in the gateway's stream. ts_ns: exchange time; receive_ns: ours. continuous: orders may match now;
    accepts_orders: the phase takes orders and cancels. part_end_ns: end of the session part. open_limit_lots: what the exchange lets the
    account open of the contract in a day, 0 where the feed does not say.
    """

    symbol: str
    seq: int
    ts_ns: int
    receive_ns: int
    bid: int | None
    ask: int | None
    bid_lots: int
    ask_lots: int
    last: int | None
    upper: int | None
    lower: int | None
    continuous: bool
    accepts_orders: bool
    part_end_ns: int
    trading_day: str
    price_tick: float
    open_limit_lots: int = 0
