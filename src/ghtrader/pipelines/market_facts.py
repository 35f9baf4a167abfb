"""Calendar and instruments as reports; the calendar's refresh."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import ConfigError, DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.data.calendar import REFRESH_COMMAND, Calendar, CalendarTable, refreshed_table
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import SHANGHAI_OFFSET_NS, sessions_for
from ghtrader.pipelines.ingest import CALENDAR_OVERRIDE, calendar_of
from ghtrader.pipelines.services import Services

__all__ = [
    "DayReport",
    "ProductReport",
    "RefreshReport",
    "WindowReport",
    "YearReport",
    "instrument_spec",
    "list_products",
    "refresh_calendar",
    "trading_day_windows",
    "trading_days",
]

LIBRARY = "exchange_calendars"


class YearReport(msgspec.Struct, frozen=True, kw_only=True):
    """Trading days of a year, the weekdays on which the exchanges are closed, and who says so."""

    year: int
    trading_days: list[str]
    closed_weekdays: list[str]
    source: str
    horizon: str


class WindowReport(msgspec.Struct, frozen=True, kw_only=True):
    """One phase in Shanghai time: from ``start`` on, before ``end`` (continuous trading: ``end`` included)."""

    phase: str
    part: str
    start: str
    end: str


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """Phases of one product's trading day."""

    product: str
    trading_day: str
    has_night: bool
    windows: list[WindowReport]
    source: str


class ProductReport(msgspec.Struct, frozen=True, kw_only=True):
    """A product in short, by its newest facts."""

    product: str
    name: str
    price_tick: float
    multiplier: float
    night: str
    listed: str


class RefreshReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh changed. ``added`` and ``removed`` are trading days."""

    source: str
    first_day: str
    last_day: str
    added: list[str]
    removed: list[str]
    path: str


def trading_days(services: Services, year: int) -> YearReport:
    """Trading days of a year, as far as the calendar reaches; raises CalendarError for a year that lies outside it."""
    calendar = calendar_of(services)
    first, last = (TradingDay.parse(f"{year:04}-{day}") for day in ("01-01", "12-31"))
    days = calendar.between(max(first, calendar.first) if last >= calendar.first else first, min(last, calendar.last))
    return YearReport(
        year=year,
        trading_days=[day.iso for day in days],
        closed_weekdays=[f"{year}-{day}" for day in calendar.table.closed.get(str(year), ())],
        source=calendar.table.source,
        horizon=calendar.horizon.iso,
    )


def _wall(ns: int) -> str:
    return iso_utc(ns + SHANGHAI_OFFSET_NS)[:19].replace("T", " ")


def trading_day_windows(services: Services, product: str, day: str) -> DayReport:
    """Phases of one product's trading day in Shanghai time."""
    table, trading_day = InstrumentTable.vendored(), TradingDay.parse(day)
    name = table.resolve_product(product)
    sessions = sessions_for(name, trading_day, calendar_of(services), table)
    night = table.night_hours(name, trading_day)
    hours = [table.auction(trading_day), table.day_hours(name, trading_day), *([night] if night and sessions.has_night else [])]
    return DayReport(
        product=name,
        trading_day=sessions.trading_day.iso,
        has_night=sessions.has_night,
        windows=[
            WindowReport(phase=w.phase.name.lower(), part=w.part.name.lower(), start=_wall(w.start_ns), end=_wall(w.end_ns))
            for w in sessions.windows
        ],
        source=table.source_text(list(dict.fromkeys(source for row in hours for source in row.sources))),
    )


def list_products() -> list[ProductReport]:
    """Every declared product in short."""
    table = InstrumentTable.vendored()
    return [
        ProductReport(
            product=row.product,
            name=row.name,
            price_tick=row.price_ticks[-1].tick,
            multiplier=row.multipliers[-1].units,
            night=" ".join(f"{start}-{end}" for start, end in row.nights[-1].windows) if row.nights else "",
            listed=row.listed,
        )
        for row in (table.product(name) for name in table.products)
    ]


def instrument_spec(symbol: str, day: str) -> InstrumentSpec:
    """What holds for a symbol on a trading day."""
    return InstrumentTable.vendored().spec(symbol, TradingDay.parse(day))


def refresh_calendar(services: Services, source: str, *, allow_removed: bool = False) -> RefreshReport:
    """Write a newer calendar for this data folder from a list of days (JSON or CSV) or from ``exchange_calendars``.

    The vendored table stays as it is; the checks are those of :func:`~ghtrader.data.calendar.refreshed_table`.
    """
    old = calendar_of(services)
    days = _library_days() if source == LIBRARY else _file_days(Path(source))
    retrieved = iso_utc(services.clock.now_ns())[:10]
    table = refreshed_table(old, days, source=source, retrieved=retrieved, allow_removed=allow_removed)
    new = Calendar(table)
    path = services.paths.data / CALENDAR_OVERRIDE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(table), indent=1))
    before, after = set(old.between(old.first, old.last)), set(new.between(new.first, new.last))
    return RefreshReport(
        source=source,
        first_day=new.first.iso,
        last_day=new.last.iso,
        added=sorted(day.iso for day in after - before),
        removed=sorted(day.iso for day in before - after),
        path=str(path),
    )


def _file_days(path: Path) -> list[TradingDay]:
    """Trading days of a JSON list, of a stored calendar table, or of the first column of a CSV (a header may stand first)."""
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint=REFRESH_COMMAND, path=str(path))
    try:
        content = path.read_bytes()
        if path.suffix != ".json":
            rows = [row[0].strip() for row in csv.reader(content.decode("utf-8-sig").splitlines()) if row and row[0].strip()]
            return [TradingDay.parse(cell) for cell in (rows if rows and rows[0][:1].isdigit() else rows[1:])]
        document = msgspec.json.decode(content)
        if isinstance(document, list):
            return [TradingDay.parse(str(item)) for item in document]
        table = Calendar(msgspec.convert(document, CalendarTable))
        return table.between(table.first, table.last)
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path} cannot be read as a list of days: {error}", hint=REFRESH_COMMAND, path=str(path)) from error


def _library_days() -> list[TradingDay]:
    """Trading days that the library knows: those of the Shanghai stock exchange, which are those of the futures exchanges."""
    try:
        import exchange_calendars
    except ImportError as error:
        hint = f"pip install exchange_calendars, or {REFRESH_COMMAND}"
        raise ConfigError("exchange_calendars is not installed", hint=hint) from error
    calendar = exchange_calendars.get_calendar("XSHG", start=Calendar.vendored().first.iso)
    return [TradingDay.parse(str(session)[:10]) for session in calendar.sessions]
