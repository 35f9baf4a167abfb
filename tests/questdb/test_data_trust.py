"""Contract check, rehash, run manifests, lineage and calendar on a real server: the same code path as on files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import environment_of
from tests.data.rehash_worker import TEST_VERSION, turned_hashes

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.errors import HashVersionError
from ghtrader.data.row_hash import VERSIONS
from ghtrader.pipelines.contract_check import contract_check
from ghtrader.pipelines.data_calendar import data_calendar
from ghtrader.pipelines.ingest import digest_store, import_files, verify_store
from ghtrader.pipelines.lineage import lineage
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.rehash import rehash_store
from ghtrader.pipelines.run_report import load_run
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.builders import SYMBOL, source_frame
from ghtrader.testing.questdb_stores import drop_tables

DAYS = ("2025-06-05", "2025-06-06")
ALIAS = "KQ.m@SHFE.rb"


@pytest.fixture
def services(tmp_path: Path, server_environment: dict[str, str]) -> Iterator[AppServices]:
    prefix = {"GHTRADER_QUESTDB_TABLE_PREFIX": f"d{os.urandom(4).hex()}_", "GHTRADER_STORE": "questdb"}
    environment = {**environment_of(tmp_path), **server_environment, **prefix}
    made = AppServices(resolve_paths(environment), environment, {"data.contract.min_rows": "100"})
    for day in DAYS:
        source_frame(240, trading_day=day).write_parquet(tmp_path / f"{SYMBOL}.{day}.parquet")
    import_files(made, sorted(tmp_path.glob("*.parquet")))
    make_schedule(made, "rb")
    build_main_l5(made, "rb", enforce_health=False)
    yield made
    store = made.server_store()
    assert isinstance(store, QuestdbStore)
    drop_tables(store)
    store.close()


def test_stored_days_are_checked_traced_and_drawn(services: AppServices) -> None:
    for symbol in (SYMBOL, ALIAS):
        report = contract_check(services, symbol=symbol)
        assert (report.ok, report.checked) == (True, 2), report.breaches
    traced = lineage(services, ALIAS, DAYS[1], row=17)
    assert (traced.complete, traced.problems) == (True, [])
    assert [item.state for item in load_run(services, "import")[1].outputs] == ["written"] * 2
    drawn = data_calendar(services, variety="rb")
    assert {(series.symbol, len(series.days), series.rows) for series in drawn.series} == {(SYMBOL, 2, 480), (ALIAS, 2, 480)}


def test_days_move_to_another_row_hash_and_back(services: AppServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, TEST_VERSION, turned_hashes)
    before = digest_store(services, kind=None)
    rehash_store(services, symbol=SYMBOL, to_version=TEST_VERSION)
    with pytest.raises(HashVersionError):
        digest_store(services, kind=None)
    assert rehash_store(services, to_version=TEST_VERSION).moved == 2
    assert verify_store(services).ok
    assert build_main_l5(services, "rb", enforce_health=False).noop
    assert rehash_store(services, to_version=1).moved == 4
    assert digest_store(services, kind=None) == before
    assert verify_store(services).ok
