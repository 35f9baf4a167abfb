from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.clock import SHANGHAI
from ghtrader.core.errors import CalendarError, UnknownInstrumentError
from ghtrader.core.phases import Phase, SessionPart
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar, table_from_days
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import classify, sessions_for, trading_days_of

CALENDAR, TABLE = Calendar.vendored(), InstrumentTable.vendored()
DAYS = CALENDAR.between(TradingDay.parse("2015-01-05"), TradingDay.parse("2026-12-30"))


def at(text: str) -> int:
    local = dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    return int(local.timestamp() * 1000) * 1_000_000


def day_of(text: str, product: str = "SHFE.rb") -> str:
    days, index = trading_days_of(np.array([at(text)]), product, CALENDAR, TABLE)
    return days[index[0]].iso


def parts(day: str, product: str = "SHFE.rb") -> list[str]:
    return [window.part.name for window in sessions_for(product, TradingDay.parse(day), CALENDAR, TABLE).parts]


@pytest.mark.parametrize(
    ("stamp", "product", "day"),
    [
        ("2025-06-04T21:00:00.5", "SHFE.rb", "2025-06-05"),  # a night belongs to the next trading day
        ("2025-06-06T21:30:00", "SHFE.au", "2025-06-09"),  # Friday night belongs to Monday
        ("2025-06-07T02:00:00", "SHFE.au", "2025-06-09"),  # and so does Saturday 02:00
        ("2025-06-05T15:00:00", "SHFE.rb", "2025-06-05"),
        ("2025-06-05T08:00:00", "SHFE.rb", "2025-06-05"),
        ("2025-09-30T21:00:00", "SHFE.rb", "2025-10-09"),  # the eve of a holiday has no night; strays go to the next day
    ],
)
def test_trading_day_of_a_stamp(stamp: str, product: str, day: str) -> None:
    assert day_of(stamp, product) == day


def test_a_friday_night_before_a_monday_holiday_does_not_exist() -> None:
    # Monday 2025-05-05 was a holiday: Tuesday has no night session
    assert not CALENDAR.is_trading_day(TradingDay.parse("2025-05-05"))
    assert parts("2025-05-06") == ["AM1", "AM2", "PM"]
    assert parts("2025-05-07")[0] == "NIGHT"


def test_nights_were_suspended_from_february_to_may_2020() -> None:
    for day in ("2020-02-03", "2020-02-04", "2020-05-06"):
        assert parts(day, "SHFE.cu") == ["AM1", "AM2", "PM"]
    assert parts("2020-05-07", "SHFE.cu")[0] == "NIGHT"
    assert parts("2020-01-22", "SHFE.cu")[0] == "NIGHT"


def test_the_delayed_open_of_december_2019() -> None:
    night = sessions_for("SHFE.cu", TradingDay.parse("2019-12-26"), CALENDAR, TABLE).parts[0]
    assert night.start_ns == at("2019-12-25T22:30:00")


@pytest.mark.parametrize(
    ("product", "end"),
    [("SHFE.rb", "2025-06-04T23:00:00"), ("SHFE.cu", "2025-06-05T01:00:00"), ("SHFE.au", "2025-06-05T02:30:00")],
)
def test_night_ends_by_product_with_hours_past_24(product: str, end: str) -> None:
    night = sessions_for(product, TradingDay.parse("2025-06-05"), CALENDAR, TABLE).parts[0]
    assert night.end_ns == at(end)


def phase_at(text: str, day: str, product: str = "SHFE.rb") -> tuple[Phase, SessionPart]:
    phase, part = classify(np.array([at(text)]), sessions_for(product, TradingDay.parse(day), CALENDAR, TABLE))
    return Phase(int(phase[0])), SessionPart(int(part[0]))


@pytest.mark.parametrize(
    ("stamp", "phase", "part"),
    [
        ("2025-06-04T20:54:59", Phase.CLOSED, SessionPart.NONE),
        ("2025-06-04T20:56:00", Phase.ORDER_ENTRY, SessionPart.NIGHT),
        ("2025-06-04T20:59:00.5", Phase.MATCH, SessionPart.NIGHT),
        ("2025-06-04T21:00:00", Phase.CONTINUOUS, SessionPart.NIGHT),
        ("2025-06-04T23:00:00", Phase.CONTINUOUS, SessionPart.NIGHT),
        ("2025-06-05T06:00:00", Phase.CLOSED, SessionPart.NONE),
        ("2025-06-05T08:59:00.5", Phase.MATCH, SessionPart.AM1),
        ("2025-06-05T10:15:00", Phase.CONTINUOUS, SessionPart.AM1),
        ("2025-06-05T10:20:00", Phase.BREAK, SessionPart.NONE),
        ("2025-06-05T15:00:00", Phase.CONTINUOUS, SessionPart.PM),
        ("2025-06-05T15:00:00.5", Phase.CLOSED, SessionPart.NONE),
    ],
)
def test_phases_of_a_day(stamp: str, phase: Phase, part: SessionPart) -> None:
    assert phase_at(stamp, "2025-06-05") == (phase, part)


def test_the_day_auction_after_a_night_exists_since_2023_05_26() -> None:
    assert phase_at("2023-05-26T08:59:00.5", "2023-05-26")[0] is Phase.MATCH
    assert phase_at("2023-05-25T08:59:00.5", "2023-05-25")[0] is Phase.CLOSED
    assert phase_at("2020-02-04T08:59:00.5", "2020-02-04", "SHFE.cu")[0] is Phase.MATCH  # no night: auction by day


@given(st.sampled_from(DAYS), st.sampled_from(TABLE.products))
def test_every_window_of_a_day_maps_back_to_it_and_none_overlap(day: TradingDay, product: str) -> None:
    sessions = sessions_for(product, day, CALENDAR, TABLE)
    edges = [(window.start_ns, window.end_ns) for window in sessions.windows]
    assert all(start < end for start, end in edges)
    assert all(before[1] <= after[0] for before, after in pairwise(edges))
    stamps = np.array([stamp for window in sessions.parts for stamp in (window.start_ns, window.end_ns)])
    days, index = trading_days_of(stamps, product, CALENDAR, TABLE)
    assert {days[i] for i in index} == {day}


@given(st.sampled_from(DAYS))
def test_next_and_previous_are_inverse(day: TradingDay) -> None:
    assert CALENDAR.next(CALENDAR.previous(day)) == day


@pytest.mark.parametrize("day", ["2027-01-04", "2009-12-31"])
def test_a_day_outside_the_calendar_names_the_refresh_command(day: str) -> None:
    with pytest.raises(CalendarError) as caught:
        CALENDAR.is_trading_day(TradingDay.parse(day))
    assert "ghtrader calendar refresh" in caught.value.hint


def test_new_years_eve_2024_was_closed_and_every_year_has_its_days() -> None:
    assert not CALENDAR.is_trading_day(TradingDay.parse("2024-02-09"))
    counts = {
        year: len(CALENDAR.between(TradingDay.parse(f"{year}-01-01"), TradingDay.parse(f"{year}-12-31")))
        for year in range(2019, 2027)
    }
    assert counts == {2019: 244, 2020: 243, 2021: 243, 2022: 242, 2023: 242, 2024: 242, 2025: 243, 2026: 242}


def test_a_table_of_days_keeps_them() -> None:
    days = CALENDAR.between(TradingDay.parse("2024-01-01"), TradingDay.parse("2024-12-31"))
    table = table_from_days(
        days, first=TradingDay.parse("2024-01-01"), last=TradingDay.parse("2024-12-31"), source="x", retrieved="y"
    )
    assert Calendar(table).between(days[0], days[-1]) == days
    with pytest.raises(CalendarError):
        table_from_days([TradingDay.parse("2024-01-06")], first=days[0], last=days[-1], source="x", retrieved="y")


def test_facts_are_dated_and_say_when_they_are_carried_forward() -> None:
    before, after = TradingDay.parse("2019-06-05"), TradingDay.parse("2020-03-02")
    assert TABLE.spec("SHFE.au2006", before).price_tick == 0.05
    assert TABLE.spec("SHFE.au2006", after).price_tick == 0.02
    assert "fee" in TABLE.spec("SHFE.cu2510", TradingDay.parse("2025-06-05")).carried_forward
    assert "fee" not in TABLE.spec("SHFE.cu2006", after).carried_forward
    assert TABLE.spec("KQ.m@SHFE.cu", after).limits.max_market_lots == 0


@pytest.mark.parametrize(
    ("symbol", "hint"), [("SHFE.xx2510", "instruments list"), ("SHFE.rbb2510", "SHFE.rb"), ("nonsense", "EXCHANGE.contract")]
)
def test_unknown_products_name_the_nearest_match(symbol: str, hint: str) -> None:
    with pytest.raises(UnknownInstrumentError) as caught:
        TABLE.spec(symbol, TradingDay.parse("2025-06-05"))
    assert hint in caught.value.hint


def test_every_row_of_the_sample_days_is_in_a_phase(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    phase, _ = classify(ticks.ts_ns, sessions)
    assert set(phase.tolist()) == {int(Phase.MATCH), int(Phase.CONTINUOUS)}
    assert int((phase == int(Phase.MATCH)).sum()) == 2
