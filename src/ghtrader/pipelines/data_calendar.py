"""Days x contracts: what is stored, how it was judged, what is missing and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, alias_of, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.verdict import Cause, DayVerdict
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import GATE, VALIDATION, verdict_of_day
from ghtrader.pipelines.main_series import TABLE as SCHEDULES
from ghtrader.pipelines.services import Services
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = [
    "CAUSE_LETTERS",
    "LETTERS",
    "CalendarDay",
    "CalendarMonth",
    "CalendarSeries",
    "DataCalendar",
    "DayStatus",
    "data_calendar",
]

SKIPS = "download_skips"
#: What to do about a missing day, by kind.
HINTS = {"raw": "ghtrader data import FILE", "main_l5": "ghtrader main-l5 --var VAR"}


class DayStatus(StrEnum):
    """What one cell of the calendar says. A day that is no trading day has no cell."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    UNCHECKED = "unchecked"  # stored, never validated
    MISSING = "missing"  # expected, not stored
    PROVIDER_MISSING = "provider_missing"  # expected, and the provider answered that it has nothing
    BEYOND = "beyond"  # a trading day outside the schedule, or outside the contract's days


#: One letter each, so that a calendar reads without colour.
LETTERS: dict[DayStatus, str] = {
    DayStatus.OK: "O",
    DayStatus.WARN: "W",
    DayStatus.ERROR: "E",
    DayStatus.UNCHECKED: "U",
    DayStatus.MISSING: "M",
    DayStatus.PROVIDER_MISSING: "P",
    DayStatus.BEYOND: "-",
}
CAUSE_LETTERS: dict[str, str] = {
    Cause.UNKNOWN: "?",
    Cause.OUR_OUTAGE: "o",
    Cause.PROVIDER_MISSING: "p",
    Cause.HALTED: "h",
    Cause.LATE: "l",
    Cause.SPARSE_MARKET: "s",
    Cause.AUCTION: "a",
    Cause.EXCHANGE_BREAK: "b",
}
STORED = frozenset({DayStatus.OK, DayStatus.WARN, DayStatus.ERROR, DayStatus.UNCHECKED})


class CalendarDay(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of one contract. gaps: count by cause. beyond_schedule: stored although the schedule does not cover it."""

    trading_day: str
    status: DayStatus
    rows: int = 0
    reason_code: str = ""
    gaps: dict[str, int] = {}
    gap_seconds: float = 0.0
    note: str = ""
    beyond_schedule: bool = False


class CalendarMonth(msgspec.Struct, frozen=True, kw_only=True):
    """Weeks of a month, Monday to Friday; None where there is no trading day (or another month)."""

    month: str
    weeks: list[list[CalendarDay | None]]


class CalendarSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One contract, or the main series. counts: days by status. months: the same days as blocks."""

    kind: str
    symbol: str
    rows: int
    counts: dict[str, int]
    gaps: dict[str, int]
    days: list[CalendarDay]

    def months(self) -> list[CalendarMonth]:
        """The days as month blocks, in order."""
        found: dict[str, dict[tuple[int, int], CalendarDay]] = {}
        for day in self.days:
            date = TradingDay.parse(day.trading_day).date
            week = (date.day - 1 + date.replace(day=1).weekday()) // 7
            found.setdefault(day.trading_day[:7], {})[week, date.weekday()] = day
        blocks = []
        for month, cells in found.items():
            weeks = [[cells.get((week, weekday)) for weekday in range(5)] for week in range(6)]
            blocks.append(CalendarMonth(month=month, weeks=[week for week in weeks if any(week)]))
        return blocks


class DataCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """Every chosen series over one span of trading days, both ends included."""

    first_day: str
    last_day: str
    expected_by: str
    series: list[CalendarSeries]


class _Known(msgspec.Struct):
    """What is known of one series before its days are put in order."""

    kind: str
    symbol: str
    manifests: dict[str, DayManifest]
    expected: set[str]
    covered: set[str] | None
    verdicts: dict[str, DayVerdict]
    absent: dict[str, DayVerdict]
    skips: dict[str, tuple[str, str]]


def data_calendar(
    services: Services,
    *,
    variety: str | None = None,
    symbol: str | None = None,
    first: str | None = None,
    last: str | None = None,
) -> DataCalendar:
    """Days x contracts of a variety, of one symbol, or of everything stored; ``first`` and ``last`` trading days to show.

    Expected are the schedule's days for the series, and for a contract the days on which it is the main contract and those
    between its first and last stored one. Raises DataError when there is nothing to show.
    """
    if variety and symbol:
        raise UsageError("--var and --symbol are two ways to choose", hint="ghtrader data calendar --help")
    calendar = calendar_of(services)
    known = [_known(services, calendar, kind, name) for kind, name in _chosen(services, variety, symbol)]
    hidden = [] if symbol is None or symbol.startswith(CONTINUOUS_PREFIX) else [alias_of(product_of(symbol))]
    _take_over(known, [_known(services, calendar, "main_l5", alias) for alias in hidden] + known)
    days = {day for series in known for day in (*series.manifests, *series.expected)}
    if not days:
        what = symbol or variety or "anything"
        raise DataError(f"nothing of {what} is stored or scheduled", hint="ghtrader data import FILE...")
    begin = TradingDay.parse(first) if first else TradingDay.parse(min(days))
    end = TradingDay.parse(last) if last else TradingDay.parse(max(days))
    if end < begin:
        raise UsageError(f"{begin} to {end} is no span of days", hint="--from 2025-06-01 --to 2025-06-30")
    span = [day.iso for day in calendar.between(begin, end)]
    return DataCalendar(
        first_day=begin.iso,
        last_day=end.iso,
        expected_by=calendar.table.source,
        series=[_series(series, span) for series in known],
    )


def _chosen(services: Services, variety: str | None, symbol: str | None) -> list[tuple[str, str]]:
    store = services.tick_store()
    if symbol:
        return [("main_l5" if symbol.startswith(CONTINUOUS_PREFIX) else "raw", symbol)]
    raw, series = store.symbols("raw"), {*store.symbols("main_l5"), *(alias for alias, _ in services.ledger().items(SCHEDULES))}
    if variety:
        product = InstrumentTable.vendored().resolve_product(variety.removeprefix(CONTINUOUS_PREFIX))
        raw = [name for name in raw if product_of(name) == product]
        series = {alias for alias in series if alias == alias_of(product)}
    scheduled = {segment.contract for alias in series for segment in getattr(_schedule(services, alias), "segments", ())}
    return [*(("main_l5", alias) for alias in sorted(series)), *(("raw", name) for name in sorted({*raw, *scheduled}))]


def _schedule(services: Services, alias: str) -> MainSchedule | None:
    document = services.ledger().get(SCHEDULES, alias)
    return None if document is None else msgspec.convert(document, MainSchedule)


def _span(calendar: Calendar, first: TradingDay, last: TradingDay) -> Iterable[str]:
    return (day.iso for day in calendar.between(first, last))


def _known(services: Services, calendar: Calendar, kind: str, symbol: str) -> _Known:
    store, ledger = services.tick_store(), services.ledger()
    stored = store.days(kind, symbol)
    found = [store.manifest(DayKey(kind, symbol, day)) for day in stored]
    manifests = {manifest.trading_day: manifest for manifest in found if manifest is not None}
    documents = _Documents(ledger, symbol)
    expected: set[str] = set()
    covered: set[str] | None = None
    if kind == "main_l5":
        schedule = _schedule(services, symbol)
        if schedule is not None:
            covered = set(_span(calendar, schedule.first_day, schedule.last_day))
            expected |= covered
    else:
        schedule = _schedule(services, alias_of(product_of(symbol)))
        for segment in () if schedule is None else schedule.segments:
            if segment.contract == symbol:
                expected |= set(_span(calendar, TradingDay.parse(segment.first_day), TradingDay.parse(segment.last_day)))
        if stored:
            expected |= set(_span(calendar, stored[0], stored[-1]))
    skips = {key.rpartition("/")[2]: (row["cause"], row["message"]) for key, row in ledger.items(SKIPS, prefix=f"{symbol}/")}
    return _Known(
        kind=kind,
        symbol=symbol,
        manifests=manifests,
        expected=expected,
        covered=covered,
        verdicts=_verdicts(documents, manifests),
        absent=documents.absent(manifests),
        skips=skips,
    )


class _Documents:
    """The verdicts of one symbol, read at once; `known_gaps.Documents`."""

    def __init__(self, ledger: LedgerStore, symbol: str) -> None:
        self._ledger = ledger
        self._known = {(table, key): row for table in (VALIDATION, GATE) for key, row in ledger.items(table, prefix=f"{symbol}/")}
        self._prefix = f"{symbol}/"

    def absent(self, stored: Mapping[str, DayManifest]) -> dict[str, DayVerdict]:
        """Verdicts on days that are not stored, by ISO day."""
        keys = {key: key.removeprefix(self._prefix) for table, key in self._known if table == VALIDATION}
        found = {day: self._known[VALIDATION, key]["verdict"] for key, day in keys.items() if day not in stored}
        return {day: msgspec.convert(verdict, DayVerdict) for day, verdict in found.items() if not verdict["rows"]}

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key; another symbol's is asked for."""
        return self._known.get((table, key)) if key.startswith(self._prefix) else self._ledger.get(table, key)


def _verdicts(documents: _Documents, manifests: Mapping[str, DayManifest]) -> dict[str, DayVerdict]:
    found = {day: verdict_of_day(documents, manifest) for day, manifest in manifests.items()}
    return {day: verdict for day, verdict in found.items() if verdict is not None}


def _take_over(known: list[_Known], judged: list[_Known]) -> None:
    """A raw day that was not judged itself takes the verdict on the day of a series that was made of exactly its rows."""
    made = {
        (manifest.lineage.get("underlying_symbol", ""), day, manifest.lineage.get("raw_digest", "")): series.verdicts[day]
        for series in judged
        for day, manifest in series.manifests.items()
        if series.kind == "main_l5" and day in series.verdicts
    }
    for series in known:
        for day, manifest in series.manifests.items():
            verdict = made.get((series.symbol, day, manifest.digest))
            if verdict is not None:
                series.verdicts.setdefault(day, verdict)


def _day(series: _Known, day: str) -> CalendarDay:
    if day not in series.manifests:
        if day not in series.expected:
            return CalendarDay(trading_day=day, status=DayStatus.BEYOND)
        return _absent_day(series, day)
    beyond = series.covered is not None and day not in series.covered
    verdict, rows = series.verdicts.get(day), series.manifests[day].rows
    if verdict is None or str(verdict.overall_state) == "noop":
        return CalendarDay(trading_day=day, status=DayStatus.UNCHECKED, rows=rows, beyond_schedule=beyond)
    return CalendarDay(
        trading_day=day,
        status=DayStatus(str(verdict.overall_state)),
        rows=rows,
        reason_code=verdict.reason_code,
        gaps=_by_cause(verdict),
        gap_seconds=round(sum(gap.seconds for gap in verdict.gaps), 3),
        note=verdict.action_hint,
        beyond_schedule=beyond,
    )


def _absent_day(series: _Known, day: str) -> CalendarDay:
    """A day that is expected and not stored: with its verdict, else with what the download said, else plainly missing."""
    cause, message = series.skips.get(day, ("", ""))
    verdict = series.absent.get(day)
    if verdict is not None:
        causes = {str(gap.cause) for gap in verdict.gaps}
        cause = Cause.PROVIDER_MISSING if causes == {Cause.PROVIDER_MISSING} else str(verdict.reason_code)
        message = verdict.action_hint
    status = DayStatus.PROVIDER_MISSING if cause == Cause.PROVIDER_MISSING else DayStatus.MISSING
    return CalendarDay(
        trading_day=day,
        status=status,
        reason_code=cause,
        gaps={} if verdict is None else _by_cause(verdict),
        gap_seconds=0.0 if verdict is None else round(sum(gap.seconds for gap in verdict.gaps), 3),
        note=message or HINTS[series.kind],
    )


def _by_cause(verdict: DayVerdict) -> dict[str, int]:
    counts: dict[str, int] = {}
    for gap in verdict.gaps:
        counts[str(gap.cause)] = counts.get(str(gap.cause), 0) + 1
    return counts


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return total


def _series(series: _Known, span: list[str]) -> CalendarSeries:
    days = [_day(series, day) for day in span]
    counts = _sum({str(day.status): 1} for day in days)
    return CalendarSeries(
        kind=series.kind,
        symbol=series.symbol,
        rows=sum(day.rows for day in days),
        counts={str(status): counts[str(status)] for status in DayStatus if str(status) in counts},
        gaps=_sum(day.gaps for day in days),
        days=days,
    )
