"""Contract of ``ports.lock.Locks``. Inherit `LocksContract` and give a fixture ``open_locks``.

Each call of ``open_locks`` opens the locks once more, as another process would.

`ProcessLocksContract`, for locks between processes, needs ``path`` (a folder that need not exist) and the class attribute ``opener``.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import LockHeldError, exit_code_of
from ghtrader.ports.lock import Locks, gateway_key, strategy_key

__all__ = ["LocksContract", "OpenLocks", "ProcessLocksContract"]

OpenLocks = Callable[[], Locks]
WORKER_TIMEOUT_S = 60
HOLD = """
import importlib, sys
from pathlib import Path
module, _, name = sys.argv[1].partition(":")
locks = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
held = locks.acquire(sys.argv[3])
print("held", flush=True)
sys.stdin.read()
"""


class LocksContract:
    """Laws of every kind of locks."""

    def test_the_second_is_refused_and_the_first_named(self, open_locks: OpenLocks) -> None:
        """With pid, command and since; exit code 3."""
        held = open_locks().acquire("trade:account=demo")
        assert held.key == "trade:account=demo"
        with pytest.raises(LockHeldError) as caught:
            open_locks().acquire("trade:account=demo")
        holder = open_locks().holder("trade:account=demo")
        assert holder is not None
        owner = caught.value.context["owner"]
        assert (owner["pid"], owner["command"]) == (holder.pid, holder.command)
        assert str(holder.pid) in caught.value.message
        assert exit_code_of(caught.value) == 3

    def test_gateway_and_strategy_of_an_account_never_block_each_other(self, open_locks: OpenLocks) -> None:
        """Nor do two accounts."""
        keys = [gateway_key("a"), strategy_key("a"), gateway_key("b"), strategy_key("b")]
        assert keys == ["trade:account=a", "trade:strategy:account=a", "trade:account=b", "trade:strategy:account=b"]
        locks = [open_locks().acquire(key) for key in keys]
        assert [lock.key for lock in locks] == keys

    def test_a_released_lock_is_free_and_releasing_twice_is_harmless(self, open_locks: OpenLocks) -> None:
        """Also when somebody else has it by then."""
        first = open_locks().acquire("a")
        first.release()
        assert open_locks().holder("a") is None
        second = open_locks().acquire("a")
        first.release()
        with pytest.raises(LockHeldError):
            open_locks().acquire("a")
        second.release()
        assert open_locks().holder("a") is None

    def test_nobody_holds_what_nobody_took(self, open_locks: OpenLocks) -> None:
        """Asking takes nothing."""
        assert open_locks().holder("never") is None
        open_locks().acquire("never")


class ProcessLocksContract(LocksContract):
    """Laws of locks between processes."""

    opener: str

    @pytest.fixture
    def open_locks(self, path: Path) -> OpenLocks:
        """Locks on one folder."""
        module, _, name = self.opener.partition(":")
        opener = getattr(importlib.import_module(module), name)

        def open_one() -> Locks:
            locks: Locks = opener(path)
            return locks

        return open_one

    def _hold(self, path: Path, key: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, self.opener, str(path), key]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
        assert worker.stdout is not None
        assert worker.stdout.readline() == "held\n"
        return worker

    def test_another_process_is_named_and_its_death_frees_the_lock(self, open_locks: OpenLocks, path: Path) -> None:
        """kill -9, and the next one has it at once under its own name."""
        clock = SystemClock()
        for _ in range(2):
            before = clock.now_ns()
            worker = self._hold(path, "trade:account=demo")
            with pytest.raises(LockHeldError, match=f"process {worker.pid}") as caught:
                open_locks().acquire("trade:account=demo")
            assert "trade:account=demo" in caught.value.context["owner"]["command"]
            holder = open_locks().holder("trade:account=demo")
            assert holder is not None
            assert before < holder.since_ns < clock.now_ns()
            worker.send_signal(signal.SIGKILL)
            worker.communicate(timeout=WORKER_TIMEOUT_S)
            assert open_locks().holder("trade:account=demo") is None
            held = open_locks().acquire("trade:account=demo")
            holder = open_locks().holder("trade:account=demo")
            assert holder is not None
            assert holder.pid == os.getpid()
            held.release()

    def test_a_refusal_comes_within_a_second(self, open_locks: OpenLocks, path: Path) -> None:
        """Taking a lock never waits for its holder."""
        worker = self._hold(path, "a")
        clock = SystemClock()
        begun = clock.monotonic_ns()
        with pytest.raises(LockHeldError):
            open_locks().acquire("a")
        assert clock.monotonic_ns() - begun < 1_000_000_000
        worker.communicate(timeout=WORKER_TIMEOUT_S)
