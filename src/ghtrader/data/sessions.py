"""Session windows and phases of a trading day, and the trading day of a stamp."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import Phase, SessionPart
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable

__all__ = ["DaySessions", "PartWindow", "PhaseWindow", "classify", "sessions_for", "trading_days_of"]

#: Shanghai has had no daylight saving time since 1991, so wall time is UTC + 8 h for every tick there is.
SHANGHAI_OFFSET_NS = 8 * 3600 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
EPOCH = dt.date(1970, 1, 1)
#: From this wall time on, a stamp outside every window belongs to the next trading day.
EVENING_NS = 18 * 3600 * NS_PER_S
#: Every window of a trading day, and what strays around it, lies within its auction's start and this time.
DAY_CLOSE_NS = 18 * 3600 * NS_PER_S
DAY_PARTS = (SessionPart.AM1, SessionPart.AM2, SessionPart.PM)


@dataclass(frozen=True, slots=True)
class PartWindow:
    """Continuous trading of one part, both ends included (a row at 15:00:00.000 still belongs to it)."""

    part: SessionPart
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class PhaseWindow:
    """One phase: from ``start_ns`` on, before ``end_ns``. Auctions carry the part that they open."""

    phase: Phase
    part: SessionPart
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class DaySessions:
    """All windows of one product's trading day, in time order."""

    product: str
    trading_day: TradingDay
    parts: tuple[PartWindow, ...]
    windows: tuple[PhaseWindow, ...]

    @property
    def first_ns(self) -> int:
        """Start of the first auction."""
        return self.windows[0].start_ns

    @property
    def last_ns(self) -> int:
        """End of continuous trading."""
        return self.parts[-1].end_ns

    @property
    def has_night(self) -> bool:
        """Whether the day has a night session."""
        return self.parts[0].part == SessionPart.NIGHT


def _at(day: dt.date, clock: str) -> int:
    """Wall time ``HH:MM`` (hours past 24 allowed) of a civil day as UTC nanoseconds."""
    hours, minutes = clock.split(":")
    return (day - EPOCH).days * DAY_NS + (int(hours) * 60 + int(minutes)) * MINUTE_NS - SHANGHAI_OFFSET_NS


def sessions_for(product: str, trading_day: TradingDay, calendar: Calendar, instruments: InstrumentTable) -> DaySessions:
    """Windows of a product's trading day: the night of the evening before, then the day parts.

    Raises CalendarError when the day is no trading day or lies outside the calendar.

    >>> day = sessions_for("SHFE.rb", TradingDay.parse("2025-06-05"), Calendar.vendored(), InstrumentTable.vendored())
    >>> [window.part.name for window in day.parts]
    ['NIGHT', 'AM1', 'AM2', 'PM']
    """
    return _sessions(instruments.product(product).product, calendar.require(trading_day), calendar, instruments)


@lru_cache(maxsize=4096)
def _sessions(product: str, day: TradingDay, calendar: Calendar, instruments: InstrumentTable) -> DaySessions:
    row, rule = instruments.product(product), instruments.document.auction
    parts: list[PartWindow] = []
    night = instruments.night_hours(product, day)
    if night is not None and day > calendar.next(calendar.first) and not calendar.follows_holiday(day):
        evening = calendar.previous(day).date
        parts.append(PartWindow(SessionPart.NIGHT, _at(evening, night.open), _at(evening, night.close)))
    auctioned = [0]
    if parts and day.iso >= rule.day_auction_after_night_from:
        auctioned.append(1)
    for part, (start, end) in zip(DAY_PARTS, row.day_parts, strict=True):
        parts.append(PartWindow(part, _at(day.date, start), _at(day.date, end)))
    windows: list[PhaseWindow] = []
    for index, window in enumerate(parts):
        opens = window.start_ns
        if index in auctioned:
            match = opens - rule.match_minutes * MINUTE_NS
            entry = opens - rule.minutes_before_open * MINUTE_NS
            windows.append(PhaseWindow(Phase.ORDER_ENTRY, window.part, entry, match))
            windows.append(PhaseWindow(Phase.MATCH, window.part, match, opens))
        elif index and parts[index - 1].part != SessionPart.NIGHT:
            windows.append(PhaseWindow(Phase.BREAK, window.part, parts[index - 1].end_ns + 1, opens))
        windows.append(PhaseWindow(Phase.CONTINUOUS, window.part, opens, window.end_ns + 1))
    return DaySessions(product, day, tuple(parts), tuple(windows))


def classify(ts_ns: npt.NDArray[np.int64], sessions: DaySessions) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Phase and part of each stamp; outside every window CLOSED and NONE. ``ts_ns`` int64 (n,), any order.

    A break stands between two parts of the day; between the night session and the morning the market is closed.

    A break carries no part; an auction carries the part that it opens.
    """
    starts = np.array([window.start_ns for window in sessions.windows], dtype=np.int64)
    ends = np.array([window.end_ns for window in sessions.windows], dtype=np.int64)
    phases = np.array([window.phase for window in sessions.windows] + [Phase.CLOSED], dtype=np.uint8)
    parts = [SessionPart.NONE if w.phase == Phase.BREAK else w.part for w in sessions.windows] + [SessionPart.NONE]
    index = np.searchsorted(starts, ts_ns, side="right") - 1
    outside = (index < 0) | (ts_ns >= ends[index])
    index = np.where(outside, len(starts), index)
    return phases[index], np.array(parts, dtype=np.int8)[index]


def trading_days_of(
    ts_ns: npt.NDArray[np.int64], product: str, calendar: Calendar, instruments: InstrumentTable
) -> tuple[list[TradingDay], npt.NDArray[np.int64]]:
    """The trading day of each stamp: session windows first, then the rule. Returns (days, index into days per stamp).

    Windows: a stamp inside a window of a trading day belongs to it (Saturday 02:00 belongs to Monday). Rule, for what
    strays outside: until 18:00 wall time of a trading day it is that day, everything later or on a closed day is the
    next trading day. Raises CalendarError for a stamp outside the calendar.
    """
    wall = ts_ns + SHANGHAI_OFFSET_NS
    civil, index = np.unique((wall + DAY_NS - EVENING_NS) // DAY_NS, return_inverse=True)
    days: list[TradingDay] = []
    for number in civil:
        # one "exchange day" runs from 18:00 to 18:00: evening, night and the civil day it leads into
        day = calendar.on_or_after(TradingDay(EPOCH + dt.timedelta(days=int(number))))
        days.append(day)
    # the windows decide where the rule and they disagree: a holiday-eve night that exists by exception, for example
    unique = sorted(set(days))
    positions = {day: position for position, day in enumerate(unique)}
    chosen = np.array([positions[day] for day in days], dtype=np.int64)[index]
    for position, day in enumerate(unique):
        sessions = sessions_for(product, day, calendar, instruments)
        for window in sessions.parts:
            inside = (ts_ns >= window.start_ns) & (ts_ns <= window.end_ns)
            chosen[inside] = position
    return unique, chosen
