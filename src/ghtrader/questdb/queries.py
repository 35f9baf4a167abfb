"""Questions about stored ticks: from the daily views that the server keeps, else from the raw rows, said so.

A view is used only when it covers everything that was committed to its table: `DailyIndex` compares their transactions
first, waits a moment for the refresh, and falls back to the rows (``degraded`` names the reason). So answers are exact, and
fast whenever the server keeps up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import SchemaError
from ghtrader.data.tables import tick_table
from ghtrader.data.tick_queries import RECENT_COLUMNS
from ghtrader.ports.tick_queries import Bounds, DayCoverage, LatestTick, SymbolCount
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import quote
from ghtrader.questdb.wire import HttpReader, PgWire

if TYPE_CHECKING:
    import polars as pl

    from ghtrader.ports.tick_store import DayKey, TickStore

__all__ = ["DailyIndex", "QuestdbQueries"]

REFRESH_WAIT_S = 1.0
POLL_S = 0.005
#: The same sums from the rows: what a view would hold, computed on the spot.
RAW_SUMS = (
    "(SELECT {by}, count() AS row_count, min(datetime) AS first_ts, max(datetime) AS last_ts "
    "FROM {table} WHERE {where} trading_day IS NOT NULL AND symbol IS NOT NULL)"
)


class DailyIndex:
    """Sums by day of a kind of ticks: the view when it is current, else the rows."""

    def __init__(self, settings: QuestdbSettings, wire: PgWire) -> None:
        self._settings = settings
        self._wire = wire
        self.degraded = ""

    def _stale_reason(self, view: str) -> str:
        """Why a view cannot be used; empty when it covers everything committed to its table."""
        sql = (
            'SELECT v.view_status, v.invalidation_reason, v.refresh_base_table_txn, v.base_table_txn, w."writerTxn", '
            'w."sequencerTxn", w.suspended FROM materialized_views() v JOIN wal_tables() w ON v.view_name = w.name '
            "WHERE v.view_name = %s"
        )
        deadline = Deadline(REFRESH_WAIT_S)
        while True:
            rows = self._wire.query(sql, (view,))
            if not rows:
                return "view_missing"
            status, reason, refreshed, committed, applied, written, suspended = rows[0]
            if suspended:
                return "view_suspended"
            if status not in {"valid", "refreshing"}:
                return f"view_{status}: {reason or 'no reason given'}"
            if refreshed >= committed and applied >= written:
                return ""
            if deadline.passed:
                return "view_behind"
            deadline.pause(POLL_S)

    def sums(self, kind: str, by: str, where: str = "") -> str:
        """A FROM clause with row_count, first_ts and last_ts by ``by``; ``where`` ends with AND."""
        table, view_name = tick_table(kind)
        view = self._settings.name(view_name)
        self.degraded = self._stale_reason(view)
        if not self.degraded:
            return f"(SELECT {by}, row_count, first_ts, last_ts FROM {view} WHERE {where} symbol IS NOT NULL)"
        return RAW_SUMS.format(by=by, table=self._settings.name(table.name), where=where)

    def days(self, kind: str, symbol: str) -> list[str]:
        """Trading days of a symbol, ascending."""
        source = self.sums(kind, "symbol, trading_day", f"symbol = {quote(symbol)} AND ")
        return sorted(day for (day,) in self._wire.query(f"SELECT DISTINCT trading_day FROM {source}"))

    def symbols(self, kind: str) -> list[str]:
        """Symbols with rows, sorted."""
        return sorted(name for (name,) in self._wire.query(f"SELECT DISTINCT symbol FROM {self.sums(kind, 'symbol')}"))

    def writes(self, kind: str) -> list[tuple[str, str, int]]:
        """Symbol, trading day and write id of everything that is visible."""
        source = self.sums(kind, "symbol, trading_day, write_id")
        return [
            (symbol, day, write)
            for symbol, day, write in self._wire.query(f"SELECT DISTINCT symbol, trading_day, write_id FROM {source}")
        ]


class QuestdbQueries:
    """`ports.tick_queries.TickQueries` on a server."""

    def __init__(self, settings: QuestdbSettings, wire: PgWire, reader: HttpReader, store: TickStore) -> None:
        self._settings = settings
        self._wire = wire
        self._reader = reader
        self._store = store
        self._index = DailyIndex(settings, wire)

    @property
    def degraded(self) -> str:
        """Why the last answer came from the rows and not from the daily view; empty when it did not."""
        return self._index.degraded

    @staticmethod
    def _where(kind: str, symbol: str | None, schedule_hash: str | None) -> str:
        if schedule_hash is not None and kind != "main_l5":
            raise SchemaError(f"{kind} ticks have no schedule_hash", hint="leave it out, or ask for main_l5", kind=kind)
        parts = [] if symbol is None else [f"symbol = {quote(symbol)} AND "]
        return "".join(parts + ([] if schedule_hash is None else [f"schedule_hash = {quote(schedule_hash)} AND "]))

    def _rows(self, what: str, kind: str, by: str, where: str, tail: str) -> list[tuple[Any, ...]]:
        return self._wire.query(f"SELECT {what} FROM {self._index.sums(kind, by, where)} {tail}")

    def symbol_counts(self, kind: str, schedule_hash: str | None = None) -> list[SymbolCount]:
        """Every symbol with its rows and days."""
        where = self._where(kind, None, schedule_hash)
        what = "symbol, sum(row_count), count_distinct(trading_day)"
        rows = self._rows(what, kind, "symbol, trading_day", where, "ORDER BY symbol")
        return [SymbolCount(symbol=symbol, rows=int(count), days=int(days)) for symbol, count, days in rows]

    def coverage(self, kind: str, symbol: str, schedule_hash: str | None = None) -> list[DayCoverage]:
        """Every trading day of a symbol."""
        where = self._where(kind, symbol, schedule_hash)
        what = "trading_day, sum(row_count), min(first_ts)::long, max(last_ts)::long"
        rows = self._rows(what, kind, "symbol, trading_day", where, "ORDER BY trading_day")
        return [
            DayCoverage(symbol=symbol, trading_day=day, rows=int(count), first_ns=first, last_ns=last)
            for day, count, first, last in rows
        ]

    def bounds(self, kind: str, symbol: str, schedule_hash: str | None = None) -> Bounds | None:
        """Where a symbol begins and ends."""
        days = self.coverage(kind, symbol, schedule_hash)
        if not days:
            return None
        return Bounds(
            symbol=symbol,
            first_day=days[0].trading_day,
            last_day=days[-1].trading_day,
            first_ns=days[0].first_ns,
            last_ns=days[-1].last_ns,
            rows=sum(day.rows for day in days),
        )

    def latest(self, kind: str, symbol: str | None = None) -> list[LatestTick]:
        """The last row of each symbol, read backwards from the end of the table."""
        table, _ = tick_table(kind)
        where = self._where(kind, symbol, None)
        sql = (
            f"SELECT symbol, trading_day, datetime::long, last_price FROM {self._settings.name(table.name)} "
            f"WHERE {where} trading_day IS NOT NULL AND symbol IS NOT NULL LATEST ON datetime PARTITION BY symbol"
        )
        self._index.degraded = ""
        return [
            LatestTick(symbol=name, trading_day=day, ts_ns=stamp, last_price=price)
            for name, day, stamp, price in sorted(self._wire.query(sql))
        ]

    def recent(self, kind: str, symbol: str, rows: int) -> pl.DataFrame:
        """The last rows of a symbol."""
        import polars as pl

        table, _ = tick_table(kind)
        self._index.degraded = ""
        frame: pl.DataFrame = self._reader.frame(
            f"SELECT {', '.join(RECENT_COLUMNS)} FROM {self._settings.name(table.name)} "
            f"WHERE symbol = {quote(symbol)} AND trading_day IS NOT NULL LIMIT {-int(rows)}"
        )
        floats = [pl.col(name).fill_null(float("nan")) for name in RECENT_COLUMNS[1:]]
        return frame.select(pl.col("datetime").cast(pl.Int64), *floats)

    def day(self, key: DayKey) -> pl.DataFrame:
        """All rows of one partition."""
        return self._store.read_day(key)
