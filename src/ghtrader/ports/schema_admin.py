"""Keeping a store's tables as they are declared: migrations, their ledger, and the check before anything writes.

Migrating is the only way in which a schema changes. It is numbered and checksummed, every step is recorded in the store's own
ledger, and a run that was killed goes on where it stopped. Checking changes nothing.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

__all__ = ["MigrationReport", "SchemaAdmin", "SchemaDrift", "SchemaStatus", "StepReport"]


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a migration: ``applied_ns`` is 0 while it is pending (or in a dry run)."""

    number: int
    step: str
    checksum: str
    applied_ns: int = 0
    tool_version: str = ""
    sql: str = ""


class SchemaDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between declaration and store; ``found`` is empty when the thing is absent.

    ``renamed``: an undeclared column of the expected type beside an absent one, which may be it under another name.
    """

    table: str
    column: str
    expected: str
    found: str
    renamed: str = ""


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where a store stands: ``version`` is the last migration that is complete, ``latest`` the newest known."""

    store: str
    version: int
    latest: int
    steps: list[StepReport]
    pending: list[StepReport]
    drift: list[SchemaDrift]

    @property
    def current(self) -> bool:
        """Nothing is pending and nothing differs."""
        return not self.pending and not self.drift


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration did (or, in a dry run, would do), with the SQL of every step."""

    store: str
    dry_run: bool
    noop: bool
    version: int
    steps: list[StepReport]


class SchemaAdmin(Protocol):
    """Schema of one store. Raises StoreError when the store cannot be reached, SchemaError for edited migrations."""

    @property
    def virgin(self) -> bool:
        """Nothing of ours is there yet: the first writer may create everything by migrating."""

    def status(self) -> SchemaStatus:
        """Applied and pending steps, and what differs from the declaration."""

    def migrate(self, *, dry_run: bool = False) -> MigrationReport:
        """Apply what is pending and restore what is missing; with ``dry_run`` only say it. Repeating it is a no-op."""

    def require_current(self) -> None:
        """Raise SchemaError, naming the table, the column and the command, unless the schema is as declared."""
