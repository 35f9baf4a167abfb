"""Row hash versions side by side: a dataset never mixes them, and `ghtrader data rehash` moves one, whenever it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.conftest import environment_of
from tests.data.rehash_worker import TEST_VERSION, turned_hashes

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.errors import HashVersionError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.rehash import rehashed_day
from ghtrader.data.row_hash import VERSIONS, row_hashes
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.ingest import digest_store, import_files, verify_store
from ghtrader.pipelines.known_gaps import verdict_of_day
from ghtrader.pipelines.lineage import lineage
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.rehash import rehash_store
from ghtrader.pipelines.run_report import load_run
from ghtrader.pipelines.validate import validate_main_l5
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.builders import SYMBOL, source_frame
from ghtrader.testing.faults import PowerCut, power_cut_at

DAYS = ("2025-06-05", "2025-06-06", "2025-06-09")
ALIAS = "KQ.m@SHFE.rb"


@pytest.fixture(autouse=True)
def _second_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, TEST_VERSION, turned_hashes)


@pytest.fixture
def stored(services: AppServices, tmp_path: Path) -> AppServices:
    for day in DAYS:
        source_frame(120, trading_day=day, seed=len(day)).write_parquet(tmp_path / f"{SYMBOL}.{day}.parquet")
    import_files(services, sorted(tmp_path.glob("*.parquet")))
    make_schedule(services, "rb")
    build_main_l5(services, "rb", enforce_health=False)
    return services


def versions(services: AppServices) -> dict[str, int]:
    store = services.tick_store()
    keys = [
        DayKey(kind, name, day) for kind in ("raw", "main_l5") for name in store.symbols(kind) for day in store.days(kind, name)
    ]
    return {f"{key.kind} {key.trading_day}": store.manifest(key).row_hash_version for key in keys}  # type: ignore[union-attr]


def cells(services: AppServices) -> list[pl.DataFrame]:
    store = services.tick_store()
    return [store.read_day(DayKey("raw", SYMBOL, TradingDay.parse(day))).drop("row_hash") for day in DAYS]


def test_a_dataset_is_moved_and_moved_back_without_losing_a_cell(stored: AppServices) -> None:
    before, rows = digest_store(stored, kind=None), cells(stored)
    report = rehash_store(stored, to_version=TEST_VERSION)
    assert (report.moved, report.current, report.refused, report.ok) == (6, 0, 0, True)
    assert set(versions(stored).values()) == {TEST_VERSION}
    assert verify_store(stored).ok
    moved = digest_store(stored, kind=None)
    assert moved.row_hash_version == TEST_VERSION
    assert not {day.digest for day in moved.days} & {day.digest for day in before.days}
    assert all(left.equals(right) for left, right in zip(cells(stored), rows, strict=True))
    assert rehash_store(stored, to_version=TEST_VERSION).current == 6
    rehash_store(stored, to_version=1)
    assert digest_store(stored, kind=None) == before
    assert verify_store(stored).ok


def test_the_manifest_keeps_counters_sources_and_what_the_day_was(stored: AppServices) -> None:
    key = DayKey("raw", SYMBOL, TradingDay.parse(DAYS[0]))
    old = stored.tick_store().manifest(key)
    rehash_store(stored, to_version=TEST_VERSION)
    new = stored.tick_store().manifest(key)
    assert old is not None
    assert new is not None
    assert (new.rows_in, new.deduped, new.sources, new.dropped) == (old.rows_in, old.deduped, old.sources, old.dropped)
    assert new.lineage == {"rehashed_from_version": "1", "rehashed_from_digest": old.digest}


def test_a_move_leaves_a_manifest_and_lineage_reads_through_it(stored: AppServices) -> None:
    report = rehash_store(stored, to_version=TEST_VERSION)
    record = load_run(stored, report.run)[1]
    assert [item.identity for item in record.inputs] == [day.digest_before for day in report.days]
    assert [item.identity for item in record.outputs] == [day.digest for day in report.days]
    assert rehash_store(stored, to_version=TEST_VERSION).run == ""
    traced = lineage(stored, SYMBOL, DAYS[0])
    assert [node.name.split("-")[0] for node in traced.tree.children if node.what == "run"] == ["rehash", "import"]


def test_the_series_stays_current_when_the_raw_days_move_with_it(stored: AppServices) -> None:
    rehash_store(stored, to_version=TEST_VERSION)
    assert build_main_l5(stored, "rb", enforce_health=False).noop
    rehash_store(stored, symbol=SYMBOL, to_version=1)
    assert {name.split()[0]: version for name, version in versions(stored).items()} == {"raw": 1, "main_l5": TEST_VERSION}
    assert build_main_l5(stored, "rb", enforce_health=False).written == 3
    assert set(versions(stored).values()) == {1}


def test_verdicts_hold_for_the_same_rows_under_another_hash(stored: AppServices) -> None:
    validate_main_l5(stored, "rb")
    store, key = stored.tick_store(), DayKey("main_l5", ALIAS, TradingDay.parse(DAYS[0]))
    judged = [verdict_of_day(stored.ledger(), store.manifest(key))]  # type: ignore[arg-type]
    rehash_store(stored, to_version=TEST_VERSION)
    assert judged == [verdict_of_day(stored.ledger(), store.manifest(key))]  # type: ignore[arg-type]
    assert judged[0] is not None


def test_every_reader_of_a_dataset_refuses_mixed_versions_and_names_days_and_command(stored: AppServices) -> None:
    store = stored.tick_store()
    for kind, symbol in (("raw", SYMBOL), ("main_l5", ALIAS)):
        key = DayKey(kind, symbol, TradingDay.parse(DAYS[1]))
        manifest, frame = store.manifest(key), store.read_day(key)
        assert manifest is not None
        store.write_day(key, *rehashed_day(manifest, frame, TEST_VERSION, raw=None, tool_version="t", now_ns=1))
    readers = (
        lambda: digest_store(stored),
        lambda: build_main_l5(stored, "rb", enforce_health=False),
        lambda: build_datasets(stored, "rb", set_name="minimal16"),
    )
    for read in readers:
        with pytest.raises(HashVersionError, match=DAYS[1]) as caught:
            read()
        assert caught.value.hint == "ghtrader data rehash"
        assert [DAYS[1] in day for day in caught.value.context["days"]] == [True]
    with pytest.raises(HashVersionError) as refused:
        import_files(stored, [_file(stored, DAYS[1])])
    assert "ghtrader data rehash" in refused.value.hint
    rehash_store(stored)
    for read in readers:
        read()


def _file(services: AppServices, day: str) -> Path:
    return services.paths.data.parent / f"{SYMBOL}.{day}.parquet"


def test_a_power_cut_at_any_step_leaves_each_day_old_or_new_and_the_next_run_ends_it(stored: AppServices) -> None:
    rows = cells(stored)
    with power_cut_at(1_000_000) as steps:
        rehash_store(stored, symbol=SYMBOL, to_version=TEST_VERSION)
    rehash_store(stored, symbol=SYMBOL, to_version=1)
    for step in range(1, steps() + 1, 3):
        with power_cut_at(step), pytest.raises(PowerCut):
            rehash_store(stored, symbol=SYMBOL, to_version=TEST_VERSION)
        assert verify_store(stored, symbol=SYMBOL).ok
        assert set(versions(stored).values()) <= {1, TEST_VERSION}
        assert rehash_store(stored, symbol=SYMBOL, to_version=TEST_VERSION).ok
        assert all(left.equals(right) for left, right in zip(cells(stored), rows, strict=True))
        assert {version for name, version in versions(stored).items() if name.startswith("raw")} == {TEST_VERSION}
        rehash_store(stored, symbol=SYMBOL, to_version=1)


def test_killed_in_the_middle_and_run_again_everything_is_at_the_new_version(stored: AppServices, tmp_path: Path) -> None:
    rows = cells(stored)
    command = [sys.executable, str(Path(__file__).with_name("rehash_worker.py")), str(TEST_VERSION)]
    environment = {**os.environ, **environment_of(tmp_path)}
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert "moved" in worker.stdout.readline()
    worker.kill()
    worker.communicate()
    assert verify_store(stored).ok
    assert set(versions(stored).values()) <= {1, TEST_VERSION}
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert len(again.stdout.splitlines()) == 6
    assert set(versions(stored).values()) == {TEST_VERSION}
    assert verify_store(stored).ok
    assert all(left.equals(right) for left, right in zip(cells(stored), rows, strict=True))


def test_a_dry_run_changes_nothing(stored: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stored, ["data", "rehash", "--to", str(TEST_VERSION), "--dry-run", "--json"]) == 0
    report: Any = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [day["outcome"] for day in report["days"]] == ["would_move"] * 6
    assert set(versions(stored).values()) == {1}
    assert run(stored, ["data", "rehash", "--dry-run"]) == 0
    assert "6 current" in capsys.readouterr().out


def test_a_day_whose_rows_were_changed_keeps_its_hash_and_is_named(
    stored: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    (data,) = (stored.paths.data / "ticks" / "kind=raw" / f"symbol={SYMBOL}" / f"trading_day={DAYS[0]}").glob("part-*.parquet")
    frame = pl.read_parquet(data, hive_partitioning=False)
    frame.with_columns(pl.col("last_price") + 1.0).write_parquet(data)
    assert run(stored, ["data", "rehash", "--symbol", SYMBOL, "--to", str(TEST_VERSION)]) == 4
    assert "cell_changed" in " ".join(capsys.readouterr().out.split())
    assert versions(stored)[f"raw {DAYS[0]}"] == 1
    assert versions(stored)[f"raw {DAYS[1]}"] == TEST_VERSION


def test_a_version_that_nobody_knows_is_refused(stored: AppServices) -> None:
    with pytest.raises(UsageError, match="99"):
        rehash_store(stored, to_version=99)
    frame = stored.tick_store().read_day(DayKey("raw", SYMBOL, TradingDay.parse(DAYS[0])))
    with pytest.raises(HashVersionError, match="v99"):
        row_hashes(frame["datetime"].to_numpy(), [], 99)
