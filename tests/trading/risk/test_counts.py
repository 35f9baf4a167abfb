from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.trading.risk.cases import DAY, LIMITS, METERS, NOW, RB, STATE, S, check, fill

from ghtrader.core.errors import DataError
from ghtrader.core.orders import Offset, Side
from ghtrader.trading.risk.counts import HALF_FEN
from ghtrader.trading.risk.gate import CancelVerdict, check_cancel
from ghtrader.trading.risk.memory import ContractMeters, RiskState, Trip, within_second
from ghtrader.trading.risk.meters import ExchangeMeters, MeterTable
from ghtrader.trading.risk.reasons import Breach, NearMiss
from ghtrader.trading.risk.reasons import RiskReason as R
from ghtrader.trading.risk.state import (
    Observed,
    from_document,
    observe_accepted,
    observe_cancel,
    observe_fill,
    observe_order,
    observe_position,
    observe_reject,
    observe_unsent,
    observe_unsent_cancel,
    to_document,
)
from ghtrader.trading.risk.trips import next_trip

BUY, SELL, CLOSE = Side.BUY, Side.SELL, Offset.CLOSE
OTHER = "SHFE.rb2601"


def cancel(state: RiskState, lots: int = 1, now_ns: int = NOW, **changes: Any) -> Observed:
    return observe_cancel(state, LIMITS, METERS, now_ns, RB, lots, **changes)


def fills(state: RiskState, *trades: Any, fee: float = 0.0, **limits: Any) -> Observed:
    events: tuple[Breach | NearMiss, ...] = ()
    for trade in trades:
        state, told = observe_fill(state, replace(LIMITS, **limits), METERS, trade, 10.0, fee)
        events += told
    return state, events


def test_an_order_is_a_message_and_counts_for_the_rate() -> None:
    state = STATE
    for n in range(6):
        state, events = observe_order(state, LIMITS, METERS, NOW + n, RB)
        assert events == ()
    assert state.meters == {RB: ContractMeters(messages=6)}
    assert state.orders_at == (NOW + 2, NOW + 3, NOW + 4, NOW + 5)
    assert state.cancels_at == ()
    state, _ = observe_order(state, LIMITS, METERS, NOW, OTHER)
    assert state.meters == {RB: ContractMeters(messages=6), OTHER: ContractMeters(messages=1)}
    assert observe_order(state, replace(LIMITS, orders_per_s=0), METERS, NOW, RB)[0].orders_at == (NOW,)


def test_a_cancel_is_a_message_and_a_cancel_and_from_300_lots_a_large_one() -> None:
    state, _ = cancel(STATE, 299)
    assert state.meters[RB] == ContractMeters(messages=1, cancels=1)
    state, _ = cancel(state, 300, NOW + 1)
    assert state.meters[RB] == ContractMeters(messages=2, cancels=2, large_cancels=1)
    assert state.cancels_at == (NOW, NOW + 1)
    assert state.orders_at == ()
    for n in range(2, 6):
        state, _ = cancel(state, 1, NOW + n)
    assert state.cancels_at == (NOW + 2, NOW + 3, NOW + 4, NOW + 5)
    assert observe_cancel(state, replace(LIMITS, cancels_per_s=0), METERS, NOW, RB, 1)[0].cancels_at == (NOW,)


def test_nothing_is_large_where_nobody_counts_that() -> None:
    silent = ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=()))
    state, events = observe_cancel(STATE, LIMITS, silent, NOW, RB, 500)
    assert (state.meters[RB], events) == (ContractMeters(messages=1, cancels=1), ())


def test_the_dead_rest_of_a_fak_counts_at_the_exchange_but_not_for_our_rate() -> None:
    state, _ = cancel(STATE, 5, by_exchange=True)
    assert state.meters[RB] == ContractMeters(messages=1, cancels=1)
    assert state.cancels_at == ()


@pytest.mark.parametrize(
    ("reason", "name", "warn", "stop"),
    [(R.MESSAGES, "messages", 2800, 3500), (R.CANCELS, "cancels", 320, 400), (R.LARGE_CANCELS, "large_cancels", 30, 40)],
)
def test_meters_warn_once_and_stop_once(reason: R, name: str, warn: int, stop: int) -> None:
    def after(count: int, told: frozenset[str] = frozenset()) -> Observed:
        return cancel(replace(STATE, meters={RB: ContractMeters(**{name: count - 1})}, told=told), 300)

    assert after(warn - 1)[1] == ()
    state, (miss,) = after(warn)
    assert isinstance(miss, NearMiss)
    assert (miss.reason, miss.used, miss.limit, miss.symbol) == (reason, warn, stop, RB)
    assert miss.message == f"{RB}: {name} of the trading day {warn} of {stop}"
    assert after(warn + 1, state.told)[1] == ()
    state, (breach,) = after(stop, state.told)
    assert isinstance(breach, Breach)
    assert (breach.reason, breach.hard, breach.symbol) == (reason, False, RB)
    assert after(stop + 1, state.told)[1] == ()


def test_lots_opened_are_counted_by_fills_that_open() -> None:
    day, symbol = "2026-02-02", "SHFE.ag2604"
    state = replace(STATE, trading_day=day)
    told = []
    for lots in (639, 1, 119, 1):
        state, events = fills(state, fill(BUY, lots=lots, symbol=symbol))
        told.append([(type(event).__name__, event.reason) for event in events])
    assert told == [[], [("NearMiss", R.OPEN_LIMIT)], [], [("Breach", R.OPEN_LIMIT)]]
    assert state.meters[symbol].opened_lots == 760
    for offset in (CLOSE, Offset.CLOSE_TODAY):
        assert fills(state, fill(SELL, offset, lots=5, symbol=symbol))[0].meters[symbol].opened_lots == 760


def test_mirrored_fills_of_two_orders_are_a_suspected_self_trade() -> None:
    first = fill(BUY, order="a")
    for second, count in [
        (fill(SELL, order="b"), 1),
        (fill(SELL, order="a"), 0),
        (fill(BUY, order="b"), 0),
        (fill(SELL, order="b", price=3001.0), 0),
        (fill(SELL, order="b", ts_ns=NOW + 1), 0),
        (fill(SELL, order="b", symbol=OTHER), 0),
    ]:
        state, _ = fills(STATE, first, second)
        assert state.meters[second.symbol].self_trades == count
    pairs = [fill(side, order=f"{n}{side}", ts_ns=NOW + n) for n in range(4) for side in (BUY, SELL)]
    state, events = fills(STATE, *pairs)
    assert [(type(event).__name__, event.reason) for event in events] == [("NearMiss", R.SELF_TRADES), ("Breach", R.SELF_TRADES)]
    assert state.meters[RB].self_trades == 4
    assert check(state=state).reason == R.SELF_TRADES


def test_only_the_newest_fills_are_kept_for_that() -> None:
    old = fill(BUY, order="old")
    others = [fill(BUY, order=f"n{n}", ts_ns=NOW + 1 + n) for n in range(8)]
    mirror = fill(SELL, order="mirror")
    assert fills(STATE, old, *others[:7], mirror)[0].meters[RB].self_trades == 1
    assert fills(STATE, old, *others, mirror)[0].meters[RB].self_trades == 0
    assert len(fills(STATE, old, *others, mirror)[0].meters[RB].recent) == 8


@pytest.mark.parametrize(
    ("trip", "lots", "price", "fee", "after", "result"),
    [
        (Trip(), 2, 100.0, 3.0, Trip(lots=2, cash_cny=-2003.0), None),
        (Trip(lots=2, cash_cny=-2003.0), 1, 110.0, 1.0, Trip(lots=3, cash_cny=-3104.0), None),
        (Trip(lots=3, cash_cny=-3104.0), -1, 120.0, 2.0, Trip(lots=2, cash_cny=-1906.0), None),
        (Trip(lots=2, cash_cny=-1906.0), -2, 100.0, 4.0, Trip(), 90.0),
        (Trip(lots=-2, cash_cny=2000.0), 2, 101.0, 0.0, Trip(), -20.0),
        (Trip(lots=-2, cash_cny=2000.0), -1, 90.0, 0.5, Trip(lots=-3, cash_cny=2899.5), None),
        (Trip(lots=1, cash_cny=-1000.0), -4, 90.0, 8.0, Trip(lots=-3, cash_cny=2694.0), -102.0),
        (Trip(lots=-1, cash_cny=1000.0), 4, 90.0, 8.0, Trip(lots=3, cash_cny=-2706.0), 98.0),
    ],
)
def test_a_round_trip_goes_from_flat_to_flat(
    trip: Trip, lots: int, price: float, fee: float, after: Trip, result: float | None
) -> None:
    assert next_trip(trip, lots, price, 10.0, fee) == (after, result)


def test_losing_round_trips_in_a_row_halt_openings_until_one_does_not_lose() -> None:
    loss = (fill(BUY, price=3001.0, order="a"), fill(SELL, CLOSE, price=3000.0, order="b"))
    state, told = STATE, []
    for _ in range(6):
        state, events = fills(state, *loss, max_consecutive_losses=5)
        told.append([(type(event).__name__, event.reason) for event in events])
    near, broken = ("NearMiss", R.CONSECUTIVE_LOSSES), ("Breach", R.CONSECUTIVE_LOSSES)
    assert told == [[], [], [], [near], [broken], []]
    assert check(state=state, limits=replace(LIMITS, max_consecutive_losses=5)).reason == R.CONSECUTIVE_LOSSES
    for out, streak in ((3001.0, 0), (3002.0, 0), (2999.0, 7)):
        ended, _ = fills(state, fill(BUY, price=3001.0), fill(SELL, CLOSE, price=out), max_consecutive_losses=5)
        assert ended.losses_in_row == streak
        assert (f"breach {R.CONSECUTIVE_LOSSES}" in ended.told) == bool(streak)


@pytest.mark.parametrize(("fee", "streak"), [(0.0, 0), (0.0025, 0), (0.003, 1), (float("nan"), 1)])
def test_fees_make_a_loss_and_a_result_that_is_no_number_is_one(fee: float, streak: int) -> None:
    state, _ = fills(STATE, fill(BUY), fill(SELL, CLOSE), fee=fee)
    assert state.losses_in_row == streak
    assert state.trips == {RB: Trip()}


def test_a_fill_without_a_fee_costs_none() -> None:
    assert observe_fill(STATE, LIMITS, METERS, fill(BUY), 10.0)[0].trips == {RB: Trip(lots=1, cash_cny=-30_000.0)}


def test_half_a_fen_is_no_loss() -> None:
    for fee, streak in ((HALF_FEN / 2, 0), (HALF_FEN / 2 + 1e-9, 1)):
        state, _ = fills(STATE, fill(BUY, price=0.0), fill(SELL, CLOSE, price=0.0), fee=fee)
        assert state.losses_in_row == streak


def test_a_position_that_was_found_ends_as_a_round_trip_from_its_price() -> None:
    state, events = observe_position(replace(STATE, trips={OTHER: Trip(lots=1)}), RB, 2, 3000.0, 10.0)
    assert events == ()
    assert state.trips == {OTHER: Trip(lots=1), RB: Trip(lots=2, cash_cny=-60_000.0)}
    assert fills(state, fill(SELL, CLOSE, lots=2, price=2999.0))[0].losses_in_row == 1
    assert fills(state, fill(SELL, CLOSE, lots=2, price=3001.0))[0].losses_in_row == 0
    assert observe_position(state, RB, 0, float("nan"), 10.0)[0].trips[RB] == Trip()


def test_an_accepted_order_ends_the_streak_of_rejects() -> None:
    assert observe_accepted(STATE) is STATE
    state = STATE
    for _ in range(5):
        state, _ = observe_reject(state, LIMITS, RB)
    assert state.told == frozenset({f"near {R.REJECT_STREAK}", f"breach {R.REJECT_STREAK}"})
    assert observe_accepted(state) == STATE


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (S - 1, 1), (S, 0), (1 - S, 1), (-S, 0)])
def test_a_stamp_counts_less_than_a_second_away_on_either_side(offset: int, count: int) -> None:
    assert within_second((NOW + offset,), NOW) == count
    assert check_cancel(
        replace(STATE, cancels_at=(NOW + offset,)), replace(LIMITS, cancels_per_s=1), METERS, NOW, RB
    ).allowed == (count == 0)


def cancels(count: int) -> RiskState:
    return replace(STATE, meters={RB: ContractMeters(cancels=count)})


def test_cancels_are_stopped_by_rate_and_by_the_meter() -> None:
    assert check_cancel(STATE, LIMITS, METERS, NOW, RB) == CancelVerdict(allowed=True)
    quick = replace(STATE, cancels_at=(NOW,) * 4)
    refused = check_cancel(quick, LIMITS, METERS, NOW, RB)
    assert (refused.allowed, refused.reason) == (False, R.CANCEL_RATE)
    assert "5, at most 4" in refused.message
    assert check_cancel(replace(STATE, cancels_at=(NOW,) * 3), LIMITS, METERS, NOW, RB).allowed
    assert check_cancel(cancels(318), LIMITS, METERS, NOW, RB).near == ()
    near = check_cancel(cancels(319), LIMITS, METERS, NOW, RB)
    assert near.allowed
    assert [(miss.reason, miss.used, miss.limit, miss.symbol) for miss in near.near] == [(R.CANCELS, 320, 400, RB)]
    last = check_cancel(cancels(399), LIMITS, METERS, NOW, RB)
    assert (last.allowed, last.near[0].message) == (True, "cancels of the day: 400 of at most 400")
    stopped = check_cancel(cancels(400), LIMITS, METERS, NOW, RB)
    assert (stopped.allowed, stopped.reason, stopped.message) == (
        False,
        R.CANCELS,
        "cancels of the day would be 401, at most 400",
    )


def test_a_closing_order_that_was_let_in_beyond_the_stop_can_be_cancelled() -> None:
    free = METERS.levels(RB, STATE.trading_day, LIMITS).cancels.free
    last = check_cancel(cancels(free - 1), LIMITS, METERS, NOW, RB, closing=True)
    assert (last.allowed, [(miss.used, miss.limit) for miss in last.near]) == (True, [(free, free)])
    beyond = check_cancel(cancels(free), LIMITS, METERS, NOW, RB, closing=True)
    assert (beyond.allowed, beyond.reason) == (False, R.CANCELS)


@pytest.mark.parametrize("why", ["killed", "flattening"])
def test_no_cancel_is_refused_while_killed_or_flattening(why: str) -> None:
    state = replace(cancels(10_000), cancels_at=(NOW,) * 9)
    assert check_cancel(state, LIMITS, METERS, NOW, RB, **{why: True}) == CancelVerdict(allowed=True)


def test_a_state_comes_back_from_its_document() -> None:
    state, _ = fills(STATE, fill(BUY), fill(SELL, order="b"))
    state = replace(
        state, pnl_unknown=frozenset({RB, OTHER}), told=frozenset({"b", "a"}), worst_pnl_cny={RB: -1.5}, orders_at=(NOW,)
    )
    document = to_document(state)
    assert document["told"] == ["a", "b"]
    assert document["pnl_unknown"] == ["SHFE.rb2510", "SHFE.rb2601"] == sorted([RB, OTHER], reverse=True) or document[
        "pnl_unknown"
    ] == sorted([RB, OTHER])
    assert from_document(document) == state
    assert from_document(to_document(RiskState())) == RiskState()
    for broken in ({"trading_day": 5}, {"surprise": 1}):
        with pytest.raises(DataError, match="not a risk state"):
            from_document(broken)


def test_what_did_not_leave_is_not_counted() -> None:
    state = replace(STATE, orders_at=(), cancels_at=(), meters={})
    large = METERS.levels(RB, DAY).large_lots
    assert large > 0
    state, _ = observe_order(state, LIMITS, METERS, NOW, RB)
    for lots in (large, large - 1):
        state, _ = observe_cancel(state, LIMITS, METERS, NOW, RB, lots)
    assert counted(state) == (3, 2, 1)
    state = observe_unsent_cancel(state, METERS, RB, large - 1)
    assert counted(state) == (2, 1, 1)
    state = observe_unsent_cancel(state, METERS, RB, large)
    assert counted(state) == (1, 0, 0)
    assert observe_unsent_cancel(state, METERS, RB, large) == state  # it was counted on a day before
    assert len(state.cancels_at) == 2  # the rate is of what was tried
    state = observe_unsent(state, RB)
    assert counted(state) == (0, 0, 0)
    assert counted(observe_unsent(state, RB)) == (0, 0, 0)
    small = observe_cancel(state, LIMITS, METERS, NOW, RB, 1)[0]
    assert counted(observe_unsent_cancel(small, METERS, RB, large)) == (0, 0, 0)
    silent = ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=()))
    one = replace(STATE, meters={RB: ContractMeters(messages=1, cancels=1, large_cancels=1)})
    assert counted(observe_unsent_cancel(one, silent, RB, large)) == (0, 0, 1)


def counted(state: RiskState) -> tuple[int, int, int]:
    found = state.meters_of(RB)
    return found.messages, found.cancels, found.large_cancels
