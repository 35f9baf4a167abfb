"""The orders of one account: every update applied in the order of its arrival, every trade once.

What a broker repeats, delays or tells twice changes nothing. Settled orders are kept over the trading day and the one after it;
within a day every trade's id is kept, because a venue tells the whole day again on every question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.trading.orders.ids import external_order_id
from ghtrader.trading.orders.machine import OrderEvent, OrderPhase, OrderRecord, event_of, step_order, step_trade
from ghtrader.trading.words import OrderIntent, Origin

__all__ = ["Change", "OrderBook", "broker_id_of", "intent_of"]

#: Earlier trading days whose settled orders are kept.
KEPT_DAYS = 1


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an update or a trade did.

    order: as it stands now; None when nobody knows it. changed: anything at all. settled: it ended just now, with all its trades.
    note: why nothing changed, or what is odd (``stale``, ``unknown_order``, ``duplicate``, ``contradiction``, ``overfilled``,
    ``late_trade``).
    """

    order: OrderRecord | None
    changed: bool = False
    settled: bool = False
    note: str = ""


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """A book as the journal keeps it."""

    orders: tuple[OrderRecord, ...]


def broker_id_of(order: BrokerOrder) -> str:
    """The id of an order that a broker speaks of; made of the exchange's number when the broker gives none."""
    return order.request.client_order_id or external_order_id(order.request.symbol, order.exchange_order_id)


def intent_of(order: BrokerOrder, price_tick: float) -> OrderIntent:
    """What must have been wanted, of an order that only the venue knows."""
    request = order.request
    return OrderIntent(
        symbol=request.symbol,
        side=request.side,
        offset=request.offset,
        lots=request.lots,
        price_ticks=round(request.limit_price / price_tick) if request.limit_price == request.limit_price else 0,
        kind=request.kind,
        origin=Origin.COMMAND,
        note="adopted",
    )


class OrderBook:
    """Owned by one thread. Orders by client order id, in the order in which they came.

    >>> from ghtrader.core.orders import Offset, OrderKind, Side
    >>> book = OrderBook()
    >>> wanted = OrderIntent(symbol="SHFE.rb2510", side=Side.BUY, offset=Offset.OPEN, lots=2, price_ticks=3000, kind=OrderKind.GFD,
    ...                      origin=Origin.STRATEGY)
    >>> book.add("a", wanted, trading_day="2025-06-05", ts_ns=1).order.phase
    <OrderPhase.NEW: 'new'>
    >>> book.mark_sent("a", 2).changed, book.in_flight("SHFE.rb2510")
    (True, (2, 0))
    """

    def __init__(self) -> None:
        self._orders: dict[str, OrderRecord] = {}
        self._live: dict[str, None] = {}
        self._unsettled: tuple[OrderRecord, ...] | None = ()  # what the live ones are, None: to be looked up again
        self._working: dict[str, tuple[OrderRecord, ...]] = {}  # those of a contract that has any, once they were asked for

    # --- what happens ---------------------------------------------------------------------------------------------------
    def add(self, client_order_id: str, intent: OrderIntent, *, trading_day: str, ts_ns: int, adopted: bool = False) -> Change:
        """A new order. Raises UsageError for an id that is already there, or lots that are none."""
        if client_order_id in self._orders or not client_order_id or intent.lots <= 0:
            raise UsageError(f"order {client_order_id!r}: a new id and positive lots are expected", order=client_order_id)
        record = OrderRecord(
            client_order_id=client_order_id,
            intent=intent,
            trading_day=trading_day,
            left=intent.lots,
            adopted=adopted,
            created_ns=ts_ns,
            updated_ns=ts_ns,
        )
        return self._keep(None, record)

    def mark_sent(self, client_order_id: str, ts_ns: int) -> Change:
        """It is handed to the broker."""
        return self._own(client_order_id, OrderEvent.SEND, ts_ns)

    def ask_cancel(self, client_order_id: str, ts_ns: int) -> Change:
        """A cancel was asked for."""
        return self._own(client_order_id, OrderEvent.ASK_CANCEL, ts_ns)

    def submit_failed(self, client_order_id: str, *, never_sent: bool, ts_ns: int, message: str = "") -> Change:
        """It did not leave (``never_sent``), or nobody knows whether it did."""
        return self._own(client_order_id, OrderEvent.LOSE if never_sent else OrderEvent.DOUBT, ts_ns, message)

    def doubt(self, client_order_id: str, ts_ns: int) -> Change:
        """The venue, asked for its whole account, does not know how it stands: it is UNKNOWN, even where it was believed LOST."""
        record = self._known(client_order_id)
        if record.phase is OrderPhase.LOST:
            return self._keep(record, msgspec.structs.replace(record, phase=OrderPhase.UNKNOWN, updated_ns=ts_ns))
        return self._own(client_order_id, OrderEvent.DOUBT, ts_ns)

    def miss(self, client_order_id: str, ts_ns: int) -> Change:
        """The venue, asked for its whole account, does not list it: UNKNOWN, until a second answer says the same."""
        self.doubt(client_order_id, ts_ns)
        record = self._known(client_order_id)
        return self._keep(record, msgspec.structs.replace(record, unlisted=True))

    def doubt_all(self, ts_ns: int) -> tuple[OrderRecord, ...]:
        """The link is down: whatever is not final is unknown. Returns the orders that became so; NEW ones never left."""
        open_orders = [order for order in self.unsettled() if not order.phase.is_final and order.phase is not OrderPhase.NEW]
        changes = [self._own(order.client_order_id, OrderEvent.DOUBT, ts_ns) for order in open_orders]
        return tuple(change.order for change in changes if change.changed and change.order is not None)

    def apply_update(self, update: BrokerOrder, ts_ns: int) -> Change:
        """The broker's word about an order; what is older than the known state changes nothing (``stale``)."""
        record = self._orders.get(broker_id_of(update))
        if record is None:
            return Change(order=None, note="unknown_order")
        event = event_of(record, update)
        moved = None if event is None else step_order(record, event, ts_ns, left=update.left)
        if moved is None:
            same = event is not None and (record.phase, event) in _REPEATS
            return Change(order=record, note="" if same else "stale")
        words = {"exchange_order_id": update.exchange_order_id, "message": update.message}
        return self._keep(record, msgspec.structs.replace(moved, **{name: text for name, text in words.items() if text}))

    def apply_fill(self, fill: BrokerFill, ts_ns: int) -> Change:
        """A trade: applied once by its id. ``changed`` says whether the position must take it too."""
        record = self._orders.get(fill.client_order_id)
        if record is None:
            return Change(order=None, note="unknown_order")
        if fill.trade_id in record.trade_ids:
            return Change(order=record, note="duplicate")
        if fill.lots <= 0 or (fill.symbol, fill.side) != (record.symbol, record.side):
            return Change(order=record, note="contradiction")
        late = record.phase.is_final and record.awaited < fill.lots
        change = self._keep(record, step_trade(record, fill.trade_id, fill.lots, fill.price, ts_ns))
        beyond = record.filled + fill.lots > record.lots
        return msgspec.structs.replace(change, note="overfilled" if beyond else "late_trade" if late else "")

    def enlarge(self, client_order_id: str, wanted: OrderIntent, ts_ns: int) -> Change:
        """An adopted order is larger than its trades showed, or went the other way; with lots left it is UNKNOWN until the venue
        says how it stands.
        """
        record = self._known(client_order_id)
        lots = max(wanted.lots, record.lots)
        intent = msgspec.structs.replace(record.intent, lots=lots, side=wanted.side, offset=wanted.offset)
        if not record.adopted or intent == record.intent:
            return Change(order=record, note="stale")
        left = max(0, lots - record.filled)
        phase = OrderPhase.UNKNOWN if left else OrderPhase.FILLED
        return self._keep(record, msgspec.structs.replace(record, intent=intent, left=left, phase=phase, updated_ns=ts_ns))

    def overrule(self, update: BrokerOrder, ts_ns: int) -> Change:
        """The venue's word against ours, from its whole account: taken even where it goes back, unless trades have filled the order."""
        record = self._orders.get(broker_id_of(update))
        if record is None or record.filled >= record.lots:
            return Change(order=record, note="unknown_order" if record is None else "stale")
        left = min(record.lots - record.filled, update.left)
        seen = record.acked or update.state not in {OrderState.SENT, OrderState.LOST, OrderState.UNKNOWN}
        open_again = msgspec.structs.replace(record, phase=OrderPhase.UNKNOWN, left=left, acked=seen, updated_ns=ts_ns)
        event = event_of(open_again, msgspec.structs.replace(update, left=left))
        moved = None if event is None else step_order(open_again, event, ts_ns, left=left)
        return self._keep(record, moved or open_again)

    def expire(self, client_order_id: str, ts_ns: int) -> Change:
        """Its trading day is over: what was left of it is gone, whatever the venue spoke of it last."""
        record = self._known(client_order_id)
        if record.is_settled:
            over = msgspec.structs.replace(record, day_over=True)
            return Change(order=record) if record.day_over else self._keep(record, over)
        ended = msgspec.structs.replace(
            record,
            phase=OrderPhase.CANCELLED,
            left=max(0, record.lots - record.filled),
            day_over=True,
            updated_ns=ts_ns,
        )
        return self._keep(record, ended)

    def begin_day(self, trading_day: str) -> int:
        """Forget what settled on trading days before the last one of the book; returns how many orders went."""
        days = sorted({order.trading_day for order in self._orders.values() if order.trading_day < trading_day})
        kept = set(days[-KEPT_DAYS:])
        gone = [
            name
            for name, order in self._orders.items()
            if order.is_settled and order.trading_day < trading_day and order.trading_day not in kept
        ]
        for name in gone:
            del self._orders[name]
        return len(gone)

    def _known(self, client_order_id: str) -> OrderRecord:
        record = self._orders.get(client_order_id)
        if record is None:
            raise UsageError(f"no order {client_order_id!r}", order=client_order_id)
        return record

    def _own(self, client_order_id: str, event: OrderEvent, ts_ns: int, message: str = "") -> Change:
        record = self._orders.get(client_order_id) or self._known(client_order_id)
        if record.acked and event is OrderEvent.LOSE:
            return Change(order=record, note="contradiction")
        moved = step_order(record, event, ts_ns)
        if moved is None:
            return Change(order=record, note="stale")
        return self._keep(record, msgspec.structs.replace(moved, message=message) if message else moved)

    def _keep(self, before: OrderRecord | None, record: OrderRecord) -> Change:
        name = record.client_order_id
        self._orders[name] = record
        self._unsettled = None
        self._working.pop(record.intent.symbol, None)
        if not record.is_settled:
            self._live[name] = None
            return Change(order=record, changed=True)
        self._live.pop(name, None)
        return Change(order=record, changed=True, settled=before is not None and not before.is_settled)

    # --- what stands ----------------------------------------------------------------------------------------------------
    def get(self, client_order_id: str) -> OrderRecord | None:
        """An order as it stands."""
        return self._orders.get(client_order_id)

    def __len__(self) -> int:
        return len(self._orders)

    def orders(self) -> tuple[OrderRecord, ...]:
        """Every order that is kept."""
        return tuple(self._orders.values())

    def unsettled(self) -> tuple[OrderRecord, ...]:
        """Orders that may still change a position, of any contract."""
        found = self._unsettled
        if found is None:
            orders = self._orders
            found = self._unsettled = tuple([orders[name] for name in self._live])
        return found

    def working(self, symbol: str) -> tuple[OrderRecord, ...]:
        """Orders of a contract that may still change its position, UNKNOWN ones and those whose trades are awaited included."""
        if not self._live:
            return ()
        found = self._working.get(symbol)
        if found is None:
            found = tuple([order for order in self.unsettled() if order.intent.symbol == symbol])
            if found:
                self._working[symbol] = found
        return found

    def in_flight(self, symbol: str) -> tuple[int, int]:
        """(buy, sell) lots of a contract that may still change its position; never fewer than may."""
        buys = sells = 0
        for name in self._live:
            order = self._orders[name]
            if order.intent.symbol == symbol:
                if order.intent.side > 0:
                    buys += order.in_flight
                else:
                    sells += order.in_flight
        return buys, sells

    # --- documents ------------------------------------------------------------------------------------------------------
    def copy(self) -> OrderBook:
        """A book of its own with the same orders."""
        return OrderBook.of(self._orders.values())

    @classmethod
    def of(cls, orders: Iterable[OrderRecord]) -> OrderBook:
        """A book with these orders."""
        book = cls()
        for record in orders:
            book._keep(None, record)
        return book

    def to_document(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        document: dict[str, Any] = msgspec.to_builtins(_Document(orders=self.orders()))
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> OrderBook:
        """The book of `to_document`. Raises `msgspec.ValidationError` for anything else."""
        return cls.of(msgspec.convert(document, _Document).orders)


#: Words that only say again what is known.
_REPEATS = frozenset(
    {
        (OrderPhase.SENT, OrderEvent.SEND),
        (OrderPhase.WORKING, OrderEvent.ACK),
        (OrderPhase.PARTIAL, OrderEvent.PART),
        (OrderPhase.CANCELLING, OrderEvent.ACK),
        (OrderPhase.CANCELLING, OrderEvent.PART),
        (OrderPhase.UNKNOWN, OrderEvent.DOUBT),
        (OrderPhase.FILLED, OrderEvent.FILL),
        (OrderPhase.CANCELLED, OrderEvent.CANCEL),
        (OrderPhase.REJECTED, OrderEvent.REJECT),
        (OrderPhase.LOST, OrderEvent.LOSE),
    }
)
