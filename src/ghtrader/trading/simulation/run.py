"""One seed: the gateway on virtual time among ticks, targets, commands, days and faults; then quiet, and the final judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ghtrader.core.errors import GhtraderError, StoreError
from ghtrader.core.messages import (
    AccountView,
    Command,
    CommandAnswer,
    ExecutionStyle,
    Heartbeat,
    Outcome,
    ParamValue,
    Style,
    Target,
    Verb,
)
from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import OrderState
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import ContractDay, contract_day
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.kill.events import Rehydrated, Trigger, WriteKill
from ghtrader.trading.kill.machine import initial_kill, step_kill
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.simulation.desk import SimLink
from ghtrader.trading.simulation.judge import Judge, Violation
from ghtrader.trading.simulation.media import CrashPoints, SimDisk, SimJournalStore, SimKillStore
from ghtrader.trading.simulation.venue import SimVenue
from ghtrader.trading.simulation.world import SECOND, Crash, World
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.words import MarketView

__all__ = ["SeedResult", "SimRun", "simulate_seed"]

ALIAS, OLD, NEW = "KQ.m@SHFE.rb", "SHFE.rb2510", "SHFE.rb2601"
DAYS = ("2025-06-05", "2025-06-06")
ACCOUNT = "simulated"
#: After the faults stop the account must be reconciled within this much virtual time.
SETTLE_NS = 90 * SECOND
#: A cancel that was asked for must have reached the venue after so much time without a disturbance.
CANCEL_NS = 120 * SECOND
LIMITS = RiskLimits(
    max_position_lots=6,
    max_order_lots=4,
    orders_per_s=6,
    cancels_per_s=6,
    max_cancels=100_000,
    max_messages=100_000,
    max_daily_loss_cny=1e9,
    max_drawdown_cny=1e9,
    max_symbol_loss_cny=1e9,
    max_consecutive_losses=1_000_000,
    max_notional_cny=1e9,
)


class SeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed came to. trace_hash: of everything that happened, the same every time."""

    seed: int
    trace_hash: str
    violations: list[dict[str, str | int]]
    faults: dict[str, int]
    orders: int
    fills: int
    commands: int
    restarts: int
    virtual_s: float
    last: list[str] = []


@dataclass
class _Outlets:
    """`trading.gateway.shell.Outlets` of the simulation."""

    run: SimRun
    views: dict[str, AccountView] = field(default_factory=dict)

    def view(self, view: AccountView) -> None:
        self.run.crash("view")
        self.views[view.symbol] = view

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        self.run.crash("publish")
        self.run.judge.published(document)
        failing = self.run.world.faults.hits("redis is away", 0.02)
        return ("redis_state_write_failed",) if failing else ()

    def reply(self, source: str, answer: CommandAnswer) -> None:
        del source
        self.run.crash("reply")
        self.run.answers.setdefault(answer.command_id, []).append(answer)

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        del symbols

    def tell(self, name: str, fields: dict[str, str | int | float | bool]) -> None:
        self.run.world.note("tell", name, *(f"{key}={value}" for key, value in sorted(fields.items())))


Build = Callable[..., GatewayShell]


class SimRun:
    """Everything of one seed. hours: of market time, half of it on each of two trading days with a roll between."""

    def __init__(
        self, seed: int, hours: float, *, build: Build = GatewayShell, kill_store: type[SimKillStore] = SimKillStore
    ) -> None:
        calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
        self.day_facts = {
            (symbol, day): contract_day(symbol, day, calendar, instruments) for symbol in (OLD, NEW) for day in DAYS
        }
        half = int(hours * 1800 * SECOND)
        close = max(window.end_ns for window in self.day_facts[OLD, DAYS[0]].windows if window.phase == Phase.CONTINUOUS)
        self._close_ns, self._half = close, half
        self.world = World(seed, close - half)
        self.disk = SimDisk(self.world)
        self.crash = CrashPoints(self.world)
        self.judge = Judge(self.world, self.disk, ACCOUNT, LIMITS.max_position_lots, LIMITS.stale_feed_ns)
        self.venue = SimVenue(self.world, self._is_open, DAYS[0])
        self.link = SimLink(self.world, self.venue, self.crash, self.judge.order_leaves, self._pump)
        self.judge.venue, self.judge.link = self.venue, self.link
        self.outlets = _Outlets(self)
        self.answers: dict[str, list[CommandAnswer]] = {}
        self.commands: dict[str, Command] = {}
        self.shell: GatewayShell | None = None
        self.restarts = 0
        self.max_dedupe = 0
        self._build, self._kill_store = build, kill_store
        self._day, self._contract = DAYS[0], OLD
        self._feed_up = True
        self._strategy = ("run-0", 0)
        self._ticks = 0
        self._over = False
        self._calm_ns = self.world.clock.true_ns
        self.settings = GatewaySettings(
            account=ACCOUNT,
            gates=Gates(broker="paper"),
            limits=LIMITS,
            dedupe_max_ids=40,
            silence_ns=8 * SECOND,
            audit_ns=20 * SECOND,
        )

    # --- the gateway's process ------------------------------------------------------------------------------------------
    def _is_open(self, symbol: str) -> bool:
        facts = self.day_facts.get((symbol, self.venue.trading_day))
        return facts is not None and facts.accepts_orders(self.world.clock.true_ns)

    def start(self) -> None:
        """Start a run of the gateway; everything it needs is told again."""
        self.crash.armed = True
        self.guarded(self._start)

    def _start(self) -> None:
        store = SimJournalStore(self.disk, self.world, self.crash)
        kill = self._kill_store(self.disk, self.crash, self.judge.look_at_kill)
        journal = Journal(store, ACCOUNT)
        self.shell = self._build(self.settings, journal, kill, self.link, self.outlets, self.world.clock)
        now = self.world.clock.now_ns()
        shell = self.shell
        shell.handle(ev.PreflightDone(now_ns=now, red=()))
        shell.handle(ev.FeedLinkChanged(now_ns=now, up=self._feed_up))
        if not shell.state.desired.symbols:
            wanted: dict[str, ParamValue] = {"mode": "paper", "symbols": [ALIAS]}
            self._give(Verb.SET_DESIRED, params=wanted)
        self._tell_day()
        self.link.reconnect()

    def _tell_day(self) -> None:
        if self.shell is None:
            return
        held = {*self.shell.state.positions.symbols(), self._contract}
        days: dict[str, ContractDay] = {symbol: self.day_facts[symbol, self._day] for symbol in sorted(held)}
        self.judge.days = {symbol: self.day_facts[symbol, self._day] for symbol in (OLD, NEW)}
        self.shell.handle(
            ev.DayBegan(now_ns=self.world.clock.now_ns(), trading_day=self._day, contracts={ALIAS: self._contract}, days=days)
        )

    def guarded(self, what: Callable[[], None]) -> None:
        """Let the gateway do something; it may die of it."""
        try:
            what()
        except Crash as crash:
            self.die(power=crash.power)
        except StoreError as error:
            self.world.note("gateway gave up", error.message)
            self.die(power=False)

    def die(self, *, power: bool) -> None:
        """The process is gone; something starts it again."""
        self.shell = None
        self.crash.armed = False
        self.restarts += 1
        self.disk.die(power=power)
        self.judge.look_at_kill()
        self.world.note("died", "power" if power else "kill", "disk", sum(map(len, self.disk.segments.values())))
        self.world.after(self.world.delay(200, 20_000), self._revive)

    def _revive(self) -> None:
        if self.shell is None:
            self.disk.full = False
            self.start()

    def _pump(self) -> None:
        shell = self.shell
        if shell is not None:
            self.world.at(self.world.clock.true_ns, lambda: self._pump_now(shell))

    def _pump_now(self, shell: GatewayShell) -> None:
        if shell is self.shell:
            self.guarded(lambda: (shell.pump(), None)[1])

    def handle(self, event: ev.Event) -> None:
        """An event for the gateway; nobody hears it while it is dead."""
        shell = self.shell
        if shell is not None:
            self.guarded(lambda: shell.handle(event))
            self.max_dedupe = max(self.max_dedupe, len(shell.state.dedupe))

    # --- what happens ---------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        if self._over:
            return
        world, symbol = self.world, self._contract
        self._schedule(self._tick, 300, 2500)
        for name in sorted({symbol, *(s for s in (OLD, NEW) if self.venue.net(s))}):
            facts = self.day_facts[name, self._day]
            if not facts.is_continuous(world.clock.true_ns):
                continue
            self.venue.move(name)
            if not self._feed_up or world.faults.hits("tick lost", 0.02):
                continue
            self._ticks += 1
            bid, now = self.venue.prices[name], world.clock.now_ns()
            if self.shell is not None:
                self.judge.ticks_at[name] = world.clock.true_ns
            market = MarketView(
                symbol=name, seq=self._ticks, ts_ns=now, receive_ns=now, bid=bid, ask=bid + 1, bid_lots=50, ask_lots=50, last=bid,
                upper=3400, lower=2600, continuous=facts.is_continuous(now), accepts_orders=facts.accepts_orders(now),
                part_end_ns=facts.part_end_ns(now), trading_day=self._day, price_tick=1.0,
            )  # fmt: skip
            self.handle(ev.TickArrived(now_ns=now, market=market))

    def _schedule(self, what: Callable[[], None], low_ms: float, high_ms: float) -> None:
        self.world.after(self.world.delay(low_ms, high_ms), what)

    def _clock(self) -> None:
        if self._over:
            return
        self._schedule(self._clock, 450, 550)
        shell = self.shell
        if shell is not None:
            self.guarded(shell.look_at_kill)
        if self.shell is not None:
            self.guarded(self.shell.tick_clock)
        self._watch_cancels()

    def _watch_cancels(self) -> None:
        """A cancel that was asked for reaches the venue some time after everything is well again."""
        now = self.world.clock.true_ns
        if self.shell is None or not self.link.up or not self._is_open(self._contract):
            self._calm_ns = now
        for identity, asked in list(self.link.cancels_asked.items()):
            order = self.venue.orders.get(identity)
            if order is None or order.state is not OrderState.WORKING:
                if identity not in self.link.transit:
                    del self.link.cancels_asked[identity]
            elif now - max(asked, self._calm_ns) > CANCEL_NS:
                self.judge.fail("a cancel is not lost", f"{identity} still works {(now - asked) // SECOND} s after its cancel")
                del self.link.cancels_asked[identity]

    def _decide(self) -> None:
        """The strategy: a target now and then, beats between; its messages are delayed, lost, doubled."""
        if self._over:
            return
        world, chance = self.world, self.world.chance
        self._schedule(self._decide, 500, 6000)
        session, seq = self._strategy
        if world.faults.hits("strategy restarts", 0.01):
            session, seq = f"run-{self._ticks}", 0
        now = world.clock.now_ns()
        message: ev.Event
        if chance.random() < 0.6:
            seq += 1
            symbol = OLD if chance.random() < 0.1 else self._contract
            target = Target(
                1, session, seq, ACCOUNT, symbol, chance.randint(-6, 6), ExecutionStyle(style=chance.choice(tuple(Style)),
                patience_ns=chance.randint(1, 8) * SECOND, duration_ns=6 * SECOND, slices=2), self._ticks, now, now, 0.3,
            )  # fmt: skip
            message = ev.TargetArrived(now_ns=now, target=target)
        else:
            message = ev.StrategyBeat(now_ns=now, beat=Heartbeat(1, session, seq, now, "strategy", "ready"))
        self._strategy = session, seq
        self._deliver(message)
        if world.faults.hits("message twice", 0.03):
            self._deliver(message)

    def _deliver(self, message: ev.Event) -> None:
        if self.world.faults.hits("message lost", 0.02):
            return
        late = 9000 if self.world.faults.hits("message late", 0.02) else 20

        def arrive() -> None:
            self.handle(msgspec.structs.replace(message, now_ns=self.world.clock.now_ns()))

        self.world.after(self.world.delay(1, late), arrive)

    def _give(self, verb: Verb, *, repeat: bool = False, **fields: object) -> None:
        name = f"c{len(self.commands)}"
        command = Command(
            command_id=name,
            account=ACCOUNT,
            verb=verb,
            actor="operator",
            ts_ns=self.world.clock.now_ns(),
            **{"reason": name, **fields},  # type: ignore[arg-type]
        )
        self.commands[name] = command
        if verb is Verb.RESET_RISK_KILL and command.confirm == "RESET_RISK_KILL":
            self.judge.reset_given("operator", name)
        for way in ("socket", "redis") if repeat else ("socket",):
            event = ev.CommandArrived(now_ns=self.world.clock.now_ns(), command=command, source=way)
            if way == "socket":
                self.handle(event)
            else:
                self._deliver(event)

    def _operate(self) -> None:
        """Operators: random commands, twice now and then; also ``ghtrader kill`` beside the gateway."""
        if self._over:
            return
        chance = self.world.chance
        self._schedule(self._operate, 4_000, 60_000)
        drawn = chance.random()
        repeat = chance.random() < 0.4
        if drawn < 0.25:
            lots = chance.randint(-4, 4)
            self._give(
                Verb.SET_TARGET, symbol=ALIAS, lots=lots, params={"style": str(chance.choice(tuple(Style)))}, repeat=repeat
            )
        elif drawn < 0.4:
            price = float(self.venue.prices.get(self._contract, 3000))
            self._give(
                Verb.PLACE_ORDER, symbol=self._contract, lots=chance.choice((-1, 1, 2)), params={"price": price}, repeat=repeat
            )
        elif drawn < 0.5:
            self._give(Verb.CANCEL_ALL, repeat=repeat)
        elif drawn < 0.6:
            self._give(Verb.FLATTEN, repeat=repeat)
        elif drawn < 0.75:
            self._give(Verb.RELOAD, repeat=repeat)
        elif drawn < 0.82:
            self._give(Verb.KILL, params={"policy": chance.choice(("flatten", "cancel"))}, repeat=repeat)
        elif drawn < 0.86:
            self._kill_beside()
        else:
            confirm = "RESET_RISK_KILL" if chance.random() < 0.9 else "yes"
            self._give(Verb.RESET_RISK_KILL, confirm=confirm, repeat=repeat)
            self._give(Verb.RELOAD)

    def _kill_beside(self) -> None:
        """``ghtrader kill`` writes the file, whether or not a gateway lives."""
        self.world.faults.counts["kill beside"] += 1
        quiet = CrashPoints(self.world)
        store = self._kill_store(self.disk, quiet, self.judge.look_at_kill)
        state, _ = step_kill(initial_kill(ACCOUNT), Rehydrated(content=store.read(), had_journal=bool(self.disk.segments)))
        trigger = Trigger(actor="beside", reason="by hand", ts_ns=self.world.clock.now_ns(), trading_day=self._day)
        state, effects = step_kill(state, trigger)
        for effect in effects:
            if isinstance(effect, WriteKill):
                try:
                    store.write(effect.content)
                except GhtraderError as error:
                    self.world.note("kill beside failed", error.message)

    def _break(self) -> None:
        """Faults that are not about one message."""
        if self._over:
            return
        faults, world = self.world.faults, self.world
        self._schedule(self._break, 2_000, 20_000)
        if faults.hits("link drop", 0.12):
            self.link.drop()
        if faults.hits("feed drop", 0.08):
            self._set_feed(False)
            world.after(world.delay(500, 15_000), lambda: self._set_feed(True))
        if faults.hits("clock jump", 0.05):
            world.clock.skew_ns = int(world.chance.choice((-2, -0.5, 0.5, 2)) * SECOND)
        if faults.hits("disk full", 0.03):
            self.disk.full = True
            world.after(world.delay(1000, 10_000), self._free_disk)
        if faults.hits("kill -9", 0.06) and self.shell is not None:
            self.die(power=False)
        self.link.funds()

    def _free_disk(self) -> None:
        self.disk.full = False

    def _set_feed(self, up: bool) -> None:
        self._feed_up = up
        self.handle(ev.FeedLinkChanged(now_ns=self.world.clock.now_ns(), up=up))

    # --- the whole ------------------------------------------------------------------------------------------------------
    def run(self) -> SeedResult:
        """Half a day, the change of the day with a roll, the other half; quiet; judgement."""
        began = self.world.clock.true_ns
        for what in (self._tick, self._clock, self._decide, self._operate, self._break):
            self._schedule(what, 10, 1500)
        self.start()
        self.world.run_until(self._close_ns + 5 * SECOND)
        self._change_day()
        middle = self.world.clock.true_ns
        self.world.run_until(middle + self._half)
        self._quiet()
        self._judge_end()
        virtual = self._half + self.world.clock.true_ns - middle + (self._close_ns - began) - self._half
        return self._result(virtual / SECOND)

    def _change_day(self) -> None:
        opening = next(w.start_ns for w in self.day_facts[NEW, DAYS[1]].windows if w.phase == Phase.CONTINUOUS)
        self.world.jump(opening + 2 * SECOND)
        self.link.lose_all()
        self.venue.begin_day(DAYS[1])
        self._day, self._contract = DAYS[1], NEW
        self.judge.retired = {OLD}
        self.judge.days = {symbol: self.day_facts[symbol, DAYS[1]] for symbol in (OLD, NEW)}
        if self.shell is None:
            self._revive()
        self.guarded(self._tell_day)

    def _quiet(self) -> None:
        """The faults stop; everything comes back; nobody wants anything new."""
        self.world.note("quiet")
        self.world.faults.on = False
        self.disk.full = False
        self.world.clock.skew_ns = 0
        self._set_feed(True)
        self.link.restore()
        if self.shell is None:
            self.world.after(SECOND, self._revive)
        self.world.run_until(self.world.clock.true_ns + SETTLE_NS // 3)
        self._over_decisions()
        self.world.run_until(self.world.clock.true_ns + SETTLE_NS)
        self._over = True

    def _over_decisions(self) -> None:
        """From here on only ticks and the clock go on."""
        self._decide = self._operate = self._break = lambda: None  # type: ignore[method-assign]

    def _judge_end(self) -> None:
        shell, judge = self.shell, self.judge
        if shell is None:
            judge.fail("recovers", "no gateway runs at the end")
            return
        state = shell.state
        if state.life is not Life.READY:
            judge.fail("reconciles", f"{state.life}: {', '.join(state.differences)}")
        for symbol in (OLD, NEW):
            ours, theirs = state.positions.net(symbol), self.venue.net(symbol)
            if ours != theirs:
                judge.fail("positions agree", f"{symbol}: ours {ours}, the venue's {theirs}")
        working = {name for name, order in self.venue.orders.items() if order.state is OrderState.WORKING}
        known = {order.client_order_id for order in state.book.unsettled()}
        if working != known:
            judge.fail("orders agree", f"ours {sorted(known)}, the venue's {sorted(working)}")
        asked = [name for name in working if (order := state.book.get(name)) is not None and order.cancel_asked]
        if asked:
            judge.fail("a cancel is not lost", f"{asked} still work")
        if self.max_dedupe > self.settings.dedupe_max_ids:
            judge.fail("dedupe is bounded", f"{self.max_dedupe} of {self.settings.dedupe_max_ids}")
        if any(count > 1 for count in self.venue.inserted.values()):
            judge.fail("sent once", "the venue saw an order twice")
        self._judge_journal(shell)

    def _judge_journal(self, shell: GatewayShell) -> None:
        """The journal explains every order, and every command was applied at most once and answered."""
        intents: set[str] = set()
        commands: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        for record in shell.journal.read():
            if record.kind is RecordKind.ORDER_INTENT:
                intents.add(str(record.body["client_order_id"]))
            elif record.kind is RecordKind.COMMAND:
                commands[record.body["command"]["command_id"]] += 1
            elif record.kind is RecordKind.ANSWER:
                answers[record.body["answer"]["command_id"]] += 1
        unexplained = sorted(set(self.judge.sent) - intents)
        if unexplained:
            self.judge.fail("the journal explains every order", f"{unexplained[:3]}")
        twice = sorted(name for name, count in answers.items() if count > 1)
        if twice:
            self.judge.fail("a command is applied at most once", f"{twice[:3]} were answered twice")
        for name, given in self.answers.items():
            accepted = sum(answer.outcome is Outcome.ACCEPTED for answer in given)
            if accepted > 1:
                self.judge.fail("a command is applied at most once", f"{name} was accepted {accepted} times")

    def _result(self, virtual_s: float) -> SeedResult:
        shown = [_shown(item) for item in self.judge.violations]
        return SeedResult(
            seed=self.world.seed,
            trace_hash=self.world.trace.hexdigest(),
            violations=shown,
            faults=dict(sorted(self.world.faults.counts.items())),
            orders=len(self.judge.sent),
            fills=sum(order.fills for order in self.venue.orders.values()),
            commands=len(self.commands),
            restarts=self.restarts,
            virtual_s=round(virtual_s, 1),
            last=self.world.last[-30:] if shown else [],
        )


def _shown(item: Violation) -> dict[str, str | int]:
    return {"invariant": item.invariant, "at_ns": item.at_ns, "detail": item.detail}


def simulate_seed(seed: int, hours: float = 0.5) -> SeedResult:
    """Run one seed. The same seed and hours give the same result, on any machine.

    >>> simulate_seed(1, 0.05).trace_hash == simulate_seed(1, 0.05).trace_hash
    True
    """
    return SimRun(seed, hours).run()
