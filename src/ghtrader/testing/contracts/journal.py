"""Contract of ``ports.journal.JournalStore``. Inherit `JournalStoreContract` and give a fixture ``open_store``.

Each call of ``open_store`` opens one more store on the same medium, as another process would.

`DurableJournalContract`, for media that survive processes, also needs ``path`` (a folder) and the class attribute ``opener``
(``module:callable`` that opens a store on it).
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ghtrader.core.errors import LockHeldError, StoreError
from ghtrader.ports.journal import JournalStore

__all__ = ["DurableJournalContract", "JournalStoreContract", "OpenStore"]

OpenStore = Callable[[], JournalStore]
WORKER_TIMEOUT_S = 60
HEAD = b"head"
#: Appends records to a journal and says the number of each that is synced.
WRITE = """
import importlib, sys
from pathlib import Path
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record, RecordKind
module, _, name = sys.argv[1].partition(":")
store = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
journal = Journal(store, "demo", segment_bytes=20_000)
print(journal.next_seq, flush=True)
while True:
    seq = journal.next_seq
    journal.append([Record(seq + n, 0, seq, RecordKind.NOTE, {"text": "x" * (seq % 700)}) for n in range(3)])
    journal.sync()
    print(seq + 2, flush=True)
"""


def _used(content: bytes) -> bytes:
    """Bytes without the unused space behind them."""
    return content.rstrip(b"\0")


class JournalStoreContract:
    """Laws of every journal store."""

    def test_an_empty_journal_has_no_segments(self, open_store: OpenStore) -> None:
        """Reading needs no claim and makes nothing."""
        assert open_store().segments() == []
        assert open_store().place

    def test_what_is_appended_is_read_at_once_by_everybody(self, open_store: OpenStore) -> None:
        """Before any sync, from any offset."""
        writer, reader = open_store(), open_store()
        writer.claim()
        writer.create("b", HEAD)
        writer.append(b"one")
        assert _used(reader.read("b")) == b"headone"
        writer.append(b"two")
        writer.sync()
        assert (_used(reader.read("b", 4)), _used(reader.read("b", 10))) == (b"onetwo", b"")
        assert reader.size("b") == len(reader.read("b"))
        writer.close()
        assert (writer.read("b"), writer.size("b")) == (b"headonetwo", 10)

    def test_segments_are_sorted_and_appends_go_to_the_newest(self, open_store: OpenStore) -> None:
        """Creating one ends the one before."""
        store = open_store()
        store.claim()
        for name in ("000000000002-a.journal", "000000000001-.journal", "000000000010-b.journal"):
            store.create(name, HEAD)
            store.append(name.encode())
        assert store.segments() == ["000000000001-.journal", "000000000002-a.journal", "000000000010-b.journal"]
        assert [_used(store.read(name)[4:]).decode() for name in store.segments()] == store.segments()
        store.create("000000000010-b.journal", b"again")
        assert _used(store.read("000000000010-b.journal")) == b"again"
        assert store.size("000000000002-a.journal") == 4 + len("000000000002-a.journal"), "what is left has no unused space"

    def test_resuming_cuts_and_goes_on(self, open_store: OpenStore) -> None:
        """What was behind the cut is gone for every reader."""
        store = open_store()
        store.claim()
        store.create("000000000001-.journal", HEAD)
        store.append(b"whole torn")
        store.close()
        again = open_store()
        again.claim()
        again.resume("000000000001-.journal", 9)
        again.append(b"!")
        assert _used(open_store().read("000000000001-.journal")) == b"headwhole!"

    def test_there_is_one_writer(self, open_store: OpenStore) -> None:
        """The second is refused, naming the first; the claim can be given back and taken again."""
        first, second = open_store(), open_store()
        first.claim()
        with pytest.raises(LockHeldError) as caught:
            second.claim()
        assert caught.value.context["owner"]["pid"] > 0
        first.close()
        first.close()
        second.claim()
        second.create("000000000001-.journal", HEAD)
        second.close()

    def test_without_a_claim_nothing_is_written(self, open_store: OpenStore) -> None:
        """Neither before the claim nor after it was given back."""
        store = open_store()
        with pytest.raises(StoreError):
            store.create("000000000001-.journal", HEAD)
        store.claim()
        store.create("000000000001-.journal", HEAD)
        store.close()
        writes: list[Callable[[], None]] = [
            lambda: store.append(b"x"),
            store.sync,
            lambda: store.resume("000000000001-.journal", 0),
        ]
        for write in writes:
            with pytest.raises(StoreError):
                write()
        assert store.read("000000000001-.journal") == HEAD

    def test_a_segment_that_is_not_there_is_an_error(self, open_store: OpenStore) -> None:
        """Not an empty one."""
        store = open_store()
        store.claim()
        reads: list[Callable[[], object]] = [
            lambda: store.read("000000000001-.journal"),
            lambda: store.size("000000000001-.journal"),
            lambda: store.resume("000000000001-.journal", 0),
        ]
        for read in reads:
            with pytest.raises(StoreError):
                read()


class DurableJournalContract(JournalStoreContract):
    """Laws of a journal store on a medium that survives the death of its writer."""

    opener: str

    @pytest.fixture
    def open_store(self, path: Path) -> OpenStore:
        """Stores on one folder."""
        module, _, name = self.opener.partition(":")
        opener = getattr(importlib.import_module(module), name)

        def open_one() -> JournalStore:
            store: JournalStore = opener(path)
            return store

        return open_one

    def test_what_a_killed_writer_had_said_is_there(self, open_store: OpenStore, path: Path) -> None:
        """kill -9 again and again while a process writes: every record that it had synced is there, in order, whatever else is cut off."""
        from ghtrader.trading.journal.journal import Journal

        synced = 0
        for lines in (1, 8, 40, 90):
            command = [sys.executable, "-c", WRITE, self.opener, str(path)]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
            assert worker.stdout is not None
            assert int(worker.stdout.readline()) > synced
            for _ in range(lines):
                synced = int(worker.stdout.readline())
            worker.send_signal(signal.SIGKILL)
            rest = worker.communicate(timeout=WORKER_TIMEOUT_S)[0].split("\n")[:-1]
            synced = max([synced, *(int(line) for line in rest)])
            journal = Journal(open_store(), "demo")
            assert journal.recovery.last_seq >= synced
            assert [record.seq for record in journal.read()] == list(range(1, journal.next_seq))
            journal.close()
        assert len(open_store().segments()) > 1
