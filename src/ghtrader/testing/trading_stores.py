"""The media of the trading runtime in memory (a disk that can be cut off, a kill file, locks), and openers of those in files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ghtrader.adapters.local.journal_file import LocalJournalFiles
from ghtrader.adapters.local.locks import LocalLocks
from ghtrader.core.clock import SystemClock, iso_utc
from ghtrader.core.errors import LockHeldError, StoreError
from ghtrader.ports.lock import Holder

__all__ = ["MemoryDisk", "MemoryJournalStore", "MemoryKillStore", "MemoryLocks", "local_journal", "local_locks"]


@dataclass
class MemoryDisk:
    """Bytes of journal segments and how many of them a power cut spares; ``space`` is what can still be appended (None: no end)."""

    segments: dict[str, bytearray] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    space: int | None = None
    sync_fails: bool = False
    writer: object | None = None

    def crash(self, *, keep: int = 0, garble: bool = False) -> None:
        """The machine stops: of what was not synced ``keep`` bytes stay, with ``garble`` the last of them is wrong. The writer is gone."""
        for name, content in self.segments.items():
            end = min(len(content), self.durable[name] + keep)
            if garble and end > self.durable[name]:
                content[end - 1] ^= 0xFF
            del content[end:]
        self.writer = None


class MemoryJournalStore:
    """`ports.journal.JournalStore` on a `MemoryDisk`: as many stores on one disk as there are processes.

    >>> disk = MemoryDisk()
    >>> store = MemoryJournalStore(disk)
    >>> store.claim()
    >>> store.create("a", b"head")
    >>> store.append(b"lost")
    >>> disk.crash(keep=1)
    >>> MemoryJournalStore(disk).read("a")
    b'headl'
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk if disk is not None else MemoryDisk()
        self._current = ""
        self._broken = False

    @property
    def place(self) -> str:
        """Nowhere."""
        return "memory"

    def segments(self) -> list[str]:
        """Names, sorted."""
        return sorted(self.disk.segments)

    def size(self, segment: str) -> int:
        """Bytes of a segment."""
        return len(self._content(segment))

    def read(self, segment: str, offset: int = 0) -> bytes:
        """A segment's bytes."""
        return bytes(self._content(segment)[offset:])

    def _content(self, segment: str) -> bytearray:
        if segment not in self.disk.segments:
            raise StoreError(f"there is no segment {segment}")
        return self.disk.segments[segment]

    def claim(self) -> None:
        """Become the writer."""
        if self.disk.writer is not None:
            owner = {"pid": 1, "command": "memory", "since": iso_utc(0)}
            raise LockHeldError("the journal in memory is held by process 1 (memory)", key="writer", owner=owner)
        self.disk.writer, self._broken = self, False

    def create(self, segment: str, content: bytes) -> None:
        """Begin a segment."""
        self._require_claim()
        self._take(len(content))
        self.disk.segments[segment], self.disk.durable[segment] = bytearray(content), len(content)
        self._current = segment

    def resume(self, segment: str, size: int) -> None:
        """Cut a segment and go on with it."""
        self._require_claim()
        del self._content(segment)[size:]
        self.disk.durable[segment] = size
        self._current = segment

    def append(self, content: bytes) -> None:
        """Add bytes."""
        self._require_claim()
        self._take(len(content))
        self._content(self._current).extend(content)

    def _take(self, size: int) -> None:
        if self.disk.space is not None:
            if size > self.disk.space:
                raise StoreError("cannot write memory: No space left on device")
            self.disk.space -= size

    def sync(self) -> None:
        """Everything is durable."""
        self._require_claim()
        if self.disk.sync_fails:
            self._broken = True
            raise StoreError("cannot write memory: Input/output error")
        self.disk.durable[self._current] = self.size(self._current)

    def close(self) -> None:
        """Give the claim back."""
        if self.disk.writer is self:
            self.disk.writer = None

    def _require_claim(self) -> None:
        if self.disk.writer is not self:
            raise StoreError("nobody claimed the journal in memory")
        if self._broken:
            raise StoreError("the journal failed before")


class MemoryKillStore:
    """`ports.kill_store.KillStore` in memory; ``fails`` makes every write raise, ``writes`` counts those that stood."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.fails = False
        self.writes = 0

    def read(self) -> bytes | None:
        """The content."""
        return self.content

    def write(self, content: bytes) -> None:
        """Replace it."""
        if self.fails:
            raise StoreError("cannot write memory: No space left on device")
        self.content = content
        self.writes += 1

    def replace(self, expected: bytes | None, content: bytes) -> bool:
        """Replace it if it is what is expected."""
        if self.content != expected:
            return False
        self.write(content)
        return True


class MemoryLocks:
    """`ports.lock.Locks` in one process; ``held`` is shared between those that exclude each other."""

    def __init__(self, held: dict[str, Holder] | None = None, command: str = "memory", pid: int = 1) -> None:
        self._held = held if held is not None else {}
        self._who = Holder(pid=pid, command=command, since_ns=0)

    def acquire(self, key: str) -> MemoryLock:
        """Take a lock."""
        holder = self._held.get(key)
        if holder is not None:
            owner = {"pid": holder.pid, "command": holder.command, "since": iso_utc(holder.since_ns)}
            raise LockHeldError(f"{key} is held by process {holder.pid} ({holder.command})", key=key, owner=owner)
        self._held[key] = self._who
        return MemoryLock(self._held, key)

    def holder(self, key: str) -> Holder | None:
        """Who has it."""
        return self._held.get(key)


class MemoryLock:
    """`ports.lock.HeldLock` of `MemoryLocks`."""

    def __init__(self, held: dict[str, Holder], key: str) -> None:
        self.key = key
        self._held: dict[str, Holder] | None = held

    def release(self) -> None:
        """Free it."""
        if self._held is not None:
            self._held.pop(self.key, None)
            self._held = None


def local_journal(folder: Path) -> LocalJournalFiles:
    """A journal in files, for tests in processes of their own."""
    return LocalJournalFiles(folder, SystemClock())


def local_locks(folder: Path) -> LocalLocks:
    """Locks in files, for tests in processes of their own."""
    return LocalLocks(folder, SystemClock())
