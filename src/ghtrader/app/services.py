"""The composition root's services: adapters picked here and nowhere else, each made on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ghtrader import __version__
from ghtrader.core.clock import Clock, SystemClock
from ghtrader.core.errors import ConfigError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from ghtrader.app.account_media import LocalAccountMedia
    from ghtrader.app.stores import LocalStore
    from ghtrader.app.trading import FolderReplay, PaperVenue
    from ghtrader.config_service.service import ConfigService
    from ghtrader.data.day_cache import DayReader
    from ghtrader.data.promotion import Promotions
    from ghtrader.pipelines.exchange import ExchangeRequest
    from ghtrader.pipelines.gateway import GatewayRequest
    from ghtrader.pipelines.services import Paths, ServerStore, Services, Settings, Store
    from ghtrader.ports.build_worker import BuildWorkers, EngineChoice
    from ghtrader.ports.day_worker import DayWorkers
    from ghtrader.ports.ledger_store import LedgerStore
    from ghtrader.ports.predictor import Predictor
    from ghtrader.ports.table_store import TableStore
    from ghtrader.ports.tick_store import TickStore
    from ghtrader.questdb.store import QuestdbStore
    from ghtrader.sim.replay import ReplayDay
    from ghtrader.tq.accounts import TradingAccount
    from ghtrader.tq.broker import TqBroker
    from ghtrader.tq.history import TqHistory
    from ghtrader.tq.live import TqLiveFeed
    from ghtrader.tq.session import Credentials


#: Small matrices gain nothing from BLAS threads, and threads that spin while they wait starve whatever runs beside them.
THREAD_DEFAULTS = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

__all__ = ["AppServices"]

STORE_VARIABLE = "GHTRADER_STORE"
STORES = ("local", "questdb")
#: A Ray cluster to build on (host:port); a server address, so never a configuration key.
RAY_VARIABLE = "GHTRADER_RAY_ADDRESS"
#: The first of the two gates of live trading; never a configuration key.
LIVE_VARIABLE = "GHTRADER_LIVE_ENABLED"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class AppServices:
    """`pipelines.services.Services` of a real process: the store that GHTRADER_STORE names; configuration is always local."""

    def __init__(self, paths: Paths, environment: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> None:
        self.paths = paths
        self.clock: Clock = SystemClock()
        self.tool_version = __version__
        self._environment = environment
        self._overrides = dict(overrides or {})
        self._store_name = ""
        self._history: TqHistory | None = None
        self._promotions: dict[str, Promotions] = {}

    def override(self, values: Mapping[str, str]) -> None:
        """Values of the command line (``--set key=value``); before anything asked for the settings."""
        self._overrides.update(values)

    @cached_property
    def _config(self) -> ConfigService:
        from ghtrader.adapters.local.config_store import LedgerConfigRevisions
        from ghtrader.app.keys import declared_keys
        from ghtrader.config_service.registry import KeyRegistry
        from ghtrader.config_service.service import ConfigService

        keys = declared_keys()
        return ConfigService(
            KeyRegistry(keys),
            LedgerConfigRevisions(self._local.ledger(), frozenset(key.name for key in keys)),
            self.clock,
            environment=self._environment,
            overrides=self._overrides,
        )

    @cached_property
    def _settings(self) -> Settings:
        return self._config.settings()

    @cached_property
    def _local(self) -> LocalStore:
        from ghtrader.app.stores import LocalStore

        return LocalStore(self.paths, self.clock, self.tool_version)

    @cached_property
    def _questdb(self) -> QuestdbStore:
        from ghtrader.app.stores import served_store

        return served_store(self.paths, self.clock, self.tool_version, self._environment, self._settings)

    def config(self) -> ConfigService:
        """The configuration service."""
        return self._config

    def settings(self) -> Settings:
        """The effective configuration, resolved once."""
        return self._settings

    def store(self, name: str | None = None) -> Store:
        """A store by name; without one, the one that GHTRADER_STORE names."""
        chosen = name or self._store_name or self._environment.get(STORE_VARIABLE, "").strip() or "local"
        if chosen not in STORES:
            raise ConfigError(f"no store {chosen!r}: expected {' or '.join(STORES)}", hint=f"export {STORE_VARIABLE}=local")
        return self._local if chosen == "local" else self._questdb

    def server_store(self) -> ServerStore:
        """The QuestDB store."""
        return self._questdb

    def tick_store(self) -> TickStore:
        """Ticks of the process's own store, series whole."""
        from ghtrader.data.promotion import PromotedTicks

        return PromotedTicks(self.store().ticks(), self.promotions())

    def promotions(self, store: Store | None = None) -> Promotions:
        """Promotions of series in a store."""
        from ghtrader.data.promotion import Promotions

        chosen = store or self.store()
        if chosen.name not in self._promotions:
            folder = self.paths.data / "locks" / chosen.name
            self._promotions[chosen.name] = Promotions(chosen.ticks(), chosen.ledger(), folder)
        return self._promotions[chosen.name]

    def day_reader(self) -> DayReader:
        """Days for computing: local files as they are, a server's days behind a cache."""
        from ghtrader.data.day_cache import CachedDays

        store, ticks = self.store(), self.tick_store()
        return ticks if store.name == "local" else CachedDays(ticks, self.paths.artifacts / "day_cache" / store.name)

    def ledger(self) -> LedgerStore:
        """Ledgers and documents of the process's own store."""
        return self.store().ledger()

    def tables(self) -> TableStore:
        """Relational rows of the process's own store."""
        return self.store().tables()

    def workspace(self, name: str) -> Services:
        """The same process on ``data/workspaces/name``; configuration stays that of the process."""
        # scratch work stays on files: it needs no server, and never meets the ticks of one
        copy = AppServices(replace(self.paths, data=self.paths.data / "workspaces" / name), self._environment, self._overrides)
        copy._store_name = "local"
        copy.__dict__["_config"] = self._config
        copy.__dict__["_settings"] = self._settings
        return copy

    @cached_property
    def _credentials(self) -> Credentials | None:
        from ghtrader.tq.session import credentials_from

        return credentials_from(self._environment, self.paths.data)

    def has_provider(self) -> bool:
        """Whether there is a login of the data provider."""
        return self._credentials is not None

    def provider(self) -> TqHistory:
        """The data provider: one client session, opened on first use."""
        if self._history is None:
            from ghtrader.data.instruments import InstrumentTable
            from ghtrader.pipelines.ingest import calendar_of
            from ghtrader.tq.history import TqHistory

            if self._credentials is None:
                hint = "export TQSDK_USER=... TQSDK_PASSWORD=..., or put both into accounts.env in the data folder"
                raise ConfigError("there is no login of the data provider", hint=hint)
            timeout = self.settings().get("data.download.timeout_s")
            assert isinstance(timeout, float)
            folder = self.paths.data / "tqsdk"
            self._history = TqHistory(self._credentials, folder, calendar_of(self), InstrumentTable.vendored(), timeout_s=timeout)
        return self._history

    def close_provider(self) -> None:
        """Hang up."""
        if self._history is not None:
            self._history.close()

    def accounts(self) -> dict[str, TradingAccount]:
        """Trading accounts of the environment."""
        from ghtrader.tq.accounts import declared_accounts

        return declared_accounts(self._environment, self.paths.data)

    def broker(self, name: str, *, for_research: bool = False) -> TqBroker:
        """A session of a trading account."""
        from ghtrader.data.instruments import InstrumentTable
        from ghtrader.tq.broker import TqBroker

        accounts = self.accounts()
        if name not in accounts:
            raise ConfigError(f"no account {name!r}: there are {', '.join(sorted(accounts))}", hint="ghtrader account list")
        if self._credentials is None:
            raise ConfigError("there is no login of the data provider", hint="export TQSDK_USER=... TQSDK_PASSWORD=...")
        folder = self.paths.data / "tqsdk"
        return TqBroker(
            accounts[name], self._credentials, folder, InstrumentTable.vendored(), self.clock, for_research=for_research
        )

    @property
    def live_enabled(self) -> bool:
        """Whether GHTRADER_LIVE_ENABLED is true."""
        return self._environment.get(LIVE_VARIABLE, "").strip().lower() == "true"

    def broker_kind(self, name: str) -> str:
        """``live`` for a broker's account; ``sim`` for the client's and the provider's simulators and for the local exchange."""
        account = self.accounts().get(name)
        if account is None:
            return "paper"
        hosts = [urlsplit(self._environment.get(variable, "")).hostname for variable in ("TQ_AUTH_URL", "TQ_TD_URL")]
        return "sim" if account.kind != "broker" or all(host in LOOPBACK for host in hosts) else "live"

    def live_feed(self, symbols: tuple[str, ...], begin: dict[str, int], in_session: Callable[[], bool]) -> TqLiveFeed:
        """A session of live ticks with the day's price limits."""
        from ghtrader.tq.live import TqLiveFeed

        if self._credentials is None:
            raise ConfigError("there is no login of the data provider", hint="export TQSDK_USER=... TQSDK_PASSWORD=...")
        folder = self.paths.data / "tqsdk"
        return TqLiveFeed(self._credentials, folder, symbols, self.clock, in_session=in_session, begin=begin, limits=True)

    def paper_venue(self, fill_model: str, clock: Clock, balance_cny: float | None) -> PaperVenue:
        """The simulated exchange on live ticks."""
        from ghtrader.app.trading import PaperVenue
        from ghtrader.data.instruments import InstrumentTable
        from ghtrader.pipelines.ingest import calendar_of
        from ghtrader.sim.venue_account import INITIAL_BALANCE_CNY

        latency_ns = int(float(str(self.settings().get("sim.latency_ms"))) * 1e6)
        balance = INITIAL_BALANCE_CNY if balance_cny is None else balance_cny
        return PaperVenue(fill_model, latency_ns, clock, calendar_of(self), InstrumentTable.vendored(), balance)

    def day_workers(self, count: int) -> DayWorkers:
        """Worker processes with services of their own."""
        from ghtrader.app.day_workers import ProcessWorkers

        return ProcessWorkers(count, self._overrides, self._environment)

    def build_workers(self, choice: EngineChoice) -> BuildWorkers:
        """Workers that build days."""
        environment = {**self._environment, **({STORE_VARIABLE: self._store_name} if self._store_name else {})}
        names = {"DATA": self.paths.data, "RUNS": self.paths.runs, "ARTIFACTS": self.paths.artifacts}
        environment |= {f"GHTRADER_{name}_DIR": str(folder) for name, folder in names.items()}
        if choice.engine == "local":
            from ghtrader.app.build_workers import BuildProcesses

            return BuildProcesses(choice.workers or os.cpu_count() or 1, self._overrides, environment)
        from ghtrader.app.ray_cluster import RayWorkers

        address = choice.address or environment.get(RAY_VARIABLE, "").strip()
        return RayWorkers(choice.workers, address, self._overrides, environment)

    def predictor(self, artefact: bytes) -> Predictor:
        """The predictor of a stored artefact."""
        from ghtrader.adapters.predictors import load_predictor

        return load_predictor(artefact)

    def start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Another ``ghtrader`` with this one's folders, settings and environment."""
        import subprocess
        import sys

        names = {"DATA": self.paths.data, "RUNS": self.paths.runs, "ARTIFACTS": self.paths.artifacts}
        folders = {f"GHTRADER_{name}_DIR": str(folder) for name, folder in names.items()}
        overrides = [word for name, value in self._overrides.items() for word in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "ghtrader.app", *overrides, *arguments]
        return subprocess.Popen(command, env={**os.environ, **self._environment, **folders}, stdout=subprocess.PIPE)  # noqa: S603 - our own command

    def replay(self, request: GatewayRequest) -> FolderReplay:
        """A folder of tick files on the simulated exchange."""
        from ghtrader.app.trading import FolderReplay
        from ghtrader.data.instruments import InstrumentTable
        from ghtrader.pipelines.ingest import calendar_of

        assert request.replay is not None
        latency_ns = int(float(str(self.settings().get("sim.latency_ms"))) * 1e6)
        return FolderReplay(
            request.replay,
            request.symbols,
            request.fill_model,
            latency_ns,
            calendar_of(self),
            InstrumentTable.vendored(),
            screening=request.screening,
        )

    def replay_days(self, folder: Path, symbols: Sequence[str]) -> Iterator[list[ReplayDay]]:
        """Days of a folder of tick files."""
        from ghtrader.adapters.replay import ReplayProvider
        from ghtrader.data.instruments import InstrumentTable
        from ghtrader.pipelines.ingest import calendar_of
        from ghtrader.sim.replay import provided_days

        calendar, instruments = calendar_of(self), InstrumentTable.vendored()
        return provided_days(ReplayProvider(folder, calendar, instruments), calendar, instruments, symbols)

    def trading(self) -> LocalAccountMedia:
        """Journals, kill files and locks of the data folder."""
        from ghtrader.app.account_media import LocalAccountMedia

        return LocalAccountMedia(self.paths.data / "trading", self.clock, self._environment)

    def serve_exchange(self, request: ExchangeRequest, accounts: dict[str, str], ready: Callable[[dict[str, str]], None]) -> None:
        """Run the loopback exchange until a signal."""
        from ghtrader.app.exchange import run
        from ghtrader.pipelines.ingest import calendar_of

        run(request, calendar_of(self), accounts, ready)

    def query(self, sql: str) -> list[dict[str, object]]:
        """One read-only SQL query over the ticks stored in files (extra ``sql``)."""
        from ghtrader.adapters.local.query import query_ticks

        self.promotions(self._local).settle_all()
        return query_ticks(self.paths.data / "ticks", sql)


def prepare_process(paths: Paths, environment: Mapping[str, str]) -> None:
    """Settings that must stand before heavy libraries load: where compiled kernels are cached."""
    if "NUMBA_CACHE_DIR" not in environment:
        os.environ["NUMBA_CACHE_DIR"] = str(paths.artifacts / "numba")
    for name, value in THREAD_DEFAULTS.items():
        os.environ.setdefault(name, value)
