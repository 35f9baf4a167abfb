"""A main-contract series changes all at once, on any store; and a process that is killed for real proves it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.conftest import SAMPLES, environment_of

from ghtrader.adapters.local.ledger_store import SqliteLedger
from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.adapters.memory import MemoryLedger, MemoryTickStore
from ghtrader.app.services import AppServices
from ghtrader.core.errors import StoreError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.promotion import PROMOTIONS, PromotedTicks, Promotions
from ghtrader.data.series_lock import SeriesLocks
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.contracts.series_promotion import SeriesPromotionContract
from ghtrader.testing.contracts.tick_store import TickStoreContract

ALIAS = "KQ.m@SHFE.rb"


class TestMemory(SeriesPromotionContract):
    @pytest.fixture
    def ticks(self) -> MemoryTickStore:
        return MemoryTickStore()

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return MemoryLedger()


class TestLocal(SeriesPromotionContract):
    @pytest.fixture
    def ticks(self, tmp_path: Path) -> LocalTickStore:
        return LocalTickStore(tmp_path / "ticks")

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> SqliteLedger:
        return SqliteLedger(tmp_path / "ledger.sqlite")


class TestTheViewIsATickStore(TickStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> PromotedTicks:
        ticks = MemoryTickStore()
        return PromotedTicks(ticks, Promotions(ticks, MemoryLedger(), tmp_path))


def test_raw_days_are_written_side_by_side_but_not_while_their_series_changes(tmp_path: Path) -> None:
    mine, other = SeriesLocks(tmp_path), SeriesLocks(tmp_path)
    order: list[str] = []
    with mine.shared("a"), other.shared("a"), mine.exclusive("b"):
        assert mine.holds("a")
        with pytest.raises(StoreError), mine.exclusive("a"):
            pytest.fail("a reader's lock became a writer's")

    def wait() -> None:
        with other.exclusive("a"):
            order.append("changed")

    with mine.shared("a"), mine.shared("a"):
        worker = threading.Thread(target=wait)
        worker.start()
        order.append("written")
    worker.join()
    assert order == ["written", "changed"]
    assert not mine.holds("a")


KILLED = """
import os, signal, sys
from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.pipelines import series_gate
from ghtrader.pipelines.main_series import build_main_l5, make_schedule

services = AppServices(resolve_paths(os.environ), os.environ)
kind, count = sys.argv[1], int(sys.argv[2])
target, name = (services.store().ticks(), "write_day") if kind == "write" else (series_gate, "validate_day")
honest, calls = getattr(target, name), []

def deadly(*args, **kwargs):
    calls.append(1)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(*args, **kwargs)

setattr(target, name, deadly)
make_schedule(services, "rb", until="2025-06-13")
build_main_l5(services, "rb", full=True)
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> AppServices:
    from ghtrader.app.paths import resolve_paths

    environment = environment_of(tmp_path_factory.mktemp("series"))
    services = AppServices(resolve_paths(environment), environment)
    import_files(services, sorted(SAMPLES.glob("*.parquet"))[:2])
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    return services


def served(services: AppServices) -> list[tuple[str, str, str]]:
    """Day, digest and schedule of every day of the series, to a process that starts now."""
    store = AppServices(services.paths, services._environment).tick_store()
    found = []
    for day in store.days("main_l5", ALIAS):
        key = DayKey("main_l5", ALIAS, day)
        manifest, rows = store.manifest(key), store.read_day(key, ["schedule_hash"])
        assert manifest is not None
        assert rows["schedule_hash"].unique().to_list() == [manifest.lineage["schedule_hash"]]
        found.append((day.iso, manifest.digest, manifest.lineage["schedule_hash"]))
    return found


def test_kill_minus_nine_while_judging_or_promoting_leaves_one_whole_series(series: AppServices) -> None:
    old = served(series)
    assert len(old) == 2
    for kind, count in (("judge", 1), ("write", 2)):
        if kind == "judge":
            for key, _ in series.ledger().items("main_l5_gate"):
                series.ledger().delete("main_l5_gate", key)  # so that there is something to judge
        done = subprocess.run(
            [sys.executable, "-c", KILLED, kind, str(count)],
            env={**environment_of(series.paths.data.parent), "GHTRADER_DATA_DIR": str(series.paths.data)},
            check=False,
            capture_output=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        pending = series.ledger().get(PROMOTIONS, ALIAS)
        found = served(series)
        assert [(day, digest) for day, digest, _ in found] == [(day, digest) for day, digest, _ in old]
        assert len({schedule for *_, schedule in found}) == 1
        if kind == "judge":
            assert pending is None
            assert found == old
        else:
            assert pending is not None
            assert {schedule for *_, schedule in found} != {schedule for *_, schedule in old}
    assert build_main_l5(series, "rb").noop
    key = DayKey("main_l5", ALIAS, TradingDay.parse("2025-06-05"))
    assert series.tick_store().manifest(key) is not None
