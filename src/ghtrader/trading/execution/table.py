"""Who may send orders of a contract: one executor at a time, and the states of all of them."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.trading.execution.direct import DirectState, start_direct, step_direct
from ghtrader.trading.execution.executor import ExecPhase, ExecutorState, step_executor
from ghtrader.trading.execution.goals import Effect, Event, ExecView, TargetChanged
from ghtrader.trading.words import OrderIntent

__all__ = ["DIRECT", "TARGET", "ExecutorTable"]

#: Owners of a contract, for `ExecutorTable.claim`; a kill or a roll claims under its own name.
TARGET, DIRECT = "target", "direct"
IDLE = ExecPhase.IDLE


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    targets: dict[str, ExecutorState] = {}
    directs: dict[str, DirectState] = {}
    claims: dict[str, str] = {}


class ExecutorTable:
    """Owned by one thread. A contract belongs to whoever claimed it first until it is released.

    >>> table = ExecutorTable()
    >>> table.claim("SHFE.rb2510", "target"), table.claim("SHFE.rb2510", "direct"), table.owner("SHFE.rb2510")
    (True, False, 'target')
    """

    def __init__(self) -> None:
        self._targets: dict[str, ExecutorState] = {}
        self._directs: dict[str, DirectState] = {}
        self._claims: dict[str, str] = {}

    # --- claims ---------------------------------------------------------------------------------------------------------
    def claim(self, symbol: str, owner: str) -> bool:
        """Whether ``owner`` may send orders of the contract from now on; claiming what is held already is granted."""
        return self._claims.setdefault(symbol, owner) == owner

    def owner(self, symbol: str) -> str:
        """Who holds a contract; empty for nobody."""
        return self._claims.get(symbol, "")

    def release(self, symbol: str, owner: str) -> None:
        """Give a contract back; nothing happens when somebody else holds it."""
        if self._claims.get(symbol) == owner:
            del self._claims[symbol]

    # --- steps ----------------------------------------------------------------------------------------------------------
    def step(self, symbol: str, event: Event, view: ExecView) -> tuple[Effect, ...]:
        """Give an event to whoever trades the contract. A target claims it for the target executor, which releases it when it is done.

        A target for a contract that a direct order holds is not taken: `accepts_target` says so before.
        """
        if symbol in self._directs:
            moved, effects = step_direct(self._directs[symbol], event, view)
            self._directs[symbol] = moved
            if moved.phase is IDLE:
                del self._directs[symbol]
                self.release(symbol, DIRECT)
            return effects
        if isinstance(event, TargetChanged) and not self.claim(symbol, TARGET):
            return ()
        before = self._targets.get(symbol)
        if before is None:
            if not isinstance(event, TargetChanged):
                return ()
            before = ExecutorState(symbol=symbol)
        after, effects = step_executor(before, event, view)
        self._targets[symbol] = after
        if after.phase is IDLE:
            del self._targets[symbol]
            self.release(symbol, TARGET)
        return effects

    def accepts_target(self, symbol: str) -> bool:
        """Whether a target of the contract would be taken."""
        return self._claims.get(symbol, TARGET) == TARGET

    def place(self, intent: OrderIntent, view: ExecView) -> tuple[Effect, ...] | None:
        """A direct order; None when somebody holds the contract or something of it is in flight."""
        if not self.claim(intent.symbol, DIRECT) or intent.symbol in self._directs:
            return None
        state, effects = start_direct(intent, view)
        if state is None:
            self.release(intent.symbol, DIRECT)
            return None
        self._directs[intent.symbol] = state
        return effects

    # --- what stands ----------------------------------------------------------------------------------------------------
    def get(self, symbol: str) -> ExecutorState | DirectState | None:
        """Who trades a contract now."""
        return self._directs.get(symbol) or self._targets.get(symbol)

    def symbols(self) -> tuple[str, ...]:
        """Contracts that somebody trades, sorted."""
        return tuple(sorted({*self._targets, *self._directs}))

    def wake_ns(self) -> int:
        """The earliest time at which one of them wants a `Timer`; 0 for never."""
        return min((state.wake_ns for state in self._targets.values() if state.wake_ns), default=0)

    def due(self, now_ns: int) -> tuple[str, ...]:
        """Contracts whose timer has run out, sorted."""
        return tuple(sorted(symbol for symbol, state in self._targets.items() if state.wake_ns and state.wake_ns <= now_ns))

    def to_document(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        document: dict[str, Any] = msgspec.to_builtins(
            _Document(targets=self._targets, directs=self._directs, claims=self._claims)
        )
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> ExecutorTable:
        """The table of `to_document`. Raises `msgspec.ValidationError` for anything else."""
        known = msgspec.convert(document, _Document)
        table = cls()
        table._targets, table._directs, table._claims = dict(known.targets), dict(known.directs), dict(known.claims)
        return table
