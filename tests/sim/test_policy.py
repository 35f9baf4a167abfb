from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import FillModel, Offset, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import GAP_FOLLOWS
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.policy import PolicyDay, PolicySpec, estimate_settlement, run_policy
from ghtrader.sim.positions import PositionBook

COSTS = SimCosts(
    price_tick=1.0,
    multiplier=10.0,
    open_rate=0.0,
    open_cny=1.0,
    close_rate=0.0,
    close_cny=2.0,
    close_today_rate=0.0,
    close_today_cny=5.0,
)


def test_long_and_short_today_and_history_are_apart() -> None:
    book = PositionBook(COSTS)
    book.fill_open(Side.BUY, 100.0, 2)
    book.fill_open(Side.SELL, 101.0, 3)
    assert (book.lots(Side.BUY), book.lots(Side.SELL)) == ((2, 0), (3, 0))
    first = book.settle(102.0)
    assert (first.realised_cny, first.holding_cny, first.fees_cny) == (0.0, 2 * 20.0 - 3 * 10.0, 5.0)
    assert (book.lots(Side.BUY), book.lots(Side.SELL)) == ((0, 2), (0, 3))


def test_close_takes_history_and_close_today_takes_today_with_their_own_fees() -> None:
    book = PositionBook(COSTS)
    book.fill_open(Side.BUY, 100.0, 1)
    book.settle(100.0)
    book.fill_open(Side.BUY, 100.0, 1)
    assert book.close_offset(Side.BUY, 100.0) is Offset.CLOSE  # cheaper than close today here
    book.freeze(Side.BUY, Offset.CLOSE, 1)
    assert book.close_offset(Side.BUY, 100.0) is Offset.CLOSE_TODAY  # history is frozen
    assert book.fill_close(Side.BUY, Offset.CLOSE, 103.0, 1) == 2.0
    book.freeze(Side.BUY, Offset.CLOSE_TODAY, 1)
    assert book.fill_close(Side.BUY, Offset.CLOSE_TODAY, 103.0, 1) == 5.0
    day = book.settle(103.0)
    assert (day.realised_cny, day.fees_cny) == (60.0, 8.0)


def test_more_lots_than_are_free_cannot_be_frozen_or_closed() -> None:
    book = PositionBook(COSTS)
    book.fill_open(Side.BUY, 100.0, 1)
    with pytest.raises(UsageError):
        book.freeze(Side.BUY, Offset.CLOSE_TODAY, 2)
    with pytest.raises(UsageError):
        book.fill_close(Side.BUY, Offset.CLOSE, 100.0, 1)
    book.freeze(Side.BUY, Offset.CLOSE_TODAY, 1)
    book.thaw(Side.BUY, Offset.CLOSE_TODAY, 1)
    assert book.free(Side.BUY, Offset.CLOSE_TODAY) == 1


@given(
    st.lists(st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.integers(90, 110), st.integers(1, 5)), max_size=20),
    st.integers(90, 110),
)
def test_marking_to_settlement_day_by_day_adds_up_to_the_whole(opens: list[tuple[Side, int, int]], last: int) -> None:
    book, total, paid = PositionBook(COSTS), 0.0, 0.0
    for side, price, lots in opens:
        paid += book.fill_open(side, float(price), lots)
        day = book.settle(float(price + 1))
        total += day.realised_cny + day.holding_cny
        assert day.fees_cny >= 0
    final = book.settle(float(last))
    total += final.realised_cny + final.holding_cny
    expected = sum(int(side) * (last - price) * lots * 10.0 for side, price, lots in opens)
    assert total == pytest.approx(expected)


def policy_day(sample: tuple, score: np.ndarray, threshold: float = 0.5) -> PolicyDay:
    ticks, sessions = sample
    costs = SimCosts.from_spec(InstrumentTable.vendored().spec("SHFE.rb2510", TradingDay.parse("2025-06-05")))
    return PolicyDay(ticks, part_ends(ticks, sessions), score, threshold, costs)


def seeded_score(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < 0.02, rng.choice([-1.0, 1.0], rows), 0.0)


@pytest.mark.parametrize("name", ["taker", "passive"])
@pytest.mark.parametrize("model", list(FillModel))
def test_policies_end_every_day_flat_and_their_money_adds_up(sample_day: Callable, name: str, model: FillModel) -> None:
    sample = sample_day("2025-06-05")
    day = policy_day(sample, seeded_score(len(sample[0]), 1))
    result = run_policy([day], PolicySpec(name=name, lots=3), model)
    assert result.trips
    assert sum(trip.lots for trip in result.trips) * 2 <= result.fills * 3
    pnl = result.days["2025-06-05"]
    assert pnl.holding_cny == 0.0  # flat before every break
    gross = sum(trip.gross_ticks * trip.lots for trip in result.trips) * day.costs.tick_value_cny
    assert pnl.realised_cny == pytest.approx(gross)
    net = sum(trip.net_ticks * trip.lots for trip in result.trips) * day.costs.tick_value_cny
    assert pnl.net_cny == pytest.approx(net)
    assert result.estimated


def test_a_taker_on_random_signals_loses_spread_and_fees(sample_day: Callable) -> None:
    sample = sample_day("2025-06-06")
    result = run_policy([policy_day(sample, seeded_score(len(sample[0]), 2))], PolicySpec(name="taker"), FillModel.BACK)
    mean = np.mean([trip.net_ticks for trip in result.trips])
    fee = result.fees_cny / len(result.trips) / 10.0
    assert result.passive_fills == 0
    assert -2.5 < mean < -1.0 - fee + 0.7


def test_a_taker_does_the_same_under_every_fill_model(sample_day: Callable) -> None:
    sample = sample_day("2025-06-06")
    day = policy_day(sample, seeded_score(len(sample[0]), 3))
    trips = [run_policy([day], PolicySpec(name="taker"), model).trips for model in FillModel]
    assert all(other == trips[0] for other in trips)


def test_nothing_is_decided_without_a_score_or_beyond_the_threshold(sample_day: Callable) -> None:
    sample = sample_day("2025-06-05")
    silent = policy_day(sample, np.full(len(sample[0]), np.nan))
    weak = policy_day(sample, np.full(len(sample[0]), 0.4))
    for day in (silent, weak):
        assert run_policy([day], PolicySpec(name="passive"), FillModel.FRONT).orders == 0


def test_positions_are_out_before_the_part_ends(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    result = run_policy([policy_day((ticks, sessions), np.ones(len(ticks)))], PolicySpec(name="taker"), FillModel.BACK)
    ends = {window.end_ns for window in sessions.parts}
    for trip in result.trips:
        assert not any(trip.entry_ns < end < trip.exit_ns for end in ends)


@pytest.mark.parametrize("name", ["taker", "passive"])
@pytest.mark.parametrize("model", list(FillModel))
def test_no_policy_fills_across_gaps(sample_day: Callable, name: str, model: FillModel) -> None:
    """Where the policy traded, rows are missing now: nothing fills on the first row after a gap, whatever was working."""
    ticks, sessions = sample_day("2025-06-05")
    score, spec = seeded_score(len(ticks), 4), PolicySpec(name=name, lots=3)
    traded = run_policy([policy_day((ticks, sessions), score)], spec, model).trips
    stamps = {stamp for trip in traded for stamp in (trip.entry_ns, trip.exit_ns)}
    rows = np.flatnonzero(np.isin(ticks.ts_ns, list(stamps)))
    assert len(rows) > 50
    breaks, follows = ticks.break_before.copy(), ticks.gap_after.copy()
    breaks[rows], follows[rows - 1] = True, GAP_FOLLOWS
    holed = replace(ticks, break_before=breaks, gap_after=follows)
    result = run_policy([policy_day((holed, sessions), score)], spec, model)
    assert result.trips
    assert not any({trip.entry_ns, trip.exit_ns} & stamps for trip in result.trips)


def test_a_passive_order_alive_across_a_gap_queues_again(sample_day: Callable) -> None:
    """The same rows with and without a gap: behind ten lots, then behind all thirty that are displayed after it."""
    ticks, _ = sample_day("2025-06-05")
    part = ticks.rows(slice(1000, 1040))
    bid = int(part.bid_px[0, 0])
    lots = np.where(np.arange(40) < 5, 10, 30)
    down = np.arange(5)
    still = replace(
        part,
        bid_px=np.tile(bid - down, (40, 1)),
        ask_px=np.tile(bid + 1 + down, (40, 1)),
        bid_sz=np.column_stack([lots, *[np.full(40, 50)] * 4]),
        ask_sz=np.tile(np.full(5, 50), (40, 1)),
        flags=np.zeros(40, np.uint32),
        volume=np.where(np.arange(40) < 8, 0.0, 25.0),
        amount=np.where(np.arange(40) < 8, 0.0, 25.0 * bid * part.price_tick * part.multiplier),
    )
    score = np.where(np.arange(40) == 1, 1.0, np.nan)
    breaks, follows = still.break_before.copy(), still.gap_after.copy()
    breaks[5], follows[4] = True, GAP_FOLLOWS
    holed = replace(still, break_before=breaks, gap_after=follows)
    ends = np.full(40, int(still.ts_ns[-1]) + 3600 * 10**9)
    spec = PolicySpec(name="passive", lots=3, latency_ns=1, patience_ns=10**12, hold_ns=1)
    found = []
    for day in (still, holed):
        result = run_policy([PolicyDay(day, ends, score, 0.5, COSTS)], spec, FillModel.BACK)
        found.append(result.passive_fills)
    assert found == [1, 0]  # 25 lots are sold at the bid: they reach behind ten, not behind thirty


def test_settlement_is_the_volume_weighted_price_cut_to_the_tick(sample_day: Callable) -> None:
    ticks, _ = sample_day("2025-06-05")
    assert estimate_settlement(ticks) == float(int(ticks.amount[-1] / ticks.volume[-1] / 10))


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError):
        PolicySpec(name="martingale")
