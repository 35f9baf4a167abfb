"""The gateway's process in the simulation: it starts, dies at any call of a port, starts again; its own code is the real one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ghtrader.core.errors import StoreError
from ghtrader.core.messages import ParamValue, Verb
from ghtrader.ports.live_feed import LiveTick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.outlets import StreamOutlets
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.warm_side import WarmSide
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.kill.events import WriteKill
from ghtrader.trading.simulation.media import SimJournalStore
from ghtrader.trading.simulation.redis import RedisEnd
from ghtrader.trading.simulation.world import Crash
from ghtrader.trading.state.publish import StatePublisher
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.words import MarketView

if TYPE_CHECKING:
    from ghtrader.trading.simulation.run import SimRun

__all__ = ["SimGateway", "slowed"]


def slowed(base: type[GatewayShell], later: Callable[[Callable[[], None]], None]) -> type[GatewayShell]:
    """A gateway whose kill file is written by something slow: `events.KillWritten` comes later, and much may come before it."""

    class Slow(base):  # type: ignore[valid-type, misc]
        def _write_kill(self, write: WriteKill) -> None:
            def written() -> None:
                super(Slow, self)._write_kill(write)
                self._drain()

            later(written)

    return Slow


@dataclass
class _Parts:
    """What belongs to one run of the gateway."""

    shell: GatewayShell
    outlets: StreamOutlets
    warm: WarmSide


class SimGateway:
    """One account's gateway, over all its lives. build: the shell; slow: its kill file is written late."""

    def __init__(self, run: SimRun, build: type[GatewayShell], *, slow: bool) -> None:
        self._run = run
        self._build = slowed(build, self._write_later) if slow else build
        self._parts: _Parts | None = None
        self._writes: deque[Callable[[], None]] = deque()
        self._life = 0
        self.restarts = self.max_dedupe = 0
        self.feed_up = True
        self._told: set[str] = set()

    @property
    def shell(self) -> GatewayShell | None:
        """The one that runs."""
        return None if self._parts is None else self._parts.shell

    # --- life -----------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start a run; everything it needs is told again."""
        if self._parts is None:
            self._run.disk.full = False
            self._run.crash.armed = True
            self.guarded(self._start)

    def _start(self) -> None:
        run, world = self._run, self._run.world
        self._life += 1
        kill = run.kill_store(run.disk, run.crash, run.judge.look_at_kill)
        redis = RedisEnd(run.redis, run.crash)
        warm = WarmSide(StatePublisher((redis,), (redis,)), (redis,))

        def publish(document: StateDocument) -> tuple[str, ...]:
            run.crash("publish")
            run.judge.published(document)
            return warm.publish(document)

        def tell(name: str, fields: dict[str, str | int | float | bool]) -> None:
            world.note("tell", name, *(f"{key}={value}" for key, value in sorted(fields.items())))

        outlets = StreamOutlets(
            run.stream.end(), f"gateway-{self._life}", world.clock, publish=publish, tell=tell,
            replies=dict.fromkeys(warm.ways, warm.reply),
        )  # fmt: skip
        journal = Journal(SimJournalStore(run.disk, world, run.crash), run.settings.account)
        shell = self._build(run.settings, journal, kill, run.link, outlets, world.clock)
        self._parts = _Parts(shell, outlets, warm)
        now = world.clock.now_ns()
        shell.handle(ev.PreflightDone(now_ns=now, red=()))
        shell.handle(ev.FeedLinkChanged(now_ns=now, up=self.feed_up))
        if not shell.state.desired.symbols:
            wanted: dict[str, ParamValue] = {"mode": "paper", "symbols": [run.alias]}
            run.people.give(Verb.SET_DESIRED, params=wanted)
        self.tell_day()
        run.link.reconnect()

    def guarded(self, what: Callable[[], None]) -> None:
        """Let the gateway do something; it may die of it."""
        try:
            what()
        except Crash as crash:
            self.die(power=crash.power)
        except StoreError as error:
            self._run.world.note("gateway gave up", error.message)
            self.die(power=False)

    def die(self, *, power: bool) -> None:
        """The process is gone; something starts it again."""
        run = self._run
        self._parts = None
        run.crash.armed = False
        self.restarts += 1
        self._writes.clear()
        run.disk.die(power=power)
        run.judge.look_at_kill()
        run.world.note("died", "power" if power else "kill", "disk", sum(map(len, run.disk.segments.values())))
        run.world.after(run.world.delay(200, 20_000), self.start)

    def _write_later(self, write: Callable[[], None]) -> None:
        """Writes of the kill file are done one after the other."""
        life = self._life
        self._writes.append(write)

        def do() -> None:
            if self._writes and life == self._life:
                self.guarded(self._writes.popleft())

        self._run.world.after(self._run.world.delay(1, 2500), do)

    # --- what reaches it ------------------------------------------------------------------------------------------------
    def tell_day(self) -> None:
        """The trading day, with facts of the main contract and of all that is held."""
        if self._parts is not None:
            run, shell = self._run, self._parts.shell
            self._told = {*shell.state.positions.symbols(), run.contract}
            days = {symbol: run.day_facts[symbol, run.day] for symbol in sorted(self._told)}
            contracts = {run.alias: run.contract}
            shell.handle(ev.DayBegan(now_ns=run.world.clock.now_ns(), trading_day=run.day, contracts=contracts, days=days))

    def handle(self, event: ev.Event) -> None:
        """An event; nobody hears it while the gateway is dead."""
        if self._parts is not None:
            shell = self._parts.shell
            self.guarded(lambda: shell.handle(event))
            self.max_dedupe = max(self.max_dedupe, len(shell.state.dedupe))

    def wake(self) -> None:
        """The broker has something to say."""
        parts = self._parts
        if parts is not None:
            world = self._run.world
            world.at(world.clock.true_ns, lambda: self._pump(parts))

    def _pump(self, parts: _Parts) -> None:
        if parts is self._parts:
            self.guarded(lambda: (parts.shell.pump(), None)[1])

    def tick(self, tick: LiveTick, market: Callable[[int], MarketView]) -> None:
        """A tick of the feed: to the strategy under its number, then to the core."""
        parts = self._parts
        if parts is not None:
            view = market(parts.outlets.tick(tick))
            self.handle(ev.TickArrived(now_ns=self._run.world.clock.now_ns(), market=view))

    def set_feed(self, *, up: bool) -> None:
        """The feed is live, or not."""
        self.feed_up = up
        self.handle(ev.FeedLinkChanged(now_ns=self._run.world.clock.now_ns(), up=up))

    def turn(self) -> int:
        """What the process does all the time: the kill file, commands of the slower ways, the clock, a beat; ns until the next turn."""
        for what in (self._look, self._commands, self._clock, self._beat):
            if self._parts is not None:
                self.guarded(what)
        return self._run.world.delay(550, 800)

    def _look(self) -> None:
        assert self._parts is not None
        self._parts.shell.look_at_kill()

    def _commands(self) -> None:
        assert self._parts is not None
        for request in self._parts.warm.receive():
            self.handle(ev.CommandArrived(now_ns=self._run.world.clock.now_ns(), command=request.command, source=request.source))

    def _clock(self) -> None:
        assert self._parts is not None
        shell = self._parts.shell
        shell.tick_clock()
        if not self._told.issuperset(shell.state.positions.symbols()):
            self.tell_day()

    def _beat(self) -> None:
        assert self._parts is not None
        self._parts.outlets.beat(str(self._parts.shell.state.mode))
