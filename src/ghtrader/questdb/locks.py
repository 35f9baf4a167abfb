"""File locks of one installation: who writes a partition or a ledger, and how many PGWire connections are open.

QuestDB has neither row locks nor a way to share its connection limit between programs; the kernel has both, and frees what
a killed process held. Processes that share GHTRADER_DATA_DIR exclude each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import StoreError

__all__ = ["ConnectionBudget", "NamedLocks"]

POLL_S = 0.005


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"cannot write in {path.parent}: {error.strerror}", path=str(path)) from error


class NamedLocks:
    """Exclusive locks by name, re-entrant within a thread; waits without bound, as the other holder works on the same rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = threading.local()

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold the lock of ``name``."""
        held: set[str] = self._held.__dict__.setdefault("names", set())
        if name in held:
            yield
            return
        handle = _open(self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.lock")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            held.add(name)
            yield
        finally:
            held.discard(name)
            os.close(handle)


class ConnectionBudget:
    """At most ``size`` connections over all processes of the installation: each holds one of ``size`` file locks."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size

    def take(self, timeout_s: float) -> int:
        """A free slot's handle (closing it frees the slot); StoreError when none frees up in time."""
        deadline = Deadline(timeout_s)
        first = os.getpid() % self._size
        while True:
            for offset in range(self._size):
                handle = _open(self._folder / f"connection-{(first + offset) % self._size}")
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(handle)
                else:
                    return handle
            if deadline.passed:
                raise StoreError(
                    f"all {self._size} QuestDB connections of this installation are in use",
                    hint="wait for other jobs, or raise GHTRADER_QDB_PG_NET_CONNECTION_LIMIT together with the server's "
                    "pg.net.connection.limit",
                    retryable=True,
                    budget=self._size,
                )
            deadline.pause(POLL_S)
