"""Each risk control bites in the gateway: what happened reaches the gate's memory, and the account reaches its context."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.trading.gateway.rig import DAY, FUNDS, NEXT, RB, SECOND, Rig, day_of

from ghtrader.core.messages import Outcome, Style, Verb
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import AccountFunds, OrderState
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.orders_flow import risk_context
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.words import Mode, OrderIntent, Origin


def rig_with(**limits: Any) -> Rig:
    return Rig(settings=GatewaySettings(account="demo", gates=Gates(broker="paper"), limits=RiskLimits(**limits)))


def verdict(rig: Rig) -> str:
    """The newest word of the gate."""
    return str(rig.records("verdict")[-1].body["reason"])


def opens(rig: Rig, lots: int = 1, style: Style = Style.TAKER) -> str:
    """Another target a second later, and what the gate says."""
    rig.later(2.0)
    rig.tick()
    rig.target(lots, style)
    return verdict(rig)


def test_rejects_in_a_row_halt_openings_and_an_accepted_order_ends_the_streak() -> None:
    rig = rig_with(reject_streak=2)
    for state in (OrderState.REJECTED, OrderState.WORKING, OrderState.REJECTED):
        assert opens(rig) == ""
        rig.order(state)
        if state is OrderState.WORKING:
            rig.order(OrderState.CANCELLED)
    assert opens(rig) == ""
    rig.order(OrderState.REJECTED)
    assert opens(rig) == "reject_streak"


def test_orders_count_for_the_rate() -> None:
    rig = rig_with(orders_per_s=1)
    rig.target(1)
    rig.order(OrderState.CANCELLED)
    rig.target(2)
    assert verdict(rig) == "order_rate"


@pytest.mark.parametrize("dies", ["at the exchange", "by our cancel"])
def test_cancels_and_the_dead_rest_of_a_fak_count_for_the_day(dies: str) -> None:
    rig = rig_with(max_cancels=1)
    if dies == "at the exchange":
        assert opens(rig) == ""
    else:
        assert opens(rig, style=Style.PASSIVE) == ""
        rig.order(OrderState.WORKING)
        rig.command(Verb.CANCEL_ALL)
    rig.order(OrderState.CANCELLED)
    assert opens(rig) == "cancels"


def test_a_round_trip_that_lost_its_fees_ends_openings() -> None:
    rig = rig_with(max_consecutive_losses=1)
    opens(rig)
    rig.filled(1)
    opens(rig, 0)
    rig.filled(1)  # at the price of the opening
    assert opens(rig) == "consecutive_losses"


def test_after_a_reset_losses_count_anew() -> None:
    rig = rig_with(max_daily_loss_cny=1000.0)
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=funds(FUNDS.balance - 1000.0)))
    assert rig.state.killed
    assert rig.command(Verb.RESET_RISK_KILL, reason="seen", confirm="RESET_RISK_KILL").outcome == Outcome.ACCEPTED
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=funds(FUNDS.balance - 1001.0)))
    assert not rig.state.killed
    assert opens(rig) == ""


def test_a_limit_that_is_nearly_reached_is_recorded_with_its_verdict() -> None:
    rig = rig_with(max_position_lots=2)
    assert opens(rig, 2) == ""
    near = [record for record in rig.records("near_miss") if record.body["reason"] == "max_position"]
    assert [(record.cause, record.body["used"], record.body["limit"]) for record in near] == [
        (rig.records("verdict")[-1].seq, 2, 2)
    ]


@pytest.mark.parametrize("verb", [Verb.KILL, Verb.CANCEL_ALL])
def test_no_rate_holds_up_the_cancels_of_a_kill_or_an_operator(verb: Verb) -> None:
    rig = rig_with(cancels_per_s=0)
    opens(rig, style=Style.PASSIVE)
    rig.order(OrderState.WORKING)
    rig.command(verb, reason="now")
    assert rig.desk.cancelled == [rig.desk.submitted[-1].client_order_id]


def test_a_closing_order_is_cancelled_beyond_the_stop_level() -> None:
    rig = Rig()
    opens(rig)
    rig.filled(1)
    assert opens(rig, 0, Style.PASSIVE) == ""
    rig.order(OrderState.WORKING)
    rig.desired(**{"limits.max_cancels": 0})
    rig.later(20.0)  # its patience is over
    assert rig.desk.cancelled == [rig.desk.submitted[-1].client_order_id]


def test_the_gate_sees_the_account_as_it_is() -> None:
    rig = Rig()
    rig.begin_day(DAY, {"KQ.m@SHFE.rb": RB, NEXT: NEXT})
    days = {RB: msgspec.structs.replace(day_of(RB, DAY), min_lots=2, max_lots=7), NEXT: day_of(NEXT, DAY)}
    rig.handle(ev.DayBegan(now_ns=rig.now, trading_day=DAY, contracts=rig.contracts, days=days))
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=funds(990_000.0, available=800_000.0)))
    opens(rig, 3)
    rig.filled(3)
    rig.later(2.0)
    rig.tick(symbol=NEXT)
    rig.target(1, symbol=NEXT)
    rig.fill(1)
    rig.order(OrderState.FILLED, left=0)
    opens(rig, 1, Style.PASSIVE)  # two of three lots are being closed
    seen = risk_context(Turn(rig.state, rig.now), intent())
    assert (seen.mode, seen.killed, seen.reconciled, seen.halt_reasons, seen.opening_halts) == (Mode.PAPER, False, True, (), ())
    assert (seen.min_lots, seen.max_lots, seen.margin_rate, seen.price_tick, seen.multiplier) == (
        2, 7, days[RB].margin_rate, 1.0, 10.0,
    )  # fmt: skip
    assert (seen.equity_cny, seen.available_cny) == (990_000.0, 800_000.0)
    assert (seen.held.long_today, seen.held.long_today_frozen) == (3, 2)
    assert (seen.in_flight_buy, seen.in_flight_sell, seen.opening_buy, seen.opening_sell) == (0, 2, 0, 0)
    assert seen.own_working == ((Side.SELL, 3001, 2),)
    assert seen.other_notional_cny == 3000 * 10.0
    assert (seen.seq, seen.trading_day, seen.market) == (rig.state.seq + 1, DAY, rig.state.markets[RB])


def test_the_gate_sees_what_opens_and_why_nothing_may() -> None:
    rig = Rig()
    opens(rig, 2, Style.PASSIVE)
    seen = risk_context(Turn(rig.state, rig.now), intent())
    assert (seen.in_flight_buy, seen.opening_buy, seen.own_working) == (2, 2, ((Side.BUY, 3000, 2),))
    late = rig.now + rig.settings.silence_ns + SECOND
    assert risk_context(Turn(rig.state, late), intent()).opening_halts == ("strategy_silent",)
    assert risk_context(Turn(rig.state, late), intent(Origin.COMMAND)).opening_halts == ()
    rig.handle(ev.FeedLinkChanged(now_ns=rig.now, up=False))
    assert risk_context(Turn(rig.state, rig.now), intent()).opening_halts == ("feed_down",)
    rig.command(Verb.KILL, reason="x")
    rig.handle(ev.BrokerLinkChanged(now_ns=rig.now, up=False))
    seen = risk_context(Turn(rig.state, rig.now), intent())
    assert (seen.killed, seen.reconciled, seen.halt_reasons) == (True, False, ("broker_down",))
    rig.desired(mode="live_monitor")
    assert risk_context(Turn(rig.state, rig.now), intent()).mode == Mode.LIVE_MONITOR


def intent(origin: Origin = Origin.STRATEGY) -> OrderIntent:
    return OrderIntent(
        symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=1, price_ticks=3000, kind=OrderKind.GFD, origin=origin, cause=1
    )


def funds(balance: float, available: float = 1e6) -> AccountFunds:
    return AccountFunds(balance=balance, available=available, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)
