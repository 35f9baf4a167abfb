from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import UsageError
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.catalogue import CATALOGUE, SETS, factor, factor_set
from ghtrader.datasets.factors.engine import FactorStream, compute, flip, part_ends, part_starts
from ghtrader.pipelines.features import reference_page
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

ALL = factor_set("channel")
Sample = tuple[DayTicks, DaySessions]


@pytest.fixture(scope="module")
def generated() -> Sample:
    day = next(generate_market("planted", 2, days=1))
    return day_ticks(day), day.sessions


@pytest.fixture
def rough(generated: Sample) -> Sample:
    """A generated stretch with what real days hold: one-sided and crossed books, thin depth, falling counters, no turnover."""
    ticks, sessions = generated
    rng = np.random.default_rng(1)
    part = ticks.rows(slice(0, 4000))
    bid_px, ask_px, ask_sz, bid_sz = part.bid_px.copy(), part.ask_px.copy(), part.ask_sz.copy(), part.bid_sz.copy()
    thin = rng.random(4000) < 0.03
    bid_px[thin, 3:], bid_sz[thin, 3:] = NO_PRICE, 0
    gone = rng.random(4000) < 0.02
    ask_px[gone], ask_sz[gone] = NO_PRICE, 0
    crossed = rng.random(4000) < 0.01
    bid_px[crossed, 0] = np.where(ask_px[crossed, 0] == NO_PRICE, bid_px[crossed, 0], ask_px[crossed, 0])
    breaks = part.break_before | (rng.random(4000) < 0.002)
    volume, amount = part.volume.copy(), part.amount.copy()
    volume[2500:] -= 300
    amount[3000:] = 0.0
    return replace(
        part, bid_px=bid_px, ask_px=ask_px, ask_sz=ask_sz, bid_sz=bid_sz, break_before=breaks, volume=volume, amount=amount
    ), sessions


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def stream(ticks: DayTicks, sessions: DaySessions) -> np.ndarray:
    live, ends = FactorStream(ALL, tick_value_cny=ticks.price_tick * ticks.multiplier), part_ends(ticks, sessions)
    starts = part_starts(ticks, sessions)
    return np.array(
        [
            live.step(
                int(ticks.ts_ns[i]), ticks.bid_px[i], ticks.bid_sz[i], ticks.ask_px[i], ticks.ask_sz[i], int(ticks.last_px[i]),
                float(ticks.volume[i]), float(ticks.amount[i]), float(ticks.open_interest[i]),
                break_before=bool(ticks.break_before[i]), continuous=bool(ticks.phase[i] == 3), part=int(ticks.part[i]),
                part_start_ns=int(starts[i]), part_end_ns=int(ends[i]),
            )
            for i in range(len(ticks))
        ]
    )  # fmt: skip


def test_batch_equals_incremental_bit_for_bit_on_a_real_day(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-09")
    assert same(stream(ticks, sessions), compute(ticks, sessions, ALL))


def test_batch_equals_incremental_on_a_rough_day(rough: Sample) -> None:
    assert same(stream(*rough), compute(*rough, ALL))


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(1, 41_000))
def test_cutting_the_future_does_not_move_the_past(sample_day: Callable, cut: int) -> None:
    ticks, sessions = sample_day("2025-06-05")
    whole = compute(ticks, sessions, ALL)
    assert same(compute(ticks.rows(slice(0, cut)), sessions, ALL), whole[:cut])


@pytest.mark.parametrize("index", range(len(ALL.factors)), ids=[f.id for f in ALL.factors])
@pytest.mark.parametrize("which", ["real", "rough"])
def test_flipping_bid_and_ask_changes_the_sign_of_odd_factors_exactly(
    sample_day: Callable, rough: Sample, index: int, which: str
) -> None:
    ticks, sessions = sample_day("2025-06-06") if which == "real" else rough
    plain, mirrored = compute(ticks, sessions, ALL)[:, index], compute(flip(ticks), sessions, ALL)[:, index]
    assert same(mirrored, -plain if ALL.factors[index].flip == "odd" else plain)


def test_each_session_part_alone_gives_the_same_factors(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    whole = compute(ticks, sessions, ALL)
    for window in sessions.parts:
        rows = np.flatnonzero(ticks.part == int(window.part))
        assert same(compute(ticks.rows(rows), sessions, ALL), whole[rows])


def test_auction_rows_and_one_sided_books_give_nan_and_leave_the_state_alone(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    whole = compute(ticks, sessions, ALL)
    assert np.isnan(whole[ticks.phase != 3]).all()
    row = 5000
    ask_px, ask_sz = ticks.ask_px.copy(), ticks.ask_sz.copy()
    ask_px[row], ask_sz[row] = NO_PRICE, 0
    holed = compute(replace(ticks, ask_px=ask_px, ask_sz=ask_sz), sessions, ALL)
    assert np.isnan(holed[row]).all()
    without = compute(ticks.rows(np.delete(np.arange(len(ticks)), row)), sessions, ALL)
    assert same(np.delete(holed, row, axis=0), without)


def test_volume_of_the_auction_feeds_no_factor(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    volume, amount = ticks.volume.copy(), ticks.amount.copy()
    volume[1:] += 5000
    amount[1:] += 5000 * 29_740
    assert same(compute(replace(ticks, volume=volume, amount=amount), sessions, ALL), compute(ticks, sessions, ALL))


def test_no_price_volume_or_open_interest_level_leaks_in(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    unit, up = ticks.price_tick * ticks.multiplier, 1000
    shifted = replace(
        ticks, bid_px=ticks.bid_px + up, ask_px=ticks.ask_px + up, last_px=ticks.last_px + up,
        amount=ticks.amount + up * unit * ticks.volume, open_interest=ticks.open_interest + 1e6,
    )  # fmt: skip
    assert same(compute(shifted, sessions, ALL), compute(ticks, sessions, ALL))


class Slow:
    """The formulas of the cards in plain Python, one run at a time, whole history kept."""

    def __init__(self, ticks: DayTicks, ends: np.ndarray) -> None:
        self.t, self.ends, self.unit = ticks, ends, ticks.price_tick * ticks.multiplier

    def run(self) -> np.ndarray:
        out = np.full((len(self.t), len(ALL.factors)), np.nan)
        history: list[dict[str, float]] = []
        for i in range(len(self.t)):
            t = self.t
            if t.break_before[i]:
                history = []
            if t.phase[i] != 3:
                continue
            b, a = int(t.bid_px[i, 0]), int(t.ask_px[i, 0])
            if NO_PRICE in (b, a) or b >= a or t.bid_sz[i, 0] <= 0 or t.ask_sz[i, 0] <= 0:
                continue
            if history and (t.volume[i] < history[-1]["V"] or t.amount[i] < history[-1]["M"]):
                history = []
            history.append(self.row(i, history))
            values = self.values(i, history)
            out[i] = [values[f.id] for f in ALL.factors]
        return out

    def row(self, i: int, history: list[dict[str, float]]) -> dict[str, float]:
        t = self.t
        b, a, bq, aq = (float(x[i, 0]) for x in (t.bid_px, t.ask_px, t.bid_sz, t.ask_sz))
        now = {
            "ts": float(t.ts_ns[i] - t.ts_ns[0]) / 1e9,
            "b": b,
            "a": a,
            "B": bq,
            "A": aq,
            "m": (a + b) / 2,
            "V": float(t.volume[i]),
            "M": float(t.amount[i]),
            "O": float(t.open_interest[i]),
        }
        deep_b, deep_a = float(t.bid_sz[i, 2:].sum()), float(t.ask_sz[i, 2:].sum())
        now["deep"] = (deep_b - deep_a) / (deep_b + deep_a) if deep_b + deep_a else math.nan
        now["e"] = now["rb"] = now["ra"] = now["sv"] = now["so"] = 0.0
        if history:
            p = history[-1]
            now["e"] = (b >= p["b"]) * bq - (b <= p["b"]) * p["B"] - (a <= p["a"]) * aq + (a >= p["a"]) * p["A"]
            now["rb"] = max(0.0, p["B"] - bq) if b == p["b"] else p["B"] if b < p["b"] else 0.0
            now["ra"] = max(0.0, p["A"] - aq) if a == p["a"] else p["A"] if a > p["a"] else 0.0
            now["sv"] = self.signed(p, now, float(t.last_px[i]))
            now["so"] = (now["sv"] > 0) * (now["O"] - p["O"]) - (now["sv"] < 0) * (now["O"] - p["O"])
        return now

    def signed(self, p: dict[str, float], now: dict[str, float], last: float) -> float:
        lots, turnover = now["V"] - p["V"], now["M"] - p["M"]
        if lots <= 0:
            return 0.0
        lo, hi = p["b"], p["a"]
        if turnover <= 0:
            return 0.0 if last == NO_PRICE else lots if last >= hi else -lots if last <= lo else 0.0
        price = turnover / (lots * self.unit)
        if not lo <= price <= hi:
            lo, hi = min(lo, now["b"]), max(hi, now["a"])
        bought = min(1.0, max(0.0, (price - lo) / (hi - lo)))
        return (2 * bought - 1) * lots

    @staticmethod
    def flow(history: list[dict[str, float]], key: str, half: float) -> float:
        end = history[-1]["ts"]
        return sum(row[key] * 2 ** (-(end - row["ts"]) / half) for row in history)

    @staticmethod
    def level(history: list[dict[str, float]], values: list[float], half: float) -> float:
        state = math.nan
        last = 0.0
        for row, value in zip(history, values, strict=True):
            if not math.isnan(value):
                weight = 2 ** (-(row["ts"] - last) / half)
                state = value if math.isnan(state) else weight * state + (1 - weight) * value
            last = row["ts"]
        return math.nan if math.isnan(values[-1]) else state

    def values(self, i: int, history: list[dict[str, float]]) -> dict[str, float]:
        t, now = self.t, history[-1]
        i1 = (now["B"] - now["A"]) / (now["B"] + now["A"])
        all_b, all_a = float(t.bid_sz[i].sum()), float(t.ask_sz[i].sum())
        depth = self.level(history, [(row["B"] + row["A"]) / 2 for row in history], 300)
        moves = [0.0] + [(x["m"] - y["m"]) ** 2 for x, y in zip(history[1:], history, strict=False)]
        hb = (self.flow(history, "rb", 20) * math.log(2) / 20 + 0.1) / now["B"]
        ha = (self.flow(history, "ra", 20) * math.log(2) / 20 + 0.1) / now["A"]
        out = {
            "F1": now["a"] - now["b"], "F4": i1, "F10": (all_b - all_a) / (all_b + all_a), "F12": (now["a"] - now["b"]) * i1 / 2,
            "F45": self.flow(history, "sv", 5), "F47": self.flow(history, "sv", 60), "F57": self.flow(history, "so", 60),
            "F68": math.sqrt(self.level(history, moves, 60)), "F90": 0.5 * (ha - hb) / (ha + hb), "F95": (self.ends[i] - t.ts_ns[i]) / 60e9,
        }  # fmt: skip
        for id_, half in (("F31", 2), ("F32", 20), ("F33", 60)):
            out[id_] = self.flow(history, "e", half) / depth
        for id_, seconds in (("F59", 2), ("F60", 10), ("F61", 60)):
            old = [row["m"] for row in history if row["ts"] <= now["ts"] - seconds]
            out[id_] = now["m"] - old[-1] if old else math.nan
        for id_, level in (("F6", 2), ("F7", 3), ("F8", 4)):
            x, y = float(t.bid_sz[i, level]), float(t.ask_sz[i, level])
            there = NO_PRICE not in (int(t.bid_px[i, level]), int(t.ask_px[i, level]))
            out[id_] = (x - y) / (x + y) if there else math.nan
        for seconds in (5, 20, 60):
            out[f"IMB35_{seconds}S"] = self.level(history, [row["deep"] for row in history], seconds)
        return out


@pytest.mark.parametrize("which", ["real", "rough"])
def test_every_formula_agrees_with_a_slow_reference(sample_day: Callable, rough: Sample, which: str) -> None:
    ticks, sessions = sample_day("2025-06-05") if which == "real" else rough
    part = ticks.rows(slice(0, 900))
    slow = Slow(part, part_ends(part, sessions)).run()
    fast = compute(part, sessions, ALL)
    assert (np.isnan(slow) == np.isnan(fast)).all()
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9)


def test_declarations_are_whole_and_sets_name_declared_factors() -> None:
    assert len({f.id for f in CATALOGUE}) == len({f.slot for f in CATALOGUE}) == len(CATALOGUE)
    assert len(SETS["minimal16"]) == 16
    assert set(SETS["minimal16"]) - set(SETS["minimal15"]) == {"F10"}
    for declared in CATALOGUE:
        assert declared.formula
        assert declared.nan_policy
        assert declared.columns
    with pytest.raises(UsageError, match="F109"):
        factor("F109")
    with pytest.raises(UsageError):
        factor_set("everything")


def test_the_reference_page_is_made_from_the_declarations() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "reference" / "factors.md"
    assert page.read_text(encoding="utf-8") == reference_page(), "run `make reference`"
