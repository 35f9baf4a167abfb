"""One QuestDB server as a store: ticks, ledgers, tables, questions, schema, made on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ghtrader.core.clock import Clock, Deadline
from ghtrader.core.errors import GhtraderError, StoreError
from ghtrader.core.progress import Progress
from ghtrader.data.calendar import Calendar
from ghtrader.data.tables import TICK_TABLES
from ghtrader.questdb.feature_store import QuestdbFeatures
from ghtrader.questdb.health import HealthReport, check_health
from ghtrader.questdb.ledger_store import QuestdbLedger
from ghtrader.questdb.queries import QuestdbQueries
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.sender import IlpSender
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.table_store import QuestdbTables
from ghtrader.questdb.tick_store import QuestdbTickStore
from ghtrader.questdb.wire import HttpReader, PgWire, check_http, check_pg

if TYPE_CHECKING:
    from ghtrader.questdb.bench import BenchmarkReport

__all__ = ["QuestdbStore"]

REFRESH_TIMEOUT_S = 600.0
REFRESH_POLL_S = 0.2


class QuestdbStore:
    """`pipelines.services.Store` on a server."""

    name = "questdb"

    def __init__(self, settings: QuestdbSettings, calendar: Calendar, clock: Clock, tool_version: str) -> None:
        self.settings = settings
        self._calendar = calendar
        self._clock = clock
        self._tool_version = tool_version
        self.wire = PgWire(settings)
        self.reader = HttpReader(settings)
        self.sender = IlpSender(settings)

    @cached_property
    def _schema(self) -> QuestdbSchema:
        return QuestdbSchema(self.settings, self.wire, self._clock, self._tool_version)

    @cached_property
    def _ticks(self) -> QuestdbTickStore:
        return QuestdbTickStore(self.settings, self.wire, self.reader, self.sender, self._schema, self._calendar)

    def schema(self) -> QuestdbSchema:
        """Migrations and drift."""
        return self._schema

    def ticks(self) -> QuestdbTickStore:
        """Day partitions."""
        return self._ticks

    def ledger(self) -> QuestdbLedger:
        """Ledgers and documents."""
        return QuestdbLedger(self.settings, self.wire, self._clock)

    def tables(self) -> QuestdbTables:
        """Rows replaced by scope."""
        return QuestdbTables(self.settings, self.wire, self._schema, self._clock)

    def features(self) -> QuestdbFeatures:
        """Built features and labels."""
        return QuestdbFeatures(self.settings, self.wire, self.reader, self.sender, self._schema, self._calendar, self.ledger())

    def queries(self) -> QuestdbQueries:
        """Questions about stored ticks."""
        return QuestdbQueries(self.settings, self.wire, self.reader, self._ticks)

    def health(self) -> HealthReport:
        """How the server is."""
        return check_health(self.settings, self.wire, self.reader, self._schema, self._clock)

    def _daily_states(self) -> dict[str, str]:
        """Why each daily view cannot be used; empty where it can."""
        queries, found = self.queries(), {}
        for kind, (_, view) in TICK_TABLES.items():
            queries.symbol_counts(kind)
            found[self.settings.name(view)] = queries.degraded
        return found

    def refresh_daily(self) -> dict[str, str]:
        """Rebuild the daily views whole; idempotent. What each was before (``current`` or why not)."""
        before = self._daily_states()
        for name in before:
            self.wire.execute(f"REFRESH MATERIALIZED VIEW {name} FULL")
        deadline = Deadline(REFRESH_TIMEOUT_S)
        while any(states := self._daily_states().values()):
            if deadline.passed:
                raise StoreError(f"the daily views are not refreshed: {', '.join(states)}", hint="ghtrader db questdb-health")
            deadline.pause(REFRESH_POLL_S)
        return {name: state or "current" for name, state in before.items()}

    def ensure_daily(self) -> str:
        """After a build: ``current``, ``refreshed``, or ``degraded: why``; never an error, as readers fall back to the rows."""
        try:
            if not any(self._daily_states().values()):
                return "current"
            self.refresh_daily()
        except GhtraderError as error:
            return f"degraded: {error.message}"
        return "refreshed"

    def resume_wal(self, table: str) -> None:
        """Let a suspended table go on."""
        self._schema.resume_wal(table)

    def benchmark(self, *, rows: int, progress: Progress) -> BenchmarkReport:
        """Speed beside a bare client in the same run."""
        check_pg(self.settings)
        check_http(self.settings)
        from ghtrader.questdb.bench import run_benchmark

        return run_benchmark(self.settings, self._calendar, rows=rows, progress=progress)

    def close(self) -> None:
        """Hang up."""
        self.wire.close()
        self.sender.close()
