"""A bare file as days of arrays: the rows an import keeps, each traceable to its place in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ghtrader.core.errors import DataError
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import DropReason
from ghtrader.data.day_ticks import GAP_FOLLOWS
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.thresholds import Thresholds
from ghtrader.pipelines.tick_file import TickFile, load_tick_file
from ghtrader.testing.builders import source_frame

SAMPLES = Path(__file__).parents[2] / "samples"
DAYS = ("20250605", "20250606")


def load(path: Path, **options: object) -> TickFile:
    return load_tick_file(path, options.pop("symbol", None), Calendar.vendored(), InstrumentTable.vendored(), **options)  # type: ignore[arg-type]


def same_rows(frame: pl.DataFrame, file: TickFile) -> None:
    """Every kept row is the file's row that it says it is."""
    for day in file.days:
        picked = frame[day.arrival]
        assert picked["volume"].to_numpy().tolist() == day.ticks.volume.tolist()
        assert (np.abs(picked["datetime"].to_numpy() - day.ticks.ts_ns) < 1_000_000).all()
        assert (file.datetime_ns[day.arrival] == day.ticks.ts_ns).all()
    kept = np.concatenate([day.arrival for day in file.days])
    assert sorted(kept) == np.flatnonzero(file.dropped == "").tolist()


def test_two_days_in_one_file_are_the_two_stored_days(sample_day: Callable, tmp_path: Path) -> None:
    frame = pl.concat([pl.read_parquet(SAMPLES / f"SHFE.rb2510.{day}.parquet") for day in DAYS])
    frame.write_parquet(tmp_path / "SHFE.rb2510.two.parquet")
    file = load(tmp_path / "SHFE.rb2510.two.parquet")
    same_rows(frame, file)
    assert [day.ticks.trading_day.compact for day in file.days] == list(DAYS)
    for day in file.days:
        stored = sample_day(day.ticks.trading_day.iso)[0]
        for name in ("ts_ns", "bid_px", "ask_sz", "amount", "flags", "break_before"):
            np.testing.assert_array_equal(getattr(day.ticks, name), getattr(stored, name))
    assert load(tmp_path / "SHFE.rb2510.two.parquet", symbol="SHFE.rb2505").symbol == "SHFE.rb2505"


def test_dropped_rows_say_why_and_the_others_keep_their_place(tmp_path: Path) -> None:
    frame = source_frame(400, parts=["am1", "am2"])
    stray = frame[10].with_columns(pl.lit(frame["datetime"][0] - 7_200_000_000_000).alias("datetime"))
    negative = frame[20].with_columns((pl.col("datetime") + 1_000_000).alias("datetime"), pl.lit(-1.0).alias("volume"))
    late = frame[30].with_columns(pl.lit(0.0).alias("volume"), (pl.col("datetime") + 1_000_000).alias("datetime"))
    mixed = pl.concat([frame[:50], stray, frame[40], frame[50:60], negative, late, frame[60:]])
    path = tmp_path / "SHFE.rb2510.csv.parquet"
    mixed.write_parquet(path)
    file = load(path)
    same_rows(mixed, file)
    reasons = {int(row): file.dropped[row] for row in np.flatnonzero(file.dropped != "")}
    assert reasons == {
        50: DropReason.OUTSIDE_SESSION,
        51: DropReason.DUPLICATE,
        62: DropReason.IMPOSSIBLE,
        63: DropReason.LATE_VOLUME,
    }
    cut = load(path, until_ns=frame["datetime"][99])
    assert cut.rows == 104
    assert cut.days[0].ticks.ts_ns.tolist() == file.days[0].ticks.ts_ns[:100].tolist()


def test_an_evident_hole_is_a_hard_segment_and_the_end_of_the_file_is_none(tmp_path: Path) -> None:
    frame = pl.read_parquet(SAMPLES / f"SHFE.rb2510.{DAYS[0]}.parquet")
    whole = pl.concat([frame[:3000], frame[3240:5000]])  # two minutes are missing, and the day breaks off
    path = tmp_path / "SHFE.rb2510.parquet"
    whole.write_parquet(path)
    bare, judged = load(path).days[0], load(path, gap_limits=Thresholds()).days[0]
    assert not bare.ticks.gap_after.any()
    follows = np.flatnonzero(judged.ticks.gap_after == GAP_FOLLOWS)
    assert judged.arrival[follows].tolist() == [2999]
    assert judged.ticks.break_before[follows + 1].all()
    assert judged.gaps == 1
    frame[20_000:30_000].write_parquet(path)  # neither the parts before the first row nor those after the last one are gaps
    assert load(path, gap_limits=Thresholds()).days[0].gaps == 0
    frame[:1].write_parquet(path)  # the auction alone
    assert load(path, gap_limits=Thresholds()).days[0].gaps == 0


def test_a_file_that_keeps_no_row_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    frame = source_frame(8, parts=["am1"]).with_columns(pl.col("datetime") - 7_200_000_000_000)
    frame.write_parquet(tmp_path / "SHFE.rb2510.parquet")
    with pytest.raises(DataError, match=r"no row of SHFE\.rb2510 is left"):
        load(tmp_path / "SHFE.rb2510.parquet")
    frame.write_parquet(tmp_path / "ticks.parquet")
    with pytest.raises(DataError, match="does not say which contract"):
        load(tmp_path / "ticks.parquet")


def test_rows_of_a_series_bring_their_segments(tmp_path: Path) -> None:
    frame = source_frame(40).with_columns(
        pl.lit("SHFE.rb2510").alias("underlying_symbol"),
        pl.when(pl.int_range(pl.len()) < 20).then(1).otherwise(2).cast(pl.Int64).alias("segment_id"),
        pl.lit("h").alias("schedule_hash"),
    )
    frame.write_parquet(tmp_path / "series.parquet")
    day = load(tmp_path / "series.parquet", symbol="KQ.m@SHFE.rb").days[0]
    assert (day.ticks.segment_id == np.where(np.arange(40) < 20, 1, 2)).all()
    assert day.ticks.schedule_hash == "h"
