"""People and their tools: commands at random, kills in every phase, ``ghtrader kill``, another terminal, clumsy hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ghtrader.core.errors import StoreError
from ghtrader.core.messages import Command, Style, Verb
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import OrderRequest
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.kill.events import Rehydrated, Trigger, WriteKill
from ghtrader.trading.kill.machine import RESET_CONFIRMATION, initial_kill, step_kill
from ghtrader.trading.kill.record import KillPhase, KillPolicy, decode_kill
from ghtrader.trading.kill.table import KillStage
from ghtrader.trading.simulation.lies import TRADED_BEFORE
from ghtrader.trading.simulation.media import CrashPoints

if TYPE_CHECKING:
    from ghtrader.trading.simulation.run import SimRun

__all__ = ["People"]

#: Lots that another terminal may bring a contract to, either way.
OTHERS_LOTS = 3


class People:
    """Everybody who is not a program of the gateway."""

    def __init__(self, run: SimRun) -> None:
        self._run = run
        self._others = 0
        self.commands: dict[str, Command] = {}
        self._acts: tuple[Callable[[], None], ...] = (
            self._kill, self._kill, self._kill_beside, self._kill_beside, self._reset, self._reset, self._reset, self._reset_wrongly,
            self._damage, self._put_back, self._stick, self._blind,
        )  # fmt: skip

    # --- commands -------------------------------------------------------------------------------------------------------
    def give(self, verb: Verb, **fields: object) -> None:
        """Give a command, by the socket or by Redis, or by both."""
        run, chance = self._run, self._run.world.chance
        name = f"c{len(self.commands)}"
        told = {"reason": name, **fields}
        command = Command(
            command_id=name, account=run.settings.account, verb=verb, actor="operator", ts_ns=run.world.clock.now_ns(),
            **told,  # type: ignore[arg-type]
        )  # fmt: skip
        self.commands[name] = command
        if verb is Verb.RESET_RISK_KILL and command.confirm == RESET_CONFIRMATION:
            run.judge.reset_given("operator", name)
        drawn = chance.random()
        if drawn < 0.7:
            run.gateway.handle(ev.CommandArrived(now_ns=run.world.clock.now_ns(), command=command, source="socket"))
        if drawn > 0.5:
            for _ in range(chance.choice((1, 1, 2))):
                run.world.after(run.world.delay(1, 3000), lambda: run.redis.add(command))

    def operate(self) -> int:
        """One thing that an operator does; ns until the next."""
        chance = self._run.world.chance
        drawn = chance.random()
        if drawn < 0.3:
            self._trade()
        elif drawn < 0.5:
            self.give(chance.choice((Verb.CANCEL_ALL, Verb.FLATTEN)))
        elif drawn < 0.65:
            self.give(Verb.RELOAD)
        elif drawn < 0.8:
            self.storm()
        else:
            self._reset()
            self.give(Verb.RELOAD)
        return self._run.world.delay(4_000, 60_000)

    def storm(self) -> None:
        """Several things about the kill within a few seconds."""
        world = self._run.world
        for _ in range(world.chance.randint(1, 6)):
            world.after(world.delay(0, 4000), world.chance.choice(self._acts))

    def _trade(self) -> None:
        run, chance = self._run, self._run.world.chance
        if chance.random() < 0.6:
            lots, style = chance.randint(-4, 4), str(chance.choice(tuple(Style)))
            self.give(Verb.SET_TARGET, symbol=run.alias, lots=lots, params={"style": style})
        else:
            price = float(run.venue.prices.get(run.contract, 3000))
            self.give(Verb.PLACE_ORDER, symbol=run.contract, lots=chance.choice((-1, 1, 2)), params={"price": price})

    # --- the kill -------------------------------------------------------------------------------------------------------
    def _kill(self) -> None:
        self.give(Verb.KILL, params={"policy": self._run.world.chance.choice(("flatten", "cancel"))})

    def _reset(self) -> None:
        confirm = RESET_CONFIRMATION if self._run.world.chance.random() < 0.9 else "yes"
        self.give(Verb.RESET_RISK_KILL, confirm=confirm)

    def _reset_wrongly(self) -> None:
        self.give(Verb.RESET_RISK_KILL, confirm="yes")

    def _kill_beside(self) -> None:
        """``ghtrader kill`` writes the file, whether or not a gateway lives."""
        run = self._run
        run.world.faults.counts["kill beside"] += 1
        store = run.kill_store(run.disk, CrashPoints(run.world), run.judge.look_at_kill)
        policy = run.world.chance.choice(tuple(KillPolicy))
        trigger = Trigger(actor="beside", reason="by hand", ts_ns=run.world.clock.now_ns(), trading_day="", policy=policy)
        try:
            content = store.read()
        except StoreError:
            content = b""
        state, _ = step_kill(initial_kill(run.settings.account), Rehydrated(content=content, had_journal=bool(run.disk.segments)))
        _, effects = step_kill(state, trigger)
        for effect in effects:
            if isinstance(effect, WriteKill):
                try:
                    store.write(effect.content)
                except StoreError as error:
                    run.world.note("kill beside failed", error.message)

    # --- the kill file --------------------------------------------------------------------------------------------------
    def _damage(self) -> None:
        if self._run.world.faults.hits("kill file damaged", 0.5):
            self._run.disk.damage_kill()
            self._run.judge.look_at_kill()

    def _put_back(self) -> None:
        """An old copy that says clear is put in the place of the file; of a kill that nobody has taken up, nobody could know then."""
        run = self._run
        copies = run.disk.clear_copies
        if run.world.faults.hits("old kill file put back", 0.5) and copies and self._is_known():
            run.disk.kill = run.disk.kill_durable = run.judge.put_back = run.world.chance.choice(copies)

    def _is_known(self) -> bool:
        """Whether the journal knows what stands in the file."""
        run, shell = self._run, self._run.gateway.shell
        if shell is None:
            return decode_kill(run.disk.kill, True).phase is KillPhase.CLEAR
        state = shell.state.kill
        settled = state.stage in {KillStage.CLEAR, KillStage.LATCHED, KillStage.UNREADABLE}
        return settled and state.content == run.disk.kill and state.journaled == state.record

    def _stick(self) -> None:
        run = self._run
        if run.world.faults.hits("kill file cannot be written", 0.5):
            run.disk.kill_stuck = True
            run.world.after(run.world.delay(500, 6000), run.disk.mend)

    def _blind(self) -> None:
        run = self._run
        if run.world.faults.hits("kill file cannot be read", 0.5):
            run.disk.kill_blind = True
            run.world.after(run.world.delay(500, 4000), run.disk.mend)

    # --- another terminal -----------------------------------------------------------------------------------------------
    def trade_elsewhere(self) -> int:
        """Somebody trades on the account by another terminal, in the contract that is not traded today."""
        run, chance = self._run, self._run.world.chance
        symbol, venue = run.other_contract, run.venue
        side, lots = chance.choice(tuple(Side)), chance.randint(1, 2)
        buys, sells = venue.working(symbol)
        quiet = abs(venue.net(symbol)) + buys + sells + lots <= OTHERS_LOTS and not run.closes_soon
        if quiet and run.world.faults.hits("another terminal", 0.3):
            self._send("other", symbol, side, lots, chance.choice((OrderKind.GFD, OrderKind.GFD, OrderKind.FAK)))
        return run.world.delay(10_000, 90_000)

    def trade_before(self) -> None:
        """Somebody has traded on the account today, some seconds before a gateway was ever started on it."""
        run, chance = self._run, self._run.world.chance
        run.world.faults.counts["traded before"] += 1
        for _ in range(chance.randint(1, 3)):
            symbol, side, lots = (
                chance.choice((run.contract, run.other_contract)),
                chance.choice(tuple(Side)),
                chance.randint(1, 2),
            )
            if abs(run.venue.net(symbol)) + lots <= OTHERS_LOTS:
                self._send(TRADED_BEFORE, symbol, side, lots, OrderKind.FAK)
        run.world.run_until(run.world.clock.true_ns + run.world.delay(5_000, 30_000))

    def _send(self, who: str, symbol: str, side: Side, lots: int, kind: OrderKind) -> None:
        self._others += 1
        request = OrderRequest(
            client_order_id=f"{who}-{self._others}", symbol=symbol, side=side, offset=Offset.OPEN, lots=lots,
            limit_price=float(self._run.venue.prices.get(symbol, 3000)), kind=kind,
        )  # fmt: skip
        self._run.venue.insert(request)
