from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from ghtrader.core.errors import UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.build import build_day
from ghtrader.datasets.candidate_selection import CandidateSpec, Limits, _beyond_chance, _information, _Sample, select_candidates
from ghtrader.datasets.candidates import Candidate, CandidateStream, apply_candidates, generate_candidates
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import factor, factor_set
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.labels.classes import classes
from ghtrader.datasets.splits import Fold
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

F64 = np.ndarray
HORIZON = Horizon("ticks", 10)


def same(a: F64, b: F64) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


# --- what a candidate is ---------------------------------------------------------------------------------------------


def slow(item: Candidate, x: F64, y: F64, ts: F64, breaks: F64) -> list[float]:
    """The prose of the docstring, with lists."""
    out: list[float] = []
    seen: list[tuple[int, float]] = []
    level = 0.0
    for row in range(len(ts)):
        if breaks[row]:
            seen = []
        known = np.isfinite(x[row]) and (item.op != "ratio" or np.isfinite(y[row]))
        if not known:
            out.append(np.nan)
            continue
        if item.op == "ratio":
            out.append(x[row] / y[row] if abs(y[row]) >= 1e-9 else np.nan)
        elif item.op == "ewm":
            weight = 2.0 ** (-(ts[row] - seen[-1][0]) / 1e9 / item.parameter) if seen else 0.0
            level = weight * level + (1.0 - weight) * x[row]
            out.append(level)
        else:
            k = int(item.parameter)
            before = seen[-k][1] if len(seen) >= k else np.nan
            out.append(before if item.op == "lag" else x[row] - before)
        seen.append((ts[row], x[row]))
    return out


def test_every_formula_is_that_of_the_slow_reference_over_holes_and_breaks() -> None:
    rng = np.random.default_rng(0)
    rows = 400
    factors = rng.normal(size=(rows, 2))
    factors[rng.random((rows, 2)) < 0.1] = np.nan
    factors[7, 1] = 0.0
    factors[11, 0] = np.inf
    ts = np.cumsum(rng.integers(1, 4, rows)) * 500_000_000
    breaks = rng.random(rows) < 0.02
    items = generate_candidates(["A", "B"], ["A"], ["B"])
    found = apply_candidates(items, ["A", "B"], factors, ts, breaks)
    for at, item in enumerate(items):
        x = factors[:, 0 if item.parents[0] == "A" else 1]
        assert found[:, at] == pytest.approx(np.array(slow(item, x, factors[:, 1], ts, breaks)), abs=1e-12, nan_ok=True), (
            item.name
        )


ITEMS = generate_candidates(["F4", "F61", "F12"], ["F4", "F31"], ["F68", "F1"])


def test_row_by_row_is_bit_for_bit_the_batch_and_the_future_moves_nothing(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-06")
    names = factor_set("minimal16").ids
    factors = compute(ticks, sessions, factor_set("minimal16"))
    whole = apply_candidates(ITEMS, names, factors, ticks.ts_ns, ticks.break_before)
    live = CandidateStream(ITEMS, names)
    rows = [live.step(int(ticks.ts_ns[i]), factors[i], break_before=bool(ticks.break_before[i])) for i in range(len(ticks))]
    assert same(np.array(rows), whole)
    cut = 12_345
    assert same(apply_candidates(ITEMS, names, factors[:cut], ticks.ts_ns[:cut], ticks.break_before[:cut]), whole[:cut])
    assert np.isfinite(whole).mean() > 0.95


def test_each_session_part_alone_gives_the_same(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-06")
    names = factor_set("minimal16").ids
    factors = compute(ticks, sessions, factor_set("minimal16"))
    whole = apply_candidates(ITEMS, names, factors, ticks.ts_ns, ticks.break_before)
    for window in sessions.parts:
        rows = np.flatnonzero(ticks.part == int(window.part))
        alone = apply_candidates(ITEMS, names, factors[rows], ticks.ts_ns[rows], ticks.break_before[rows])
        assert same(alone, whole[rows])
        assert np.isnan(alone[:20, [item.name == "lag(F4,20)" for item in ITEMS]]).all()


def test_what_means_nothing_is_refused_and_names_are_unique() -> None:
    for wrong in (
        {"op": "lag", "parents": ("F4",), "parameter": 0.0},
        {"op": "diff", "parents": ("F4",), "parameter": 2.5},
        {"op": "ewm", "parents": ("F4",), "parameter": 0.0},
        {"op": "ratio", "parents": ("F4",)},
        {"op": "lag", "parents": ("F4", "F1"), "parameter": 1.0},
    ):
        with pytest.raises(UsageError):
            Candidate(**wrong)
    with pytest.raises(UsageError, match="F99"):
        CandidateStream([Candidate(op="lag", parents=("F99",), parameter=1.0)], ["F4"])
    assert len({item.name for item in ITEMS}) == len({item.candidate_hash for item in ITEMS}) == len(ITEMS)


# --- selection -------------------------------------------------------------------------------------------------------

DAYS = ("2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10")
FOLD = Fold(number=1, train_days=DAYS[:3], test_days=DAYS[3:])
QUICK = Limits(sample_rows=1800)


def card(id_: str, flip: str = "odd") -> Factor:
    return msgspec.structs.replace(factor("F4"), id=id_, flip=flip, partner="", group="book")


CARDS = [card("A"), card("B"), card("C", "even"), card("D")]


def made_day(number: int, *, signal: float = 1.0) -> DayDataset:
    """Four factors that say nothing by themselves; the label is the change of A over five rows, and noise."""
    rng = np.random.default_rng([5, number])
    rows = 5000
    a = np.cumsum(rng.normal(size=rows))
    slow_noise = np.cumsum(rng.normal(size=rows)) * 0.1
    factors = np.column_stack([a, rng.normal(size=rows), 1.0 + rng.random(rows), slow_noise])
    change = a - np.concatenate([np.full(5, a[0]), a[:-5]])
    y = np.round((signal * change + 2.0 * rng.normal(size=rows)) * 2.0) / 2.0
    start = 1_749_000_000_000_000_000 + number * 86_400_000_000_000
    breaks = np.zeros(rows, dtype=np.bool_)
    breaks[0] = True
    return DayDataset(
        symbol="SHFE.rb2510", trading_day=TradingDay.parse(DAYS[number]), ts_ns=start + np.arange(rows) * 500_000_000,
        part=np.repeat(np.arange(4), rows // 4).astype(np.int8), break_before=breaks, mid_ticks=np.zeros(rows),
        factor_names=("A", "B", "C", "D"), factors=factors, horizons=(HORIZON,), y=y[:, None],
        void=np.zeros((rows, 1), dtype=np.uint8), eligible=np.ones(rows, dtype=np.bool_), build_hash=f"{number}",
    )  # fmt: skip


def selected(datasets: list[DayDataset]) -> CandidateSpec:
    return select_candidates(datasets, CARDS, FOLD, HORIZON, top=5, seed=3, limits=QUICK)


def test_what_stands_only_in_test_days_never_influences_the_choice() -> None:
    days = [made_day(number) for number in range(4)]
    spec = selected(days)
    assert spec.chosen[0].name == "diff(A,5)"
    assert {item.candidate.parents for item in spec.chosen} == {("A",)}  # noise makes nothing
    assert spec.first_ns == days[0].ts_ns[0]
    assert spec.last_ns < days[3].ts_ns[0]
    leaked = days[3].factors.copy()
    leaked[:, 1] = days[3].y[:, 0]  # B is the target itself, on the test day
    leaked[:, 3] = -days[3].y[:, 0]
    turned = replace(days[3], factors=leaked, y=-days[3].y, mid_ticks=days[3].mid_ticks + 7.0)
    assert selected([*days[:3], turned]).spec_hash == spec.spec_hash
    # the same leak in training days, five rows early, would be seen at once: the test above can fail
    seen = []
    for day in days[:3]:
        factors = day.factors.copy()
        factors[:-5, 1] = day.y[5:, 0]
        seen.append(replace(day, factors=factors))
    assert selected([*seen, days[3]]).chosen[0].name == "lag(B,5)"


def test_a_slow_column_has_no_information_beyond_what_overlapping_labels_give_any() -> None:
    """The clock finds neighbours in time, and neighbours share labels: without the moved labels it would look best of all."""
    rng = np.random.default_rng(11)
    day = made_day(0)
    steps = rng.normal(size=5000 + 199)
    y = np.convolve(steps, np.ones(200), "valid") / 10.0
    sees = y + rng.normal(size=5000)
    columns = np.column_stack([np.arange(5000.0), sees, rng.normal(size=5000)])
    sample = _Sample((day,), (np.arange(5000),), y, classes(y, 1.0), np.zeros(5000, dtype=np.int64), 1.0, 25, 0, 1)
    plain = _information(columns, sample.outcome, 1)
    net, z = _beyond_chance(columns, sample, 1)
    assert plain[0] > plain[1] > 0.05
    assert net[1] > 0.05
    assert z[1] > 3.0
    assert max(z[0], z[2]) < 3.0


def test_embargo_and_purge_hold_for_the_choice() -> None:
    days = [made_day(number) for number in range(4)]
    spec = selected(days)
    spoiled = days[2].factors.copy()
    spoiled[days[2].part == 3] = np.random.default_rng(1).normal(size=(1250, 4)) * 50
    assert selected([*days[:2], replace(days[2], factors=spoiled), days[3]]).spec_hash == spec.spec_hash


def test_without_a_signal_nothing_is_chosen_and_the_spec_can_be_read_back() -> None:
    spec = selected([made_day(number, signal=0.0) for number in range(4)])
    assert spec.chosen == ()
    assert sum(spec.rejected.values()) == spec.generated > 0
    assert spec.rejected["mutual information"] > spec.generated / 2
    found = selected([made_day(number) for number in range(4)])
    back = msgspec.json.decode(msgspec.json.encode(found), type=CandidateSpec)
    assert back == found
    assert back.spec_hash == found.spec_hash
    day = made_day(3)
    values = apply_candidates(back.candidates, day.factor_names, day.factors, day.ts_ns, day.break_before)
    assert values.shape == (5000, len(found.chosen))


def test_the_planted_channel_is_found_in_a_generated_market_and_noise_is_not() -> None:
    """Levels 3 to 5 lean before the market moves: their averages are the planted signal, and no declared factor of this set has them."""
    ids = ("F1", "F4", "F6", "F7", "F8", "F31", "F68")
    chosen = FactorSet(name="raw", factors=tuple(factor(id_) for id_ in ids), set_hash="")
    noise = ["NOISE1", "NOISE2"]
    cards = [*chosen.factors, *(card(id_) for id_ in noise)]
    horizon = Horizon("ticks", 50)
    datasets = []
    for number, day in enumerate(generate_market("planted", 7, days=5)):
        built = build_day(day_ticks(day), day.sessions, chosen, (horizon,))
        rng = np.random.default_rng([7, number])
        own = np.column_stack([rng.normal(size=len(built)), np.cumsum(rng.normal(size=len(built))) * 0.05])
        datasets.append(replace(built, factor_names=(*ids, *noise), factors=np.hstack([built.factors, own])))
    days = [dataset.trading_day.iso for dataset in datasets]
    fold = Fold(number=1, train_days=tuple(days[:4]), test_days=tuple(days[4:]))
    spec = select_candidates(datasets, cards, fold, horizon, top=10, seed=1, limits=Limits(sample_rows=6000))
    names = [item.name for item in spec.chosen]
    assert any(item.candidate.op == "ewm" and item.candidate.parents[0] in {"F6", "F7", "F8"} for item in spec.chosen[:3]), names
    assert not [name for name in names if "NOISE" in name]
