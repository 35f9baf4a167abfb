"""Contract of ``ports.ledger_store.LedgerStore``. Inherit `LedgerStoreContract` and give a fixture ``ledger``.

`SharedLedgerContract`, for ledgers on a medium that several processes share, needs ``path`` (a file that does not exist
yet) and the class attribute ``opener`` (``module:callable`` that opens the ledger on it).
"""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ghtrader.ports.ledger_store import LedgerStore

__all__ = ["LedgerStoreContract", "SharedLedgerContract"]

WORKER_TIMEOUT_S = 60
APPEND = """
import importlib, sys
from pathlib import Path
module, _, name = sys.argv[1].partition(":")
ledger = getattr(importlib.import_module(module), name)(Path(sys.argv[2]))
for number in range(int(sys.argv[3])):
    print(ledger.append_many("shared", [{"who": sys.argv[4], "n": number, "half": half} for half in (0, 1)])[-1], flush=True)
"""


class LedgerStoreContract:
    """Laws of every ledger store, in one process."""

    def test_sequence_numbers_start_at_one_and_have_no_holes(self, ledger: LedgerStore) -> None:
        """Per ledger, over single and joint appends."""
        assert ledger.append("a", {"n": 1}) == 1
        assert ledger.append_many("a", [{"n": 2}, {"n": 3}]) == [2, 3]
        assert ledger.append("b", {}) == 1
        assert ledger.append_many("a", []) == []
        assert ledger.append("a", {"n": 4}) == 4
        assert ledger.count("a") == 4
        assert ledger.count("nothing") == 0

    def test_documents_come_back_in_order_and_whole(self, ledger: LedgerStore) -> None:
        """Nested values, text beyond ASCII, large integers."""
        document = {"text": "螺纹钢", "list": [1.5, None, True], "deep": {"n": 2**53}}
        ledger.append("a", document)
        ledger.append("a", {"second": 1})
        assert ledger.rows("a") == [(1, document), (2, {"second": 1})]

    def test_rows_are_paged_by_sequence(self, ledger: LedgerStore) -> None:
        """``after`` is exclusive; a limit of 0 gives nothing."""
        ledger.append_many("a", [{"n": n} for n in range(1, 8)])
        assert [number for number, _ in ledger.rows("a", after=2, limit=3)] == [3, 4, 5]
        assert [number for number, _ in ledger.rows("a", after=5)] == [6, 7]
        assert ledger.rows("a", after=7) == []
        assert ledger.rows("a", limit=0) == []

    def test_what_comes_out_is_a_copy(self, ledger: LedgerStore) -> None:
        """Changing a document afterwards, in or out, changes nothing stored."""
        document = {"list": [1]}
        ledger.append("a", document)
        ledger.put("t", "k", document)
        document["list"].append(2)
        ledger.rows("a")[0][1]["list"].append(3)
        found = ledger.get("t", "k")
        assert found == {"list": [1]}
        assert ledger.rows("a") == [(1, {"list": [1]})]

    def test_names_of_ledgers_and_tables_are_those_that_hold_documents(self, ledger: LedgerStore) -> None:
        """Sorted; a table whose last document was deleted is no longer named."""
        assert (ledger.ledgers(), ledger.tables()) == ([], [])
        ledger.append("b", {})
        ledger.append("a", {})
        ledger.put("t", "k", {})
        ledger.put("u", "k", {})
        ledger.delete("u", "k")
        assert (ledger.ledgers(), ledger.tables()) == (["a", "b"], ["t"])

    def test_put_replaces_whole_and_get_says_none(self, ledger: LedgerStore) -> None:
        """Nothing of the old document stays."""
        ledger.put("t", "k", {"a": 1, "b": 2})
        ledger.put("t", "k", {"a": 3})
        assert ledger.get("t", "k") == {"a": 3}
        assert ledger.get("t", "other") is None
        assert ledger.get("other", "k") is None

    def test_large_documents_are_put_together_however_many(self, ledger: LedgerStore) -> None:
        """A few megabytes at once, as verdicts of many days are, and one document of half a megabyte."""
        documents = {f"day{number:04}": {"text": f"{number}螺" + "x" * 6000} for number in range(400)}
        ledger.put_many("t", documents)
        assert dict(ledger.items("t")) == documents
        large = {"text": "y" * 500_000}
        ledger.put("t", "large", large)
        assert ledger.get("t", "large") == large

    def test_items_are_sorted_by_key_and_filtered_by_prefix(self, ledger: LedgerStore) -> None:
        """A prefix is taken literally, wildcards of SQL included."""
        ledger.put_many("t", {"b/2": {"n": 2}, "a%1": {"n": 1}, "b/1": {"n": 3}, "aX1": {"n": 4}})
        assert [key for key, _ in ledger.items("t")] == ["a%1", "aX1", "b/1", "b/2"]
        assert ledger.items("t", prefix="a%") == [("a%1", {"n": 1})]
        assert [key for key, _ in ledger.items("t", prefix="b/")] == ["b/1", "b/2"]
        assert ledger.items("empty") == []

    def test_delete_says_whether_there_was_one(self, ledger: LedgerStore) -> None:
        """Deleting twice is harmless."""
        ledger.put("t", "k", {})
        assert ledger.delete("t", "k")
        assert not ledger.delete("t", "k")
        assert ledger.get("t", "k") is None

    def test_a_joint_append_is_all_or_none(self, ledger: LedgerStore) -> None:
        """A document that cannot be stored takes its companions with it."""
        ledger.append("a", {"n": 1})
        with pytest.raises(TypeError):
            ledger.append_many("a", [{"n": 2}, {"n": object()}])
        with pytest.raises(TypeError):
            ledger.put_many("t", {"k": {"n": 1}, "l": {"n": object()}})
        assert ledger.append("a", {"n": 3}) == 2
        assert ledger.items("t") == []

    def test_threads_append_without_losing_or_sharing_a_number(self, ledger: LedgerStore) -> None:
        """Four threads, one ledger."""
        numbers: list[int] = []

        def work() -> None:
            numbers.extend(ledger.append("a", {}) for _ in range(25))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 101))


class SharedLedgerContract(LedgerStoreContract):
    """Laws of a ledger store that several processes share and that survives them."""

    opener: str

    def _open(self, path: Path) -> LedgerStore:
        module, _, name = self.opener.partition(":")
        ledger: LedgerStore = getattr(importlib.import_module(module), name)(path)
        return ledger

    @pytest.fixture
    def ledger(self, path: Path) -> LedgerStore:
        """The ledger on a file that does not exist yet."""
        return self._open(path)

    def _start(self, path: Path, count: int, who: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", APPEND, self.opener, str(path), str(count), who]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script

    def test_another_opening_sees_what_was_acknowledged(self, ledger: LedgerStore, path: Path) -> None:
        """Nothing waits in a buffer of the writer."""
        ledger.append("a", {"n": 1})
        ledger.put("t", "k", {"n": 2})
        other = self._open(path)
        assert other.rows("a") == [(1, {"n": 1})]
        assert other.get("t", "k") == {"n": 2}

    def test_processes_append_without_losing_or_sharing_a_number(self, ledger: LedgerStore, path: Path) -> None:
        """Three processes, one ledger, joint appends stay together."""
        each = 300
        workers = [self._start(path, each, who) for who in ("a", "b", "c")]
        said = [worker.communicate(timeout=WORKER_TIMEOUT_S)[0].split() for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, 0]
        rows = ledger.rows("shared")
        assert [number for number, _ in rows] == list(range(1, 6 * each + 1))
        assert len(set().union(*said)) == 3 * each
        assert all(first["who"] == second["who"] for (_, first), (_, second) in zip(rows[::2], rows[1::2], strict=True))

    def test_what_a_killed_process_was_told_is_there(self, ledger: LedgerStore, path: Path) -> None:
        """kill -9 while appending: every acknowledged pair is stored, no pair is halved."""
        worker = self._start(path, 1_000_000, "a")
        assert worker.stdout is not None
        said = [worker.stdout.readline() for _ in range(20)]
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        rows = ledger.rows("shared")
        assert len(rows) >= int(said[-1])
        assert len(rows) % 2 == 0
        assert ledger.append("shared", {}) == len(rows) + 1
