"""Corners of the gateway: both sides held, clocks that jump, kills and flattens at odd moments."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.trading.gateway.rig import CALENDAR, DAY, FUNDS, INSTRUMENTS, NEXT, NEXT_DAY, RB, SECOND, Rig, opening_ns

from ghtrader.core.messages import Outcome, Style, Verb
from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, BrokerPosition, OrderState
from ghtrader.testing.trading_stores import MemoryDisk, MemoryKillStore
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.days import DayWatch
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.modes import CONFIRM_LIVE, Gates
from ghtrader.trading.gateway.orders_flow import _other_margin
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.kill.record import KillPhase, KillRecord, decode_kill, encode_kill


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
    rig = locked(long=(0, 1), short=(0, 0))
    closed = BrokerFill(client_order_id="", trade_id="t", symbol=RB, side=SELL, offset=TODAY, lots=1, price=3000.0, ts_ns=rig.now)
    rig.state.positions.apply_fill(closed)
    assert rig.state.positions.symbols() == (RB,)
    rig.command(Verb.KILL, reason="out")
    rig.later(3)
    rig.tick()
    assert not rig.desk.submitted
    assert not rig.records("target")


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


# --- kills and flattens at odd moments ----------------------------------------------------------------------------------------
def at(rig: Rig, clock: str) -> None:
    """The time of the day (Shanghai) comes."""
    hour, minute, second = map(int, clock.split(":"))
    local = (rig.now // SECOND + 8 * 3600) % DAY_S
    rig.later((hour * 3600 + minute * 60 + second - local) % DAY_S)


@pytest.mark.parametrize("verb", [Verb.KILL, Verb.CANCEL_ALL])
def test_a_cancel_that_the_exchange_does_not_take_in_a_break_is_asked_for_again_when_it_opens(verb: Verb) -> None:
    rig = Rig()
    at(rig, "10:14:00")
    rig.tick()
    identity = resting(rig)
    at(rig, "10:20:00")
    rig.command(verb, reason="out")
    assert rig.desk.cancelled[-1:] == [identity]  # our clock may be wrong: it is sent at once all the same
    asked = len(rig.desk.cancelled)
    for _ in range(5):
        rig.later(60)
    assert len(rig.desk.cancelled) == asked
    at(rig, "10:30:00")
    assert len(rig.desk.cancelled) == asked + 1
    rig.later(5)
    assert len(rig.desk.cancelled) == asked + 1
    rig.order(OrderState.CANCELLED, left=1, identity=identity)
    assert not rig.state.pending.cancels


@pytest.mark.parametrize("verb", [Verb.KILL, Verb.FLATTEN])
@pytest.mark.parametrize(("closed", "opens"), [("10:20:00", "10:30:00"), ("11:30:01", "13:30:00"), ("12:00:00", "13:30:00")])
def test_what_is_to_be_closed_while_the_market_is_shut_is_closed_when_it_opens(verb: Verb, closed: str, opens: str) -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    at(rig, "10:14:59" if closed < "11" else "11:29:59")
    rig.tick()
    at(rig, closed)
    rig.venue()
    answer = rig.command(verb, reason="out")
    assert answer.outcome is Outcome.ACCEPTED
    for _ in range(5):
        rig.later(5)
        rig.venue()
    assert len(rig.desk.submitted) == 1
    at(rig, opens)
    rig.venue()
    rig.tick()
    rig.later(2)
    rig.tick()
    closing = rig.desk.submitted[-1]
    assert (len(rig.desk.submitted), closing.side, closing.lots) == (2, SELL, 2)


def test_a_flatten_in_a_break_says_when_it_is_done() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    at(rig, "10:20:00")
    rig.venue()
    answer = rig.command(Verb.FLATTEN, reason="out")
    assert "when they trade again" in answer.message
    assert not rig.records("verdict")[1:]  # nothing was tried that could not be done


@pytest.mark.parametrize("why", ["mode", "feed"])
@pytest.mark.parametrize("what", [Verb.KILL, Verb.FLATTEN, "roll"])
def test_nothing_is_tried_all_the_time_that_cannot_be_done(what, why: str) -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    if what == "roll":
        rig.clock.ns = opening_ns(NEXT_DAY)
        rig.desk.trading_day = NEXT_DAY
        rig.begin_day(NEXT_DAY, {"KQ.m@SHFE.rb": NEXT})
    else:
        rig.command(what, reason="out")
        rig.order(OrderState.CANCELLED, left=2)
    if why == "mode":
        rig.desired(mode="live_monitor")
    targets = len(rig.records("target"))
    for _ in range(20):
        rig.later(3)
        if not rig.desk.orders[rig.desk.submitted[-1].client_order_id].state.is_final:
            rig.order(OrderState.CANCELLED)
        rig.venue()
        if why == "mode":
            rig.tick()
    assert len(rig.records("target")) <= targets + 2
    orders = len(rig.desk.submitted)
    if why == "mode":
        rig.desired(mode="paper")
    rig.later(0.5)
    rig.tick()
    rig.later(3)
    rig.tick()
    assert len(rig.desk.submitted) == orders + 1


def test_a_second_kill_and_a_refused_reset_are_no_cause_of_the_kills_cancels() -> None:
    rig = Rig()
    identity = resting(rig)
    rig.command(Verb.KILL, reason="first", params={"policy": "cancel"})
    kill = rig.records("kill")[-1]
    assert rig.command(Verb.KILL, reason="again").outcome is Outcome.ACCEPTED  # flatten is more than cancel
    stronger = rig.records("kill")[-1]
    assert (stronger.seq > kill.seq, stronger.body["record"]["kill_id"]) == (True, kill.body["record"]["kill_id"])
    answer = rig.command(Verb.KILL, reason="third")
    assert (answer.outcome, answer.message) == (Outcome.ACCEPTED, "killed already: again")
    assert rig.command(Verb.RESET_RISK_KILL, reason="no").reason == "reset_not_confirmed"
    stranger = BrokerOrder(
        request=replace(rig.desk.orders[identity].request, client_order_id="stranger"), state=OrderState.WORKING, left=1
    )
    rig.desk.orders["stranger"] = stranger
    rig.venue()
    assert rig.desk.cancelled[-1] == "stranger"
    assert rig.records("cancel_sent")[-1].cause == stronger.seq


def test_a_kill_in_the_middle_of_a_roll_closes_what_the_roll_left() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, {"KQ.m@SHFE.rb": NEXT})
    rig.desk.positions = (rig.state.positions.position(RB),)
    rig.venue()
    rig.tick()
    rig.tick(symbol=NEXT)
    rig.target(1, Style.PASSIVE, symbol=NEXT)
    rig.order(OrderState.WORKING)
    entry = rig.desk.submitted[-1].client_order_id
    rig.later()
    roll = rig.desk.submitted[-1]
    assert (roll.symbol, roll.lots) == (RB, 2)
    rig.command(Verb.KILL, reason="out")
    assert entry in rig.desk.cancelled
    rig.fill(1, identity=roll.client_order_id)
    rig.order(OrderState.CANCELLED, left=1, identity=roll.client_order_id)
    assert len(rig.desk.submitted) == 3  # the entry may still trade
    rig.order(OrderState.CANCELLED, left=1, identity=entry)
    rig.desk.positions = (rig.state.positions.position(RB),)
    rig.later(2)
    rig.tick()
    closing = rig.desk.submitted[-1]
    assert (len(rig.desk.submitted), closing.symbol, closing.offset, closing.lots) == (4, RB, CLOSE, 1)
    assert rig.records("target")[-1].body["held"]["origin"] == "kill"
    rig.filled(1)
    rig.later(3)
    rig.tick()
    assert len(rig.desk.submitted) == 4


def test_a_reset_while_the_kill_is_closing_ends_the_closing() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.command(Verb.KILL, reason="out")
    closing = rig.desk.submitted[-1].client_order_id
    rig.command(Verb.RESET_RISK_KILL, reason="enough", confirm="RESET_RISK_KILL")
    rig.fill(1, identity=closing)
    rig.order(OrderState.CANCELLED, left=1, identity=closing)
    rig.desk.positions = (rig.state.positions.position(RB),)
    for _ in range(4):
        rig.later(3)
        rig.venue()
        rig.tick()
    assert len(rig.desk.submitted) == 2
    assert rig.state.positions.net(RB) == 1
    rig.command(Verb.KILL, reason="again", params={"policy": "cancel"})
    for _ in range(3):
        rig.later(3)
        rig.tick()
    assert len(rig.desk.submitted) == 2
    rig.command(Verb.KILL, reason="now all", params={"policy": "flatten"})
    assert len(rig.desk.submitted) == 3


def test_a_flatten_of_a_contract_that_was_rolled_is_not_cancelled_by_the_roll() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, {"KQ.m@SHFE.rb": NEXT})
    rig.desk.positions = (rig.state.positions.position(RB),)
    rig.venue()
    rig.tick()
    rig.command(Verb.FLATTEN, reason="out")
    assert len(rig.desk.submitted) == 2
    rig.later(2)
    assert not rig.desk.cancelled


def test_disarming_stops_what_works_and_arming_again_brings_nothing_back() -> None:
    gates = Gates(broker="live", live_enabled=True)
    rig = Rig(ready=False, settings=GatewaySettings(account="demo", gates=gates))
    rig.desired(mode="live_trade", symbols=["KQ.m@SHFE.rb"], confirm_live=CONFIRM_LIVE)
    rig.ready()
    identity = resting(rig)
    assert rig.command(Verb.DISARM_LIVE, reason="off").outcome is Outcome.ACCEPTED
    assert rig.desk.cancelled == [identity]
    assert rig.command(Verb.DISARM_LIVE, reason="off").reason == "not_live"
    assert rig.desired(mode="live_trade").message == "wanted: live_trade; now: live_monitor"  # the confirmation went with it
    rig.target(1)
    assert rig.records("target")[-1].body["refused"] == "mode_live_monitor"
    rig.desired(mode="live_trade", confirm_live=CONFIRM_LIVE)
    rig.order(OrderState.CANCELLED, left=1, identity=identity)
    for _ in range(3):
        rig.later()
        rig.tick()
    assert len(rig.desk.submitted) == 1
    rig.target(1)
    assert len(rig.desk.submitted) == 2


def test_nothing_wanted_is_a_wish_too() -> None:
    wanted: list[tuple[str, ...]] = [(RB,)]
    held: list[str] = []
    days = DayWatch(lambda: wanted[-1], lambda: held, lambda symbol, day: symbol, CALENDAR, INSTRUMENTS)
    now = opening_ns(DAY)
    began = days.look(now)
    assert began is not None
    assert began.contracts == {RB: RB}
    assert days.look(now) is None
    wanted.append(())
    ended = days.look(now)
    assert ended is not None
    assert (ended.contracts, ended.trading_day) == ({}, DAY)
    assert days.look(now) is None
    held.append(RB)
    kept = days.look(now)
    assert kept is not None
    assert (kept.contracts, list(kept.days)) == ({}, [RB])


def test_a_kill_from_beside_while_a_new_gateway_starts_is_a_kill() -> None:
    rig = Rig(ready=False)
    rig.disk, rig.kill_store = MemoryDisk(), MemoryKillStore()
    found, beside = rig.kill_store.replace, KillRecord(account="demo", phase=KillPhase.LATCHED, epoch=1, kill_id="kill-demo-1")

    def replace_late(expected: bytes | None, content: bytes) -> bool:
        rig.kill_store.write(encode_kill(beside))
        return found(expected, content)

    rig.kill_store.replace = replace_late  # type: ignore[method-assign]
    rig.start()
    assert rig.state.killed
    assert decode_kill(rig.kill_store.read(), had_journal=True, account="demo") == beside
    assert [record.body["late"] for record in rig.records("kill")] == [True]


def test_a_kill_from_beside_between_the_start_and_the_first_look_stops_the_first_order() -> None:
    rig = Rig()
    beside = KillRecord(account="demo", phase=KillPhase.LATCHED, epoch=9, kill_id="kill-demo-9")
    rig.kill_store.write(encode_kill(beside))
    rig.target(1)
    assert not rig.desk.submitted
    assert rig.state.killed
    meters = rig.state.risk.meters_of(RB)
    assert (meters.messages, meters.cancels, rig.desk.cancelled) == (0, 0, [])


def test_a_cancel_that_did_not_leave_is_not_counted_after_the_orders_end_either() -> None:
    rig = Rig()
    identity = resting(rig)
    rig.command(Verb.CANCEL_ALL, reason="out")
    rig.order(OrderState.CANCELLED, left=1)
    assert rig.state.risk.meters_of(RB).cancels == 1
    rig.handle(ev.CancelFailed(now_ns=rig.now, client_order_id=identity, never_sent=True, message="gone"))
    rig.handle(ev.CancelFailed(now_ns=rig.now, client_order_id="nobody's", never_sent=True, message="gone"))
    assert rig.state.risk.meters_of(RB).cancels == 0
    assert not rig.state.pending.cancels
