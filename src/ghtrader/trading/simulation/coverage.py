"""Which rows of the system's tables a simulation went through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ghtrader.trading.execution import direct, executor
from ghtrader.trading.gateway import life
from ghtrader.trading.kill import machine as kill_machine
from ghtrader.trading.link import machine as link_machine
from ghtrader.trading.link import warm_path
from ghtrader.trading.orders import machine as order_machine
from ghtrader.trading.reconcile import actions, compare

__all__ = ["EXCLUDED", "TABLES", "counted_tables"]

#: Where each table is looked up: (name, module, attribute); one that is looked up in several modules stands here for each.
TABLES: tuple[tuple[str, Any, str], ...] = (
    ("kill", kill_machine, "KILL_TABLE"),
    ("orders", order_machine, "ORDER_STEPS"),
    ("executor", executor, "EXECUTOR_STEPS"),
    ("executor", direct, "EXECUTOR_STEPS"),
    ("life", life, "LIFE_STEPS"),
    ("cases", compare, "CASES"),
    ("cases", actions, "CASES"),
    ("link", link_machine, "LINK_TABLE"),
    ("warm path", warm_path, "WARM_TABLE"),
)

_NO_DISCONNECTION = "the ZeroMQ stream tells nobody that the other end is gone: silence does"
#: Rows that the whole system cannot go through, by table, each with the reason; unit tests go through them.
EXCLUDED: dict[str, dict[str, str]] = {
    "link": {f"{phase} disconnected": _NO_DISCONNECTION for phase in ("healthy", "suspect", "recovering")},
}


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
    """Count inside the block; at its end the mapping holds, by table, (rows that were used, all rows that can be) as text."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    counted: dict[str, _Counted] = {}
    compared = compare._case_of  # noqa: SLF001 - a case that asks for nothing is looked up nowhere
    before = [(module, attribute, getattr(module, attribute)) for _, module, attribute in TABLES]

    def case_of(*args: Any) -> Any:
        case = compared(*args)
        counted["cases"].used.add(case)
        return case

    try:
        for name, module, attribute in TABLES:
            counted.setdefault(name, _Counted(getattr(module, attribute)))
            setattr(module, attribute, counted[name])
        compare._case_of = case_of  # type: ignore[assignment]  # noqa: SLF001
        yield found
    finally:
        compare._case_of = compared  # noqa: SLF001
        for module, attribute, table in before:
            setattr(module, attribute, table)
        for name, table in counted.items():
            rows = {_row(key) for key in table} - set(EXCLUDED.get(name, ()))
            found[name] = {_row(key) for key in table.used} & rows, rows


def _row(key: Any) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
