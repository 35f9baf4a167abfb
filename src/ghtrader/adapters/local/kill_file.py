"""The kill file: replaced atomically, durable, and writable on a full disk.

A spare file of one block lies beside it, its space taken already. A write fills the spare, syncs it and renames it over the kill file, so
that it needs no new space; then the next spare is laid down. Writers exclude each other by `flock`; a kill does not wait for ever for one
that hangs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import sync_folder, write_atomically

__all__ = ["LocalKillFile"]

NAME = "kill"
SPARE = "kill.spare"
LOCK = "kill.lock"
SPARE_BYTES = 4096
PATIENCE_S = 2.0
POLL_S = 0.001


class LocalKillFile:
    """`ports.kill_store.KillStore`: the file ``kill`` in an account's folder."""

    def __init__(self, folder: Path, *, patience_s: float = PATIENCE_S) -> None:
        self._folder, self._patience_s = folder, patience_s
        self._path = folder / NAME

    def read(self) -> bytes | None:
        """The file's bytes."""
        try:
            handle = os.open(self._path, os.O_RDONLY)  # plain calls: it is read before every order
            try:
                content = os.read(handle, SPARE_BYTES)
                while piece := os.read(handle, SPARE_BYTES):
                    content += piece
            finally:
                os.close(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error
        return content

    def write(self, content: bytes) -> None:
        """Replace the file, whatever it holds."""
        with self._exclusive() as exclusive:
            if exclusive:
                self._put(content)
            else:  # the spare belongs to whoever hangs: take a file of our own
                write_atomically(self._path, content)

    def replace(self, expected: bytes | None, content: bytes) -> bool:
        """Replace the file if it holds what is expected."""
        with self._exclusive() as exclusive:
            if not exclusive:
                raise StoreError(
                    f"somebody else is writing {self._path} and hangs", hint="ghtrader journal tail", path=str(self._path)
                )
            if self.read() != expected:
                return False
            self._put(content)
            return True

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[bool]:
        """Whether the writers' lock was got in time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._failed("write", error) from error
        try:
            yield self._locked(handle)
        finally:
            os.close(handle)

    def _locked(self, handle: int) -> bool:
        deadline = Deadline(self._patience_s)
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if deadline.passed:
                    return False
                deadline.pause(POLL_S)
            else:
                return True

    def _put(self, content: bytes) -> None:
        spare = self._folder / SPARE
        try:
            _fill(spare, content)
            spare.replace(self._path)
            sync_folder(self._folder)
        except OSError as error:
            raise self._failed("write", error) from error
        with contextlib.suppress(OSError):  # without a spare the next write needs new space
            _fill(spare, bytes(SPARE_BYTES))

    def _failed(self, what: str, error: OSError) -> StoreError:
        return StoreError(f"cannot {what} {self._path}: {error.strerror or error}", hint="check the disk", path=str(self._path))


def _fill(path: Path, content: bytes) -> None:
    """Make a file hold exactly ``content``, durable, in the space that it has."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(handle, content[written:], written)
        os.ftruncate(handle, len(content))
        os.fsync(handle)
    finally:
        os.close(handle)
