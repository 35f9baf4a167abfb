"""The auditor of training jobs: each planted leak by its name, a clean job never; splits against plain definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import comb

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.leaks import FIT_KINDS, TrainingJob, audit_job, describe_job, refuse_leaks
from ghtrader.datasets.leaks.plants import JOB_PLANTS, plant_job
from ghtrader.datasets.splits import Fold, RowMasks, combinatorial, label_ends, row_masks, walk_forward
from ghtrader.pipelines.evaluate import JudgeSettings, evaluate
from ghtrader.research import training

S = 10**9
HORIZONS = (Horizon("ticks", 10), Horizon("seconds", 5))


def trading_days(count: int) -> list[TradingDay]:
    calendar, found = Calendar.vendored(), [TradingDay.parse("2025-01-06")]
    while len(found) < count:
        found.append(calendar.next(found[-1]))
    return found


def dataset(day: TradingDay, seed: int, *, rows: int = 60, segment: int = 0) -> DayDataset:
    """Four session parts of ``rows`` snapshots, a random walk of the mid, labels as their definition says."""
    rng = np.random.default_rng([seed, day.stamp_ns // (86_400 * S)])
    starts = day.stamp_ns + np.array([-11, 1, 3, 6]) * 3600 * S
    ts = np.concatenate([start + np.cumsum(rng.integers(1, 4, rows)) * S // 2 for start in starts])
    part, index = np.repeat(np.arange(4), rows), np.arange(4 * rows)
    mid = 3000 + np.cumsum(rng.integers(-2, 3, 4 * rows)) / 2.0
    y, void = np.full((4 * rows, 2), np.nan), np.full((4 * rows, 2), 5, np.uint8)
    for column, horizon in enumerate(HORIZONS):
        for row in range(4 * rows):
            last = (part[row] + 1) * rows - 1
            end = row + horizon.length
            if horizon.unit == "seconds":
                target = ts[row] + horizon.length * S
                end = int(np.searchsorted(ts, target, side="right")) - 1 if ts[last] >= target else last + 1
            if row % rows and end <= last and rng.random() > 0.02:
                y[row, column], void[row, column] = mid[end] - mid[row], 0
    return DayDataset(
        symbol="SHFE.rb2510",
        trading_day=day,
        ts_ns=ts,
        part=part.astype(np.int8),
        break_before=index % rows == 0,
        mid_ticks=mid,
        factor_names=("F1",),
        factors=rng.random((4 * rows, 1)),
        horizons=HORIZONS,
        y=y,
        void=void,
        eligible=rng.random(4 * rows) > 0.05,
        build_hash="",
        segment_ids=(segment,),
    )


def walk_job(datasets: Sequence[DayDataset], horizon: Horizon = HORIZONS[0], **options: int) -> TrainingJob:
    folds = [(fold, row_masks(fold, datasets, horizon, **options)) for fold in walk_forward([d.trading_day for d in datasets])]
    return describe_job(datasets, folds, horizon, fitted=tuple(FIT_KINDS))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("count", [4, 6, 27])
@pytest.mark.parametrize("horizon", HORIZONS, ids=str)
def test_a_clean_walk_forward_is_never_accused(seed: int, count: int, horizon: Horizon) -> None:
    datasets = [dataset(day, seed) for day in trading_days(count)]
    assert audit_job(walk_job(datasets, horizon)) == []
    assert audit_job(walk_job(datasets, horizon, stride=5)) == []


@pytest.mark.parametrize(
    ("groups", "tested", "embargo", "memory_s"), [(5, 2, 1, 0), (6, 1, 2, 0), (4, 2, 0, 7200), (4, 3, 1, 40_000)]
)
def test_a_clean_combinatorial_split_is_never_accused(groups: int, tested: int, embargo: int, memory_s: int) -> None:
    days = trading_days(9)
    datasets = [dataset(day, 3, segment=1 + (index >= 4)) for index, day in enumerate(days)]
    split = combinatorial(days, groups=groups, test_groups=tested, embargo_parts=embargo)
    folds = [(fold, row_masks(fold, datasets, HORIZONS[1], memory_ns=memory_s * S)) for fold in split.folds]
    job = describe_job(datasets, folds, HORIZONS[1], fitted=tuple(FIT_KINDS), scheme="combinatorial", memory_ns=memory_s * S)
    assert any(mask.any() for _, masks in folds for mask in masks.train.values())
    assert audit_job(job) == []


@pytest.mark.parametrize("name", JOB_PLANTS)
@pytest.mark.parametrize(("seed", "count"), [(1, 5), (2, 7), (3, 28)])
def test_each_planted_leak_is_found_under_its_name_and_no_other(name: str, seed: int, count: int) -> None:
    clean = walk_job([dataset(day, seed) for day in trading_days(count)])
    findings = audit_job(plant_job(name, clean, seed=seed))
    assert [item.name for item in findings] == [name], findings
    assert findings[0].evidence


def test_there_are_more_than_twenty_kinds_of_leaks_and_a_leaky_job_is_refused_by_name() -> None:
    assert len(JOB_PLANTS) >= 20
    clean = walk_job([dataset(day, 1) for day in trading_days(5)])
    refuse_leaks(clean)
    with pytest.raises(DataError, match="early_stopping_on_test") as error:
        refuse_leaks(plant_job("early_stopping_on_test", clean))
    assert error.value.context["findings"][0]["fold"] == 3


def test_real_days_are_clean_and_a_factor_that_remembers_another_contract_is_named(sample_day: Callable) -> None:
    real = [
        build_day(*sample_day(day), factor_set("minimal16")) for day in ("2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10")
    ]
    for horizon in (Horizon("ticks", 200), Horizon("seconds", 100)):
        assert audit_job(walk_job(real, horizon)) == []
    job = walk_job(real, Horizon("ticks", 50))
    days = {name: replace(day, segment=day.segment + (name > "2025-06-05")) for name, day in job.days.items()}
    rolled = audit_job(replace(job, days=days, memory_ns=3600 * S))
    assert [item.name for item in rolled] == ["roll_crossed"]
    assert "of 2025-06-06 looks back 3600 s, beyond a roll" in rolled[0].evidence


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(2, 9), st.data())
def test_combinatorial_splits_count_as_the_binomial_says(count: int, groups: int, data: st.DataObject) -> None:
    tested = data.draw(st.integers(1, groups - 1))
    days = trading_days(count)
    if count < groups:
        with pytest.raises(DataError, match="trading days"):
            combinatorial(days, groups=groups, test_groups=tested)
        return
    split = combinatorial(days, groups=groups, test_groups=tested)
    names = [day.iso for day in days]
    assert [day for group in split.groups for day in group] == names
    assert max(map(len, split.groups)) - min(map(len, split.groups)) <= 1
    assert len(split.folds) == comb(groups, tested)
    assert len(split.paths) == comb(groups - 1, tested - 1)
    for fold in split.folds:
        assert sorted([*fold.train_days, *fold.test_days]) == names
    pairs = [(group, fold) for path in split.paths for group, fold in enumerate(path)]
    assert len(set(pairs)) == len(pairs) == len(split.folds) * tested
    for group, number in pairs:
        assert set(split.groups[group]) <= set(split.folds[number - 1].test_days)


def test_splits_that_make_no_sense_are_refused() -> None:
    for groups, tested, embargo in ((2, 2, 1), (3, 0, 1), (3, 1, -1)):
        with pytest.raises(UsageError, match="groups tested"):
            combinatorial(trading_days(5), groups=groups, test_groups=tested, embargo_parts=embargo)
    with pytest.raises(DataError, match="4 different trading days of 5"):
        combinatorial([*trading_days(4), trading_days(1)[0]], groups=3, test_groups=1)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_are_kept_exactly_where_purge_embargo_and_roll_allow_it(data: st.DataObject) -> None:
    """Masks against the plain definition: every row of every training day, for folds with test days anywhere."""
    days = trading_days(data.draw(st.integers(3, 6)))
    roll = data.draw(st.integers(0, len(days)))
    datasets = [dataset(day, 5, rows=12, segment=1 + (index >= roll)) for index, day in enumerate(days)]
    test = data.draw(st.sets(st.integers(0, len(days) - 1), min_size=1, max_size=len(days) - 1))
    names = [day.iso for day in days]
    fold = Fold(
        number=1,
        train_days=tuple(name for index, name in enumerate(names) if index not in test),
        test_days=tuple(names[index] for index in sorted(test)),
        embargo_parts=data.draw(st.integers(0, 5)),
    )
    horizon, memory_ns = data.draw(st.sampled_from(HORIZONS)), data.draw(st.sampled_from([0, 60, 5000, 30_000, 90_000])) * S
    masks = row_masks(fold, datasets, horizon, horizons=HORIZONS, memory_ns=memory_ns)
    ends = {d.trading_day.iso: np.maximum(*(label_ends(d, item) for item in HORIZONS)) for d in datasets}
    units = [(name, part) for name in names for part in range(4)]
    tested = [index for index, (name, _) in enumerate(units) if name in fold.test_days]
    for position, item in enumerate(datasets):
        name = names[position]
        if name in fold.test_days:
            expected = item.eligible & (item.void[:, item.column(horizon)] == 0)
            np.testing.assert_array_equal(masks.test[name], expected)
            continue
        same = [index for index, d in enumerate(datasets) if d.segment_ids == item.segment_ids]
        begins = datasets[same[0]].ts_ns[0] if same[0] else -np.inf
        finishes = datasets[same[-1]].ts_ns[-1] if same[-1] + 1 < len(datasets) else np.inf
        for row in range(len(item)):
            kept = item.eligible[row] and item.void[row, item.column(horizon)] == 0
            knows = (item.ts_ns[row] - memory_ns, ends[name][row])
            for index in test:
                other = datasets[index]
                earlier = item.ts_ns[row] < other.ts_ns[0]
                apart = knows[1] < other.ts_ns[0] if earlier else knows[0] > ends[names[index]].max()
                kept = kept and apart
            at = units.index((name, int(item.part[row])))
            kept = kept and min(abs(at - unit) for unit in tested) > fold.embargo_parts
            kept = kept and begins <= knows[0] and knows[1] <= finishes
            assert masks.train[name][row] == kept, (name, row)


def test_an_evaluation_whose_rows_leak_is_refused(sample_day: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    real = [build_day(*sample_day(day), factor_set("minimal16")) for day in ("2025-06-05", "2025-06-06", "2025-06-09")]
    judging = JudgeSettings(models=("prior",), horizons=("50t",), seed=1, replicates=100, trade_quantile=0.98)
    evaluation, _ = evaluate(real, judging, artifacts=None, trials=None)
    card = evaluation.cards[0]
    assert card.theta_from == f"max(1 tick, 0.5 sd) of {card.train_rows} training labels, 2025-06-05 to 2025-06-06"

    def careless(fold: Fold, *arguments: object, **options: object) -> RowMasks:
        return row_masks(msgspec.structs.replace(fold, embargo_parts=0), *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "row_masks", careless)
    with pytest.raises(DataError, match="embargo_off_by_one \\(fold 1\\)"):
        evaluate(real, judging, artifacts=None, trials=None)
