"""Stores as the composition root builds them: files under the data folder, or a QuestDB server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ghtrader.core.clock import Clock

if TYPE_CHECKING:
    from ghtrader.adapters.local.feature_store import LocalFeatures
    from ghtrader.adapters.local.ledger_store import SqliteLedger
    from ghtrader.adapters.local.table_store import LocalSchema, LocalTables
    from ghtrader.adapters.local.tick_store import LocalTickStore
    from ghtrader.data.tick_queries import StoreQueries
    from ghtrader.pipelines.services import Paths, Settings
    from ghtrader.questdb.store import QuestdbStore

__all__ = ["LocalStore", "served_store"]


class LocalStore:
    """`pipelines.services.Store` on files: Parquet partitions and two SQLite files."""

    name = "local"

    def __init__(self, paths: Paths, clock: Clock, tool_version: str) -> None:
        self._paths = paths
        self._clock = clock
        self._tool_version = tool_version

    @cached_property
    def _ticks(self) -> LocalTickStore:
        from ghtrader.adapters.local.tick_store import LocalTickStore

        return LocalTickStore(self._paths.data / "ticks")

    @cached_property
    def _ledger(self) -> SqliteLedger:
        from ghtrader.adapters.local.ledger_store import SqliteLedger

        return SqliteLedger(self._paths.data / "ledger.sqlite")

    @cached_property
    def _tables(self) -> LocalTables:
        from ghtrader.adapters.local.table_store import LocalTables

        return LocalTables(self._paths.data / "tables.sqlite", self._clock, self._tool_version)

    def schema(self) -> LocalSchema:
        """Migrations of the tables file."""
        return self._tables.schema

    def ticks(self) -> LocalTickStore:
        """Day partitions."""
        return self._ticks

    def ledger(self) -> SqliteLedger:
        """Ledgers and documents."""
        return self._ledger

    def tables(self) -> LocalTables:
        """Rows replaced by scope."""
        return self._tables

    def features(self) -> LocalFeatures:
        """Built features and labels."""
        from ghtrader.adapters.local.feature_store import LocalFeatures

        return LocalFeatures(self._paths.data / "features")

    def queries(self) -> StoreQueries:
        """Questions about stored ticks."""
        from ghtrader.data.tick_queries import StoreQueries

        return StoreQueries(self._ticks)


def served_store(
    paths: Paths, clock: Clock, tool_version: str, environment: Mapping[str, str], settings: Settings
) -> QuestdbStore:
    """The server that GHTRADER_QUESTDB_* points at."""
    from ghtrader.data.calendar import Calendar
    from ghtrader.pipelines.ingest import CALENDAR_OVERRIDE
    from ghtrader.questdb.config import KEYS
    from ghtrader.questdb.settings import settings_from
    from ghtrader.questdb.store import QuestdbStore

    values = {key.name: settings.get(key.name) for key in KEYS}
    found = settings_from(environment, values, data_folder=paths.data)
    return QuestdbStore(found, Calendar.load(paths.data / CALENDAR_OVERRIDE), clock, tool_version)
