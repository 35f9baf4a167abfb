"""The canonical form row by row: the same verdicts as many at once, and as the batch form on rows in time order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from tests.datasets.rough_files import ANCHORS, NAN, SYMBOL, rough_rows

from ghtrader.core.errors import CalendarError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import canonical_day
from ghtrader.data.cumulative import STALE_RUN_ROWS
from ghtrader.data.day_ticks import from_frame
from ghtrader.data.ingest import canonical_frame
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import LiveCanonical
from ghtrader.data.live_kernel import COLUMNS, REASON_CODES
from ghtrader.data.sessions import sessions_for, trading_day_bracket, trading_day_of, trading_days_of

CALENDAR, TABLE = Calendar.vendored(), InstrumentTable.vendored()
COMPARED = (
    "ts_ns", "bid_px", "bid_sz", "ask_px", "ask_sz", "last_px", "volume", "amount", "open_interest", "upper_px", "lower_px",
    "phase", "part", "break_before", "segment_id", "gap_after",
)  # fmt: skip


def live(symbol: str = SYMBOL) -> LiveCanonical:
    return LiveCanonical(symbol, CALENDAR, TABLE)


@settings(max_examples=150, deadline=None)
@given(rows=rough_rows())
def test_one_by_one_is_many_at_once(rows: tuple[np.ndarray, np.ndarray]) -> None:
    ts, values = rows
    cut = len(ts) // 3
    together, one = live(), live()
    pieces = [together.push_many(ts[:cut], values[:cut]), together.push_many(ts[cut:], values[cut:])]
    for piece, offset in zip(pieces, (0, cut), strict=True):
        for row in range(len(piece)):
            assert one.push(int(ts[offset + row]), values[offset + row]) == piece.code[row]
            if not piece.code[row]:
                for left, right in zip(one.row.arrays, piece.arrays, strict=True):
                    np.testing.assert_array_equal(left[0], right[row])
                assert one.row_facts.number == piece.day[row]


@settings(max_examples=200, deadline=None)
@given(rows=rough_rows(in_order=True))
def test_rows_in_time_order_become_what_an_import_makes_of_them(rows: tuple[np.ndarray, np.ndarray]) -> None:
    ts, values = rows
    found = live().push_many(ts, values)
    days, index = trading_days_of(ts, "SHFE.au", CALENDAR, TABLE)
    for number, day in enumerate(days):
        of_day = index == number
        sessions, spec = sessions_for("SHFE.au", day, CALENDAR, TABLE), TABLE.spec(SYMBOL, day)
        columns = {name: values[of_day, place] for place, name in enumerate(COLUMNS[:27])}
        limits = {name: values[of_day, COLUMNS.index(name)] for name in ("upper_limit", "lower_limit")}
        batch = canonical_day(ts[of_day], columns, sessions=sessions, price_tick=spec.price_tick, **limits)
        restarted = found.code[of_day] == REASON_CODES.index("late_volume_fell")
        assume(restarted.sum() < STALE_RUN_ROWS)  # a longer fall is a restart, which only later rows can tell
        kept = np.flatnonzero(found.code[of_day] == 0)
        np.testing.assert_array_equal(kept, np.sort(batch.arrival))
        if len(kept):
            ticks = from_frame(canonical_frame(batch, SYMBOL, day), price_tick=spec.price_tick, multiplier=spec.multiplier)
            mine = found.rows(of_day).day_ticks(SYMBOL, live().facts(day))
            for name in COMPARED:
                if name not in {"upper_px", "lower_px"}:
                    np.testing.assert_array_equal(getattr(mine, name), getattr(ticks, name), err_msg=name)


def row(**columns: float) -> np.ndarray:
    book = {
        "bid_price1": 780.0,
        "bid_volume1": 2.0,
        "ask_price1": 780.02,
        "ask_volume1": 3.0,
        "volume": 10.0,
        "last_price": 780.0,
    }
    return np.array([{**book, **columns}.get(name, NAN) for name in COLUMNS])


def test_a_wild_stamp_of_a_dropped_row_stops_nothing() -> None:
    canonical, start = live(), int(ANCHORS[1])
    verdicts = [
        canonical.push(start, row()),
        canonical.push(int(ANCHORS[-2]), row(bid_volume1=-1.0)),  # a negative size, days ahead
        canonical.push(int(ANCHORS[9]), row()),  # a stray after the close
        canonical.push(start + 500_000_000, row()),
        canonical.push(start, row(volume=9.0)),
    ]
    assert [REASON_CODES[code] for code in verdicts] == ["", "impossible", "outside_session", "", "late_row"]


def test_one_stamp_far_ahead_does_not_make_the_rest_of_the_feed_late() -> None:
    canonical, start = live(), int(ANCHORS[1])
    canonical.push(start, row())
    for ahead in (int(ANCHORS[3]), int(ANCHORS[-2])):  # later that night, and days later
        assert canonical.push(ahead, row(volume=5000.0)) == 0
        stretch = int(canonical.row.stretch[0])
        codes = [canonical.push(start := start + 500_000_000, row(volume=20.0)) for _ in range(12)]
        assert [REASON_CODES[code] for code in codes] == ["late_row"] * 10 + ["", ""]
        assert int(canonical.row.stretch[0]) == stretch + 1
        assert canonical.row_facts.day == TradingDay.parse("2025-06-05")


def test_what_is_sent_again_after_a_reconnect_stays_late() -> None:
    canonical, start = live(), int(ANCHORS[1])
    stamps = [start + n * 500_000_000 for n in range(30)]
    codes = [canonical.push(stamp, row()) for stamp in (*stamps, *stamps[:-1], start + 10**11)]
    assert [REASON_CODES[code] for code in codes] == [*[""] * 30, *["late_row"] * 29, ""]


def test_a_row_of_the_same_millisecond_that_comes_after_a_later_one_is_late() -> None:
    canonical, start = live(), int(ANCHORS[1])
    codes = [canonical.push(start + offset, row(volume=volume)) for offset, volume in ((0, 10.0), (1_024, 11.0), (24, 12.0))]
    assert [REASON_CODES[code] for code in codes] == ["", "", "late_row"]


def test_of_a_fallen_volume_the_eleventh_row_is_believed() -> None:
    canonical, start = live(), int(ANCHORS[1])
    canonical.push(start, row())
    codes = [canonical.push(start + (n + 1) * 500_000_000, row(volume=float(n % 3))) for n in range(12)]
    assert [REASON_CODES[code] for code in codes] == ["late_volume_fell"] * 10 + ["", ""]


def test_volumes_before_2020_are_halved() -> None:
    canonical = live("SHFE.au2006")
    assert canonical.push(1_575_856_800_000_000_000, row()) == 0  # 2019-12-09 10:00
    assert canonical.row.counters[0, 0] == 5.0


def test_a_bracket_holds_for_every_stamp_in_it_and_ends_where_the_day_may_change() -> None:
    for anchor in [int(stamp) + offset for stamp in ANCHORS for offset in (0, 3 * 10**9, 7 * 3600 * 10**9)]:
        day, (start, end) = trading_day_bracket(anchor, "SHFE.au", CALENDAR, TABLE)
        assert start <= anchor < end
        inside = [start + (end - start) * step // 50 for step in range(50)]
        assert {trading_day_of(int(stamp), "SHFE.au", CALENDAR, TABLE) for stamp in (*inside, end - 1)} == {day}


def test_a_stamp_outside_the_calendar_is_an_error_and_no_state() -> None:
    canonical, start = live(), int(ANCHORS[1])
    canonical.push(start, row())
    with pytest.raises(CalendarError):
        canonical.push(4_000_000_000_000_000_000, row())
    assert canonical.push(start + 500_000_000, row()) == 0
    assert canonical.row_facts.day == TradingDay.parse("2025-06-05")
