"""Embedded table stores and questions keep their contracts; what is particular to SQLite is tested below."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ghtrader.adapters.local.table_store import LocalTables, local_tables
from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.adapters.memory import MemoryTables, MemoryTickStore
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import SchemaError
from ghtrader.data.migrations import migrations
from ghtrader.data.tick_queries import StoreQueries
from ghtrader.testing.contracts.table_store import GAPS, SCOPE, TableStoreContract, gap
from ghtrader.testing.contracts.tick_queries import TickQueriesContract


class TestMemoryTables(TableStoreContract):
    @pytest.fixture
    def tables(self) -> MemoryTables:
        return MemoryTables()


class TestLocalTables(TableStoreContract):
    @pytest.fixture
    def tables(self, tmp_path: Path) -> LocalTables:
        return LocalTables(tmp_path / "tables.sqlite", SystemClock(), "test")


class TestLocalQueries(TickQueriesContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalTickStore:
        return LocalTickStore(tmp_path / "ticks")

    @pytest.fixture
    def queries(self, store: LocalTickStore) -> StoreQueries:
        return StoreQueries(store)


class TestMemoryQueries(TickQueriesContract):
    @pytest.fixture
    def store(self) -> MemoryTickStore:
        return MemoryTickStore()

    @pytest.fixture
    def queries(self, store: MemoryTickStore) -> StoreQueries:
        return StoreQueries(store)


def test_a_dropped_column_stops_the_writer_and_migrating_restores_it(tmp_path: Path) -> None:
    path = tmp_path / "tables.sqlite"
    tables = LocalTables(path, SystemClock(), "test")
    tables.replace(GAPS, SCOPE, [gap(1)])
    with sqlite3.connect(path) as connection:
        connection.execute(f"ALTER TABLE {GAPS} DROP COLUMN cause")
    with pytest.raises(SchemaError, match=r"cause should be TEXT, but is absent") as caught:
        tables.replace(GAPS, SCOPE, [gap(2)])
    assert "db migrate" in caught.value.hint
    with pytest.raises(SchemaError, match="cause"):
        tables.schema.require_current()
    plan = tables.schema.migrate(dry_run=True)
    assert [step.step for step in plan.steps] == [f"restore {GAPS}.cause"]
    tables.schema.migrate()
    assert tables.schema.migrate().noop
    tables.schema.require_current()
    assert tables.rows(GAPS, SCOPE) == [gap(1, cause=None)]
    tables.replace(GAPS, SCOPE, [gap(2)])
    assert tables.rows(GAPS, SCOPE) == [gap(2)]


def test_a_column_of_another_type_is_named_and_not_converted(tmp_path: Path) -> None:
    path = tmp_path / "tables.sqlite"
    tables = LocalTables(path, SystemClock(), "test")
    tables.schema.migrate()
    with sqlite3.connect(path) as connection:
        connection.execute(f"ALTER TABLE {GAPS} DROP COLUMN seconds")
        connection.execute(f"ALTER TABLE {GAPS} ADD COLUMN seconds TEXT")
    with pytest.raises(SchemaError, match="seconds should be REAL, but is TEXT"):
        tables.schema.require_current()
    with pytest.raises(SchemaError, match="seconds"):
        tables.schema.migrate()


def test_a_new_file_waits_for_nothing_and_an_old_one_for_the_migration(tmp_path: Path) -> None:
    tables = LocalTables(tmp_path / "tables.sqlite", SystemClock(), "test")
    with pytest.raises(SchemaError, match="not complete") as caught:
        tables.schema.require_current()
    assert caught.value.hint == "ghtrader db migrate --store local"
    assert tables.rows(GAPS, SCOPE) == []
    assert tables.scopes(GAPS) == []
    tables.replace(GAPS, SCOPE, [gap(1)])
    latest = migrations(local_tables(), ())[-1].number  # later ones change nothing in this file
    status = tables.schema.status()
    assert (status.version, status.latest, status.pending, status.current) == (latest, latest, [], True)
