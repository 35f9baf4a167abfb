"""Schema and health of stores, for the command line."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.pipelines.services import Services
from ghtrader.ports.schema_admin import MigrationReport, SchemaStatus

__all__ = ["check_schema", "init_server", "migrate", "schema_status", "server_health"]


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A schema that is as declared: the check raises SchemaError otherwise."""

    store: str
    ok: bool
    version: int
    tables: list[str]


def migrate(services: Services, store: str, *, dry_run: bool) -> MigrationReport:
    """Apply what is pending and restore what is missing."""
    return services.store(store).schema().migrate(dry_run=dry_run)


def schema_status(services: Services, store: str) -> SchemaStatus:
    """Where a store stands."""
    return services.store(store).schema().status()


def check_schema(services: Services, store: str) -> CheckReport:
    """Raise SchemaError unless the schema is as declared."""
    schema = services.store(store).schema()
    schema.require_current()
    status = schema.status()
    tables = [step.step.removeprefix("create ") for step in status.steps if step.step.startswith("create ")]
    return CheckReport(store=store, ok=True, version=status.version, tables=tables)


def init_server(services: Services) -> dict[str, Any]:
    """Everything a fresh server needs: schema, then health."""
    report = migrate(services, "questdb", dry_run=False)
    return {"migration": report, "health": server_health(services)}


def server_health(services: Services) -> Any:
    """How the server is."""
    return services.server_store().health()
