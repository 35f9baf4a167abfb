"""Everything that the gateway of one account knows. One thread owns it; `fold` changes the durable part, flows the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ghtrader.core.messages import AccountView, ExecutionStyle
from ghtrader.ports.broker import AccountFunds
from ghtrader.trading.commands.dedupe import DedupeWindow
from ghtrader.trading.execution import ExecutorTable
from ghtrader.trading.gateway.contract_days import ContractDay
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.modes import Desired, Gates, effective_mode
from ghtrader.trading.kill.machine import KillState, initial_kill
from ghtrader.trading.kill.record import KillPolicy, KillRecord
from ghtrader.trading.orders.book import OrderBook
from ghtrader.trading.orders.ids import OrderIds
from ghtrader.trading.orders.positions import PositionLedger
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState
from ghtrader.trading.risk.meters import ExchangeMeters
from ghtrader.trading.words import MarketView, Mode, Origin

__all__ = ["GatewaySettings", "GatewayState", "HeldTarget", "Pending", "StrategyLink"]

SECOND_NS = 1_000_000_000
READY = Life.READY  # a member's name costs more to look up in its class than all else that asks for it
NO_DAY = "1970-01-01"


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """What does not change while a gateway runs.

    target_max_age_ns: a target decided on an older tick is refused; clock_drift_ns: so is one on a tick that lies further ahead of our
    clock. silence_ns: without a word from the strategy for so long no
    new target is taken. requery_ns: pause between questions to the venue while it does not balance; audit_ns: while it does.
    snapshot_records: after so many records everything is written down anew, so that a restart reads no further back.
    """

    account: str
    gates: Gates = field(default_factory=Gates)
    limits: RiskLimits = field(default_factory=RiskLimits)
    meters: ExchangeMeters = field(default_factory=ExchangeMeters.vendored)
    kill_policy: KillPolicy = KillPolicy.FLATTEN
    dedupe_max_ids: int = 10_000
    dedupe_ttl_ns: int = 24 * 3600 * SECOND_NS
    target_max_age_ns: int = 5 * SECOND_NS
    clock_drift_ns: int = SECOND_NS
    silence_ns: int = 5 * SECOND_NS
    requery_ns: int = 2 * SECOND_NS
    audit_ns: int = 60 * SECOND_NS
    publish_ns: int = SECOND_NS
    snapshot_records: int = 50_000


class HeldTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The last target that was taken for a contract. cause: its journal record."""

    contract: str
    lots: int
    execution: ExecutionStyle
    origin: Origin
    cause: int
    tick_seq: int = 0


class StrategyLink(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard of the strategy: its run, the number of its last message, when, and how it says it is."""

    session: str = ""
    seq: int = 0
    heard_ns: int = 0
    state: str = ""
    lost: str = "never heard"


@dataclass
class Pending:
    """What waits: cancels by order (why, cause) that did not leave, and commands answered when the kill file is written.

    not_before: when (ns) a cancel that the broker failed to send, or the exchange does not take now, is asked for again, by order.
    """

    cancels: dict[str, tuple[str, int]] = field(default_factory=dict)
    not_before: dict[str, int] = field(default_factory=dict)
    resets: list[tuple[str, str]] = field(default_factory=list)
    queried_ns: int = 0
    query_open: bool = False

    def forget_cancel(self, client_order_id: str) -> None:
        """Nothing of the order is to be cancelled any more."""
        self.cancels.pop(client_order_id, None)
        self.not_before.pop(client_order_id, None)


@dataclass
class GatewayState:
    """The state. The first block is what the journal holds: `fold.apply_record` alone changes it, live and at recovery.

    founded: the journal says more than that the gateway was started, so there was a kill file once. limits: those in force, the
    configured ones and what commands made tighter. snapshot_seq: the newest ``state`` record.
    """

    settings: GatewaySettings
    seq: int = 0
    founded: bool = False
    epoch: int = 0
    revision: int = 0
    desired: Desired = field(default_factory=Desired)
    ids: OrderIds = field(default_factory=lambda: OrderIds(account="", trading_day=NO_DAY, epoch=0))
    book: OrderBook = field(default_factory=OrderBook)
    positions: PositionLedger = field(default_factory=lambda: PositionLedger(NO_DAY))
    risk: RiskState = field(default_factory=RiskState)
    dedupe: DedupeWindow = field(default_factory=lambda: DedupeWindow(max_ids=10_000, ttl_ns=24 * 3600 * SECOND_NS))
    targets: dict[str, HeldTarget] = field(default_factory=dict)
    trading_day: str = ""
    contracts: dict[str, str] = field(default_factory=dict)
    retired: dict[str, int] = field(default_factory=dict)
    kill_journaled: KillRecord | None = None
    kill_seq: int = 0
    order_seqs: dict[str, int] = field(default_factory=dict)
    limits: RiskLimits = field(init=False)
    snapshot_seq: int = 0

    kill: KillState = field(default_factory=lambda: initial_kill(""))
    enforced: str = ""
    kill_cause: int = 0
    kill_is_written: bool = True
    life: Life = Life.OFFLINE
    red: tuple[str, ...] | None = None
    days: Mapping[str, ContractDay] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    markets: dict[str, MarketView] = field(default_factory=dict)
    executors: ExecutorTable = field(default_factory=ExecutorTable)
    funds: AccountFunds | None = None
    feed_up: bool = False
    feed_message: str = "not connected"
    broker_message: str = "not connected"
    strategy: StrategyLink = field(default_factory=StrategyLink)
    degraded: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    pending: Pending = field(default_factory=Pending)
    views: dict[str, AccountView] = field(default_factory=dict)
    dealt: dict[str, tuple[str, int]] = field(default_factory=dict)
    published_ns: int = 0
    published_revision: int = 0
    clock_ns: int = 0
    marked_ns: int = 0
    retried_ns: int = 0
    flattened_ns: int = 0
    dirty: bool = True
    counters: dict[str, int] = field(default_factory=dict)
    _mode: Mode = field(default=Mode.IDLE, init=False, repr=False, compare=False)
    _halts: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    _halts_of: tuple[object, ...] = field(default=(), init=False, repr=False, compare=False)
    _mode_of: tuple[Desired | None, tuple[str, ...] | None] = field(default=(None, None), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.limits = self.settings.limits

    def want(self, desired: Desired) -> None:
        """Take what operators want; `fold` calls it."""
        self.desired = desired
        self.limits = self.settings.limits.tightened(desired.limits)

    @property
    def mode(self) -> Mode:
        """The effective mode; worked out anew when what is wanted, or the preflight, is another object."""
        desired, red = self._mode_of
        if desired is not self.desired or red is not self.red:
            self._mode, _ = effective_mode(self.desired, self.settings.gates, self.red)
            self._mode_of = self.desired, self.red
        return self._mode

    @property
    def killed(self) -> bool:
        """Whether the risk kill is on, or not known to be off."""
        return self.kill.killed

    def count(self, name: str) -> None:
        """Count something that operators may ask for."""
        counters = self.counters
        counters[name] = counters.get(name, 0) + 1

    def halts(self) -> tuple[str, ...]:
        """Why no position may be opened now, as reason codes; empty when it may."""
        rests_on = (self.kill, self.desired, self.red, self.life, self.feed_up, self.trading_day, self.missing)
        if rests_on != self._halts_of:
            self._halts_of, self._halts = rests_on, self._find_halts()
        return self._halts

    def _find_halts(self) -> tuple[str, ...]:
        found = []
        if self.killed:
            found.append("risk_killed")
        if not self.mode.sends_orders:
            found.append(f"mode_{self.mode}")
        if self.life is not READY:
            found.append({Life.OFFLINE: "broker_down", Life.RECONCILING: "reconciling"}.get(self.life, "unbalanced"))
        if not self.feed_up:
            found.append("feed_down")
        if self.desired.paused:
            found.append("paused")
        if not self.trading_day:
            found.append("no_trading_day")
        if self.missing:
            found.append("no_schedule")
        return tuple(found)

    def strategy_halt(self, now_ns: int) -> str:
        """Why the strategy's targets are not taken: it is silent or its messages had a hole; empty when they are."""
        if self.strategy.lost:
            return "strategy_lost"
        silent = now_ns - self.strategy.heard_ns > self.settings.silence_ns
        return "strategy_silent" if silent else ""

    def contract_of(self, symbol: str) -> str | None:
        """The contract behind a symbol: an alias by today's schedule, a contract that is traded or held by itself."""
        if symbol in self.contracts:
            return self.contracts[symbol]
        return symbol if symbol in self.days else None

    def order_seq(self, identity: str) -> int:
        """The journal record of an order's intent; 0 when it is not known any more."""
        return self.order_seqs.get(identity, 0)

    def held(self) -> tuple[str, ...]:
        """Contracts with lots, sorted; of the ledger of now, which every snapshot replaces."""
        return self.positions.symbols()

    def traded(self) -> tuple[str, ...]:
        """Contracts that are traded today or held, sorted."""
        return tuple(sorted({*self.contracts.values(), *self.held()}))
