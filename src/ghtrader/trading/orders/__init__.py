"""Orders of an account, their ids, and the positions that their trades make. Pure: no I/O, no clock."""

from __future__ import annotations

from ghtrader.trading.orders.book import Change, OrderBook, broker_id_of, intent_of
from ghtrader.trading.orders.ids import OrderIds, external_order_id, parse_order_id, synthetic_trade_id
from ghtrader.trading.orders.machine import ORDER_STEPS, OrderEvent, OrderPhase, OrderRecord
from ghtrader.trading.orders.positions import ContractTerms, DayMoney, PositionLedger, split_intents

__all__ = [
    "ORDER_STEPS",
    "Change",
    "ContractTerms",
    "DayMoney",
    "OrderBook",
    "OrderEvent",
    "OrderIds",
    "OrderPhase",
    "OrderRecord",
    "PositionLedger",
    "broker_id_of",
    "external_order_id",
    "intent_of",
    "parse_order_id",
    "split_intents",
    "synthetic_trade_id",
]
