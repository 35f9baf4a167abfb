"""`ghtrader data`: what the commands print and with which code they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.testing.builders import SYMBOL, source_frame


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frame = source_frame(40, seed=3).with_columns(pl.lit(1.0).alias("src_extra"))
    heartbeat = frame[0].with_columns(pl.col("datetime") - 3 * 3600 * 10**9, pl.lit(0.0).alias("volume"))
    path = tmp_path / "ticks.parquet"
    pl.concat([heartbeat, frame, frame[7]]).write_parquet(path)
    return path


def _json(services: AppServices, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert run(services, ["data", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_import_ends_with_its_counters(services: AppServices, capsys: pytest.CaptureFixture[str], path: Path) -> None:
    report = _json(services, capsys, "import", str(path), "--symbol", SYMBOL)
    assert {name: report[name] for name in ("rows_in", "rows_written", "deduped", "dropped")} == {
        "rows_in": 42,
        "rows_written": 40,
        "deduped": 1,
        "dropped": {"heartbeat": 1},
    }
    assert report["ignored_columns"] == ["src_extra"]
    again = _json(services, capsys, "import", str(path), "--symbol", SYMBOL)
    assert (again["rows_in"], again["rows_written"], again["deduped"], again["dropped"]) == (42, 0, 41, {"heartbeat": 1})


def test_import_without_json_says_the_same_to_people(
    services: AppServices, capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    assert run(services, ["data", "import", str(path), "--symbol", SYMBOL]) == 0
    shown = capsys.readouterr().out
    assert "heartbeat 1" in shown
    assert "src_extra" in shown


def test_list_digest_and_verify_agree(services: AppServices, capsys: pytest.CaptureFixture[str], path: Path) -> None:
    _json(services, capsys, "import", str(path), "--symbol", SYMBOL)
    listed, digest, verified = (_json(services, capsys, verb) for verb in ("list", "digest", "verify"))
    assert listed["days"][0]["digest"] == digest["days"][0]["digest"]
    assert (listed["rows"], digest["rows"], verified["rows"], verified["ok"]) == (40, 40, 40, True)
    for verb in ("list", "digest", "verify"):
        assert run(services, ["data", verb]) == 0


def test_an_empty_store_has_no_digest_and_nothing_to_verify(services: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(services, capsys, "digest", code=4)["error"] == "DataError"
    assert _json(services, capsys, "verify")["partitions"] == 0
    assert _json(services, capsys, "list") == {"days": [], "rows": 0}


def test_a_kind_that_does_not_exist_is_a_usage_error(services: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(services, capsys, "digest", "--kind", "cooked", code=2)["hint"] == "ghtrader data list"


def test_verify_shows_people_where_a_cell_was_changed(
    services: AppServices, capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    _json(services, capsys, "import", str(path), "--symbol", SYMBOL)
    data = next(services.paths.data.rglob("part-*.parquet"))
    frame = pl.read_parquet(data, hive_partitioning=False)
    frame.with_columns(pl.when(pl.int_range(40) == 9).then(7.0).otherwise("ask_volume1").alias("ask_volume1")).write_parquet(data)
    assert run(services, ["data", "verify"]) == 4
    shown = " ".join(capsys.readouterr().out.split())
    assert "cell_changed row 9" in shown
    assert "ask_volume1" in shown
