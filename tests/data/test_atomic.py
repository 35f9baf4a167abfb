"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import TEMPORARY_SUFFIX, remove_leftovers, write_atomically
from ghtrader.testing.faults import PowerCut, full_disk_at, interrupt_at, power_cut_at


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_written_from_bytes_and_from_a_function(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", lambda path: path.write_text("two") and None)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert _names(tmp_path) == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_power_cut_leaves_the_old_content_or_the_new(tmp_path: Path, step: int) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"old")
    with power_cut_at(step), pytest.raises(PowerCut):
        write_atomically(path, b"new")
    assert path.read_bytes() == (b"new" if step == 3 else b"old")
    assert remove_leftovers(tmp_path) == (0 if step == 3 else 1)
    assert _names(tmp_path) == ["a"]


def test_a_full_disk_is_a_store_error_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"old")
    for step in (1, 2):
        with full_disk_at(step), pytest.raises(StoreError, match="No space left"):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert _names(tmp_path) == ["a"]


def test_ctrl_c_passes_through_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    with interrupt_at(1), pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert _names(tmp_path) == []


def test_an_error_of_the_writing_function_passes_through(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_text("half")
        raise KeyError(path)

    with pytest.raises(KeyError):
        write_atomically(tmp_path / "a", write)
    assert _names(tmp_path) == []


def test_a_folder_that_does_not_exist_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        write_atomically(tmp_path / "nowhere" / "a", b"x")


def test_only_temporary_files_are_leftovers(tmp_path: Path) -> None:
    for name in ("keep", f".x.1{TEMPORARY_SUFFIX}"):
        (tmp_path / name).write_bytes(b"")
    assert remove_leftovers(tmp_path) == 1
    assert _names(tmp_path) == ["keep"]
