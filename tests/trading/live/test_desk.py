"""A broker in a thread of its own: what is asked for is done there, in time or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import HaltedError, ProviderTransientError
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import AccountFunds, BrokerOrder, OrderState
from ghtrader.testing.fakes import FakeBroker, FakeClock, FakeVenue
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.desk import BrokerDesk, ThreadedDesk

RB = "SHFE.rb2510"


class SlowBroker(FakeBroker):
    """Its poll ends when the test lets it, or fails when the test says so."""

    def __init__(self, venue: FakeVenue) -> None:
        super().__init__(venue)
        self.may_go, self.inside = threading.Event(), threading.Event()
        self.may_go.set()
        self.fails: bool | Exception = False
        self.closed = False

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        if not self.may_go.is_set():
            self.inside.set()
            assert self.may_go.wait(20.0)
        if self.fails:
            error, self.fails = self.fails, False
            raise error if isinstance(error, Exception) else ProviderTransientError("the client broke")
        return super().poll(timeout_s)

    def close(self) -> None:
        self.closed = True


def approved(name: str, price: float = 2991.0) -> Any:
    """What the gate would give; a desk takes nothing else."""
    intent = SimpleNamespace(symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=1, kind=OrderKind.GFD)
    return SimpleNamespace(client_order_id=name, intent=intent, limit_price=price)


class Desk:
    def __init__(self, brokers: list[Any], **options: float) -> None:
        self.brokers, self.opened, self.threads = brokers, list[Any](), set[int]()
        self.rings = 0
        self.desk = ThreadedDesk(
            self.opens, SystemClock(), lambda: "2025-06-05", poll_s=0.001, retry_s=0.01, ring=self.ring, **options
        )
        self.events: list[ev.Event] = []

    def ring(self) -> None:
        self.rings += 1

    def opens(self) -> Any:
        self.threads.add(threading.get_ident())
        broker = self.brokers.pop(0)
        if isinstance(broker, Exception):
            raise broker
        self.opened.append(broker)
        return broker

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = Deadline(60.0)
        while not holds():
            assert not deadline.passed, self.events
            self.events += self.desk.events(0.05)

    def seen(self, kind: type[ev.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def make() -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def build(*brokers: Any, **options: float) -> Desk:
        made.append(Desk(list(brokers), **options))
        return made[-1]

    yield build
    for desk in made:
        desk.desk.close()


def test_orders_fills_and_the_account_come_as_events_from_the_thread_of_the_broker(make: Callable[..., Desk]) -> None:
    venue = FakeVenue()
    desk = make(ProviderTransientError("closed"), SlowBroker(venue))
    desk.until(lambda: [link.up for link in desk.seen(ev.BrokerLinkChanged)] == [False, True])
    assert desk.seen(ev.BrokerLinkChanged)[0].message == "closed"
    desk.until(lambda: desk.rings >= len(desk.events))  # whoever waits elsewhere is told of each
    desk.desk.submit(approved("a"))
    desk.until(lambda: bool(desk.seen(ev.OrderChanged)))
    kinds = [type(event) for event in desk.events if isinstance(event, ev.OrderChanged | ev.FillArrived)]
    assert kinds[0] is ev.FillArrived  # an order's end never overtakes its trades
    desk.desk.query()
    desk.until(lambda: bool(desk.seen(ev.VenueAnswered)))
    snapshot = desk.seen(ev.VenueAnswered)[0].snapshot
    assert [order.request.client_order_id for order in snapshot.orders] == ["a"]
    assert snapshot.trading_day == "2025-06-05"
    assert len(desk.seen(ev.FillArrived)) == 1
    assert desk.threads != {threading.get_ident()}


def test_an_order_that_waited_too_long_never_leaves(make: Callable[..., Desk]) -> None:
    venue = FakeVenue()
    broker = SlowBroker(venue)
    desk = make(broker, patience_s=0.0)
    desk.until(lambda: bool(desk.seen(ev.BrokerLinkChanged)))
    broker.may_go.clear()
    assert broker.inside.wait(20.0)
    desk.desk.submit(approved("late"))  # the caller does not wait, whatever the broker does
    broker.may_go.set()
    desk.until(lambda: bool(desk.seen(ev.SubmitFailed)))
    failed = desk.seen(ev.SubmitFailed)[0]
    assert (failed.client_order_id, failed.never_sent, failed.reason) == ("late", True, "broker_busy")
    assert venue.received == []


def test_a_broken_client_is_a_link_that_is_down_and_nothing_asked_meanwhile_is_done_later(make: Callable[..., Desk]) -> None:
    venue = FakeVenue()
    first, second = SlowBroker(venue), SlowBroker(venue)
    desk = make(first, ProviderTransientError("still closed"), second)
    desk.until(lambda: bool(desk.seen(ev.BrokerLinkChanged)))
    first.fails = True
    desk.until(lambda: [link.up for link in desk.seen(ev.BrokerLinkChanged)] == [True, False, False, True])
    assert first.closed
    assert desk.opened == [first, second]


def test_money_that_the_broker_does_not_tell_is_a_bad_reading_each_time() -> None:
    venue = FakeVenue()
    broker = SlowBroker(venue)
    clock = FakeClock(1_000_000_000)
    desk = BrokerDesk(broker, clock, lambda: "2025-06-05")
    told = [event.funds.balance for event in desk.events() if isinstance(event, ev.FundsArrived)]
    zero = AccountFunds(**dict.fromkeys(AccountFunds.__struct_fields__, 0.0))
    for funds in (_no_funds, _no_funds, lambda: zero, lambda: zero):
        broker.funds = funds  # type: ignore[method-assign]
        clock.advance(1.0)
        told += [event.funds.balance for event in desk.events() if isinstance(event, ev.FundsArrived)]
    assert told[0] > 0
    assert [str(balance) for balance in told[1:]] == ["nan", "nan", "0.0", "0.0"]


def _no_funds() -> AccountFunds:
    raise ProviderTransientError("the account is not there")


def test_what_no_port_speaks_of_is_a_link_that_is_down_too(make: Callable[..., Desk]) -> None:
    venue = FakeVenue()
    first, second = SlowBroker(venue), SlowBroker(venue)
    desk = make(first, second)
    desk.until(lambda: bool(desk.seen(ev.BrokerLinkChanged)))
    first.fails = KeyError("quote")
    desk.until(lambda: [link.up for link in desk.seen(ev.BrokerLinkChanged)] == [True, False, True])
    assert desk.seen(ev.BrokerLinkChanged)[1].message == "the broker's client failed: KeyError: 'quote'"
    assert first.closed
    desk.desk.submit(approved("after"))
    desk.until(lambda: bool(desk.seen(ev.OrderChanged)))


def test_what_was_asked_before_the_end_is_done(make: Callable[..., Desk]) -> None:
    venue = FakeVenue()
    broker = SlowBroker(venue)
    desk = make(broker)
    desk.desk.submit(approved("rests", 2980.0))
    desk.until(lambda: bool(desk.seen(ev.OrderChanged)))
    broker.may_go.clear()
    assert broker.inside.wait(20.0)
    desk.desk.cancel("rests")
    closing = threading.Thread(target=desk.desk.close)
    closing.start()
    assert desk.desk._stop.wait(20.0)
    broker.may_go.set()
    closing.join()
    assert venue.orders["rests"].state is OrderState.CANCELLED
    assert broker.closed


def test_a_cancel_without_a_session_has_not_left(make: Callable[..., Desk]) -> None:
    first, second = SlowBroker(FakeVenue()), SlowBroker(FakeVenue())
    desk = make(first, second)
    desk.until(lambda: bool(desk.seen(ev.BrokerLinkChanged)))
    first.may_go.clear()
    assert first.inside.wait(20.0)
    first.fails = True
    desk.desk.cancel("a")
    first.may_go.set()
    desk.until(lambda: bool(desk.seen(ev.CancelFailed)))
    assert [(failed.client_order_id, failed.never_sent) for failed in desk.seen(ev.CancelFailed)] == [("a", True)]


@pytest.mark.parametrize(
    ("error", "never_sent"), [(HaltedError("the link is down"), True), (ProviderTransientError("it broke"), False)]
)
def test_a_broker_that_cannot_cancel_says_whether_it_left(error: Exception, never_sent: bool) -> None:
    broker = FakeBroker(FakeVenue())

    def cancel(identity: str) -> BrokerOrder:
        raise error

    broker.cancel = cancel  # type: ignore[method-assign]
    desk = BrokerDesk(broker, FakeClock(5), lambda: "2025-06-05")
    desk.cancel("a")
    failed = [event for event in desk.events() if isinstance(event, ev.CancelFailed)]
    assert failed == [ev.CancelFailed(now_ns=5, client_order_id="a", never_sent=never_sent, message=error.args[0])]


def test_money_is_asked_for_every_second_whatever_the_clock_says() -> None:
    class Clock(FakeClock):
        passed = 0

        def monotonic_ns(self) -> int:
            return self.passed

    clock = Clock(10**18)
    broker = FakeBroker(FakeVenue())
    asked = []
    funds = broker.funds

    def ask() -> Any:
        asked.append(clock.passed)
        return funds()

    broker.funds = ask  # type: ignore[method-assign]
    desk = BrokerDesk(broker, clock, lambda: "2025-06-05")
    desk.events()
    clock.ns -= 3600 * 10**9
    for _ in range(4):
        clock.passed += 500_000_000
        desk.events()
    assert asked == [0, 10**9, 2 * 10**9]
