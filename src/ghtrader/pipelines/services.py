"""What a pipeline or a command receives from the composition root: factories typed by ports, made on first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ghtrader.core.clock import Clock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ghtrader.config_service.service import ConfigService
    from ghtrader.core.config_keys import ConfigValue
    from ghtrader.core.progress import Progress
    from ghtrader.data.day_cache import DayReader
    from ghtrader.data.promotion import Promotions
    from ghtrader.pipelines.exchange import ExchangeRequest
    from ghtrader.pipelines.gateway import GatewayRequest
    from ghtrader.ports.account_day import AccountDay
    from ghtrader.ports.broker import Broker, BrokerFill
    from ghtrader.ports.build_worker import BuildWorkers, EngineChoice
    from ghtrader.ports.bus import StreamClient, StreamServer
    from ghtrader.ports.day_worker import DayWorkers
    from ghtrader.ports.feature_store import FeatureStore
    from ghtrader.ports.journal import JournalStore
    from ghtrader.ports.kill_store import KillStore
    from ghtrader.ports.ledger_store import LedgerStore
    from ghtrader.ports.live_feed import LiveFeed
    from ghtrader.ports.lock import Locks
    from ghtrader.ports.market_data import MarketDataProvider
    from ghtrader.ports.predictor import Predictor
    from ghtrader.ports.schema_admin import SchemaAdmin
    from ghtrader.ports.statement import AccountStatement, StatementStore
    from ghtrader.ports.table_store import TableStore
    from ghtrader.ports.tick_queries import TickQueries
    from ghtrader.ports.tick_store import TickStore
    from ghtrader.sim.replay import ReplayDay
    from ghtrader.sim.venue_account import SettledDay
    from ghtrader.trading.commands.ways import Way
    from ghtrader.trading.gateway.lockstep import LockstepFeed
    from ghtrader.trading.gateway.warm_side import WarmSide
    from ghtrader.trading.orders.positions import PositionLedger
    from ghtrader.trading.state.revision import StateDocument
    from ghtrader.trading.strategy.outlet import StrategyOutlet
    from ghtrader.trading.strategy.report import StrategyDocument
    from ghtrader.trading.views import StateReader


__all__ = ["AccountMedia", "DeclaredAccount", "PaperVenue", "Paths", "ServerStore", "Services", "Settings", "Store"]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything the system writes goes (env-only: GHTRADER_DATA_DIR, _RUNS_DIR, _ARTIFACTS_DIR)."""

    data: Path
    runs: Path
    artifacts: Path


class Settings(Protocol):
    """The effective configuration of this process, resolved once: command line > environment > store > default."""

    @property
    def config_hash(self) -> str:
        """Hash of every effective value; equal configurations have equal hashes."""

    def get(self, name: str) -> ConfigValue:
        """The effective value of a declared key; raises ConfigError naming the nearest match otherwise."""

    def snapshot(self) -> dict[str, ConfigValue]:
        """Every effective value by name, sorted."""


class Store(Protocol):
    """Everything that one medium keeps, each part made on first use: ``local`` (files) or ``questdb`` (a server)."""

    @property
    def name(self) -> str:
        """``local`` or ``questdb``."""

    def schema(self) -> SchemaAdmin:
        """Migrations, their ledger, and drift."""

    def ticks(self) -> TickStore:
        """Day partitions of ticks."""

    def ledger(self) -> LedgerStore:
        """Ledgers and keyed documents."""

    def tables(self) -> TableStore:
        """Rows that are replaced by scope."""

    def features(self) -> FeatureStore:
        """Built features and labels."""

    def queries(self) -> TickQueries:
        """Questions about stored ticks."""


class ServerStore(Store, Protocol):
    """What only a server has: health, daily views, WAL that may stand still, and a benchmark beside a bare client."""

    def health(self) -> Any:
        """State, versions, tables and problems (`msgspec.Struct`)."""

    def refresh_daily(self) -> dict[str, str]:
        """Rebuild the daily views; what each was before."""

    def ensure_daily(self) -> str:
        """After a build: ``current``, ``refreshed`` or ``degraded: why``."""

    def resume_wal(self, table: str) -> None:
        """Let a suspended table go on."""

    def benchmark(self, *, rows: int, progress: Progress) -> Any:
        """Speed beside a bare client in the same run (`msgspec.Struct`)."""


class DeclaredAccount(Protocol):
    """What may be shown of a trading account."""

    @property
    def name(self) -> str:
        """Its name here."""

    @property
    def kind(self) -> str:
        """``sim``, ``kq`` or ``broker``."""

    @property
    def broker(self) -> str:
        """The broker's name."""

    @property
    def shown_number(self) -> str:
        """The account number, masked."""

    @property
    def fills_at_limit_price(self) -> bool:
        """Whether its fills are better than any market's."""


class AccountMedia(Protocol):
    """What trading leaves on this machine, by account."""

    def accounts(self) -> list[str]:
        """Accounts that anything was left of, sorted."""

    def folder(self, account: str) -> Path:
        """The account's folder; it need not exist. Raises UsageError for what is no name of an account, as all below."""

    def journal(self, account: str) -> JournalStore:
        """The account's journal, to read or to claim."""

    def kill(self, account: str) -> KillStore:
        """The account's kill file."""

    def statements(self, account: str) -> StatementStore:
        """The account's statements, one a settled trading day."""

    def locks(self) -> Locks:
        """The locks of the processes that trade."""

    def gateway_stream(self, account: str) -> StreamServer:
        """The gateway's end of the stream."""

    def strategy_stream(self, account: str) -> StreamClient:
        """The strategy's end of the stream from the account's gateway."""

    def warm_side(self, account: str) -> WarmSide:
        """The gateway's sinks of state, and its ways of commands beside its stream; closed by the caller."""

    def strategy_outlet(self, account: str) -> StrategyOutlet:
        """The sinks of the strategy's state; closed by the caller."""

    def strategy_reader(self, account: str) -> StateReader[StrategyDocument]:
        """Reads the state that the account's strategy publishes; closed by the caller."""

    def state_reader(self, account: str) -> StateReader[StateDocument]:
        """Reads the state that the account's gateway publishes; closed by the caller."""

    def command_ways(self, account: str) -> list[Way]:
        """Ways to the account's gateway, the fastest first: its socket, a Redis server where there is one, the mailbox."""


class ReplayTime(Clock, Protocol):
    """The clock of a replay."""

    def move_to(self, now_ns: int) -> None:
        """Go on to a moment."""


class Replay(Protocol):
    """Days of ticks with the exchange that fills orders from them.

    symbols: contracts it has; ticks: about how many; first_ns: stamp of the first.
    """

    symbols: tuple[str, ...]
    ticks: int
    first_ns: int

    @property
    def clock(self) -> ReplayTime:
        """Its clock."""

    @property
    def feed(self) -> LockstepFeed:
        """Its ticks."""

    @property
    def broker(self) -> Broker:
        """Its exchange, as one account sees it."""

    def trading_day(self) -> str:
        """The exchange's trading day (ISO)."""

    def settled(self) -> list[SettledDay]:
        """Days that are over."""

    def fresh_ticks(self) -> int:
        """Ticks since the last call."""


class PaperVenue(Protocol):
    """The simulated exchange on a live feed; belongs to one thread."""

    @property
    def broker(self) -> Broker:
        """The exchange as its one account sees it."""

    def warm_up(self) -> None:
        """Have everything ready that an order needs, so that the first one waits for no compiler."""

    def restore(
        self,
        positions: PositionLedger,
        trades: Sequence[BrokerFill],
        balance_cny: float | None,
        marks: Mapping[str, float],
    ) -> None:
        """Go on with the day of an earlier run's ledger, before the first tick: the venue has died with that run.

        trades: of that day. balance_cny: with which it began, a new account's without one. marks: last prices, as far as known.
        """

    def settle_before(self, trading_day: str) -> None:
        """Settle the open day where it lies before this one (ISO); the next opens with its first tick."""

    def statements(self) -> list[AccountStatement]:
        """Of every day that was settled, in order."""

    def account_day(self) -> AccountDay | None:
        """The running day as it stands; None while no day is open."""

    def feed(self, feed: LiveFeed, symbols: Sequence[str]) -> LiveFeed:
        """The feed whose ticks of these contracts the venue goes through before the caller sees them."""


class Services(Protocol):
    """Lazy factories; each is made once per process. Nothing heavy is imported until it is asked for."""

    @property
    def paths(self) -> Paths:
        """Folders of this process."""

    @property
    def clock(self) -> Clock:
        """The clock of this process."""

    @property
    def tool_version(self) -> str:
        """Version of ghtrader that writes manifests and reports."""

    def settings(self) -> Settings:
        """The effective configuration."""

    def config(self) -> ConfigService:
        """The configuration service: history, changes, explanations."""

    def store(self, name: str | None = None) -> Store:
        """A store by name; the process's own (env-only GHTRADER_STORE, default ``local``) without one."""

    def server_store(self) -> ServerStore:
        """The QuestDB store, whatever the process's own is."""

    def tick_store(self) -> TickStore:
        """Ticks of the process's own store; a main-contract series that is being replaced is seen before or after."""

    def promotions(self, store: Store | None = None) -> Promotions:
        """Promotions of main-contract series in a store; the process's own without one."""

    def day_reader(self) -> DayReader:
        """Days for computing: the tick store, behind a cache of Parquet files where reading it means a wire."""

    def ledger(self) -> LedgerStore:
        """Ledgers and documents of the process's own store."""

    def tables(self) -> TableStore:
        """Relational rows of the process's own store."""

    def workspace(self, name: str) -> Services:
        """The same process on a data folder of its own (``paths.data/workspaces/name``): own ticks, ledgers and verdicts.

        A generated market or a folder of foreign files never meets the ticks of the main store. Runs, artefacts,
        configuration and clock are shared; trials are recorded in the ledger of the process, not of the workspace.
        """

    def has_provider(self) -> bool:
        """Whether the environment has a login of the data provider (TQSDK_USER, TQSDK_PASSWORD)."""

    def provider(self) -> MarketDataProvider:
        """The data provider; raises ConfigError without a login."""

    def close_provider(self) -> None:
        """Hang up; the next use opens it again."""

    def accounts(self) -> Mapping[str, DeclaredAccount]:
        """Trading accounts that the environment declares, by name; numbers masked, never a password."""

    def broker(self, name: str, *, for_research: bool = False) -> Broker:
        """A session of a trading account; raises ConfigError for one that is not declared."""

    @property
    def live_enabled(self) -> bool:
        """Whether the environment opens the first of the two gates of live trading (GHTRADER_LIVE_ENABLED)."""

    def broker_kind(self, name: str) -> str:
        """What an account's orders reach: ``live`` a broker, ``sim`` a simulator of others or the local exchange; else ``paper``."""

    def live_feed(self, symbols: tuple[str, ...], begin: dict[str, int], in_session: Callable[[], bool]) -> LiveFeed:
        """A session of live ticks; raises ConfigError without a login. begin: ids to begin at; in_session: whether ticks are due."""

    def paper_venue(self, fill_model: str, clock: Clock, balance_cny: float | None) -> PaperVenue:
        """The simulated exchange on live ticks, for an account with this balance (a new one's without)."""

    def day_workers(self, count: int) -> DayWorkers:
        """Worker processes that fetch and store days."""

    def build_workers(self, choice: EngineChoice) -> BuildWorkers:
        """Workers that build days: processes of this machine, or a Ray cluster. Raises ConfigError without the extra it needs."""

    def start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Start another ``ghtrader`` with the folders and configuration of this one; its standard output is a pipe."""

    def replay(self, request: GatewayRequest) -> Replay:
        """The replay that a gateway was asked for. Raises DataError when it holds nothing."""

    def replay_days(self, folder: Path, symbols: Sequence[str]) -> Iterator[list[ReplayDay]]:
        """Days of a folder of tick files as a replay goes through them, a trading day at a time."""

    def predictor(self, artefact: bytes) -> Predictor:
        """What predicts, of a stored artefact. Raises DataError for bytes that are none."""

    def trading(self) -> AccountMedia:
        """Journals, kill files and locks of the accounts of this data folder."""

    def serve_exchange(self, request: ExchangeRequest, accounts: dict[str, str], ready: Callable[[dict[str, str]], None]) -> None:
        """Run the loopback exchange until a signal; ``ready`` gets the environment of its clients."""

    def query(self, sql: str) -> list[dict[str, object]]:
        """Rows of one read-only SQL query over the stored ticks; needs the extra ``sql``."""
