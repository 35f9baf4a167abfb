"""Rows replaced by scope in one SQLite file, and its migrations: the same declarations as the server's tables.

Only tables that are replaced by scope live here; ticks are Parquet partitions, ledgers a file of their own. A file that does
not exist yet is created with the newest schema, as a migration; later changes wait for ``ghtrader db migrate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.adapters.local.sqlite import SqliteFile
from ghtrader.core.clock import Clock
from ghtrader.core.errors import SchemaError
from ghtrader.data.migrations import MIGRATE, Migration, migrations, pending_steps, require_no_drift
from ghtrader.data.schema import ColumnType
from ghtrader.data.scoped_rows import SCOPE_COLUMNS, checked_rows, row_columns, scoped_table
from ghtrader.data.tables import TABLES, Column, Table
from ghtrader.ports.schema_admin import MigrationReport, SchemaDrift, SchemaStatus, StepReport

__all__ = ["LocalSchema", "LocalTables"]

_TYPES: dict[ColumnType, str] = {
    "i64": "INTEGER",
    "ts": "INTEGER",
    "f64": "REAL",
    "sym": "TEXT",
    "str": "TEXT",
    "bool": "INTEGER",
}
LEDGER = "schema_migrations_v2"
LEDGER_DDL = f"""
CREATE TABLE IF NOT EXISTS {LEDGER} (
    datetime INTEGER NOT NULL, number INTEGER NOT NULL, step TEXT NOT NULL, checksum TEXT NOT NULL, tool_version TEXT NOT NULL,
    statement TEXT NOT NULL)
"""
REPAIR = 0


def local_tables() -> tuple[Table, ...]:
    """Declared tables that this file holds."""
    return tuple(table for table in TABLES if table.replaced_by_scope)


def _ddl(column: Column) -> str:
    return f'"{column.name}" {_TYPES[column.type]}'


def _create(table: Table) -> str:
    columns = ", ".join(_ddl(column) for column in table.columns)
    return f'CREATE TABLE IF NOT EXISTS "{table.name}" ({columns}, PRIMARY KEY (scope, position)) WITHOUT ROWID'


class LocalSchema:
    """`ports.schema_admin.SchemaAdmin` of the embedded store."""

    def __init__(self, file: SqliteFile, clock: Clock, tool_version: str, known: Sequence[Migration] | None = None) -> None:
        self._file = file
        self._clock = clock
        self._tool_version = tool_version
        self._known = tuple(migrations(local_tables(), ()) if known is None else known)

    @property
    def virgin(self) -> bool:
        """No table at all: the first writer may create them."""
        return not self._file.read("SELECT name FROM sqlite_master WHERE type = 'table'")

    def _present(self) -> set[str]:
        return {name for (name,) in self._file.read("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def _applied(self) -> list[StepReport]:
        if LEDGER not in self._present():
            return []
        sql = f"SELECT number, step, checksum, datetime, tool_version, statement FROM {LEDGER} ORDER BY rowid"
        return [
            StepReport(number=number, step=step, checksum=checksum, applied_ns=at, tool_version=version, sql=statement)
            for number, step, checksum, at, version, statement in self._file.read(sql)
        ]

    def _drift(self, tables: Sequence[Table]) -> list[SchemaDrift]:
        present = self._present()
        found = []
        for table in tables:
            if table.name not in present:
                found.append(SchemaDrift(table=table.name, column="", expected="a table", found=""))
                continue
            columns = {row[1]: row[2] for row in self._file.read(f'PRAGMA table_info("{table.name}")')}
            found += [
                SchemaDrift(table=table.name, column=item.name, expected=_TYPES[item.type], found=columns.get(item.name, ""))
                for item in table.columns
                if columns.get(item.name) != _TYPES[item.type]
            ]
        return found

    def status(self) -> SchemaStatus:
        """Applied and pending steps, and what differs."""
        applied = [row for row in self._applied() if row.number > REPAIR]
        pending = pending_steps(self._known, applied)
        open_numbers = {step.number for step in pending}
        checksums = {migration.number: migration.checksum for migration in self._known}
        done = {row.step for row in applied}
        tables = [table for table in local_tables() if f"create {table.name}" in done]
        return SchemaStatus(
            store="local",
            version=max((number for number in checksums if number not in open_numbers), default=0),
            latest=max(checksums, default=0),
            steps=applied,
            pending=[
                StepReport(
                    number=step.number,
                    step=step.name,
                    checksum=checksums[step.number],
                    sql=self._sql(step.table, step.column),
                )
                for step in pending
            ],
            drift=self._drift(tables),
        )

    @staticmethod
    def _sql(table: Table | None, column: Column | None) -> str:
        assert table is not None
        return _create(table) if column is None else f'ALTER TABLE "{table.name}" ADD COLUMN {_ddl(column)}'

    def require_current(self) -> None:
        """Raise SchemaError unless every migration is applied and no column differs."""
        status = self.status()
        if status.pending:
            first = status.pending[0]
            message = f"local: migration {first.number} is not complete: {first.step} is pending ({len(status.pending)} steps)"
            raise SchemaError(message, hint=f"{MIGRATE} --store local", store="local")
        require_no_drift("local", status.drift)

    def require_tables(self, *tables: Table) -> None:
        """Raise SchemaError when one of these tables is absent or differs."""
        require_no_drift("local", self._drift(tables))

    def migrate(self, *, dry_run: bool = False) -> MigrationReport:
        """Apply pending steps and restore what is missing, in one transaction."""
        status = self.status()
        plan = list(status.pending)
        for drift in status.drift:
            if drift.found:
                hint = "SQLite cannot change a column's type: move the file away and validate again"
                raise SchemaError(f"local: {drift.table}.{drift.column} is {drift.found}, not {drift.expected}", hint=hint)
            table = scoped_table(drift.table)
            column = table.column(drift.column) if drift.column else None
            what = f"restore {drift.table}" + (f".{drift.column}" if drift.column else "")
            plan.append(StepReport(number=REPAIR, step=what, checksum="", sql=self._sql(table, column)))
        if not dry_run and plan:
            now = self._clock.now_ns()
            plan = [msgspec.structs.replace(step, applied_ns=now, tool_version=self._tool_version) for step in plan]
            with self._file.write() as connection:
                connection.execute(LEDGER_DDL)
                for step in plan:
                    connection.execute(step.sql)
                    values = (step.applied_ns, step.number, step.step, step.checksum, step.tool_version, step.sql)
                    connection.execute(f"INSERT INTO {LEDGER} VALUES (?, ?, ?, ?, ?, ?)", values)
        version = status.version if dry_run else self.status().version
        return MigrationReport(store="local", dry_run=dry_run, noop=not plan, version=version, steps=plan)


class LocalTables:
    """`ports.table_store.TableStore` in one SQLite file."""

    def __init__(self, path: Path, clock: Clock, tool_version: str) -> None:
        self._file = SqliteFile(path, "the tables")
        self.schema = LocalSchema(self._file, clock, tool_version)
        self._clock = clock

    def replace(self, table: str, scope: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a scope, in one transaction."""
        declared = scoped_table(table)
        given = checked_rows(table, rows)
        if self.schema.virgin:
            self.schema.migrate()
        self.schema.require_tables(declared)
        names = [*(column.name for column in row_columns(declared)), *SCOPE_COLUMNS]
        marks = ", ".join("?" * len(names))
        columns = ", ".join(f'"{name}"' for name in names)
        write_id = self._clock.now_ns()
        values = [[*row.values(), scope, write_id, position] for position, row in enumerate(given)]
        with self._file.write() as connection:
            connection.execute(f'DELETE FROM "{table}" WHERE scope = ?', (scope,))
            connection.executemany(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', values)

    def rows(self, table: str, scope: str) -> list[dict[str, Any]]:
        """The rows of a scope."""
        declared = row_columns(scoped_table(table))
        if self.schema.virgin:
            return []
        columns = ", ".join(f'"{column.name}"' for column in declared)
        found = self._file.read(f'SELECT {columns} FROM "{table}" WHERE scope = ? ORDER BY position', scope)
        return [
            {
                item.name: bool(value) if item.type == "bool" and value is not None else value
                for item, value in zip(declared, row, strict=True)
            }
            for row in found
        ]

    def scopes(self, table: str) -> list[str]:
        """Scopes that have rows, sorted."""
        scoped_table(table)
        if self.schema.virgin:
            return []
        return [scope for (scope,) in self._file.read(f'SELECT DISTINCT scope FROM "{table}" ORDER BY scope')]
