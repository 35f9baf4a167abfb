"""Migrations on QuestDB: numbered steps recorded in a ledger table, drift found by name and type, nothing altered silently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ghtrader.core.clock import Clock
from ghtrader.core.errors import SchemaError, StoreError
from ghtrader.data.migrations import MIGRATE, Migration, migrations, pending_steps, require_no_drift
from ghtrader.data.tables import TABLES, VIEWS, Column, Table
from ghtrader.ports.schema_admin import MigrationReport, SchemaDrift, SchemaStatus, StepReport
from ghtrader.questdb.locks import NamedLocks
from ghtrader.questdb.sender import Visibility
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import add_column, column_type, create_table, create_view, quote, retype_column, step_sql
from ghtrader.questdb.wire import PgWire

__all__ = ["QuestdbSchema"]

REPAIR = 0
#: Where steps are recorded; it exists before the first of them.
LEDGER = Table(
    name="schema_migrations_v2",
    doc="Every migration step that was applied, and every repair (number 0).",
    columns=(
        Column("datetime", "ts"),
        Column("number", "i64"),
        Column("step", "str"),
        Column("checksum", "str"),
        Column("tool_version", "str"),
        Column("statement", "str"),
    ),
    partition="YEAR",
    keys=(),
)


class QuestdbSchema:
    """`ports.schema_admin.SchemaAdmin` on QuestDB."""

    def __init__(
        self,
        settings: QuestdbSettings,
        wire: PgWire,
        clock: Clock,
        tool_version: str,
        known: Sequence[Migration] | None = None,
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._tool_version = tool_version
        self._known = tuple(migrations() if known is None else known)
        self._visible = Visibility(settings, wire)
        self._locks = NamedLocks(settings.lock_folder)
        self._ledger = settings.name(LEDGER.name)

    # --- what is there --------------------------------------------------------------------------------------------------
    def _tables(self) -> set[str]:
        return {name for (name,) in self._wire.query("SELECT table_name FROM tables()")}

    def _applied(self) -> list[StepReport]:
        """Recorded steps. Rows that lost their number, step or checksum count for nothing: their steps can be repeated."""
        if self._ledger not in self._tables() or self._ledger_drift():
            return []
        sql = f"SELECT number, step, checksum, datetime::long, tool_version, statement FROM {self._ledger} ORDER BY datetime"
        return [
            StepReport(
                number=number, step=step, checksum=checksum, applied_ns=at, tool_version=version or "", sql=statement or ""
            )
            for number, step, checksum, at, version, statement in self._wire.query(sql)
            if None not in {number, step, checksum}
        ]

    def _ledger_drift(self) -> list[SchemaDrift]:
        present = self._ledger in self._tables()
        return self._differences(LEDGER, self._ledger, self._columns(self._ledger)) if present else []

    def _columns(self, table: str) -> dict[str, tuple[str, bool]]:
        rows = self._wire.query(f'SELECT "column", type, "upsertKey" FROM table_columns({quote(table)})')
        return {name: (kind, bool(key)) for name, kind, key in rows}

    def drift(self, tables: Sequence[Table] | None = None) -> list[SchemaDrift]:
        """Differences of the declared tables (all, or the named ones) and views; what is still to be made by a step is not drift."""
        present = self._tables()
        applied = [row for row in self._applied() if row.number > REPAIR] if tables is None else []
        done = {row.step for row in applied} if tables is None else None
        to_come = {step.name for step in pending_steps(self._known, applied)} if tables is None else set()
        found = self._ledger_drift() if tables is None else []
        for table in TABLES if tables is None else tables:
            name = self._settings.name(table.name)
            if name in present:
                differences = self._differences(table, name, self._columns(name))
                found += [item for item in differences if item.found or f"add {table.name}.{item.column}" not in to_come]
            elif done is None or f"create {table.name}" in done:
                found.append(SchemaDrift(table=name, column="", expected="a table", found=""))
        if done is not None:
            found += [
                SchemaDrift(table=self._settings.name(view.name), column="", expected="a materialized view", found="")
                for view in VIEWS
                if f"create view {view.name}" in done and self._settings.name(view.name) not in present
            ]
        return found

    @staticmethod
    def _differences(table: Table, name: str, columns: dict[str, tuple[str, bool]]) -> list[SchemaDrift]:
        found: list[SchemaDrift] = []
        declared = {column.name for column in table.columns}
        undeclared = {kind: column for column, (kind, _) in columns.items() if column not in declared}
        for column in table.columns:
            expected = column_type(column)
            kind, key = columns.get(column.name, ("", False))
            if kind != expected:
                renamed = "" if kind else undeclared.get(expected, "")
                found.append(SchemaDrift(table=name, column=column.name, expected=expected, found=kind, renamed=renamed))
            elif key != (column.name in table.keys):
                words = {True: "a dedup key", False: "no dedup key"}
                found.append(SchemaDrift(table=name, column=column.name, expected=words[not key], found=words[key]))
        return found

    def status(self) -> SchemaStatus:
        """Applied and pending steps, and drift."""
        self._visible.settle(self._settings.prefix)
        applied = [row for row in self._applied() if row.number > REPAIR]
        pending = pending_steps(self._known, applied)
        open_numbers = {step.number for step in pending}
        complete = [migration.number for migration in self._known if migration.number not in open_numbers]
        checksums = {migration.number: migration.checksum for migration in self._known}
        return SchemaStatus(
            store="questdb",
            version=max(complete, default=0),
            latest=max(checksums, default=0),
            steps=applied,
            pending=[
                StepReport(
                    number=step.number, step=step.name, checksum=checksums[step.number], sql=step_sql(step, self._settings)
                )
                for step in pending
            ],
            drift=self.drift(),
        )

    def require_current(self) -> None:
        """Raise SchemaError unless every migration is applied and no column differs."""
        status = self.status()
        require_no_drift("questdb", [item for item in status.drift if item.table == self._ledger])
        if status.pending:
            first = status.pending[0]
            raise SchemaError(
                f"questdb: migration {first.number} is not complete: {first.step} is pending ({len(status.pending)} steps)",
                hint=MIGRATE,
                store="questdb",
                pending=[step.step for step in status.pending],
            )
        require_no_drift("questdb", status.drift)

    def require_tables(self, *tables: Table) -> None:
        """Raise SchemaError when one of these tables is absent or differs: asked before every write, in one query.

        StoreError (retryable) when the server did not know a table that is there when it is asked again: it was starting.
        """
        names = {self._settings.name(table.name): table for table in tables}
        asked = " UNION ALL ".join(
            f'SELECT {quote(name)} AS name, "column", type, "upsertKey" FROM table_columns({quote(name)})' for name in names
        )
        columns: dict[str, dict[str, tuple[str, bool]]] = {name: {} for name in names}
        try:
            for name, column, kind, key in self._wire.query(asked):
                columns[name][column] = (kind, bool(key))
        except SchemaError as error:  # one of them does not exist: find out which
            require_no_drift("questdb", self.drift(tables))
            raise StoreError(
                f"QuestDB is starting: a moment ago it did not know its tables ({', '.join(names)})",
                hint="run the same command again",
                retryable=True,
            ) from error
        require_no_drift(
            "questdb", [item for name, table in names.items() for item in self._differences(table, name, columns[name])]
        )

    @property
    def virgin(self) -> bool:
        """No table of ours exists: the first writer may create them all."""
        return not any(name.startswith(self._settings.prefix) for name in self._tables())

    # --- changing it ----------------------------------------------------------------------------------------------------
    def migrate(self, *, dry_run: bool = False) -> MigrationReport:
        """Apply pending steps in order, then restore what drifted; each step is recorded as soon as it is done."""
        if dry_run:
            return self._report(self._ledger_repairs() + self._plan(), dry_run=True)
        with self._locks.exclusive("migrate"):
            self._make_ledger()
            repairs = self._ledger_repairs()
            for step in repairs:
                self._wire.execute(step.sql)
            done = [self._record(step) for step in repairs]
            for step in self._plan():
                self._wire.execute(step.sql)
                done.append(self._record(step))
            self._wait_for_changes(done)
            self._refresh_broken_views(done)
            return self._report(done, dry_run=False)

    def _ledger_repairs(self) -> list[StepReport]:
        return [self._repair(drift) for drift in self._ledger_drift()]

    def _plan(self) -> list[StepReport]:
        status = self.status()
        require_no_drift("questdb", [item for item in status.drift if item.renamed])
        present = self._tables()
        plan = [step for step in status.pending if not self._add_is_done(step, present)]
        skipped = [step for step in status.pending if step not in plan]
        plan = [msgspec.structs.replace(step, sql="SELECT 1") if step in skipped else step for step in status.pending]
        drifted = [item for item in status.drift if item.table != self._ledger]
        lost_keys = [item for item in drifted if not item.found and item.column in self._declared(item).keys]
        repairs = [self._repair(item) for item in drifted if not self._of_keys(item)]
        repairs += [self._restored_keys(item) for item in drifted if self._of_keys(item) or item in lost_keys]
        return plan + list({step.sql: step for step in repairs}.values())

    @staticmethod
    def _of_keys(drift: SchemaDrift) -> bool:
        return drift.expected.endswith("dedup key")

    def _declared(self, drift: SchemaDrift) -> Table:
        """The declaration of a table that drifted; for a view, an empty one."""
        plain = drift.table.removeprefix(self._settings.prefix)
        known = {table.name: table for table in (*TABLES, LEDGER)}
        return known.get(plain, Table(name=plain, doc="", columns=(), keys=()))

    def _restored_keys(self, drift: SchemaDrift) -> StepReport:
        table = self._declared(drift)
        sql = f"ALTER TABLE {drift.table} DEDUP ENABLE UPSERT KEYS({', '.join(table.keys)})"
        return StepReport(number=REPAIR, step=f"restore keys of {table.name}", checksum="", sql=sql)

    def _add_is_done(self, step: StepReport, present: set[str]) -> bool:
        """A column that a killed run added without recording it: adding it again would be refused."""
        match = re.fullmatch(r"ALTER TABLE (\S+) ADD COLUMN (\S+) .*", step.sql)
        return match is not None and match[1] in present and match[2] in self._columns(match[1])

    def _repair(self, drift: SchemaDrift) -> StepReport:
        plain = drift.table.removeprefix(self._settings.prefix)
        view = next((item for item in VIEWS if item.name == plain), None)
        if view is not None:
            sql, what = create_view(view, self._settings), f"restore view {plain}"
        else:
            table = self._declared(drift)
            if not drift.column:
                sql, what = create_table(table, self._settings), f"restore {plain}"
            elif drift.found:
                sql, what = retype_column(plain, table.column(drift.column), self._settings), f"retype {plain}.{drift.column}"
            else:
                sql, what = add_column(plain, table.column(drift.column), self._settings), f"restore {plain}.{drift.column}"
        return StepReport(number=REPAIR, step=what, checksum="", sql=sql)

    def _make_ledger(self) -> None:
        self._wire.execute(create_table(LEDGER, self._settings))

    def _record(self, step: StepReport) -> StepReport:
        now = self._clock.now_ns()
        self._wire.execute(
            f"INSERT INTO {self._ledger} ({', '.join(column.name for column in LEDGER.columns)}) "
            "VALUES (%s::timestamp_ns, %s, %s, %s, %s, %s)",
            (now, step.number, step.step, step.checksum, self._tool_version, step.sql),
        )
        self._visible.wait(self._ledger)
        return msgspec.structs.replace(step, applied_ns=now, tool_version=self._tool_version)

    def _wait_for_changes(self, done: Sequence[StepReport]) -> None:
        """The server accepts changes of structure at once and applies them when it comes to it."""
        altered = {match[1] for step in done if (match := re.match(r"ALTER TABLE (\S+) ", step.sql))}
        for name in sorted(altered):
            self._visible.wait(name)

    def _refresh_broken_views(self, done: Sequence[StepReport]) -> None:
        if any(step.number == REPAIR for step in done):
            for name, _ in self.invalid_views():
                self._wire.execute(f"REFRESH MATERIALIZED VIEW {name} FULL")

    def invalid_views(self) -> list[tuple[str, str]]:
        """Daily views that the server no longer keeps, with its reason."""
        names = {self._settings.name(view.name) for view in VIEWS}
        sql = "SELECT view_name, view_status, invalidation_reason FROM materialized_views()"
        rows: list[tuple[Any, ...]] = self._wire.query(sql)
        return [(name, reason or status) for name, status, reason in rows if name in names and status != "valid"]

    def _report(self, steps: list[StepReport], *, dry_run: bool) -> MigrationReport:
        version = self.status().version if not dry_run or self._ledger in self._tables() else 0
        return MigrationReport(store="questdb", dry_run=dry_run, noop=not steps, version=version, steps=steps)

    def resume_wal(self, table: str) -> None:
        """Let a suspended table go on; raises StoreError when it is none of ours."""
        if table not in self._tables() or not table.startswith(self._settings.prefix):
            raise StoreError(f"QuestDB has no table {table} of ours", hint="ghtrader db questdb-health", table=table)
        # wal_tables() does not count what is committed while a table stands still
        last = self._wire.scalar(f'SELECT max("sequencerTxn") FROM wal_transactions({quote(table)})')
        is_view = self._wire.scalar(f"SELECT count() FROM materialized_views() WHERE view_name = '{table}'")
        self._wire.execute(f"ALTER {'MATERIALIZED VIEW' if is_view else 'TABLE'} {table} RESUME WAL")
        self._visible.wait(table, transaction=int(last or 0))
