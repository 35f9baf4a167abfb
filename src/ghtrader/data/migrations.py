"""Numbered, checksummed migrations, derived from the declared tables; and what differs between declaration and reality.

A migration creates the tables, columns and views whose ``since`` is its number. Its checksum covers these declarations, so
that editing what an earlier migration made is noticed (`pending_steps`): the way to change a table is a new number.
Everything here is pure; `ports.schema_admin` runs it against a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ghtrader.core.errors import SchemaError
from ghtrader.core.ids import content_hash
from ghtrader.data.tables import TABLES, VIEWS, Column, DailyView, Table
from ghtrader.ports.schema_admin import SchemaDrift, StepReport

__all__ = ["Migration", "Step", "migrations", "pending_steps", "require_no_drift"]

MIGRATE = "ghtrader db migrate"
#: What each migration is for.
NAMES = {1: "initial tables", 2: "executable labels, execution cost, uniqueness weights"}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a migration does, small enough to be done or not done: a table, a column, or a view."""

    number: int
    name: str
    table: Table | None = None
    column: Column | None = None
    view: DailyView | None = None


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered set of steps; ``checksum`` covers what they declare."""

    number: int
    name: str
    steps: tuple[Step, ...]
    checksum: str


def migrations(tables: Sequence[Table] = TABLES, views: Sequence[DailyView] = VIEWS) -> tuple[Migration, ...]:
    """All migrations in order.

    >>> [migration.number for migration in migrations()][:1], migrations()[0].steps[0].name
    ([1], 'create ticks_raw_v2')
    """
    newest = max([table.since for table in tables] + [column.since for table in tables for column in table.columns], default=0)
    newest = max([newest, *(view.since for view in views)])
    return tuple(_migration(number, tables, views) for number in range(1, newest + 1))


def _migration(number: int, tables: Sequence[Table], views: Sequence[DailyView]) -> Migration:
    steps: list[Step] = []
    for table in tables:
        if table.since == number:
            first = msgspec.structs.replace(table, columns=tuple(item for item in table.columns if item.since <= number))
            steps.append(Step(number=number, name=f"create {table.name}", table=first))
        elif table.since < number:
            steps += [
                Step(number=number, name=f"add {table.name}.{column.name}", table=table, column=column)
                for column in table.columns
                if column.since == number
            ]
    steps += [Step(number=number, name=f"create view {view.name}", view=view) for view in views if view.since == number]
    declared = [
        [step.name, None if step.table is None or step.column is not None else _declaration(step.table), step.column, step.view]
        for step in steps
    ]
    checksum = content_hash([number, msgspec.to_builtins(declared)])
    return Migration(number=number, name=NAMES.get(number, ""), steps=tuple(steps), checksum=checksum)


def _declaration(table: Table) -> object:
    """What counts of a table: everything but its prose."""
    plain = msgspec.to_builtins(table)
    plain.pop("doc")
    return plain


def pending_steps(known: Sequence[Migration], applied: Sequence[StepReport]) -> list[Step]:
    """Steps that the ledger does not name yet, in order.

    Raises SchemaError when a migration that was applied has another checksum now, or when the store was migrated by a
    newer version of the tool than this one.
    """
    by_number: Mapping[int, Migration] = {migration.number: migration for migration in known}
    for row in applied:
        migration = by_number.get(row.number)
        if migration is None:
            raise SchemaError(
                f"the store is at migration {row.number}, this version knows {max(by_number, default=0)}",
                hint="install the version of ghtrader that migrated the store, or a later one",
                number=row.number,
                tool_version=row.tool_version,
            )
        if row.checksum != migration.checksum:
            raise SchemaError(
                f"migration {row.number} ({migration.name}) was edited after it had been applied: checksum "
                f"{row.checksum[:12]} in the ledger, {migration.checksum[:12]} in this version",
                hint="undo the edit and declare the change with a new number; then: " + MIGRATE,
                number=row.number,
                ledger_checksum=row.checksum,
                checksum=migration.checksum,
            )
    done = {(row.number, row.step) for row in applied}
    return [step for migration in known for step in migration.steps if (step.number, step.name) not in done]


def require_no_drift(store: str, drift: Sequence[SchemaDrift]) -> None:
    """Raise SchemaError naming table, column, expected, found and the command that mends it; nothing when there is none."""
    if not drift:
        return
    first = drift[0]
    what = f"{first.table}.{first.column}" if first.column else first.table
    found = first.found or "absent"
    more = f" (and {len(drift) - 1} more)" if len(drift) > 1 else ""
    hint = MIGRATE
    if first.renamed:
        found += f", and {first.renamed}, which nobody declared, may be it"
        alter = f"ALTER TABLE {first.table}"
        hint = f"{alter} RENAME COLUMN {first.renamed} TO {first.column}"
        hint += f"; when they are two columns: {alter} ADD COLUMN {first.column} {first.expected}"
    raise SchemaError(
        f"{store}: {what} should be {first.expected}, but is {found}{more}",
        hint=hint,
        store=store,
        table=first.table,
        column=first.column,
        expected=first.expected,
        found=first.found or "absent",
        drift=[msgspec.to_builtins(item) for item in drift],
    )
