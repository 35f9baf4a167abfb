"""Contract of ``ports.tick_store.TickStore``. Inherit a class, give its fixtures, and every law below is tested.

`TickStoreContract` needs a fixture ``store``. `SharedTickStoreContract`, for stores that several processes share, needs
``root`` (a folder) and the class attribute ``opener`` (``module:callable`` that opens the store on it).
`FileTickStoreContract` adds the laws of stores whose medium is that folder itself.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ghtrader.core.errors import DataError, StoreError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.manifests import compare_with_manifest
from ghtrader.ports.tick_store import DayKey, TickStore
from ghtrader.testing.builders import DAY, SYMBOL, day_manifest, source_frame, tick_frame
from ghtrader.testing.faults import PowerCut, full_disk_at, power_cut_at
from ghtrader.testing.store_worker import open_store, version

__all__ = ["FileTickStoreContract", "SharedTickStoreContract", "TickStoreContract"]

MANY_STEPS = 1_000_000
WORKER_TIMEOUT_S = 120


class TickStoreContract:
    """Laws of every tick store, in one process."""

    def test_rows_come_back_as_written(self, store: TickStore) -> None:
        """All columns, types, order and values."""
        frame = tick_frame(40)
        key, manifest = day_manifest(frame)
        store.write_day(key, frame, manifest)
        assert store.read_day(key).select(frame.columns).equals(frame)
        assert store.manifest(key) == manifest
        assert compare_with_manifest(manifest, store.read_day(key)) == []

    def test_columns_are_chosen_in_the_order_asked(self, store: TickStore) -> None:
        """Names of the partition (symbol, trading day) can be asked for like any other column."""
        frame = tick_frame(40)
        key, manifest = day_manifest(frame)
        store.write_day(key, frame, manifest)
        for names in (["volume", "datetime"], ["symbol"], ["trading_day", "last_price", "symbol"]):
            assert store.read_day(key, names).equals(frame.select(names))

    def test_a_write_replaces_the_partition_whole(self, store: TickStore) -> None:
        """Fewer rows than before leave nothing of the old ones."""
        for rows, seed in ((40, 1), (12, 2)):
            frame = tick_frame(rows, seed=seed)
            key, manifest = day_manifest(frame, created_ns=seed)
            store.write_day(key, frame, manifest)
        assert store.read_day(key).select(frame.columns).equals(frame)
        assert store.manifest(key) == manifest

    def test_writing_the_same_rows_again_changes_nothing(self, store: TickStore) -> None:
        """The same partition, once or three times."""
        frame = tick_frame(20)
        key, manifest = day_manifest(frame)
        for _ in range(3):
            store.write_day(key, frame, manifest)
        assert store.read_day(key).select(frame.columns).equals(frame)
        assert store.days("raw", SYMBOL) == [TradingDay.parse(DAY)]

    def test_an_absent_partition_is_a_data_error_and_has_no_manifest(self, store: TickStore) -> None:
        """Absence is said, with the command that lists what there is."""
        key = DayKey("raw", SYMBOL, TradingDay.parse(DAY))
        assert store.manifest(key) is None
        with pytest.raises(DataError) as caught:
            store.read_day(key)
        assert caught.value.hint

    def test_a_manifest_that_counts_other_rows_is_refused(self, store: TickStore) -> None:
        """Nothing is written then."""
        frame = tick_frame(20)
        key, manifest = day_manifest(frame)
        with pytest.raises(DataError):
            store.write_day(key, frame.head(19), manifest)
        assert store.manifest(key) is None

    def test_days_and_symbols_are_sorted_and_kept_apart_by_kind(self, store: TickStore) -> None:
        """One symbol's days are not another's."""
        for symbol, day, kind in (
            ("SHFE.rb2510", "2025-06-06", "raw"),
            ("SHFE.rb2510", "2025-06-05", "raw"),
            ("SHFE.cu2507", "2025-06-05", "raw"),
            ("KQ.m@SHFE.rb", "2025-06-05", "main_l5"),
        ):
            frame = tick_frame(8, symbol=symbol, trading_day=day)
            key, manifest = day_manifest(frame, kind=kind)
            store.write_day(key, frame, manifest)
        assert store.symbols("raw") == ["SHFE.cu2507", "SHFE.rb2510"]
        assert store.symbols("main_l5") == ["KQ.m@SHFE.rb"]
        assert [day.iso for day in store.days("raw", "SHFE.rb2510")] == ["2025-06-05", "2025-06-06"]
        assert store.days("raw", "SHFE.au2508") == []
        assert store.strays("raw") == []

    def test_a_deleted_partition_is_gone_and_can_be_written_again(self, store: TickStore) -> None:
        """Deleting says whether there was one."""
        frame = tick_frame(8)
        key, manifest = day_manifest(frame)
        store.write_day(key, frame, manifest)
        assert store.delete_day(key)
        assert not store.delete_day(key)
        assert store.manifest(key) is None
        assert store.symbols("raw") == []
        store.write_day(key, frame, manifest)
        assert store.read_day(key).height == 8

    def test_a_write_that_moves_stamps_leaves_no_old_row(self, store: TickStore) -> None:
        """Stamps of the old rows that the new ones lack are gone, in every way of asking."""
        old = tick_frame(20)
        key, manifest = day_manifest(old, created_ns=1)
        store.write_day(key, old, manifest)
        moved = tick_frame(20, source=source_frame(20).with_columns(pl.col("datetime") + 1_000_000))
        store.write_day(key, moved, day_manifest(moved, created_ns=2)[1])
        assert store.read_day(key).select(moved.columns).equals(moved)
        assert store.read_day(key, ["datetime"])["datetime"].to_list() == moved["datetime"].to_list()

    def test_days_of_neighbours_do_not_touch(self, store: TickStore) -> None:
        """Replacing and deleting one day or symbol leaves the days and symbols beside it as they are."""
        keys = []
        for symbol, day in ((SYMBOL, "2025-06-05"), (SYMBOL, "2025-06-06"), ("SHFE.cu2507", "2025-06-05")):
            frame = tick_frame(12, symbol=symbol, trading_day=day)
            key, manifest = day_manifest(frame)
            store.write_day(key, frame, manifest)
            keys.append((key, frame))
        store.delete_day(keys[0][0])
        for key, frame in keys[1:]:
            assert store.read_day(key).select(frame.columns).equals(frame)

    def test_exclusive_is_reentrant_and_free_after_an_error(self, store: TickStore) -> None:
        """A holder may write; whoever fails inside leaves no lock behind."""
        frame = tick_frame(8)
        key, manifest = day_manifest(frame)
        with pytest.raises(KeyError), store.exclusive(key), store.exclusive(key):
            raise KeyError
        with store.exclusive(key):
            store.write_day(key, frame, manifest)
        assert store.read_day(key).height == 8

    def test_provenance_columns_of_the_main_series_come_back(self, store: TickStore) -> None:
        """Columns beyond the raw ones are stored as they are."""
        frame = tick_frame(8, symbol="KQ.m@SHFE.rb").with_columns(
            pl.lit("SHFE.rb2510").alias("underlying_symbol"), pl.lit(3, dtype=pl.Int64).alias("segment_id")
        )
        key, manifest = day_manifest(frame, kind="main_l5")
        store.write_day(key, frame, manifest)
        assert store.read_day(key).select(frame.columns).equals(frame)


class SharedTickStoreContract(TickStoreContract):
    """Laws of a tick store that several processes share and that survives them."""

    opener: str

    def assert_nothing_left_over(self, root: Path) -> None:
        """After a whole write nothing of a killed one is left; for stores that can tell."""

    @pytest.fixture
    def store(self, root: Path) -> TickStore:
        """The store on the empty folder."""
        return open_store(self.opener, root)

    def _start(self, what: str, root: Path, *numbers: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ghtrader.testing.store_worker", what, self.opener, str(root), *map(str, numbers)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module

    def test_readers_never_see_a_torn_partition_while_one_writes(self, store: TickStore, root: Path) -> None:
        """Several reading processes, one that replaces the partition all the time: each read is one whole version."""
        store.write_day(*version(0))
        writer = self._start("write", root, MANY_STEPS)
        assert writer.stdout is not None
        assert writer.stdout.readline()
        readers = [self._start("read", root, 120) for _ in range(2)]
        said = [reader.communicate(timeout=WORKER_TIMEOUT_S)[0] for reader in readers]
        alive = writer.poll() is None
        writer.kill()
        writer.communicate()
        assert [reader.returncode for reader in readers] == [0, 0], said
        assert alive
        assert all("2 versions" in line for line in said), said

    def test_a_killed_writer_leaves_the_old_rows_or_the_new_ones(self, store: TickStore, root: Path) -> None:
        """kill -9 in the middle of writes."""
        writer = self._start("write", root, MANY_STEPS)
        assert writer.stdout is not None
        for _ in range(5):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        (key, first, manifest), (_, second, _) = version(0), version(1)
        found = store.read_day(key)
        assert any(found.select(frame.columns).equals(frame) for frame in (first, second))
        store.write_day(key, first, manifest)
        assert store.read_day(key).select(first.columns).equals(first)
        self.assert_nothing_left_over(root)

    def test_two_processes_that_merge_lose_no_row(self, store: TickStore, root: Path) -> None:
        """Read-merge-write under ``exclusive``, from two processes at once."""
        each = 10
        workers = [self._start("merge", root, each, seed) for seed in (0, 1)]
        for worker in workers:
            worker.communicate(timeout=WORKER_TIMEOUT_S)
        assert [worker.returncode for worker in workers] == [0, 0]
        key = DayKey("raw", SYMBOL, TradingDay.parse(DAY))
        assert sorted(store.read_day(key)["last_price"].to_list()) == [1000.0 + number for number in range(2 * each)]


class FileTickStoreContract(SharedTickStoreContract):
    """Laws of a tick store whose medium is the folder ``root``: power cuts, full disks, nothing left over."""

    def _files(self, root: Path) -> set[str]:
        """Every file but locks."""
        return {path.name for path in root.rglob("*") if path.is_file() and path.name != ".lock"}

    def assert_nothing_left_over(self, root: Path) -> None:
        """One data file and its manifest."""
        assert len(self._files(root)) == 2

    def test_a_power_cut_at_any_step_leaves_the_old_rows_or_the_new_ones(self, store: TickStore, root: Path) -> None:
        """Every disk operation of a write in turn is the last one that was begun."""
        old, new = version(0), version(1)
        store.write_day(*old)
        with power_cut_at(MANY_STEPS) as steps:
            store.write_day(*new)
        assert steps() > 4
        for step in range(1, steps() + 1):
            store.write_day(*old)
            with power_cut_at(step), pytest.raises(PowerCut):
                store.write_day(*new)
            survivor = open_store(self.opener, root)
            manifest = survivor.manifest(old[0])
            assert manifest in (old[2], new[2])
            assert manifest is not None
            assert compare_with_manifest(manifest, survivor.read_day(old[0])) == []
            survivor.write_day(*new)
            assert survivor.manifest(old[0]) == new[2]
            assert len(self._files(root)) == 2

    def test_a_full_disk_is_a_store_error_and_leaves_the_old_rows(self, store: TickStore, root: Path) -> None:
        """Whichever operation runs out of space, nothing is half-written and no temporary file stays."""
        old, new = version(0), version(1)
        store.write_day(*old)
        before = self._files(root)
        for step in (1, 2, 3):
            with full_disk_at(step), pytest.raises(StoreError) as caught:
                store.write_day(*new)
            assert caught.value.hint
            assert store.manifest(old[0]) == old[2]
            assert compare_with_manifest(old[2], store.read_day(old[0])) == []
        store.write_day(*old)
        assert self._files(root) == before
