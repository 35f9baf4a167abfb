from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.clock import SHANGHAI
from ghtrader.core.errors import CalendarError
from ghtrader.core.phases import Phase, SessionPart
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import DaySessions, classify, has_night, sessions_for, trading_day_of, trading_days_of

CALENDAR, TABLE = Calendar.vendored(), InstrumentTable.vendored()
DAYS = CALENDAR.between(TradingDay.parse("2013-01-07"), TradingDay.parse("2026-12-30"))
SECOND = 1_000_000_000


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000) * 1_000_000


def of(product: str, day: str, table: InstrumentTable = TABLE) -> DaySessions:
    return sessions_for(product, TradingDay.parse(day), CALENDAR, table)


def day_of(text: str, product: str = "SHFE.rb") -> str:
    return trading_day_of(at(text), product, CALENDAR, TABLE).iso


def slow_classify(ts_ns: npt.NDArray[np.int64], sessions: DaySessions) -> tuple[list[int], list[int]]:
    found = []
    for stamp in ts_ns.tolist():
        window = next((w for w in sessions.windows if w.start_ns <= stamp < w.end_ns), None)
        phase, part = (Phase.CLOSED, SessionPart.NONE) if window is None else (window.phase, window.part)
        found.append((int(phase), int(SessionPart.NONE if phase == Phase.BREAK else part)))
    return [phase for phase, _ in found], [part for _, part in found]


@given(st.sampled_from(DAYS), st.sampled_from(TABLE.products), st.data())
def test_phases_and_parts_are_those_of_a_plain_search(day: TradingDay, product: str, data: st.DataObject) -> None:
    sessions = sessions_for(product, day, CALENDAR, TABLE)
    edges = [edge + shift for w in sessions.windows for edge in (w.start_ns, w.end_ns) for shift in (-1, 0, 1)]
    others = data.draw(st.lists(st.integers(sessions.first_ns - 3600 * SECOND, sessions.last_ns + 3600 * SECOND), max_size=20))
    stamps = np.array(edges + others, dtype=np.int64)
    phase, part = classify(stamps, sessions)
    assert (phase.dtype, part.dtype) == (np.uint8, np.int8)
    assert (phase.tolist(), part.tolist()) == slow_classify(stamps, sessions)


@given(st.sampled_from(DAYS), st.sampled_from(TABLE.products), st.integers(0, 2**40))
def test_every_moment_of_a_window_belongs_to_its_day(day: TradingDay, product: str, seed: int) -> None:
    sessions = sessions_for(product, day, CALENDAR, TABLE)
    random = np.random.default_rng(seed)
    stamps = np.concatenate([random.integers(w.start_ns, w.end_ns, 5) for w in sessions.windows])
    days, index = trading_days_of(random.permutation(stamps), product, CALENDAR, TABLE)
    assert [days[i] for i in set(index.tolist())] == [day]


@given(st.sampled_from(DAYS[:-1]), st.sampled_from(TABLE.products))
def test_days_of_a_product_do_not_overlap(day: TradingDay, product: str) -> None:
    assert (
        sessions_for(product, day, CALENDAR, TABLE).last_ns < sessions_for(product, CALENDAR.next(day), CALENDAR, TABLE).first_ns
    )


@given(st.integers(at("2013-01-08T00:00:00"), at("2026-12-30T00:00:00")), st.integers(0, 10**15))
def test_a_later_stamp_never_belongs_to_an_earlier_day(stamp: int, gap: int) -> None:
    later = min(stamp + gap, at("2026-12-30T12:00:00"))
    if later < stamp:
        return
    first, second = (trading_day_of(ns, "SHFE.au", CALENDAR, TABLE) for ns in (stamp, later))
    assert first <= second


@given(st.lists(st.integers(at("2020-01-02T00:00:00"), at("2020-06-30T00:00:00")), min_size=1, max_size=30))
def test_many_stamps_get_the_days_that_each_gets_alone(stamps: list[int]) -> None:
    days, index = trading_days_of(np.array(stamps), "SHFE.cu", CALENDAR, TABLE)
    assert days == sorted(days)
    assert [days[i] for i in index] == [trading_day_of(stamp, "SHFE.cu", CALENDAR, TABLE) for stamp in stamps]


@pytest.mark.parametrize(
    ("stamp", "day"),
    [
        ("2025-06-07T06:00:00", "2025-06-09"),  # a stray on Saturday
        ("2025-06-08T12:00:00", "2025-06-09"),  # a heartbeat on Sunday
        ("2025-06-05T17:59:59.5", "2025-06-05"),
        ("2025-06-05T18:00:00", "2025-06-06"),
        ("2025-06-05T15:00:00.5", "2025-06-05"),
        ("2025-10-01T10:00:00", "2025-10-09"),  # a holiday belongs to the day after it
        ("2025-06-04T20:54:59.5", "2025-06-05"),  # just before the auction
        ("2026-12-31T14:59:59.5", "2026-12-31"),
    ],
)
def test_what_strays_outside_every_window_goes_by_the_rule(stamp: str, day: str) -> None:
    assert day_of(stamp) == day


@pytest.mark.parametrize("stamp", ["2026-12-31T21:00:00", "2009-12-30T10:00:00", "1970-01-01T00:00:00"])
def test_a_stamp_outside_the_calendar_is_an_error_that_names_the_refresh(stamp: str) -> None:
    with pytest.raises(CalendarError) as caught:
        day_of(stamp)
    assert "ghtrader calendar refresh" in caught.value.hint


def test_no_stamps_have_no_days() -> None:
    days, index = trading_days_of(np.empty(0, dtype=np.int64), "SHFE.cu", CALENDAR, TABLE)
    assert (days, index.tolist()) == ([], [])


@pytest.mark.parametrize(
    ("product", "last_without", "first_with", "end"),
    [
        ("SHFE.au", "2013-07-05", "2013-07-08", "2013-07-06T02:30:00"),
        ("SHFE.cu", "2013-12-20", "2013-12-23", "2013-12-21T01:00:00"),
        ("SHFE.rb", "2014-12-26", "2014-12-29", "2014-12-27T01:00:00"),
        ("SHFE.ru", "2014-12-26", "2014-12-29", "2014-12-26T23:00:00"),
        ("SHFE.ni", "2015-03-27", "2015-03-30", "2015-03-28T01:00:00"),
        ("INE.sc", "2018-03-26", "2018-03-27", "2018-03-27T02:30:00"),
        ("INE.lu", "2020-06-22", "2020-06-23", "2020-06-22T23:00:00"),
    ],
)
def test_the_first_night_of_a_product(product: str, last_without: str, first_with: str, end: str) -> None:
    assert not has_night(product, TradingDay.parse(last_without), CALENDAR, TABLE)
    assert of(product, first_with).parts[0].end_ns == at(end)


def test_rebar_nights_end_at_23_00_since_the_evening_of_2016_05_03() -> None:
    assert of("SHFE.rb", "2016-04-29").parts[0].end_ns == at("2016-04-29T01:00:00")
    assert not of("SHFE.rb", "2016-05-03").has_night
    assert of("SHFE.rb", "2016-05-04").parts[0].end_ns == at("2016-05-03T23:00:00")


def test_wire_rod_has_no_night() -> None:
    assert not of("SHFE.wr", "2025-06-05").has_night


def test_the_night_before_a_holiday_on_a_sunday_fell_away() -> None:
    # Friday 2015-09-25: no weekday is closed, but Sunday was a holiday and the exchange announced no night
    assert not of("SHFE.cu", "2015-09-28").has_night
    assert of("SHFE.cu", "2015-09-29").has_night


@pytest.mark.parametrize(
    ("product", "end"),
    [("SHFE.rb", "2019-12-25T23:00:00"), ("SHFE.cu", "2019-12-26T01:00:00"), ("SHFE.ag", "2019-12-26T02:30:00")],
)
def test_the_delayed_open_shifts_its_auction_and_keeps_its_end(product: str, end: str) -> None:
    sessions = of(product, "2019-12-26")
    entry, match, night = sessions.windows[:3]
    assert (entry.phase, entry.start_ns) == (Phase.ORDER_ENTRY, at("2019-12-25T22:25:00"))
    assert (match.phase, match.start_ns) == (Phase.MATCH, at("2019-12-25T22:29:00"))
    assert (night.start_ns, night.end_ns - 1) == (at("2019-12-25T22:30:00"), at(end))
    assert classify(np.array([at("2019-12-25T21:30:00")]), sessions)[0][0] == Phase.CLOSED
    assert day_of("2019-12-25T21:30:00", product) == "2019-12-26"
    assert of(product, "2019-12-25").parts[0].start_ns == at("2019-12-24T21:00:00")


def with_hours(day: list[tuple[str, str, str]], night: list[tuple[str, str]]) -> InstrumentTable:
    document = TABLE.document
    rows = tuple(msgspec.structs.replace(row, windows=tuple(day)) for row in document.day_hours["three parts"])
    products = tuple(
        msgspec.structs.replace(row, nights=tuple(msgspec.structs.replace(n, windows=tuple(night)) for n in row.nights))
        for row in document.products
    )
    return InstrumentTable(msgspec.structs.replace(document, day_hours={"three parts": rows}, products=products))


def test_any_number_of_breaks_is_data() -> None:
    day = [("am1", "09:15", "11:30"), ("pm", "13:00", "14:10"), ("pm", "14:20", "15:15")]
    sessions = of("SHFE.cu", "2025-06-05", with_hours(day, [("21:00", "23:30"), ("24:00", "27:00")]))
    names = [(w.phase.name, w.part.name) for w in sessions.windows]
    assert names == [
        ("ORDER_ENTRY", "NIGHT"), ("MATCH", "NIGHT"), ("CONTINUOUS", "NIGHT"), ("BREAK", "NIGHT"), ("CONTINUOUS", "NIGHT"),
        ("ORDER_ENTRY", "AM1"), ("MATCH", "AM1"), ("CONTINUOUS", "AM1"), ("BREAK", "PM"), ("CONTINUOUS", "PM"), ("BREAK", "PM"), ("CONTINUOUS", "PM"),
    ]  # fmt: skip
    assert sessions.parts[1].end_ns == at("2025-06-05T03:00:00")
    assert sessions.last_ns == at("2025-06-05T15:15:00")


@pytest.mark.parametrize("day", ["2019-06-05", "2025-06-05"])
def test_between_the_night_and_the_morning_the_market_is_closed(day: str) -> None:
    phase, part = classify(np.array([at(f"{day}T06:00:00"), at(f"{day}T08:54:59")]), of("SHFE.au", day))
    assert (set(phase.tolist()), set(part.tolist())) == ({int(Phase.CLOSED)}, {int(SessionPart.NONE)})


def test_where_a_window_and_the_rule_disagree_the_window_decides() -> None:
    # a night that opens at 17:00 begins before the rule's 18:00, a day that ends at 19:00 ends after it
    table = with_hours([("am1", "09:00", "11:30")], [("17:00", "23:00")])
    assert trading_day_of(at("2025-06-04T17:30:00"), "SHFE.cu", CALENDAR, table).iso == "2025-06-05"
    assert trading_day_of(at("2025-06-04T12:00:00"), "SHFE.cu", CALENDAR, table).iso == "2025-06-04"
    late = with_hours([("am1", "09:00", "11:30"), ("pm", "13:30", "19:00")], [("21:00", "23:00")])
    assert trading_day_of(at("2025-06-04T18:30:00"), "SHFE.cu", CALENDAR, late).iso == "2025-06-04"
    assert trading_day_of(at("2025-06-04T19:30:00"), "SHFE.cu", CALENDAR, late).iso == "2025-06-05"


def test_a_night_that_ends_before_the_delayed_open_falls_away() -> None:
    assert not of("SHFE.cu", "2019-12-26", with_hours([("am1", "09:00", "11:30")], [("21:00", "22:00")])).has_night
