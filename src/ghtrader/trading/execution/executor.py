"""One contract's executor: from the wanted position to orders, one at a time.

`step_executor` knows the orders only through the view, which must hold what was placed at the event before (or `PlaceRefused` says that
the gate let it not pass). Laws: an order is placed only while nothing of the contract is in flight, so there are never two, and never for
more lots than are missing; what is unknown or not ours blocks; a new target cancels what works and waits for its end; a reversal closes
before it opens. Orders are placed on a target or a tick, never on an order's end or a timer: what the venue did at a tick is known
before anything is decided on it, as in the screening backtester.

Styles: TAKER, SWEEP and PASSIVE send one order a piece (close, close today, open); one that ends short ends the goal, and the
strategy may set the target again. CHASE and TWAP go on until the target is reached, or three orders in a row were refused.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.core.messages import Style
from ghtrader.core.orders import OrderKind, Side
from ghtrader.trading.execution.goals import (
    CancelWorking,
    Done,
    DoneReason,
    Effect,
    Event,
    ExecView,
    Goal,
    OrderDone,
    Place,
    PlaceRefused,
    Stop,
    TargetChanged,
    Tick,
)
from ghtrader.trading.execution.styles import Wish, wanted_change, wish_of
from ghtrader.trading.orders.machine import OrderPhase, OrderRecord
from ghtrader.trading.orders.positions import split_change
from ghtrader.trading.words import OrderIntent

__all__ = ["EXECUTOR_STEPS", "MOST_REFUSED", "RETRY_NS", "ExecPhase", "ExecSignal", "ExecutorState", "step_executor"]

#: Orders of a persistent style that the venue or the gate may refuse in a row before it gives up, and the pause after each.
MOST_REFUSED = 3
RETRY_NS = 1_000_000_000
ONE_SHOT = frozenset({Style.TAKER, Style.SWEEP, Style.PASSIVE})


class ExecPhase(StrEnum):
    """Where an executor stands.

    IDLE: nothing to do. READY: an order is wanted at the next tick that allows it. PLACED: one is out. CANCELLING: its cancel
    was asked for.
    """

    IDLE = "idle"
    READY = "ready"
    PLACED = "placed"
    CANCELLING = "cancelling"


class ExecSignal(StrEnum):
    """What moves an executor."""

    WISH = "wish"
    PLACE = "place"
    ASK_CANCEL = "ask_cancel"
    ENDED = "ended"
    DONE = "done"


#: Every legal step; `_move` raises KeyError for any other, which no sequence of events reaches.
EXECUTOR_STEPS: dict[tuple[ExecPhase, ExecSignal], ExecPhase] = {
    (ExecPhase.IDLE, ExecSignal.WISH): ExecPhase.READY,
    (ExecPhase.READY, ExecSignal.WISH): ExecPhase.READY,
    (ExecPhase.READY, ExecSignal.PLACE): ExecPhase.PLACED,
    (ExecPhase.READY, ExecSignal.DONE): ExecPhase.IDLE,
    (ExecPhase.PLACED, ExecSignal.WISH): ExecPhase.PLACED,
    (ExecPhase.PLACED, ExecSignal.ASK_CANCEL): ExecPhase.CANCELLING,
    (ExecPhase.PLACED, ExecSignal.ENDED): ExecPhase.READY,
    (ExecPhase.CANCELLING, ExecSignal.WISH): ExecPhase.CANCELLING,
    (ExecPhase.CANCELLING, ExecSignal.ASK_CANCEL): ExecPhase.CANCELLING,
    (ExecPhase.CANCELLING, ExecSignal.ENDED): ExecPhase.READY,
}
#: The members that are asked for at every tick, as plain names: to look one up in its class takes longer than to compare it.
READY, PLACED, CANCELLING = ExecPhase.READY, ExecPhase.PLACED, ExecPhase.CANCELLING
WISH, PLACE, ASK_CANCEL, ENDED, DONE = tuple(ExecSignal)
INSTANT = frozenset({Style.TAKER, Style.PASSIVE})
CHASE, TWAP, STOP = Style.CHASE, Style.TWAP, Style.STOP
BUY, SELL, GFD, FAK, UNKNOWN = Side.BUY, Side.SELL, OrderKind.GFD, OrderKind.FAK, OrderPhase.UNKNOWN


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an executor remembers; the orders themselves are the book's.

    goal: None when there is none (and after a stop). wake_ns: when it wants a `Timer`, 0 for never. placed_*: of its last order;
    order_id: of the one that is out, once the view showed it. slice: of a TWAP, the last one that got an order. not_before_ns: the
    pause after a refusal. cancelled_unseen: the cancel was asked for before the venue had the order.
    """

    symbol: str
    phase: ExecPhase = ExecPhase.IDLE
    goal: Goal | None = None
    wake_ns: int = 0
    order_id: str = ""
    placed_lots: int = 0
    placed_side: int = 0
    placed_price: int = 0
    placed_position: int = 0
    placed_kind: int = 0
    slice: int = -1
    not_before_ns: int = 0
    cancelled_unseen: bool = False

    @property
    def is_superseded(self) -> bool:
        """The order that is out was not sent for the present goal."""
        return self.goal is None or self.goal.pieces == 0


def step_executor(state: ExecutorState, event: Event, view: ExecView) -> tuple[ExecutorState, tuple[Effect, ...]]:
    """The executor after an event, and what it asks for, in order."""
    if isinstance(event, PlaceRefused):
        return _refused(state, view, DoneReason.REFUSED) if state.phase is PLACED else (state, ())
    effects: tuple[Effect, ...] = ()
    if state.phase is PLACED or state.phase is CANCELLING:
        state, effects = _after_end(state, view, event.phase if isinstance(event, OrderDone) else None)
    if isinstance(event, TargetChanged):
        state, more = _take_target(state, event, view)
    elif isinstance(event, Stop):
        state, more = _stop(state, view, at_once=True)
    elif isinstance(event, OrderDone):
        more = ()
    elif state.phase is READY:
        state, more = _act(state, view) if isinstance(event, Tick) else (state, ())
    else:
        state, more = _watch(state, view)
    return state, (*effects, *more) if effects else more


def _move(state: ExecutorState, signal: ExecSignal, **changes: object) -> ExecutorState:
    return msgspec.structs.replace(state, phase=EXECUTOR_STEPS[(state.phase, signal)], **changes)


def _own(state: ExecutorState, view: ExecView) -> OrderRecord | None:
    """The order that is out. Before it was seen: the newest of the contract that is ours, for nothing was in flight when it was placed."""
    if state.order_id:
        return next((order for order in view.working if order.client_order_id == state.order_id), None)
    return max((order for order in view.working if not order.adopted), key=lambda order: order.created_ns, default=None)


def _is_reached(goal: Goal, view: ExecView) -> bool:
    return goal.lots == view.position and not (view.pairs and goal.leaves_nothing)


def _finish(state: ExecutorState, view: ExecView, reason: DoneReason) -> tuple[ExecutorState, tuple[Effect, ...]]:
    missing = 0 if state.goal is None else state.goal.lots - view.position
    done = Done(symbol=state.symbol, reason=reason, missing=missing)
    return _move(state, DONE, goal=None, wake_ns=0, not_before_ns=0), (done,)


# --- an order's end -----------------------------------------------------------------------------------------------------------
def _after_end(state: ExecutorState, view: ExecView, phase: OrderPhase | None) -> tuple[ExecutorState, tuple[Effect, ...]]:
    """Notice that the order is no longer there, by the view: whether or not anybody said so."""
    order = _own(state, view)
    if order is not None:
        return msgspec.structs.replace(state, order_id=order.client_order_id), ()
    filled = (view.position - state.placed_position) * state.placed_side
    superseded, goal = state.is_superseded, state.goal
    state = _move(state, ENDED, wake_ns=0, order_id="")
    if goal is None:
        return _finish(state, view, DoneReason.STOPPED)
    if _is_reached(goal, view):
        return _finish(state, view, DoneReason.REACHED)
    if superseded:
        return state, ()
    if phase in {OrderPhase.REJECTED, OrderPhase.LOST}:
        return _count_refusal(state, view, DoneReason.REJECTED)
    complete = filled >= state.placed_lots
    last_of_twap = goal.execution.style is TWAP and state.placed_kind == FAK
    if not complete and (goal.execution.style in ONE_SHOT or last_of_twap):
        return _finish(state, view, DoneReason.GIVEN_UP)
    kept = msgspec.structs.replace(goal, refused=0)
    return msgspec.structs.replace(state, goal=kept, slice=state.slice - 1 if complete else state.slice), ()


def _refused(state: ExecutorState, view: ExecView, reason: DoneReason) -> tuple[ExecutorState, tuple[Effect, ...]]:
    state = _move(state, ENDED, wake_ns=0, order_id="")
    return _count_refusal(state, view, reason)


def _count_refusal(state: ExecutorState, view: ExecView, reason: DoneReason) -> tuple[ExecutorState, tuple[Effect, ...]]:
    goal = state.goal
    if goal is None or goal.execution.style in ONE_SHOT or goal.refused + 1 >= MOST_REFUSED:
        return _finish(state, view, reason)
    counted = msgspec.structs.replace(goal, refused=goal.refused + 1)
    return msgspec.structs.replace(state, goal=counted, not_before_ns=view.now_ns + RETRY_NS, slice=state.slice - 1), ()


# --- what is wanted -----------------------------------------------------------------------------------------------------------
def _take_target(state: ExecutorState, event: TargetChanged, view: ExecView) -> tuple[ExecutorState, tuple[Effect, ...]]:
    if event.execution.style is STOP:
        return _stop(state, view, at_once=False)
    goal = state.goal
    same = goal is not None and (goal.lots, goal.execution, goal.origin) == (event.lots, event.execution, event.origin)
    ends_anyway = state.phase is CANCELLING and goal is not None and goal.execution.style in ONE_SHOT
    if not same or ends_anyway:
        wanted = Goal(
            lots=event.lots,
            execution=event.execution,
            origin=event.origin,
            cause=event.cause,
            note=event.note,
            started_ns=view.now_ns,
            started_lots=view.position,
        )
        state = _move(state, WISH, goal=wanted, slice=-1, not_before_ns=0)
    return _act(state, view) if state.phase is READY else _watch(state, view)


def _stop(state: ExecutorState, view: ExecView, *, at_once: bool) -> tuple[ExecutorState, tuple[Effect, ...]]:
    """Give up the goal. at_once: the cancel does not wait until the venue has the order."""
    if state.phase is READY:
        return _finish(state, view, DoneReason.STOPPED)
    order = _own(state, view)
    stopped = msgspec.structs.replace(state, goal=None)
    if at_once and state.phase is PLACED and order is not None and _may_cancel(order):
        return _cancel(stopped, order, "stopped")
    return _watch(stopped, view)


def _act(state: ExecutorState, view: ExecView) -> tuple[ExecutorState, tuple[Effect, ...]]:
    """Place the next order of the goal, if it may be placed now."""
    goal = state.goal
    assert goal is not None, "an executor is READY for a goal only"
    if view.working or view.now_ns < state.not_before_ns:
        return state, ()
    position = view.position
    if goal.lots != position:
        change, part = wanted_change(goal, position, view.now_ns, state.slice)
    elif _is_reached(goal, view):
        return _finish(state, view, DoneReason.REACHED)
    else:  # long and short are alike: the long lots go first, which leaves the short ones to be closed
        change, part = -view.pairs, state.slice
    if change == 0:
        return state, ()
    wish = wish_of(goal, BUY if change > 0 else SELL, view)
    if wish is None:
        return _finish(state, view, DoneReason.NOT_TRADABLE) if goal.execution.style in INSTANT else (state, ())
    intent = _first_piece(state.symbol, goal, change, wish, view)
    if intent is None:
        return _finish(state, view, DoneReason.FROZEN)
    state = msgspec.structs.replace(
        state,
        phase=EXECUTOR_STEPS[(state.phase, PLACE)],
        goal=msgspec.structs.replace(goal, pieces=goal.pieces + 1),
        wake_ns=wish.cancel_ns,
        order_id="",
        placed_lots=intent.lots,
        placed_side=int(intent.side),
        placed_price=intent.price_ticks,
        placed_position=position,
        placed_kind=int(intent.kind),
        slice=part,
        cancelled_unseen=False,
    )
    return state, (Place(intent=intent),)


def _first_piece(symbol: str, goal: Goal, change: int, wish: Wish, view: ExecView) -> OrderIntent | None:
    pieces = split_change(view.held, change)
    if not pieces:
        return None
    side, offset, lots = pieces[0]
    most = view.most_lots
    return OrderIntent(
        symbol=symbol,
        side=side,
        offset=offset,
        lots=most if 0 < most < lots else lots,
        price_ticks=wish.price_ticks,
        kind=wish.kind,
        origin=goal.origin,
        cause=goal.cause,
        note=goal.note,
    )


# --- what is out --------------------------------------------------------------------------------------------------------------
def _watch(state: ExecutorState, view: ExecView) -> tuple[ExecutorState, tuple[Effect, ...]]:
    """Cancel the order that is out when it is no longer wanted."""
    order = _own(state, view)
    if order is None or not _may_cancel(order):
        return state, ()
    if state.phase is CANCELLING:
        return _cancel(state, order, "acknowledged late") if state.cancelled_unseen and order.acked else (state, ())
    if state.phase is not PLACED:
        return state, ()
    seen = order.acked or order.phase is UNKNOWN
    if state.is_superseded and seen:
        return _cancel(state, order, "target changed")
    if state.wake_ns and view.now_ns >= state.wake_ns:
        return _cancel(state, order, "patience is over")
    if seen and _moved_away(state, view):
        return _cancel(state, order, "the touch moved away")
    return state, ()


def _may_cancel(order: OrderRecord) -> bool:
    """Whether something of the order can still rest: it is a day order and has not ended."""
    return order.intent.kind is GFD and not order.phase.is_final


def _moved_away(state: ExecutorState, view: ExecView) -> bool:
    """Whether a chasing order stands behind the touch."""
    market = view.market
    if state.goal is None or state.goal.execution.style is not CHASE or market is None or not market.continuous:
        return False
    touch = market.bid if state.placed_side == BUY else market.ask
    return touch is not None and (touch - state.placed_price) * state.placed_side > 0


def _cancel(state: ExecutorState, order: OrderRecord, reason: str) -> tuple[ExecutorState, tuple[Effect, ...]]:
    state = _move(state, ASK_CANCEL, wake_ns=0, cancelled_unseen=not order.acked)
    return state, (CancelWorking(client_order_id=order.client_order_id, reason=reason),)
