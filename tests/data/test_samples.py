"""The sample days that ship with the project are small, complete, licensed and what their README says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from ghtrader.core.ids import file_sha256

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = sorted(SAMPLES.glob("*.parquet"))
LIMIT_BYTES = 5_000_000


def test_the_samples_are_under_five_megabytes() -> None:
    assert len(FILES) == 4
    assert sum(path.stat().st_size for path in FILES) < LIMIT_BYTES


def test_the_readme_names_rows_and_hash_of_every_file() -> None:
    text = (SAMPLES / "README.md").read_text()
    found = {
        name: (int(rows.replace(",", "")), sha) for name, rows, sha in re.findall(r"\| (\S+) \| ([\d,]+) \| `(\w{64})` \|", text)
    }
    assert found == {
        path.name: (pl.scan_parquet(path).select(pl.len()).collect().item(), file_sha256(str(path))) for path in FILES
    }


def test_the_licence_and_source_stand_beside_them_and_in_them() -> None:
    assert (SAMPLES / "LICENSE").read_text().startswith("MIT License")
    for path in FILES:
        metadata = pl.read_parquet_metadata(path)
        assert metadata["symbol"] == "SHFE.rb2510"
        assert "DeepLOB" in metadata["source"]


def test_no_column_of_the_recorder_is_left() -> None:
    assert not [name for path in FILES for name in pl.read_parquet_schema(path) if name.startswith("src_")]
