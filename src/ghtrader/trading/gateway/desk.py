"""The broker as the gateway's shell uses it: orders out, everything that changed in as events, each exactly once.

`BrokerDesk` serves brokers that answer at once (the simulator, a replay); `ThreadedDesk` gives a broker a thread of its own, for
clients that wait on a network. Both give the same events.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.errors import DataError, GhtraderError, HaltedError, RiskDenied
from ghtrader.ports.account_day import TellsAccountDay
from ghtrader.ports.broker import AccountFunds, Broker, BrokerOrder, OrderRequest
from ghtrader.trading.gateway.events import (
    BrokerLinkChanged,
    CancelFailed,
    Event,
    FillArrived,
    FundsArrived,
    OrderChanged,
    SubmitFailed,
    VenueAnswered,
)
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.risk.memory import is_equity
from ghtrader.trading.statement.venue_days import VenueDays

__all__ = ["BrokerDesk", "OrderDesk", "ThreadedDesk", "request_of"]

FUNDS_EVERY_NS = 1_000_000_000
UNKNOWN_FUNDS = AccountFunds(**dict.fromkeys(AccountFunds.__struct_fields__, math.nan))
#: What a broker raises before anything is sent.
UNSENT = (RiskDenied, HaltedError, DataError)


def request_of(approved: ApprovedOrder) -> OrderRequest:
    """What a broker takes, of an order that the risk gate let pass; there is no other way to one."""
    intent = approved.intent
    return OrderRequest(
        client_order_id=approved.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        offset=intent.offset,
        lots=intent.lots,
        limit_price=approved.limit_price,
        kind=intent.kind,
    )


class OrderDesk(Protocol):
    """One account's orders. Never waits; belongs to the thread that owns the gateway's state."""

    def submit(self, approved: ApprovedOrder) -> None:
        """Send an order; how it went comes as an event."""

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel; the order's end comes as an event, and that it did not leave."""

    def query(self) -> None:
        """Ask for the whole account; the answer comes as `events.VenueAnswered`."""

    def events(self, timeout_s: float = 0.0) -> list[Event]:
        """What happened since the last call, in order; waits at most so long for something."""

    def close(self) -> None:
        """Hang up; orders stay at the venue."""


class BrokerDesk:
    """A broker in the thread of the caller. trading_day: names the venue's day of now, for snapshots; ``failed``: its poll did.

    days: is told of the account's days, where the broker tells them.
    """

    def __init__(self, broker: Broker, clock: Clock, trading_day: Callable[[], str], days: VenueDays | None = None) -> None:
        self._broker = broker
        self._days = days if isinstance(broker, TellsAccountDay) else None
        self._clock = clock
        self._trading_day = trading_day
        self._known_fills: set[str] = set()
        self._up: bool | None = None
        self._events: list[Event] = []
        self._funds_at: int | None = None  # monotonic
        self._funds: object = None
        self.failed = False

    def submit(self, approved: ApprovedOrder) -> None:
        """Send an order."""
        identity = approved.client_order_id
        try:
            order = self._broker.submit(request_of(approved))
        except UNSENT as error:
            reason = str(error.context.get("reason", type(error).__name__))
            self._failed(identity, never_sent=True, reason=reason, message=error.message)
        except GhtraderError as error:
            self._failed(identity, never_sent=False, reason=type(error).__name__, message=error.message)
        else:
            self._order(order)

    def _failed(self, identity: str, *, never_sent: bool, reason: str, message: str) -> None:
        now = self._clock.now_ns()
        self._events.append(
            SubmitFailed(now_ns=now, client_order_id=identity, never_sent=never_sent, reason=reason, message=message)
        )

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel."""
        try:
            self._order(self._broker.cancel(client_order_id))
        except GhtraderError as error:
            self._cancel_failed(client_order_id, never_sent=isinstance(error, UNSENT), message=error.message)

    def _cancel_failed(self, identity: str, *, never_sent: bool, message: str) -> None:
        now = self._clock.now_ns()
        self._events.append(CancelFailed(now_ns=now, client_order_id=identity, never_sent=never_sent, message=message))

    def query(self) -> None:
        """Ask for the whole account; no answer while the link is down: it is asked again when it is up."""
        with contextlib.suppress(GhtraderError):
            broker = self._broker
            if not broker.is_up:
                return
            fills = broker.fills()
            snapshot = VenueSnapshot(
                orders=tuple(broker.orders()),
                fills=tuple(fills),
                positions=tuple(broker.positions()),
                funds=broker.funds(),
                trading_day=self._trading_day(),
            )
            self._known_fills = {fill.trade_id for fill in fills}
            self._events.append(VenueAnswered(now_ns=self._clock.now_ns(), snapshot=snapshot))

    def _order(self, order: BrokerOrder) -> None:
        self._fills()
        self._events.append(OrderChanged(now_ns=self._clock.now_ns(), order=order))

    def _fills(self) -> None:
        """Fills first: an order's end never overtakes its trades."""
        for fill in self._broker.fills():
            if fill.trade_id not in self._known_fills:
                self._known_fills.add(fill.trade_id)
                self._events.append(FillArrived(now_ns=self._clock.now_ns(), fill=fill))

    def events(self, timeout_s: float = 0.0) -> list[Event]:
        """Let the broker work and give what happened."""
        try:
            changed = self._broker.poll(0.0 if self._events else timeout_s)
        except GhtraderError as error:
            changed, self.failed = [], True
            self._link(up=False, message=error.message)
        else:
            self._link(up=self._broker.is_up, message="")
        if changed:
            self._fills()
            now = self._clock.now_ns()
            self._events.extend(OrderChanged(now_ns=now, order=order) for order in changed)
        self._ask_funds(bool(changed))
        found, self._events = self._events, []
        return found

    def _link(self, *, up: bool, message: str) -> None:
        if up != self._up:
            self._up = up
            self._events.append(BrokerLinkChanged(now_ns=self._clock.now_ns(), up=up, message=message))

    def _ask_funds(self, changed: bool) -> None:
        now = self._clock.monotonic_ns()
        if not self._up or not (changed or self._funds_at is None or now - self._funds_at >= FUNDS_EVERY_NS):
            return
        self._funds_at = now
        if self._days is not None and isinstance(self._broker, TellsAccountDay):
            with contextlib.suppress(GhtraderError):  # told anew in a second
                self._days.take(self._broker.account_day(), self._trading_day())
        try:
            funds = self._broker.funds()
        except GhtraderError:  # what is not told is not known: the last reading does not stand for it
            funds = UNKNOWN_FUNDS
        if funds != self._funds or not is_equity(funds.balance):  # bad readings are counted, the same one too
            self._funds = funds
            self._events.append(FundsArrived(now_ns=self._clock.now_ns(), funds=funds))

    def close(self) -> None:
        """Hang up."""
        self._broker.close()


@dataclass(frozen=True)
class _Wish:
    """Something the owner asked for, when (monotonic ns), and the order it sends or cancels, where it does."""

    do: Callable[[BrokerDesk], None]
    asked_ns: int
    order_id: str = ""
    cancel_id: str = ""


class ThreadedDesk:
    """A broker in a thread of its own; ``opens`` makes it there, because clients belong to the thread that made them.

    A broker that cannot be opened is a link that is down, and is opened again every ``retry_s`` seconds; so is one whose poll
    failed. An order that has waited for the broker longer than ``patience_s``, or for one that is not open, is not sent any more.
    What was asked before `close` is still done. ring: called in the broker's thread whenever there is something in `events`.
    """

    def __init__(
        self,
        opens: Callable[[], Broker],
        clock: Clock,
        trading_day: Callable[[], str],
        *,
        days: VenueDays | None = None,
        poll_s: float = 0.005,
        retry_s: float = 5.0,
        patience_s: float = 1.0,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        self._opens, self._ring = opens, ring
        self._clock = clock
        self._trading_day, self._days = trading_day, days
        self._poll_s, self._retry_s, self._patience_ns = poll_s, retry_s, int(patience_s * NS_PER_S)
        self._asked: queue.SimpleQueue[_Wish] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._desk: BrokerDesk | None = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """The broker's thread; what its client raises and no port speaks of is a link that is down, never a thread that is gone."""
        while not self._stop.is_set():
            try:
                self._converse()
            except Exception as error:  # noqa: BLE001 - a client may raise anything; the link is down, and why is said
                words = f"the broker's client failed: {type(error).__name__}: {error}"
                self._give(BrokerLinkChanged(now_ns=self._clock.now_ns(), up=False, message=words))
                self._stop.wait(self._retry_s)

    def _converse(self) -> None:
        if self._desk is not None:  # its client failed: it is hung up before there is another
            failed, self._desk = self._desk, None
            failed.close()
        while not self._stop.is_set():
            if self._desk is None:
                self._decline()
                self._desk = self._open()
                continue
            self._serve(self._desk)
            for event in self._desk.events(self._poll_s):
                self._give(event)
            if self._desk.failed:
                failed, self._desk = self._desk, None
                with contextlib.suppress(GhtraderError):
                    failed.close()
                self._stop.wait(self._retry_s)
        if self._desk is not None:
            self._serve(self._desk)
            self._desk.events(0.0)
            self._desk.close()

    def _serve(self, desk: BrokerDesk) -> None:
        while not self._asked.empty():
            wish = self._asked.get()
            if wish.order_id and self._clock.monotonic_ns() - wish.asked_ns > self._patience_ns:
                self._refuse(wish, "the broker was busy for too long")
            else:
                wish.do(desk)

    def _decline(self) -> None:
        """Nothing of what is asked while there is no session may be done later: the account is asked for when there is one."""
        while not self._asked.empty():
            wish = self._asked.get()
            message = "there is no session with the broker"
            if wish.order_id:
                self._refuse(wish, message)
            elif wish.cancel_id:
                now = self._clock.now_ns()
                self._found.put(CancelFailed(now_ns=now, client_order_id=wish.cancel_id, never_sent=True, message=message))

    def _give(self, event: Event) -> None:
        self._found.put(event)
        self._ring()

    def _refuse(self, wish: _Wish, message: str) -> None:
        now = self._clock.now_ns()
        self._give(
            SubmitFailed(now_ns=now, client_order_id=wish.order_id, never_sent=True, reason="broker_busy", message=message)
        )

    def _open(self) -> BrokerDesk | None:
        try:
            return BrokerDesk(self._opens(), self._clock, self._trading_day, self._days)
        except GhtraderError as error:
            self._give(BrokerLinkChanged(now_ns=self._clock.now_ns(), up=False, message=error.message))
            self._stop.wait(self._retry_s)
            return None

    def _ask(self, do: Callable[[BrokerDesk], None], order_id: str = "", cancel_id: str = "") -> None:
        self._asked.put(_Wish(do, self._clock.monotonic_ns(), order_id, cancel_id))

    def submit(self, approved: ApprovedOrder) -> None:
        """Send an order."""
        self._ask(lambda desk: desk.submit(approved), approved.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel."""
        self._ask(lambda desk: desk.cancel(client_order_id), cancel_id=client_order_id)

    def query(self) -> None:
        """Ask for the whole account."""
        self._ask(BrokerDesk.query)

    def events(self, timeout_s: float = 0.0) -> list[Event]:
        """What happened since the last call."""
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._found.get(timeout=timeout_s) if timeout_s > 0 else self._found.get_nowait())
            while True:
                found.append(self._found.get_nowait())
        return found

    def close(self) -> None:
        """Hang up and end the thread."""
        self._stop.set()
        self._thread.join(timeout=30.0)
