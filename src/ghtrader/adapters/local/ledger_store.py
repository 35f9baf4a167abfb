"""Ledgers and small tables in one SQLite file (WAL): many readers, one writer at a time, durable commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.adapters.local.sqlite import SqliteFile
from ghtrader.core.ids import canonical_json
from ghtrader.ports.ledger_store import LedgerRow

__all__ = ["SqliteLedger"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    name TEXT NOT NULL, seq INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    name TEXT NOT NULL, key TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
"""


class SqliteLedger:
    """`ports.ledger_store.LedgerStore` on a file. One connection per thread; commits are synced (``synchronous=FULL``)."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, "the ledger", SCHEMA)

    def append(self, ledger: str, document: Mapping[str, Any]) -> int:
        """Append one document; returns its sequence number."""
        return self.append_many(ledger, [document])[0]

    def append_many(self, ledger: str, documents: Sequence[Mapping[str, Any]]) -> list[int]:
        """Append documents in one transaction."""
        with self._file.write() as connection:
            (last,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM ledger WHERE name = ?", (ledger,)).fetchone()
            numbers = list(range(last + 1, last + 1 + len(documents)))
            rows = [(ledger, number, canonical_json(document)) for number, document in zip(numbers, documents, strict=True)]
            connection.executemany("INSERT INTO ledger VALUES (?, ?, ?)", rows)
        return numbers

    def rows(self, ledger: str, *, after: int = 0, limit: int | None = None) -> list[LedgerRow]:
        """``(sequence, document)`` in order."""
        query = "SELECT seq, document FROM ledger WHERE name = ? AND seq > ? ORDER BY seq LIMIT ?"
        found = self._file.read(query, ledger, after, -1 if limit is None else limit)
        return [(number, msgspec.json.decode(document)) for number, document in found]

    def count(self, ledger: str) -> int:
        """How many documents a ledger holds."""
        return int(self._file.read("SELECT COUNT(*) FROM ledger WHERE name = ?", ledger)[0][0])

    def ledgers(self) -> list[str]:
        """Names of the ledgers that hold documents, sorted."""
        return [name for (name,) in self._file.read("SELECT DISTINCT name FROM ledger ORDER BY name")]

    def tables(self) -> list[str]:
        """Names of the document tables that hold documents, sorted."""
        return [name for (name,) in self._file.read("SELECT DISTINCT name FROM document ORDER BY name")]

    def put(self, table: str, key: str, document: Mapping[str, Any]) -> None:
        """Store a document under a key."""
        self.put_many(table, {key: document})

    def put_many(self, table: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Store several documents in one transaction."""
        rows = [(table, key, canonical_json(document)) for key, document in documents.items()]
        with self._file.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", rows)

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""
        found = self._file.read("SELECT document FROM document WHERE name = ? AND key = ?", table, key)
        return msgspec.json.decode(found[0][0]) if found else None

    def items(self, table: str, *, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """``(key, document)`` sorted by key."""
        query = "SELECT key, document FROM document WHERE name = ? AND substr(key, 1, ?) = ? ORDER BY key"
        return [(key, msgspec.json.decode(document)) for key, document in self._file.read(query, table, len(prefix), prefix)]

    def delete(self, table: str, key: str) -> bool:
        """Remove a document; False when there was none."""
        with self._file.write() as connection:
            return connection.execute("DELETE FROM document WHERE name = ? AND key = ?", (table, key)).rowcount > 0
