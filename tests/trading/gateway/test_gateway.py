"""The gateway as a whole, on memory stores: targets, commands, kill, links, rolls, and what a crash leaves."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.trading.gateway.rig import DAY, NEXT, NEXT_DAY, RB, Rig, opening_ns

from ghtrader.core.errors import StoreError
from ghtrader.core.messages import Heartbeat, Outcome, Style, Verb
from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import OrderState
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.fold import snapshot_of
from ghtrader.trading.gateway.life import LIFE_STEPS, Life, LifeEvent, step_life
from ghtrader.trading.gateway.modes import CONFIRM_LIVE, Desired, Gates, effective_mode
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.words import Mode


def test_a_target_becomes_an_order_that_explains_itself() -> None:
    rig = Rig()
    rig.target(2)
    (request,) = rig.desk.submitted
    assert (request.side, request.offset, request.lots, request.limit_price) == (Side.BUY, Offset.OPEN, 2, 3001.0)
    target, verdict, intent, sent = rig.records("target", "verdict", "order_intent", "order_sent")
    assert [verdict.cause, intent.cause, sent.cause] == [target.seq, verdict.seq, intent.seq]
    assert target.body["target"][14] == {"F1": 0.5}
    assert target.body["market"]["ask"] == 3001
    rig.filled(2)
    assert rig.state.positions.net(RB) == 2
    assert rig.outlets.views[-1].position == 2


def test_closing_uses_todays_lots_and_reversal_closes_before_it_opens() -> None:
    rig = Rig()
    rig.target(1)
    rig.filled(1)
    rig.later()
    rig.tick()
    rig.target(-1)
    assert rig.desk.submitted[-1].offset is Offset.CLOSE_TODAY
    rig.filled(1)
    rig.tick()
    assert rig.desk.submitted[-1].offset is Offset.OPEN
    assert rig.desk.submitted[-1].side is Side.SELL


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rig: rig.command(Verb.KILL, reason="test"), "risk_killed"),
        (lambda rig: rig.desired(mode="live_monitor"), "mode_live_monitor"),
        (lambda rig: rig.handle(ev.FeedLinkChanged(now_ns=rig.now, up=False)), "feed_down"),
        (lambda rig: rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=False)), "broker_down"),
        (lambda rig: rig.handle(ev.PreflightDone(now_ns=rig.now, red=("clock",))), "mode_live_monitor"),
        (lambda rig: rig.command(Verb.FLATTEN, reason="test"), "paused"),
    ],
)
def test_a_target_is_refused_with_the_reason(spoil, reason: str) -> None:
    rig = Rig()
    spoil(rig)
    rig.target(1)
    assert not rig.desk.submitted
    assert rig.records("target")[-1].body["refused"] == reason
    assert not rig.outlets.views[-1].accepts


def test_a_target_on_an_old_tick_or_of_a_stranger_is_refused() -> None:
    rig = Rig()
    rig.target(1, age_ns=rig.settings.target_max_age_ns + 1)
    assert rig.records("target")[-1].body["refused"] == "stale_target"
    rig.target(1, symbol="SHFE.cu2507")
    assert rig.records("target")[-1].body["refused"] == "unknown_symbol"
    rig.target(1, age_ns=rig.settings.target_max_age_ns)
    assert len(rig.desk.submitted) == 1


def test_every_command_is_answered_once_applied_and_journaled() -> None:
    rig = Rig()
    first = rig.command(Verb.SET_TARGET, command_id="same", symbol=RB, lots=1, params={"style": "taker"})
    again = rig.command(Verb.SET_TARGET, command_id="same", symbol=RB, lots=1, params={"style": "taker"})
    assert (first.outcome, again.outcome) == (Outcome.ACCEPTED, Outcome.DUPLICATE)
    assert len(rig.desk.submitted) == 1
    refused = rig.command(Verb.SET_TARGET, symbol="SHFE.zz2510", lots=1)
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "unknown_symbol")
    assert [record.body["answer"]["outcome"] for record in rig.records("answer")][-2:] == ["accepted", "refused"]
    rig.crash()
    rig.ready()
    assert rig.command(Verb.SET_TARGET, command_id="same", symbol=RB, lots=1).outcome is Outcome.DUPLICATE


class _Died(BaseException):
    """kill -9."""


@pytest.mark.parametrize("power", [False, True])
def test_a_command_that_a_crash_interrupted_is_not_applied_again(power: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    order = {"price": 3000, "kind": "GFD", "offset": "open"}
    sent = rig.desk.submit

    def submit_and_die(approved) -> None:
        sent(approved)
        raise _Died

    monkeypatch.setattr(rig.desk, "submit", submit_and_die)
    with pytest.raises(_Died):
        rig.command(Verb.PLACE_ORDER, command_id="once", symbol=RB, lots=1, params=order)
    monkeypatch.undo()
    rig.crash(power=power)
    rig.ready()
    again = rig.command(Verb.PLACE_ORDER, command_id="once", symbol=RB, lots=1, params=order)
    assert (again.outcome, again.reason, len(rig.desk.submitted)) == (Outcome.DUPLICATE, "interrupted", 1)
    (answer,) = (record.body["answer"] for record in rig.records("answer") if record.body["answer"]["command_id"] == "once")
    assert (answer["outcome"], answer["reason"]) == ("refused", "interrupted")
    rig.crash()
    rig.ready()
    assert rig.command(Verb.PLACE_ORDER, command_id="once", symbol=RB, lots=1, params=order).outcome is Outcome.DUPLICATE


def test_a_kill_that_a_crash_interrupted_may_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()

    def die(content: bytes) -> None:
        raise _Died

    monkeypatch.setattr(rig.kill_store, "write", die)
    monkeypatch.setattr(rig.kill_store, "replace", lambda expected, content: die(content))
    with pytest.raises(_Died):
        rig.command(Verb.KILL, command_id="kill", reason="now")
    monkeypatch.undo()
    rig.crash()
    rig.ready()
    assert not rig.state.killed
    assert rig.command(Verb.KILL, command_id="kill", reason="now").outcome is Outcome.ACCEPTED
    assert rig.state.killed


def test_a_command_that_keeps_coming_stays_known_over_a_restart() -> None:
    day = GatewaySettings(account="demo", gates=Gates(broker="paper"), dedupe_ttl_ns=100 * 1_000_000_000)
    rig = Rig(settings=day)
    assert rig.command(Verb.CANCEL_ALL, command_id="again").outcome is Outcome.ACCEPTED
    for crash in (False, True, True):
        rig.later(90)
        if crash:
            rig.crash()
            rig.ready()
        assert rig.command(Verb.CANCEL_ALL, command_id="again").outcome is Outcome.DUPLICATE
    rig.later(101)
    assert rig.command(Verb.CANCEL_ALL, command_id="again").outcome is Outcome.ACCEPTED


def test_a_command_of_another_version_is_refused() -> None:
    assert Rig().command(Verb.CANCEL_ALL, version=2).reason == "unknown_version"


def test_a_kill_is_on_the_disk_before_its_cancels_and_survives_until_it_is_reset() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    (working,) = rig.desk.submitted
    seen: list[bytes | None] = []
    original = rig.desk.cancel
    rig.desk.cancel = lambda name: (seen.append(rig.kill_store.read()), original(name))  # type: ignore[method-assign, func-returns-value]
    rig.command(Verb.KILL, reason="drill")
    assert rig.desk.cancelled == [working.client_order_id]
    assert seen
    assert b'"latched"' in (seen[0] or b"")
    rig.crash()
    rig.ready()
    assert rig.state.killed
    assert "risk_kill_rehydrated" in [name for name, _ in rig.outlets.told]
    rig.target(1)
    assert len(rig.desk.submitted) == 1
    assert rig.command(Verb.RESET_RISK_KILL, reason="ok").reason == "reset_not_confirmed"
    assert rig.state.killed
    answer = rig.command(Verb.RESET_RISK_KILL, reason="ok", confirm="RESET_RISK_KILL")
    assert answer.outcome is Outcome.ACCEPTED
    assert not rig.state.killed
    rig.order(OrderState.CANCELLED, identity=working.client_order_id)
    rig.target(1)
    assert len(rig.desk.submitted) == 2
    assert [record.kind for record in rig.records("kill", "kill_reset")] == ["kill_reset", "kill", "kill_reset"]


def test_a_killed_gateway_closes_what_is_held_once_the_account_is_reconciled() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=False))
    rig.command(Verb.KILL, reason="drill")
    rig.tick()
    assert len(rig.desk.submitted) == 1  # nobody knows the account: cancel and alert only
    rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=True))
    rig.later(5)
    rig.venue()
    rig.tick()
    closing = rig.desk.submitted[-1]
    assert (closing.offset, closing.side, closing.lots) == (Offset.CLOSE_TODAY, Side.SELL, 2)
    rig.filled(2)
    rig.later(5)
    rig.tick()
    assert len(rig.desk.submitted) == 2


def test_a_hard_breach_kills_in_the_same_step() -> None:
    rig = Rig()
    lost = rig.desk.snapshot().funds
    funds = type(lost)(
        balance=lost.balance - 30_000.0, available=1e6, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0
    )
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=funds))
    assert rig.state.killed
    assert "daily_loss" in rig.state.kill.reason


def test_an_unknown_outcome_is_asked_for_and_blocks_until_it_is_known() -> None:
    rig = Rig()
    rig.target(1)
    name = rig.desk.submitted[-1].client_order_id
    rig.handle(ev.SubmitFailed(now_ns=rig.now, client_order_id=name, never_sent=False, reason="timeout", message="?"))
    assert rig.state.life is Life.RECONCILING
    assert rig.desk.queries >= 1
    rig.target(2)
    assert len(rig.desk.submitted) == 1
    rig.desk.fills.append(rig_fill(rig, name))
    rig.desk.orders[name] = type(rig.desk.orders[name])(request=rig.desk.orders[name].request, state=OrderState.FILLED, left=0)
    rig.desk.positions = (position_long(1),)
    rig.venue()
    assert rig.state.life is Life.READY
    assert rig.state.positions.net(RB) == 1


def rig_fill(rig: Rig, name: str):
    from ghtrader.ports.broker import BrokerFill

    request = rig.desk.orders[name].request
    return BrokerFill(
        client_order_id=name,
        trade_id="t",
        symbol=RB,
        side=request.side,
        offset=request.offset,
        lots=1,
        price=3001.0,
        ts_ns=rig.now,
    )


def position_long(lots: int):
    from ghtrader.ports.broker import BrokerPosition

    return BrokerPosition(symbol=RB, long_today=lots, long_history=0, short_today=0, short_history=0)


def test_what_only_the_venue_knows_is_adopted_and_its_orders_are_cancelled() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    stranger = rig.desk.orders.copy()
    rig.disk = type(rig.disk)()  # a machine that was lost: neither journal nor kill file
    rig.kill_store = type(rig.kill_store)()
    rig.start()
    rig.desired(mode="paper", symbols=["KQ.m@SHFE.rb"])
    rig.ready()
    assert set(rig.desk.cancelled) == set(stranger)
    assert rig.state.book.get(next(iter(stranger))) is not None


def test_a_working_order_survives_a_restart_and_is_watched_again() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    rig.crash()
    rig.ready()
    assert rig.desk.cancelled == []
    rig.later(11)  # its patience
    rig.tick()
    assert rig.desk.cancelled == [rig.desk.submitted[0].client_order_id]


def test_a_roll_leaves_the_old_contract_and_drops_its_target() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.clock.ns = opening_ns(NEXT_DAY)
    rig.desk.trading_day = NEXT_DAY
    rig.begin_day(NEXT_DAY, {"KQ.m@SHFE.rb": NEXT})
    assert RB not in rig.state.targets or rig.state.targets[RB].lots == 0
    assert set(rig.outlets.symbols) == {RB, NEXT}
    rig.tick()
    rig.tick(symbol=NEXT)
    rig.later()
    closing = rig.desk.submitted[-1]
    assert (closing.symbol, closing.offset, closing.side, closing.lots) == (RB, Offset.CLOSE, Side.SELL, 2)
    rig.target(1, symbol=RB)
    assert rig.records("target")[-1].body["refused"] == "retired_contract"
    rig.target(1, symbol=NEXT)
    assert rig.desk.submitted[-1].symbol == NEXT


def test_a_missing_schedule_refuses() -> None:
    rig = Rig()
    days = rig.state.days
    rig.handle(ev.DayBegan(now_ns=rig.now, trading_day=NEXT_DAY, contracts={}, days=days, missing=("KQ.m@SHFE.rb",)))
    rig.target(1)
    assert rig.records("target")[-1].body["refused"] in {"no_schedule", "unknown_symbol"}
    assert not rig.desk.submitted


def test_a_silent_strategy_has_its_resting_orders_cancelled() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    for _ in range(6):
        rig.later()
    assert rig.desk.cancelled == [rig.desk.submitted[0].client_order_id]
    assert rig.outlets.documents[-1].strategy["halt"] == "strategy_lost"


def test_a_strategy_whose_code_failed_has_its_resting_orders_cancelled_once() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    for state, cancelled in (("halted no_account", 0), ("halted strategy_failed", 1), ("halted behind,strategy_failed", 1)):
        rig.handle(ev.StrategyBeat(now_ns=rig.now, beat=Heartbeat(1, "run", 1, rig.now, "strategy", state)))
        assert len(rig.desk.cancelled) == cancelled
    assert [name for name, _ in rig.outlets.told].count("strategy_failed") == 1


def test_a_target_beyond_the_position_limit_is_refused_and_not_worked_off_up_to_it() -> None:
    rig = Rig()  # at most 10 lots may be held
    for lots in (11, -11, 5000):
        rig.target(lots)
        assert rig.records("target")[-1].body["refused"] == "beyond_limit"
        answer = rig.command(Verb.SET_TARGET, symbol="KQ.m@SHFE.rb", lots=lots)
        assert answer.reason == "beyond_limit"
    assert not rig.desk.submitted
    rig.target(10)
    assert rig.desk.submitted


def test_the_daily_open_limit_that_the_feed_carries_binds_openings() -> None:
    rig = Rig()
    for said, orders in ((1, 0), (2, 1)):  # and without one (0) every other test opens
        rig.tick(open_limit_lots=said)
        rig.target(2)
        assert len(rig.desk.submitted) == orders
        assert rig.records("verdict")[-1].body["reason"] == ("" if orders else "open_limit")


def test_silence_is_time_in_which_the_strategy_could_have_been_heard() -> None:
    """Neither a clock that leaps (a break of a served market) nor a gateway that was busy makes a strategy silent."""
    rig = Rig()
    rig.target(0)
    for leaps, busy_s in ((0, 0.1), (900, 0.1), (0, 30.0), (3600, 3.0)):
        rig.clock.leap(leaps)
        rig.later(busy_s)
        assert (rig.state.strategy.lost, rig.state.strategy_halt(rig.now)) == ("", ""), (leaps, busy_s)
        rig.handle(ev.StrategyBeat(now_ns=rig.now, beat=Heartbeat(1, "run", 1, rig.now, "strategy", "ready")))
        rig.later(0)
    rig.clock.leap(900)
    for _ in range(6):
        rig.later()
    assert rig.state.strategy.lost == "silent"


def test_a_strategy_is_told_how_its_contracts_stand_and_which_target_that_includes() -> None:
    rig = Rig()
    rig.target(1)
    assert (rig.outlets.views[-1].target_session, rig.outlets.views[-1].target_seq) == ("run", 1)
    rig.target(5000)
    rig.filled(1)
    assert (rig.outlets.views[-1].position, rig.outlets.views[-1].target_seq) == (1, 2)
    for session, state, again in (("run", "ready", 0), ("new", "ready", 1), ("new", "halted no_account", 1), ("new", "ready", 0)):
        before = len(rig.outlets.views)
        rig.handle(
            ev.StrategyBeat(now_ns=rig.now, beat=Heartbeat(1, session, 2 if session == "run" else 0, rig.now, "strategy", state))
        )
        assert len(rig.outlets.views) == before + again, (session, state)
    assert (rig.outlets.views[-1].target_session, rig.outlets.views[-1].position) == ("run", 1)  # of the new one none yet


def test_a_journal_that_cannot_be_written_cancels_and_ends_the_run() -> None:
    rig = Rig()
    rig.target(1, Style.PASSIVE)
    rig.order(OrderState.WORKING)
    rig.journal._store.append = _full  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        rig.target(2, Style.PASSIVE)
    assert rig.desk.cancelled == [rig.desk.submitted[0].client_order_id]
    assert len(rig.desk.submitted) == 1


def _full(content: bytes) -> None:
    raise StoreError("no space left on device")


def test_revisions_rise_over_restarts() -> None:
    rig = Rig()
    for _ in range(3):
        rig.later()
    before = rig.outlets.documents[-1].revision
    rig.crash(power=True)
    rig.later()
    assert rig.outlets.documents[-1].revision > before


OPERATIONS = st.sampled_from(
    ["target+", "target-", "target0", "passive", "ack", "fill", "done", "reject", "tick", "later", "flatten", "cancel_all", "reload",
     "kill", "reset", "down", "up", "venue", "crash"]
)  # fmt: skip


def _operate(rig: Rig, what: str) -> None:
    open_orders = [name for name, order in rig.desk.orders.items() if not order.state.is_final]
    match what:
        case "target+" | "target-" | "target0" | "passive":
            lots = {"target+": 2, "target-": -1, "target0": 0, "passive": 1}[what]
            rig.target(lots, Style.PASSIVE if what == "passive" else Style.TAKER)
        case "ack" if open_orders:
            rig.order(OrderState.WORKING, identity=open_orders[0])
        case "fill" if open_orders:
            order = rig.desk.orders[open_orders[0]]
            if order.left:
                rig.fill(1, identity=open_orders[0], number=order.left)
                rest = order.left - 1
                rig.order(OrderState.WORKING if rest else OrderState.FILLED, left=rest, identity=open_orders[0])
        case "done" if open_orders:
            rig.order(OrderState.CANCELLED, identity=open_orders[0])
        case "reject" if open_orders:
            rig.order(OrderState.REJECTED, identity=open_orders[0])
        case "tick":
            rig.tick()
        case "later":
            rig.later()
        case "flatten" | "cancel_all" | "reload":
            rig.command(Verb(what), reason="test")
        case "kill":
            rig.command(Verb.KILL, reason="test")
        case "reset":
            rig.command(Verb.RESET_RISK_KILL, reason="test", confirm="RESET_RISK_KILL")
        case "down" | "up":
            rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=what == "up"))
        case "venue":
            rig.venue()
        case "crash":
            rig.crash()
            rig.ready()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=30))
def test_a_restart_knows_what_the_run_before_knew(operations: list[str]) -> None:
    rig = Rig()
    for what in operations:
        _operate(rig, what)
    before = snapshot_of(rig.state)
    rig.crash()
    after = snapshot_of(rig.state)
    assert after["epoch"] == before["epoch"] + 1
    changed = {"epoch", "count", "kill_seq"}
    assert {name: value for name, value in after.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=40))
def test_positions_never_leave_the_limit_net_of_everything_in_flight(operations: list[str]) -> None:
    rig = Rig()
    most = rig.settings.limits.max_position_lots
    for what in operations:
        killed = rig.state.killed
        sent = len(rig.desk.submitted)
        _operate(rig, what)
        buys, sells = rig.state.book.in_flight(RB)
        net = rig.state.positions.net(RB)
        assert net + buys <= most
        assert net - sells >= -most
        if killed and rig.state.killed:
            assert all(order.offset is not Offset.OPEN for order in rig.desk.submitted[sent:])


@pytest.mark.parametrize("life", list(Life))
@pytest.mark.parametrize("event", list(LifeEvent))
def test_the_life_of_a_gateway_is_its_table(life: Life, event: LifeEvent) -> None:
    assert step_life(life, event) == LIFE_STEPS.get((life, event), life)
    assert step_life(life, LifeEvent.LINK_DOWN) is Life.OFFLINE
    if life is not Life.OFFLINE or event is not LifeEvent.LINK_UP:
        assert not (life is Life.OFFLINE and step_life(life, event) is not Life.OFFLINE)


@pytest.mark.parametrize(
    ("desired", "gates", "red", "mode"),
    [
        (Desired(mode=Mode.IDLE), Gates(), None, Mode.IDLE),
        (Desired(mode=Mode.PAPER), Gates(broker="paper"), (), Mode.PAPER),
        (Desired(mode=Mode.PAPER), Gates(broker="live"), (), Mode.LIVE_MONITOR),
        (Desired(mode=Mode.SIM), Gates(broker="sim"), (), Mode.SIM),
        (Desired(mode=Mode.SIM), Gates(broker="sim"), None, Mode.LIVE_MONITOR),
        (Desired(mode=Mode.SIM), Gates(broker="sim"), ("clock",), Mode.LIVE_MONITOR),
        (Desired(mode=Mode.LIVE_TRADE, confirm_live=CONFIRM_LIVE), Gates(live_enabled=True, broker="live"), (), Mode.LIVE_TRADE),
        (Desired(mode=Mode.LIVE_TRADE, confirm_live="yes"), Gates(live_enabled=True, broker="live"), (), Mode.LIVE_MONITOR),
        (Desired(mode=Mode.LIVE_TRADE, confirm_live=CONFIRM_LIVE), Gates(broker="live"), (), Mode.LIVE_MONITOR),
        (Desired(mode=Mode.LIVE_TRADE, confirm_live=CONFIRM_LIVE), Gates(live_enabled=True, broker="sim"), (), Mode.LIVE_MONITOR),
    ],
)
def test_anything_missing_degrades_to_monitoring_and_says_why(desired: Desired, gates: Gates, red, mode: Mode) -> None:
    found, why = effective_mode(desired, gates, red)
    assert found is mode
    assert bool(why) == (found is not desired.mode)
    assert DAY < NEXT_DAY
