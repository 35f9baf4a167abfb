"""The score policies of the screening backtester, decision for decision: fills come from the account instead of a simulation.

`ghtrader.sim.policy_kernel` describes the machine. FLAT -> (strong score) ENTER -> HOLD -> (held long enough, or the score turned)
LEAVE -> FLAT; near the end of a session part every position is taken out.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.sim.policy import FLAT_BEFORE_NS, PolicySpec
from ghtrader.trading.strategy.api import Decision, Strategy, StrategyContext, TickView

__all__ = ["BUILTIN", "PolicyState", "ScorePolicy", "builtin_policy"]

BUILTIN: Final = ("passive", "taker")


class PolicyState(IntEnum):
    """Where the machine stands."""

    FLAT = 0
    ENTER = 1
    HOLD = 2
    LEAVE = 3


class ScorePolicy(Strategy):
    """`sim.policy_kernel.run_day` as a strategy: ``spec.name`` is ``passive`` or ``taker``.

    threshold: of the score; NaN: that of the model's card. flat_before_ns: out of the market so long before a session part ends.
    """

    def __init__(self, spec: PolicySpec, *, threshold: float = math.nan, flat_before_ns: int = FLAT_BEFORE_NS) -> None:
        self.spec = spec
        self.state = PolicyState.FLAT
        self._threshold = threshold
        self._flat_before = flat_before_ns
        self._passive = spec.name == "passive"
        self._waits = ExecutionStyle(style=Style.PASSIVE, patience_ns=spec.patience_ns)
        self._takes = ExecutionStyle(style=Style.TAKER, patience_ns=spec.patience_ns)
        self._clears = ExecutionStyle(style=Style.SWEEP, patience_ns=spec.patience_ns)
        self._stops = ExecutionStyle(style=Style.STOP)
        self._forget()

    def _forget(self) -> None:
        self.state = PolicyState.FLAT
        self._entered = 0
        self._direction = 0
        self._sent_ns = 0
        self._may_stop = False

    def on_start(self, context: StrategyContext) -> None:
        """Begin anew; what the account holds is taken over at the first tick."""
        self._forget()
        if math.isnan(self._threshold):
            self._threshold = context.threshold

    def on_tick(self, view: TickView) -> Decision | None:
        """One step of the machine."""
        has_order = not view.settled or view.working != 0
        if not has_order:
            self._order_ended(view)
        if not view.can_trade:
            return None
        left = view.part_end_ns - view.ts_ns
        closing = left <= self._flat_before
        if has_order:
            return self._stop(view) if closing else None
        if self.state is PolicyState.FLAT:
            return None if closing or left <= self._flat_before + self.spec.hold_ns else self._enter(view)
        return self._leave(view, closing=closing)

    def _order_ended(self, view: TickView) -> None:
        """What the end of an order, or an account that others moved, makes of the state."""
        held = view.position != 0
        if held and self.state in (PolicyState.FLAT, PolicyState.ENTER):
            self._entered = view.ts_ns
        if held:
            self._direction = 1 if view.position > 0 else -1
        self.state = PolicyState.HOLD if held else PolicyState.FLAT

    def _enter(self, view: TickView) -> Decision | None:
        if not abs(view.score) >= self._threshold:  # nor where either is NaN
            return None
        self._direction = 1 if view.score > 0 else -1
        self.state = PolicyState.ENTER
        return self._order(view, self._direction * self.spec.lots, takes=not self._passive, note="enter")

    def _leave(self, view: TickView, *, closing: bool) -> Decision | None:
        spec, held_ns = self.spec, view.ts_ns - self._entered
        turned = view.score * self._direction <= -self._threshold
        if not (held_ns >= spec.hold_ns or turned or closing):
            return None
        self.state = PolicyState.LEAVE
        waited = held_ns >= spec.hold_ns + spec.patience_ns + spec.latency_ns
        note = "session part ends" if closing else "score turned" if turned else "held long enough"
        return self._order(view, 0, takes=not self._passive or turned or closing or waited, note=note)

    def _order(self, view: TickView, lots: int, *, takes: bool, note: str) -> Decision:
        self._sent_ns, self._may_stop = view.ts_ns, not takes
        # who leaves takes whatever price there is: the screening has no limit there
        style = self._waits if not takes else self._takes if lots else self._clears
        return Decision(lots, style, note, True)

    def _stop(self, view: TickView) -> Decision | None:
        """Cancel an order that rests; one on its way, or whose patience has ended, is left alone."""
        waited = view.ts_ns - self._sent_ns
        if not self._may_stop or not view.settled or not self.spec.latency_ns <= waited < self.spec.patience_ns:
            return None
        self._may_stop = False
        return Decision(view.position, self._stops, "session part ends", True)


def builtin_policy(name: str, spec: PolicySpec) -> ScorePolicy:
    """A built-in strategy by name; the rest of ``spec`` as it is.

    >>> builtin_policy("taker", PolicySpec(name="passive", lots=2)).spec.lots
    2
    """
    return ScorePolicy(
        PolicySpec(name=name, lots=spec.lots, latency_ns=spec.latency_ns, hold_ns=spec.hold_ns, patience_ns=spec.patience_ns)
    )
