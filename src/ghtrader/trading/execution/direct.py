"""One order as an operator asked for it: placed once, watched to its end, never followed by another."""

from __future__ import annotations

import msgspec

from ghtrader.core.orders import OrderKind
from ghtrader.trading.execution.executor import EXECUTOR_STEPS, ExecPhase, ExecSignal
from ghtrader.trading.execution.goals import (
    CancelWorking,
    Done,
    DoneReason,
    Effect,
    Event,
    ExecView,
    Place,
    PlaceRefused,
    Stop,
)
from ghtrader.trading.words import OrderIntent

__all__ = ["DirectState", "start_direct", "step_direct"]


class DirectState(msgspec.Struct, frozen=True, kw_only=True):
    """A direct order: what it is and how far it has come; IDLE is its end."""

    intent: OrderIntent
    phase: ExecPhase = ExecPhase.PLACED
    placed_position: int = 0

    @property
    def symbol(self) -> str:
        """Its contract."""
        return self.intent.symbol


def start_direct(intent: OrderIntent, view: ExecView) -> tuple[DirectState | None, tuple[Effect, ...]]:
    """Place an order now; None and a reason where something of the contract is in flight already."""
    if view.working:
        return None, (Done(symbol=intent.symbol, reason=DoneReason.FROZEN, missing=intent.side * intent.lots),)
    return DirectState(intent=intent, placed_position=view.position), (Place(intent=intent),)


def step_direct(state: DirectState, event: Event, view: ExecView) -> tuple[DirectState, tuple[Effect, ...]]:
    """The order after an event. `Stop` cancels what rests of it."""
    if state.phase is ExecPhase.IDLE:
        return state, ()
    order = next((order for order in view.working if not order.adopted), None)
    if isinstance(event, PlaceRefused) or order is None:
        return _ended(state, view, refused=isinstance(event, PlaceRefused))
    rests = order.intent.kind is OrderKind.GFD and not order.phase.is_final
    if isinstance(event, Stop) and state.phase is ExecPhase.PLACED and rests:
        moved = msgspec.structs.replace(state, phase=EXECUTOR_STEPS[(state.phase, ExecSignal.ASK_CANCEL)])
        return moved, (CancelWorking(client_order_id=order.client_order_id, reason="stopped"),)
    return state, ()


def _ended(state: DirectState, view: ExecView, *, refused: bool) -> tuple[DirectState, tuple[Effect, ...]]:
    filled = (view.position - state.placed_position) * state.intent.side
    missing = state.intent.side * max(0, state.intent.lots - filled)
    stopped = state.phase is ExecPhase.CANCELLING
    reason = DoneReason.REACHED
    if missing:
        reason = DoneReason.REFUSED if refused else DoneReason.STOPPED if stopped else DoneReason.GIVEN_UP
    ready = EXECUTOR_STEPS[(state.phase, ExecSignal.ENDED)]
    moved = msgspec.structs.replace(state, phase=EXECUTOR_STEPS[(ready, ExecSignal.DONE)])
    return moved, (Done(symbol=state.symbol, reason=reason, missing=missing),)
