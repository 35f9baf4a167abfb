"""Contract of ``ports.kill_store.KillStore``. Inherit `KillStoreContract` and give a fixture ``kill_store``.

`DurableKillContract`, for media that survive processes, needs ``path`` (a folder that need not exist) and the class attribute ``opener``
(``module:callable`` that opens a store on it).
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ghtrader.core.clock import Deadline
from ghtrader.ports.kill_store import KillStore

__all__ = ["DurableKillContract", "KillStoreContract"]

WORKER_TIMEOUT_S = 60
#: Writes contents of growing and shrinking size without end, saying each that stands; argument 3 tells writers apart.
WRITE = """
import importlib, sys
from pathlib import Path
module, _, name = sys.argv[1].partition(":")
store = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
number = 0
while True:
    number += 1
    store.write((sys.argv[3] + str(number) + ":").encode() * (1 + number % 90))
    print(number, flush=True)
"""


class KillStoreContract:
    """Laws of every kill store."""

    def test_there_is_no_file_at_first(self, kill_store: KillStore) -> None:
        """And reading makes none."""
        assert kill_store.read() is None
        assert kill_store.read() is None

    def test_a_write_replaces_whatever_is_there(self, kill_store: KillStore) -> None:
        """Longer and shorter contents, any bytes."""
        for content in (b"one", bytes(range(256)) * 9, b"x", b"\n"):
            kill_store.write(content)
            assert kill_store.read() == content

    def test_replacing_compares_first(self, kill_store: KillStore) -> None:
        """With what is there, or with there being nothing."""
        assert not kill_store.replace(b"", b"new")
        assert kill_store.read() is None
        assert kill_store.replace(None, b"one")
        assert not kill_store.replace(None, b"two")
        assert not kill_store.replace(b"on", b"two")
        assert kill_store.read() == b"one"
        assert kill_store.replace(b"one", b"two")
        assert kill_store.read() == b"two"


class DurableKillContract(KillStoreContract):
    """Laws of a kill store that several processes share and that survives them."""

    opener: str

    def _open(self, path: Path) -> KillStore:
        module, _, name = self.opener.partition(":")
        store: KillStore = getattr(importlib.import_module(module), name)(path)
        return store

    @pytest.fixture
    def kill_store(self, path: Path) -> KillStore:
        """A store on a folder that does not exist yet."""
        return self._open(path)

    def _start(self, path: Path, who: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITE, self.opener, str(path), who]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script

    @staticmethod
    def _written(content: bytes | None) -> tuple[str, int]:
        """Who wrote a content and which of his; fails for one that is not whole."""
        assert content is not None
        piece, colon, _ = content.partition(b":")
        who, number = piece[:1].decode(), int(piece[1:])
        assert content == (piece + colon) * (1 + number % 90)
        return who, number

    def test_a_killed_writer_leaves_the_old_content_or_the_new(self, path: Path) -> None:
        """kill -9 at random points: never torn, never older than what the writer had said."""
        for lines in (1, 7, 23, 60):
            worker = self._start(path, "a")
            assert worker.stdout is not None
            said = [worker.stdout.readline() for _ in range(lines)]
            worker.send_signal(signal.SIGKILL)
            rest = worker.communicate(timeout=WORKER_TIMEOUT_S)[0].split("\n")[:-1]
            last = int([*said, *rest][-1])
            assert self._written(self._open(path).read())[1] in {last, last + 1}
            self._open(path).write(b"b1:" * 2)
            assert self._written(self._open(path).read()) == ("b", 1)

    def test_readers_and_a_second_writer_never_see_half_of_anything(self, path: Path) -> None:
        """Two processes write without end, this one reads."""
        workers = [self._start(path, who) for who in ("a", "b")]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        seen: set[str] = set()
        deadline = Deadline(WORKER_TIMEOUT_S)
        try:
            while not deadline.passed and len(seen) < 2:
                seen |= {self._written(self._open(path).read())[0] for _ in range(500)}
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGKILL)
                worker.communicate(timeout=WORKER_TIMEOUT_S)
        assert seen == {"a", "b"}

    def test_a_kill_between_reading_and_clearing_is_never_lost(self, path: Path) -> None:
        """Whoever clears compares with what he read: a writer in between wins."""
        store = self._open(path)
        store.write(b"latched")
        read = store.read()
        self._open(path).write(b"latched again")
        assert not store.replace(read, b"clear")
        assert store.read() == b"latched again"
