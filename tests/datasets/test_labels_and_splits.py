from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import GAP_FOLLOWS, NO_GAP, NO_PRICE, DayTicks
from ghtrader.datasets.build import DatasetStore, build_day, build_identity
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS, direction_labels
from ghtrader.datasets.splits import Fold, RowMasks, check_disjoint, row_masks, walk_forward

MINIMAL = factor_set("minimal16")


def slow_label(ticks: DayTicks, row: int, horizon: Horizon) -> tuple[float, int]:
    """The definition, row by row: (y, void reason)."""
    mid, last = ticks.mid_ticks, len(ticks) - 1
    locked = (ticks.flags & 512) != 0
    if ticks.phase[row] != 3:
        return np.nan, VoidReason.NOT_CONTINUOUS
    if ticks.break_before[row]:
        return np.nan, VoidReason.AFTER_BREAK
    if locked[row]:
        return np.nan, VoidReason.LIMIT_LOCK
    if np.isnan(mid[row]):
        return np.nan, VoidReason.ONE_SIDED
    end, reached = row, False
    while not reached:
        if horizon.unit == "ticks" and end == row + horizon.length:
            reached = True
            break
        target = ticks.ts_ns[row] + horizon.length * 10**9
        if horizon.unit == "seconds" and ticks.ts_ns[end] == target:
            reached = True
            break
        if end == last or ticks.phase[end + 1] != 3 or ticks.break_before[end + 1]:
            if ticks.gap_after[end] == GAP_FOLLOWS:
                return np.nan, VoidReason.GAP
            if not (ticks.phase[end + 1 :] == 3).any():
                return np.nan, VoidReason.END
            if ticks.phase[end + 1] != 3:
                return np.nan, VoidReason.BREAK
            if ticks.segment_id[end + 1] != ticks.segment_id[end]:
                return np.nan, VoidReason.ROLL
            return np.nan, VoidReason.GAP if ticks.part[end + 1] == ticks.part[end] else VoidReason.BREAK
        if horizon.unit == "seconds" and ticks.ts_ns[end + 1] > target:
            reached = True
            break
        end += 1
    if locked[end]:
        return np.nan, VoidReason.LIMIT_LOCK
    if np.isnan(mid[end]):
        return np.nan, VoidReason.ONE_SIDED_AHEAD
    return float(mid[end] - mid[row]), VoidReason.NONE


def rough(ticks: DayTicks) -> DayTicks:
    """Pieces of a day with gaps, breaks, a roll, empty sides and limit-locks strewn in."""
    rng = np.random.default_rng(3)
    part = ticks.rows(np.r_[0:1500, 14_000:15_200, 27_000:28_000])
    follows = np.where(rng.random(len(part)) < 0.002, GAP_FOLLOWS, NO_GAP).astype(np.int8)
    breaks = part.break_before | np.concatenate([[False], follows[:-1] != NO_GAP])
    breaks[1500] = breaks[2700] = True
    ask_px = part.ask_px.copy()
    ask_px[rng.random(len(part)) < 0.01] = NO_PRICE
    flags = part.flags | np.where(rng.random(len(part)) < 0.005, np.uint32(512), np.uint32(0)).astype(np.uint32)
    segment = part.segment_id.copy()
    segment[2000:] = 2
    breaks[2000] = True
    return replace(part, break_before=breaks, gap_after=follows, ask_px=ask_px, flags=flags, segment_id=segment)


@pytest.mark.parametrize("horizon", [*DEFAULT_HORIZONS, Horizon("ticks", 1), Horizon("seconds", 1)], ids=str)
def test_labels_equal_the_plain_definition_with_their_reasons(sample_day: Callable, horizon: Horizon) -> None:
    ticks = rough(sample_day("2025-06-05")[0])
    y, void = direction_labels(ticks, (horizon,))
    for row in range(len(ticks)):
        expected, reason = slow_label(ticks, row, horizon)
        assert void[row, 0] == reason, row
        assert (np.isnan(y[row, 0]) and np.isnan(expected)) or y[row, 0] == expected


def test_every_void_reason_occurs_on_a_rough_day(sample_day: Callable) -> None:
    _, void = direction_labels(rough(sample_day("2025-06-05")[0]))
    assert set(np.unique(void)) == {int(reason) for reason in VoidReason}


@settings(max_examples=20, deadline=None)
@given(row=st.integers(100, 7000))
def test_a_label_depends_on_nothing_before_its_row_or_after_its_horizon(sample_day: Callable, row: int) -> None:
    ticks = sample_day("2025-06-05")[0]
    y, _ = direction_labels(ticks, (Horizon("ticks", 50),))
    bid_px = ticks.bid_px.copy()
    bid_px[:row] -= 7
    bid_px[row + 51 :] -= 7
    moved, _ = direction_labels(replace(ticks, bid_px=bid_px), (Horizon("ticks", 50),))
    assert moved[row, 0] == y[row, 0] or (np.isnan(moved[row, 0]) and np.isnan(y[row, 0]))


def test_a_void_label_is_never_flat() -> None:
    assert classes(np.array([np.nan, 0.0, 2.0, -2.0]), 1.0).tolist() == [-1, 1, 2, 0]
    assert theta_from_train(np.array([np.nan, 10.0, -10.0])) == 5.0
    assert theta_from_train(np.array([0.0, 0.0])) == 1.0


def days(count: int) -> list[TradingDay]:
    calendar = Calendar.vendored()
    day = TradingDay.parse("2025-01-02")
    found = [day]
    while len(found) < count:
        found.append(calendar.next(found[-1]))
    return found


@given(st.integers(3, 120))
def test_walk_forward_tests_every_later_day_once_and_trains_on_earlier_ones_only(count: int) -> None:
    chosen = days(count)
    folds = walk_forward(chosen)
    tested = [day for fold in folds for day in fold.test_days]
    assert tested == [day.iso for day in chosen][-len(tested) :]
    for fold in folds:
        assert max(fold.train_days) < min(fold.test_days)
        assert len(fold.train_days) <= 60
    assert len(tested) >= (20 if count >= 26 else 1)


def test_few_days_follow_the_small_sample_rule_and_two_are_refused() -> None:
    assert [len(f.test_days) for f in walk_forward(days(6))] == [1, 1, 1, 1]
    assert len(walk_forward(days(26))[0].train_days) == 6
    with pytest.raises(DataError, match="at least 3"):
        walk_forward(days(2))


def three_days(sample_day: Callable):
    return [build_day(*sample_day(day), MINIMAL) for day in ("2025-06-05", "2025-06-06", "2025-06-09")]


def test_embargo_and_purge_keep_training_away_from_the_test_day(sample_day: Callable) -> None:
    datasets = three_days(sample_day)
    fold = Fold(number=1, train_days=("2025-06-05", "2025-06-06"), test_days=("2025-06-09",))
    horizon = Horizon("ticks", 50)
    masks = row_masks(fold, datasets, horizon)
    assert not masks.train["2025-06-06"][datasets[1].part == 3].any()  # the last part before the test is embargoed
    assert masks.train["2025-06-05"][datasets[0].part == 3].any()
    assert check_disjoint(masks, datasets, horizon) == ""
    assert not (masks.test["2025-06-09"] & (datasets[2].void[:, 1] != 0)).any()


def test_rows_that_share_time_with_the_test_are_named(sample_day: Callable) -> None:
    datasets = three_days(sample_day)
    everything = {d.trading_day.iso: d.eligible for d in datasets}
    horizon = Horizon("ticks", 50)
    both = RowMasks(everything, {"2025-06-09": everything["2025-06-09"]})
    assert "trained on and tested on" in check_disjoint(both, datasets, horizon)
    later = RowMasks({"2025-06-09": everything["2025-06-09"]}, {"2025-06-06": everything["2025-06-06"]})
    assert "tests begin on 2025-06-06" in check_disjoint(later, datasets, horizon)
    tail = np.zeros(len(datasets[0]), dtype=np.bool_)
    tail[:3000] = True
    head = ~tail & datasets[0].eligible
    reaching = RowMasks({"2025-06-05": tail}, {"2025-06-05": head})
    assert "reaches into the test day" in check_disjoint(reaching, datasets, horizon)


def test_datasets_are_stored_by_content_and_read_back_whole(sample_day: Callable, tmp_path) -> None:
    ticks, sessions = sample_day("2025-06-05")
    identity = build_identity("digest", MINIMAL, DEFAULT_HORIZONS, [])
    built = build_day(ticks, sessions, MINIMAL, build_hash=identity)
    store = DatasetStore(tmp_path)
    assert store.load(ticks.symbol, ticks.trading_day, identity) is None
    store.save(built)
    again = store.load(ticks.symbol, ticks.trading_day, identity)
    assert again is not None
    for name in ("ts_ns", "factors", "y", "void", "eligible", "mid_ticks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(built, name))
    assert (
        identity
        != build_identity("digest", MINIMAL, DEFAULT_HORIZONS, [[5, 9]])
        != build_identity("other", MINIMAL, DEFAULT_HORIZONS, [[5, 9]])
    )
    assert (
        len({build_identity("digest", MINIMAL, DEFAULT_HORIZONS, [[5, end]], hash_) for end in (8, 9) for hash_ in ("a", "b")})
        == 4
    )
    path = next(tmp_path.rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:1000])
    assert store.load(ticks.symbol, ticks.trading_day, identity) is None
