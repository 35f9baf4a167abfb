"""Locks between processes as files in a folder: `flock`, which dies with its process; the holder writes its name into the file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
from pathlib import Path

import msgspec

from ghtrader.core.clock import Clock, Deadline, iso_utc
from ghtrader.core.errors import LockHeldError, StoreError, UsageError
from ghtrader.ports.lock import HeldLock, Holder

__all__ = ["LocalLocks"]

_KEY = re.compile(r"[A-Za-z0-9_.:=-]{1,200}")
#: How long a refusal waits: a look at the holder takes the lock for a moment, and a new holder needs one to write its name.
PATIENCE_S = 0.2
POLL_S = 0.005


class LocalLocks:
    """`ports.lock.Locks` on a folder that every process of the installation shares."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def _open(self, key: str) -> int:
        if not _KEY.fullmatch(key):
            raise UsageError(f"{key!r} is no key of a lock", hint="letters, digits and : = . _ - only")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write in {self._folder}: {error.strerror}", path=str(self._folder)) from error

    def acquire(self, key: str) -> HeldLock:
        """Take a lock, or name who has it."""
        handle, deadline = self._open(key), Deadline(PATIENCE_S)
        while not _taken(handle, fcntl.LOCK_EX):
            holder = _named(handle)
            if (holder.pid and _is_alive(holder.pid)) or deadline.passed:
                os.close(handle)
                raise _refusal(key, holder)
            deadline.pause(POLL_S)
        lock = _Held(key, handle)
        lock.sign(Holder(pid=os.getpid(), command=" ".join(sys.orig_argv), since_ns=self._clock.now_ns()))
        return lock

    def holder(self, key: str) -> Holder | None:
        """Who has it."""
        handle, deadline = self._open(key), Deadline(PATIENCE_S)
        try:
            while True:
                if _taken(handle, fcntl.LOCK_SH):
                    return None
                holder = _named(handle)
                if (holder.pid and _is_alive(holder.pid)) or deadline.passed:
                    return holder
                deadline.pause(POLL_S)
        finally:
            os.close(handle)


class _Held:
    """A lock of this process."""

    def __init__(self, key: str, handle: int) -> None:
        self.key = key
        self._handle = handle

    def sign(self, holder: Holder) -> None:
        """Write the holder's name; on a full disk the lock holds without one."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, msgspec.json.encode(holder), 0)

    def release(self) -> None:
        """Free it."""
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def _taken(handle: int, mode: int) -> bool:
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named(handle: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(handle, 1 << 16, 0), type=Holder)
    except (ValueError, OSError):
        return Holder(pid=0, command="", since_ns=0)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _refusal(key: str, holder: Holder) -> LockHeldError:
    since = iso_utc(holder.since_ns)
    who = f"process {holder.pid} ({holder.command}) since {since}" if holder.pid else "a process that has not written its name"
    hint = f"stop it first: kill {holder.pid}" if holder.pid else "try again"
    owner = {"pid": holder.pid, "command": holder.command, "since": since}
    return LockHeldError(f"{key} is held by {who}", hint=hint, key=key, owner=owner)
