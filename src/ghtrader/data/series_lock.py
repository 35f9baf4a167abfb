"""File locks of a main-contract series: one process changes a series, or many write raw days beneath it.

The kernel frees what a killed process held. Locks are re-entrant within a thread; a thread that holds a shared lock cannot ask for
the exclusive one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from ghtrader.core.errors import StoreError

__all__ = ["SeriesLocks"]


class SeriesLocks:
    """Locks by the continuous alias of a series, as files in ``folder``. Waits without bound: the holder works on these rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = threading.local()

    @contextlib.contextmanager
    def exclusive(self, alias: str) -> Iterator[None]:
        """Change the series: nobody else does, and no raw day beneath it is written."""
        with self._hold(alias, fcntl.LOCK_EX):
            yield

    @contextlib.contextmanager
    def shared(self, alias: str) -> Iterator[None]:
        """Write raw days beneath the series, beside others who do."""
        with self._hold(alias, fcntl.LOCK_SH):
            yield

    def holds(self, alias: str) -> bool:
        """Whether this thread holds the series' lock, in either way."""
        return alias in self._held.__dict__.setdefault("modes", {})

    @contextlib.contextmanager
    def _hold(self, alias: str, mode: int) -> Iterator[None]:
        modes: dict[str, int] = self._held.__dict__.setdefault("modes", {})
        if alias in modes:
            if mode == fcntl.LOCK_EX and modes[alias] == fcntl.LOCK_SH:
                raise StoreError(f"{alias} cannot be changed by who writes a raw day beneath it", hint="ghtrader main-l5 --help")
            yield
            return
        path = self._folder / f"{alias}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write in {path.parent}: {error.strerror}", path=str(path)) from error
        try:
            fcntl.flock(handle, mode)
            modes[alias] = mode
            yield
        finally:
            modes.pop(alias, None)
            os.close(handle)
