"""SQL text of the QuestDB room, made in one place: literals, names, DDL of the declared tables, the predicate of a day."""

from __future__ import annotations

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError
from ghtrader.data.calendar import Calendar
from ghtrader.data.migrations import Step
from ghtrader.data.schema import ColumnType
from ghtrader.data.tables import Column, DailyView, Table
from ghtrader.ports.tick_store import DayKey
from ghtrader.questdb.settings import QuestdbSettings

__all__ = ["column_type", "day_predicate", "day_window_ns", "quote", "step_sql", "timestamp"]

HOUR_NS = 3600 * NS_PER_S
#: Trading days meet at 16:00 Shanghai, between the close and the evening's auction.
BOUNDARY_UTC_NS = 8 * HOUR_NS
DAY_NS = 24 * HOUR_NS
_EPOCH_ORDINAL = 719_163
LONGEST_HOLIDAY_DAYS = 15

_TYPES: dict[ColumnType, str] = {
    "i64": "LONG",
    "f64": "DOUBLE",
    "str": "VARCHAR",
    "u8": "SHORT",
    "u32": "LONG",
    "i8": "SHORT",
    "sym": "SYMBOL",
    "bool": "BOOLEAN",
    "ts": "TIMESTAMP_NS",
    "f64[]": "DOUBLE[]",
}


def quote(text: str) -> str:
    """A text literal.

    >>> quote("it's")
    "'it''s'"
    """
    if "\0" in text:
        raise DataError("a text with a zero byte cannot be stored", hint="check the symbol")
    return "'" + text.replace("'", "''") + "'"


def timestamp(ns: int) -> str:
    """A timestamp literal of nanoseconds UTC."""
    return f"{ns}::timestamp_ns"


def column_type(column: Column) -> str:
    """The type that the server reports for a declared column."""
    return _TYPES[column.type]


def _column_ddl(column: Column) -> str:
    capacity = f" CAPACITY {column.capacity} CACHE" if column.type == "sym" and column.capacity else ""
    return f"{column.name} {column_type(column)}{capacity}"


def create_table(table: Table, settings: QuestdbSettings) -> str:
    """CREATE TABLE of a declaration; ticks are partitioned as the configuration says."""
    columns = ", ".join(_column_ddl(column) for column in table.columns)
    partition = settings.ticks_partition_by if table.partition == "ticks" else table.partition
    keys = f" DEDUP UPSERT KEYS({', '.join(table.keys)})" if table.keys else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {settings.name(table.name)} ({columns}) TIMESTAMP({table.timestamp}) "
        f"PARTITION BY {partition} WAL{keys}"
    )


def create_view(view: DailyView, settings: QuestdbSettings) -> str:
    """CREATE MATERIALIZED VIEW of a daily view: refreshed by the server after every commit."""
    by = ", ".join(view.by)
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {settings.name(view.name)} WITH BASE {settings.name(view.base)} "
        f"REFRESH IMMEDIATE AS (SELECT datetime, {by}, count() AS row_count, min(datetime) AS first_ts, max(datetime) AS last_ts, "
        f"last(last_price) AS last_price, max(volume) AS volume FROM {settings.name(view.base)} "
        f"WHERE trading_day IS NOT NULL SAMPLE BY 1d) PARTITION BY YEAR"
    )


def add_column(table: str, column: Column, settings: QuestdbSettings) -> str:
    """ALTER TABLE for a column that is missing."""
    return f"ALTER TABLE {settings.name(table)} ADD COLUMN {_column_ddl(column)}"


def retype_column(table: str, column: Column, settings: QuestdbSettings) -> str:
    """ALTER TABLE for a column of another type."""
    capacity = f" CAPACITY {column.capacity} CACHE" if column.type == "sym" and column.capacity else ""
    return f"ALTER TABLE {settings.name(table)} ALTER COLUMN {column.name} TYPE {column_type(column)}{capacity}"


def step_sql(step: Step, settings: QuestdbSettings) -> str:
    """The statement of a migration step."""
    if step.view is not None:
        return create_view(step.view, settings)
    assert step.table is not None
    return create_table(step.table, settings) if step.column is None else add_column(step.table.name, step.column, settings)


def day_window_ns(calendar: Calendar, key: DayKey) -> tuple[int, int]:
    """First and last nanosecond that a row of the trading day can carry: 16:00 to 16:00 Shanghai, night included."""

    def boundary(ordinal: int) -> int:
        return (ordinal - _EPOCH_ORDINAL) * DAY_NS + BOUNDARY_UTC_NS

    day = key.trading_day
    before = calendar.previous(day).date.toordinal() if day > calendar.first else day.date.toordinal() - LONGEST_HOLIDAY_DAYS
    return boundary(before), boundary(day.date.toordinal()) - 1


def day_predicate(calendar: Calendar, key: DayKey) -> str:
    """WHERE of one partition: the designated-timestamp interval prunes, trading_day (no cast) and symbol are exact."""
    first, last = day_window_ns(calendar, key)
    return (
        f"datetime BETWEEN {timestamp(first)} AND {timestamp(last)} "
        f"AND symbol = {quote(key.symbol)} AND trading_day = {quote(key.trading_day.iso)}"
    )
