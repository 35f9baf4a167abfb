"""A gateway on memory stores with a broker that does what the test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ghtrader.core.messages import AccountView, Command, CommandAnswer, ExecutionStyle, Style, Target, Verb
from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.testing.trading_stores import MemoryDisk, MemoryJournalStore, MemoryKillStore
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import ContractDay, contract_day
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.words import MarketView

RB, NEXT, DAY, NEXT_DAY = "SHFE.rb2510", "SHFE.rb2601", "2025-06-05", "2025-06-06"
SECOND = 1_000_000_000
CALENDAR, INSTRUMENTS = Calendar.vendored(), InstrumentTable.vendored()
FUNDS = AccountFunds(balance=1e6, available=1e6, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)


def day_of(symbol: str, day: str) -> ContractDay:
    return contract_day(symbol, day, CALENDAR, INSTRUMENTS)


def opening_ns(day: str, symbol: str = RB) -> int:
    """A minute into the first continuous trading of the day."""
    return next(window.start_ns for window in day_of(symbol, day).windows if window.phase == Phase.CONTINUOUS) + 60 * SECOND


@dataclass
class Clock:
    """leapt_ns: how far it was set ahead by something else than time that passed."""

    ns: int
    leapt_ns: int = 0

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns - self.leapt_ns

    def leap(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)
        self.leapt_ns += int(seconds * SECOND)


@dataclass
class FakeDesk:
    """Orders as the venue has them; nothing happens to them but by the test."""

    rig: Rig | None = None
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    fills: list[BrokerFill] = field(default_factory=list)
    positions: tuple[BrokerPosition, ...] = ()
    submitted: list[OrderRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    queries: int = 0
    trading_day: str = DAY

    def submit(self, approved: ApprovedOrder) -> None:
        request = approved.request()
        assert request.client_order_id not in self.orders, "an order was sent twice"
        if self.rig is not None:
            journal = self.rig.shell._journal
            assert journal._durable == journal._size, "an order left before its journal was on the disk"
        self.submitted.append(request)
        self.orders[request.client_order_id] = BrokerOrder(request=request, state=OrderState.SENT, left=request.lots)

    def cancel(self, client_order_id: str) -> None:
        self.cancelled.append(client_order_id)

    def query(self) -> None:
        self.queries += 1

    def events(self, timeout_s: float = 0.0) -> list[ev.Event]:
        return []

    def close(self) -> None:
        return

    def snapshot(self) -> VenueSnapshot:
        return VenueSnapshot(
            orders=tuple(self.orders.values()),
            fills=tuple(self.fills),
            positions=self.positions,
            funds=FUNDS,
            trading_day=self.trading_day,
        )


@dataclass
class Outlets:
    views: list[AccountView] = field(default_factory=list)
    documents: list[StateDocument] = field(default_factory=list)
    answers: list[CommandAnswer] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    symbols: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    def view(self, view: AccountView) -> None:
        self.views.append(view)

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        self.documents.append(document)
        return self.degraded

    def reply(self, source: str, answer: CommandAnswer) -> None:
        self.answers.append(answer)

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols

    def tell(self, name: str, fields: dict[str, Any]) -> None:
        self.told.append((name, fields))


class Rig:
    """A gateway that can be killed and started again; ``desk`` is the venue and outlives it."""

    def __init__(self, *, mode: str = "paper", ready: bool = True, settings: GatewaySettings | None = None) -> None:
        self.disk = MemoryDisk()
        self.kill_store = MemoryKillStore()
        self.desk, self.outlets = FakeDesk(), Outlets()
        self.clock = Clock(opening_ns(DAY))
        self.settings = settings or GatewaySettings(account="demo", gates=Gates(broker="paper"))
        self.contracts, self.day = {"KQ.m@SHFE.rb": RB}, DAY
        self._ids = self._seq = self._tick = 0
        self.start()
        if ready:
            self.desired(mode=mode, symbols=["KQ.m@SHFE.rb"])
            self.ready()

    # --- runs -----------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        store = MemoryJournalStore(self.disk)
        self.journal = Journal(store, "demo")
        self.shell = GatewayShell(self.settings, self.journal, self.kill_store, self.desk, self.outlets, self.clock)
        self.desk.rig = self

    def crash(self, *, power: bool = False) -> None:
        """Die as by kill -9 (or a power cut: what was not synced is lost), and start again."""
        self.disk.crash(keep=0 if power else 1 << 40)
        self.start()

    def ready(self) -> None:
        """Everything up: preflight, feed, broker, day, reconciled, a tick."""
        self.handle(ev.PreflightDone(now_ns=self.now, red=()))
        self.handle(ev.FeedLinkChanged(now_ns=self.now, up=True))
        self.begin_day(self.day, self.contracts)
        self.handle(ev.BrokerLinkChanged(now_ns=self.now, up=True))
        self.venue()
        self.tick()

    @property
    def now(self) -> int:
        return self.clock.ns

    @property
    def state(self):
        return self.shell.state

    def handle(self, event: ev.Event) -> None:
        self.shell.handle(event)

    def later(self, seconds: float = 1.0) -> None:
        self.clock.ns += int(seconds * SECOND)
        self.shell.tick_clock()

    # --- what happens ---------------------------------------------------------------------------------------------------
    def begin_day(self, day: str, contracts: dict[str, str]) -> None:
        self.day, self.contracts = day, contracts
        held = {*contracts.values(), *self.state.positions.symbols()}
        days = {symbol: day_of(symbol, day) for symbol in held}
        self.handle(ev.DayBegan(now_ns=self.now, trading_day=day, contracts=contracts, days=days))

    def venue(self) -> None:
        self.handle(ev.VenueAnswered(now_ns=self.now, snapshot=self.desk.snapshot()))

    def tick(self, bid: int = 3000, ask: int = 3001, symbol: str = RB, open_limit_lots: int = 0) -> None:
        self._tick += 1
        day = day_of(symbol, self.day)
        market = MarketView(
            symbol=symbol, seq=self._tick, ts_ns=self.now, receive_ns=self.now, bid=bid, ask=ask, bid_lots=50, ask_lots=50,
            last=bid, upper=3300, lower=2700, continuous=True, accepts_orders=True, part_end_ns=day.part_end_ns(self.now),
            trading_day=self.day, price_tick=1.0, open_limit_lots=open_limit_lots,
        )  # fmt: skip
        self.handle(ev.TickArrived(now_ns=self.now, market=market))

    def target(self, lots: int, style: Style = Style.TAKER, *, age_ns: int = 0, symbol: str = RB, skip: int = 0) -> None:
        self._seq += 1 + skip
        execution = ExecutionStyle(style=style)
        target = Target(
            1,
            "run",
            self._seq,
            "demo",
            symbol,
            lots,
            execution,
            self._tick,
            self.now - age_ns,
            self.now,
            0.4,
            "m",
            "f",
            {"F1": 0.5},
        )
        self.handle(ev.TargetArrived(now_ns=self.now, target=target))

    def command(self, verb: Verb, *, command_id: str = "", **fields: Any) -> CommandAnswer:
        self._ids += 1
        command = Command(
            command_id=command_id or f"c{self._ids}", account="demo", verb=verb, actor="tester", ts_ns=self.now, **fields
        )
        self.handle(ev.CommandArrived(now_ns=self.now, command=command, source="socket:1"))
        return self.outlets.answers[-1]

    def desired(self, **params: Any) -> CommandAnswer:
        return self.command(Verb.SET_DESIRED, params=params)

    def order(self, state: OrderState, *, left: int | None = None, identity: str = "") -> None:
        """The venue's word about the newest (or named) order."""
        name = identity or self.desk.submitted[-1].client_order_id
        known = self.desk.orders[name]
        order = BrokerOrder(request=known.request, state=state, left=known.left if left is None else left, exchange_order_id="1")
        self.desk.orders[name] = order
        self.handle(ev.OrderChanged(now_ns=self.now, order=order))

    def fill(self, lots: int, price: float = 3001.0, *, identity: str = "", number: int = 1) -> BrokerFill:
        name = identity or self.desk.submitted[-1].client_order_id
        request = self.desk.orders[name].request
        fill = BrokerFill(
            client_order_id=name, trade_id=f"{name}|{number}", symbol=request.symbol, side=request.side, offset=request.offset,
            lots=lots, price=price, ts_ns=self.now,
        )  # fmt: skip
        self.desk.fills.append(fill)
        self.handle(ev.FillArrived(now_ns=self.now, fill=fill))
        return fill

    def filled(self, lots: int) -> None:
        """The newest order trades whole."""
        self.fill(lots)
        self.order(OrderState.FILLED, left=0)
        held = self.state.positions.position(RB)
        self.desk.positions = (held,) if held.lots else ()

    # --- what can be asked ----------------------------------------------------------------------------------------------
    def records(self, *kinds: str) -> list[Record]:
        return [record for record in self.journal.read() if not kinds or record.kind in kinds]
