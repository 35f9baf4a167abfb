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


def environment_of(folder: Path) -> dict[str, str]:
    names = ("DATA", "RUNS", "ARTIFACTS")
    folders = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in names}
    # kernels are compiled once for all processes that tests start, not once per temporary folder
    return {"NUMBA_CACHE_DIR": str(ROOT / ".numba_cache"), **os.environ, **folders}


@pytest.fixture
def services(tmp_path: Path) -> AppServices:
    environment = environment_of(tmp_path)
    return AppServices(resolve_paths(environment), environment)


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
