"""The laws of factors, for each one that is declared: a new factor is covered by being declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.datasets.factor_cases import (
    COLUMN,
    DECLARED,
    EVERY,
    F64,
    FITTED,
    Case,
    roughened,
    same,
    small_markets,
    some_history,
    some_peers,
)
from tests.datasets.reference import reference

from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import NO_PRICE
from ghtrader.datasets.factors.catalogue import CATALOGUE, SETS, factor_set
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.engine import flip
from ghtrader.datasets.factors.history import DaySummary
from ghtrader.datasets.factors.kernels import layout
from ghtrader.datasets.quality.redundancy import repeated
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

every_factor = pytest.mark.parametrize("factor", DECLARED, ids=[factor.id for factor in DECLARED])

PRICE_LEVEL = 1000  # ticks


class Trial:
    """One day under every law: what the kernel says of it, and of what was done to it. Each is computed once."""

    def __init__(self, case: Case) -> None:
        self.case = case

    @cached_property
    def batch(self) -> F64:
        return self.case.batch()

    @cached_property
    def stream(self) -> F64:
        return self.case.stream()[0]

    @cached_property
    def cuts(self) -> list[tuple[int, F64]]:
        n = len(self.case.ticks)
        return [(cut, self.case.rows(slice(0, cut)).batch()) for cut in (1, 2, 37, n // 7, n // 2, n - 1)]

    @cached_property
    def mirrored(self) -> F64:
        return mirror(self.case).batch()

    @cached_property
    def largest_move(self) -> float:
        """Relative to the first mid: the reflection changes a price level by twice as much, and nothing else."""
        mid = self.case.ticks.mid_ticks
        mid = mid[np.isfinite(mid)]
        return float(np.abs(mid / mid[0] - 1.0).max())

    @cached_property
    def holed(self) -> tuple[F64, F64, F64]:
        """Values at rows that were made to count for nothing; values at the others; values without those rows."""
        case, rows = spoil(self.case)
        got, others = case.batch(), np.ones(len(case.ticks), dtype=np.bool_)
        others[rows] = False
        return got[rows], got[others], self.case.rows(others).batch()

    @cached_property
    def levels(self) -> dict[str, F64]:
        return {name: replace(self.case, ticks=ticks).batch() for name, ticks in lifted(self.case).items()}

    @cached_property
    def alone(self) -> F64:
        """Each session part computed by itself, put together again."""
        t = self.case.ticks
        out = np.full_like(self.batch, np.nan)
        for part in np.unique(t.part):
            rows = np.flatnonzero(t.part == part)
            out[rows] = self.case.rows(rows).batch()
        return out

    @cached_property
    def reference(self) -> tuple[dict[str, F64], DaySummary]:
        c = self.case
        return reference(c.ticks, c.sessions, values=c.values, earlier=c.earlier, peers=c.peers)


def mirror(case: Case) -> Case:
    """Bids become asks: the market, the peers, and what earlier days left."""
    peers = None if case.peers is None else case.peers.copy()
    if peers is not None:
        odd = [layout.PEER_MID, layout.PEER_R2, layout.PEER_R10, layout.PEER_R60, layout.PEER_OFI10, layout.PEER_MICRO]
        peers[:, :, odd] *= -1.0
    earlier = tuple(msgspec.structs.replace(day, log_bid=day.log_ask, log_ask=day.log_bid) for day in case.earlier)
    return replace(case, ticks=flip(case.ticks), peers=peers, earlier=earlier)


def spoil(case: Case) -> tuple[Case, np.ndarray]:
    """The case with a hundred rows that do not count: no bid, no ask, crossed, in an auction."""
    t = case.ticks
    first = t.break_before | (np.diff(t.segment_id, prepend=t.segment_id[0]) != 0)
    rows = np.random.default_rng(4).choice(np.flatnonzero(~first), size=min(100, int((~first).sum())), replace=False)
    no_bid, no_ask, crossed, auction = np.array_split(rows, 4)
    bid_px, bid_sz, ask_px, ask_sz, phase = (x.copy() for x in (t.bid_px, t.bid_sz, t.ask_px, t.ask_sz, t.phase))
    bid_px[no_bid], bid_sz[no_bid], ask_px[no_ask], ask_sz[no_ask] = NO_PRICE, 0, NO_PRICE, 0
    bid_px[crossed, 0] = ask_px[crossed, 0]
    phase[auction] = int(Phase.MATCH)
    spoiled = replace(t, bid_px=bid_px, bid_sz=bid_sz, ask_px=ask_px, ask_sz=ask_sz, phase=phase)
    return replace(case, ticks=spoiled), np.sort(rows)


def lifted(case: Case) -> dict[str, object]:
    """The same day at other levels of price, open interest and cumulative volume."""
    t, unit = case.ticks, case.ticks.price_tick * case.ticks.multiplier
    there = t.amount > 0

    def up(prices: np.ndarray) -> np.ndarray:
        return np.where(prices == NO_PRICE, NO_PRICE, prices + PRICE_LEVEL)

    return {
        "price": replace(
            t, bid_px=up(t.bid_px), ask_px=up(t.ask_px), last_px=up(t.last_px),
            amount=np.where(there, t.amount + PRICE_LEVEL * unit * t.volume, t.amount),
        ),
        "open interest": replace(t, open_interest=np.where(t.open_interest > 0, t.open_interest + 1e6, 0.0)),
        "volume": replace(t, volume=t.volume + 5000.0, amount=np.where(there, t.amount + 5000.0 * 2974.0 * unit, t.amount)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def trials(sample_day: Callable) -> dict[str, Trial]:
    """A whole real day, a rough stretch of a generated one over a session break, and the market in which nothing can be known."""
    ticks, sessions = sample_day("2025-06-06")
    planted, null = (next(generate_market(name, 2, days=1)) for name in ("planted", "null"))
    rough, plain = day_ticks(planted), day_ticks(null).rows(slice(0, 6000))
    over = int(np.flatnonzero(rough.break_before)[2])  # 0: auction, 1: night
    rough = roughened(rough.rows(slice(over - 3000, over + 2500)), 1)
    return {
        "real": Trial(Case(ticks, sessions, some_history(90_000.0, 1), None, some_peers(len(ticks), 2))),
        "rough": Trial(Case(rough, planted.sessions, some_history(6010.0, 3), FITTED, some_peers(len(rough), 4))),
        "null": Trial(Case(plain, null.sessions, some_history(5000.0, 5), FITTED, some_peers(len(plain), 6))),
    }


def column(values: F64, factor: Factor) -> F64:
    return values[:, COLUMN[factor.id]]


def assert_same(got: F64, expected: F64, what: str) -> None:
    different = np.flatnonzero(~((got == expected) | (np.isnan(got) & np.isnan(expected))))
    assert len(different) == 0, (
        f"{what}: {len(different)} of {len(got)} rows differ, the first is {different[0]}: "
        f"{got[different[0]]!r} where {expected[different[0]]!r} was expected"
    )


@every_factor
def test_batch_equals_incremental_bit_for_bit(trials: dict[str, Trial], factor: Factor) -> None:
    for name, trial in trials.items():
        assert_same(column(trial.stream, factor), column(trial.batch, factor), name)


@every_factor
def test_cutting_the_future_does_not_move_the_past(trials: dict[str, Trial], factor: Factor) -> None:
    for name, trial in trials.items():
        for cut, values in trial.cuts:
            assert_same(column(values, factor), column(trial.batch, factor)[:cut], f"{name}, first {cut} rows")


@every_factor
def test_flipping_bid_and_ask_obeys_the_card(trials: dict[str, Trial], factor: Factor) -> None:
    for name, trial in trials.items():
        plain, mirrored = column(trial.batch, factor), column(trial.mirrored, factor)
        if factor.flip == "swap":
            assert_same(mirrored, trial.batch[:, COLUMN[factor.partner]], name)
        elif factor.level_exempt:
            np.testing.assert_allclose(mirrored, plain, rtol=3.0 * trial.largest_move)
        else:
            assert_same(mirrored, -plain if factor.flip == "odd" else plain, name)


@every_factor
def test_rows_that_do_not_count_are_nan_and_leave_every_state_alone(trials: dict[str, Trial], factor: Factor) -> None:
    for name, trial in trials.items():
        assert np.isnan(column(trial.batch, factor)[trial.case.ticks.phase != int(Phase.CONTINUOUS)]).all()
        spoiled, others, without = trial.holed
        assert np.isnan(column(spoiled, factor)).all()
        assert_same(column(others, factor), column(without, factor), name)


@every_factor
def test_no_level_of_price_volume_or_open_interest_leaks_in(trials: dict[str, Trial], factor: Factor) -> None:
    for name, trial in trials.items():
        for level, values in trial.levels.items():
            if level == "price" and factor.level_exempt:
                assert not same(values, trial.batch)[COLUMN[factor.id]], "an exemption that nothing needs"
            else:
                assert_same(column(values, factor), column(trial.batch, factor), f"{name}, {level}")


@every_factor
def test_a_session_part_alone_gives_the_same_but_for_what_lives_through_the_day(trials: dict[str, Trial], factor: Factor) -> None:
    trial = trials["real"]
    if factor.scope == "day":
        assert not same(trial.alone, trial.batch)[COLUMN[factor.id]], "it does not live through the day"
    else:
        assert_same(column(trial.alone, factor), column(trial.batch, factor), "real")


@every_factor
def test_a_factor_alone_is_the_same_as_among_all_others(trials: dict[str, Trial], factor: Factor) -> None:
    trial = trials["rough"]
    alone = trial.case.batch(FactorSet(name="alone", factors=(factor,), set_hash=""))
    assert_same(alone[:, 0], column(trial.batch, factor), "rough")


def assert_agrees(got: F64, expected: F64, what: str) -> None:
    assert (np.isnan(got) == np.isnan(expected)).all(), (
        f"{what}: NaN in rows {np.flatnonzero(np.isnan(got) != np.isnan(expected))[:5]}"
    )
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9, err_msg=what)


@pytest.fixture(scope="module")
def judged(trials: dict[str, Trial]) -> dict[str, Trial]:
    """Stretches that are short enough for the slow reference; neutral and fitted parameters, with everything and with nothing beside."""
    real = trials["real"].case
    over = int(np.flatnonzero(real.ticks.break_before)[2])
    bare = replace(real, earlier=(), peers=None)
    middle = real.rows(slice(over - 600, over + 600))
    return {
        "the real day's beginning": Trial(bare.rows(slice(0, 900))),
        "over a real break": Trial(replace(middle, earlier=some_history(2000.0, 8), values=FITTED)),
        "rough": trials["rough"],
        "null": Trial(trials["null"].case.rows(slice(0, 1500))),
    }


@every_factor
def test_the_formula_agrees_with_the_slow_reference(judged: dict[str, Trial], factor: Factor) -> None:
    for name, trial in judged.items():
        assert_agrees(column(trial.batch, factor), trial.reference[0][factor.id], name)


def assert_summaries_agree(got: DaySummary, expected: DaySummary) -> None:
    assert (got.trading_day, got.volume, got.activity) == (expected.trading_day, expected.volume, expected.activity)
    assert got.vpin == expected.vpin
    assert (got.log_bid, got.log_ask) == pytest.approx((expected.log_bid, expected.log_ask), rel=1e-12)


def test_what_a_day_leaves_agrees_with_the_slow_reference(judged: dict[str, Trial]) -> None:
    for trial in judged.values():
        assert_summaries_agree(trial.case.batch_day()[1], trial.reference[1])


def test_three_days_in_a_row_in_batch_as_live_and_by_the_reference(sample_day: Callable) -> None:
    batch: tuple[DaySummary, ...] = ()
    live: tuple[DaySummary, ...] = ()
    slow: tuple[DaySummary, ...] = ()
    for day in ("2025-06-05", "2025-06-06", "2025-06-09"):
        ticks, sessions = sample_day(day)
        breaks = np.flatnonzero(ticks.break_before)
        rows = np.concatenate([np.arange(600), np.arange(breaks[2] - 100, breaks[2] + 700)])
        case = Case(ticks.rows(rows), sessions)
        values, left = replace(case, earlier=batch).batch_day()
        streamed, left_live = replace(case, earlier=live).stream()
        by_hand, left_slow = reference(case.ticks, sessions, earlier=slow)
        assert same(values, streamed).all()
        assert left == left_live
        assert_summaries_agree(left, left_slow)
        for factor in DECLARED:
            assert_agrees(column(values, factor), by_hand[factor.id], f"{day} {factor.id}")
        batch, live, slow = (*batch, left), (*live, left_live), (*slow, left_slow)
    assert all(np.isfinite(values[:, COLUMN[id_]]).any() for id_ in ("F80", "F81", "F99"))


def test_after_a_day_on_which_no_row_counted_depth_begins_anew(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-06")
    part = ticks.rows(slice(0, 200))
    locked = replace(part, ask_px=np.full_like(part.ask_px, NO_PRICE), ask_sz=np.zeros_like(part.ask_sz))
    values, left = Case(locked, sessions).batch_day()
    assert np.isnan(values).all()
    after, fresh = Case(part, sessions, (left,)).batch(), Case(part, sessions).batch()
    known = [COLUMN[factor.id] for factor in DECLARED if not factor.needs]
    assert same(after, fresh)[known].all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_small_markets_obey_every_law(sample_day: Callable, data: st.DataObject) -> None:
    ticks, sessions = sample_day("2025-06-05")
    trial = Trial(data.draw(small_markets(Case(ticks, sessions))))
    ids = np.array(list(COLUMN))
    assert ids[~same(trial.stream, trial.batch)].tolist() == []
    for cut, values in trial.cuts[:2]:
        assert ids[~same(values, trial.batch[:cut])].tolist() == []
    spoiled, others, without = trial.holed
    assert np.isnan(spoiled).all()
    assert ids[~same(others, without)].tolist() == []
    for factor in DECLARED:
        assert_agrees(
            column(trial.batch, factor), trial.reference[0].get(factor.id, np.full(len(trial.batch), np.nan)), factor.id
        )
        if not factor.level_exempt:
            partner = trial.batch[:, COLUMN[factor.partner or factor.id]]
            assert_same(column(trial.mirrored, factor), -partner if factor.flip == "odd" else partner, f"flip {factor.id}")


def test_cards_are_whole_and_sets_name_declared_factors() -> None:
    cards = {factor.id: factor for factor in CATALOGUE}
    assert len(cards) == len(CATALOGUE) == len({factor.slot for factor in CATALOGUE})
    assert SETS["full"] == tuple(f"F{number}" for number in range(1, 109))
    assert all(set(names) <= set(cards) for names in SETS.values())
    for factor in CATALOGUE:
        whole = (factor.name, factor.formula, factor.unit, factor.lookback, factor.columns, factor.nan_policy, factor.group)
        assert all(whole), factor.id
        assert 0 <= factor.slot < layout.N_FACTORS
        assert (factor.flip == "swap") == bool(factor.partner)
        assert not factor.partner or cards[factor.partner].partner == factor.id
        assert bool(factor.fitted) == bool(factor.neutral)
        assert bool(factor.needs) == bool(factor.absent_reason)
    reaching = [id_ for id_ in SETS["full"] if cards[id_].needs]
    assert len(reaching) <= 15


def test_on_one_file_of_one_day_only_what_says_so_is_absent(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-10")
    values = Case(ticks, sessions).batch()
    continuous = values[ticks.phase == int(Phase.CONTINUOUS)]
    known = np.isfinite(continuous).mean(axis=0)
    assert {factor.id for factor in DECLARED if factor.needs} == {
        factor.id for factor in DECLARED if known[COLUMN[factor.id]] == 0
    }
    few = {factor.id: known[COLUMN[factor.id]] for factor in DECLARED if 0 < known[COLUMN[factor.id]] < 0.9}
    assert few == {}
    assert not np.isinf(values).any()


def test_constant_and_duplicate_factors_of_a_real_day_are_these(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-10")
    full = factor_set("full")
    constant, alike = repeated(Case(ticks, sessions).batch(full))
    # this contract's books have no hole in their five levels
    assert [full.ids[at] for at in constant] == ["F23"]
    # its spread is one or two ticks, so whether it is one says the spread; the open share is (1 + open interest per lot)/2
    assert [(full.ids[i], full.ids[j]) for i, j, _ in alike] == [("F1", "F2"), ("F56", "F58")]


def test_every_law_covers_every_declared_factor() -> None:
    assert EVERY.factors == CATALOGUE
    assert set(factor_set("all").ids) == set(COLUMN)
