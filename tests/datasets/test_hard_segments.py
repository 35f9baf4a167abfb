"""Gaps, session breaks and rolls are hard segments: nothing on one side of a boundary moves when the other side changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest

from ghtrader.core.errors import ProvenanceError
from ghtrader.data.day_ticks import GAP_FOLLOWS, GAP_LATER, DayTicks, from_frame
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.factors.catalogue import CATALOGUE, SETS, factor_set
from ghtrader.datasets.factors.engine import FactorStream, breaks_of, compute, part_ends, part_starts
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS, direction_labels
from ghtrader.testing.builders import DAY, SYMBOL, day_sessions, tick_frame

ALL = factor_set("all")
ROWS, CUT, HOLE = 2400, 700, 60
KINDS = ("gap", "roll", "break")
Boundary = tuple[DayTicks, DaySessions, int]


def ticks_of(frame: pl.DataFrame, gaps: list[tuple[int, int]] | None = None) -> DayTicks:
    return from_frame(frame, price_tick=1.0, multiplier=10.0, gaps_ns=np.array(gaps or [], dtype=np.int64).reshape(-1, 2))


def frame_with(hole: slice = slice(0, 0)) -> pl.DataFrame:
    frame = tick_frame(ROWS, seed=5)
    return pl.concat([frame[: hole.start], frame[hole.stop :]])


def boundary(kind: str) -> Boundary:
    """A day, and the row at which a gap, a roll or a session break lies."""
    sessions = day_sessions(SYMBOL, DAY)
    frame = tick_frame(ROWS, seed=5)
    if kind == "gap":
        cut = frame_with(slice(CUT, CUT + HOLE))
        return ticks_of(cut, [(frame["datetime"][CUT - 1], frame["datetime"][CUT + HOLE])]), sessions, CUT
    if kind == "roll":
        segments = pl.when(pl.int_range(pl.len()) < CUT).then(1).otherwise(2).cast(pl.Int64)
        return ticks_of(frame.with_columns(segments.alias("segment_id"), pl.lit("h").alias("schedule_hash"))), sessions, CUT
    ticks = ticks_of(frame)
    return ticks, sessions, int(np.flatnonzero(np.diff(ticks.part))[0]) + 1


def disfigured(ticks: DayTicks, rows: slice) -> DayTicks:
    """Everything a factor or a label can read, other than the stamps, is different in these rows."""
    rng = np.random.default_rng(9)

    def moved(name: str) -> np.ndarray:
        values = getattr(ticks, name).copy()
        values[rows] += rng.integers(1, 9, values[rows].shape).astype(values.dtype)
        return values

    names = ("bid_sz", "ask_sz", "last_px", "open_interest")
    ask_px, bid_px = ticks.ask_px.copy(), ticks.bid_px.copy()
    up = rng.integers(0, 40, len(ticks.ts_ns[rows]))[:, None]
    ask_px[rows] += up + 1
    bid_px[rows] += up
    volume, amount = ticks.volume.copy(), ticks.amount.copy()
    volume[rows] = volume[rows] * 3 + 11
    amount[rows] = amount[rows] * 3 + 7_000
    changed = {name: moved(name) for name in names}
    return replace(ticks, bid_px=bid_px, ask_px=ask_px, volume=volume, amount=amount, **changed)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_after_a_boundary_moves_nothing_before_it(kind: str) -> None:
    ticks, sessions, row = boundary(kind)
    later = disfigured(ticks, slice(row, None))
    assert same(compute(later, sessions, ALL)[:row], compute(ticks, sessions, ALL)[:row])
    (y, void), (moved, other) = direction_labels(ticks), direction_labels(later)
    assert same(moved[:row], y[:row])
    assert (other[:row] == void[:row]).all()
    assert not same(moved[row:], y[row:])  # the change is one that labels see


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_before_a_boundary_moves_nothing_after_it(kind: str) -> None:
    ticks, sessions, row = boundary(kind)
    earlier = disfigured(ticks, slice(0, row))
    whole, moved = compute(ticks, sessions, ALL), compute(earlier, sessions, ALL)
    kept = [
        item.scope == "run" or kind == "roll" for item in ALL.factors
    ]  # the day's state ends with the contract, not with a run
    assert same(moved[row:, kept], whole[row:, kept])
    assert not same(moved[:row], whole[:row])
    (y, _), (changed, _) = direction_labels(ticks), direction_labels(earlier)
    assert same(changed[row:], y[row:])
    assert set(ALL.ids) == {item.id for item in CATALOGUE}  # no factor escapes
    assert set().union(*SETS.values()) <= set(ALL.ids)


@pytest.mark.parametrize("kind", KINDS)
def test_factors_over_a_boundary_are_the_same_tick_by_tick(kind: str) -> None:
    ticks, sessions, _ = boundary(kind)
    live, ends = FactorStream(ALL, tick_value_cny=ticks.price_tick * ticks.multiplier), part_ends(ticks, sessions)
    starts, broken = part_starts(ticks, sessions), breaks_of(ticks)
    stepped = np.array(
        [
            live.step(
                int(ticks.ts_ns[i]), ticks.bid_px[i], ticks.bid_sz[i], ticks.ask_px[i], ticks.ask_sz[i], int(ticks.last_px[i]),
                float(ticks.volume[i]), float(ticks.amount[i]), float(ticks.open_interest[i]),
                break_before=bool(ticks.break_before[i]), continuous=bool(ticks.phase[i] == 3), part=int(ticks.part[i]),
                part_start_ns=int(starts[i]), part_end_ns=int(ends[i]), new_contract=bool(broken[i] == 2),
            )
            for i in range(len(ticks))
        ]
    )  # fmt: skip
    assert same(stepped, compute(ticks, sessions, ALL))


@pytest.mark.parametrize(("kind", "reason"), [("gap", VoidReason.GAP), ("roll", VoidReason.ROLL), ("break", VoidReason.BREAK)])
def test_a_label_across_a_boundary_is_void_with_that_reason_and_no_other(kind: str, reason: VoidReason) -> None:
    ticks, _, row = boundary(kind)
    _, void = direction_labels(ticks)
    for column, horizon in enumerate(DEFAULT_HORIZONS):
        seconds = ticks.ts_ns[row - 1] - ticks.ts_ns[:row] < horizon.length * 10**9
        reaching = seconds if horizon.unit == "seconds" else np.arange(row) + horizon.length > row - 1
        first = np.flatnonzero(ticks.break_before[:row])[-1]
        rows = np.flatnonzero(reaching)
        rows = rows[(rows > first) & ~np.isnan(ticks.mid_ticks[rows]) & (ticks.phase[rows] == 3)]
        assert len(rows)
        assert set(void[rows, column]) == {int(reason)}, str(horizon)


def test_what_the_horizon_meets_first_is_the_reason() -> None:
    """Rows missing up to the end of a part come before the break; the missing first rows of the next part come after it."""
    frame = tick_frame(ROWS, seed=5)
    parts = frame["part"].to_numpy()
    last = int(np.flatnonzero(np.diff(parts))[0])
    windows = {int(window.part): window for window in day_sessions(SYMBOL, DAY).parts}
    ends_early = ticks_of(frame, [(frame["datetime"][last], windows[int(parts[last])].end_ns)])
    begins_late = ticks_of(frame, [(windows[int(parts[last + 1])].start_ns - 10**9, frame["datetime"][last + 1])])
    both = ticks_of(
        frame,
        [(frame["datetime"][last], frame["datetime"][last] + 1), (frame["datetime"][last + 1] - 1, frame["datetime"][last + 1])],
    )
    for ticks, follows, reason in (
        (ends_early, GAP_FOLLOWS, VoidReason.GAP),
        (begins_late, GAP_LATER, VoidReason.BREAK),
        (both, GAP_FOLLOWS, VoidReason.GAP),
    ):
        assert ticks.gap_after[last] == follows
        assert ticks.gap_before[last + 1]
        _, void = direction_labels(ticks, (Horizon("ticks", 50),))
        assert set(void[last - 20 : last + 1, 0]) == {int(reason)}
    at_close = ticks_of(frame, [(frame["datetime"][-1], frame["datetime"][-1] + 10**9)])
    _, void = direction_labels(at_close, (Horizon("ticks", 50),))
    assert set(void[-20:, 0]) == {int(VoidReason.GAP)}


def test_a_gap_lies_exactly_between_its_rows_and_rows_inside_one_stand_alone() -> None:
    frame = tick_frame(ROWS, seed=5)
    stamps = frame["datetime"].to_list()
    exact = ticks_of(frame, [(stamps[99], stamps[100])])
    plain = ticks_of(frame)
    assert np.flatnonzero(exact.gap_after).tolist() == [99]
    assert np.flatnonzero(exact.break_before & ~plain.break_before).tolist() == [100]
    # a verdict on other rows than these: nothing between its ends belongs together
    stale = ticks_of(frame, [(stamps[99] + 1, stamps[103] - 1)])
    assert np.flatnonzero(stale.break_before & ~plain.break_before).tolist() == [100, 101, 102, 103]
    assert not ticks_of(frame, [(stamps[99], stamps[99])]).gap_after.any()
    outside = ticks_of(frame, [(stamps[0] - 10**9, stamps[0])])
    assert (outside.break_before == plain.break_before).all()
    for item in fields(exact):
        if isinstance(getattr(exact, item.name), np.ndarray):
            assert len(getattr(exact.rows(slice(50, 150)), item.name)) == 100


def test_rows_of_a_series_without_provenance_never_become_arrays() -> None:
    frame = tick_frame(40).with_columns(pl.lit(1, dtype=pl.Int64).alias("segment_id"), pl.lit("h").alias("schedule_hash"))
    assert (ticks_of(frame).schedule_hash, ticks_of(tick_frame(40)).schedule_hash) == ("h", "")
    row = pl.int_range(pl.len()) == 7
    holes: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
        lambda f: f.drop("schedule_hash"),
        lambda f: f.drop("segment_id"),
        lambda f: f.with_columns(pl.when(row).then(None).otherwise("segment_id").alias("segment_id")),
        lambda f: f.with_columns(pl.when(row).then(0).otherwise("segment_id").alias("segment_id")),
        lambda f: f.with_columns(pl.when(row).then(None).otherwise("schedule_hash").alias("schedule_hash")),
        lambda f: f.with_columns(pl.when(row).then(pl.lit("other")).otherwise("schedule_hash").alias("schedule_hash")),
        lambda f: f.with_columns(pl.lit("").alias("schedule_hash")),
        lambda f: f.drop("schedule_hash", "segment_id").with_columns(pl.lit("KQ.m@SHFE.rb").alias("symbol")),
    ]
    for spoil in holes:
        with pytest.raises(ProvenanceError, match=DAY):
            ticks_of(spoil(frame))
