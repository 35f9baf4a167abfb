"""SQL over the store: only what manifests name, only reading, and a clear word when DuckDB is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ghtrader.adapters.local.query import query_ticks
from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.core.errors import ConfigError, DataError
from ghtrader.testing.builders import day_manifest, tick_frame


def _store(root: Path) -> Path:
    store = LocalTickStore(root)
    for day in ("2025-06-05", "2025-06-06"):
        frame = tick_frame(12, trading_day=day)
        key, manifest = day_manifest(frame)
        store.write_day(key, frame, manifest)
    return root


def _needs_duckdb() -> None:
    pytest.importorskip("duckdb", reason="the extra sql is not installed here; make test installs it")


def test_rows_come_back_with_symbol_and_trading_day(tmp_path: Path) -> None:
    _needs_duckdb()
    rows = query_ticks(_store(tmp_path), "SELECT symbol, trading_day, count(*) AS n FROM raw GROUP BY ALL ORDER BY 2")
    assert rows == [
        {"symbol": "SHFE.rb2510", "trading_day": "2025-06-05", "n": 12},
        {"symbol": "SHFE.rb2510", "trading_day": "2025-06-06", "n": 12},
    ]


def test_files_that_no_manifest_names_are_not_read(tmp_path: Path) -> None:
    _needs_duckdb()
    data = min(_store(tmp_path).rglob("part-*.parquet"))
    (data.parent / "part-left-over.parquet").write_bytes(data.read_bytes())
    assert query_ticks(tmp_path, "SELECT count(*) AS n FROM raw") == [{"n": 24}]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t (a INT)",
        "SELECT * FROM nowhere",
        "SELECT * FROM read_csv('/etc/hostname')",
        "not sql",
    ],
)
def test_anything_but_one_select_over_the_store_is_a_data_error(tmp_path: Path, sql: str) -> None:
    _needs_duckdb()
    with pytest.raises(DataError) as caught:
        query_ticks(_store(tmp_path), sql)
    assert "raw" in caught.value.hint
    assert not (Path.cwd() / "out.csv").exists()


def test_without_duckdb_the_error_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError) as caught:
        query_ticks(tmp_path, "SELECT 1")
    assert caught.value.hint == "pip install 'ghtrader[sql]'"
