"""The state as operators see it, published when something changed and once a second."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway.modes import effective_mode
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.state.revision import RESERVED, StateDocument

__all__ = ["document_of", "publish"]


def publish(turn: Turn) -> None:
    """Give the state to the sinks when it is due. The revision is reserved in the journal before it is used."""
    state = turn.state
    due = turn.now_ns - state.published_ns >= state.settings.publish_ns
    if not due:
        return
    if state.published_revision >= state.revision:
        state.published_revision = state.revision
        turn.record(RecordKind.REVISION, 0, reserved=state.revision + RESERVED)
        turn.sync()
    state.published_revision += 1
    state.published_ns, state.dirty = turn.now_ns, False
    turn.emit(fx.PublishState(document=document_of(turn)))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def document_of(turn: Turn) -> StateDocument:
    """The state now."""
    state, now = turn.state, turn.now_ns
    mode, why = effective_mode(state.desired, state.settings.gates, state.red)
    funds = {} if state.funds is None else {name: _number(v) for name, v in msgspec.structs.asdict(state.funds).items()}
    silent = state.strategy_halt(now)
    desired = {name: value for name, value in msgspec.to_builtins(state.desired).items() if name != "confirm_live"}
    return StateDocument(
        account=state.settings.account,
        revision=state.published_revision,
        updated_at=now,
        sender="gateway",
        mode=str(mode),
        desired_mode=str(state.desired.mode),
        mode_reason=why,
        life=str(state.life),
        killed=state.killed,
        kill_reason=state.kill.reason,
        paused=state.desired.paused,
        trading_day=state.trading_day,
        halts=state.halts(),
        degraded=state.degraded,
        contracts=state.contracts,
        positions=[msgspec.structs.asdict(state.positions.position(s, state.book.working(s))) for s in state.positions.symbols()],
        working=[_order(order) for order in state.book.unsettled()],
        targets={symbol: held.lots for symbol, held in sorted(state.targets.items())},
        funds=funds,
        pnl_cny={symbol: _pnl(turn, symbol) for symbol in state.traded()},
        strategy={
            "session": state.strategy.session,
            "state": state.strategy.state,
            "heard_ns": state.strategy.heard_ns,
            "halt": silent,
        },
        links={"broker": state.broker_message or "up", "feed": "up" if state.feed_up else state.feed_message},
        counters=dict(state.counters),
        markets={
            symbol: {
                "bid": market.bid,
                "ask": market.ask,
                "last": market.last,
                "ts_ns": market.ts_ns,
                "price_tick": market.price_tick,
            }
            for symbol, market in sorted(state.markets.items())
        },
        desired=desired,
        limits=msgspec.structs.asdict(state.limits),
    )


def _pnl(turn: Turn, symbol: str) -> float | None:
    market, day = turn.state.markets.get(symbol), turn.state.days.get(symbol)
    mark = None if market is None or market.last is None or day is None else market.last * day.price_tick
    return _number(turn.state.positions.day_money(symbol, mark).net_cny)


def _order(order: Any) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.name.lower(),
        "offset": str(order.intent.offset),
        "lots": order.lots,
        "filled": order.filled,
        "price_ticks": order.intent.price_ticks,
        "phase": str(order.phase),
        "origin": str(order.intent.origin),
    }
