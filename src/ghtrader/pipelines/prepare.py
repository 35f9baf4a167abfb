"""Before anything writes: the store's schema must be the declared one."""

from __future__ import annotations

from ghtrader.pipelines.services import Services, Store

__all__ = ["prepare_store", "settle_series"]


def prepare_store(store: Store) -> list[str]:
    """Create everything in a store that holds nothing of ours yet (the steps are returned); else demand that it is current.

    A first creation that was killed, or that another process has just begun, is finished: none of its steps alters anything.

    Raises SchemaError naming table, column, expected, found and ``ghtrader db migrate``.
    """
    schema = store.schema()
    if schema.virgin:
        return [step.step for step in schema.migrate().steps]
    status = schema.status()
    if not status.version and not status.drift:
        return [step.step for step in schema.migrate().steps]
    schema.require_current()
    return []


def settle_series(services: Services, store: Store) -> None:
    """Finish pending promotions, so that a series is seen whole. A store whose first creation is not finished has none."""
    schema = store.schema()
    if not schema.virgin and schema.status().version:
        services.promotions(store).settle_all()
