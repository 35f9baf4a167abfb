"""A tick: the newest market of a contract, and whoever trades it."""

from __future__ import annotations

from ghtrader.trading.execution import Tick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.orders_flow import drive
from ghtrader.trading.gateway.turn import Turn

__all__ = ["on_tick"]


def on_tick(turn: Turn, event: ev.TickArrived) -> None:
    """Take the market; an executor of the contract acts on it."""
    state, market = turn.state, event.market
    state.markets[market.symbol] = market
    state.count("ticks")
    if state.executors.get(market.symbol) is not None:
        drive(turn, market.symbol, Tick())
