"""Is the server well: does it answer, how fast, which tables are suspended or behind, how full is its disk, what is amiss?"""

from __future__ import annotations

import msgspec

from ghtrader.core.clock import Clock, elapsed_s
from ghtrader.core.errors import GhtraderError
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import quote
from ghtrader.questdb.wire import HttpReader, PgWire

__all__ = ["HealthReport", "TableHealth", "check_health"]

BEHIND_WARN = 50


class TableHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One of our tables: rows, size, transactions not applied yet, and why it stands still where it does."""

    table: str
    rows: int
    size_bytes: int
    partition_by: str
    behind: int
    suspended: bool
    error: str = ""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """``state`` is ok, warn or error; ``problems`` say why, each with the next command."""

    state: str
    server: str
    version: str
    connect_ms: float
    export_ms: float
    connections_budget: int
    tables: list[TableHealth]
    problems: list[str]


def check_health(
    settings: QuestdbSettings, wire: PgWire, reader: HttpReader, schema: QuestdbSchema, clock: Clock
) -> HealthReport:
    """Ask the server over both protocols; raises StoreError only when it does not answer at all."""
    started = clock.monotonic_ns()
    version = str(wire.query("SELECT build()")[0][0])
    connect_ms = 1000 * elapsed_s(clock, started)
    problems: list[str] = []
    started = clock.monotonic_ns()
    try:
        reader.parquet("SELECT 1 AS one FROM long_sequence(1)")
        exports = True
    except GhtraderError as error:
        exports = False
        problems.append(f"HTTP export: {error.message}; {error.hint}")
    export_ms = 1000 * elapsed_s(clock, started)
    if settings.import_folder is not None and not settings.import_folder.is_dir():
        problems.append(
            f"there is no folder {settings.import_folder}: days go over the wire, slower; "
            "set GHTRADER_QUESTDB_IMPORT_DIR to the server's import folder, or unset it"
        )
    tables = _tables(settings, wire)
    for table in tables:
        if table.suspended:
            problems.append(
                f"{table.table} is suspended: {table.error or 'no reason given'}; ghtrader db resume-wal {table.table}"
            )
        elif table.behind > BEHIND_WARN:
            problems.append(f"{table.table} is {table.behind} transactions behind; wait, or look at the server's log")
    problems += [
        f"{name}: the daily view is not kept ({why}); ghtrader db refresh-main-l5-daily-agg"
        for name, why in schema.invalid_views()
    ]
    limit = _parameter(wire, "pg.net.connection.limit")
    if limit is not None and limit < settings.connection_limit:
        problems.append(
            f"the server allows {limit} PGWire connections, this installation counts on {settings.connection_limit}; "
            f"export GHTRADER_QDB_PG_NET_CONNECTION_LIMIT={limit}"
        )
    stands = not exports or any(table.suspended for table in tables)
    state = "error" if stands else "warn" if problems else "ok"
    return HealthReport(
        state=state,
        server=f"{settings.host}:{settings.http_port}/{settings.pg_port}",
        version=version,
        connect_ms=round(connect_ms, 1),
        export_ms=round(export_ms, 1),
        connections_budget=settings.connection_budget,
        tables=tables,
        problems=problems,
    )


def _tables(settings: QuestdbSettings, wire: PgWire) -> list[TableHealth]:
    rows = wire.query(
        'SELECT t.table_name, t."partitionBy", w.suspended, w."sequencerTxn" - w."writerTxn", w."errorTag", w."errorMessage" '
        "FROM tables() t LEFT JOIN wal_tables() w ON t.table_name = w.name"
    )
    found = []
    for name, partition, suspended, behind, tag, message in rows:
        if name.startswith(settings.prefix):
            sums = f'SELECT sum("numRows"), sum("diskSize") FROM table_partitions({quote(name)})'
            count, size = wire.query(sums)[0]
            why = " ".join(word for word in (tag, message) if word)
            found.append(
                TableHealth(
                    table=name,
                    rows=int(count or 0),
                    size_bytes=int(size or 0),
                    partition_by=partition,
                    behind=int(behind or 0),
                    suspended=bool(suspended),
                    error=why,
                )
            )
    return sorted(found, key=lambda item: item.table)


def _parameter(wire: PgWire, name: str) -> int | None:
    rows = wire.query("SELECT value FROM (SHOW PARAMETERS) WHERE property_path = %s", (name,))
    return int(rows[0][0]) if rows and str(rows[0][0]).isdigit() else None
