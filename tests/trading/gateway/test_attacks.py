"""A stranger who wants the gateway to do what it must not: each case was possible once."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from tests.trading.gateway.rig import DAY, NEXT, NEXT_DAY, RB, Rig, opening_ns

from ghtrader.core.messages import ExecutionStyle, Outcome, Style, Target, Verb
from ghtrader.core.orders import Offset
from ghtrader.ports.broker import AccountFunds, BrokerPosition, OrderState
from ghtrader.testing.trading_stores import MemoryDisk, MemoryKillStore
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.orders_flow import _other_notional
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.kill.record import KillPhase, KillPolicy, KillRecord, encode_kill


def direct(rig: Rig, lots: int, price: float = 2999.0, kind: str = "GFD", offset: str = "open"):
    return rig.command(
        Verb.PLACE_ORDER, symbol=RB, lots=lots, params={"price": price, "kind": kind, "offset": offset}, reason="test"
    )


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, 1e26, -1e26])
def test_a_price_that_is_no_number_is_refused(price: float) -> None:
    rig = Rig()
    assert direct(rig, 1, price).reason == "bad_params"


@pytest.mark.parametrize("name", ["patience_s", "duration_s", "slices"])
def test_an_endless_patience_is_refused(name: str) -> None:
    rig = Rig()
    answer = rig.command(Verb.SET_TARGET, symbol=RB, lots=1, params={name: math.inf})
    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, "bad_params")


@pytest.mark.parametrize(
    "params",
    [
        {"patience_s": 1e200},
        {"duration_s": 9007199254740992},
        {"patience_s": -1.0},
        {"slices": "9" * 30},
        {"slices": 0},
        {"patience": 3},
    ],
)
def test_a_number_out_of_all_reason_is_refused_instead_of_ending_the_gateway(params: dict[str, float | str]) -> None:
    rig = Rig()
    answer = rig.command(Verb.SET_TARGET, symbol=RB, lots=1, params=params)
    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, "bad_params")
    assert not rig.desk.submitted


@pytest.mark.parametrize("lots", [2**63 - 1, -(2**63) + 1, 1_000_001])
def test_more_lots_than_anybody_trades_are_refused_and_a_kill_never_is(lots: int) -> None:
    rig = Rig()
    assert rig.command(Verb.SET_TARGET, symbol=RB, lots=lots).reason == "bad_params"
    assert direct(rig, lots).reason == "bad_params"
    assert rig.command(Verb.KILL, lots=lots, reason="test").outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("lots", "execution"),
    [
        (-(2**63), ExecutionStyle()),
        (1, ExecutionStyle(patience_ns=2**64 - 1)),
        (1, ExecutionStyle(duration_ns=-5)),
        (1, ExecutionStyle(slices=0)),
    ],
)
def test_a_target_out_of_all_reason_is_refused_instead_of_ending_the_gateway(lots: int, execution: ExecutionStyle) -> None:
    rig = Rig()
    rig.target(1)
    rig.filled(1)
    now = rig.now
    target = Target(1, "run", 2, "demo", RB, lots, execution, rig._tick, now, now, 0.4, "m", "f", {})
    rig.handle(ev.TargetArrived(now_ns=now, target=target))
    assert rig.records("target")[-1].body["refused"] == "bad_target"
    assert len(rig.desk.submitted) == 1


def test_a_journal_that_was_moved_away_never_gives_an_id_that_the_venue_remembers() -> None:
    rig = Rig()
    for _ in range(2):  # two starts, an order each
        rig.target(1)
        rig.order(OrderState.CANCELLED)
        rig.crash()
        rig.ready()
    for _ in range(3):
        rig.disk, rig.kill_store = MemoryDisk(), MemoryKillStore()
        rig.start()
        rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
        rig.ready()
        rig.target(1)
        rig.order(OrderState.CANCELLED)
        rig.crash()
        rig.ready()
        rig.target(2)
        rig.order(OrderState.CANCELLED)
    assert len({request.client_order_id for request in rig.desk.submitted}) == 8


@pytest.mark.parametrize("symbol", ["", "rb2510", "SHFE.rb", "no symbol"])
def test_what_is_no_contract_is_never_wanted(symbol: str) -> None:
    rig = Rig()
    assert rig.desired(symbols=[symbol]).reason == "bad_params"
    assert rig.state.desired.symbols == ("KQ.m@SHFE.rb",)


def two_contracts() -> Rig:
    """One lot of each of two contracts is held."""
    rig = Rig()
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB, NEXT: NEXT})
    rig.tick()
    rig.tick(symbol=NEXT)
    for symbol in (RB, NEXT):
        rig.target(1, symbol=symbol)
        rig.fill(1)
        rig.order(OrderState.FILLED, left=0)
    rig.desk.positions = tuple(rig.state.positions.position(symbol) for symbol in (RB, NEXT))
    rig.later()
    rig.tick()
    rig.tick(symbol=NEXT)
    return rig


def test_a_kill_from_beside_stops_every_order_of_the_turn() -> None:
    rig = two_contracts()
    before = len(rig.desk.submitted)
    record = KillRecord(
        account="demo", phase=KillPhase.LATCHED, epoch=9, kill_id="kill-demo-9", actor="me", reason="x", policy=KillPolicy.CANCEL
    )
    rig.kill_store.write(encode_kill(record))
    rig.command(Verb.FLATTEN, reason="both")
    assert rig.state.killed
    assert len(rig.desk.submitted) == before


def test_flatten_cancels_a_direct_order_and_closes_what_it_filled() -> None:
    rig = Rig()
    direct(rig, 2)
    rig.order(OrderState.WORKING)
    rig.fill(1, 2999.0)
    rig.order(OrderState.WORKING, left=1)
    resting = rig.desk.submitted[-1].client_order_id
    rig.command(Verb.FLATTEN, reason="out")
    assert rig.desk.cancelled == [resting]
    rig.order(OrderState.CANCELLED, left=1, identity=resting)
    rig.desk.positions = (rig.state.positions.position(RB),)
    rig.later(3)
    rig.tick()
    assert rig.desk.submitted[-1].offset is Offset.CLOSE_TODAY


def test_flatten_goes_on_until_nothing_is_held() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.later()
    rig.tick()
    rig.command(Verb.FLATTEN, reason="out")
    rig.fill(1, 3000.0)
    rig.order(OrderState.CANCELLED, left=1)
    orders = len(rig.desk.submitted)
    rig.desk.positions = (rig.state.positions.position(RB),)
    rig.tick()
    rig.later(3)
    rig.tick()
    assert rig.state.positions.net(RB) == 1
    assert len(rig.desk.submitted) == orders + 1
    rig.filled(1)
    rig.later(5)
    rig.tick()
    assert len(rig.desk.submitted) == orders + 1


def test_a_direct_order_is_nobodys_target_after_a_restart() -> None:
    rig = Rig()
    rig.command(Verb.SET_TARGET, symbol=RB, lots=2, params={"style": "taker"}, reason="two")
    rig.filled(2)
    rig.later()
    rig.tick()
    direct(rig, -1, 3005.0, offset="close_today")
    rig.order(OrderState.WORKING)
    rig.crash()
    rig.ready()
    orders = len(rig.desk.submitted)
    resting = rig.desk.submitted[-1].client_order_id
    if resting not in rig.desk.cancelled:
        rig.filled(1)
    for _ in range(3):
        rig.later()
        rig.tick()
    assert len(rig.desk.submitted) == orders


def test_a_restart_after_a_snapshot_knows_the_causes_of_orders() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    identity = rig.desk.submitted[-1].client_order_id
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB, NEXT: NEXT})
    before = rig.state.order_seq(identity)
    assert before
    rig.crash()
    assert rig.state.order_seq(identity) == before


def test_orders_of_a_contract_that_is_no_longer_wanted_count_as_notional() -> None:
    rig = Rig()
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB, NEXT: NEXT})
    rig.tick(symbol=NEXT)
    rig.target(1, Style.PASSIVE, symbol=NEXT)
    rig.order(OrderState.WORKING)
    assert _other_notional(Turn(rig.state, rig.now), RB) > 0
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB})
    assert _other_notional(Turn(rig.state, rig.now), RB) != 0
    assert rig.desk.cancelled == [rig.desk.submitted[-1].client_order_id]


def test_a_kills_cancels_name_the_kill_and_the_kill_its_command() -> None:
    rig = Rig()
    rig.command(Verb.KILL, reason="first")
    rig.command(Verb.RESET_RISK_KILL, reason="again", confirm="RESET_RISK_KILL")
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    rig.command(Verb.KILL, reason="second")
    kill = rig.records("kill")[-1]
    assert rig.records("cancel_sent")[-1].cause == kill.seq
    assert rig.records("command")[-1].seq == kill.cause
    assert kill.body["record"]["reason"] == "second"


def test_a_breach_is_the_cause_of_its_kill() -> None:
    rig = Rig()
    for _ in range(5):
        rig.handle(ev.FundsArrived(now_ns=rig.now, funds=rig_funds(math.nan)))
    kill, halt = rig.records("kill")[-1], rig.records("halt")[-1]
    assert rig.state.killed
    assert (kill.cause, halt.body["reason"]) == (halt.seq, "equity_unknown")


def rig_funds(balance: float) -> AccountFunds:
    return AccountFunds(balance=balance, available=balance, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)


def test_time_that_goes_back_stops_no_clockwork() -> None:
    rig = Rig()
    rig.target(0)
    rig.later()
    documents = len(rig.outlets.documents)
    rig.clock.ns -= 3600 * 10**9
    rig.later(0)
    for _ in range(10):
        rig.later(1)
    assert len(rig.outlets.documents) > documents + 5
    assert rig.state.strategy.lost == "silent"


def test_a_broker_that_does_not_answer_is_not_trusted() -> None:
    rig = Rig()
    assert rig.state.life is Life.READY
    rig.later(61)
    rig.later(5)
    rig.later(5)
    assert rig.state.life is Life.RECONCILING
    rig.venue()
    assert rig.state.life is Life.READY


def test_a_result_that_is_no_number_halts_the_contract() -> None:
    rig = Rig()
    rig.target(1)
    rig.fill(1, math.nan)
    rig.order(OrderState.FILLED, left=0)
    rig.later(2)
    assert RB in rig.state.risk.pnl_unknown
    count = len(rig.records("equity"))
    rig.later(2)
    assert len(rig.records("equity")) == count


def test_a_contract_that_the_venue_holds_gets_its_facts() -> None:
    rig = Rig(ready=False)
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    rig.desk.positions = (BrokerPosition(symbol=NEXT, long_today=0, long_history=2, short_today=0, short_history=0),)
    rig.ready()
    assert rig.state.positions.net(NEXT) == 2
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB})
    assert rig.state.positions._contracts[NEXT].terms.multiplier == 10.0
    rig.crash()
    assert rig.state.positions._contracts[NEXT].terms.multiplier == 10.0


def test_lots_that_were_found_begin_their_round_trip_at_no_ones_loss() -> None:
    rig = Rig(ready=False)
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    rig.desk.positions = (BrokerPosition(symbol=RB, long_today=0, long_history=2, short_today=0, short_history=0),)
    rig.ready()
    assert rig.state.risk.trips[RB].lots == 2


def test_a_crash_before_the_first_kill_file_leaves_a_new_account() -> None:
    rig = Rig(ready=False)
    rig.disk, rig.kill_store = MemoryDisk(), MemoryKillStore()
    rig.kill_store.replace = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.start()
    del rig.kill_store.replace
    rig.crash()
    assert not rig.state.killed
    rig.kill_store = MemoryKillStore()
    rig.crash()
    assert rig.state.killed


def test_the_settled_equity_is_what_the_day_is_measured_from() -> None:
    rig = Rig()
    lost = replace(rig_funds(985_000.0), close_profit=-14_000.0, commission=1_000.0)
    rig.begin_day(NEXT_DAY, rig.contracts)
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=lost))  # still of the day before: its loss is not this day's
    assert rig.state.risk.day_start_cny in {985_000.0, 1e6}
    rig.clock.ns = opening_ns(NEXT_DAY)
    now_lost = replace(rig_funds(966_000.0), close_profit=-18_000.0, commission=1_000.0)
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=now_lost))
    assert rig.state.risk.day_start_cny == 985_000.0
    assert not rig.state.killed
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=replace(now_lost, balance=965_000.0, close_profit=-19_000.0)))
    assert rig.state.killed


def test_a_day_lost_before_the_gateway_ran_is_lost_all_the_same() -> None:
    rig = Rig(ready=False)
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    rig.begin_day(DAY, rig.contracts)
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=replace(rig_funds(979_000.0), close_profit=-21_000.0)))
    assert rig.state.killed
