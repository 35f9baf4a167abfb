"""What a comparison found, and doing it: actions are values, so that the journal can hold them and a restart repeats them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghtrader.ports.broker import BrokerFill, BrokerOrder, BrokerPosition
from ghtrader.trading.orders.book import Change, OrderBook, broker_id_of
from ghtrader.trading.orders.positions import PositionLedger
from ghtrader.trading.reconcile.cases import CASES, ActionKind, CaseName
from ghtrader.trading.words import OrderIntent

__all__ = ["Action", "Applied", "Difference", "Reconciliation", "apply_action", "apply_reconciliation"]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do for a case, with what it takes."""

    case: CaseName
    kind: ActionKind
    client_order_id: str = ""
    order: BrokerOrder | None = None
    intent: OrderIntent | None = None
    fill: BrokerFill | None = None
    position: BrokerPosition | None = None
    trading_day: str = ""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What was not the same, in words; ``blocks`` as the table says."""

    case: CaseName
    symbol: str
    ours: str
    venue: str
    client_order_id: str = ""

    @property
    def blocks(self) -> bool:
        """Whether openings wait for it."""
        return CASES[self.case].blocks


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: actions in the order in which they must be done. balanced: ours explains the venue's once they are."""

    trading_day: str
    actions: tuple[Action, ...]
    differences: tuple[Difference, ...]
    balanced: bool

    @property
    def blocking(self) -> tuple[Difference, ...]:
        """The differences that forbid openings."""
        return tuple(difference for difference in self.differences if difference.blocks)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What doing it changed: orders that settled, trades that were new to us, orders whose cancel must be sent (again)."""

    settled: tuple[str, ...] = ()
    fills: tuple[BrokerFill, ...] = ()
    cancels: tuple[str, ...] = ()


def apply_action(
    action: Action, book: OrderBook, positions: PositionLedger, ts_ns: int, settlements: Mapping[str, float] | None = None
) -> Change | None:
    """Do one action on our state; the order's change where it is about an order. What only waits, refuses or is sent does nothing.

    settlements: prices in CNY for a day that changes.
    """
    kind = action.kind
    if kind is ActionKind.ROLL_DAY:
        positions.begin_day(action.trading_day, settlements)
        book.begin_day(action.trading_day)
        return None
    if kind is ActionKind.TAKE_POSITION and action.position is not None:
        positions.take_over(action.position)
        return None
    if kind in {ActionKind.TAKE_FILL, ActionKind.MAKE_FILL} and action.fill is not None:
        change = book.apply_fill(action.fill, ts_ns)
        if change.changed:
            positions.apply_fill(action.fill)
        return change
    return _apply_to_order(action, book, ts_ns)


def _apply_to_order(action: Action, book: OrderBook, ts_ns: int) -> Change | None:
    kind, identity = action.kind, action.client_order_id
    if kind is ActionKind.ADOPT and action.intent is not None:
        known = book.get(identity)
        if known is not None:
            return book.enlarge(identity, action.intent, ts_ns)
        return book.add(identity, action.intent, trading_day=action.trading_day, ts_ns=ts_ns, adopted=True)
    if kind is ActionKind.UPDATE and action.order is not None:
        return book.apply_update(action.order, ts_ns)
    if kind is ActionKind.OVERRULE and action.order is not None:
        return book.overrule(action.order, ts_ns)
    if kind is ActionKind.LOSE:
        return book.submit_failed(identity, never_sent=True, ts_ns=ts_ns)
    step = {ActionKind.DOUBT: book.doubt, ActionKind.MISS: book.miss, ActionKind.EXPIRE: book.expire}.get(kind)
    return step(identity, ts_ns) if step is not None else None


def apply_reconciliation(
    outcome: Reconciliation,
    book: OrderBook,
    positions: PositionLedger,
    ts_ns: int,
    settlements: Mapping[str, float] | None = None,
) -> Applied:
    """Do everything, in order; the ledger counts as compared with the venue once it balances."""
    settled: list[str] = []
    fills: list[BrokerFill] = []
    cancels: list[str] = []
    for action in outcome.actions:
        change = apply_action(action, book, positions, ts_ns, settlements)
        if action.kind is ActionKind.CANCEL_AGAIN:
            cancels.append(action.client_order_id)
        if change is None:
            continue
        if change.changed and action.fill is not None:
            fills.append(action.fill)
        if change.settled and change.order is not None:
            settled.append(change.order.client_order_id)
    if outcome.balanced and not positions.based:
        positions.based, positions.based_ns = True, ts_ns
    return Applied(settled=tuple(dict.fromkeys(settled)), fills=tuple(fills), cancels=tuple(cancels))


def named(order: BrokerOrder) -> BrokerOrder:
    """The order with the id that the book has it under."""
    if order.request.client_order_id:
        return order
    return msgspec.structs.replace(order, request=msgspec.structs.replace(order.request, client_order_id=broker_id_of(order)))
