"""Which rows of the state machines' tables a simulation went through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ghtrader.trading.execution import direct, executor
from ghtrader.trading.gateway import life
from ghtrader.trading.kill import machine as kill_machine
from ghtrader.trading.orders import machine as order_machine

__all__ = ["TABLES", "counted_tables"]

#: Where each table is looked up: (name, module, attribute).
TABLES: tuple[tuple[str, Any, str], ...] = (
    ("kill", kill_machine, "KILL_TABLE"),
    ("orders", order_machine, "ORDER_STEPS"),
    ("executor", executor, "EXECUTOR_STEPS"),
    ("life", life, "LIFE_STEPS"),
)


class _Counted(dict[Any, Any]):
    """A table that remembers which rows were used."""

    def __init__(self, table: dict[Any, Any]) -> None:
        super().__init__(table)
        self.used: set[Any] = set()

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        self.used.add(key)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        if key in self:
            self.used.add(key)
        return super().get(key, default)


@contextlib.contextmanager
def counted_tables() -> Iterator[dict[str, tuple[set[str], set[str]]]]:
    """Count inside the block; at its end the mapping holds, by table, (rows that were used, all rows) as text."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    counted: dict[str, _Counted] = {}
    places = [*TABLES, ("executor", direct, "EXECUTOR_STEPS")]
    before = [(module, attribute, getattr(module, attribute)) for _, module, attribute in places]
    try:
        for name, module, attribute in places:
            counted.setdefault(name, _Counted(getattr(module, attribute)))
            setattr(module, attribute, counted[name])
        yield found
    finally:
        for module, attribute, table in before:
            setattr(module, attribute, table)
        for name, table in counted.items():
            found[name] = {_row(key) for key in table.used}, {_row(key) for key in table}


def _row(key: tuple[Any, Any]) -> str:
    return " ".join(str(part) for part in key)
