"""Time: what waits is tried again, silence is noticed, results are marked, the state is published."""

from __future__ import annotations

import math

from msgspec.structs import replace

from ghtrader.core.orders import OrderKind
from ghtrader.trading.execution import Timer
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.commands_flow import SWEEP
from ghtrader.trading.gateway.day_flow import mend_day
from ghtrader.trading.gateway.life import Life, LifeEvent, step_life
from ghtrader.trading.gateway.orders_flow import ask_cancel, drive
from ghtrader.trading.gateway.status import publish
from ghtrader.trading.gateway.targets_flow import can_close, on_strategy_lost, set_target
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.gateway.venue_flow import ask_venue, doubt
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.kill.events import Retry
from ghtrader.trading.kill.table import KillStage
from ghtrader.trading.words import Origin

__all__ = ["on_clock", "on_preflight", "on_sinks"]

MARK_NS = 1_000_000_000


def on_preflight(turn: Turn, event: ev.PreflightDone) -> None:
    """The checks before the session."""
    turn.state.red = event.red
    turn.record(RecordKind.NOTE, 0, what="preflight", red=event.red)
    for symbol in turn.state.traded():
        turn.view(symbol)


def on_sinks(turn: Turn, event: ev.SinksReported) -> None:
    """Sinks of the state that fail, or have mended."""
    before, turn.state.degraded = turn.state.degraded, event.degraded
    if before != event.degraded:
        name = "warm_path_state" if event.degraded else "warm_path_recovered"
        turn.record(RecordKind.NOTE, 0, what=name, reasons=event.degraded)
        turn.tell(name, reasons=", ".join(event.degraded))


def on_clock(turn: Turn, event: ev.ClockTicked) -> None:
    """Time passed."""
    state, now = turn.state, turn.now_ns
    _keep_time(turn, event.leapt_ns)
    if state.kill.stage == KillStage.LATCHING and now - state.retried_ns >= MARK_NS:
        state.retried_ns = now
        turn.kill_event(Retry())
    for identity, (reason, cause) in sorted(state.pending.cancels.items()):
        ask_cancel(turn, identity, reason, cause)
    for symbol in state.executors.due(now):
        drive(turn, symbol, Timer())
    _listen(turn)
    _ask_again(turn)
    if now - state.marked_ns >= MARK_NS:
        state.marked_ns = now
        mend_day(turn)
        _mark(turn)
    if state.seq - state.snapshot_seq >= state.settings.snapshot_records:
        turn.snapshot()
    publish(turn)


def _keep_time(turn: Turn, leapt_ns: int) -> None:
    """When the clock was set back, stamps of the time before move with it: nothing waits until it has caught up.

    When it leapt ahead, the last word of the strategy moves with it: silence is time in which it could have been heard.
    """
    state, now = turn.state, turn.now_ns
    if leapt_ns > 0 and state.strategy.heard_ns:
        state.strategy = replace(state.strategy, heard_ns=min(state.strategy.heard_ns + leapt_ns, now))
    if now < state.clock_ns:
        turn.record(RecordKind.NOTE, 0, what="clock_set_back", by_ns=state.clock_ns - now)
        turn.tell("clock_set_back", seconds=(state.clock_ns - now) / 1e9)
        for name in ("retried_ns", "marked_ns", "published_ns", "flattened_ns"):
            setattr(state, name, min(getattr(state, name), now))
        state.pending.queried_ns = min(state.pending.queried_ns, now)
        state.pending.not_before = dict.fromkeys(state.pending.not_before, now)
        state.strategy = replace(state.strategy, heard_ns=min(state.strategy.heard_ns, now))
    state.clock_ns = now


def _listen(turn: Turn) -> None:
    state = turn.state
    if not state.strategy.lost and state.strategy_halt(turn.now_ns):
        on_strategy_lost(turn, ev.StrategyLost(now_ns=turn.now_ns, reason="silent"))


def _ask_again(turn: Turn) -> None:
    state, pending = turn.state, turn.state.pending
    waited = turn.now_ns - pending.queried_ns
    if state.life == Life.OFFLINE:
        return
    if pending.query_open and waited < state.settings.requery_ns * 2:
        return
    if pending.query_open and state.life == Life.READY:
        doubt(turn, "the venue does not answer")
        return
    pending.query_open = False
    if state.life == Life.UNBALANCED and waited >= state.settings.requery_ns:
        state.life = step_life(state.life, LifeEvent.DOUBT)
    if state.life == Life.RECONCILING and waited >= state.settings.requery_ns:
        ask_venue(turn, "not reconciled yet")
    elif state.life == Life.READY and waited >= state.settings.audit_ns:
        ask_venue(turn, "audit")


def _mark(turn: Turn) -> None:
    """What every contract earned today, at its last price."""
    state = turn.state
    results: dict[str, float] = {}
    for symbol in state.traded():
        market, day = state.markets.get(symbol), state.days.get(symbol)
        if market is None or market.last is None or day is None:
            continue
        money = state.positions.day_money(symbol, market.last * day.price_tick)
        worst, unknown = state.risk.worst_pnl_cny.get(symbol, 0.0), symbol in state.risk.pnl_unknown
        if unknown == math.isfinite(money.net_cny) or money.net_cny < worst:
            results[symbol] = money.net_cny
    if results:
        turn.record(RecordKind.EQUITY, 0, pnl_cny=results)
    _go_on_flattening(turn)
    for symbol, cause in sorted(state.retired.items()):
        for order in state.book.working(symbol):
            rests = order.intent.kind is OrderKind.GFD and order.intent.origin not in {Origin.ROLL, Origin.KILL}
            if rests and not order.cancel_asked:
                ask_cancel(turn, order.client_order_id, "roll", cause)
        if state.positions.lots(symbol) and not state.book.working(symbol) and state.executors.get(symbol) is None:
            _leave(turn, symbol, cause)


def _go_on_flattening(turn: Turn) -> None:
    """What a flatten left (a sweep that ended short, a direct order that filled) is closed too, until targets are taken again."""
    state = turn.state
    if not state.desired.paused or turn.now_ns - state.flattened_ns < state.settings.requery_ns:
        return
    for symbol in state.positions.symbols():
        held = state.targets.get(symbol)
        if held is None or (held.lots, held.origin, held.execution) != (0, Origin.COMMAND, SWEEP):
            continue
        is_idle = not state.book.working(symbol) and state.executors.get(symbol) is None
        if state.positions.lots(symbol) and is_idle and not state.killed and can_close(turn, symbol):
            state.flattened_ns = turn.now_ns
            set_target(turn, symbol, 0, SWEEP, Origin.COMMAND, held.cause, "flatten goes on")


def _leave(turn: Turn, symbol: str, cause: int) -> None:
    """A rolled contract that is still held is closed as soon as it trades."""
    if not turn.state.killed and can_close(turn, symbol):
        set_target(turn, symbol, 0, SWEEP, Origin.ROLL, cause, "roll")
