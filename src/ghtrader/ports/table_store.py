"""Relational rows that are replaced by scope: a schedule, a day's verdict and gaps, a factor set.

A scope names what belongs together (an alias, ``symbol/trading day``, a set hash). `replace` swaps all of its rows at once:
a reader in any process sees the old ones or the new ones, never a mix or a hole, whatever is killed when. Rows are mappings
of the declared columns (`ghtrader.data.tables`); ``datetime`` is integer ns UTC; a column that is left out is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["TableStore"]


class TableStore(Protocol):
    """Raises StoreError when the medium fails, SchemaError for tables, columns or types that nobody declared."""

    def replace(self, table: str, scope: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a scope by these, in this order; none at all empties it. Durable when the call returns."""

    def rows(self, table: str, scope: str) -> list[dict[str, Any]]:
        """The rows of a scope, in the order in which they were given; every declared column is there."""

    def scopes(self, table: str) -> list[str]:
        """Scopes that have rows, sorted."""
