from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.trading.risk.cases import DAY, LIMITS, METERS, NOW, RB, STATE, check, context, fill

from ghtrader.core.orders import Offset, Side
from ghtrader.trading.risk.memory import ContractMeters, RiskState, Trip, from_document, to_document
from ghtrader.trading.risk.reasons import Breach, NearMiss
from ghtrader.trading.risk.reasons import RiskReason as R
from ghtrader.trading.risk.state import (
    Observed,
    can_go_back,
    observe_day,
    observe_day_back,
    observe_equity,
    observe_fill,
    observe_order,
    observe_reject,
    observe_reset,
    observe_symbol_pnl,
)

NAN = float("nan")


def equity(state: RiskState, value: float | None, *, in_session: bool = True, **limits: Any) -> Observed:
    return observe_equity(state, replace(LIMITS, **limits), value, in_session=in_session)


def kinds(observed: Observed) -> list[tuple[str, str, bool]]:
    return [(type(event).__name__, str(event.reason), isinstance(event, Breach) and event.hard) for event in observed[1]]


@pytest.mark.parametrize("bad", [None, NAN, float("inf"), float("-inf"), 0.0, -5.0])
def test_a_bad_reading_halts_openings_at_once_and_a_good_one_ends_the_halt(bad: float | None) -> None:
    halted = equity(STATE, bad)
    assert kinds(halted) == [("Breach", "equity_unknown", False)]
    assert str(bad) in halted[1][0].message
    assert check(state=halted[0]).reason == R.EQUITY_UNKNOWN
    assert halted[0].equity_cny == 500_000.0
    again = equity(halted[0], bad)
    assert again[1] == ()
    good = equity(again[0], 499_000.0)
    assert good[1] == ()
    assert check(state=good[0]).reason == R.PASSED
    assert good[0].bad_readings == 2
    assert kinds(equity(good[0], bad)) == [("Breach", "equity_unknown", False)]


def test_the_nth_bad_reading_of_a_session_kills_and_every_later_one_says_so_again() -> None:
    state, told = STATE, []
    for reading in (NAN, NAN, 499_000.0, NAN, NAN, NAN, NAN):
        state, events = equity(state, reading)
        told.append([event.hard for event in events if isinstance(event, Breach)])
    assert told == [[False], [], [], [False], [], [True], [True]]
    assert "bad reading 6 of 5" in equity(STATE, NAN, bad_equity_readings=1)[1][0].message.replace("1 of 1", "6 of 5")
    assert equity(STATE, NAN, bad_equity_readings=1)[1][0].hard  # type: ignore[union-attr]


def test_bad_readings_outside_the_session_are_not_counted_and_end_the_count() -> None:
    state = STATE
    for _ in range(10):
        state, events = equity(state, NAN, in_session=False)
        assert not any(isinstance(event, Breach) and event.hard for event in events)
    assert state.bad_readings == 0
    assert not state.equity_known
    for reading in (NAN,) * 4:
        state, _ = equity(state, reading)
    assert state.bad_readings == 4
    assert equity(state, 400_000.0, in_session=False)[0].bad_readings == 0
    assert equity(state, NAN, in_session=False)[0].bad_readings == 0
    assert kinds(equity(state, NAN)) == [("Breach", "equity_unknown", True)]


@pytest.mark.parametrize(
    ("reason", "limits", "fine", "near", "breach"),
    [
        (R.DAILY_LOSS, {"max_daily_loss_cny": 1000.0}, 499_200.01, 499_200.0, 499_000.0),
        (R.DRAWDOWN, {"max_drawdown_cny": 1000.0}, 499_200.01, 499_200.0, 499_000.0),
    ],
)
def test_losses_are_near_misses_from_the_share_and_hard_breaches_at_the_limit(
    reason: R, limits: dict[str, float], fine: float, near: float, breach: float
) -> None:
    assert equity(STATE, fine, **limits)[1] == ()
    observed = equity(STATE, near, **limits)
    (miss,) = observed[1]
    assert isinstance(miss, NearMiss)
    assert (miss.reason, miss.used, miss.limit) == (reason, 800.0, 1000.0)
    assert equity(observed[0], near, **limits)[1] == ()
    assert equity(observed[0], breach + 0.01, **limits)[1] == ()
    broken = equity(observed[0], breach, **limits)
    assert kinds(broken) == [("Breach", reason, True)]
    assert "1000 of 1000" in broken[1][0].message
    assert kinds(equity(broken[0], breach, **limits)) == [("Breach", reason, True)]


def test_the_day_is_measured_from_its_start_and_drawdown_from_the_highest_ever() -> None:
    state, _ = equity(RiskState(trading_day=DAY), 100_000.0)
    assert (state.day_start_cny, state.peak_cny) == (100_000.0, 100_000.0)
    state, _ = equity(state, 130_000.0)
    state, _ = equity(state, 110_000.0)
    assert (state.day_start_cny, state.peak_cny, state.equity_cny) == (100_000.0, 130_000.0, 110_000.0)
    state, events = observe_day(state, "2025-06-06")
    assert events == ()
    assert (state.trading_day, state.day_start_cny, state.peak_cny) == ("2025-06-06", None, 130_000.0)
    assert (state.equity_cny, state.equity_known) == (110_000.0, True)
    state, events = equity(state, 85_000.0)
    assert [event.reason for event in events] == [R.DRAWDOWN]
    assert state.day_start_cny == 85_000.0
    assert kinds(equity(state, 65_000.0)) == [("Breach", "daily_loss", True), ("Breach", "drawdown", True)]


def test_openings_wait_for_the_first_reading_however_small() -> None:
    start = RiskState(trading_day=DAY)
    assert check(state=start).reason == R.EQUITY_UNKNOWN
    assert check(state=equity(start, 500_000.0)[0]).reason == R.PASSED
    assert equity(start, 0.01)[0].equity_known


def test_nothing_is_lost_while_nothing_was_read() -> None:
    empty = RiskState()
    assert (empty.daily_loss_cny(5.0), empty.drawdown_cny(5.0)) == (0.0, 0.0)
    assert (STATE.daily_loss_cny(5.0), STATE.drawdown_cny(5.0)) == (499_995.0, 499_995.0)


def test_a_settled_start_of_the_day_counts_for_loss_and_peak() -> None:
    state, _ = observe_day(RiskState(), DAY, 90_000.0)
    assert (state.day_start_cny, state.peak_cny) == (90_000.0, 90_000.0)
    assert observe_day(state, "2025-06-06", 95_000.0)[0].peak_cny == 95_000.0
    assert observe_day(state, "2025-06-06", 85_000.0)[0].peak_cny == 90_000.0
    assert observe_day(state, "2025-06-06", 85_000.0)[0].day_start_cny == 85_000.0
    for bad in (None, NAN, 0.0):
        assert observe_day(state, "2025-06-06", bad)[0].day_start_cny is None
        assert observe_day(state, "2025-06-06", bad)[0].peak_cny == 90_000.0
        assert observe_day(RiskState(), DAY, bad)[0].peak_cny is None


def test_a_new_day_ends_what_belongs_to_the_day_and_the_same_day_changes_nothing() -> None:
    full = replace(
        STATE,
        bad_readings=3,
        losses_in_row=4,
        rejects_in_row=2,
        orders_at=(1,),
        cancels_at=(2,),
        meters={RB: ContractMeters(messages=9)},
        trips={RB: Trip(lots=2)},
        worst_pnl_cny={RB: -5.0},
        pnl_unknown=frozenset({RB}),
        told=frozenset({"near messages"}),
    )
    assert observe_day(full, DAY, 1.0) == (full, ())
    state, events = observe_day(full, "2025-06-06", 400_000.0)
    assert events == ()
    assert state == replace(
        STATE,
        trading_day="2025-06-06",
        day_start_cny=400_000.0,
        orders_at=(1,),
        cancels_at=(2,),
        trips={RB: Trip(lots=2)},
        before=full,
    )
    back, events = observe_day(full, "2025-06-04")
    assert back == full
    assert kinds((back, events)) == [("Breach", "trading_day", False)]


def test_a_day_that_began_too_early_gives_the_counts_of_the_one_before_back() -> None:
    counts = ContractMeters(messages=9, cancels=2, large_cancels=1, self_trades=1, opened_lots=4, recent=((1, 2.0, 1, "a"),))
    full = replace(
        STATE,
        losses_in_row=4,
        rejects_in_row=2,
        meters={RB: counts},
        worst_pnl_cny={RB: -5.0},
        pnl_unknown=frozenset({RB}),
        told=frozenset({"near messages"}),
    )
    early, _ = observe_day(full, "2025-06-06", 400_000.0)
    early, _ = observe_day(early, "2025-06-09")  # nothing was counted meanwhile: the day before all that is still kept
    assert early.before == full
    assert [can_go_back(early, day) for day in ("2025-06-04", DAY, "2025-06-06", "2025-06-09")] == [False, True, True, False]
    assert not can_go_back(STATE, "2025-06-04")
    since = ContractMeters(messages=3, cancels=2, large_cancels=1, self_trades=1, opened_lots=1)
    other = ContractMeters(messages=1)
    early = replace(
        early,
        equity_cny=390_000.0,
        peak_cny=510_000.0,
        losses_in_row=1,
        orders_at=(7,),
        cancels_at=(8,),
        meters={RB: since, "SHFE.cu2507": other},
        trips={RB: Trip(lots=1)},
        pnl_unknown=frozenset({"SHFE.cu2507"}),
    )
    summed = ContractMeters(messages=12, cancels=4, large_cancels=2, self_trades=2, opened_lots=5, recent=counts.recent)
    back = observe_day_back(early, DAY)
    assert back == replace(
        full,
        equity_cny=390_000.0,
        peak_cny=510_000.0,
        losses_in_row=5,
        orders_at=(7,),
        cancels_at=(8,),
        meters={RB: summed, "SHFE.cu2507": other},
        trips={RB: Trip(lots=1)},
        pnl_unknown=frozenset({RB, "SHFE.cu2507"}),
    )
    assert observe_day_back(early, "2025-06-06") == replace(early, trading_day="2025-06-06")
    assert from_document(to_document(early)) == early
    traded = replace(early, meters={RB: replace(since, recent=((3, 4.0, -1, "b"),))})
    assert observe_day_back(traded, DAY).meters_of(RB).recent == ((3, 4.0, -1, "b"),)


@pytest.mark.parametrize("counted", [{"meters": {RB: ContractMeters(messages=1)}}, {"worst_pnl_cny": {RB: -1.0}}])
def test_a_day_on_which_something_was_counted_is_the_one_that_is_kept(counted: dict[str, Any]) -> None:
    quiet, _ = observe_day(STATE, "2025-06-06")
    assert quiet.before == STATE  # nothing was counted, but nothing is kept of before
    busy = replace(quiet, **counted)
    after, _ = observe_day(busy, "2025-06-09")
    assert after.before == replace(busy, before=None)


def test_a_contract_at_its_loss_limit_opens_no_more_that_day_whatever_it_recovers() -> None:
    state, events = observe_symbol_pnl(STATE, LIMITS, RB, -7_999.99)
    assert events == ()
    state, events = observe_symbol_pnl(state, LIMITS, RB, -8_000.0)
    assert [(type(event), event.symbol) for event in events] == [(NearMiss, RB)]
    state, events = observe_symbol_pnl(state, LIMITS, RB, -9_999.99)
    assert events == ()
    assert check(state=state).reason == R.PASSED
    state, events = observe_symbol_pnl(state, LIMITS, RB, -10_000.0)
    assert kinds((state, events)) == [("Breach", "symbol_loss", False)]
    assert events[0].symbol == RB
    state, events = observe_symbol_pnl(state, LIMITS, RB, 50_000.0)
    assert events == ()
    assert check(state=state).reason == R.SYMBOL_LOSS
    assert observe_day(state, "2025-06-06")[0].worst_pnl_cny == {}


def test_a_result_that_is_no_number_halts_the_contract_until_the_next_that_is_one() -> None:
    state, events = observe_symbol_pnl(STATE, LIMITS, RB, NAN)
    assert kinds((state, events)) == [("Breach", "symbol_loss", False)]
    assert events[0].symbol == RB
    assert observe_symbol_pnl(state, LIMITS, RB, NAN)[1] == ()
    assert check(state=state).reason == R.SYMBOL_LOSS
    state, events = observe_symbol_pnl(state, LIMITS, RB, -5.0)
    assert events == ()
    assert check(state=state).reason == R.PASSED
    assert state.worst_pnl_cny == {RB: -5.0}
    assert kinds(observe_symbol_pnl(state, LIMITS, RB, NAN)) == [("Breach", "symbol_loss", False)]
    assert observe_symbol_pnl(STATE, LIMITS, RB, 5.0)[0].worst_pnl_cny == {RB: 0.0}


def test_after_a_reset_losses_and_streaks_count_anew_and_meters_stay() -> None:
    state, _ = observe_order(STATE, replace(LIMITS, max_messages=1), METERS, NOW, RB)
    state, _ = equity(replace(state, losses_in_row=3, rejects_in_row=3, bad_readings=2, worst_pnl_cny={RB: -1e6}), 470_000.0)
    assert check(at=context(equity_cny=470_000.0), state=state).reason == R.DAILY_LOSS
    fresh = observe_reset(state)
    assert (fresh.day_start_cny, fresh.peak_cny, fresh.equity_known) == (470_000.0, 470_000.0, True)
    assert (fresh.losses_in_row, fresh.rejects_in_row, fresh.bad_readings, fresh.worst_pnl_cny) == (0, 0, 0, {})
    assert fresh.meters == state.meters
    assert fresh.told == frozenset({f"breach messages {RB}"})
    assert check(at=context(equity_cny=470_000.0), state=fresh).reason == R.PASSED
    assert equity(fresh, 470_000.0)[1] == ()
    assert kinds(equity(fresh, 450_000.0)) == [("Breach", "daily_loss", True)]


def test_after_a_reset_with_unknown_equity_openings_stay_halted_until_a_reading() -> None:
    state, _ = equity(STATE, NAN)
    fresh = observe_reset(state)
    assert (fresh.day_start_cny, fresh.peak_cny) == (None, None)
    assert check(state=fresh).reason == R.EQUITY_UNKNOWN
    assert equity(fresh, 300_000.0)[0].day_start_cny == 300_000.0


def test_rejects_in_a_row_halt_openings_until_one_is_taken() -> None:
    state = STATE
    told = []
    for _ in range(6):
        state, events = observe_reject(state, LIMITS, RB)
        told.append([type(event).__name__ for event in events])
    assert told == [[], [], [], ["NearMiss"], ["Breach"], []]
    assert check(state=state).reason == R.REJECT_STREAK
    state, _ = observe_fill(state, LIMITS, METERS, fill(Side.SELL, Offset.CLOSE), 10.0)
    assert check(state=state).reason == R.PASSED
    assert state.rejects_in_row == 0
    assert kinds(observe_reject(replace(state, rejects_in_row=4), LIMITS, RB)) == [("Breach", "reject_streak", False)]
