"""Small durable tables: append-only ledgers and keyed documents.

A ledger is an ordered list of JSON documents; appending returns its sequence number, starting at 1, without holes.
A document table maps a key to a JSON document; ``put`` replaces whole. Both survive a killed process: what was
acknowledged is there, what was not is absent as a whole. Any number of processes may read and append.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["LedgerRow", "LedgerStore"]

JsonObject = Mapping[str, Any]
LedgerRow = tuple[int, dict[str, Any]]


class LedgerStore(Protocol):
    """Append-only ledgers and keyed documents. Raises StoreError when the medium fails."""

    def append(self, ledger: str, document: JsonObject) -> int:
        """Append one document; returns its sequence number (1, 2, ...)."""

    def append_many(self, ledger: str, documents: Sequence[JsonObject]) -> list[int]:
        """Append documents in one transaction: all or none."""

    def rows(self, ledger: str, *, after: int = 0, limit: int | None = None) -> list[LedgerRow]:
        """``(sequence, document)`` in order, those with a sequence above ``after``."""

    def count(self, ledger: str) -> int:
        """How many documents a ledger holds."""

    def ledgers(self) -> list[str]:
        """Names of the ledgers that hold documents, sorted."""

    def tables(self) -> list[str]:
        """Names of the document tables that hold documents, sorted."""

    def put(self, table: str, key: str, document: JsonObject) -> None:
        """Store a document under a key, replacing it whole."""

    def put_many(self, table: str, documents: Mapping[str, JsonObject]) -> None:
        """Store several documents in one transaction: all or none."""

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""

    def items(self, table: str, *, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """``(key, document)`` sorted by key, those whose key begins with ``prefix``."""

    def delete(self, table: str, key: str) -> bool:
        """Remove a document; False when there was none."""
