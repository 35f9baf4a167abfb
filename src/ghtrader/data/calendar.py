"""Trading days of the Shanghai futures exchanges, offline, to the last year that was officially announced."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

import msgspec

from ghtrader.core.errors import CalendarError, ConfigError
from ghtrader.core.trading_day import TradingDay

__all__ = ["REFRESH_COMMAND", "Calendar", "CalendarTable", "refreshed_table", "table_from_days"]

REFRESH_COMMAND = "ghtrader calendar refresh --from FILE"
SATURDAY = 5
#: No closure has been longer than 11 calendar days (2020-01-24 to 2020-02-02 and its weekends); a wider gap is a lost page.
LONGEST_GAP_DAYS = 14
#: A list that reaches this day of December speaks for the whole year.
YEAR_END = (12, 25)


class CalendarTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stored form: weekdays on which the exchange is closed, by year, between two days."""

    about: str
    source: str
    retrieved: str
    first_day: str
    last_day: str
    closed: dict[str, tuple[str, ...]]


def _weekdays(first: dt.date, last: dt.date) -> Iterable[dt.date]:
    day = first
    while day <= last:
        if day.weekday() < SATURDAY:
            yield day
        day += dt.timedelta(days=1)


def table_from_days(
    days: Iterable[TradingDay], *, first: TradingDay, last: TradingDay, source: str, retrieved: str
) -> CalendarTable:
    """A table from a list of trading days; raises CalendarError when one of them is a weekend."""
    open_days = {day.date for day in days}
    weekend = sorted(day for day in open_days if day.weekday() >= SATURDAY)
    if weekend:
        raise CalendarError(f"{weekend[0]} is a weekend, never a trading day", day=str(weekend[0]))
    closed: dict[str, list[str]] = {}
    for day in _weekdays(first.date, last.date):
        if day not in open_days:
            closed.setdefault(str(day.year), []).append(day.strftime("%m-%d"))
    return CalendarTable(
        about="Weekdays on which the Shanghai futures exchanges are closed, by year; every other weekday is a trading day.",
        source=source,
        retrieved=retrieved,
        first_day=first.iso,
        last_day=last.iso,
        closed={year: tuple(days) for year, days in closed.items()},
    )


def refreshed_table(
    old: Calendar, days: Iterable[TradingDay], *, source: str, retrieved: str, allow_removed: bool = False
) -> CalendarTable:
    """The table of ``old`` with a newer list of trading days laid over it.

    Days before the first of the list stay as they are; the table ends with the year of the last listed day, or on that day
    when the list stops before the end of December. Raises CalendarError for an empty list, a weekend, a gap of more than
    14 days (a list is contiguous), a list that ends before ``old`` does, and, unless ``allow_removed``, a list that closes
    a day on which ``old`` trades.
    """
    listed = sorted(set(days))
    if not listed:
        raise CalendarError("the list holds no trading days", hint="one YYYY-MM-DD a line, or a JSON list", source=source)
    first, last = listed[0], listed[-1]
    if (last.date.month, last.date.day) >= YEAR_END:
        last = TradingDay(last.date.replace(month=12, day=31))
    if last < old.last:
        raise CalendarError(f"{source} ends on {last}, before the present calendar ({old.last})", source=source, day=last.iso)
    kept = [] if first <= old.first else old.between(old.first, min(TradingDay(first.date - dt.timedelta(days=1)), old.last))
    whole = [*kept, *listed]
    for before, after in pairwise(whole):
        if (after.date - before.date).days > LONGEST_GAP_DAYS:
            raise CalendarError(f"{source} has no trading day between {before} and {after}", source=source, day=before.iso)
    start = min(old.first, TradingDay(first.date.replace(month=1, day=1)))
    removed = sorted(set(old.between(max(first, old.first), old.last)) - set(listed)) if first <= old.last else []
    if removed and not allow_removed:
        raise CalendarError(
            f"{source} closes {len(removed)} known trading day{'s' if len(removed) > 1 else ''}, the first {removed[0]}",
            hint="compare with the exchange's notice; where the list is right: add --allow-removed",
            source=source,
            days=[day.iso for day in removed[:20]],
        )
    told = f"{source} from {first}; before that: {old.table.source}" if kept else source
    return table_from_days(whole, first=start, last=last, source=told, retrieved=retrieved)


class Calendar:
    """Trading days in order. Every question about a day outside the table raises CalendarError.

    >>> calendar = Calendar.vendored()
    >>> calendar.next(TradingDay.parse("2025-06-06"))
    TradingDay('2025-06-09')
    >>> calendar.is_trading_day(TradingDay.parse("2025-10-01"))
    False
    """

    def __init__(self, table: CalendarTable) -> None:
        self.table = table
        self.first, self.last = TradingDay.parse(table.first_day), TradingDay.parse(table.last_day)
        closed = {dt.date.fromisoformat(f"{year}-{day}") for year, days in table.closed.items() for day in days}
        self._days = [TradingDay(day) for day in _weekdays(self.first.date, self.last.date) if day not in closed]
        self._known = frozenset(self._days)

    @classmethod
    def vendored(cls) -> Calendar:
        """The table that ships with the package."""
        return _vendored()

    @classmethod
    def load(cls, override: Path) -> Calendar:
        """The refreshed table at ``override`` when there is one that reaches as far as the vendored one, else that one.

        Raises ConfigError when the file is there and is no calendar.
        """
        if not override.exists():
            return cls.vendored()
        try:
            refreshed = cls(msgspec.json.decode(override.read_bytes(), type=CalendarTable))
        except (msgspec.DecodeError, ValueError, CalendarError, OSError) as error:
            hint = f"remove it, or run {REFRESH_COMMAND}"
            raise ConfigError(f"the refreshed calendar {override} cannot be read: {error}", hint=hint) from error
        return refreshed if refreshed.last >= cls.vendored().last else cls.vendored()

    def _check(self, day: TradingDay) -> None:
        if not self.first <= day <= self.last:
            raise CalendarError(
                f"{day} lies outside the calendar, which reaches from {self.first} to {self.last}",
                hint=REFRESH_COMMAND,
                day=day.iso,
            )

    def is_trading_day(self, day: TradingDay) -> bool:
        """Whether the exchange trades on that day."""
        self._check(day)
        return day in self._known

    def require(self, day: TradingDay) -> TradingDay:
        """The day itself; raises CalendarError when it is no trading day."""
        if not self.is_trading_day(day):
            raise CalendarError(f"{day} is no trading day", hint=f"ghtrader calendar show --year {day.date.year}", day=day.iso)
        return day

    def next(self, day: TradingDay, n: int = 1) -> TradingDay:
        """The ``n``-th trading day after ``day`` (which need not be one)."""
        self._check(day)
        index = bisect_right(self._days, day) + n - 1
        if index >= len(self._days):
            raise CalendarError(
                f"{n} trading days after {day} lie beyond the calendar, which ends on {self.last}", hint=REFRESH_COMMAND
            )
        return self._days[index]

    def previous(self, day: TradingDay, n: int = 1) -> TradingDay:
        """The ``n``-th trading day before ``day`` (which need not be one)."""
        self._check(day)
        index = bisect_left(self._days, day) - n
        if index < 0:
            raise CalendarError(
                f"{n} trading days before {day} lie before the calendar, which begins on {self.first}", hint=REFRESH_COMMAND
            )
        return self._days[index]

    def on_or_after(self, day: TradingDay) -> TradingDay:
        """``day`` when it is a trading day, else the next one."""
        return day if self.is_trading_day(day) else self.next(day)

    def between(self, first: TradingDay, last: TradingDay) -> list[TradingDay]:
        """Trading days from ``first`` to ``last``, both included."""
        self._check(first)
        self._check(last)
        return self._days[bisect_left(self._days, first) : bisect_right(self._days, last)]

    @property
    def horizon(self) -> TradingDay:
        """The last day that the calendar knows of: the end of the last year officially announced."""
        return self.last

    def is_first(self, day: TradingDay) -> bool:
        """Whether ``day`` is the first trading day of the table: what was before it is not known."""
        return day <= self._days[0]

    def is_last(self, day: TradingDay) -> bool:
        """Whether ``day`` is the last trading day of the table: what comes after it is not known."""
        return day >= self._days[-1]

    def follows_holiday(self, day: TradingDay) -> bool:
        """Whether an exchange holiday on a weekday lies between ``day`` and the trading day before it."""
        before = self.previous(day).date
        gap = [before + dt.timedelta(days=n) for n in range(1, (day.date - before).days)]
        return any(between.weekday() < SATURDAY for between in gap)


@cache
def _vendored() -> Calendar:
    text = resources.files("ghtrader.data").joinpath("tables/trading_days.json").read_bytes()
    return Calendar(msgspec.json.decode(text, type=CalendarTable))
