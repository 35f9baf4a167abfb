"""The media of the trading runtime: memory and files under the same contracts, and what only files can suffer."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ghtrader.adapters.local.journal_file import AHEAD_BYTES, LocalJournalFiles
from ghtrader.adapters.local.kill_file import LocalKillFile
from ghtrader.adapters.local.locks import LocalLocks
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import LockHeldError, StoreError, UsageError
from ghtrader.testing.contracts.journal import DurableJournalContract, JournalStoreContract, OpenStore
from ghtrader.testing.contracts.kill_store import DurableKillContract, KillStoreContract
from ghtrader.testing.contracts.lock import LocksContract, OpenLocks, ProcessLocksContract
from ghtrader.testing.faults import PowerCut, full_disk_at, power_cut_at
from ghtrader.testing.trading_stores import MemoryDisk, MemoryJournalStore, MemoryKillStore, MemoryLocks
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.reading import read_records
from ghtrader.trading.journal.records import Record, RecordKind

SEGMENT = "000000000001-.journal"


class TestMemoryJournal(JournalStoreContract):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        disk = MemoryDisk()
        return lambda: MemoryJournalStore(disk)


class TestLocalJournal(DurableJournalContract):
    opener = "ghtrader.testing.trading_stores:local_journal"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "demo" / "journal"


class TestMemoryKill(KillStoreContract):
    @pytest.fixture
    def kill_store(self) -> MemoryKillStore:
        return MemoryKillStore()


class TestLocalKill(DurableKillContract):
    opener = "ghtrader.adapters.local.kill_file:LocalKillFile"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "demo"


class TestMemoryLocks(LocksContract):
    @pytest.fixture
    def open_locks(self) -> OpenLocks:
        held: dict[str, Any] = {}
        return lambda: MemoryLocks(held)


class TestLocalLocks(ProcessLocksContract):
    opener = "ghtrader.testing.trading_stores:local_locks"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "locks"


def failing(call: str, *, after: int = 0, short: int = 0) -> Any:
    """A disk that is full: ``call`` of os raises ENOSPC from the ``after``-th time on; a write puts ``short`` bytes down first."""
    real, count = getattr(os, call), 0

    def fail(handle: int, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == after + 1 and short:
            return real(handle, arguments[0][:short], *arguments[1:])
        if count > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, *arguments)

    return mock.patch.object(os, call, fail)


# --- journal files


@pytest.fixture
def files(tmp_path: Path) -> LocalJournalFiles:
    store = LocalJournalFiles(tmp_path, SystemClock())
    store.claim()
    store.create(SEGMENT, b"head")
    store.append(b"one")
    return store


def used(store: LocalJournalFiles) -> bytes:
    return store.read(SEGMENT).rstrip(b"\0")


@pytest.mark.parametrize("short", [0, 2])
def test_a_full_disk_leaves_nothing_of_an_append_and_the_next_one_may_stand(files: LocalJournalFiles, short: int) -> None:
    with failing("pwrite", short=short), pytest.raises(StoreError, match="No space left"):
        files.append(b"three")
    assert used(files) == b"headone"
    files.append(b"two")
    files.sync()
    assert used(files) == b"headonetwo"


def test_when_not_even_the_cut_is_certain_nothing_goes_on(files: LocalJournalFiles) -> None:
    with failing("pwrite", short=2), failing("ftruncate"), pytest.raises(StoreError):
        files.append(b"three")
    for write in (lambda: files.append(b"x"), files.sync):
        with pytest.raises(StoreError, match="failed before"):
            write()
    files.close()
    files.claim()
    files.resume(SEGMENT, 7)
    files.append(b"two")
    assert used(files) == b"headonetwo"


def test_after_a_failed_sync_nothing_goes_on(files: LocalJournalFiles) -> None:
    with failing("fdatasync"), pytest.raises(StoreError, match="No space left"):
        files.sync()
    for write in (lambda: files.append(b"x"), files.sync):
        with pytest.raises(StoreError, match="failed before"):
            write()


def test_a_short_write_is_finished(files: LocalJournalFiles) -> None:
    real = os.pwrite
    with mock.patch.object(os, "pwrite", lambda handle, content, offset: real(handle, content[:2], offset)):
        files.append(b"twothree")
    assert used(files) == b"headonetwothree"


def test_a_segment_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    store = LocalJournalFiles(tmp_path, SystemClock())
    store.claim()
    for step in (1, 2):
        with power_cut_at(step), pytest.raises(PowerCut):
            store.create(SEGMENT, b"head")
        assert store.segments() == []
    with full_disk_at(1), pytest.raises(StoreError):
        store.create(SEGMENT, b"head")
    store.close()
    store.claim()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.lock"]


def test_resuming_on_a_bad_disk_is_an_error(files: LocalJournalFiles) -> None:
    with failing("ftruncate"), pytest.raises(StoreError):
        files.resume(SEGMENT, 4)
    with full_disk_at(1), pytest.raises(StoreError, match="failed before"):
        files.resume(SEGMENT, 4)
    with pytest.raises(StoreError):
        files.append(b"x")


def test_an_unreadable_journal_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / SEGMENT).mkdir()
    store = LocalJournalFiles(tmp_path, SystemClock())
    with pytest.raises(StoreError, match="cannot read"):
        store.read(SEGMENT)


def test_space_is_taken_ahead_and_given_back(files: LocalJournalFiles) -> None:
    assert files.size(SEGMENT) == 4 + AHEAD_BYTES
    files.append(bytes([1]) * (AHEAD_BYTES + 10))
    assert files.size(SEGMENT) == 7 + AHEAD_BYTES + 10
    files.append(b"more")
    assert files.size(SEGMENT) > 7 + AHEAD_BYTES + 14
    files.close()
    assert files.size(SEGMENT) == 7 + AHEAD_BYTES + 14


def test_a_disk_without_space_ahead_may_still_take_a_record(tmp_path: Path) -> None:
    store = LocalJournalFiles(tmp_path, SystemClock())
    store.claim()
    store.create(SEGMENT, b"head")
    with failing("posix_fallocate"):
        store.append(b"one")
        assert (store.read(SEGMENT), store.size(SEGMENT)) == (b"headone", 7)
    store.append(b"two")
    assert used(store) == b"headonetwo"
    assert store.size(SEGMENT) == 7 + AHEAD_BYTES


def test_after_a_crash_unused_space_is_no_damage(tmp_path: Path) -> None:
    def opened() -> Journal:
        return Journal(LocalJournalFiles(tmp_path, SystemClock()), "demo")

    journal = opened()
    journal.append([Record(1, 0, 0, RecordKind.NOTE, {"zero": 0})])
    name = journal.recovery.segment or "000000000001-.journal"
    crashed = (tmp_path / name).read_bytes()
    assert len(crashed) > AHEAD_BYTES
    journal.close()
    (tmp_path / name).write_bytes(crashed)
    assert [record.seq for record in read_records(LocalJournalFiles(tmp_path, SystemClock()))] == [1]
    journal = opened()
    assert (journal.recovery.lost_bytes, journal.recovery.last_seq) == (0, 1)
    journal.append([Record(2, 0, 0, RecordKind.NOTE, {})])
    assert [record.seq for record in journal.read()] == [1, 2]


# --- kill file


def test_a_kill_needs_no_new_space(tmp_path: Path) -> None:
    """The spare's block is taken already: a write opens no new file and grows none."""
    store = LocalKillFile(tmp_path)
    store.write(b"clear")
    spare = tmp_path / "kill.spare"
    before = spare.stat()
    assert (before.st_size, before.st_blocks * 512 >= 4096) == (4096, True)
    store.write(b"latched" * 20)
    after = (tmp_path / "kill").stat()
    assert (after.st_ino, after.st_size, store.read()) == (before.st_ino, 140, b"latched" * 20)
    assert spare.stat().st_size == 4096


def test_a_disk_too_full_for_the_next_spare_does_not_stop_a_kill(tmp_path: Path) -> None:
    store = LocalKillFile(tmp_path)
    store.write(b"clear")
    with failing("pwrite", after=1):
        store.write(b"latched")
    assert store.read() == b"latched"
    store.write(b"again")
    assert store.read() == b"again"


def test_a_disk_that_takes_nothing_is_a_store_error_and_the_old_content_stands(tmp_path: Path) -> None:
    store = LocalKillFile(tmp_path)
    store.write(b"clear")
    for step in (1, 2):
        with full_disk_at(step), pytest.raises(StoreError, match="No space left"):
            store.write(b"latched")
        assert store.read() == b"clear"
    with failing("pwrite"), pytest.raises(StoreError):
        store.replace(b"clear", b"latched")
    assert store.read() == b"clear"


def test_a_power_cut_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    store = LocalKillFile(tmp_path)
    steps = 0
    with power_cut_at(100) as count:
        store.write(b"0")
        steps = count()
    assert steps == 4, "sync, rename, sync the folder, sync the next spare"
    for step in range(1, steps + 1):
        old = f"old {step}".encode()
        store.write(old)
        with power_cut_at(step), pytest.raises(PowerCut):
            store.write(b"new")
        assert LocalKillFile(tmp_path).read() == (old if step <= 2 else b"new")


def test_a_writer_that_hangs_holds_up_no_kill_but_every_reset(tmp_path: Path) -> None:
    store = LocalKillFile(tmp_path, patience_s=0.02)
    store.write(b"latched")
    with (tmp_path / "kill.lock").open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="hangs"):
            store.replace(b"latched", b"clear")
        assert store.read() == b"latched"
        store.write(b"latched again")
    assert store.read() == b"latched again"


def test_a_folder_that_cannot_be_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalKillFile(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot read"):
        store.read()
    with pytest.raises(StoreError, match="cannot write"):
        store.write(b"latched")


# --- locks


def test_a_key_that_is_no_word_is_refused(tmp_path: Path) -> None:
    for key in ("", "a/b", "..\n", "x" * 201):
        with pytest.raises(UsageError):
            LocalLocks(tmp_path, SystemClock()).acquire(key)


def test_a_look_at_the_holder_refuses_nobody(tmp_path: Path) -> None:
    locks = LocalLocks(tmp_path, SystemClock())
    locks.acquire("a").release()
    real, calls = fcntl.flock, []

    def looked_at(handle: int, mode: int) -> None:
        calls.append(mode)
        if len(calls) < 3:
            raise BlockingIOError
        real(handle, mode)

    with mock.patch.object(fcntl, "flock", looked_at):
        held = locks.acquire("a")
    assert len(calls) == 3
    held.release()


def test_a_holder_without_a_name_still_holds(tmp_path: Path) -> None:
    locks = LocalLocks(tmp_path, SystemClock())
    with failing("pwrite"):
        locks.acquire("a")
    holder = locks.holder("a")
    assert holder is not None
    assert holder.pid == 0
    with pytest.raises(LockHeldError, match="has not written its name"):
        locks.acquire("a")


def test_the_name_of_a_dead_holder_is_not_taken_for_that_of_the_living(tmp_path: Path) -> None:
    locks = LocalLocks(tmp_path, SystemClock())
    (tmp_path / "a.lock").write_bytes(json.dumps({"pid": 2**22 + 1, "command": "dead", "since_ns": 1}).encode())
    assert locks.holder("a") is None
    held = locks.acquire("a")
    holder = locks.holder("a")
    assert holder is not None
    assert (holder.pid, "dead" in holder.command) == (os.getpid(), False)
    held.release()
    assert (tmp_path / "a.lock").read_bytes() == b""


def test_a_folder_of_locks_that_cannot_be_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    calls: list[Callable[[], object]] = [
        lambda: LocalLocks(tmp_path / "file", SystemClock()).acquire("a"),
        lambda: LocalLocks(tmp_path / "file", SystemClock()).holder("a"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="cannot write"):
            call()
