"""The kill switch as a state machine: ``step_kill(state, event) -> (state, effects)``. Killed is every stage but CLEAR.

The order is the promise: `WriteKill` comes first, and only when the store has said `Persisted` follow the journal (`JournalKill`) and
the kill's own orders (`Enforce`). While the write fails (a full disk) working orders are cancelled all the same, positions stay, and
every `Retry` writes again until it stands. A gateway begins in START, where all is forbidden and nothing counts, until `Rehydrated` says
what the file holds; a new account gets its first file (FOUNDING) before it gets a journal.

Clearing compares before it replaces, so a kill that another process wrote in the meantime wins. What stands in the file and not in the
journal (``ghtrader kill`` beside a dead gateway, a crash between the two) is journaled when it is found. A clear file that is older than
the journal, or that replaces an unreadable one without a reset, counts as unreadable. `table.KILL_TABLE` is the whole behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from ghtrader.trading.kill.events import (
    Enforce,
    JournalKill,
    KillEffect,
    KillEvent,
    KillNotice,
    Persisted,
    PersistFailed,
    Rehydrated,
    Reset,
    Retry,
    Seen,
    Told,
    Trigger,
    WriteKill,
)
from ghtrader.trading.kill.record import KillPhase, KillPolicy, KillRecord, clipped, decode_kill, encode_kill, kill_id_of
from ghtrader.trading.kill.table import KILL_TABLE, KillAction, KillSignal, KillStage

__all__ = ["RESET_CONFIRMATION", "KillState", "ResetRefusal", "initial_kill", "reset_refusal", "signal_of", "step_kill"]

_CLEAR = KillStage.CLEAR
#: What a reset must spell out.
RESET_CONFIRMATION = "RESET_RISK_KILL"


class KillState(msgspec.Struct, frozen=True, kw_only=True):
    """The switch. record: what counts now; content: the file's bytes as far as known (None: no file).

    pending: the record that is being written. journaled: the last kill or reset in the journal.
    """

    account: str
    stage: KillStage
    record: KillRecord
    content: bytes | None = None
    pending: KillRecord | None = None
    journaled: KillRecord | None = None

    @property
    def killed(self) -> bool:
        """Whether orders are forbidden, the kill's own excepted."""
        return self.stage is not _CLEAR

    @property
    def epoch(self) -> int:
        """The newest epoch that anything knows of."""
        return max(record.epoch for record in (self.record, self.journaled, self.pending) if record is not None)

    @property
    def reason(self) -> str:
        """Why orders are forbidden, for people; empty when they are not."""
        if self.stage == KillStage.LATCHING and self.pending is not None:
            return self.pending.reason
        if self.stage in {KillStage.START, KillStage.FOUNDING}:
            return "the kill file is not there yet"
        return self.record.reason if self.killed else ""


class ResetRefusal(StrEnum):
    """Why a reset is refused."""

    NOT_KILLED = "not_killed"
    NOT_PERSISTED = "kill_not_persisted"
    NOT_CONFIRMED = "reset_not_confirmed"
    NO_ACTOR = "reset_without_actor"
    NO_REASON = "reset_without_reason"


_REFUSALS = {
    ResetRefusal.NOT_KILLED: "there is no kill to reset",
    ResetRefusal.NOT_PERSISTED: "the kill file is still being written",
    ResetRefusal.NOT_CONFIRMED: f"a reset must be confirmed with {RESET_CONFIRMATION}",
    ResetRefusal.NO_ACTOR: "a reset needs an actor",
    ResetRefusal.NO_REASON: "a reset needs a reason",
}


def initial_kill(account: str) -> KillState:
    """The switch before the file was read: killed."""
    return KillState(account=account, stage=KillStage.START, record=KillRecord(account=account, phase=KillPhase.CLEAR))


def reset_refusal(state: KillState, reset: Reset) -> ResetRefusal | None:
    """Why a reset would be refused now; None when it would be tried."""
    if state.stage == KillStage.CLEAR:
        return ResetRefusal.NOT_KILLED
    if state.stage not in {KillStage.LATCHED, KillStage.UNREADABLE}:
        return ResetRefusal.NOT_PERSISTED
    if reset.confirm != RESET_CONFIRMATION:
        return ResetRefusal.NOT_CONFIRMED
    if not reset.actor.strip():
        return ResetRefusal.NO_ACTOR
    return None if reset.reason.strip() else ResetRefusal.NO_REASON


def _found(state: KillState, event: Rehydrated | Seen) -> KillRecord:
    """What the file says. At the start a clear record must be the one that the journal ends with, or follow on it."""
    if isinstance(event, Seen):
        return decode_kill(event.content, True, state.account)
    record = decode_kill(event.content, event.had_journal, state.account)
    if record.phase != KillPhase.CLEAR or _follows(record, state.journaled):
        return record
    reason = "the kill file says clear, but the journal knows of no reset that says so"
    return msgspec.structs.replace(record, phase=KillPhase.UNREADABLE, reason=reason)


def _follows(record: KillRecord, known: KillRecord | None) -> bool:
    """Whether a clear record may stand in the file when the journal ends with ``known``: newer, and clearing that very kill."""
    if known is None or record == known:
        return True
    return record.epoch > known.epoch and (not known.killed or record.kill_id == known.kill_id)


_PHASE_SIGNALS = {
    KillPhase.CLEAR: KillSignal.FOUND_CLEAR,
    KillPhase.LATCHED: KillSignal.FOUND_LATCHED,
    KillPhase.UNREADABLE: KillSignal.FOUND_UNREADABLE,
}


def _file_signal(state: KillState, event: Rehydrated | Seen) -> KillSignal:
    if isinstance(event, Rehydrated) != (state.stage == KillStage.START):
        return KillSignal.STALE
    if isinstance(event, Rehydrated):
        phase = _found(state, event).phase
        return KillSignal.FOUND_NOTHING if event.content is None and phase == KillPhase.CLEAR else _PHASE_SIGNALS[phase]
    ours = {state.content, encode_kill(state.pending) if state.pending else state.content}
    return KillSignal.STALE if event.content in ours else _PHASE_SIGNALS[_found(state, event).phase]


def signal_of(state: KillState, event: KillEvent) -> KillSignal:
    """What an event amounts to; with `table.KILL_TABLE` it decides everything."""
    match event:
        case Rehydrated() | Seen():
            return _file_signal(state, event)
        case Trigger(policy=policy):
            current = state.pending or state.record
            stronger = policy == KillPolicy.FLATTEN and current.policy == KillPolicy.CANCEL
            latched = state.stage in {KillStage.LATCHING, KillStage.LATCHED}
            return KillSignal.ESCALATE if latched and stronger else KillSignal.TRIGGER
        case Persisted(epoch=epoch):
            current_write = state.pending is not None and state.pending.epoch == epoch
            return KillSignal.PERSISTED if current_write else KillSignal.STALE
        case PersistFailed(epoch=epoch):
            current_write = state.pending is not None and state.pending.epoch == epoch
            return KillSignal.PERSIST_FAILED if current_write else KillSignal.STALE
        case Retry():
            return KillSignal.RETRY
        case Reset():
            return KillSignal.RESET if reset_refusal(state, event) is None else KillSignal.RESET_REFUSED


def _adopt(state: KillState, event: KillEvent) -> KillState:
    assert isinstance(event, Rehydrated | Seen)
    return msgspec.structs.replace(state, record=_found(state, event), content=event.content, pending=None)


def _distrust(state: KillState, event: KillEvent) -> KillState:
    assert isinstance(event, Rehydrated | Seen)
    found = _found(state, event)
    reason = found.reason if found.phase == KillPhase.UNREADABLE else "the kill file was replaced by another one"
    record = KillRecord(
        account=state.account,
        phase=KillPhase.UNREADABLE,
        epoch=state.epoch,
        kill_id=f"{kill_id_of(state.account, state.epoch)}-unreadable",
        actor="gateway",
        reason=reason,
    )
    return msgspec.structs.replace(state, record=record, content=event.content, pending=None)


def _latch(state: KillState, event: KillEvent) -> KillState:
    assert isinstance(event, Trigger)
    current = state.pending or state.record
    goes_on = state.stage in {KillStage.LATCHING, KillStage.LATCHED}
    record = KillRecord(
        account=state.account,
        phase=KillPhase.LATCHED,
        epoch=state.epoch + 1,
        kill_id=current.kill_id if goes_on else kill_id_of(state.account, state.epoch + 1),
        actor=clipped(event.actor),
        reason=clipped(event.reason),
        ts_ns=event.ts_ns,
        trading_day=event.trading_day,
        policy=event.policy,
    )
    return msgspec.structs.replace(state, pending=record)


def _relatch(state: KillState, event: KillEvent) -> KillState:
    """The kill that counts once more, as the newest record; without one, a kill because the file cannot be written."""
    del event
    base, epoch = state.record, state.epoch + 1
    if base.phase == KillPhase.CLEAR:
        reason = "the first kill file could not be written"
        base = msgspec.structs.replace(base, actor="gateway", reason=reason, kill_id=kill_id_of(state.account, epoch))
    record = msgspec.structs.replace(base, phase=KillPhase.LATCHED, epoch=epoch)
    return msgspec.structs.replace(state, pending=record)


def _found_account(state: KillState, event: KillEvent) -> KillState:
    del event
    record = msgspec.structs.replace(state.record, epoch=state.epoch + 1, actor="gateway", reason="new account")
    return msgspec.structs.replace(state, pending=record)


def _clear(state: KillState, event: KillEvent) -> KillState:
    assert isinstance(event, Reset)
    record = msgspec.structs.replace(
        state.record,
        phase=KillPhase.CLEAR,
        epoch=state.epoch + 1,
        actor=clipped(event.actor),
        reason=clipped(event.reason),
        ts_ns=event.ts_ns,
        trading_day=event.trading_day,
    )
    return msgspec.structs.replace(state, pending=record)


def _commit(state: KillState, event: KillEvent) -> KillState:
    del event
    assert state.pending is not None
    return msgspec.structs.replace(state, record=state.pending, content=encode_kill(state.pending), pending=None)


_CHANGES: dict[KillAction, Callable[[KillState, KillEvent], KillState]] = {
    KillAction.ADOPT: _adopt,
    KillAction.DISTRUST: _distrust,
    KillAction.LATCH: _latch,
    KillAction.RELATCH: _relatch,
    KillAction.FOUND: _found_account,
    KillAction.CLEAR: _clear,
    KillAction.COMMIT: _commit,
}


def _write(state: KillState) -> WriteKill:
    record = state.pending
    assert record is not None
    guarded = record.phase == KillPhase.CLEAR
    return WriteKill(record=record, content=encode_kill(record), guarded=guarded, expected=state.content if guarded else None)


def _enforce(state: KillState, *, flatten: bool) -> Enforce:
    record = state.pending or state.record
    return Enforce(kill_id=record.kill_id, reason=record.reason, flatten=flatten and record.policy == KillPolicy.FLATTEN)


def _told(state: KillState, event: KillEvent) -> Told:
    """The notice of a row: ``state`` still has the stage that the event found."""
    match event:
        case Reset():
            refusal = reset_refusal(state, event)
            assert refusal is not None
            return Told(code=KillNotice.RESET_REFUSED, message=f"{refusal}: {_REFUSALS[refusal]}")
        case PersistFailed(message=message):
            code = KillNotice.RESET_FAILED if state.stage == KillStage.CLEARING else KillNotice.WRITE_FAILED
            return Told(code=code, message=f"the kill file could not be written: {message}")
        case Persisted() if state.stage == KillStage.CLEARING:
            return Told(code=KillNotice.CLEARED, message=f"reset by {state.record.actor}: {state.record.reason}")
        case Rehydrated() if state.record.phase == KillPhase.LATCHED:
            code = KillNotice.REHYDRATED
        case Seen() if state.pending is not None:
            return Told(code=KillNotice.UNREADABLE, message="the kill file was changed while killed; it is written again")
        case _:
            code = KillNotice.LATCHED if state.record.phase == KillPhase.LATCHED else KillNotice.UNREADABLE
    return Told(code=code, message=f"killed by {state.record.actor}: {state.record.reason}")


def _effects(action: KillAction, state: KillState, event: KillEvent) -> tuple[KillState, tuple[KillEffect, ...]]:
    match action:
        case KillAction.WRITE:
            return state, (_write(state),)
        case KillAction.ENFORCE | KillAction.CANCEL_ONLY:
            return state, (_enforce(state, flatten=action == KillAction.ENFORCE),)
        case KillAction.TELL:
            return state, (_told(state, event),)
    assert action == KillAction.JOURNAL
    record = state.record
    if record == state.journaled:
        return state, ()
    late = isinstance(event, Rehydrated | Seen)
    return msgspec.structs.replace(state, journaled=record), (JournalKill(record=record, late=late),)


def step_kill(state: KillState, event: KillEvent) -> tuple[KillState, tuple[KillEffect, ...]]:
    """One event: the new state and what is to be done, in this order. Deterministic; never raises."""
    if isinstance(event, Rehydrated) and state.stage == KillStage.START:
        state = msgspec.structs.replace(state, journaled=event.journaled)
    row = KILL_TABLE.get((state.stage, signal_of(state, event)))
    if row is None:
        return state, ()
    stage, actions = row
    effects: tuple[KillEffect, ...] = ()
    for action in actions:
        if action in _CHANGES:
            state = _CHANGES[action](state, event)
        else:
            state, more = _effects(action, state, event)
            effects += more
    return msgspec.structs.replace(state, stage=stage), effects
