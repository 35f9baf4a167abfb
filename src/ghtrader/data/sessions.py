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

__all__ = [
    "DaySessions",
    "PartWindow",
    "PhaseWindow",
    "classify",
    "has_night",
    "phase_edges",
    "sessions_for",
    "trading_day_bracket",
    "trading_day_of",
    "trading_days_of",
]

#: Shanghai has had no daylight saving time since 1991, so wall time is UTC + 8 h for every tick there is.
SHANGHAI_OFFSET_NS = 8 * 3600 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
EPOCH = dt.date(1970, 1, 1)
#: From this wall time on, a stamp outside every window belongs to the next trading day.
EVENING_NS = 18 * 3600 * NS_PER_S
DAY_PARTS = {"am1": SessionPart.AM1, "am2": SessionPart.AM2, "pm": SessionPart.PM}


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


def has_night(product: str, trading_day: TradingDay, calendar: Calendar, instruments: InstrumentTable) -> bool:
    """Whether a product's trading day begins with a night session on the evening before.

    >>> tables = Calendar.vendored(), InstrumentTable.vendored()
    >>> has_night("SHFE.rb", TradingDay.parse("2025-06-05"), *tables), has_night("SHFE.rb", TradingDay.parse("2025-10-09"), *tables)
    (True, False)
    """
    return sessions_for(product, trading_day, calendar, instruments).has_night


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
    parts = _night_parts(product, day, calendar, instruments)
    nights = len(parts)
    for name, start, end in instruments.day_hours(product, day).windows:
        parts.append(PartWindow(DAY_PARTS[name], _at(day.date, start), _at(day.date, end)))
    rule = instruments.auction(day)
    auctioned = {0, nights} if rule.by_day_after_a_night else {0}
    windows: list[PhaseWindow] = []
    for index, window in enumerate(parts):
        opens = window.start_ns
        if index in auctioned:
            match = opens - rule.match_minutes * MINUTE_NS
            entry = opens - rule.minutes_before_open * MINUTE_NS
            windows.append(PhaseWindow(Phase.ORDER_ENTRY, window.part, entry, match))
            windows.append(PhaseWindow(Phase.MATCH, window.part, match, opens))
        elif index != nights:  # between the night and the morning the market is closed
            windows.append(PhaseWindow(Phase.BREAK, window.part, parts[index - 1].end_ns + 1, opens))
        windows.append(PhaseWindow(Phase.CONTINUOUS, window.part, opens, window.end_ns + 1))
    return DaySessions(product, day, tuple(parts), tuple(windows))


def _night_parts(product: str, day: TradingDay, calendar: Calendar, instruments: InstrumentTable) -> list[PartWindow]:
    night = instruments.night_hours(product, day)
    if night is None or calendar.is_first(day) or calendar.follows_holiday(day):
        return []
    evening = calendar.previous(day).date
    return [PartWindow(SessionPart.NIGHT, _at(evening, start), _at(evening, end)) for start, end in night.windows]


def phase_edges(sessions: DaySessions) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Edges that cut the time line into windows and the closed spans between them; phase and part of each span.

    Span ``i`` ends before edge ``i``; there is one span more than edges.
    """
    edges: list[int] = []
    phases, parts = [Phase.CLOSED], [SessionPart.NONE]
    for window in sessions.windows:
        if edges and edges[-1] == window.start_ns:
            edges.pop()
            phases.pop()
            parts.pop()
        edges += [window.start_ns, window.end_ns]
        phases += [window.phase, Phase.CLOSED]
        parts += [SessionPart.NONE if window.phase == Phase.BREAK else window.part, SessionPart.NONE]
    return np.array(edges, dtype=np.int64), np.array(phases, dtype=np.uint8), np.array(parts, dtype=np.int8)


def classify(ts_ns: npt.NDArray[np.int64], sessions: DaySessions) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
    """Phase and part of each stamp; outside every window CLOSED and NONE. ``ts_ns`` int64 (n,), any order.

    A break stands between two windows of the day or of the night; between the night session and the morning the market is
    closed. A break carries no part; an auction carries the part that it opens.
    """
    edges, phases, parts = phase_edges(sessions)
    span = np.searchsorted(edges, ts_ns, side="right")
    return phases[span], parts[span]


def trading_days_of(
    ts_ns: npt.NDArray[np.int64], product: str, calendar: Calendar, instruments: InstrumentTable
) -> tuple[list[TradingDay], npt.NDArray[np.int64]]:
    """The trading day of each stamp: session windows first, then the rule. Returns (days in order, index into days per stamp).

    Windows: a stamp inside a window of a trading day belongs to it (Saturday 02:00 belongs to Monday). Rule, for what
    strays outside: until 18:00 wall time of a trading day it is that day, everything later or on a closed day is the
    next trading day. Raises CalendarError for a stamp outside the calendar.
    """
    if not len(ts_ns):
        return [], np.empty(0, dtype=np.int64)
    # one "exchange day" runs from 18:00 to 18:00: evening, night and the civil day it leads into
    number = (ts_ns + (SHANGHAI_OFFSET_NS + DAY_NS - EVENING_NS)) // DAY_NS
    lowest = int(number.min())
    present = np.flatnonzero(np.bincount(number - lowest))
    by_rule = [calendar.on_or_after(TradingDay(EPOCH + dt.timedelta(days=lowest + int(offset)))) for offset in present]
    candidates = sorted({near for day in set(by_rule) for near in _neighbours(day, calendar)})
    position = {day: index for index, day in enumerate(candidates)}
    lookup = np.zeros(int(present[-1]) + 1, dtype=np.int64)
    lookup[present] = [position[day] for day in by_rule]
    sessions = [sessions_for(product, day, calendar, instruments) for day in candidates]
    chosen = _windows_first(ts_ns, lookup[number - lowest], sessions)
    counts = np.bincount(chosen, minlength=len(candidates))
    return [day for day, count in zip(candidates, counts, strict=True) if count], (np.cumsum(counts > 0) - 1)[chosen]


def _neighbours(day: TradingDay, calendar: Calendar) -> list[TradingDay]:
    """The day with the trading days before and after it, as far as the calendar knows them: whose window may hold a stamp."""
    before = [] if calendar.is_first(day) else [calendar.previous(day)]
    after = [] if calendar.is_last(day) else [calendar.next(day)]
    return [*before, day, *after]


def _windows_first(
    ts_ns: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64], sessions: list[DaySessions]
) -> npt.NDArray[np.int64]:
    """Where the rule and a session window disagree (hours that differ from today's), the window decides."""
    spans = [(w.start_ns, w.end_ns, index) for index, day in enumerate(sessions) for w in day.windows if w.phase != Phase.BREAK]
    starts, ends, owners = (np.array(column, dtype=np.int64) for column in zip(*spans, strict=True))
    window = np.searchsorted(starts, ts_ns, side="right") - 1
    inside = (window >= 0) & (ts_ns < ends[window])
    return np.where(inside, owners[window], chosen)


def trading_day_of(ts_ns: int, product: str, calendar: Calendar, instruments: InstrumentTable) -> TradingDay:
    """The trading day of one stamp; see :func:`trading_days_of`.

    >>> saturday_0200 = 1_749_232_800_000_000_000  # 2025-06-07 02:00 in Shanghai
    >>> trading_day_of(saturday_0200, "SHFE.au", Calendar.vendored(), InstrumentTable.vendored())
    TradingDay('2025-06-09')
    """
    days, index = trading_days_of(np.array([ts_ns], dtype=np.int64), product, calendar, instruments)
    return days[int(index[0])]


def trading_day_bracket(
    ts_ns: int, product: str, calendar: Calendar, instruments: InstrumentTable
) -> tuple[TradingDay, tuple[int, int]]:
    """The trading day of one stamp, and a stretch around it (from, before) in which every stamp has that day.

    For readers of one stamp after another: they ask again when a stamp leaves the stretch.

    >>> day, (start, end) = trading_day_bracket(
    ...     1_749_232_800_000_000_000, "SHFE.au", Calendar.vendored(), InstrumentTable.vendored()
    ... )
    >>> day, start < 1_749_232_800_000_000_000 < end
    (TradingDay('2025-06-09'), True)
    """
    day = trading_day_of(ts_ns, product, calendar, instruments)
    shift = SHANGHAI_OFFSET_NS + DAY_NS - EVENING_NS
    number = (ts_ns + shift) // DAY_NS
    turn = number * DAY_NS - shift
    edges = {turn, turn + DAY_NS}
    for near in _neighbours(calendar.on_or_after(TradingDay(EPOCH + dt.timedelta(days=number))), calendar):
        for window in sessions_for(product, near, calendar, instruments).windows:
            edges |= {edge for edge in (window.start_ns, window.end_ns) if turn < edge < turn + DAY_NS}
    return day, (max(edge for edge in edges if edge <= ts_ns), min(edge for edge in edges if edge > ts_ns))
