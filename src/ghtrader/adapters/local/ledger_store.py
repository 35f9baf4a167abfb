"""Ledgers and small tables in one SQLite file (WAL): many readers, one writer at a time, durable commits."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.errors import StoreError
from ghtrader.core.ids import canonical_json
from ghtrader.ports.ledger_store import LedgerRow

__all__ = ["SqliteLedger"]

BUSY_TIMEOUT_S = 30.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    name TEXT NOT NULL, seq INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    name TEXT NOT NULL, key TEXT NOT NULL, document BLOB NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
"""


class SqliteLedger:
    """`ports.ledger_store.LedgerStore` on a file. One connection per thread; commits are synced (``synchronous=FULL``)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.executescript(SCHEMA)
            except (sqlite3.Error, OSError) as error:
                hint = "restore it from a backup, or move it away to begin a new one"
                raise StoreError(f"cannot open the ledger {self._path}: {error}", hint=hint, path=str(self._path)) from error
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"cannot write the ledger {self._path}: {error}", path=str(self._path)) from error

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._connection().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the ledger {self._path}: {error}", path=str(self._path)) from error

    def append(self, ledger: str, document: Mapping[str, Any]) -> int:
        """Append one document; returns its sequence number."""
        return self.append_many(ledger, [document])[0]

    def append_many(self, ledger: str, documents: Sequence[Mapping[str, Any]]) -> list[int]:
        """Append documents in one transaction."""
        with self._write() as connection:
            (last,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM ledger WHERE name = ?", (ledger,)).fetchone()
            numbers = list(range(last + 1, last + 1 + len(documents)))
            rows = [(ledger, number, canonical_json(document)) for number, document in zip(numbers, documents, strict=True)]
            connection.executemany("INSERT INTO ledger VALUES (?, ?, ?)", rows)
        return numbers

    def rows(self, ledger: str, *, after: int = 0, limit: int | None = None) -> list[LedgerRow]:
        """``(sequence, document)`` in order."""
        query = "SELECT seq, document FROM ledger WHERE name = ? AND seq > ? ORDER BY seq LIMIT ?"
        found = self._read(query, ledger, after, -1 if limit is None else limit)
        return [(number, msgspec.json.decode(document)) for number, document in found]

    def count(self, ledger: str) -> int:
        """How many documents a ledger holds."""
        return int(self._read("SELECT COUNT(*) FROM ledger WHERE name = ?", ledger)[0][0])

    def put(self, table: str, key: str, document: Mapping[str, Any]) -> None:
        """Store a document under a key."""
        self.put_many(table, {key: document})

    def put_many(self, table: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Store several documents in one transaction."""
        rows = [(table, key, canonical_json(document)) for key, document in documents.items()]
        with self._write() as connection:
            connection.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", rows)

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""
        found = self._read("SELECT document FROM document WHERE name = ? AND key = ?", table, key)
        return msgspec.json.decode(found[0][0]) if found else None

    def items(self, table: str, *, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """``(key, document)`` sorted by key."""
        query = "SELECT key, document FROM document WHERE name = ? AND substr(key, 1, ?) = ? ORDER BY key"
        return [(key, msgspec.json.decode(document)) for key, document in self._read(query, table, len(prefix), prefix)]

    def delete(self, table: str, key: str) -> bool:
        """Remove a document; False when there was none."""
        with self._write() as connection:
            return connection.execute("DELETE FROM document WHERE name = ? AND key = ?", (table, key)).rowcount > 0
