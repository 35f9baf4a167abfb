"""A case in which every rule holds, and single steps away from it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerPosition
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.gate import Verdict, check_order
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState
from ghtrader.trading.risk.meters import ExchangeMeters
from ghtrader.trading.words import MarketView, Mode, OrderIntent, Origin

S = 1_000_000_000
NOW = 1_749_090_000 * S
DAY = "2025-06-05"
RB = "SHFE.rb2510"
LIMITS = RiskLimits()
METERS = ExchangeMeters.vendored()
STATE = RiskState(trading_day=DAY, day_start_cny=500_000.0, peak_cny=500_000.0, equity_cny=500_000.0, equity_known=True)
INTENT = OrderIntent(
    symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=1, price_ticks=3000, kind=OrderKind.GFD, origin=Origin.STRATEGY
)
MARKET = MarketView(
    symbol=RB,
    seq=1,
    ts_ns=NOW,
    receive_ns=NOW,
    bid=3000,
    ask=3001,
    bid_lots=10,
    ask_lots=10,
    last=3000,
    upper=3200,
    lower=2800,
    continuous=True,
    accepts_orders=True,
    part_end_ns=NOW + 3600 * S,
    trading_day=DAY,
    price_tick=1.0,
)
FLAT = BrokerPosition(symbol=RB, long_today=0, long_history=0, short_today=0, short_history=0)
CONTEXT = RiskContext(
    now_ns=NOW,
    trading_day=DAY,
    mode=Mode.PAPER,
    killed=False,
    reconciled=True,
    market=MARKET,
    held=FLAT,
    price_tick=1.0,
    multiplier=10.0,
    equity_cny=500_000.0,
    available_cny=500_000.0,
    margin_rate=0.1,
    max_lots=500,
)


def market(**changes: Any) -> MarketView:
    return replace(MARKET, **changes)


def context(**changes: Any) -> RiskContext:
    """Keys of the market go to the market, others to the context."""
    of_market = {
        key: changes.pop(key)
        for key in list(changes)
        if key in MarketView.__struct_fields__ and key not in RiskContext.__struct_fields__
    }
    if of_market:
        changes["market"] = market(**of_market)
    return replace(CONTEXT, **changes)


def intent(**changes: Any) -> OrderIntent:
    return replace(INTENT, **changes)


def held(**changes: Any) -> BrokerPosition:
    return replace(FLAT, **changes)


def check(
    wanted: OrderIntent = INTENT, at: RiskContext = CONTEXT, *, state: RiskState = STATE, limits: RiskLimits = LIMITS
) -> Verdict:
    return check_order(state, limits, METERS, wanted, at, "id-1")


def fill(
    side: Side,
    offset: Offset = Offset.OPEN,
    lots: int = 1,
    price: float = 3000.0,
    order: str = "a",
    ts_ns: int = NOW,
    symbol: str = RB,
) -> BrokerFill:
    return BrokerFill(
        client_order_id=order, trade_id="t", symbol=symbol, side=side, offset=offset, lots=lots, price=price, ts_ns=ts_ns
    )
