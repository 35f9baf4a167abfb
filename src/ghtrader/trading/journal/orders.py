"""Orders as the journal tells them: what became of each, and which may still work at the venue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.trading.journal.records import Body, Record, RecordKind, order_id_of, plain
from ghtrader.trading.reconcile.cases import ActionKind
from ghtrader.trading.words import OrderIntent

__all__ = ["JournalOrder", "OrderTale"]

#: An order whose intent stands in the journal and that nothing says was sent: after a crash it may have left or not.
INTENDED = "intended"


class JournalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order. price_ticks: None where only the venue knew of it. state: an `OrderState`, or ``intended``.

    first_seq: of its first record (the intent). sent_ns: 0 when nothing says that it left. fills, lots_filled: trades told so far.
    day_over: its trading day has ended, and with it whatever was left of it.
    """

    order_id: str
    symbol: str
    side: int
    offset: str
    lots: int
    price_ticks: int | None
    origin: str
    state: str
    first_seq: int
    intended_ns: int
    sent_ns: int
    last_ns: int
    exchange_order_id: str = ""
    fills: int = 0
    lots_filled: int = 0
    message: str = ""
    day_over: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may still work at the venue, as far as the journal knows."""
        return not self.day_over and not self.is_final

    @property
    def is_final(self) -> bool:
        """Whether the venue has said its last word, or nothing ever reached it."""
        return self.state != INTENDED and OrderState(self.state).is_final


class OrderTale:
    """Collects orders from records, in their order.

    >>> tale = OrderTale()
    >>> tale.read(Record(1, 0, 5, RecordKind.ORDER_SENT, {"client_order_id": "a"}))
    >>> [(order.order_id, order.state, order.is_open) for order in tale.orders()]
    [('a', 'sent', True)]
    """

    def __init__(self) -> None:
        self._orders: dict[str, JournalOrder] = {}
        self._open: dict[str, None] = {}
        self._trading_day = ""
        self._trades: set[tuple[str, str]] = set()

    def orders(self) -> list[JournalOrder]:
        """Every order, by first mention."""
        return list(self._orders.values())

    def read_all(self, records: Iterable[Record]) -> OrderTale:
        """Take in many records."""
        for record in records:
            self.read(record)
        return self

    def read(self, record: Record) -> None:
        """Take in one record; those that are about no order change nothing."""
        if record.kind == RecordKind.DAY:
            self._begin_day(str(record.body.get("trading_day", "")))
        elif record.kind == RecordKind.RECONCILE:
            self._reconcile(record)
        elif record.kind in _READERS and (order_id := order_id_of(record)):
            self._take(order_id, record)

    def _take(self, order_id: str, record: Record) -> None:
        if record.kind == RecordKind.FILL:
            trade = str(plain(record.body["fill"])["trade_id"])
            if (order_id, trade) in self._trades:
                return
            self._trades.add((order_id, trade))
        known = self._orders.get(order_id) or _blank(order_id, record)
        order = msgspec.structs.replace(known, last_ns=record.ts_ns, **_READERS[record.kind](known, record))
        self._orders[order_id] = order
        if order.is_open:
            self._open[order_id] = None
        else:
            self._open.pop(order_id, None)

    def _begin_day(self, trading_day: str) -> None:
        """Orders die with their trading day; before the first one is known none has ended."""
        if trading_day <= self._trading_day:
            return
        if self._trading_day:
            for order_id in self._open:
                self._orders[order_id] = msgspec.structs.replace(self._orders[order_id], day_over=True)
            self._open.clear()
        self._trading_day = trading_day

    def _reconcile(self, record: Record) -> None:
        """What the comparison with the venue came to, action by action, as if each had been told by itself."""
        outcome = plain(record.body.get("outcome", {}))
        self._begin_day(str(outcome.get("trading_day", "")))
        for action in outcome.get("actions", ()):
            order_id = action.get("client_order_id", "")
            told = _told_by(action, self._orders.get(order_id))
            if told is not None and order_id:
                kind, body = told
                self._take(order_id, Record(record.seq, record.cause, record.ts_ns, kind, body))


#: What reconciliation decides about an order of which the venue says nothing.
_WITHOUT_WORD = {
    ActionKind.LOSE: OrderState.LOST,
    ActionKind.MISS: OrderState.UNKNOWN,
    ActionKind.DOUBT: OrderState.UNKNOWN,
    ActionKind.EXPIRE: OrderState.CANCELLED,
}


def _told_by(action: dict[str, Any], known: JournalOrder | None) -> tuple[RecordKind, Body] | None:
    """Kind and body of the record that would say the same as an action; None for one that says nothing new of an order."""
    kind = action.get("kind")
    if action.get("fill"):
        return RecordKind.FILL, {"fill": action["fill"]}
    if kind == ActionKind.ADOPT and action.get("intent"):
        return None if known is not None else (RecordKind.ORDER_INTENT, {"intent": action["intent"]})
    if kind in {ActionKind.UPDATE, ActionKind.OVERRULE} and action.get("order"):
        return RecordKind.ORDER_UPDATE, {"order": action["order"], "overrule": kind == ActionKind.OVERRULE}
    if kind == ActionKind.EXPIRE and known is not None and known.is_final and not known.lots_filled:
        return None
    if known is not None and kind in _WITHOUT_WORD:
        return RecordKind.ORDER_UPDATE, {"state": _WITHOUT_WORD[ActionKind(kind)].value}
    return None


def _blank(order_id: str, record: Record) -> JournalOrder:
    return JournalOrder(
        order_id=order_id,
        symbol="",
        side=0,
        offset="",
        lots=0,
        price_ticks=None,
        origin="",
        state=INTENDED,
        first_seq=record.seq,
        intended_ns=0,
        sent_ns=0,
        last_ns=record.ts_ns,
    )


def _intended(known: JournalOrder, record: Record) -> dict[str, Any]:
    del known
    intent = msgspec.convert(plain(record.body["intent"]), OrderIntent)
    return {
        "symbol": intent.symbol,
        "side": int(intent.side),
        "offset": intent.offset.value,
        "lots": intent.lots,
        "price_ticks": intent.price_ticks,
        "origin": intent.origin.value,
        "intended_ns": record.ts_ns,
    }


def _sent(known: JournalOrder, record: Record) -> dict[str, Any]:
    return {"sent_ns": record.ts_ns, "state": OrderState.SENT.value if known.state == INTENDED else known.state}


def _updated(known: JournalOrder, record: Record) -> dict[str, Any]:
    body = record.body
    if "order" not in body:  # the broker refused to take it, or failed while it did; or the venue has no word on it
        state = (
            OrderState(body["state"]) if "state" in body else OrderState.LOST if body.get("never_sent") else OrderState.UNKNOWN
        )
        return {"state": state.value, "message": str(body.get("message", ""))}
    order = msgspec.convert(plain(body["order"]), BrokerOrder)
    request = order.request
    return {
        "symbol": request.symbol,
        "side": int(request.side),
        "offset": request.offset.value,
        "lots": request.lots,
        "state": known.state if known.is_final and not body.get("overrule") else order.state.value,
        "exchange_order_id": order.exchange_order_id or known.exchange_order_id,
        "message": order.message or known.message,
    }


def _filled(known: JournalOrder, record: Record) -> dict[str, Any]:
    fill = msgspec.convert(plain(record.body["fill"]), BrokerFill)
    found = {"symbol": fill.symbol, "side": int(fill.side), "offset": fill.offset.value}
    if known.state == INTENDED and not known.intended_ns:
        found["state"] = OrderState.UNKNOWN.value  # the venue's own: only its trade is known
    done = known.lots_filled + fill.lots
    if known.lots and done >= known.lots:
        found["state"] = OrderState.FILLED.value
    return {**found, "fills": known.fills + 1, "lots_filled": done}


_READERS = {
    RecordKind.ORDER_INTENT: _intended,
    RecordKind.ORDER_SENT: _sent,
    RecordKind.ORDER_UPDATE: _updated,
    RecordKind.FILL: _filled,
}
