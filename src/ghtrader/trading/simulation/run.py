"""One seed: the gateway on virtual time among ticks, targets, commands, days and faults; then quiet, and the final judgement."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import msgspec

from ghtrader.core.messages import CommandAnswer, Heartbeat, Outcome, Target
from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import OrderState
from ghtrader.ports.live_feed import LiveTick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import contract_day
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.simulation.desk import OFTEN, SELDOM, SimLink
from ghtrader.trading.simulation.drivers import Generator, Runner
from ghtrader.trading.simulation.gateway import SimGateway
from ghtrader.trading.simulation.judge import Judge, Violation
from ghtrader.trading.simulation.media import CrashPoints, SimDisk, SimKillStore
from ghtrader.trading.simulation.people import People
from ghtrader.trading.simulation.redis import SimRedis
from ghtrader.trading.simulation.stream import SimStream
from ghtrader.trading.simulation.venue import SimVenue
from ghtrader.trading.simulation.world import SECOND, World
from ghtrader.trading.words import MarketView

__all__ = ["SeedResult", "SimRun", "simulate_seed"]

ALIAS, OLD, NEW = "KQ.m@SHFE.rb", "SHFE.rb2510", "SHFE.rb2601"
DAYS = ("2025-06-05", "2025-06-06")
ACCOUNT = "simulated"
UPPER, LOWER = 3400, 2600
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


class SimRun:
    """Everything of one seed. hours: of market time, half of it on each of two trading days with a roll between.

    The seed also chooses who trades (`simulation.drivers`), whether the kill file is slow, and what the account held before.
    """

    alias = ALIAS

    def __init__(
        self, seed: int, hours: float, *, build: type[GatewayShell] = GatewayShell, kill_store: type[SimKillStore] = SimKillStore
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
        self.link = SimLink(self.world, self.venue, self.crash, self.judge.order_leaves, self._wake)
        self.judge.venue, self.judge.link = self.venue, self.link
        self.judge.days = {symbol: self.day_facts[symbol, DAYS[0]] for symbol in (OLD, NEW)}
        self.answers: dict[str, list[CommandAnswer]] = {}
        self.redis = SimRedis(self.world, self._hear_answer, self.judge.state_shown)
        self.stream = SimStream(self.world, self.crash, self._hear_answer)
        self.kill_store = kill_store
        self.settings = GatewaySettings(
            account=ACCOUNT,
            gates=Gates(broker="paper"),
            limits=LIMITS,
            dedupe_max_ids=40,
            silence_ns=8 * SECOND,
            audit_ns=20 * SECOND,
        )
        self.day, self.contract, self.other_contract = DAYS[0], OLD, NEW
        self.people = People(self)
        self.gateway = SimGateway(self, build, slow=self.world.chance.random() < 0.35)
        self.driver = self._driver()
        self._volume = 0
        self._quiet_now = self._over = False
        self._calm_ns = self.world.clock.true_ns
        if self.world.chance.random() < 0.3:
            self.venue.hold(OLD, self.world.chance.choice((-3, -1, 2, 4)))

    def _driver(self) -> Generator | Runner:
        if self.world.chance.random() < 0.5:
            return Generator(self.world, self._from_strategy, ACCOUNT, lambda: (self.contract, OLD))
        runner = Runner(self.world, self._from_strategy, ACCOUNT, ALIAS, self.judge)
        self.stream.listener = runner
        return runner

    # --- between the parts ----------------------------------------------------------------------------------------------
    def _wake(self) -> None:
        self.gateway.wake()

    def _is_open(self, symbol: str) -> bool:
        facts = self.day_facts.get((symbol, self.venue.trading_day))
        return facts is not None and facts.accepts_orders(self.world.clock.true_ns)

    @property
    def closes_soon(self) -> bool:
        """Whether the day's trading ends within two minutes."""
        return not self.day_facts[self.contract, self.day].is_continuous(self.world.clock.true_ns + 120 * SECOND)

    def _hear_answer(self, answer: CommandAnswer) -> None:
        self.answers.setdefault(answer.command_id, []).append(answer)

    def _from_strategy(self, message: Target | Heartbeat) -> None:
        def arrive() -> None:
            now = self.world.clock.now_ns()
            if isinstance(message, Target):
                self.gateway.handle(ev.TargetArrived(now_ns=now, target=message))
            else:
                self.gateway.handle(ev.StrategyBeat(now_ns=now, beat=message))

        self.stream.deliver(arrive)

    # --- what happens ---------------------------------------------------------------------------------------------------
    def _repeat(self, turn: Callable[[], int], *, until_quiet: bool = False) -> None:
        """Let something happen again and again; ``turn`` says after how many ns."""

        def again() -> None:
            if not (self._over or (until_quiet and self._quiet_now)):
                self.world.after(turn(), again)

        self.world.after(self.world.delay(10, 1500), again)

    def _tick(self) -> int:
        world = self.world
        now = world.clock.true_ns
        for name in (OLD, NEW):
            if name != self.contract and not self.venue.is_busy(name):
                continue
            if self.venue.trading_day != self.day or not self.day_facts[name, self.day].is_continuous(now):
                continue
            self.venue.move(name)
            if self.gateway.feed_up and not world.faults.hits("tick lost", 0.02):
                self._show(name)
        return world.delay(300, 2500)

    def _show(self, name: str) -> None:
        """A tick of a contract reaches the gateway's feed."""
        world, chance = self.world, self.world.chance
        if self.gateway.shell is None:
            return
        self.judge.ticks_at[name] = world.clock.true_ns
        bid, now, day, facts = self.venue.prices[name], world.clock.now_ns(), self.day, self.day_facts[name, self.day]
        sizes = (chance.randint(1, 99), chance.randint(1, 99))
        self._volume += chance.randint(1, 20)

        def market(number: int) -> MarketView:
            return MarketView(
                symbol=name, seq=number, ts_ns=now, receive_ns=now, bid=bid, ask=bid + 1, bid_lots=sizes[0], ask_lots=sizes[1],
                last=bid, upper=UPPER, lower=LOWER, continuous=facts.is_continuous(now), accepts_orders=facts.accepts_orders(now),
                part_end_ns=facts.part_end_ns(now), trading_day=day, price_tick=1.0,
            )  # fmt: skip

        values = _row(bid, sizes, self._volume)
        self.gateway.tick(LiveTick(name, self._volume, world.clock.true_ns, now, values), market)

    def _run_gateway(self) -> int:
        wait = self.gateway.turn()
        self._watch_cancels()
        return wait

    def _watch_cancels(self) -> None:
        """A cancel that was asked for reaches the venue some time after everything is well again."""
        now = self.world.clock.true_ns
        if self.gateway.shell is None or not self.link.up or not self.venue.is_open(self.contract):
            self._calm_ns = now
        for identity, asked in list(self.link.cancels_asked.items()):
            order = self.venue.orders.get(identity)
            if order is None or order.state is not OrderState.WORKING:
                if identity not in self.link.transit:
                    del self.link.cancels_asked[identity]
            elif now - max(asked, self._calm_ns) > CANCEL_NS:
                self.judge.fail("a cancel is not lost", f"{identity} still works {(now - asked) // SECOND} s after its cancel")
                del self.link.cancels_asked[identity]

    def _decide(self) -> int:
        if self.world.faults.hits("strategy restarts", 0.003 if isinstance(self.driver, Runner) else 0.01):
            self.driver.restart()
        return self.driver.turn()

    def _break(self) -> int:
        """Faults that are not about one message."""
        faults, world = self.world.faults, self.world
        if faults.hits("link drop", 0.12):
            self.link.drop()
        if faults.hits("feed drop", 0.08):
            self.gateway.set_feed(up=False)
            world.after(world.delay(500, 15_000), lambda: self.gateway.set_feed(up=True))
        if faults.hits("clock jump", 0.05):
            world.clock.skew_ns = int(world.chance.choice((-2, -0.5, 0.5, 2)) * SECOND)
        if faults.hits("disk full", 0.03):
            self.disk.full = True
            world.after(world.delay(1000, 10_000), self.disk.mend)
        if faults.hits("redis lost", 0.08):
            self.redis.lose()
        if faults.hits("kill -9", 0.04) and self.gateway.shell is not None:
            self.gateway.die(power=False)
        if faults.hits("power cut", 0.015) and self.gateway.shell is not None:
            self.gateway.die(power=True)
        self.link.funds()
        return world.delay(2_000, 20_000)

    # --- the whole ------------------------------------------------------------------------------------------------------
    def run(self) -> SeedResult:
        """Half a day, the change of the day with a roll, the other half; quiet; judgement."""
        began = self.world.clock.true_ns
        if self.world.chance.random() < 0.3:
            self.people.trade_before()
        for turn in (self._tick, self._run_gateway):
            self._repeat(turn)
        for turn in (self._decide, self.people.operate, self.people.trade_elsewhere, self._break):
            self._repeat(turn, until_quiet=True)
        self.gateway.start()
        if self.world.chance.random() < 0.3:
            self.people.storm()
        self.world.run_until(self._close_ns - 60 * SECOND)
        self._evening()
        self.world.run_until(self._close_ns + 5 * SECOND)
        self._change_day()
        middle = self.world.clock.true_ns
        self.world.run_until(middle + self._half)
        self._quiet()
        self._judge_end()
        virtual = self.world.clock.true_ns - middle + (self._close_ns - began)
        return self._result(virtual / SECOND)

    def _evening(self) -> None:
        """The last minute of the day, in which what happens at the venue may never be heard of: it is over before the link is up."""
        self.link.crawls = OFTEN
        if self.world.faults.hits("link drop at the close", 0.4):
            self.world.after(self.world.delay(25_000, 59_000), lambda: self.link.drop(60_000, 90_000))

    def _change_day(self) -> None:
        """The next day's opening; venue and gateway learn of the day one after the other, or at once."""
        opening = next(w.start_ns for w in self.day_facts[NEW, DAYS[1]].windows if w.phase == Phase.CONTINUOUS)
        self.world.jump(opening + 2 * SECOND)
        self.link.lose_all()
        self.link.crawls = SELDOM
        self.gateway.start()
        late = self.world.delay(100, 8000) if self.world.chance.random() < 0.6 else 0
        first, second = self._venue_day, self._gateway_day
        if self.world.chance.random() < 0.5:
            first, second = second, first
        first()
        if late:
            self.world.run_until(self.world.clock.true_ns + late)
        second()

    def _venue_day(self) -> None:
        self.venue.begin_day(DAYS[1])

    def _gateway_day(self) -> None:
        self.day, self.contract, self.other_contract = DAYS[1], NEW, OLD
        self.judge.retired = {OLD}
        self.judge.days = {symbol: self.day_facts[symbol, DAYS[1]] for symbol in (OLD, NEW)}
        self.gateway.guarded(self.gateway.tell_day)

    def _quiet(self) -> None:
        """The faults stop; everything comes back; nobody wants anything new."""
        self.world.note("quiet")
        self.world.faults.on = False
        self.disk.mend()
        self.world.clock.skew_ns = 0
        self.gateway.set_feed(up=True)
        self.link.restore()
        self.redis.restore()
        if self.gateway.shell is None:
            self.world.after(SECOND, self.gateway.start)
        self.world.run_until(self.world.clock.true_ns + SETTLE_NS // 3)
        self._quiet_now, self.stream.listener = True, None
        self.world.run_until(self.world.clock.true_ns + SETTLE_NS)
        self._over = True

    def _judge_end(self) -> None:
        shell, judge = self.gateway.shell, self.judge
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
        if self.gateway.max_dedupe > self.settings.dedupe_max_ids:
            judge.fail("dedupe is bounded", f"{self.gateway.max_dedupe} of {self.settings.dedupe_max_ids}")
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
            commands=len(self.people.commands),
            restarts=self.gateway.restarts,
            virtual_s=round(virtual_s, 1),
            last=self.world.last[-30:] if shown else [],
        )


def _row(bid: int, sizes: tuple[int, int], volume: int) -> tuple[float, ...]:
    """Values of a tick (`data.schema.MARKET_COLUMNS`, then the limits): one level a side."""
    none, zeros = (math.nan,) * 4, (0.0,) * 4
    prices = (float(bid), math.nan, math.nan, math.nan)
    book = (float(bid), *none, float(sizes[0]), *zeros, float(bid + 1), *none, float(sizes[1]), *zeros)
    return (*prices, *book, float(volume), float(volume * bid * 10), 1000.0, float(UPPER), float(LOWER))


def _shown(item: Violation) -> dict[str, str | int]:
    return {"invariant": item.invariant, "at_ns": item.at_ns, "detail": item.detail}


def simulate_seed(seed: int, hours: float = 0.5) -> SeedResult:
    """Run one seed. The same seed and hours give the same result, on any machine.

    >>> simulate_seed(1, 0.05).trace_hash == simulate_seed(1, 0.05).trace_hash
    True
    """
    return SimRun(seed, hours).run()
