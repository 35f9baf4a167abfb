"""Calendar and instruments as reports; the calendar's refresh."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import CalendarError, ConfigError, DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.data.calendar import Calendar, CalendarTable, table_from_days
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.pipelines.ingest import CALENDAR_OVERRIDE, calendar_of
from ghtrader.pipelines.services import Services

__all__ = ["RefreshReport", "instrument_spec", "list_products", "refresh_calendar", "trading_day_windows", "trading_days"]

LIBRARY = "exchange_calendars"
#: Days on which the stock exchange's calendar of the library trades and the futures exchanges do not.
FUTURES_CLOSED = ("2024-02-09",)


def trading_days(services: Services, year: int) -> dict[str, Any]:
    """Trading days of a year, the closed weekdays, and where the calendar comes from."""
    calendar = calendar_of(services)
    first, last = TradingDay.parse(f"{year}-01-01"), TradingDay.parse(f"{year}-12-31")
    days = calendar.between(first, last)
    return {
        "year": year,
        "trading_days": [day.iso for day in days],
        "closed_weekdays": list(calendar.table.closed.get(str(year), ())),
        "source": calendar.table.source,
        "horizon": calendar.last.iso,
    }


def trading_day_windows(services: Services, product: str, day: str) -> dict[str, Any]:
    """Phases of one product's trading day in Shanghai time."""
    table = InstrumentTable.vendored()
    name = table.resolve_product(product)
    sessions = sessions_for(name, TradingDay.parse(day), calendar_of(services), table)

    def wall(ns: int) -> str:
        return iso_utc(ns + 8 * 3600 * 1_000_000_000)[:19].replace("T", " ")

    return {
        "product": name,
        "trading_day": sessions.trading_day.iso,
        "has_night": sessions.has_night,
        "windows": [
            {"phase": w.phase.name.lower(), "part": w.part.name.lower(), "start": wall(w.start_ns), "end": wall(w.end_ns)}
            for w in sessions.windows
        ],
    }


def list_products() -> list[dict[str, Any]]:
    """Every declared product in short."""
    table = InstrumentTable.vendored()
    return [
        {
            "product": row.product,
            "name": row.name,
            "price_tick": row.price_ticks[-1].tick,
            "multiplier": row.multiplier,
            "night": f"{row.nights[-1].open}-{row.nights[-1].close}" if row.nights else "",
        }
        for row in (table.product(name) for name in table.products)
    ]


def instrument_spec(symbol: str, day: str) -> InstrumentSpec:
    """What holds for a symbol on a trading day."""
    return InstrumentTable.vendored().spec(symbol, TradingDay.parse(day))


class RefreshReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh changed."""

    source: str
    first_day: str
    last_day: str
    added: list[str]
    removed: list[str]
    path: str


def refresh_calendar(services: Services, source: str) -> RefreshReport:
    """Write a new calendar for this data folder from a list of days (JSON list or CSV) or from ``exchange_calendars``.

    The new list must know every trading day that the present one knows in the years they share; the vendored table
    stays as it is.
    """
    old = calendar_of(services)
    days = _library_days() if source == LIBRARY else _file_days(Path(source))
    if not days:
        raise DataError(f"{source} holds no days", hint="one YYYY-MM-DD a line, or a JSON list")
    first = TradingDay.parse(f"{days[0].date.year}-01-01")
    last = TradingDay.parse(f"{days[-1].date.year}-12-31")
    if first > old.first:
        known = old.between(old.first, TradingDay(first.date.replace(year=first.date.year - 1, month=12, day=31)))
        days, first = [*known, *days], old.first
    if last < old.last:
        raise CalendarError(f"{source} ends in {last.date.year}, before the present calendar ({old.last})", day=last.iso)
    new = Calendar(table_from_days(days, first=first, last=last, source=source, retrieved=iso_utc(services.clock.now_ns())[:10]))
    before, after = set(old.between(old.first, old.last)), set(new.between(new.first, new.last))
    removed = sorted(day.iso for day in before - after)
    if len(removed) > 5:
        raise CalendarError(
            f"{source} would close {len(removed)} known trading days, for example {removed[0]}", days=removed[:20]
        )
    path = services.paths.data / CALENDAR_OVERRIDE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(new.table), indent=1))
    added = sorted(day.iso for day in after - before)
    return RefreshReport(
        source=source, first_day=new.first.iso, last_day=new.last.iso, added=added, removed=removed, path=str(path)
    )


def _file_days(path: Path) -> list[TradingDay]:
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint="ghtrader calendar refresh --from FILE")
    if path.suffix == ".json":
        try:
            document = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError as error:
            raise DataError(f"{path} is no JSON: {error}") from error
        if isinstance(document, dict):
            table = Calendar(msgspec.convert(document, CalendarTable))
            return table.between(table.first, table.last)
        return sorted(TradingDay.parse(str(item)) for item in document)
    with path.open(newline="", encoding="utf-8") as stream:
        cells = [row[0] for row in csv.reader(stream) if row and row[0][:4].isdigit()]
    return sorted(TradingDay.parse(cell) for cell in cells)


def _library_days() -> list[TradingDay]:
    try:
        import exchange_calendars
    except ImportError as error:
        raise ConfigError("exchange_calendars is not installed", hint="pip install exchange_calendars, or --from FILE") from error
    sessions = exchange_calendars.get_calendar("XSHG", start="2010-01-01").sessions
    days = [TradingDay.parse(str(session)[:10]) for session in sessions]
    return [day for day in days if day.iso not in FUTURES_CLOSED]
