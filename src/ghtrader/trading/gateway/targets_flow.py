"""Targets, of the strategy or of an operator: taken, or refused with a reason that is journaled."""

from __future__ import annotations

from collections.abc import Iterable

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.messages import HELD_ONLY, RETIRED_CONTRACT, ExecutionStyle, Target
from ghtrader.trading.execution import Stop, TargetChanged
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.orders_flow import ask_cancel, drive
from ghtrader.trading.gateway.state import HeldTarget, StrategyLink
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.words import Origin

__all__ = [
    "MOST_LOTS",
    "MOST_NS",
    "MOST_SLICES",
    "beyond_limit",
    "can_close",
    "cancel_everything",
    "flatten",
    "on_beat",
    "on_strategy_lost",
    "on_target",
    "set_target",
    "stop_direct_orders",
    "target_refusal",
]

STRATEGY, TARGET = Origin.STRATEGY, RecordKind.TARGET
#: Beyond these a number is a slip, and no journal could keep what comes of it: a day, slices of it, lots.
MOST_NS, MOST_SLICES, MOST_LOTS = 86_400 * NS_PER_S, 10_000, 1_000_000
#: What a strategy's beat says when its code failed (`trading.strategy.halts`): nobody will change its last target any more.
STRATEGY_FAILED = "strategy_failed"


def _hear(turn: Turn, session: str, seq: int, status: str) -> str:
    """Note a message of the strategy; returns why it cannot be trusted: a hole in its numbers. A new run begins anew."""
    link = turn.state.strategy
    if session == link.session and seq == link.seq + 1:  # the usual message
        turn.state.strategy = StrategyLink(session=session, seq=seq, heard_ns=turn.now_ns, state=status or link.state, lost="")
        return ""
    fresh = session != link.session
    missed = not fresh and seq > link.seq + 1
    old = not fresh and seq <= link.seq
    turn.state.strategy = StrategyLink(
        session=session, seq=link.seq if old else seq, heard_ns=turn.now_ns, state=status or link.state, lost=""
    )
    if fresh:
        turn.record(RecordKind.STRATEGY, 0, session=session, state=status)
    if missed:
        turn.record(RecordKind.STRATEGY, 0, session=session, missed=seq - link.seq - 1)
    return "repeated_message" if old else ""


def on_beat(turn: Turn, event: ev.StrategyBeat) -> None:
    """A sign of life: its number is that of the last message before it, so that a lost one is noticed."""
    beat, link = event.beat, turn.state.strategy
    if beat.session == link.session and beat.seq > link.seq:
        turn.record(RecordKind.STRATEGY, 0, session=beat.session, missed=beat.seq - link.seq)
    known = link.seq if beat.session == link.session else 0
    changed = (beat.session, beat.state) != (link.session, link.state)
    turn.state.strategy = StrategyLink(
        session=beat.session, seq=max(known, beat.seq), heard_ns=turn.now_ns, state=beat.state, lost=""
    )
    if changed:
        turn.record(RecordKind.STRATEGY, 0, session=beat.session, state=beat.state)
    if STRATEGY_FAILED in beat.state and (STRATEGY_FAILED not in link.state or beat.session != link.session):
        turn.tell("strategy_failed", session=beat.session)
        _stop_its_orders(turn)
    if beat.session != link.session or "no_account" in beat.state:
        turn.state.views.clear()  # it has not heard yet, or has lost, how its contracts stand
    for symbol in turn.state.traded():
        turn.view(symbol)


def on_strategy_lost(turn: Turn, event: ev.StrategyLost) -> None:
    """The strategy is not heard any more: what rests for it is cancelled, positions stay."""
    state = turn.state
    if state.strategy.lost:
        return
    link = state.strategy
    state.strategy = StrategyLink(session=link.session, seq=link.seq, heard_ns=link.heard_ns, state=link.state, lost=event.reason)
    turn.record(RecordKind.STRATEGY, 0, session=link.session, lost=event.reason)
    turn.tell("strategy_lost", reason=event.reason)
    _stop_its_orders(turn)


def _stop_its_orders(turn: Turn) -> None:
    """What rests for the strategy is cancelled; positions stay."""
    state = turn.state
    for symbol in state.executors.symbols():
        target = state.targets.get(symbol)
        if target is not None and target.origin == Origin.STRATEGY:
            drive(turn, symbol, Stop())


def target_refusal(turn: Turn, symbol: str, origin: Origin) -> tuple[str, str]:
    """(reason code, message) why a target of a symbol is not taken now; empty when it is."""
    state = turn.state
    contract = state.contract_of(symbol)
    if contract is None:
        code = "no_schedule" if symbol in state.missing else "unknown_symbol"
        return code, f"{symbol} is not traded by account {state.settings.account}"
    if contract in state.retired:
        return RETIRED_CONTRACT, f"{contract} is no longer the main contract"
    for code in state.halts():
        if code != "paused" or origin != Origin.COMMAND:
            return code, _words(turn, code)
    if origin == STRATEGY and contract not in state.contracts.values():
        return HELD_ONLY, f"{contract} is held by account {state.settings.account}, and not traded"
    if not state.executors.accepts_target(contract):
        return "symbol_claimed", f"a direct order of {contract} is under way"
    return "", ""


def beyond_limit(turn: Turn, contract: str, lots: int) -> tuple[str, str]:
    """Why a target is larger than any position that the gate lets come about; empty when it is not, or makes less of what is held.

    Worked off order by order it would end at the limit, which nobody wanted.
    """
    most = turn.state.limits.max_position_lots
    if -most <= lots <= most:
        return "", ""
    held = turn.state.positions.net(contract)
    if abs(lots) <= abs(held) and lots * held > 0:
        return "", ""
    return "beyond_limit", f"{lots} lots of {contract} are wanted, at most {most} may be held"


def _words(turn: Turn, code: str) -> str:
    state = turn.state
    if code == "risk_killed":
        return f"killed: {state.kill.reason}"
    if code == "broker_down":
        return f"no link to the broker: {state.broker_message}"
    if code == "feed_down":
        return f"no feed: {state.feed_message}"
    if code == "unbalanced":
        return f"the account does not reconcile: {', '.join(state.differences)}"
    return code.replace("_", " ")


def on_target(turn: Turn, event: ev.TargetArrived) -> None:
    """The strategy wants a position."""
    target, state = event.target, turn.state
    state.count("targets")
    refused = _hear(turn, target.session, target.seq, "")
    message = "its number was seen before"
    if not refused and target.account != state.settings.account:
        refused, message = "wrong_account", f"the target is for account {target.account}"
    if not refused:
        refused, message = target_refusal(turn, target.symbol, STRATEGY)
    if not refused:
        refused, message = _size_refusal(target) or _age_refusal(turn, target)
    if not refused:
        refused, message = beyond_limit(turn, state.contract_of(target.symbol) or target.symbol, target.lots)
    take(turn, target, refused, message)


def _size_refusal(target: Target) -> tuple[str, str] | None:
    """Why nobody can mean this target; None where somebody may."""
    asked = target.execution
    if abs(target.lots) > MOST_LOTS:
        return "bad_target", f"{target.lots} lots are more than anybody trades"
    if not (0 <= asked.patience_ns <= MOST_NS and 0 <= asked.duration_ns <= MOST_NS and 1 <= asked.slices <= MOST_SLICES):
        return "bad_target", "its patience, duration or slices are out of all reason"
    return None


def _age_refusal(turn: Turn, target: Target) -> tuple[str, str]:
    age = turn.now_ns - target.tick_ns
    if age > turn.state.settings.target_max_age_ns:
        return "stale_target", f"it was decided on a tick {age / 1e9:.1f} s old"
    if -age > turn.state.settings.clock_drift_ns:
        return (
            "future_target",
            f"it was decided on a tick {-age / 1e9:.1f} s ahead of our clock (trading.preflight.max_clock_drift_s)",
        )
    return "", ""


def take(turn: Turn, target: Target, refused: str, message: str) -> None:
    """Journal a target of the strategy with the tick, the factors and the score behind it, and act on it."""
    state = turn.state
    contract = state.contract_of(target.symbol) or target.symbol
    held = HeldTarget(
        contract=contract, lots=target.lots, execution=target.execution, origin=STRATEGY, cause=0, tick_seq=target.tick_seq
    )
    market = state.markets.get(contract)
    seq, _ = turn.record(TARGET, 0, target=target, market=market, held=held, refused=refused, message=message)
    state.dealt[contract] = target.session, target.seq
    if refused:
        state.count(f"target_refused_{refused}")
        turn.tell("target_refused", symbol=target.symbol, reason=refused, message=message)
        turn.view(contract)
        return
    drive(
        turn,
        contract,
        TargetChanged(lots=target.lots, execution=target.execution, origin=STRATEGY, cause=seq, note=target.note),
        seq,
    )


def _want(turn: Turn, contract: str, lots: int, execution: ExecutionStyle, origin: Origin, cause: int, note: str) -> int:
    """Journal a target; returns its number."""
    held = HeldTarget(contract=contract, lots=lots, execution=execution, origin=origin, cause=0)
    market = turn.state.markets.get(contract)
    seq, _ = turn.record(RecordKind.TARGET, cause, held=held, market=market, refused="", message=note)
    return seq


def set_target(turn: Turn, contract: str, lots: int, execution: ExecutionStyle, origin: Origin, cause: int, note: str) -> None:
    """A target that is not the strategy's: an operator's, a roll's, the kill's."""
    seq = _want(turn, contract, lots, execution, origin, cause, note)
    drive(turn, contract, TargetChanged(lots=lots, execution=execution, origin=origin, cause=seq, note=note), seq)


def cancel_everything(turn: Turn, reason: str, cause: int) -> int:
    """Stop every executor and cancel whatever works; returns how many orders that were."""
    state = turn.state
    for symbol in state.executors.symbols():
        drive(turn, symbol, Stop(), cause)
    working = [order for order in state.book.unsettled() if not order.phase.is_final]
    for order in working:
        if not order.cancel_asked:
            ask_cancel(turn, order.client_order_id, reason, cause)
    return len(working)


def stop_direct_orders(turn: Turn, cause: int) -> None:
    """Cancel what rests of direct orders: they hold their contracts, and no target of those would be taken."""
    for symbol in turn.state.executors.symbols():
        if not turn.state.executors.accepts_target(symbol):
            drive(turn, symbol, Stop(), cause)


def can_close(turn: Turn, symbol: str) -> bool:
    """Whether closing orders of a contract may leave: it trades now, by its calendar and a fresh tick. Before, nothing is tried."""
    state, now = turn.state, turn.now_ns
    day, market = state.days.get(symbol), state.markets.get(symbol)
    if day is None or market is None or state.life != Life.READY or not state.mode.sends_orders or not day.is_continuous(now):
        return False
    return max(abs(now - market.receive_ns), abs(now - market.ts_ns)) <= state.limits.stale_feed_ns


def flatten(turn: Turn, symbols: Iterable[str], origin: Origin, execution: ExecutionStyle, cause: int, note: str) -> None:
    """Bring positions to nothing; one that cannot be closed now is wanted at nothing until it can."""
    state = turn.state
    for symbol in symbols:
        held = state.targets.get(symbol)
        executor = state.executors.get(symbol)
        if held is not None and (held.lots, held.origin) == (0, origin) and executor is not None:
            continue
        if can_close(turn, symbol):
            set_target(turn, symbol, 0, execution, origin, cause, note)
        else:
            _want(turn, symbol, 0, execution, origin, cause, note)
            drive(turn, symbol, Stop(), cause)
