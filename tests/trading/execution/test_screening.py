"""Targets and executor against the screening backtester: the same orders, fills and counts, order for order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.orders import FillModel
from ghtrader.data.day_ticks import GAP_FOLLOWS, DayTicks
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market
from ghtrader.sim.orders import trades_of
from ghtrader.sim.policy_kernel import LOG_COLUMNS, run_day

sys.path.insert(0, str(Path(__file__).parent))
from played_policy import Spec, play

S = 1_000_000_000
MODELS = (FillModel.BACK, FillModel.PRO_RATA, FillModel.FRONT)


@pytest.fixture(scope="module")
def generated() -> DayTicks:
    return day_ticks(next(generate_market("planted", 3, days=1)))


def screened(ticks: DayTicks, part_end: np.ndarray, score: np.ndarray, spec: Spec, model: FillModel) -> tuple[list, tuple]:
    trades, capacity = trades_of(ticks), 4 * len(ticks)
    out = [np.empty(capacity, kind) for kind in (np.int64, np.int64, np.bool_, np.int64, np.int64, np.bool_)]
    counts = np.zeros(4, np.int64)
    fills = run_day(
        ticks.ts_ns, ticks.break_before, ticks.gap_before, trades.live, ticks.bid_px, ticks.bid_sz, ticks.ask_px, ticks.ask_sz,
        trades.low, trades.high, trades.sold, trades.bought, part_end, score,
        spec.threshold, spec.passive, spec.lots, spec.latency, spec.hold, spec.patience, spec.flat_before, int(model),
        *out, counts, np.empty((0, LOG_COLUMNS), np.int64),
    )  # fmt: skip
    return list(zip(*(column[:fills].tolist() for column in out), strict=True)), tuple(counts.tolist())


def seeded_score(rows: int, seed: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    score = np.where(rng.random(rows) < share, rng.choice([-1.0, 1.0], rows), 0.0)
    return np.where(rng.random(rows) < 0.05, np.nan, score)


@pytest.mark.parametrize("passive", [False, True])
def test_a_sample_day_is_traded_order_for_order_as_the_screening_backtester_trades_it(
    sample_day: Callable, passive: bool
) -> None:
    ticks, sessions = sample_day("2025-06-06")
    ends, score = part_ends(ticks, sessions), seeded_score(len(ticks), 5, 0.02)
    spec = Spec(passive=passive, lots=3, hold=25 * S, patience=10 * S, flat_before=30 * S, latency=S // 10)
    for model in MODELS if passive else MODELS[:1]:
        fills, counts = play(ticks, trades_of(ticks), ends, score, spec, model)
        assert (fills, counts) == screened(ticks, ends, score, spec, model)
        assert len(fills) > 100
        assert counts[1] > 50 or not passive


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    start=st.integers(0, 20_000),
    model=st.sampled_from(list(FillModel)),
    passive=st.booleans(),
    lots=st.sampled_from([1, 2, 7, 60]),
    latency=st.sampled_from([0, 1, S // 10, 7 * S // 10, 3 * S]),
    hold=st.sampled_from([0, S, 5 * S]),
    patience=st.sampled_from([0, S // 4, 2 * S, 9 * S]),
)
def test_windows_with_gaps_breaks_and_one_sided_books_are_too(
    generated: DayTicks, seed: int, start: int, model: FillModel, **spec: object
) -> None:
    part = generated.rows(slice(start, start + 1200))
    breaks, follows, rng = part.break_before.copy(), part.gap_after.copy(), np.random.default_rng(seed)
    breaks[0] = True
    for row in range(seed % 200 + 1, len(part), 200):
        breaks[row], follows[row - 1] = True, GAP_FOLLOWS
    flags = np.where(rng.random(len(part)) < 0.03, part.flags | np.uint32(512), part.flags).astype(np.uint32)
    part = replace(part, break_before=breaks, gap_after=follows, flags=flags)
    score, half = seeded_score(len(part), seed, 0.1), len(part) // 2
    ends = np.where(np.arange(len(part)) < half, part.ts_ns[half], part.ts_ns[-1])
    wanted = Spec(**spec, flat_before=10 * S)
    assert play(part, trades_of(part), ends, score, wanted, model) == screened(part, ends, score, wanted, model)
