"""Commands: every one is answered and journaled, each is applied at most once, whatever way it came and however often."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.messages import MESSAGE_VERSION, Command, CommandAnswer, ExecutionStyle, Outcome, Style, Verb
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.desired_flow import set_desired
from ghtrader.trading.gateway.orders_flow import ask_cancel, do_wanted, exec_view
from ghtrader.trading.gateway.targets_flow import (
    MOST_LOTS,
    MOST_NS,
    MOST_SLICES,
    beyond_limit,
    can_close,
    cancel_everything,
    flatten,
    set_target,
    stop_direct_orders,
    target_refusal,
)
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.kill.events import Reset, Trigger
from ghtrader.trading.kill.machine import reset_refusal
from ghtrader.trading.kill.record import KillPolicy
from ghtrader.trading.words import Mode, OrderIntent, Origin

__all__ = ["SWEEP", "answer", "answer_interrupted", "on_command"]

SWEEP = ExecutionStyle(style=Style.SWEEP)
#: Verbs that may be carried out again without harm, however old they are.
HARMLESS = frozenset({Verb.KILL, Verb.CANCEL_ALL, Verb.CANCEL_ORDER, Verb.DISARM_LIVE})
MOST_S, MOST_TICKS = MOST_NS / NS_PER_S, 1_000_000_000
TARGET_PARAMS = frozenset({"style", "patience_s", "duration_s", "slices"})
#: (reason code, message): an empty code accepts; None: the answer comes later.
Ruling = tuple[str, str] | None


def on_command(turn: Turn, event: ev.CommandArrived) -> None:
    """Do what a command asks, once; answer in any case."""
    command, state = event.command, turn.state
    first = state.dedupe.first_answer(command.command_id, turn.now_ns)
    if first is not None or state.dedupe.is_under_way(command.command_id, turn.now_ns):
        state.count("commands_duplicate")
        words = f"{first.outcome}: {first.reason}".rstrip(": ") if first is not None else "under way"
        turn.record(RecordKind.NOTE, 0, what="duplicate_command", command_id=command.command_id, source=event.source)
        repeat = CommandAnswer(
            command_id=command.command_id,
            outcome=Outcome.DUPLICATE,
            ts_ns=turn.now_ns,
            reason=first.reason if first is not None else "",
            message=f"the first answer was {words}",
            revision=state.revision,
        )
        turn.emit(fx.Reply(source=event.source, answer=repeat))
        return
    seq, _ = turn.record(RecordKind.COMMAND, 0, command=command, source=event.source)
    state.count("commands")
    ruling: Ruling = _general_refusal(turn, command)
    if ruling == ("", ""):
        ruling = _VERBS[command.verb](turn, command, seq, event.source)
    if ruling is not None:
        answer(turn, event.source, command.command_id, *ruling, cause=seq)


def answer(turn: Turn, source: str, command_id: str, reason: str, message: str, *, cause: int = 0) -> None:
    """Journal an answer and give it, where somebody waits for it (``source``); an empty reason accepts."""
    given = CommandAnswer(
        command_id=command_id,
        outcome=Outcome.REFUSED if reason else Outcome.ACCEPTED,
        ts_ns=turn.now_ns,
        reason=reason,
        message=message,
        revision=turn.state.revision,
    )
    turn.record(RecordKind.ANSWER, cause, answer=given)
    turn.sync()
    if source:
        turn.emit(fx.Reply(source=source, answer=given))


def answer_interrupted(turn: Turn) -> None:
    """Answer what the run before took and did not answer: what it did of it stands in the journal, it is not done again."""
    for command_id in turn.state.dedupe.under_way:
        message = "the gateway ended before it was answered; what it did stands in the journal. Ask anew under another id"
        answer(turn, "", command_id, "interrupted", message)


def _general_refusal(turn: Turn, command: Command) -> tuple[str, str]:
    if command.version != MESSAGE_VERSION:
        return "unknown_version", f"the command is of version {command.version}, this gateway takes {MESSAGE_VERSION}"
    if not command.command_id:
        return "no_command_id", "a command needs an id"
    if command.account != turn.state.settings.account:
        return "wrong_account", f"this is the gateway of account {turn.state.settings.account}"
    if not command.actor.strip():
        return "no_actor", "a command needs an actor"
    if abs(command.lots) > MOST_LOTS and command.verb in {Verb.SET_TARGET, Verb.PLACE_ORDER}:
        return "bad_params", f"{command.lots} lots are more than anybody trades"
    age_ns = turn.now_ns - command.ts_ns
    if age_ns > turn.state.settings.dedupe_ttl_ns and command.verb not in HARMLESS:
        return "expired", "it is older than answers are remembered: nobody can say whether it was carried out before"
    return "", ""


def _style(turn: Turn, command: Command) -> ExecutionStyle | None:
    """How a target is to be reached; None for what no target takes: another name, or a number that is none or out of all reason."""
    params = command.params
    name = params.get("style") or turn.state.desired.executor or Style.CHASE
    if not params.keys() <= TARGET_PARAMS:
        return None
    try:
        patience, duration = (
            float(str(params.get(key, default))) for key, default in (("patience_s", 10.0), ("duration_s", 0.0))
        )
        slices = int(str(params.get("slices", 1)))
        if not (0.0 <= patience <= MOST_S and 0.0 <= duration <= MOST_S and 1 <= slices <= MOST_SLICES):
            return None
        return ExecutionStyle(
            style=Style(str(name)), patience_ns=int(patience * NS_PER_S), duration_ns=int(duration * NS_PER_S), slices=slices
        )
    except ValueError:
        return None


def _set_target(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    reason, message = target_refusal(turn, command.symbol, Origin.COMMAND)
    if reason:
        return reason, message
    execution = _style(turn, command)
    if execution is None:
        numbers = f"patience_s and duration_s are seconds up to {MOST_S:.0f}, slices is a number up to {MOST_SLICES}"
        return "bad_params", f"style is one of {', '.join(Style)}; {numbers}; nothing else is known"
    contract = turn.state.contract_of(command.symbol)
    assert contract is not None
    reason, message = beyond_limit(turn, contract, command.lots)
    if reason:
        return reason, message
    set_target(turn, contract, command.lots, execution, Origin.COMMAND, seq, command.reason)
    return "", f"target of {contract} is {command.lots}"


def _cancel_all(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del command, source
    count = cancel_everything(turn, "cancel_all", seq)
    return "", f"{count} orders are being cancelled"


def _flatten(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del command, source
    state = turn.state
    blocking = [code for code in state.halts() if code not in {"paused", "no_schedule"}]
    if blocking:
        return blocking[0], "positions cannot be closed now; cancel_all works at any time"
    turn.record(RecordKind.MODE, seq, desired=replace(state.desired, paused=True), why="flatten")
    stop_direct_orders(turn, seq)
    symbols = sorted({*state.positions.symbols(), *(order.symbol for order in state.book.unsettled())})
    flatten(turn, symbols, Origin.COMMAND, SWEEP, seq, "flatten")
    shut = sum(not can_close(turn, symbol) for symbol in symbols)
    later = f", {shut} of them when they trade again" if shut else ""
    return "", f"{len(symbols)} contracts are being closed{later}; targets are taken again after reload"


def _disarm(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    state = turn.state
    if state.desired.mode != Mode.LIVE_TRADE:
        return "not_live", f"the wanted mode is {state.desired.mode}"
    cancel_everything(turn, "cancel_all", seq)
    desired = replace(state.desired, mode=Mode.LIVE_MONITOR, confirm_live="")
    turn.record(RecordKind.MODE, seq, desired=desired, why=command.reason)
    return "", "live trading is disarmed"


def _reset(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    state = turn.state
    reset = Reset(
        actor=command.actor,
        reason=command.reason,
        confirm=command.confirm,
        ts_ns=turn.now_ns,
        trading_day=state.trading_day,
    )
    refused = reset_refusal(state.kill, reset)
    if refused is not None:
        turn.kill_event(reset, seq)
        return str(refused), "see ghtrader trade status"
    state.pending.resets.append((source, command.command_id))
    turn.kill_event(reset, seq)
    return None


def _kill(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    policy = str(command.params.get("policy") or turn.state.settings.kill_policy)
    if policy not in set(KillPolicy):
        return "bad_params", f"policy is one of {', '.join(KillPolicy)}"
    before = turn.state.kill
    turn.kill_event(
        Trigger(
            actor=command.actor,
            reason=command.reason or "by command",
            ts_ns=turn.now_ns,
            trading_day=turn.state.trading_day,
            policy=KillPolicy(policy),
        ),
        seq,
    )
    if turn.state.kill == before and before.pending is None:
        return "", f"killed already: {before.reason}"
    return "", "the kill is being written"


def _reload(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del command, source
    turn.record(RecordKind.MODE, seq, desired=replace(turn.state.desired, paused=False), why="reload")
    turn.tell("reload")
    return "", "targets are taken"


def _set_desired(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    return set_desired(turn, command, seq)


def _place_order(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    state, params = turn.state, command.params
    reason, message = target_refusal(turn, command.symbol, Origin.COMMAND)
    if reason and reason != "symbol_claimed":
        return reason, message
    contract = state.contract_of(command.symbol)
    assert contract is not None
    try:
        kind = OrderKind[str(params.get("kind", "GFD"))]
        offset = Offset(str(params.get("offset", Offset.OPEN)))
        price = float(str(params["price"])) / state.days[contract].price_tick
        ticks = round(price)  # of what is no number: ValueError, of infinity: OverflowError
    except (KeyError, ValueError, OverflowError) as error:
        return "bad_params", f"price, kind (GFD, FAK, FOK) and offset (open, close, close_today) are expected: {error}"
    if not command.lots or abs(price - ticks) > 1e-6 or abs(ticks) > MOST_TICKS:
        return "bad_params", "lots are not zero (negative sells), the price a multiple of the price tick"
    intent = OrderIntent(
        symbol=contract,
        side=Side.BUY if command.lots > 0 else Side.SELL,
        offset=offset,
        lots=abs(command.lots),
        price_ticks=ticks,
        kind=kind,
        origin=Origin.COMMAND,
        cause=seq,
        note=command.reason,
        direct=True,
    )
    refused_before = state.seq
    wanted = state.executors.place(intent, exec_view(turn, contract))
    if wanted is None:
        return "symbol_claimed", f"something of {contract} is under way"
    do_wanted(turn, contract, wanted)
    denied = _denial(turn, refused_before)
    return (denied, "the risk gate refused it") if denied else ("", f"order of {abs(command.lots)} lots was sent")


def _denial(turn: Turn, since: int) -> str:
    """Why the gate refused an order of this turn; empty when it did not."""
    for effect in turn.effects:
        if isinstance(effect, fx.Append) and effect.record.seq > since and effect.record.kind == RecordKind.VERDICT:
            return "" if effect.record.body["approved"] else str(effect.record.body["reason"])
    return ""


def _cancel_order(turn: Turn, command: Command, seq: int, source: str) -> Ruling:
    del source
    identity = str(command.params.get("client_order_id", ""))
    order = turn.state.book.get(identity)
    if order is None or order.phase.is_final:
        return "no_such_order", f"no working order {identity!r}"
    ask_cancel(turn, identity, "cancel_all", seq)
    return "", f"{identity} is being cancelled"


_VERBS: dict[Verb, Callable[[Turn, Command, int, str], Ruling]] = {
    Verb.SET_TARGET: _set_target,
    Verb.CANCEL_ALL: _cancel_all,
    Verb.FLATTEN: _flatten,
    Verb.DISARM_LIVE: _disarm,
    Verb.RESET_RISK_KILL: _reset,
    Verb.KILL: _kill,
    Verb.RELOAD: _reload,
    Verb.SET_DESIRED: _set_desired,
    Verb.PLACE_ORDER: _place_order,
    Verb.CANCEL_ORDER: _cancel_order,
}
