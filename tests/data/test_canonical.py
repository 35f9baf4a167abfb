"""Canonical form: what is kept, flagged, dropped and converted, one rule per test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from ghtrader.core.phases import Phase, SessionPart, TickFlag
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.canonical import CanonicalDay, canonical_day
from ghtrader.data.ingest import frame_arrays
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, MARKET_COLUMNS
from ghtrader.testing.builders import DAY, SYMBOL, day_sessions, source_frame

MS = 1_000_000
MINUTE = 60_000 * MS
HOUR = 60 * MINUTE


def _canonical(frame: pl.DataFrame, *, symbol: str = SYMBOL, day: str = DAY, stored: int = 0) -> CanonicalDay:
    arrays = frame_arrays(frame)
    return canonical_day(
        arrays.ts_ns,
        arrays.columns,
        sessions=day_sessions(symbol, day),
        price_tick=InstrumentTable.vendored().spec(symbol, TradingDay.parse(day)).price_tick,
        local_nano=arrays.local_nano,
        upper_limit=arrays.upper_limit,
        lower_limit=arrays.lower_limit,
        already_canonical=stored,
    )


def _set(frame: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    for name, value in values.items():
        cells = frame[name].to_list()
        cells[row] = value
        frame = frame.with_columns(pl.Series(name, cells, dtype=frame.schema[name]))
    return frame


def _flagged(day: CanonicalDay, flag: TickFlag) -> list[int]:
    return np.flatnonzero(day.flags & np.uint32(flag)).tolist()


def _at(day: CanonicalDay, row: int, names: Sequence[str]) -> list[float]:
    return [float(day.columns[name][row]) for name in names]


@pytest.mark.parametrize("absent", [None, 0.0, float("nan"), float("inf"), -float("inf"), 1.7976931348623157e308, -1.8e308])
def test_every_way_to_say_no_price_becomes_nan_with_size_zero(absent: float | None) -> None:
    day = _canonical(_set(source_frame(12), 5, ask_price1=absent, last_price=absent, average=absent))
    assert np.isnan(_at(day, 5, ["ask_price1", "last_price", "average"])).all()
    assert day.columns["ask_volume1"][5] == 0.0
    assert day.dropped == {}
    assert 5 in _flagged(day, TickFlag.ONE_SIDED)
    assert 5 in _flagged(day, TickFlag.NO_LAST)


@pytest.mark.parametrize("absent", [None, 0.0, float("nan"), float("inf")])
def test_a_level_without_size_has_no_price_either(absent: float | None) -> None:
    day = _canonical(_set(source_frame(12), 5, bid_volume3=absent))
    assert np.isnan(day.columns["bid_price3"][5])
    assert day.columns["bid_volume3"][5] == 0.0
    assert 5 in _flagged(day, TickFlag.DISORDERED_LEVELS), "a hole between levels"
    assert 5 in _flagged(day, TickFlag.SHALLOW)


def test_a_clean_day_has_no_flags_and_loses_nothing() -> None:
    frame = source_frame(60)
    day = _canonical(frame)
    assert len(day.ts_ns) == 60
    assert (day.deduped, day.reordered, day.superseded, day.dropped, day.conversions) == (0, 0, 0, {}, ())
    traded = day.columns["volume"] > 0
    assert not day.flags[traded].any()
    for name in MARKET_COLUMNS:
        assert np.array_equal(day.columns[name], frame[name].to_numpy(), equal_nan=True)


def test_a_limit_locked_book_is_kept_and_flagged() -> None:
    locked = dict.fromkeys(ASK_PRICES, 0.0) | dict.fromkeys(ASK_SIZES, 0.0)
    frame = source_frame(12).with_columns(pl.lit(2990.0).alias("upper_limit"), pl.lit(1000.0).alias("lower_limit"))
    day = _canonical(_set(frame, 5, **locked, bid_price1=2990.0))
    assert len(day.ts_ns) == 12
    assert _flagged(day, TickFlag.ONE_SIDED) == [5]
    assert 5 in _flagged(day, TickFlag.AT_LIMIT)


def test_a_book_with_fewer_than_five_levels_is_kept_and_flagged() -> None:
    day = _canonical(_set(source_frame(12), 5, bid_price5=None, bid_volume5=0.0, bid_price4=None, bid_volume4=0.0))
    assert _flagged(day, TickFlag.SHALLOW) == [5]
    assert _flagged(day, TickFlag.ONE_SIDED | TickFlag.DISORDERED_LEVELS) == []


def test_a_crossed_book_is_kept_and_flagged() -> None:
    frame = source_frame(12)
    day = _canonical(_set(frame, 5, bid_price1=float(frame["ask_price1"][5])))
    assert _flagged(day, TickFlag.CROSSED) == [5]


def test_levels_in_the_wrong_order_are_flagged() -> None:
    frame = source_frame(12)
    day = _canonical(_set(frame, 5, ask_price2=float(frame["ask_price3"][5]), ask_price3=float(frame["ask_price2"][5])))
    assert _flagged(day, TickFlag.DISORDERED_LEVELS) == [5]


def test_a_price_off_the_tick_is_flagged() -> None:
    day = _canonical(_set(source_frame(12), 5, last_price=3000.5))
    assert _flagged(day, TickFlag.OFF_TICK) == [5]


@pytest.mark.parametrize("name", ["bid_price1", "ask_volume2", "volume", "amount", "open_interest", "last_price"])
def test_a_row_with_a_negative_number_is_impossible(name: str) -> None:
    day = _canonical(_set(source_frame(12), 5, **{name: -1.0}))
    assert day.dropped == {"impossible": 1}
    assert len(day.ts_ns) == 11


def test_a_heartbeat_hours_before_the_session_is_dropped_as_such() -> None:
    frame = source_frame(12)
    nothing = dict.fromkeys(MARKET_COLUMNS, 0.0)
    early = _set(frame.head(1), 0, **nothing, datetime=int(frame["datetime"][0]) - 3 * HOUR)
    day = _canonical(pl.concat([early, frame]))
    assert day.dropped == {"heartbeat": 1}
    assert len(day.ts_ns) == 12


def test_a_stray_row_outside_every_phase_is_dropped_as_such() -> None:
    frame = source_frame(12)
    stray = _set(frame.tail(1), 0, datetime=int(frame["datetime"][11]) + 4 * HOUR)
    day = _canonical(pl.concat([frame, stray]))
    assert day.dropped == {"outside_session": 1}


def test_the_call_auction_is_kept_flagged_and_carries_the_part_that_it_opens() -> None:
    frame = source_frame(12)
    auction = _set(frame.head(1), 0, datetime=int(frame["datetime"][0]) - MINUTE + 500 * MS)
    day = _canonical(pl.concat([auction, frame]))
    assert (day.phase[0], day.part[0]) == (Phase.MATCH, SessionPart.NIGHT)
    assert _flagged(day, TickFlag.AUCTION) == [0]


def test_rows_at_the_very_end_of_a_part_belong_to_it_even_when_spaced() -> None:
    frame = source_frame(12)
    close = day_sessions().last_ns
    last = pl.concat([frame.tail(1), _set(frame.tail(1), 0, last_price=2999.0)]).with_columns(pl.lit(close).alias("datetime"))
    day = _canonical(pl.concat([frame, last]))
    assert day.ts_ns[-2:].tolist() == [close, close + 1_000]
    assert day.part[-2:].tolist() == [SessionPart.PM, SessionPart.PM]
    assert day.phase[-2:].tolist() == [Phase.CONTINUOUS, Phase.CONTINUOUS]


def test_only_identical_rows_are_duplicates() -> None:
    frame = source_frame(12)
    same = frame[5]
    other = _set(frame[5], 0, ask_volume5=999.0)
    day = _canonical(pl.concat([frame, same, other, same]))
    assert day.deduped == 2
    assert len(day.ts_ns) == 13


def test_receive_time_and_limits_do_not_make_rows_different() -> None:
    frame = source_frame(4).with_columns(pl.lit(7, dtype=pl.Int64).alias("local_nano"), pl.lit(3100.0).alias("upper_limit"))
    again = frame.with_columns(pl.lit(9, dtype=pl.Int64).alias("local_nano"), pl.lit(3200.0).alias("upper_limit"))
    day = _canonical(pl.concat([frame, again]))
    assert day.deduped == 4
    assert day.local_nano.tolist() == [7] * 4, "the row that came first stays"


def test_equal_stamps_keep_arrival_order_and_push_on_what_follows() -> None:
    frame = source_frame(3, parts=["am1"])
    start = int(frame["datetime"][0])
    rows = pl.concat([frame[0], frame[1], frame[2]]).with_columns(pl.Series("datetime", [start, start, start]))
    day = _canonical(rows)
    assert day.ts_ns.tolist() == [start, start + 1_000, start + 2_000]
    assert day.columns["last_price"].tolist() == frame["last_price"].to_list()
    assert _flagged(day, TickFlag.RESPACED) == [1, 2]


def test_a_late_row_takes_its_place_when_its_volume_fits() -> None:
    frame = source_frame(12, seed=3)
    moved = pl.concat([frame[:5], frame[6:], frame[5]])
    day = _canonical(moved)
    assert day.reordered == 1
    assert day.dropped == {}
    assert np.array_equal(day.row_hash, _canonical(frame).row_hash)


@pytest.mark.parametrize("volume", [0.0, 1e6])
def test_a_late_row_whose_volume_does_not_fit_is_dropped_whichever_way(volume: float) -> None:
    frame = source_frame(40, seed=3, parts=["am1"])
    late = _set(frame[20], 0, volume=volume, datetime=int(frame["datetime"][20]) + 100 * MS)
    day = _canonical(pl.concat([frame, late]))
    assert day.dropped == {"late_volume_fell": 1}
    assert np.array_equal(day.row_hash, _canonical(frame).row_hash)
    assert _flagged(day, TickFlag.VOLUME_FELL) == []


def test_a_short_run_of_stale_rows_is_dropped() -> None:
    frame = source_frame(40, seed=3, parts=["am1"])
    stale = frame[3:6].with_columns((pl.col("datetime") + 30 * 500 * MS + 100 * MS).alias("datetime"))
    day = _canonical(pl.concat([frame[:36], stale, frame[36:]]).sort("datetime"))
    assert day.dropped == {"late_volume_fell": 3}
    assert np.array_equal(day.row_hash, _canonical(frame).row_hash)


def test_a_feed_that_starts_counting_again_is_kept_and_flagged() -> None:
    frame = source_frame(60, seed=3, parts=["am1"])
    volume = frame["volume"].to_numpy().copy()
    volume[30:] -= volume[30]
    day = _canonical(frame.with_columns(pl.Series("volume", volume)))
    assert day.dropped == {}
    assert _flagged(day, TickFlag.VOLUME_FELL)[0] == 30


def test_a_row_without_volume_is_dropped_once_the_day_has_traded() -> None:
    frame = source_frame(12, seed=3)
    day = _canonical(_set(frame, 8, volume=None))
    assert day.dropped == {"volume_absent": 1}
    nothing = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("volume"))
    assert _canonical(nothing).dropped == {}


def test_before_2020_volume_amount_and_open_interest_are_halved_once() -> None:
    for day, factor in (("2019-12-31", 0.5), ("2020-01-02", 1.0)):
        frame = source_frame(8, symbol="SHFE.cu2002", trading_day=day, price_ticks=4900)
        result = _canonical(frame, symbol="SHFE.cu2002", day=day)
        for name in ("volume", "amount", "open_interest"):
            assert np.array_equal(result.columns[name], frame[name].to_numpy() * factor)
        assert np.array_equal(result.columns["bid_volume1"], frame["bid_volume1"].to_numpy())
        assert bool((result.flags & np.uint32(TickFlag.HALVED)).any()) == (factor == 0.5)
        assert len(result.conversions) == (factor == 0.5)


def test_rows_that_come_from_the_store_are_not_halved_again() -> None:
    frame = source_frame(8, symbol="SHFE.cu2002", trading_day="2019-12-31", price_ticks=4900)
    once = _canonical(frame, symbol="SHFE.cu2002", day="2019-12-31")
    halved = frame.with_columns(pl.Series(name, once.columns[name]) for name in ("volume", "amount", "open_interest"))
    twice = _canonical(pl.concat([halved, frame]), symbol="SHFE.cu2002", day="2019-12-31", stored=8)
    assert np.array_equal(twice.row_hash, once.row_hash)
    assert twice.deduped == 8


def test_stored_rows_that_new_rows_prove_stale_are_superseded_not_dropped() -> None:
    frame = source_frame(40, seed=3, parts=["am1"])
    stale = _set(frame[20], 0, volume=0.0, datetime=int(frame["datetime"][20]) + 100 * MS)
    day = _canonical(pl.concat([stale, frame]), stored=1)
    assert (day.superseded, day.added, day.dropped) == (1, 40, {})


def test_a_row_received_long_after_its_stamp_is_flagged_late() -> None:
    frame = source_frame(4).with_columns((pl.col("datetime") + 2 * MS).alias("local_nano"))
    day = _canonical(_set(frame, 2, local_nano=int(frame["datetime"][2]) + 3 * HOUR))
    assert _flagged(day, TickFlag.LATE) == [2]


def test_a_day_of_which_nothing_is_left_is_empty_not_an_error() -> None:
    frame = source_frame(3).with_columns(pl.lit(-1.0).alias("volume"))
    day = _canonical(frame)
    assert len(day.ts_ns) == 0
    assert day.dropped == {"impossible": 3}


def test_book_columns_pair_prices_with_sizes() -> None:
    assert [name[-1] for name in (*BID_PRICES, *ASK_PRICES)] == [name[-1] for name in (*BID_SIZES, *ASK_SIZES)]
