"""Who wants positions: a generator of targets at random, which reaches every corner, or the real strategy runner on the stream.

The runner is `StrategyShell` and `StrategyCore` with the real link machine and real factors; in it decides the built-in policy, or a
strategy that wanders.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import cache

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.messages import ExecutionStyle, Heartbeat, Style, Target, TickDone
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.catalogue import factor
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.session import FeaturePlan
from ghtrader.ports.bus import FromStrategy, StreamFrame
from ghtrader.sim.policy import PolicySpec
from ghtrader.trading.link.machine import LinkLimits
from ghtrader.trading.simulation.judge import Judge
from ghtrader.trading.simulation.world import SECOND, World
from ghtrader.trading.strategy.api import Decision, Strategy, TickView
from ghtrader.trading.strategy.builtin import ScorePolicy
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.model import ModelBinding
from ghtrader.trading.strategy.shell import StrategyShell

__all__ = ["Generator", "Runner", "SendMessage", "random_style"]

SendMessage = Callable[[Target | Heartbeat], None]
BEAT_NS = SECOND
#: Order book imbalance: one division, so that every machine computes the same.
IMBALANCE = "F4"


def random_style(chance: random.Random) -> ExecutionStyle:
    """Any style, impatient."""
    style = chance.choice(tuple(Style))
    return ExecutionStyle(style=style, patience_ns=chance.randint(1, 8) * SECOND, duration_ns=6 * SECOND, slices=2)


class Generator:
    """Targets and beats at random, of contracts that are traded or were. It listens to nothing and halts for nothing."""

    def __init__(self, world: World, send: SendMessage, account: str, symbols: Callable[[], tuple[str, ...]]) -> None:
        self._world, self._send, self._account, self._symbols = world, send, account, symbols
        self._runs = 0
        self.restart()

    def restart(self) -> None:
        """Begin a new run."""
        self._runs += 1
        self._session, self._seq = f"run-{self._runs}", 0

    def hear(self, frame: StreamFrame) -> None:
        """Nothing is listened to."""

    def turn(self) -> int:
        """Say something; ns until the next turn."""
        chance, now = self._world.chance, self._world.clock.now_ns()
        if chance.random() < 0.6:
            self._seq += 1
            main, *others = self._symbols()
            symbol = chance.choice(others) if chance.random() < 0.1 else main
            lots, style = chance.randint(-6, 6), random_style(chance)
            self._send(Target(1, self._session, self._seq, self._account, symbol, lots, style, 0, now, now, 0.3))
        else:
            self._send(Heartbeat(1, self._session, self._seq, now, "strategy", "ready"))
        return self._world.delay(500, 6000)


class Wanderer(Strategy):
    """Wants another position now and then, for no reason; often before the last one is reached."""

    needs_model = False

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def on_tick(self, view: TickView) -> Decision | None:
        """Perhaps another position."""
        chance = self._chance
        if chance.random() > 0.25 or not (view.can_trade or chance.random() < 0.2):
            return None
        return Decision(chance.randint(-6, 6), random_style(chance), "wanders", chance.random() < 0.3)


class _Imbalance:
    """`ports.predictor.Predictor`: the heavier side of the book wins."""

    factor_names = (IMBALANCE,)
    artefact_hash = "simulated"

    def predict_proba(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities of down, flat, up."""
        up = (1.0 + factors[:, 0]) / 2.0
        return np.stack([1.0 - up, np.zeros(len(up)), up], axis=1)

    def to_bytes(self) -> bytes:
        """There is nothing to keep."""
        return b""


@cache
def _plan(symbol: str) -> FeaturePlan:
    chosen = FactorSet(name="simulated", factors=(factor(IMBALANCE),), set_hash="simulated")
    return FeaturePlan(symbol, chosen, Calendar.vendored(), InstrumentTable.vendored())


class Runner:
    """The strategy's process: a shell and a core on the stream. judge: sees what is heard and every target as it leaves."""

    def __init__(self, world: World, send: SendMessage, account: str, alias: str, judge: Judge) -> None:
        self._world, self._send, self._account, self._judge = world, send, account, judge
        self._binding = ModelBinding(symbol=alias, plan=_plan(alias), predictor=_Imbalance(), threshold=0.3)
        chance = world.chance
        spec = PolicySpec(
            name=chance.choice(("passive", "taker")), lots=chance.randint(1, 3), hold_ns=20 * SECOND, patience_ns=4 * SECOND
        )
        self._limits = LinkLimits(fail_after=chance.choice((1, 3, 3)))
        self._make: Callable[[], Strategy] = lambda: ScorePolicy(spec)
        if chance.random() < 0.5:
            self._make = lambda: Wanderer(chance)
        self._inbox: deque[StreamFrame] = deque()
        self._runs = 0
        self.restart()

    def restart(self) -> None:
        """The process dies and is started anew."""
        self._runs += 1
        self._inbox.clear()
        self._judge.runner_began()
        core = StrategyCore(self._account, f"runner-{self._runs}", (self._binding,), self._make, link=self._limits)
        self.shell = StrategyShell(core, self, self._world.clock, beat_ns=BEAT_NS)

    def turn(self) -> int:
        """Notice silence, give a sign of life; ns until the next turn."""
        self.shell.step(0.0)
        return self._world.delay(450, 900)

    # --- `ports.bus.StreamClient` -----------------------------------------------------------------------------------------
    unreadable = 0

    def hear(self, frame: StreamFrame) -> None:
        """A message of the gateway is there."""
        self._inbox.append(frame)
        self.shell.step(0.0)

    def receive(self, timeout_s: float = 0.0) -> list[StreamFrame]:
        """What has come."""
        del timeout_s
        found = list(self._inbox)
        self._inbox.clear()
        for frame in found:
            self._judge.runner_hears(frame)
        return found

    def send(self, message: FromStrategy) -> None:
        """Send to the gateway; credits are for a replay."""
        if isinstance(message, TickDone):
            return
        if isinstance(message, Target):
            self._judge.target_leaves(message)
        self._world.note("strategy", *msgspec.structs.astuple(message)[1:7])
        self._send(message)

    def close(self) -> None:
        """Hang up."""
