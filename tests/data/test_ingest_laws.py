"""Laws of importing, on generated days with every kind of disorder."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.core.clock import SystemClock
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import DayImport, Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.manifests import compare_with_manifest
from ghtrader.data.stamps import respace, snap_stamps
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.builders import DAY, SYMBOL, source_frame

KEY = DayKey("raw", SYMBOL, TradingDay.parse(DAY))
MINUTE_NS = 60_000_000_000


class Store:
    def __init__(self) -> None:
        self.ticks = MemoryTickStore()
        self._ingest = Ingest(self.ticks, Calendar.vendored(), InstrumentTable.vendored(), SystemClock(), "test")

    def add(self, frame: pl.DataFrame, symbol: str = SYMBOL) -> DayImport:
        (result,) = self._ingest.import_frame(symbol, frame, source="test", sha256=str(frame.height))
        assert result.rows_in == frame.height
        assert result.rows_in == result.rows_written + result.deduped + sum(result.dropped.values())
        assert result.rows_written >= 0
        manifest = self.ticks.manifest(KEY)
        if manifest is not None and symbol == SYMBOL:
            assert compare_with_manifest(manifest, self.ticks.read_day(KEY)) == []
        return result

    @property
    def rows(self) -> pl.DataFrame:
        return self.ticks.read_day(KEY)


@st.composite
def days(draw: st.DrawFn, *, equal_stamps: bool = True) -> pl.DataFrame:
    """A clean day, all stamps different unless ``equal_stamps``."""
    rows = draw(st.integers(4, 60))
    frame = source_frame(rows, seed=draw(st.integers(0, 10_000)))
    if equal_stamps and draw(st.booleans()):
        joined = draw(st.sets(st.integers(1, rows - 1), max_size=rows // 2))
        stamps = frame["datetime"].to_numpy().copy()
        for row in sorted(joined):
            stamps[row] = stamps[row - 1]
        frame = frame.with_columns(pl.Series("datetime", stamps))
    return frame


@st.composite
def messy_days(draw: st.DrawFn) -> pl.DataFrame:
    """A day with repeated, shuffled, stray, stale, absent and impossible rows."""
    frame = draw(days())
    rows = frame.height
    repeated = draw(st.lists(st.integers(0, rows - 1), max_size=6))
    frame = pl.concat([frame, *(frame[row] for row in repeated)])
    order = draw(st.permutations(range(frame.height))) if draw(st.booleans()) else list(range(frame.height))
    frame = frame[order]
    for name, value in draw(
        st.lists(
            st.tuples(
                st.sampled_from(["last_price", "bid_price1", "ask_price3", "bid_volume2", "volume", "open_interest", "datetime"]),
                st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 1.8e308, None, 5.0]),
            ),
            max_size=5,
        )
    ):
        row = draw(st.integers(0, frame.height - 1))
        cells = frame[name].to_list()
        if name == "datetime":
            cells[row] += draw(st.sampled_from([-8 * 60, -300, 5, 700])) * MINUTE_NS
        else:
            cells[row] = value
        frame = frame.with_columns(pl.Series(name, cells, dtype=frame.schema[name]))
    return frame


def _on_the_day(frame: pl.DataFrame) -> pl.DataFrame:
    from ghtrader.data.sessions import trading_days_of

    known, index = trading_days_of(frame["datetime"].to_numpy(), "SHFE.rb", Calendar.vendored(), InstrumentTable.vendored())
    return frame.filter(pl.Series([known[position] == KEY.trading_day for position in index]))


@settings(max_examples=150, deadline=None)
@given(frame=messy_days())
def test_importing_again_writes_nothing(frame: pl.DataFrame) -> None:
    frame = _on_the_day(frame)
    store = Store()
    first = store.add(frame)
    again = store.add(frame)
    assert (again.rows_written, again.superseded) == (0, 0)
    assert again.digest == first.digest
    assert again.rows_stored == first.rows_stored


@settings(max_examples=150, deadline=None)
@given(frame=messy_days())
def test_what_is_stored_is_sorted_with_no_two_equal_stamps(frame: pl.DataFrame) -> None:
    store = Store()
    if store.add(_on_the_day(frame)).rows_stored:
        stamps = store.rows["datetime"].to_numpy()
        assert bool((np.diff(stamps) >= 1_000).all())
        assert store.rows["row_hash"].n_unique() == len(stamps)


@settings(max_examples=100, deadline=None)
@given(frame=messy_days())
def test_importing_what_is_stored_changes_nothing(frame: pl.DataFrame) -> None:
    store, other = Store(), Store()
    first = store.add(_on_the_day(frame))
    if first.rows_stored:
        assert other.add(store.rows).digest == first.digest
        assert store.add(store.rows).rows_written == 0


@settings(max_examples=100, deadline=None)
@given(frame=days(equal_stamps=False), data=st.data())
def test_chunks_in_any_order_give_one_digest(frame: pl.DataFrame, data: st.DataObject) -> None:
    whole, parts = Store(), Store()
    expected = whole.add(frame).digest
    cuts = sorted(data.draw(st.sets(st.integers(1, frame.height - 1), max_size=4)))
    chunks = [frame[start:stop] for start, stop in zip([0, *cuts], [*cuts, frame.height], strict=True)]
    overlap = data.draw(st.integers(0, 5))
    chunks.append(frame[overlap : overlap + data.draw(st.integers(1, 20))])
    for chunk in data.draw(st.permutations(chunks)):
        if chunk.height:
            parts.add(chunk)
    assert parts.rows.select(whole.rows.columns).equals(whole.rows)
    manifest = parts.ticks.manifest(KEY)
    assert manifest is not None
    assert manifest.digest == expected


@settings(max_examples=100, deadline=None)
@given(frame=days(), data=st.data())
def test_a_file_that_grows_ends_as_if_imported_at_once(frame: pl.DataFrame, data: st.DataObject) -> None:
    whole, growing = Store(), Store()
    expected = whole.add(frame).digest
    for stop in sorted(data.draw(st.sets(st.integers(1, frame.height), max_size=4))):
        growing.add(frame[:stop])
    assert growing.add(frame).digest == expected


@settings(max_examples=100, deadline=None)
@given(frame=days(), through_float=st.booleans())
def test_a_source_that_spaced_equal_stamps_itself_gives_the_same_rows(frame: pl.DataFrame, through_float: bool) -> None:
    plain, spaced = Store(), Store()
    stamps, _ = respace(frame["datetime"].to_numpy())
    if through_float:
        stamps = stamps.astype(np.float64).astype(np.int64)
    expected = plain.add(frame).digest
    assert spaced.add(frame.with_columns(pl.Series("datetime", stamps))).digest == expected
    assert spaced.add(frame).rows_written == 0


@settings(max_examples=100, deadline=None)
@given(frame=days(), order=st.randoms(use_true_random=False))
def test_a_shuffled_file_loses_no_row(frame: pl.DataFrame, order: object) -> None:
    frame = frame.unique("datetime", keep="first", maintain_order=True)
    rows = list(range(frame.height))
    order.shuffle(rows)  # type: ignore[attr-defined]
    plain, shuffled = Store(), Store()
    assert shuffled.add(frame[rows]).digest == plain.add(frame).digest


@pytest.mark.parametrize("offset_ns", [0, 312_000])
@pytest.mark.parametrize("rows", [3, 150])
def test_any_number_of_equal_stamps_is_imported_once(rows: int, offset_ns: int) -> None:
    frame = source_frame(rows, parts=["am1"])
    frame = frame.with_columns(pl.lit(frame["datetime"][0] + offset_ns).alias("datetime"))
    store = Store()
    assert store.add(frame).rows_written == rows
    assert store.add(frame).rows_written == 0


@pytest.mark.parametrize("volume", [0.0, 1e6])
def test_a_late_row_that_was_dropped_is_dropped_again(volume: float) -> None:
    frame = source_frame(40, seed=3, parts=["am1"])
    late = frame[20].with_columns(pl.col("datetime") + 100_000_000, pl.lit(volume).alias("volume"))
    store = Store()
    for written in (40, 0):
        result = store.add(pl.concat([frame, late]))
        assert (result.rows_written, result.dropped) == (written, {"late_volume_fell": 1})


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.sampled_from([0, 0, 0, 1_000, 1_024, 2_000, 60_000, 250_000, 500_000_000]), min_size=1, max_size=400),
    start=st.sampled_from([1_749_042_000_500_000_000, 1_749_042_000_500_312_000]),
)
def test_snapping_what_was_spaced_and_spacing_it_again_changes_nothing(steps: list[int], start: int) -> None:
    stamps = np.cumsum(np.array([start, *steps], dtype=np.int64))
    snapped = snap_stamps(stamps)
    assert bool((np.diff(snapped) >= 0).all())
    spaced, _ = respace(snapped)
    again = snap_stamps(spaced)
    assert np.array_equal(respace(again)[0], spaced)
    assert bool((np.diff(spaced) >= 1_000).all())
