"""The way between gateway and venue: delays, drops, duplicates, reordering, a link that breaks with orders on it.

An order may crawl: for so long that the gateway must take it for lost. One that opens is then refused by the exchange when it
comes; one that closes is taken as any other.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ghtrader.core.orders import Offset
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.desk import request_of
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.simulation.lies import Lies
from ghtrader.trading.simulation.media import CrashPoints
from ghtrader.trading.simulation.venue import SimVenue
from ghtrader.trading.simulation.world import World

__all__ = ["OFTEN", "SELDOM", "SimLink"]

#: Share of orders that crawl.
SELDOM, OFTEN = 0.02, 0.25


class SimLink:
    """`trading.gateway.desk.OrderDesk`. judge: sees every order as it leaves; wake: there is something to read."""

    def __init__(
        self,
        world: World,
        venue: SimVenue,
        crash: CrashPoints,
        judge: Callable[[ApprovedOrder], None],
        wake: Callable[[], None],
    ) -> None:
        self._world, self._venue, self._crash, self._judge, self._wake = world, venue, crash, judge, wake
        self._lies = Lies(world)
        self.up, self.crawls = True, SELDOM
        self.cancels_asked: dict[str, int] = {}
        self.transit: dict[str, ApprovedOrder] = {}
        self._inbox: list[ev.Event] = []
        self._session = 0
        venue.says = self._hear

    # --- the gateway's side ---------------------------------------------------------------------------------------------
    def submit(self, approved: ApprovedOrder) -> None:
        """Send an order, if the link is up; it may be lost on the way."""
        self._crash("before submit")
        self._judge(approved)
        identity = approved.client_order_id
        if not self.up:
            self._tell_later(
                lambda now: ev.SubmitFailed(
                    now_ns=now, client_order_id=identity, never_sent=True, reason="link_down", message="the link is down"
                )
            )
            return
        if self._world.faults.hits("order crawls", self.crawls):
            self._crawl(approved)
        else:
            self.transit[identity] = approved
            self._world.after(self._world.delay(1, 150), lambda: self._arrive(approved))
        if self._world.faults.hits("send outcome unknown", 0.01):
            self._tell_later(
                lambda now: ev.SubmitFailed(
                    now_ns=now, client_order_id=identity, never_sent=False, reason="timeout", message="nobody knows"
                )
            )
        self._crash("after submit")

    def _crawl(self, approved: ApprovedOrder) -> None:
        request, day = request_of(approved), self._venue.trading_day

        def arrive() -> None:
            if self._venue.trading_day != day:
                return
            if request.offset is Offset.OPEN:
                self._venue.refuse_late(request)
            else:
                self._venue.insert(request)

        self._world.after(self._world.delay(12_000, 50_000), arrive)

    def _arrive(self, approved: ApprovedOrder) -> None:
        if self.transit.pop(approved.client_order_id, None) is None:
            return
        if self._world.faults.hits("order lost", 0.004):
            return
        self._venue.insert(request_of(approved))

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel; lost when the link is down or breaks."""
        self._crash("before cancel")
        self.cancels_asked.setdefault(client_order_id, self._world.clock.true_ns)
        session = self._session
        if self.up and not self._world.faults.hits("cancel lost", 0.01):
            self._world.after(
                self._world.delay(1, 150),
                lambda: self._venue.cancel(client_order_id) if session == self._session else None,
            )
        self._crash("after cancel")

    def query(self) -> None:
        """Ask for the whole account."""
        self._crash("query")
        if not self.up:
            return
        seen = self._listed() if self._world.faults.hits("answer is old", 0.1) else None

        def answer(now: int) -> ev.Event:
            return ev.VenueAnswered(now_ns=now, snapshot=self._lies.spoil(self._listed() if seen is None else seen))

        if not self._world.faults.hits("answer lost", 0.05):
            self._tell_later(answer, high_ms=120 if seen is None else 2500)

    def _listed(self) -> VenueSnapshot:
        """The account; the broker's client may list what it has sent and the venue has not acknowledged."""
        truth = self._venue.snapshot()
        if not self.transit or self._world.chance.random() < 0.6:
            return truth
        under_way = tuple(
            BrokerOrder(request=request_of(approved), state=OrderState.SENT, left=approved.intent.lots)
            for approved in self.transit.values()
        )
        return msgspec.structs.replace(truth, orders=(*truth.orders, *under_way))

    def events(self, timeout_s: float = 0.0) -> list[ev.Event]:
        """What has come."""
        del timeout_s
        found, self._inbox = self._inbox, []
        return found

    def close(self) -> None:
        """Hang up."""
        self._inbox.clear()

    # --- the venue's side -----------------------------------------------------------------------------------------------
    def _hear(self, order: BrokerOrder, fill: BrokerFill | None) -> None:
        def say(now: int) -> ev.Event:
            if fill is not None:
                return ev.FillArrived(now_ns=now, fill=fill)
            return ev.OrderChanged(now_ns=now, order=order)

        faults = self._world.faults
        if not self.up or faults.hits("update lost", 0.01):
            return
        self._tell_later(say)
        if faults.hits("update twice", 0.03):
            self._tell_later(say, high_ms=3000)

    def _tell_later(self, make: Callable[[int], ev.Event], high_ms: float = 120) -> None:
        session = self._session
        late = 4000 if self._world.faults.hits("update late", 0.02) else high_ms

        def deliver() -> None:
            if session == self._session:
                self._inbox.append(make(self._world.clock.now_ns()))
                self._wake()

        self._world.after(self._world.delay(1, late), deliver)

    def funds(self) -> None:
        """The broker tells the money; sometimes nonsense."""
        if self.up:
            unknown = self._world.faults.hits("equity is no number", 0.01)
            self._tell_later(lambda now: ev.FundsArrived(now_ns=now, funds=self._venue.funds(unknown=unknown)))

    # --- the link -------------------------------------------------------------------------------------------------------
    def drop(self, low_ms: float = 500, high_ms: float = 20_000) -> None:
        """The link breaks for so long: messages on it are lost, orders on it perhaps."""
        if not self.up:
            return
        self._world.note("link down")
        self.up = False
        self._session += 1
        self._inbox.clear()
        for identity in list(self.transit):
            if self._world.chance.random() < 0.5:
                self.transit.pop(identity)
        self._inbox.append(ev.BrokerLinkChanged(now_ns=self._world.clock.now_ns(), up=False, message="dropped"))
        self._wake()
        self._world.after(self._world.delay(low_ms, high_ms), self.restore)

    def restore(self) -> None:
        """The link is up again."""
        if not self.up:
            self._world.note("link up")
            self.up = True
            self._inbox.append(ev.BrokerLinkChanged(now_ns=self._world.clock.now_ns(), up=True))
            self._wake()

    def reconnect(self) -> None:
        """A new run of the gateway logs in: what was said to the old one is gone, orders on their way are not called back."""
        self._session += 1
        self._inbox.clear()
        if self.up:
            self._inbox.append(ev.BrokerLinkChanged(now_ns=self._world.clock.now_ns(), up=True))
            self._wake()

    def lose_all(self) -> None:
        """Long after: nothing is on its way any more."""
        self.transit.clear()
