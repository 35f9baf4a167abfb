"""From what executors want to orders that leave, and from the broker's words back to executors."""

from __future__ import annotations

import math

from ghtrader.core.instruments import FeeRule
from ghtrader.core.orders import Offset
from ghtrader.ports.broker import BrokerPosition
from ghtrader.trading.execution import (
    CancelWorking,
    Done,
    ExecView,
    OrderDone,
    Place,
    PlaceRefused,
)
from ghtrader.trading.execution.goals import Effect as ExecEffect
from ghtrader.trading.execution.goals import Event as ExecEvent
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway.contract_days import ContractDay
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.state import READY
from ghtrader.trading.gateway.turn import SYNC, Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.orders.book import Change
from ghtrader.trading.orders.positions import ContractTerms
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.gate import check_cancel, check_order
from ghtrader.trading.words import OrderIntent, Origin

__all__ = ["ask_cancel", "do_wanted", "drive", "exec_view", "mark_of", "order_settled", "place", "risk_context", "terms_of"]

#: Of a contract that nobody knows today: the gate refuses it.
NO_FACTS = ContractDay(
    symbol="", trading_day="", price_tick=0.0, multiplier=0.0, min_lots=1, max_lots=0, margin_rate=0.0, fee=FeeRule(),
    delivery_month="", windows=(),
)  # fmt: skip
OPEN, STRATEGY = Offset.OPEN, Origin.STRATEGY
VERDICT, ORDER_INTENT, ORDER_SENT = RecordKind.VERDICT, RecordKind.ORDER_INTENT, RecordKind.ORDER_SENT


def terms_of(turn: Turn, symbol: str) -> ContractTerms:
    """Multiplier and fees of a contract today; neutral ones when nobody knows it."""
    day = turn.state.days.get(symbol)
    return ContractTerms() if day is None else ContractTerms(multiplier=day.multiplier, fee=day.fee)


def mark_of(turn: Turn, symbol: str) -> float | None:
    """The newest price of a contract in CNY: the last one, else a touch; None without any."""
    market, day = turn.state.markets.get(symbol), turn.state.days.get(symbol)
    price = None if market is None else market.last if market.last is not None else market.bid or market.ask
    return None if day is None or price is None else price * day.price_tick


def exec_view(turn: Turn, symbol: str) -> ExecView:
    """What an executor sees of its contract."""
    state = turn.state
    working = state.book.working(symbol)
    day = state.days.get(symbol)
    return ExecView(
        held=state.positions.position(symbol, working),
        working=working,
        market=state.markets.get(symbol),
        now_ns=turn.now_ns,
        most_lots=0 if day is None else min(day.max_lots, state.limits.max_order_lots),
    )


def drive(turn: Turn, symbol: str, event: ExecEvent, cause: int = 0) -> None:
    """Let whoever trades a contract take an event, and do what it wants. cause: of cancels that follow at once."""
    do_wanted(turn, symbol, turn.state.executors.step(symbol, event, exec_view(turn, symbol)), cause)


def do_wanted(turn: Turn, symbol: str, wanted: tuple[ExecEffect, ...], cause: int = 0) -> None:
    """Send what an executor wants sent, ask for the cancels it wants, write down that a goal is dealt with."""
    state = turn.state
    for effect in wanted:
        match effect:
            case Place(intent=intent):
                refused = place(turn, intent)
                if refused:
                    drive(turn, symbol, PlaceRefused(reason=refused))
            case CancelWorking(client_order_id=identity, reason=reason):
                ask_cancel(turn, identity, reason, cause)
            case Done(reason=reason, missing=missing):
                goal_cause = state.targets[symbol].cause if symbol in state.targets else 0
                turn.record(RecordKind.NOTE, goal_cause, what="goal_done", symbol=symbol, reason=str(reason), missing=missing)
    turn.view(symbol)


def risk_context(turn: Turn, intent: OrderIntent) -> RiskContext:
    """Everything the gate wants to know about one order."""
    state, symbol = turn.state, intent.symbol
    day = state.days.get(symbol) or NO_FACTS
    working = state.book.working(symbol)
    buys = sells = opening_buy = opening_sell = 0
    for order in working:
        lots, opens = order.in_flight, order.intent.offset is OPEN
        if order.side > 0:
            buys, opening_buy = buys + lots, opening_buy + lots * opens
        else:
            sells, opening_sell = sells + lots, opening_sell + lots * opens
    funds, market = state.funds, state.markets.get(symbol)
    every, openings = _halts(turn, intent)
    return RiskContext(
        now_ns=turn.now_ns,
        trading_day=state.trading_day,
        mode=state.mode,
        killed=state.kill.killed,
        reconciled=state.life is READY,
        market=market,
        held=state.positions.position(symbol, working),
        price_tick=day.price_tick,
        multiplier=day.multiplier,
        margin_rate=day.margin_rate,
        equity_cny=math.nan if funds is None else funds.balance,
        available_cny=math.nan if funds is None else funds.available,
        seq=state.seq + 1,
        halt_reasons=every,
        opening_halts=openings,
        min_lots=day.min_lots,
        max_lots=day.max_lots,
        in_flight_buy=buys,
        in_flight_sell=sells,
        opening_buy=opening_buy,
        opening_sell=opening_sell,
        own_working=tuple([(order.side, order.intent.price_ticks, order.in_flight) for order in working]) if working else (),
        other_notional_cny=_other_notional(turn, symbol),
        other_margin_cny=_other_margin(turn, symbol),
        open_limit_lots=0 if market is None else market.open_limit_lots,
    )


def _halts(turn: Turn, intent: OrderIntent) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why no order at all may leave, and why none that opens; a kill is the gate's own to know."""
    state = turn.state
    halts = state.halts()
    silent = state.strategy_halt(turn.now_ns) if intent.origin == STRATEGY else ""
    retired = ("retired_contract",) if intent.symbol in state.retired else ()
    if not halts and not silent:
        return (), retired
    skipped = {"broker_down", "risk_killed"} | ({"paused"} if intent.origin == Origin.COMMAND else set())
    every = tuple(code for code in halts if code == "broker_down")
    return every, (*(code for code in (*halts, silent) if code and code not in skipped), *retired)


def _other_notional(turn: Turn, symbol: str) -> float:
    """Value of what other contracts hold and open, at their last price; NaN when one of them has no price."""
    state, total = turn.state, 0.0
    held_or_working, unsettled = state.positions.symbols(), state.book.unsettled()
    if not unsettled and (not held_or_working or held_or_working == (symbol,)):
        return total  # the usual case
    others = {*held_or_working, *[order.intent.symbol for order in unsettled]}
    for other in sorted(others - {symbol}):
        held: BrokerPosition = state.positions.position(other)
        lots = held.lots + sum(state.book.in_flight(other))
        if not lots:
            continue
        mark = mark_of(turn, other)
        if mark is None:
            return math.nan
        total += lots * mark * state.days[other].multiplier
    return total


def _other_margin(turn: Turn, symbol: str) -> float:
    """Margin that opening orders in flight of other contracts will take, in CNY; NaN where nobody knows the contract."""
    total = 0.0
    for order in turn.state.book.unsettled():
        if order.symbol == symbol or order.intent.offset is not Offset.OPEN:
            continue
        day = turn.state.days.get(order.symbol)
        if day is None:
            return math.nan
        total += order.in_flight * order.intent.price_ticks * day.price_tick * day.multiplier * day.margin_rate
    return total


def place(turn: Turn, intent: OrderIntent) -> str:
    """Send an order if the gate lets it pass: verdict and intent are on the disk before it leaves. Returns why it was refused."""
    state = turn.state
    identity, _ = state.ids.take()
    context = risk_context(turn, intent)
    verdict = check_order(state.risk, state.limits, state.settings.meters, intent, context, identity)
    approved = verdict.approved
    seq, _ = turn.record(
        VERDICT,
        intent.cause,
        approved=approved is not None,
        reason=str(verdict.reason),
        message=verdict.message,
        client_order_id=identity if approved is not None else "",
        intent=intent,
    )
    if verdict.near:
        turn.near_misses(verdict.near, seq)
    if approved is None:
        state.count(f"refused_{verdict.reason}")
        return str(verdict.reason)
    cause, _ = turn.record(ORDER_INTENT, seq, client_order_id=identity, intent=intent)
    turn.effects += (SYNC, fx.SubmitOrder(approved=approved))
    turn.record(ORDER_SENT, cause, client_order_id=identity)
    state.count("orders")
    return ""


def ask_cancel(turn: Turn, identity: str, reason: str, cause: int = 0) -> None:
    """Ask for a cancel; one that the rate does not let out waits and is asked again, and so is one asked for while the market is shut."""
    state = turn.state
    order = state.book.get(identity)
    if order is None or order.is_settled or order.phase.is_final:
        state.pending.forget_cancel(identity)
        return
    if identity in state.pending.not_before and (state.life == Life.OFFLINE or turn.now_ns < state.pending.not_before[identity]):
        state.pending.cancels.setdefault(identity, (reason, cause))
        return
    free = state.killed or order.intent.origin in {Origin.KILL, Origin.ROLL} or reason in {"flatten", "cancel_all", "roll"}
    verdict = check_cancel(
        state.risk,
        state.limits,
        state.settings.meters,
        turn.now_ns,
        order.symbol,
        killed=state.killed,
        flattening=free,
        closing=order.intent.offset is not OPEN,
    )
    if not verdict.allowed:
        if identity not in state.pending.cancels:
            turn.record(RecordKind.NOTE, cause, what="cancel_waits", client_order_id=identity, reason=str(verdict.reason))
        state.pending.cancels[identity] = reason, cause
        return
    state.pending.forget_cancel(identity)
    turn.near_misses(verdict.near, cause)
    turn.record(RecordKind.CANCEL_SENT, cause, client_order_id=identity, reason=reason)
    turn.sync()
    turn.emit(fx.CancelOrder(client_order_id=identity))
    state.count("cancels")
    day = state.days.get(order.symbol)
    if day is not None and not day.accepts_orders(turn.now_ns) and (opening := day.opening_ns(turn.now_ns)):
        state.pending.not_before[identity] = opening  # the exchange refuses it now, if our clock is right
        state.pending.cancels[identity] = reason, cause


def order_settled(turn: Turn, change: Change) -> None:
    """An order moved: its executor hears of its end, the strategy of the position."""
    order = change.order
    if order is None:
        return
    if change.settled:
        turn.state.pending.forget_cancel(order.client_order_id)
        drive(turn, order.symbol, OrderDone(client_order_id=order.client_order_id, phase=order.phase, filled=order.filled))
    else:
        turn.view(order.symbol)
