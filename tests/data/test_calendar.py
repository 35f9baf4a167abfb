from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import CalendarError, ConfigError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar, refreshed_table

CALENDAR = Calendar.vendored()
ALL = CALENDAR.between(CALENDAR.first, CALENDAR.last)
INNER = st.sampled_from(ALL[5:-5])

#: (eve, reopening) of every holiday as the exchanges announced them, 2013-09 to 2024-10; the night of the eve falls away.
ANNOUNCED = [
    "2013-09-18",
    "2013-09-23",
    "2013-09-30",
    "2013-10-08",
    "2013-12-31",
    "2014-01-02",
    "2014-01-30",
    "2014-02-07",
    "2014-04-04",
    "2014-04-08",
    "2014-04-30",
    "2014-05-05",
    "2014-05-30",
    "2014-06-03",
    "2014-09-05",
    "2014-09-09",
    "2014-09-30",
    "2014-10-08",
    "2014-12-31",
    "2015-01-05",
    "2015-02-17",
    "2015-02-25",
    "2015-04-03",
    "2015-04-07",
    "2015-04-30",
    "2015-05-04",
    "2015-06-19",
    "2015-06-23",
    "2015-09-02",
    "2015-09-07",
    "2015-09-30",
    "2015-10-08",
    "2015-12-31",
    "2016-01-04",
    "2016-02-05",
    "2016-02-15",
    "2016-04-01",
    "2016-04-05",
    "2016-04-29",
    "2016-05-03",
    "2016-06-08",
    "2016-06-13",
    "2016-09-14",
    "2016-09-19",
    "2016-09-30",
    "2016-10-10",
    "2016-12-30",
    "2017-01-03",
    "2017-01-26",
    "2017-02-03",
    "2017-03-31",
    "2017-04-05",
    "2017-04-28",
    "2017-05-02",
    "2017-05-26",
    "2017-05-31",
    "2017-09-29",
    "2017-10-09",
    "2017-12-29",
    "2018-01-02",
    "2018-02-14",
    "2018-02-22",
    "2018-04-04",
    "2018-04-09",
    "2018-04-27",
    "2018-05-02",
    "2018-06-15",
    "2018-06-19",
    "2018-09-21",
    "2018-09-25",
    "2018-09-28",
    "2018-10-08",
    "2018-12-28",
    "2019-01-02",
    "2019-02-01",
    "2019-02-11",
    "2019-04-04",
    "2019-04-08",
    "2019-04-30",
    "2019-05-06",
    "2019-06-06",
    "2019-06-10",
    "2019-09-12",
    "2019-09-16",
    "2019-09-30",
    "2019-10-08",
    "2019-12-31",
    "2020-01-02",
    "2020-01-23",
    "2020-02-03",
    "2020-04-03",
    "2020-04-07",
    "2020-04-30",
    "2020-05-06",
    "2020-06-24",
    "2020-06-29",
    "2020-09-30",
    "2020-10-09",
    "2020-12-31",
    "2021-01-04",
    "2021-02-10",
    "2021-02-18",
    "2021-04-02",
    "2021-04-06",
    "2021-04-30",
    "2021-05-06",
    "2021-06-11",
    "2021-06-15",
    "2021-09-17",
    "2021-09-22",
    "2021-09-30",
    "2021-10-08",
    "2021-12-31",
    "2022-01-04",
    "2022-01-28",
    "2022-02-07",
    "2022-04-01",
    "2022-04-06",
    "2022-04-29",
    "2022-05-05",
    "2022-06-02",
    "2022-06-06",
    "2022-09-09",
    "2022-09-13",
    "2022-09-30",
    "2022-10-10",
    "2022-12-30",
    "2023-01-03",
    "2023-01-20",
    "2023-01-30",
    "2023-04-04",
    "2023-04-06",
    "2023-04-28",
    "2023-05-04",
    "2023-06-21",
    "2023-06-26",
    "2023-09-28",
    "2023-10-09",
    "2023-12-29",
    "2024-01-02",
    "2024-02-08",
    "2024-02-19",
    "2024-04-03",
    "2024-04-08",
    "2024-04-30",
    "2024-05-06",
    "2024-06-07",
    "2024-06-11",
    "2024-09-13",
    "2024-09-18",
    "2024-09-30",
    "2024-10-08",
]


def day(text: str) -> TradingDay:
    return TradingDay.parse(text)


def days(*texts: str) -> list[TradingDay]:
    return [day(text) for text in texts]


def weekdays(first: str, last: str) -> list[TradingDay]:
    start, end = day(first).date, day(last).date
    span = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
    return [TradingDay(date) for date in span if date.weekday() < 5]


def test_holidays_are_those_that_the_exchanges_announced() -> None:
    ours = {
        CALENDAR.previous(each).iso: each.iso
        for each in CALENDAR.between(day("2013-09-01"), day("2024-10-08"))
        if CALENDAR.follows_holiday(each)
    }
    assert ours == dict(zip(ANNOUNCED[::2], ANNOUNCED[1::2], strict=True))


@given(INNER, st.integers(1, 5))
def test_n_days_on_and_n_days_back_is_the_same_day(each: TradingDay, n: int) -> None:
    assert CALENDAR.previous(CALENDAR.next(each, n), n) == each
    assert CALENDAR.next(CALENDAR.previous(each, n), n) == each


@given(st.dates(CALENDAR.first.date, CALENDAR.last.date), st.dates(CALENDAR.first.date, CALENDAR.last.date))
def test_between_holds_the_trading_days_of_the_span_in_order(one: dt.date, other: dt.date) -> None:
    first, last = TradingDay(min(one, other)), TradingDay(max(one, other))
    span = CALENDAR.between(first, last)
    assert span == sorted(span)
    assert all(first <= each <= last and CALENDAR.is_trading_day(each) for each in span)


@given(st.dates(CALENDAR.first.date, ALL[-1].date))
def test_on_or_after_is_the_first_trading_day_not_before(date: dt.date) -> None:
    found = CALENDAR.on_or_after(TradingDay(date))
    assert CALENDAR.is_trading_day(found)
    assert [each for each in CALENDAR.between(TradingDay(date), found) if each != found] == []


@pytest.mark.parametrize("question", ["next", "previous"])
def test_a_step_over_the_edge_of_the_table_names_the_refresh_command(question: str) -> None:
    edge = ALL[-1] if question == "next" else ALL[0]
    with pytest.raises(CalendarError) as caught:
        getattr(CALENDAR, question)(edge)
    assert "ghtrader calendar refresh" in caught.value.hint


def test_a_list_of_a_new_year_is_laid_over_the_old_table() -> None:
    fresh = weekdays("2027-01-04", "2027-12-31")
    table = refreshed_table(CALENDAR, fresh, source="x", retrieved="2026-12-20")
    new = Calendar(table)
    assert new.between(CALENDAR.first, CALENDAR.last) == ALL
    assert (new.last.iso, new.next(ALL[-1]).iso) == ("2027-12-31", "2027-01-04")
    assert new.follows_holiday(day("2027-01-04"))
    assert "x" in table.source
    assert CALENDAR.table.source in table.source
    assert Calendar.vendored().last.iso == "2026-12-31"


def test_a_list_that_stops_early_ends_the_table_there() -> None:
    table = refreshed_table(CALENDAR, days("2027-01-04", "2027-01-05"), source="x", retrieved="y")
    assert table.last_day == "2027-01-05"


def test_a_list_that_reaches_the_end_of_december_closes_the_year() -> None:
    table = refreshed_table(CALENDAR, weekdays("2027-01-04", "2027-12-28"), source="x", retrieved="y")
    assert table.last_day == "2027-12-31"
    assert table.closed["2027"][-3:] == ("12-29", "12-30", "12-31")


@settings(max_examples=30, deadline=None)  # builds whole calendars; a busy machine takes its time
@given(st.lists(st.sampled_from(ALL[-40:]), unique=True, max_size=5))
def test_no_known_day_is_lost_without_being_asked(lost: list[TradingDay]) -> None:
    listed = [each for each in [*ALL[-60:], *weekdays("2027-01-04", "2027-02-26")] if each not in lost]
    if not lost:
        assert refreshed_table(CALENDAR, listed, source="x", retrieved="y").last_day == "2027-02-26"
        return
    with pytest.raises(CalendarError, match="known trading day"):
        refreshed_table(CALENDAR, listed, source="x", retrieved="y")
    allowed = Calendar(refreshed_table(CALENDAR, listed, source="x", retrieved="y", allow_removed=True))
    assert set(ALL) - set(allowed.between(CALENDAR.first, CALENDAR.last)) == set(lost)


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ([], "no trading days"),
        (days("2026-12-10"), "before the present calendar"),
        (days("2027-01-04", "2027-01-20"), "no trading day between"),
        (days("2027-01-20", "2027-01-21"), "no trading day between"),
        (days("2027-01-04", "2027-01-09"), "weekend"),
    ],
)
def test_a_list_that_cannot_be_one_is_refused(listed: list[TradingDay], reason: str) -> None:
    with pytest.raises(CalendarError, match=reason):
        refreshed_table(CALENDAR, listed, source="x", retrieved="y")


def test_the_refreshed_table_is_preferred_while_it_reaches_as_far(tmp_path: Path) -> None:
    path = tmp_path / "trading_days.json"
    assert Calendar.load(path) is Calendar.vendored()
    newer = refreshed_table(CALENDAR, weekdays("2027-01-04", "2027-12-31"), source="x", retrieved="y")
    path.write_bytes(msgspec.json.encode(newer))
    assert Calendar.load(path).horizon.iso == "2027-12-31"
    older = msgspec.structs.replace(CALENDAR.table, last_day="2025-12-31", closed={})
    path.write_bytes(msgspec.json.encode(older))
    assert Calendar.load(path) is Calendar.vendored()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"about": 1}',
        b"\xff\xfe",
        b'{"about":"","source":"","retrieved":"","first_day":"x","last_day":"y","closed":{}}',
    ],
)
def test_a_damaged_refreshed_table_is_an_error_that_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trading_days.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        Calendar.load(path)
