"""Corners of the gateway: both sides held, clocks that jump, kills and flattens at odd moments."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.trading.gateway.rig import DAY, FUNDS, NEXT, NEXT_DAY, RB, Rig, opening_ns

from ghtrader.core.messages import Style, Verb
from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import BrokerPosition, OrderState
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.orders_flow import _other_margin
from ghtrader.trading.gateway.turn import Turn


def locked(*, long: tuple[int, int], short: tuple[int, int]) -> Rig:
    """A gateway that found lots on both sides: (today's, history) of each."""
    rig = Rig(ready=False)
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    held = BrokerPosition(symbol=RB, long_today=long[0], long_history=long[1], short_today=short[0], short_history=short[1])
    rig.desk.positions = (held,)
    rig.ready()
    return rig


def play(rig: Rig, most: int = 20) -> list[tuple[Side, Offset, int]]:
    """Fill whatever is sent until nothing more comes; the orders."""
    before = len(rig.desk.submitted)
    for _ in range(most):
        open_orders = [name for name, order in rig.desk.orders.items() if not order.state.is_final]
        if open_orders:
            rig.filled(rig.desk.orders[open_orders[0]].left)
        rig.later(2.5)
        rig.tick()
    return [(order.side, order.offset, order.lots) for order in rig.desk.submitted[before:]]


BUY, SELL, CLOSE, TODAY = Side.BUY, Side.SELL, Offset.CLOSE, Offset.CLOSE_TODAY


@pytest.mark.parametrize("verb", [Verb.KILL, Verb.FLATTEN])
@pytest.mark.parametrize(
    ("long", "short", "orders"),
    [
        ((2, 1), (0, 3), [(SELL, CLOSE, 1), (BUY, CLOSE, 1), (SELL, TODAY, 2), (BUY, CLOSE, 2)]),
        ((0, 2), (1, 0), [(SELL, CLOSE, 1), (SELL, CLOSE, 1), (BUY, TODAY, 1)]),
        ((1, 0), (0, 2), [(BUY, CLOSE, 1), (SELL, TODAY, 1), (BUY, CLOSE, 1)]),
    ],
)
def test_both_sides_are_closed(verb: Verb, long, short, orders) -> None:
    rig = locked(long=long, short=short)
    rig.command(verb, reason="out")
    before = len(rig.desk.submitted)
    assert [(order.side, order.offset, order.lots) for order in rig.desk.submitted[:before]] + play(rig) == orders
    assert not rig.state.positions.symbols()
    targets = len(rig.records("target"))
    for _ in range(3):
        rig.later(2.5)
        rig.tick()
    assert len(rig.records("target")) == targets


def test_a_roll_leaves_neither_side_of_the_old_contract() -> None:
    rig = locked(long=(0, 2), short=(0, 2))
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, {"KQ.m@SHFE.rb": NEXT})
    rig.tick()
    assert play(rig, 6) == [(SELL, CLOSE, 2), (BUY, CLOSE, 2)]
    assert not rig.state.positions.symbols()


def test_a_strategys_target_of_nothing_leaves_what_an_operator_locked() -> None:
    rig = locked(long=(1, 0), short=(1, 0))
    rig.target(0)
    rig.tick()
    assert not rig.desk.submitted
    assert rig.records("note")[-1].body["reason"] == "reached"


def test_lots_that_were_closed_before_they_were_known_are_no_lots_to_close() -> None:
    rig = Rig()
    rig.target(1)
    rig.filled(1)
    rig.state.positions._contracts[RB].history[Side.BUY] = list(rig.state.positions._contracts[RB].today[Side.BUY])
    rig.state.positions._contracts[RB].today[Side.BUY] = [
        type(rig.state.positions._contracts[RB].history[Side.BUY][0])(-1, 3000.0)
    ]
    targets = len(rig.records("target"))
    rig.command(Verb.KILL, reason="out")
    rig.later(3)
    rig.tick()
    assert (len(rig.desk.submitted), len(rig.records("target"))) == (1, targets)


# --- cancels that do not leave --------------------------------------------------------------------------------------------
def resting(rig: Rig) -> str:
    """An order of the strategy works."""
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    return rig.desk.submitted[-1].client_order_id


def cannot_cancel(rig: Rig, *, never_sent: bool) -> list[str]:
    """The broker fails to send every cancel from now on; the cancels it was asked for."""
    asked: list[str] = []

    def cancel(identity: str) -> None:
        asked.append(identity)
        rig.shell._events.append(
            ev.CancelFailed(now_ns=rig.now, client_order_id=identity, never_sent=never_sent, message="no route")
        )

    rig.desk.cancel = cancel  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("killed", [False, True])
def test_a_cancel_that_does_not_leave_is_not_counted_and_is_asked_for_again_after_a_pause(killed: bool) -> None:
    rig = Rig()
    identity = resting(rig)
    asked = cannot_cancel(rig, never_sent=True)
    rig.command(Verb.KILL if killed else Verb.CANCEL_ALL, reason="out")
    for _ in range(40):
        rig.later(0.25)
        rig.tick()
        rig.venue()
    assert set(asked) == {identity}
    assert 4 <= len(asked) <= 6
    meters = rig.state.risk.meters_of(RB)
    assert (meters.cancels, meters.messages) == (0, 1)
    rig.desk.cancel = rig.desk.cancelled.append  # type: ignore[method-assign]
    rig.later(3)
    assert rig.desk.cancelled == [identity]
    rig.later(3)
    meters = rig.state.risk.meters_of(RB)
    assert (meters.cancels, meters.messages) == (1, 2)
    rig.order(OrderState.CANCELLED, left=1, identity=identity)
    assert not rig.state.pending.cancels
    assert not rig.state.pending.not_before


def test_a_cancel_of_which_nobody_knows_whether_it_left_counts() -> None:
    rig = Rig()
    resting(rig)
    asked = cannot_cancel(rig, never_sent=False)
    rig.command(Verb.CANCEL_ALL, reason="out")
    rig.later(3)
    assert len(asked) == 2
    assert rig.state.risk.meters_of(RB).cancels == 2


def test_a_cancel_that_did_not_leave_waits_for_the_link() -> None:
    rig = Rig()
    identity = resting(rig)
    asked = cannot_cancel(rig, never_sent=True)
    rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=False))
    rig.command(Verb.CANCEL_ALL, reason="out")
    for _ in range(10):
        rig.later(3)
    assert asked == [identity]
    rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=True))
    rig.later(3)
    assert len(asked) == 2


def test_an_order_that_did_not_leave_is_no_message_of_the_day() -> None:
    rig = Rig()
    rig.target(1)
    identity = rig.desk.submitted[-1].client_order_id
    for _ in range(2):
        rig.handle(ev.SubmitFailed(now_ns=rig.now, client_order_id=identity, never_sent=True, reason="halted", message=""))
    assert rig.state.risk.meters_of(RB).messages == 0
    rig.target(1)
    assert rig.state.risk.meters_of(RB).messages == 1
    rig.crash()
    assert rig.state.risk.meters_of(RB).messages == 1


# --- clocks ---------------------------------------------------------------------------------------------------------------
def test_a_target_on_a_tick_of_the_future_is_refused() -> None:
    rig = Rig()
    drift = rig.settings.clock_drift_ns
    rig.target(1, age_ns=-drift - 1)
    assert rig.records("target")[-1].body["refused"] == "future_target"
    assert not rig.desk.submitted
    rig.target(1, age_ns=-drift)
    assert len(rig.desk.submitted) == 1


def ahead(rig: Rig, seconds: int) -> None:
    """The clock is set wrong, forward or back, and the day with it."""
    rig.clock.ns += seconds * 10**9
    day = {True: NEXT_DAY, False: DAY}[rig.clock.ns >= opening_ns(NEXT_DAY) - 3600 * 10**9]
    rig.begin_day(day, rig.contracts)
    rig.desk.trading_day = day
    rig.later()


def market(rig: Rig, day: str, ts_ns: int) -> None:
    """A tick with the exchange's own time and day, whatever our clock says."""
    tick = replace(rig.state.markets[RB], trading_day=day, ts_ns=ts_ns, receive_ns=rig.now)
    rig.handle(ev.TickArrived(now_ns=rig.now, market=tick))


DAY_S = 86_400


def test_a_clock_a_day_ahead_refuses_orders_and_heals_when_it_is_right_again() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    before, money, right = rig.state.risk.meters_of(RB), rig.state.positions.day_money(RB, 3000.0), rig.now
    assert (before.messages, money.fees_cny > 0) == (1, True)
    ahead(rig, DAY_S)
    rig.venue()
    market(rig, DAY, right)
    rig.command(Verb.SET_TARGET, symbol=RB, lots=3, params={"style": "taker"})
    assert rig.records("verdict")[-1].body["reason"] == "stale_feed"
    assert len(rig.desk.submitted) == 1
    ahead(rig, -DAY_S)
    rig.crash()
    rig.ready()
    assert rig.state.differences == ("day_behind",)
    rig.target(3)
    refused = rig.records("target")[-1].body
    assert (refused["refused"], refused["message"]) == ("unbalanced", "the account does not reconcile: day_behind")
    rig.later(3)
    rig.venue()
    assert rig.state.life is Life.READY
    assert rig.state.positions.position(RB).long_today == 2
    assert rig.state.risk.meters_of(RB) == before
    assert rig.state.positions.day_money(RB, 3000.0) == money
    rig.tick()
    rig.target(3)
    assert len(rig.desk.submitted) == 2
    rig.crash()
    assert (rig.state.positions.trading_day, rig.state.risk.trading_day) == (DAY, DAY)


def test_cancels_of_a_day_that_was_none_count_for_the_one_that_is() -> None:
    rig = Rig()
    identity = resting(rig)
    before = rig.state.risk.meters_of(RB)
    right = rig.now
    ahead(rig, DAY_S)
    rig.command(Verb.CANCEL_ALL, reason="odd")
    assert identity in rig.desk.cancelled
    cancels = rig.state.risk.meters_of(RB).cancels
    rig.order(OrderState.CANCELLED, left=1, identity=identity)
    ahead(rig, -DAY_S)
    market(rig, DAY, right)
    rig.later(2)
    after = rig.state.risk.meters_of(RB)
    assert (after.messages, after.cancels) == (before.messages + cancels, cancels)
    assert cancels == 1


def test_a_clock_set_back_to_the_day_before_changes_nothing_that_ticks_do_not_prove() -> None:
    rig = Rig()
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, rig.contracts)
    rig.venue()
    rig.tick()
    ahead(rig, -DAY_S)
    rig.later(3)
    rig.venue()
    assert rig.state.positions.trading_day == NEXT_DAY
    assert rig.state.life is Life.UNBALANCED
    ahead(rig, DAY_S)
    rig.later(3)
    rig.venue()
    assert rig.state.life is Life.READY


def test_an_order_of_the_later_day_proves_that_it_is_no_mistake() -> None:
    rig = Rig()
    right = rig.now
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, rig.contracts)
    rig.venue()
    rig.tick()
    rig.target(1)
    ahead(rig, -DAY_S)
    market(rig, DAY, right)
    rig.later(3)
    assert rig.state.positions.trading_day == NEXT_DAY


# --- what other contracts take ----------------------------------------------------------------------------------------------
def test_margin_of_openings_in_flight_elsewhere_is_not_available() -> None:
    rig = Rig()
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB, NEXT: NEXT})
    rig.tick()
    rig.tick(symbol=NEXT)
    margin = 3000.0 * 10 * rig.state.days[RB].margin_rate
    left = rig.state.settings.limits.min_available_share * 1e6
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=replace(FUNDS, available=left + 2.5 * margin)))
    rig.target(2, Style.PASSIVE, symbol=NEXT)
    assert len(rig.desk.submitted) == 1
    rig.target(1, Style.PASSIVE)
    assert rig.records("verdict")[-1].body["reason"] == "available_margin"
    rig.order(OrderState.CANCELLED)
    rig.target(1, Style.PASSIVE)
    assert len(rig.desk.submitted) == 2
    rig.order(OrderState.CANCELLED)
    rig.state.days = {RB: rig.state.days[RB]}
    assert _other_margin(Turn(rig.state, rig.now), RB) == 0.0


def test_cancel_all_drops_what_is_wanted_and_takes_the_next_target() -> None:
    rig = Rig()
    identity = resting(rig)
    rig.command(Verb.CANCEL_ALL, reason="out")
    rig.order(OrderState.CANCELLED, left=1, identity=identity)
    rig.tick()
    assert len(rig.desk.submitted) == 1
    assert not rig.state.desired.paused
    rig.target(1)
    assert len(rig.desk.submitted) == 2
    rig.command(Verb.FLATTEN, reason="out")
    assert rig.state.desired.paused
