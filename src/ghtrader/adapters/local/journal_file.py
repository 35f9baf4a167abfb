"""The journal's segments as files in a folder: one writer (`flock`), plain writes, made durable with fdatasync.

Space is taken ahead of the writer in pieces of `AHEAD_BYTES`, which read as zeros until they are used: a sync then need not make a new
file size durable, which halves its usual time and its rare pauses. A segment that is left is cut to what was written.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ghtrader.adapters.local.locks import LocalLocks
from ghtrader.core.clock import Clock
from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import remove_leftovers, write_atomically
from ghtrader.ports.lock import HeldLock

__all__ = ["LocalJournalFiles"]

PATTERN = "*.journal"
#: Space taken ahead of the writer.
AHEAD_BYTES = 4 << 20
WRITER = "journal"


class LocalJournalFiles:
    """`ports.journal.JournalStore` on a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._lock: HeldLock | None = None
        self._handle = -1
        self._size = self._taken = 0
        self._path = folder
        self._broken = ""

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def segments(self) -> list[str]:
        """Names of the files, sorted."""
        return sorted(path.name for path in self._folder.glob(PATTERN))

    def size(self, segment: str) -> int:
        """Bytes of a file."""
        try:
            return (self._folder / segment).stat().st_size
        except OSError as error:
            raise _failed("read", self._folder / segment, error) from error

    def read(self, segment: str, offset: int = 0) -> bytes:
        """A file's bytes."""
        try:
            with (self._folder / segment).open("rb") as stream:
                stream.seek(offset)
                return stream.read()
        except OSError as error:
            raise _failed("read", self._folder / segment, error) from error

    def claim(self) -> None:
        """Take the writer's lock."""
        self._lock = LocalLocks(self._folder, self._clock).acquire(WRITER)
        self._broken = ""
        remove_leftovers(self._folder)

    def create(self, segment: str, content: bytes) -> None:
        """Begin a file: it appears whole."""
        self._require_claim()
        self._cut_off_spare()
        write_atomically(self._folder / segment, content)
        self._open(self._folder / segment, len(content))

    def resume(self, segment: str, size: int) -> None:
        """Cut a file and go on with it."""
        self._require_claim()
        self._open(self._folder / segment, size)
        try:
            os.ftruncate(self._handle, size)
            os.fsync(self._handle)
        except OSError as error:
            raise self._break(error) from error

    def _open(self, path: Path, size: int) -> None:
        self._close_file()
        try:
            self._handle = os.open(path, os.O_WRONLY)
        except OSError as error:
            raise _failed("write", path, error) from error
        self._path, self._size, self._taken = path, size, size

    def append(self, content: bytes) -> None:
        """Write behind what was written; what a failed write left is cut off again."""
        self._require_claim()
        if self._size + len(content) > self._taken:
            self._take_ahead(len(content))
        written = 0
        try:
            while written < len(content):
                written += os.pwrite(self._handle, content[written:] if written else content, self._size + written)
        except OSError as error:
            try:
                os.ftruncate(self._handle, self._size)
            except OSError as second:
                raise self._break(second) from error
            self._taken = self._size
            raise _failed("write", self._path, error) from error
        self._size += written

    def _take_ahead(self, size: int) -> None:
        """Take space for what comes; a disk without so much of it may still have enough for this write."""
        wanted = self._size + max(AHEAD_BYTES, size)
        with contextlib.suppress(OSError):
            os.posix_fallocate(self._handle, self._taken, wanted - self._taken)
            self._taken = wanted

    def sync(self) -> None:
        """fdatasync. After a failure the kernel may have dropped what it could not write: nothing goes on from there."""
        self._require_claim()
        try:
            os.fdatasync(self._handle)
        except OSError as error:
            raise self._break(error) from error

    def close(self) -> None:
        """Free the lock."""
        self._cut_off_spare()
        self._close_file()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _cut_off_spare(self) -> None:
        """Give back what was taken ahead and not used; zeros that stay are no harm."""
        if self._handle >= 0 and not self._broken:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            self._taken = self._size

    def _close_file(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = -1

    def _require_claim(self) -> None:
        if self._lock is None:
            raise StoreError(f"nobody claimed the journal in {self._folder}", path=self.place)
        if self._broken:
            raise StoreError(
                f"the journal failed before: {self._broken}", hint="restart the gateway: it recovers", path=self.place
            )

    def _break(self, error: OSError) -> StoreError:
        failure = _failed("write", self._path, error)
        self._broken = failure.message
        return failure


def _failed(what: str, path: Path, error: OSError) -> StoreError:
    hint = "free some space, then restart the gateway" if what == "write" else "check the disk"
    return StoreError(f"cannot {what} {path}: {error.strerror or error}", hint=hint, path=str(path))
