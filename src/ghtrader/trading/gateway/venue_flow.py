"""What the broker says: orders, trades, links, and the whole account. Start-up and every lost link take the one path through here."""

from __future__ import annotations

import math

from ghtrader.core.messages import ExecutionStyle
from ghtrader.core.orders import OrderKind
from ghtrader.ports.broker import AccountFunds
from ghtrader.trading.execution import ExecPhase, ExecutorState, ExecutorTable, OrderDone
from ghtrader.trading.execution.goals import Goal
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.life import Life, LifeEvent, step_life
from ghtrader.trading.gateway.orders_flow import ask_cancel, drive, mark_of, order_settled, terms_of
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.orders.machine import OrderRecord, event_of, step_order
from ghtrader.trading.reconcile import Reconciliation, reconcile

__all__ = [
    "ask_venue",
    "doubt",
    "on_broker_link",
    "on_cancel_failed",
    "on_feed_link",
    "on_fill",
    "on_funds",
    "on_order",
    "on_submit_failed",
    "on_venue",
    "resume_executors",
]


def _life(turn: Turn, event: LifeEvent) -> None:
    state = turn.state
    before, state.life = state.life, step_life(state.life, event)
    if before != state.life:
        turn.tell("gateway_life", before=str(before), now=str(state.life))
        for symbol in state.traded():
            turn.view(symbol)


def ask_venue(turn: Turn, reason: str) -> None:
    """Ask for the whole account, unless a question is open."""
    pending = turn.state.pending
    if not pending.query_open:
        pending.query_open, pending.queried_ns = True, turn.now_ns
        turn.emit(fx.QueryVenue(reason=reason))


def on_order(turn: Turn, event: ev.OrderChanged) -> None:
    """The broker's word about an order; one that nobody knows makes us ask for the whole account."""
    state = turn.state
    identity = event.order.request.client_order_id
    known = state.book.get(identity)
    if known is None:
        doubt(turn, f"an order that nobody knows: {identity}")
        return
    step = event_of(known, event.order)
    if step is None or step_order(known, step, turn.now_ns, left=event.order.left) is None:
        return
    _, folded = turn.record(RecordKind.ORDER_UPDATE, state.order_seq(identity), order=event.order)
    assert folded.change is not None
    if folded.change.order is not None and folded.change.order.awaited:
        ask_venue(turn, "trades are awaited")
    order_settled(turn, folded.change)


def on_submit_failed(turn: Turn, event: ev.SubmitFailed) -> None:
    """An order did not leave, or nobody knows."""
    state = turn.state
    if state.book.get(event.client_order_id) is None:
        return
    _, folded = turn.record(
        RecordKind.ORDER_UPDATE,
        state.order_seq(event.client_order_id),
        client_order_id=event.client_order_id,
        never_sent=event.never_sent,
        message=f"{event.reason}: {event.message}",
    )
    turn.tell("submit_failed", order=event.client_order_id, never_sent=event.never_sent, reason=event.reason)
    assert folded.change is not None
    order_settled(turn, folded.change)
    if not event.never_sent:
        doubt(turn, f"nobody knows whether {event.client_order_id} left")


def on_cancel_failed(turn: Turn, event: ev.CancelFailed) -> None:
    """A cancel did not leave, or nobody knows: it is asked for again after a pause, and how the order stands now."""
    state, identity = turn.state, event.client_order_id
    order = state.book.get(identity)
    if order is None:
        return
    cause, _ = turn.record(
        RecordKind.NOTE,
        state.order_seq(identity),
        what="cancel_failed",
        client_order_id=identity,
        never_sent=event.never_sent,
        message=event.message,
    )
    turn.tell("cancel_failed", order=identity, never_sent=event.never_sent, message=event.message)
    if order.phase.is_final:
        return
    state.pending.not_before[identity] = turn.now_ns + state.settings.requery_ns
    state.pending.cancels[identity] = "the cancel did not leave", cause
    ask_venue(turn, "a cancel failed")


def on_fill(turn: Turn, event: ev.FillArrived) -> None:
    """A trade; one of an order that nobody knows makes us ask for the whole account."""
    state, fill = turn.state, event.fill
    known = state.book.get(fill.client_order_id)
    if known is None:
        doubt(turn, f"a trade of an order that nobody knows: {fill.client_order_id}")
        return
    if fill.trade_id in known.trade_ids:
        return
    terms = terms_of(turn, fill.symbol)
    _, folded = turn.record(
        RecordKind.FILL,
        state.order_seq(fill.client_order_id),
        fill=fill,
        multiplier=terms.multiplier,
        fee_cny=terms.fee_cny(fill.offset, fill.price, fill.lots),
    )
    change = folded.change
    assert change is not None
    if change.note == "contradiction":
        doubt(turn, f"trade {fill.trade_id} does not fit its order")
        return
    state.count("fills")
    order_settled(turn, change)


def doubt(turn: Turn, why: str) -> None:
    """The account is not known any more: it is asked for, and nothing is opened until it balances."""
    turn.record(RecordKind.NOTE, 0, what="doubt", message=why)
    _life(turn, LifeEvent.DOUBT)
    ask_venue(turn, why)


def on_broker_link(turn: Turn, event: ev.BrokerLinkChanged) -> None:
    """Down: what works is unknown. Up: the account is asked for before anything is opened."""
    state = turn.state
    state.broker_message = event.message
    turn.record(RecordKind.HALT, 0, link="up" if event.up else "down", message=event.message)
    state.pending.query_open = False
    if not event.up:
        _life(turn, LifeEvent.LINK_DOWN)
        return
    state.pending.not_before.clear()
    _life(turn, LifeEvent.LINK_UP)
    ask_venue(turn, "the link is up")


def on_feed_link(turn: Turn, event: ev.FeedLinkChanged) -> None:
    """Without a feed no position is opened."""
    state = turn.state
    if state.feed_up != event.up:
        turn.record(RecordKind.HALT, 0, feed="up" if event.up else "down", message=event.message)
    state.feed_up, state.feed_message = event.up, event.message
    for symbol in state.traded():
        turn.view(symbol)


def on_funds(turn: Turn, event: ev.FundsArrived) -> None:
    """Money: losses and drawdown are judged on the balance."""
    state = turn.state
    state.funds = event.funds
    in_session = any(day.is_continuous(turn.now_ns) for day in state.days.values())
    balance = event.funds.balance
    if balance != balance or balance != state.risk.equity_cny or not state.risk.equity_known:  # noqa: PLR0124 - NaN
        turn.record(RecordKind.EQUITY, 0, equity_cny=balance, in_session=in_session, start_cny=_settled(event.funds))


def _settled(funds: AccountFunds) -> float | None:
    """Equity after the last settlement (money paid in or out since included); None where the broker does not tell all of it."""
    start = funds.balance + funds.commission - funds.close_profit - funds.position_profit
    return start if math.isfinite(start) else None


def on_venue(turn: Turn, event: ev.VenueAnswered) -> None:
    """The whole account: take what it knows and we do not, and say whether it explains ours."""
    state, snapshot = turn.state, event.snapshot
    state.pending.query_open = False
    if state.life == Life.OFFLINE:
        return
    ticks = {symbol: day.price_tick for symbol, day in state.days.items()}
    outcome = reconcile(state.book, state.positions, snapshot, now_ns=turn.now_ns, price_ticks=ticks)
    state.differences = tuple(f"{item.case} {item.symbol} {item.client_order_id}".strip() for item in outcome.blocking)
    if outcome.actions or outcome.differences or state.life != Life.READY:
        _take(turn, outcome)
    on_funds(turn, ev.FundsArrived(now_ns=turn.now_ns, funds=snapshot.funds))
    was_ready = state.life == Life.READY
    _life(turn, LifeEvent.BALANCED if outcome.balanced else LifeEvent.DIFFERS)
    if state.life == Life.READY and not was_ready:
        resume_executors(turn)
    if not outcome.balanced:
        turn.tell("unbalanced", differences=", ".join(state.differences))


def _take(turn: Turn, outcome: Reconciliation) -> None:
    fills = [action.fill.symbol for action in outcome.actions if action.fill is not None]
    found = [action.position.symbol for action in outcome.actions if action.position is not None]
    terms = {symbol: terms_of(turn, symbol) for symbol in (*fills, *found)}
    marks = {symbol: mark_of(turn, symbol) for symbol in found}
    seq, folded = turn.record(RecordKind.RECONCILE, 0, outcome=outcome, terms=terms, marks=marks)
    applied = folded.applied
    assert applied is not None
    turn.sync()
    for identity in applied.cancels:
        ask_cancel(turn, identity, "the venue has not heard of the cancel", seq)
    for identity in applied.settled:
        order = turn.state.book.get(identity)
        if order is not None:
            drive(turn, order.symbol, OrderDone(client_order_id=identity, phase=order.phase, filled=order.filled))
    for symbol in turn.state.traded():
        turn.view(symbol)


def resume_executors(turn: Turn) -> None:
    """Working orders that no executor of this run sent get one that watches them; without a target for them they are cancelled."""
    state = turn.state
    found: dict[str, ExecutorState] = {}
    for order in state.book.unsettled():
        if order.adopted:
            ask_cancel(turn, order.client_order_id, "cancel_all")
        elif state.executors.get(order.symbol) is None and not order.phase.is_final:
            found[order.symbol] = _watching(turn, order)
    if found:
        document = state.executors.to_document()
        document["targets"] |= found
        document["claims"] |= dict.fromkeys(found, "target")
        state.executors = ExecutorTable.from_document(document)


def _watching(turn: Turn, order: OrderRecord) -> ExecutorState:
    target = turn.state.targets.get(order.symbol)
    goal = None
    if target is not None and target.origin == order.intent.origin and not order.intent.direct:
        goal = Goal(
            lots=target.lots,
            execution=target.execution,
            origin=target.origin,
            cause=target.cause,
            started_ns=order.created_ns,
            started_lots=turn.state.positions.net(order.symbol),
            pieces=1,
        )
    execution = target.execution if target is not None else ExecutionStyle()
    rests = order.intent.kind is OrderKind.GFD
    return ExecutorState(
        symbol=order.symbol,
        phase=ExecPhase.CANCELLING if order.cancel_asked else ExecPhase.PLACED,
        goal=goal,
        wake_ns=order.created_ns + execution.patience_ns if rests else 0,
        order_id=order.client_order_id,
        placed_lots=order.lots,
        placed_side=int(order.side),
        placed_price=order.intent.price_ticks,
        placed_position=turn.state.positions.net(order.symbol) - int(order.side) * order.filled,
        placed_kind=int(order.intent.kind),
    )
