"""Exchanges with the first rows of every sample day, and services whose workers run in the test's own process."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES, environment_of

from ghtrader.app.day_workers import fetch_day
from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import DataError
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.ingest import digest_store, import_files, ingest_of
from ghtrader.ports.broker import Broker
from ghtrader.testing.exchange_process import ExchangeProcess
from ghtrader.testing.fakes import FakeWorkers

SYMBOL = "SHFE.rb2510"
DAYS = ["2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10"]
ROWS = 2500
Serve = Callable[..., ExchangeProcess]
OpenServices = Callable[..., "InlineServices"]


class InlineServices(AppServices):
    """A real process's services, but its workers fetch in this process, one task at a time."""

    workers: FakeWorkers | None = None

    def day_workers(self, count: int) -> FakeWorkers:
        ingest = ingest_of(self)
        workers = InlineWorkers(count, lambda task: fetch_day(self, ingest, task))
        workers.services = self
        return workers


class InlineWorkers(FakeWorkers):
    services: InlineServices

    def close(self) -> None:
        super().close()
        self.services.close_provider()


@contextlib.contextmanager
def client_warnings_apart() -> Iterator[None]:
    """What the client itself uses that will go away is its makers' business."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"tqsdk(\.|$)")
        yield


@pytest.fixture(autouse=True)
def own_warnings_only() -> Iterator[None]:
    with client_warnings_apart():
        yield


@pytest.fixture(autouse=True, scope="session")
def noon() -> Iterator[None]:
    """Between 19:00 and 19:30 in China the client calls every lost link maintenance, and gives up a first one at once: not here."""
    with pytest.MonkeyPatch.context() as patch:
        with client_warnings_apart():
            patch.setattr("tqsdk.connect._cst_now", lambda: dt.datetime(2025, 6, 6, 12))  # noqa: DTZ001 - the client's own
        yield


@pytest.fixture(autouse=True)
def days_cut_short_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchanges here serve the first minutes of days: the build gate would rightly refuse them."""
    monkeypatch.setenv("GHTRADER_DATA_MAIN_L5_ENFORCE_HEALTH", "false")


@pytest.fixture(autouse=True, scope="module")
def sessions_are_swept_up() -> Iterator[None]:
    """What closed sessions of the client leave is collected here, not in the middle of another module's test."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def few_ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(SAMPLES.glob("*.parquet")):
        pl.read_parquet(path).head(ROWS).write_parquet(folder / path.name)
    return folder


@pytest.fixture(scope="session")
def imported(few_ticks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of every day when the same files are imported."""
    environment = environment_of(tmp_path_factory.mktemp("imported"))
    services = AppServices(resolve_paths(environment), environment)
    import_files(services, sorted(few_ticks.glob("*.parquet")))
    return {day.trading_day: day.digest for day in digest_store(services, kind="raw").days}


@pytest.fixture
def serve(tmp_path: Path, few_ticks: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts an exchange and makes it the one that clients of this process find."""
    started: list[ExchangeProcess] = []

    def start(*faults: Mapping[str, object], options: tuple[str, ...] = (), speed: float = 0) -> ExchangeProcess:
        what = options or ("--ticks", str(few_ticks))
        folder = tmp_path / f"exchange{len(started)}"
        exchange = ExchangeProcess(folder, [*what, "--speed", str(speed)], faults=faults).start()
        started.append(exchange)
        for name, value in exchange.environment.items():
            monkeypatch.setenv(name, value)
        return exchange

    yield start
    for exchange in started:
        exchange.stop()


@pytest.fixture
def open_services(tmp_path: Path) -> Iterator[OpenServices]:
    opened: list[InlineServices] = []

    def make(folder: str = "own", **settings: object) -> InlineServices:
        environment = environment_of(tmp_path / folder)
        overrides = {f"data.download.{name}": str(value) for name, value in settings.items()}
        opened.append(InlineServices(resolve_paths(environment), environment, overrides))
        return opened[-1]

    yield make
    for services in opened:
        services.close_provider()


def digests(services: AppServices) -> dict[str, str]:
    try:
        return {day.trading_day: day.digest for day in digest_store(services, kind="raw").days}
    except DataError:  # nothing is stored
        return {}


def open_broker(folder: Path, kind: str, **options: object) -> Broker:
    """A session of the exchange that the environment names."""
    from ghtrader.tq.accounts import TradingAccount
    from ghtrader.tq.broker import TqBroker
    from ghtrader.tq.session import credentials_from

    account = {
        "sim": TradingAccount("sim", "sim"),
        "kq": TradingAccount("kq", "kq"),
        "broker": TradingAccount("demo", "broker", "simnow", "demo", "secret"),
    }[kind]
    credentials = credentials_from(os.environ, folder)
    assert credentials is not None
    return TqBroker(account, credentials, folder / "tq", InstrumentTable.vendored(), SystemClock(), **options)


def open_feed(folder: Path, **options):
    from ghtrader.tq.live import TqLiveFeed
    from ghtrader.tq.session import credentials_from

    credentials = credentials_from(os.environ, folder)
    assert credentials is not None
    chosen = {"in_session": lambda: True, "silence_s": 2.0, **options}
    return TqLiveFeed(credentials, folder / "tq", (SYMBOL,), SystemClock(), **chosen)


@pytest.fixture(scope="session")
def served():
    """Stamp and values of the tick with an id: the exchange numbers all its ticks from 0."""
    rows = pl.concat([pl.read_parquet(path) for path in sorted(SAMPLES.glob("*.parquet"))], how="diagonal").sort("datetime")
    stamps = rows["datetime"].to_list()
    columns = [
        rows[name].cast(pl.Float64).to_numpy() if name in rows.columns else np.full(len(rows), np.nan) for name in MARKET_COLUMNS
    ]
    values = np.column_stack(columns)
    return lambda identity: (stamps[identity], tuple(values[identity]))
