from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ghtrader.research.bootstrap import (
    Resampler,
    auc_table,
    block_ids,
    interval_auc,
    interval_auc_difference,
    interval_ratio,
)

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


def _scores(rows: int, seed: int, lift: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    positive = random.random(rows) < 0.5
    return random.normal(size=rows) + lift * positive, positive


@pytest.mark.parametrize("lift", [0.0, 0.4, 2.0])
def test_auc_from_histograms_is_the_exact_auc(lift: float) -> None:
    score, positive = _scores(20_000, 1, lift)
    blocks = np.arange(20_000) // 1000
    value = interval_auc(auc_table(score, positive, blocks, 20), Resampler(20, replicates=50, seed=0)).value
    assert value == pytest.approx(roc_auc_score(positive, score), abs=2e-5)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(20, 300), levels=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_auc_counts_ties_as_half(seed: int, rows: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    score = random.integers(0, levels, rows).astype(np.float64)
    positive = random.random(rows) < 0.5
    positive[:2] = (True, False)
    table = auc_table(score, positive, np.zeros(rows, dtype=np.int64), 1)
    value = interval_auc(table, Resampler(1, replicates=10, seed=0)).value
    assert value == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_auc_of_the_mirrored_score_is_one_minus_the_auc() -> None:
    score, positive = _scores(5000, 3, 0.5)
    blocks = np.arange(5000) // 500
    resampler = Resampler(10, replicates=50, seed=0)
    there = interval_auc(auc_table(score, positive, blocks, 10), resampler).value
    back = interval_auc(auc_table(-score, positive, blocks, 10), resampler).value
    assert there + back == pytest.approx(1.0, abs=1e-4)


def test_paired_difference_of_a_score_with_itself_is_zero_without_width() -> None:
    score, positive = _scores(5000, 3, 0.5)
    table = auc_table(score, positive, np.arange(5000) // 500, 10)
    found = interval_auc_difference(table, table, Resampler(10, replicates=200, seed=0))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_paired_difference_is_narrower_than_its_parts_when_scores_agree() -> None:
    random = np.random.default_rng(5)
    moods = np.repeat(random.normal(0.5, 0.5, 40), 500)  # days differ, both scores feel it
    positive = random.random(20_000) < 0.5
    shared = moods * positive + random.normal(size=20_000)
    tables = [auc_table(shared + 0.1 * random.normal(size=20_000), positive, np.arange(20_000) // 500, 40) for _ in range(2)]
    resampler = Resampler(40, replicates=500, seed=0)
    alone = interval_auc(tables[0], resampler)
    paired = interval_auc_difference(tables[0], tables[1], resampler)
    assert paired.high - paired.low < 0.3 * (alone.high - alone.low)


def test_intervals_of_dependent_blocks_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    hits = 0
    for trial in range(300):
        means = random.normal(0.0, 1.0, 10)  # ten blocks of 50 rows that move together
        sums = means * 50 + random.normal(0.0, np.sqrt(50), 10)
        found = interval_ratio(sums, np.full(10, 50.0), Resampler(10, replicates=300, seed=trial))
        hits += found.low <= 0.0 <= found.high
    assert 0.92 <= hits / 300 <= 0.985


def test_few_blocks_give_wide_intervals_and_one_gives_none() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0] * 5)
    wide = interval_ratio(values[:4], np.ones(4), Resampler(4, replicates=2000, seed=0))
    narrow = interval_ratio(values, np.ones(20), Resampler(20, replicates=2000, seed=0))
    alone = interval_ratio(values[:1], np.ones(1), Resampler(1, replicates=100, seed=0))
    assert wide.high - wide.low > 2.0 * (narrow.high - narrow.low)
    assert np.isnan(alone.low)
    assert alone.value == 1.0


def test_half_hour_blocks_below_twenty_days_and_whole_days_from_twenty_on() -> None:
    day = np.arange(0, 2 * HOUR_NS, 60_000_000_000)
    few = block_ids([day + number * DAY_NS for number in range(19)])
    many = block_ids([day + number * DAY_NS for number in range(20)])
    assert [len(np.unique(blocks)) for blocks in few] == [4] * 19
    assert len(np.unique(np.concatenate(few))) == 19 * 4
    assert [set(blocks.tolist()) for blocks in many] == [{number} for number in range(20)]


def test_same_seed_draws_the_same_blocks_in_any_process() -> None:
    counts = Resampler(7, replicates=3, seed=42).counts
    assert counts.sum(axis=1).tolist() == [7.0, 7.0, 7.0]
    assert np.array_equal(counts, Resampler(7, replicates=3, seed=42).counts)
    assert not np.array_equal(counts, Resampler(7, replicates=3, seed=43).counts)
