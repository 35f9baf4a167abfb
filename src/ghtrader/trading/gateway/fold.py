"""The durable state as a fold over the journal: `apply_record` is the one way it changes, live and at recovery alike.

A record holds what was decided or heard; applying it never asks anything, so that a restart comes to the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ghtrader.core.errors import DataError
from ghtrader.core.messages import Command, CommandAnswer, Verb
from ghtrader.core.orders import OrderKind
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.trading.gateway.modes import Desired
from ghtrader.trading.gateway.state import GatewayState, HeldTarget
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.record import KillRecord
from ghtrader.trading.orders.book import Change, OrderBook
from ghtrader.trading.orders.positions import ContractTerms, PositionLedger
from ghtrader.trading.reconcile import Applied, Reconciliation, apply_reconciliation
from ghtrader.trading.reconcile.cases import ActionKind
from ghtrader.trading.risk import memory
from ghtrader.trading.risk.reasons import Breach, NearMiss
from ghtrader.trading.risk.state import (
    observe_accepted,
    observe_cancel,
    observe_day,
    observe_day_back,
    observe_equity,
    observe_fill,
    observe_order,
    observe_position,
    observe_reject,
    observe_reset,
    observe_symbol_pnl,
    observe_unsent,
    observe_unsent_cancel,
)
from ghtrader.trading.words import OrderIntent

__all__ = ["FOLDS", "Folded", "apply_record", "snapshot_of"]

T = TypeVar("T")
IMMEDIATE = {OrderKind.FAK, OrderKind.FOK}


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What a record did: the order's change, what reconciliation changed, and what the risk memory has to tell."""

    change: Change | None = None
    applied: Applied | None = None
    told: tuple[Breach | NearMiss, ...] = ()


NOTHING = Folded()


def _as(value: Any, kind: type[T]) -> T:
    """A body's field: the struct itself when the record is new, what MessagePack made of it when it was read back."""
    return value if isinstance(value, kind) else msgspec.convert(value, kind)


def _start(state: GatewayState, record: Record) -> Folded:
    state.epoch = int(record.body["epoch"])
    state.ids = replace(state.ids, account=state.settings.account, epoch=state.epoch, count=0)
    _pass_over(state, [order.client_order_id for order in state.book.orders()])
    return NOTHING


def _pass_over(state: GatewayState, known: Iterable[str]) -> None:
    """Never give an id that an order has: a journal that was lost has begun anew, and the venue remembers what the old one sent."""
    for identity in known:
        state.ids = state.ids.beyond(identity)


def _day(state: GatewayState, record: Record) -> Folded:
    body = record.body
    day = str(body["trading_day"])
    for symbol, terms in body["terms"].items():
        state.positions.set_terms(symbol, _as(terms, ContractTerms))
    settlements = body.get("settlements") or {}
    if day == state.positions.trading_day:
        state.positions.carry_at(settlements)
    if day > state.positions.trading_day:
        state.positions.begin_day(day, settlements)
        state.book.begin_day(day)
        state.order_seqs = {name: seq for name, seq in state.order_seqs.items() if state.book.get(name) is not None}
    state.risk, told = observe_day(state.risk, day)
    state.ids = state.ids.on_day(day)
    state.trading_day = day
    before, state.contracts = state.contracts, dict(body["contracts"])
    for symbol, contract in sorted(state.contracts.items()):
        old = before.get(symbol, contract)
        if old != contract:  # here, not in a record of its own: no crash may come between the new day and the roll
            state.targets.pop(old, None)
            state.retired[old] = record.seq
        state.retired.pop(contract, None)
    return Folded(told=told)


def _target(state: GatewayState, record: Record) -> Folded:
    if not record.body.get("refused"):
        held = _as(record.body["held"], HeldTarget)
        state.targets[held.contract] = replace(held, cause=record.seq)
    return NOTHING


def _intent(state: GatewayState, record: Record) -> Folded:
    identity, intent = str(record.body["client_order_id"]), _as(record.body["intent"], OrderIntent)
    state.ids = state.ids.beyond(identity)
    state.order_seqs[identity] = record.seq
    change = state.book.add(identity, intent, trading_day=state.trading_day, ts_ns=record.ts_ns)
    settings = state.settings
    state.risk, told = observe_order(state.risk, state.limits, settings.meters, record.ts_ns, intent.symbol)
    return Folded(change=change, told=told)


def _sent(state: GatewayState, record: Record) -> Folded:
    return Folded(change=state.book.mark_sent(str(record.body["client_order_id"]), record.ts_ns))


def _update(state: GatewayState, record: Record) -> Folded:
    body = record.body
    if "never_sent" in body:
        identity, never = str(body["client_order_id"]), bool(body["never_sent"])
        change = state.book.submit_failed(identity, never_sent=never, ts_ns=record.ts_ns, message=str(body["message"]))
        if never and change.changed and change.order is not None:
            state.risk = observe_unsent(state.risk, change.order.symbol)
        return Folded(change=change)
    update = _as(body["order"], BrokerOrder)
    change = state.book.apply_update(update, record.ts_ns)
    told: tuple[Breach | NearMiss, ...] = ()
    if change.changed and update.state == OrderState.REJECTED:
        state.risk, told = observe_reject(state.risk, state.limits, update.request.symbol)
    elif change.changed and update.state in {OrderState.WORKING, OrderState.FILLED}:
        state.risk = observe_accepted(state.risk)
    elif change.changed and update.state == OrderState.CANCELLED and update.request.kind in IMMEDIATE and update.left:
        settings = state.settings
        state.risk, told = observe_cancel(
            state.risk, state.limits, settings.meters, record.ts_ns, update.request.symbol, update.left, by_exchange=True
        )
    return Folded(change=change, told=told)


def _observe_trade(state: GatewayState, fill: BrokerFill, multiplier: float, fee_cny: float) -> tuple[Breach | NearMiss, ...]:
    settings = state.settings
    state.risk, told = observe_fill(state.risk, state.limits, settings.meters, fill, multiplier, fee_cny)
    return told


def _fill(state: GatewayState, record: Record) -> Folded:
    fill = _as(record.body["fill"], BrokerFill)
    change = state.book.apply_fill(fill, record.ts_ns)
    if not change.changed:
        return Folded(change=change)
    state.positions.apply_fill(fill)
    told = _observe_trade(state, fill, float(record.body["multiplier"]), float(record.body["fee_cny"]))
    return Folded(change=change, told=told)


def _cancel(state: GatewayState, record: Record) -> Folded:
    identity = str(record.body["client_order_id"])
    change = state.book.ask_cancel(identity, record.ts_ns)
    order, settings = state.book.get(identity), state.settings
    if order is None:
        return Folded(change=change)
    state.risk, told = observe_cancel(
        state.risk, state.limits, settings.meters, record.ts_ns, order.symbol, order.lots - order.filled
    )
    return Folded(change=change, told=told)


def _reconcile(state: GatewayState, record: Record) -> Folded:
    outcome = _as(record.body["outcome"], Reconciliation)
    applied = apply_reconciliation(outcome, state.book, state.positions, record.ts_ns)
    _pass_over(state, [action.client_order_id for action in outcome.actions])
    if outcome.trading_day > state.trading_day:
        state.trading_day = outcome.trading_day
        state.ids = state.ids.on_day(outcome.trading_day)
        state.risk, _ = observe_day(state.risk, outcome.trading_day)
    told: tuple[Breach | NearMiss, ...] = ()
    for fill in applied.fills:
        terms = _as(record.body["terms"].get(fill.symbol, ContractTerms()), ContractTerms)
        told += _observe_trade(state, fill, terms.multiplier, terms.fee_cny(fill.offset, fill.price, fill.lots))
    for action in outcome.actions:
        if action.kind is ActionKind.TAKE_POSITION and action.position is not None:
            _found_position(state, action.position.symbol, record)
    return Folded(applied=applied, told=told)


def _found_position(state: GatewayState, symbol: str, record: Record) -> None:
    """Lots that nobody saw being opened begin their round trip at the market of the moment."""
    lots = state.positions.net(symbol)
    if lots == state.risk.trips.get(symbol, memory.Trip()).lots:
        return
    price = (record.body.get("marks") or {}).get(symbol)
    terms = _as(record.body["terms"].get(symbol, ContractTerms()), ContractTerms)
    state.risk, _ = observe_position(state.risk, symbol, lots, float("nan") if price is None else price, terms.multiplier)


def _doubt(state: GatewayState, record: Record) -> Folded:
    if record.body.get("link") == "down":
        state.book.doubt_all(record.ts_ns)
    return NOTHING


def _equity(state: GatewayState, record: Record) -> Folded:
    body, limits = record.body, state.limits
    told: tuple[Breach | NearMiss, ...] = ()
    if "equity_cny" in body:
        state.risk, told = observe_equity(
            state.risk, limits, body["equity_cny"], in_session=bool(body["in_session"]), start_cny=body.get("start_cny")
        )
    for symbol, pnl in (body.get("pnl_cny") or {}).items():
        state.risk, more = observe_symbol_pnl(state.risk, limits, symbol, float("nan") if pnl is None else float(pnl))
        told += more
    return Folded(told=told)


def _command(state: GatewayState, record: Record) -> Folded:
    """Known from now on, answered or not; but a kill may be asked for again until it was answered: twice killed is killed."""
    command = _as(record.body["command"], Command)
    if command.verb != Verb.KILL:
        state.dedupe.begin(command.command_id, record.ts_ns)
    return NOTHING


def _note(state: GatewayState, record: Record) -> Folded:
    if record.body.get("what") == "duplicate_command":
        state.dedupe.touch(str(record.body["command_id"]), record.ts_ns)
    elif record.body.get("what") == "cancel_failed" and record.body["never_sent"]:
        order = state.book.get(str(record.body["client_order_id"]))
        if order is not None:
            state.risk = observe_unsent_cancel(state.risk, state.settings.meters, order.symbol, order.lots - order.filled)
    elif record.body.get("what") == "day_back":
        day = str(record.body["trading_day"])
        state.positions.go_back(day)
        state.risk = observe_day_back(state.risk, day)
    return NOTHING


def _answer(state: GatewayState, record: Record) -> Folded:
    answer = _as(record.body["answer"], CommandAnswer)
    state.dedupe.remember(answer, record.ts_ns)
    return NOTHING


def _mode(state: GatewayState, record: Record) -> Folded:
    state.want(_as(record.body["desired"], Desired))
    for symbol in record.body.get("dropped_targets") or ():
        state.targets.pop(symbol, None)
    return NOTHING


def _revision(state: GatewayState, record: Record) -> Folded:
    state.revision = max(state.revision, int(record.body["reserved"]))
    return NOTHING


def _kill(state: GatewayState, record: Record) -> Folded:
    found = _as(record.body["record"], KillRecord)
    state.kill_journaled, state.kill_seq = found, record.seq
    if record.kind == RecordKind.KILL_RESET:
        state.risk = observe_reset(state.risk)
    else:
        state.targets.clear()
    return NOTHING


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The durable state in a ``state`` record."""

    epoch: int
    revision: int
    desired: Desired
    book: dict[str, Any]
    positions: dict[str, Any]
    risk: dict[str, Any]
    dedupe: dict[str, Any]
    targets: dict[str, HeldTarget]
    trading_day: str
    contracts: dict[str, str]
    retired: dict[str, int]
    kill_journaled: KillRecord | None
    kill_seq: int
    count: int
    order_seqs: dict[str, int] = {}


def snapshot_of(state: GatewayState) -> dict[str, Any]:
    """The durable state as the body of a ``state`` record."""
    found: dict[str, Any] = msgspec.to_builtins(
        _Snapshot(
            epoch=state.epoch,
            revision=state.revision,
            desired=state.desired,
            book=state.book.to_document(),
            positions=state.positions.to_document(),
            risk=memory.to_document(state.risk),
            dedupe=state.dedupe.to_document(),
            targets=state.targets,
            trading_day=state.trading_day,
            contracts=state.contracts,
            retired=state.retired,
            kill_journaled=state.kill_journaled,
            kill_seq=state.kill_seq,
            count=state.ids.count,
            order_seqs=state.order_seqs,
        )
    )
    return found


def _state(state: GatewayState, record: Record) -> Folded:
    found = msgspec.convert(msgspec.to_builtins(record.body), _Snapshot)
    settings = state.settings
    state.epoch, state.revision, state.snapshot_seq = found.epoch, found.revision, record.seq
    state.want(found.desired)
    state.book, state.positions = OrderBook.from_document(found.book), PositionLedger.from_document(found.positions)
    state.risk = memory.from_document(found.risk)
    state.dedupe = type(state.dedupe).from_document(found.dedupe, max_ids=settings.dedupe_max_ids, ttl_ns=settings.dedupe_ttl_ns)
    state.targets, state.trading_day = dict(found.targets), found.trading_day
    state.contracts, state.retired = dict(found.contracts), dict(found.retired)
    state.kill_journaled, state.kill_seq, state.order_seqs = found.kill_journaled, found.kill_seq, dict(found.order_seqs)
    state.ids = replace(
        state.ids,
        account=settings.account,
        epoch=found.epoch,
        count=found.count,
        trading_day=found.trading_day or state.ids.trading_day,
    )
    return NOTHING


#: What each kind of record does to the durable state; kinds that are missing are for readers only.
FOLDS: dict[RecordKind, Callable[[GatewayState, Record], Folded]] = {
    RecordKind.START: _start,
    RecordKind.DAY: _day,
    RecordKind.TARGET: _target,
    RecordKind.ORDER_INTENT: _intent,
    RecordKind.ORDER_SENT: _sent,
    RecordKind.ORDER_UPDATE: _update,
    RecordKind.FILL: _fill,
    RecordKind.CANCEL_SENT: _cancel,
    RecordKind.RECONCILE: _reconcile,
    RecordKind.HALT: _doubt,
    RecordKind.EQUITY: _equity,
    RecordKind.COMMAND: _command,
    RecordKind.NOTE: _note,
    RecordKind.ANSWER: _answer,
    RecordKind.MODE: _mode,
    RecordKind.REVISION: _revision,
    RecordKind.KILL: _kill,
    RecordKind.KILL_RESET: _kill,
    RecordKind.STATE: _state,
}


def apply_record(state: GatewayState, record: Record) -> Folded:
    """Change the durable state as a record says. Raises DataError for a record that cannot belong to this journal."""
    fold = FOLDS.get(record.kind)
    state.seq = record.seq
    if not state.founded:
        state.founded = record.kind != RecordKind.START
    if fold is None:
        return NOTHING
    try:
        return fold(state, record)
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise DataError(
            f"record {record.seq} ({record.kind}) cannot be read: {error}", hint="ghtrader journal show", seq=record.seq
        ) from error
