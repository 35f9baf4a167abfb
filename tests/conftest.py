"""Fixtures shared by all rooms: sample days, stores in a temporary folder, the command line as a subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

#: compiled kernels, once for all processes of a test run and not once per temporary folder
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".numba_cache"))

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import SystemClock
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.data.readers import read_ticks
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.ports.tick_store import DayKey

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
#: Files that share a server: one worker has them all.
TOGETHER = {
    f"tests/questdb/test_{name}.py": "tests/questdb"
    for name in ("parity", "contracts", "data_trust", "migrations", "queries", "repair")
}
#: The long files begin first, so that none of them is what all workers wait for in the end.
LONG_FIRST = (
    "datasets/test_build_store.py",
    "questdb/test_parity.py",
    "questdb/test_faults.py",
    "cli/test_cli.py",
    "e2e/test_demo.py",
    "tq/test_download.py",
    "trading/live/test_kill_rounds.py",
    "trading/simulation/test_simulation.py",
    "tq/test_download_processes.py",
    "e2e/test_truth.py",
    "questdb/test_server.py",
    "tq/test_live.py",
    "datasets/test_factor_laws.py",
    "e2e/test_tutorial.py",
    "tq/test_history_windows.py",
    "tq/test_daily_update.py",
    "datasets/test_auditor.py",
    "datasets/test_feature_report.py",
    "trading/processes/test_processes.py",
    "exchange/test_client.py",
    "adapters/test_sim_broker.py",
    "research/test_truth.py",
    "research/test_job.py",
    "tq/test_accounts.py",
)


#: How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {str(ROOT / "tests" / name): place for place, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        """A file, or what shares a server, is one worker's."""

        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Files(config, log)


def environment_of(folder: Path) -> dict[str, str]:
    names = ("DATA", "RUNS", "ARTIFACTS")
    folders = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in names}
    return {**os.environ, **folders}


@pytest.fixture
def services(tmp_path: Path) -> AppServices:
    environment = environment_of(tmp_path)
    return AppServices(resolve_paths(environment), environment)


def processor_wait_s(task: str = "thread-self") -> float:
    """Seconds that this thread, or a process's first one, has waited for a processor that others had: none of its own doing."""
    scheduled = Path("/proc", task, "schedstat")
    return int(scheduled.read_text().split()[1]) / 1e9 if scheduled.exists() else 0.0


class Cli:
    """The real command in a process of its own; ``json`` is its last line."""

    def __init__(self, folder: Path) -> None:
        self.environment = environment_of(folder)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ghtrader.app", *arguments]
        return subprocess.run(command, env={**self.environment, **environment}, capture_output=True, text=True, check=False)

    def json(self, *arguments: str, code: int = 0, **environment: str) -> Any:
        done = self.run(*arguments, "--json", **environment)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@cache
def _sample_day(day: str) -> tuple[DayTicks, DaySessions]:
    calendar, instruments, store = Calendar.vendored(), InstrumentTable.vendored(), MemoryTickStore()
    source = read_ticks(SAMPLES / f"SHFE.rb2510.{day.replace('-', '')}.parquet")
    Ingest(store, calendar, instruments, SystemClock(), "test").import_frame(source.symbol, source.frame, source="x", sha256="")
    trading_day = TradingDay.parse(day)
    ticks = load_day_ticks(store, DayKey("raw", source.symbol, trading_day), instruments)
    return ticks, sessions_for("SHFE.rb", trading_day, calendar, instruments)


@pytest.fixture(scope="session")
def sample_day() -> Callable[[str], tuple[DayTicks, DaySessions]]:
    return _sample_day
