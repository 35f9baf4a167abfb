"""The built-in score policies decide what the screening backtester decides, fed with what its orders became."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.trading.strategy.desk import Desk, seeded_score, window

from ghtrader.core.messages import Style
from ghtrader.core.orders import FillModel
from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market
from ghtrader.sim.orders import trades_of
from ghtrader.sim.policy import PolicySpec
from ghtrader.sim.policy_kernel import LOG_COLUMNS, run_day
from ghtrader.sim.venue import Arrival, DayVenue
from ghtrader.trading.strategy.api import StrategyContext, TickView
from ghtrader.trading.strategy.builtin import PolicyState, ScorePolicy

S = 1_000_000_000
CONTEXT = StrategyContext(account="demo", symbol="SHFE.rb2510", threshold=0.5)


def screened(ticks: DayTicks, ends: np.ndarray, score: np.ndarray, spec: PolicySpec, model: FillModel, flat: int) -> tuple:
    trades, capacity, counts = trades_of(ticks), 4 * len(ticks), np.zeros(4, np.int64)
    out = [np.empty(capacity, kind) for kind in (np.int64, np.int64, np.bool_, np.int64, np.int64, np.bool_)]
    fills = run_day(
        ticks.ts_ns, ticks.break_before, ticks.gap_before, trades.live, ticks.bid_px, ticks.bid_sz, ticks.ask_px, ticks.ask_sz,
        trades.low, trades.high, trades.sold, trades.bought, ends, score,
        0.5, spec.name == "passive", spec.lots, spec.latency_ns, spec.hold_ns, spec.patience_ns, flat, int(model),
        *out, counts, np.empty((0, LOG_COLUMNS), np.int64),
    )  # fmt: skip
    orders, cancels, _, rejects = counts.tolist()
    return list(zip(*(column[:fills].tolist() for column in out), strict=True)), orders, cancels, rejects


def decided(ticks: DayTicks, ends: np.ndarray, score: np.ndarray, spec: PolicySpec, model: FillModel, flat: int) -> tuple:
    trades = trades_of(ticks)
    desk = Desk(DayVenue(ticks, model, latency_ns=spec.latency_ns, rules=Arrival.SCREENING, trades=trades))
    policy, view, stops = ScorePolicy(spec, flat_before_ns=flat), TickView(), 0
    policy.on_start(CONTEXT)
    for row in range(len(ticks)):
        now = int(ticks.ts_ns[row])
        desk.on_row(row, now)
        view.ts_ns, view.score, view.part_end_ns = now, float(score[row]), int(ends[row])
        view.can_trade = bool(trades.live[row] == 1 and not ticks.break_before[row])
        view.position, view.working, view.settled = desk.position, desk.side * desk.left, True
        decision = policy.on_tick(view)
        if decision is not None:
            stops += decision.execution.style is Style.STOP
            desk.take(decision, ticks, row)
    return (desk.fills, desk.orders, desk.cancels, desk.rejects), stops


@pytest.mark.parametrize("model", [FillModel.BACK, FillModel.FRONT])
@pytest.mark.parametrize("name", ["passive", "taker"])
def test_a_sample_day_gives_every_fill_of_the_screening_backtester(sample_day: Callable, name: str, model: FillModel) -> None:
    ticks, sessions = sample_day("2025-06-06")
    ends, score = part_ends(ticks, sessions), seeded_score(len(ticks), 6)
    spec = PolicySpec(name=name, lots=3)
    expected = screened(ticks, ends, score, spec, model, 30 * S)
    found, _ = decided(ticks, ends, score, spec, model, 30 * S)
    assert found == expected
    assert len(expected[0]) > 100


@pytest.fixture(scope="module")
def generated() -> tuple[DayTicks, np.ndarray]:
    day = next(generate_market("rich", 3, days=1))
    ticks = day_ticks(day)
    return ticks, part_ends(ticks, day.sessions)


def assert_equal(generated: tuple, seed: int, start: int, model: FillModel, spec: PolicySpec) -> int:
    part = window(generated[0], start, 1500, range(seed % 200 + 1, 1500, 200))
    # two session parts that end inside the window
    ends = np.where(np.arange(1500) < 700, part.ts_ns[700], part.ts_ns[-1])
    score = seeded_score(1500, seed, 0.1)
    found, stops = decided(part, ends, score, spec, model, 10 * S)
    assert found == screened(part, ends, score, spec, model, 10 * S)
    return stops


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    start=st.integers(0, 20_000),
    model=st.sampled_from(list(FillModel)),
    name=st.sampled_from(["passive", "taker"]),
    lots=st.sampled_from([1, 2, 7, 60]),
    latency_ns=st.sampled_from([0, 1, 100_000_000, 700_000_000, 3 * S]),
    hold_ns=st.sampled_from([0, S, 5 * S, 4000 * S]),
    patience_ns=st.sampled_from([0, S // 4, 2 * S, 9 * S]),
)
def test_the_same_fills_come_out_on_any_window(generated: tuple, seed: int, start: int, model: FillModel, **spec: object) -> None:
    assert_equal(generated, seed, start, model, PolicySpec(**spec))


def test_orders_that_rest_when_a_session_part_ends_are_stopped(generated: tuple) -> None:
    spec = PolicySpec(name="passive", lots=7, hold_ns=S, patience_ns=9 * S)
    assert sum(assert_equal(generated, seed, 500 * seed, FillModel.BACK, spec) for seed in range(12)) > 3


def view_of(position: int = 0, working: int = 0, score: float = 0.0, *, settled: bool = True, ts_ns: int = 100 * S) -> TickView:
    view = TickView()
    view.ts_ns, view.score, view.part_end_ns, view.can_trade = ts_ns, score, 10_000 * S, True
    view.position, view.working, view.settled = position, working, settled
    return view


def policy(name: str = "taker") -> ScorePolicy:
    found = ScorePolicy(PolicySpec(name=name, lots=2))
    found.on_start(CONTEXT)
    return found


def test_nothing_is_decided_before_the_gateway_has_dealt_with_the_last_target() -> None:
    machine = policy()
    entered = machine.on_tick(view_of(score=0.9))
    assert entered is not None
    assert entered.lots == 2
    assert machine.on_tick(view_of(score=-0.9, settled=False, ts_ns=5_000 * S)) is None
    assert machine.on_tick(view_of(position=2, score=-0.9)).lots == 0


def test_a_position_that_is_there_at_the_start_is_held_and_left_like_any_other() -> None:
    machine = policy()
    assert machine.on_tick(view_of(position=-3, ts_ns=100 * S)) is None
    assert machine.state is PolicyState.HOLD
    assert machine.on_tick(view_of(position=-3, ts_ns=124 * S)) is None
    left = machine.on_tick(view_of(position=-3, ts_ns=125 * S))
    assert (left.lots, left.execution.style) == (0, Style.SWEEP)


def test_a_position_that_others_closed_is_forgotten() -> None:
    machine = policy()
    machine.on_tick(view_of(position=2))
    machine.on_tick(view_of(position=0))
    assert machine.state is PolicyState.FLAT


def test_the_threshold_is_that_of_the_model_unless_one_is_given() -> None:
    own = ScorePolicy(PolicySpec(name="taker"), threshold=0.8)
    own.on_start(CONTEXT)
    assert own.on_tick(view_of(score=0.6)) is None
    assert policy().on_tick(view_of(score=0.6)) is not None
    nothing = ScorePolicy(PolicySpec(name="taker"))
    nothing.on_start(StrategyContext(account="demo", symbol="SHFE.rb2510"))
    assert nothing.on_tick(view_of(score=1.0)) is None
