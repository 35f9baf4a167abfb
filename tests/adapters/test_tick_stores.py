"""Both tick stores keep the contract; what is particular to Parquet files is tested below."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.core.errors import StoreError
from ghtrader.testing.builders import day_manifest, tick_frame
from ghtrader.testing.contracts.tick_store import FileTickStoreContract, TickStoreContract


class TestMemoryTickStore(TickStoreContract):
    @pytest.fixture
    def store(self) -> MemoryTickStore:
        return MemoryTickStore()


class TestLocalTickStore(FileTickStoreContract):
    opener = "ghtrader.adapters.local.tick_store:LocalTickStore"

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "ticks"


def _stored(tmp_path: Path) -> tuple[LocalTickStore, Path]:
    store, frame = LocalTickStore(tmp_path), tick_frame(40)
    key, manifest = day_manifest(frame)
    store.write_day(key, frame, manifest)
    return store, next(tmp_path.rglob("part-*.parquet"))


def test_files_are_laid_out_hive_style_with_the_manifest_beside_them(tmp_path: Path) -> None:
    _, data = _stored(tmp_path)
    folder = tmp_path / "kind=raw" / "symbol=SHFE.rb2510" / "trading_day=2025-06-05"
    assert data.parent == folder
    assert {path.name for path in folder.iterdir()} == {data.name, "manifest.json", ".lock"}
    assert "symbol" not in pl.read_parquet_schema(data)


@pytest.mark.parametrize("damage", ["truncated", "emptied", "removed"])
def test_a_damaged_data_file_is_a_store_error_that_names_it(tmp_path: Path, damage: str) -> None:
    store, data = _stored(tmp_path)
    if damage == "removed":
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[: 500 if damage == "truncated" else 0])
    with pytest.raises(StoreError) as caught:
        store.read_day(day_manifest(tick_frame(40))[0])
    assert data.name in caught.value.message
    assert "import" in caught.value.hint


def test_a_damaged_manifest_is_a_store_error_that_names_it(tmp_path: Path) -> None:
    store, data = _stored(tmp_path)
    (data.parent / "manifest.json").write_text('{"file": "x"')
    with pytest.raises(StoreError, match=r"manifest\.json"):
        store.manifest(day_manifest(tick_frame(40))[0])


def test_data_without_a_manifest_is_a_stray_and_no_day(tmp_path: Path) -> None:
    store, data = _stored(tmp_path)
    key = day_manifest(tick_frame(40))[0]
    (data.parent / "manifest.json").unlink()
    assert store.strays("raw") == [key]
    assert store.days("raw", key.symbol) == []


def test_what_killed_writers_left_is_removed_by_the_next_holder(tmp_path: Path) -> None:
    store, data = _stored(tmp_path)
    for name in (".part-x.parquet.abc.writing", "part-0000-1.parquet"):
        (data.parent / name).write_bytes(b"left over")
    with store.exclusive(day_manifest(tick_frame(40))[0]):
        pass
    assert {path.name for path in data.parent.iterdir()} == {data.name, "manifest.json", ".lock"}


def test_a_disk_that_takes_no_more_bytes_is_a_store_error(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from ghtrader.adapters.local.tick_store import LocalTickStore\n"
        "from ghtrader.core.errors import StoreError\n"
        "from ghtrader.testing.builders import day_manifest, tick_frame\n"
        "frame = tick_frame(4000)\n"
        "key, manifest = day_manifest(frame)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    LocalTickStore(Path(sys.argv[1])).write_day(key, frame, manifest)\n"
        "except StoreError as error:\n"
        "    sys.exit(6)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {".lock"}


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "kind=raw").write_text("a file where a folder should be")
    frame = tick_frame(8)
    key, manifest = day_manifest(frame)
    with pytest.raises(StoreError):
        LocalTickStore(tmp_path).write_day(key, frame, manifest)
