"""Orders as the journal tells them: what became of each, and which may still work at the venue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, plain
from ghtrader.trading.words import OrderIntent

__all__ = ["JournalOrder", "OrderTale"]

#: An order whose intent stands in the journal and that nothing says was sent: after a crash it may have left or not.
INTENDED = "intended"


class JournalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order. price_ticks: None where only the venue knew of it. state: an `OrderState`, or ``intended``.

    first_seq: of its first record (the intent). sent_ns: 0 when nothing says that it left. fills, lots_filled: trades told so far.
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

    @property
    def is_open(self) -> bool:
        """Whether it may still work at the venue, as far as the journal knows."""
        return self.state == INTENDED or not OrderState(self.state).is_final


class OrderTale:
    """Collects orders from records, in their order.

    >>> tale = OrderTale()
    >>> tale.read(Record(1, 0, 5, RecordKind.ORDER_SENT, {"client_order_id": "a"}))
    >>> [(order.order_id, order.state, order.is_open) for order in tale.orders()]
    [('a', 'sent', True)]
    """

    def __init__(self) -> None:
        self._orders: dict[str, JournalOrder] = {}
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
        order_id = order_id_of(record)
        reader = _READERS.get(record.kind)
        if reader is None or not order_id:
            return
        known = self._orders.get(order_id) or _blank(order_id, record)
        if record.kind == RecordKind.FILL:
            trade = str(plain(record.body["fill"])["trade_id"])
            if (order_id, trade) in self._trades:
                return
            self._trades.add((order_id, trade))
        self._orders[order_id] = msgspec.structs.replace(known, last_ns=record.ts_ns, **reader(known, record))


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
    if "order" not in body:  # the broker refused to take it, or failed while it did
        state = OrderState.LOST if body.get("never_sent") else OrderState.UNKNOWN
        return {"state": state.value, "message": str(body.get("message", ""))}
    order = msgspec.convert(plain(body["order"]), BrokerOrder)
    request = order.request
    return {
        "symbol": request.symbol,
        "side": int(request.side),
        "offset": request.offset.value,
        "lots": request.lots,
        "state": known.state if known.state != INTENDED and OrderState(known.state).is_final else order.state.value,
        "exchange_order_id": order.exchange_order_id or known.exchange_order_id,
        "message": order.message or known.message,
    }


def _filled(known: JournalOrder, record: Record) -> dict[str, Any]:
    fill = msgspec.convert(plain(record.body["fill"]), BrokerFill)
    found = {"symbol": fill.symbol, "side": int(fill.side), "offset": fill.offset.value}
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
