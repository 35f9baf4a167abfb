"""The kill in force: cancel whatever works, close what is held when policy says so, until nothing is left."""

from __future__ import annotations

from ghtrader.trading.execution import Stop
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.commands_flow import SWEEP, answer
from ghtrader.trading.gateway.orders_flow import ask_cancel, drive
from ghtrader.trading.gateway.targets_flow import can_close, flatten
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.kill.events import Persisted, PersistFailed, Seen
from ghtrader.trading.kill.table import KillStage
from ghtrader.trading.words import Origin

__all__ = ["enforce", "on_kill_seen", "on_kill_written"]


def on_kill_written(turn: Turn, event: ev.KillWritten) -> None:
    """The kill file stands, or could not be written."""
    state = turn.state
    state.kill_is_written = True
    outcome = Persisted(epoch=event.epoch) if event.ok else PersistFailed(epoch=event.epoch, message=event.message)
    turn.kill_event(outcome)
    if state.pending.resets and state.kill.stage != KillStage.CLEARING:
        waiting, state.pending.resets = state.pending.resets, []
        failed = "" if state.kill.stage == KillStage.CLEAR else "reset_failed"
        words = "the kill is cleared" if not failed else f"the kill stays: {event.message or state.kill.reason}"
        for source, command_id in waiting:
            answer(turn, source, command_id, failed, words)
    for symbol in state.traded():
        turn.view(symbol)


def on_kill_seen(turn: Turn, event: ev.KillSeen) -> None:
    """The kill file as it is on the disk now: somebody else may have written it."""
    turn.kill_event(Seen(content=event.content))


def enforce(turn: Turn) -> None:
    """While killed: cancel what works, and, when the kill says so and the account is reconciled, close what is held."""
    state = turn.state
    if not state.kill.killed or not state.kill_is_written or state.kill.stage in {KillStage.START, KillStage.FOUNDING}:
        return  # how the write of the kill file went is told at once, and what is cancelled then names the kill as its cause
    cause = state.kill_cause or state.kill_seq  # the kill; what led to it while its file cannot be written
    for symbol in state.executors.symbols():
        target = state.targets.get(symbol)
        if target is None or target.origin != Origin.KILL:
            drive(turn, symbol, Stop(), cause)
    for order in state.book.unsettled():
        if order.intent.origin != Origin.KILL and not order.phase.is_final and not order.cancel_asked:
            ask_cancel(turn, order.client_order_id, "kill", cause)
    may_close = state.enforced and state.kill.stage == KillStage.LATCHED
    others = any(order.intent.origin != Origin.KILL for order in state.book.unsettled())
    is_due = turn.now_ns - state.flattened_ns >= state.settings.requery_ns
    if not may_close or others or not is_due:
        return
    held = [symbol for symbol in state.positions.symbols() if state.positions.lots(symbol) and can_close(turn, symbol)]
    if held:
        state.flattened_ns = turn.now_ns
        flatten(turn, held, Origin.KILL, SWEEP, state.kill_seq, state.enforced)
