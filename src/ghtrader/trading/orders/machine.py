"""The life of one order: what is known of it, step by step. The venue's word counts; nobody's silence does.

An order begins NEW (its intent is in the journal), leaves (SENT) and works (WORKING, PARTIAL) until it ends: FILLED, CANCELLED,
REJECTED or LOST (it never reached the venue). UNKNOWN: it may be anything, and counts as if it worked. `ORDER_STEPS` holds every legal
step; an event without an entry is stale or contradicts what is known, changes nothing and is told.

Trades are facts: one that comes after the end still counts, and one of an order that was believed LOST or REJECTED makes it
UNKNOWN until the venue explains itself. Only FILLED by trades is never left again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.core.orders import Side
from ghtrader.ports.broker import BrokerOrder, OrderState
from ghtrader.trading.words import OrderIntent

__all__ = ["ORDER_STEPS", "OrderEvent", "OrderPhase", "OrderRecord", "event_of", "step_order", "step_trade"]


class OrderPhase(StrEnum):
    """Where an order stands."""

    NEW = "new"
    SENT = "sent"
    WORKING = "working"
    PARTIAL = "partial"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Nothing more is expected of the order but trades that are still on their way."""
        return self in _FINAL


_FINAL = frozenset({OrderPhase.FILLED, OrderPhase.CANCELLED, OrderPhase.REJECTED, OrderPhase.LOST})


class OrderEvent(StrEnum):
    """What moves an order: our own acts (SEND, ASK_CANCEL), the venue's word about it, and its trades (TRADE, LAST_TRADE)."""

    SEND = "send"
    ASK_CANCEL = "ask_cancel"
    ACK = "ack"
    PART = "part"
    FILL = "fill"
    CANCEL = "cancel"
    REJECT = "reject"
    LOSE = "lose"
    DOUBT = "doubt"
    TRADE = "trade"
    LAST_TRADE = "last_trade"


SEND, ASK_CANCEL, FILL = OrderEvent.SEND, OrderEvent.ASK_CANCEL, OrderEvent.FILL
#: Words of a venue that has the order in its book, and of one that has had it.
_RESTS = frozenset({OrderEvent.ACK, OrderEvent.PART})
_SEEN = _RESTS | {OrderEvent.FILL, OrderEvent.CANCEL}


def _steps() -> dict[tuple[OrderPhase, OrderEvent], OrderPhase]:
    phase, event = OrderPhase, OrderEvent
    told = {
        event.ACK: phase.WORKING,
        event.PART: phase.PARTIAL,
        event.FILL: phase.FILLED,
        event.CANCEL: phase.CANCELLED,
        event.REJECT: phase.REJECTED,
        event.LOSE: phase.LOST,
        event.DOUBT: phase.UNKNOWN,
        event.TRADE: phase.PARTIAL,
        event.LAST_TRADE: phase.FILLED,
    }
    by_phase: dict[OrderPhase, dict[OrderEvent, OrderPhase]] = {
        phase.NEW: {**told, event.SEND: phase.SENT},
        phase.SENT: {**told, event.ASK_CANCEL: phase.CANCELLING},
        phase.WORKING: {**told, event.ASK_CANCEL: phase.CANCELLING},
        phase.PARTIAL: {**told, event.ASK_CANCEL: phase.CANCELLING},
        phase.CANCELLING: {
            **told,
            event.ACK: phase.CANCELLING,
            event.PART: phase.CANCELLING,
            event.TRADE: phase.CANCELLING,
            event.ASK_CANCEL: phase.CANCELLING,
        },
        phase.UNKNOWN: {**told, event.SEND: phase.SENT, event.ASK_CANCEL: phase.UNKNOWN, event.TRADE: phase.UNKNOWN},
        phase.FILLED: {event.TRADE: phase.FILLED, event.LAST_TRADE: phase.FILLED},
        phase.CANCELLED: {event.TRADE: phase.CANCELLED, event.LAST_TRADE: phase.FILLED},
        phase.REJECTED: {event.TRADE: phase.UNKNOWN, event.LAST_TRADE: phase.FILLED},
        phase.LOST: {
            event.ACK: phase.WORKING,
            event.PART: phase.PARTIAL,
            event.FILL: phase.FILLED,
            event.CANCEL: phase.CANCELLED,
            event.REJECT: phase.REJECTED,
            event.TRADE: phase.UNKNOWN,
            event.LAST_TRADE: phase.FILLED,
        },
    }
    for at in (phase.WORKING, phase.PARTIAL):  # the venue has had it in its book: it cannot have been lost any more
        del by_phase[at][event.LOSE]
    del by_phase[phase.WORKING][event.ACK]
    for what in (event.ACK, event.REJECT):  # what is left of an order that traded is cancelled, not rejected
        del by_phase[phase.PARTIAL][what]
    del by_phase[phase.UNKNOWN][event.DOUBT]
    return {(at, what): to for at, row in by_phase.items() for what, to in row.items()}


#: Every legal step. What is not here changes nothing.
ORDER_STEPS: dict[tuple[OrderPhase, OrderEvent], OrderPhase] = _steps()


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one order.

    filled: lots of its trades that were applied. left: what the venue says is still open, never more than lots - filled.
    acked: the venue has had it in its book. unlisted: an answer about the whole account was without it. day_over: a later day's
    positions were compared since, they prove nothing of it any more. adopted: the venue told us of it, it is not ours. paid: sum of
    price times lots of the trades.
    """

    client_order_id: str
    intent: OrderIntent
    trading_day: str
    phase: OrderPhase = OrderPhase.NEW
    filled: int = 0
    left: int = 0
    acked: bool = False
    unlisted: bool = False
    day_over: bool = False
    cancel_asked: bool = False
    adopted: bool = False
    created_ns: int = 0
    sent_ns: int = 0
    updated_ns: int = 0
    paid: float = 0.0
    exchange_order_id: str = ""
    message: str = ""
    trade_ids: tuple[str, ...] = ()

    @property
    def symbol(self) -> str:
        """Its contract."""
        return self.intent.symbol

    @property
    def side(self) -> Side:
        """Its side."""
        return self.intent.side

    @property
    def lots(self) -> int:
        """Lots asked."""
        return self.intent.lots

    @property
    def in_flight(self) -> int:
        """Lots that may still change the position: what is open, and of an order that ended the trades not yet heard of."""
        return max(0, self.intent.lots - self.filled - (self.left if self.phase in _FINAL else 0))

    @property
    def is_settled(self) -> bool:
        """It ended and every trade that the venue spoke of has been applied."""
        return self.phase in _FINAL and self.in_flight == 0

    @property
    def awaited(self) -> int:
        """Lots that the venue says were traded and no trade has told yet."""
        return max(0, self.lots - self.left - self.filled)

    @property
    def is_believed(self) -> bool:
        """It is over by hearsay: answers were without it, or it was refused; that it never traded nobody has seen."""
        return self.phase is OrderPhase.REJECTED or (self.phase is OrderPhase.LOST and self.unlisted)

    @property
    def average_price(self) -> float:
        """Mean price of its trades in CNY; NaN without any."""
        return self.paid / self.filled if self.filled else float("nan")


_EVENTS: dict[OrderState, OrderEvent] = {
    OrderState.SENT: OrderEvent.SEND,
    OrderState.WORKING: OrderEvent.ACK,
    OrderState.FILLED: OrderEvent.FILL,
    OrderState.CANCELLED: OrderEvent.CANCEL,
    OrderState.REJECTED: OrderEvent.REJECT,
    OrderState.LOST: OrderEvent.LOSE,
    OrderState.UNKNOWN: OrderEvent.DOUBT,
}


def event_of(record: OrderRecord, update: BrokerOrder) -> OrderEvent | None:
    """What a broker's word means for an order; None when it is older than what is known, or contradicts it.

    An order that has traded and is "rejected" ends cancelled; one that the venue has had can neither be lost nor be only sent.
    """
    event = _EVENTS[update.state]
    left = min(update.left, record.left)
    if event is OrderEvent.ACK:
        if update.left > record.left:
            return None
        return OrderEvent.PART if left < record.lots else OrderEvent.ACK
    if event is OrderEvent.REJECT and left < record.lots:
        return OrderEvent.CANCEL
    if record.acked and event in {OrderEvent.SEND, OrderEvent.LOSE}:
        return None
    return event


def step_order(record: OrderRecord, event: OrderEvent, ts_ns: int, *, left: int | None = None) -> OrderRecord | None:
    """The order after an event of the venue or of ours; None when the table has no such step, or nothing changes by it.

    left: lots that the venue says are open.
    """
    phase = ORDER_STEPS.get((record.phase, event))
    if phase is None:
        return None
    known = record.left if left is None else min(record.left, left)
    if event is FILL:
        known = 0
    if record.cancel_asked and event in _RESTS:
        phase = ORDER_STEPS[(phase, ASK_CANCEL)]
    acked = record.acked or event in _SEEN
    cancel_asked = record.cancel_asked or event is ASK_CANCEL
    sent_ns = ts_ns if event is SEND and not record.sent_ns else record.sent_ns
    before = (record.phase, record.left, record.acked, record.cancel_asked, record.sent_ns)
    if (phase, known, acked, cancel_asked, sent_ns) == before:
        return None
    return msgspec.structs.replace(
        record, phase=phase, left=known, acked=acked, cancel_asked=cancel_asked, sent_ns=sent_ns, updated_ns=ts_ns
    )


def step_trade(record: OrderRecord, trade_id: str, lots: int, price: float, ts_ns: int) -> OrderRecord:
    """The order after a trade that was not applied before. Lots beyond what was asked count: the venue did trade them."""
    filled = record.filled + lots
    event = OrderEvent.LAST_TRADE if filled >= record.lots else OrderEvent.TRADE
    return msgspec.structs.replace(
        record,
        phase=ORDER_STEPS[(record.phase, event)],
        filled=filled,
        left=max(0, min(record.left, record.lots - filled)),
        acked=True,
        updated_ns=ts_ns,
        paid=record.paid + price * lots,
        trade_ids=(*record.trade_ids, trade_id),
    )
