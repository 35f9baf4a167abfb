"""One SQLite file (WAL, synced commits) for many readers and one writer at a time; a connection per thread."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import StoreError

__all__ = ["SqliteFile"]

BUSY_TIMEOUT_S = 30.0
WAL_PAUSE_S = 0.01


class SqliteFile:
    """A database file; ``schema`` is run on every opening. ``what`` names it in errors."""

    def __init__(self, path: Path, what: str, schema: str = "") -> None:
        self._path = path
        self._what = what
        self._schema = schema
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
                _turn_to_wal(connection)
                connection.execute("PRAGMA synchronous=FULL")
                connection.executescript(self._schema)
            except (sqlite3.Error, OSError) as error:
                hint = "restore it from a backup, or move it away to begin a new one"
                raise StoreError(f"cannot open {self._what} {self._path}: {error}", hint=hint, path=str(self._path)) from error
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
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
            raise StoreError(f"cannot write {self._what} {self._path}: {error}", path=str(self._path)) from error

    def read(self, query: str, *values: object) -> list[Any]:
        """Rows of one query."""
        try:
            return self._connection().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self._what} {self._path}: {error}", path=str(self._path)) from error


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Set the journal mode. While another process does the same SQLite refuses at once, whatever its timeout: ask again."""
    deadline = Deadline(BUSY_TIMEOUT_S)
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or deadline.passed:
                raise
        deadline.pause(WAL_PAUSE_S)
