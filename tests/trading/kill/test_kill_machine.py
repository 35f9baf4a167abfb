"""The kill switch: what each event does in each stage, spelled out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

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
from ghtrader.trading.kill.machine import (
    RESET_CONFIRMATION,
    KillState,
    ResetRefusal,
    initial_kill,
    reset_refusal,
    signal_of,
    step_kill,
)
from ghtrader.trading.kill.record import KillPhase, KillPolicy, KillRecord, encode_kill
from ghtrader.trading.kill.table import KillSignal, KillStage

DAY = "2025-06-05"
TRIGGER = Trigger(actor="risk", reason="daily loss", ts_ns=5, trading_day=DAY)
SOFT = Trigger(actor="risk", reason="rejects", ts_ns=4, trading_day=DAY, policy=KillPolicy.CANCEL)
RESET = Reset(actor="ann", reason="checked", confirm=RESET_CONFIRMATION, ts_ns=9, trading_day="2025-06-09")


def record(phase: KillPhase, epoch: int, **fields: Any) -> KillRecord:
    return KillRecord(account="demo", phase=phase, epoch=epoch, kill_id="kill-demo-7", **fields)


CLEARED = record(KillPhase.CLEAR, 8)
KILLED = record(KillPhase.LATCHED, 9, actor="bob", reason="smoke", policy=KillPolicy.FLATTEN)
UNEXPLAINED = "the kill file says clear, but the journal knows of no reset that says so"
CLEAR_FILE, KILL_FILE = encode_kill(CLEARED), encode_kill(KILLED)


def walk(*events: KillEvent, state: KillState | None = None) -> tuple[KillState, tuple[KillEffect, ...]]:
    """The state after all events, and the effects of the last one."""
    state, effects = state or initial_kill("demo"), ()
    for event in events:
        state, effects = step_kill(state, event)
    return state, effects


def rehydrated(content: bytes | None = CLEAR_FILE, journaled: KillRecord | None = CLEARED) -> Rehydrated:
    return Rehydrated(content=content, had_journal=True, journaled=journaled)


def clear() -> KillState:
    return walk(rehydrated())[0]


def latching(trigger: Trigger = TRIGGER) -> KillState:
    return walk(trigger, state=clear())[0]


def latched(trigger: Trigger = TRIGGER) -> KillState:
    return walk(Persisted(epoch=9), state=latching(trigger))[0]


def clearing() -> KillState:
    return walk(RESET, state=latched())[0]


def unreadable() -> KillState:
    return walk(rehydrated(b"rubbish"))[0]


def founding() -> KillState:
    return walk(Rehydrated(content=None, had_journal=False))[0]


def names(effects: tuple[KillEffect, ...]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def the(kind: type[Any], effects: tuple[KillEffect, ...]) -> Any:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def test_before_the_file_is_read_nothing_may_trade() -> None:
    state = initial_kill("demo")
    assert (state.killed, state.stage, state.reason) == (True, KillStage.START, "the kill file is not there yet")


def test_a_new_account_gets_its_first_file_before_it_may_trade() -> None:
    state, effects = walk(Rehydrated(content=None, had_journal=False))
    assert (state.killed, state.stage, state.reason) == (True, KillStage.FOUNDING, "the kill file is not there yet")
    assert names(effects) == ["WriteKill"]
    write = the(WriteKill, effects)
    assert (write.guarded, write.expected, write.content) == (True, None, encode_kill(write.record))
    assert write.record == KillRecord(
        account="demo", phase=KillPhase.CLEAR, epoch=1, kill_id="", actor="gateway", reason="new account", ts_ns=0, trading_day="",
        policy=KillPolicy.CANCEL,
    )  # fmt: skip
    assert write.content.endswith(b'"ts_ns":0}\n')
    state, effects = walk(Persisted(epoch=1), state=state)
    assert (state.killed, state.stage, state.reason) == (False, KillStage.CLEAR, "")
    assert effects == (JournalKill(record=write.record, late=False),)
    assert (state.content, state.record, state.pending) == (write.content, write.record, None)
    again, effects = walk(rehydrated(write.content, write.record))
    assert (again.stage, effects) == (KillStage.CLEAR, ())


def test_without_a_first_file_the_account_is_killed_until_one_can_be_written() -> None:
    state, effects = walk(PersistFailed(epoch=1, message="disk full"), state=founding())
    assert (state.stage, names(effects)) == (KillStage.LATCHING, ["WriteKill", "Told"])
    write = the(WriteKill, effects)
    assert (write.record.phase, write.record.epoch, write.guarded) == (KillPhase.LATCHED, 2, False)
    assert (write.record.kill_id, write.record.policy) == ("kill-demo-2", KillPolicy.CANCEL)
    assert (state.reason, write.record.actor) == ("the first kill file could not be written", "gateway")
    assert the(Told, effects) == Told(code=KillNotice.WRITE_FAILED, message="the kill file could not be written: disk full")


def test_a_kill_while_the_first_file_is_written_is_a_kill() -> None:
    state, effects = walk(TRIGGER, state=founding())
    assert (state.stage, names(effects), the(WriteKill, effects).record.epoch) == (KillStage.LATCHING, ["WriteKill"], 2)


def test_a_clear_file_is_believed() -> None:
    state, effects = walk(rehydrated())
    assert (state.killed, state.stage, effects) == (False, KillStage.CLEAR, ())
    assert (state.content, state.record.epoch, state.epoch) == (CLEAR_FILE, 8, 8)


def test_a_reset_that_the_journal_missed_is_journaled_late() -> None:
    state, effects = walk(rehydrated(journaled=record(KillPhase.LATCHED, 7)))
    assert state.stage == KillStage.CLEAR
    assert effects == (JournalKill(record=record(KillPhase.CLEAR, 8), late=True),)
    assert state.journaled == CLEARED


CONTRADICTIONS = {
    "the journal knows a newer reset": record(KillPhase.CLEAR, 9),
    "the journal knows a newer kill": KILLED,
    "a kill of the same epoch": record(KillPhase.LATCHED, 8),
    "another reset of the same epoch": record(KillPhase.CLEAR, 8, actor="x"),
    "a kill that was never reset": msgspec.structs.replace(KILLED, epoch=7, kill_id="kill-demo-6"),
    "an unreadable file that was never reset": msgspec.structs.replace(KILLED, epoch=0, phase=KillPhase.UNREADABLE, kill_id="x"),
}


@pytest.mark.parametrize("journaled", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_clear_file_that_contradicts_the_journal_is_not_believed(journaled: KillRecord) -> None:
    state, effects = walk(rehydrated(journaled=journaled))
    assert (state.stage, names(effects)) == (KillStage.UNREADABLE, ["JournalKill", "Enforce", "Told"])
    assert state.reason == UNEXPLAINED


@pytest.mark.parametrize(
    "journaled",
    [
        record(KillPhase.LATCHED, 7),
        record(KillPhase.UNREADABLE, 7),
        record(KillPhase.CLEAR, 7, actor="x"),
        KillRecord(account="demo", phase=KillPhase.CLEAR, epoch=7, kill_id="kill-demo-3"),
    ],
)
def test_a_clear_file_that_follows_on_the_journal_is_believed(journaled: KillRecord) -> None:
    state, effects = walk(rehydrated(journaled=journaled))
    assert (state.stage, names(effects)) == (KillStage.CLEAR, ["JournalKill"])


def test_a_clear_file_is_believed_when_the_journal_knows_of_no_kill() -> None:
    state, effects = walk(rehydrated(journaled=None))
    assert (state.stage, names(effects)) == (KillStage.CLEAR, ["JournalKill"])


def test_a_file_that_was_unreadable_and_is_whole_again_stays_killed_until_a_reset() -> None:
    state, effects = walk(rehydrated(b"rubbish"))
    journaled = the(JournalKill, effects).record
    again, effects = walk(rehydrated(b"rubbish", journaled))
    assert (again.record, names(effects)) == (state.record, ["Enforce", "Told"]), "journaled once"
    state, effects = walk(rehydrated(CLEAR_FILE, journaled))
    assert (state.stage, state.reason) == (KillStage.UNREADABLE, UNEXPLAINED)
    state, effects = walk(RESET, Persisted(epoch=9), state=state)
    assert walk(rehydrated(state.content, state.journaled))[0].stage == KillStage.CLEAR


@pytest.mark.parametrize(
    ("journaled", "late"), [(KILLED, False), (CLEARED, True), (None, True), (record(KillPhase.LATCHED, 9), True)]
)
def test_a_kill_in_the_file_is_enforced_and_told_at_the_start(journaled: KillRecord | None, late: bool) -> None:
    state, effects = walk(rehydrated(KILL_FILE, journaled))
    assert (state.killed, state.stage, state.reason) == (True, KillStage.LATCHED, "smoke")
    assert names(effects) == (["JournalKill"] if late else []) + ["Enforce", "Told"]
    if late:
        assert the(JournalKill, effects) == JournalKill(record=state.record, late=True)
    assert the(Enforce, effects) == Enforce(kill_id="kill-demo-7", reason="smoke", flatten=True)
    assert the(Told, effects) == Told(code=KillNotice.REHYDRATED, message="killed by bob: smoke")


@pytest.mark.parametrize("content", [b"", b"rubbish", None, encode_kill(KillRecord(account="x", phase=KillPhase.CLEAR))])
def test_a_file_that_says_nothing_kills_and_cancels_but_sells_nothing(content: bytes | None) -> None:
    state, effects = walk(rehydrated(content))
    assert (state.killed, state.stage, state.content) == (True, KillStage.UNREADABLE, content)
    assert names(effects) == ["JournalKill", "Enforce", "Told"]
    journaled = the(JournalKill, effects)
    assert (journaled.record, journaled.late) == (state.record, True)
    assert (state.record.phase, state.record.epoch, state.record.kill_id) == (
        KillPhase.UNREADABLE, 8, "kill-demo-8-unreadable",
    )  # fmt: skip
    assert the(Enforce, effects) == Enforce(kill_id="kill-demo-8-unreadable", reason=state.reason, flatten=False)
    assert the(Told, effects) == Told(code=KillNotice.UNREADABLE, message=f"killed by gateway: {state.reason}")
    assert "kill file" in state.reason


def test_a_kill_writes_before_it_does_anything_else() -> None:
    state, effects = walk(TRIGGER, state=clear())
    assert (state.killed, state.stage, state.reason) == (True, KillStage.LATCHING, "daily loss")
    assert names(effects) == ["WriteKill"]
    expected = KillRecord(
        account="demo", phase=KillPhase.LATCHED, epoch=9, kill_id="kill-demo-9", actor="risk", reason="daily loss",
        ts_ns=5, trading_day=DAY, policy=KillPolicy.FLATTEN,
    )  # fmt: skip
    assert the(WriteKill, effects) == WriteKill(record=expected, content=encode_kill(expected), guarded=False, expected=None)
    state, effects = walk(Persisted(epoch=9), state=state)
    assert (state.killed, state.stage, state.record, state.pending) == (True, KillStage.LATCHED, expected, None)
    assert effects == (
        JournalKill(record=expected, late=False),
        Enforce(kill_id="kill-demo-9", reason="daily loss", flatten=True),
        Told(code=KillNotice.LATCHED, message="killed by risk: daily loss"),
    )
    assert (state.content, state.journaled) == (encode_kill(expected), expected)


def test_a_kill_that_only_cancels_closes_nothing() -> None:
    effects = walk(Persisted(epoch=9), state=latching(SOFT))[1]
    assert the(Enforce, effects) == Enforce(kill_id="kill-demo-9", reason="rejects", flatten=False)


def test_while_the_kill_cannot_be_written_orders_are_cancelled_positions_stay_and_the_write_is_tried_again() -> None:
    state, effects = walk(PersistFailed(epoch=9, message="disk full"), state=latching())
    assert (state.killed, state.stage) == (True, KillStage.LATCHING)
    assert effects == (
        Enforce(kill_id="kill-demo-9", reason="daily loss", flatten=False),
        Told(code=KillNotice.WRITE_FAILED, message="the kill file could not be written: disk full"),
    )
    state, effects = walk(Retry(), state=state)
    assert (state.stage, names(effects), the(WriteKill, effects).record) == (
        KillStage.LATCHING, ["WriteKill"], state.pending,
    )  # fmt: skip
    state, effects = walk(Persisted(epoch=9), state=state)
    assert (state.stage, the(Enforce, effects).flatten) == (KillStage.LATCHED, True)


def test_a_second_kill_changes_nothing() -> None:
    for state in (latching(), latched(), latching(SOFT), latched(SOFT)):
        soft = msgspec.structs.replace(SOFT, reason="again")
        assert walk(soft, state=state) == (state, ())
    for state in (latching(), latched()):
        assert walk(TRIGGER, state=state) == (state, ())


@pytest.mark.parametrize("before", [latching(SOFT), latched(SOFT)], ids=["latching", "latched"])
def test_a_kill_that_flattens_on_top_of_one_that_cancels_is_the_same_kill_made_stronger(before: KillState) -> None:
    state, effects = walk(TRIGGER, state=before)
    assert (state.stage, names(effects)) == (KillStage.LATCHING, ["WriteKill"])
    written = the(WriteKill, effects).record
    assert (written.epoch, written.kill_id, written.policy, written.reason) == (
        10, "kill-demo-9", KillPolicy.FLATTEN, "daily loss",
    )  # fmt: skip
    state, effects = walk(Persisted(epoch=9), state=state)
    assert (state.stage, effects) == (KillStage.LATCHING, ()), "the outcome of the first write no longer counts"
    state, effects = walk(PersistFailed(epoch=9, message="late"), state=state)
    assert (state.stage, effects) == (KillStage.LATCHING, ())
    state, effects = walk(Persisted(epoch=10), state=state)
    assert (state.stage, names(effects)) == (KillStage.LATCHED, ["JournalKill", "Enforce", "Told"])
    assert the(Enforce, effects).flatten


def test_before_the_file_was_read_nothing_counts_and_reading_it_twice_changes_nothing() -> None:
    state = initial_kill("demo")
    for event in (TRIGGER, Persisted(epoch=0), PersistFailed(epoch=0, message="x"), Retry(), Seen(content=CLEAR_FILE), RESET):
        assert walk(event, state=state) == (state, ())
    for state in (clear(), latching(), latched(), clearing(), unreadable(), founding()):
        assert walk(rehydrated(KILL_FILE, KILLED), state=state) == (state, ())


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"confirm": "yes"}, ResetRefusal.NOT_CONFIRMED),
        ({"confirm": ""}, ResetRefusal.NOT_CONFIRMED),
        ({"confirm": "reset_risk_kill"}, ResetRefusal.NOT_CONFIRMED),
        ({"actor": " "}, ResetRefusal.NO_ACTOR),
        ({"reason": "\t"}, ResetRefusal.NO_REASON),
    ],
)
@pytest.mark.parametrize("before", [latched(), unreadable()], ids=["latched", "unreadable"])
def test_an_incomplete_reset_is_refused_with_a_code(before: KillState, fields: dict[str, str], refusal: ResetRefusal) -> None:
    reset = msgspec.structs.replace(RESET, **fields)
    state, effects = walk(reset, state=before)
    assert state == before
    assert reset_refusal(before, reset) == refusal
    told = the(Told, effects)
    assert (told.code, told.message.split(": ")[0], len(effects)) == (KillNotice.RESET_REFUSED, refusal.value, 1)


@pytest.mark.parametrize(
    ("before", "refusal"),
    [
        (founding(), ResetRefusal.NOT_PERSISTED),
        (clear(), ResetRefusal.NOT_KILLED),
        (latching(), ResetRefusal.NOT_PERSISTED),
        (clearing(), ResetRefusal.NOT_PERSISTED),
    ],
    ids=["founding", "clear", "latching", "clearing"],
)
def test_where_there_is_nothing_to_reset_it_is_refused(before: KillState, refusal: ResetRefusal) -> None:
    state, effects = walk(RESET, state=before)
    assert (state, reset_refusal(before, RESET)) == (before, refusal)
    assert [effect.code for effect in effects if isinstance(effect, Told)] == [KillNotice.RESET_REFUSED]


def test_a_reset_compares_writes_and_only_then_clears() -> None:
    before = latched()
    state, effects = walk(RESET, state=before)
    assert (state.killed, state.stage, state.reason, names(effects)) == (
        True, KillStage.CLEARING, "daily loss", ["WriteKill"],
    )  # fmt: skip
    write = the(WriteKill, effects)
    assert (write.guarded, write.expected, write.content) == (True, before.content, encode_kill(write.record))
    assert write.record == KillRecord(
        account="demo", phase=KillPhase.CLEAR, epoch=10, kill_id="kill-demo-9", actor="ann", reason="checked",
        ts_ns=9, trading_day="2025-06-09", policy=KillPolicy.FLATTEN,
    )  # fmt: skip
    state, effects = walk(Persisted(epoch=10), state=state)
    assert (state.killed, state.stage, state.record, state.journaled) == (False, KillStage.CLEAR, write.record, write.record)
    assert effects == (
        JournalKill(record=write.record, late=False),
        Told(code=KillNotice.CLEARED, message="reset by ann: checked"),
    )


def test_an_unreadable_file_is_reset_under_an_epoch_that_goes_on() -> None:
    state, effects = walk(RESET, state=unreadable())
    write = the(WriteKill, effects)
    assert (write.record.epoch, write.expected, write.guarded) == (9, b"rubbish", True)
    state, effects = walk(Persisted(epoch=9), state=state)
    assert (state.stage, names(effects)) == (KillStage.CLEAR, ["JournalKill", "Told"])
    assert the(JournalKill, effects).record.kill_id == "kill-demo-8-unreadable"


def test_a_reset_that_cannot_be_written_stays_killed_and_writes_the_kill_again() -> None:
    state, effects = walk(PersistFailed(epoch=10, message="changed"), state=clearing())
    assert (state.killed, state.stage, names(effects)) == (True, KillStage.LATCHING, ["WriteKill", "Told"])
    write = the(WriteKill, effects)
    assert (write.guarded, write.expected) == (False, None)
    assert write.record == msgspec.structs.replace(latched().record, epoch=11)
    assert the(Told, effects).code == KillNotice.RESET_FAILED


def test_a_failed_reset_of_an_unreadable_file_makes_it_a_readable_kill() -> None:
    state, effects = walk(RESET, PersistFailed(epoch=9, message="x"), state=unreadable())
    write = the(WriteKill, effects).record
    assert (write.phase, write.epoch, write.policy) == (KillPhase.LATCHED, 10, KillPolicy.CANCEL)
    assert write.reason == "the kill file is torn or damaged"
    assert state.stage == KillStage.LATCHING


def test_a_kill_during_a_reset_wins() -> None:
    state, effects = walk(TRIGGER, state=clearing())
    assert (state.stage, names(effects)) == (KillStage.LATCHING, ["WriteKill"])
    written = the(WriteKill, effects).record
    assert (written.epoch, written.kill_id) == (11, "kill-demo-11")
    state, effects = walk(Persisted(epoch=10), state=state)
    assert (state.killed, effects) == (True, ())


@pytest.mark.parametrize("before", [clear(), unreadable(), latched(), clearing(), founding()], ids=str)
def test_a_kill_that_another_process_wrote_is_taken_over(before: KillState) -> None:
    content = encode_kill(record(KillPhase.LATCHED, 20, actor="bob", reason="smoke", policy=KillPolicy.CANCEL))
    state, effects = walk(Seen(content=content), state=before)
    assert (state.killed, state.stage, state.reason, state.content) == (True, KillStage.LATCHED, "smoke", content)
    assert effects == (
        JournalKill(record=state.record, late=True),
        Enforce(kill_id="kill-demo-7", reason="smoke", flatten=False),
        Told(code=KillNotice.LATCHED, message="killed by bob: smoke"),
    )
    assert (state.pending, state.journaled) == (None, state.record)


def test_a_reset_that_meets_a_kill_from_elsewhere_takes_it_over_and_can_be_repeated() -> None:
    content = encode_kill(record(KillPhase.LATCHED, 10, actor="bob", reason="smoke"))
    state, _ = walk(Seen(content=content), state=clearing())
    assert walk(PersistFailed(epoch=10, message="changed"), state=state) == (state, ()), "nothing is written over it"
    state, effects = walk(RESET, state=state)
    assert (the(WriteKill, effects).expected, the(WriteKill, effects).record.epoch) == (content, 11)
    assert walk(Persisted(epoch=11), state=state)[0].stage == KillStage.CLEAR


def test_a_file_that_changed_in_no_way_is_no_news() -> None:
    for state in (clear(), latched(), unreadable(), clearing(), founding(), latching()):
        assert walk(Seen(content=state.content), state=state) == (state, ())
        if state.pending is not None:
            assert walk(Seen(content=encode_kill(state.pending)), state=state) == (state, ())


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"rubbish",
        encode_kill(record(KillPhase.CLEAR, 8, actor="forged")),
        encode_kill(record(KillPhase.CLEAR, 7)),
        encode_kill(record(KillPhase.CLEAR, 99)),
    ],
)
def test_a_running_gateway_whose_file_vanishes_rots_or_goes_back_is_killed(content: bytes | None) -> None:
    state, effects = walk(Seen(content=content), state=clear())
    assert (state.killed, state.stage, state.content) == (True, KillStage.UNREADABLE, content)
    assert names(effects) == ["JournalKill", "Enforce", "Told"]
    assert not the(Enforce, effects).flatten


def test_a_vanished_file_is_called_missing_and_a_replaced_one_replaced() -> None:
    assert "is missing" in walk(Seen(content=None), state=clear())[0].reason
    assert "was replaced" in walk(Seen(content=encode_kill(record(KillPhase.CLEAR, 99))), state=clear())[0].reason
    assert "torn or damaged" in walk(Seen(content=b""), state=clear())[0].reason


@pytest.mark.parametrize("content", [None, b"rubbish", CLEAR_FILE, encode_kill(record(KillPhase.CLEAR, 99))])
def test_a_latched_kill_does_not_go_away_with_its_file(content: bytes | None) -> None:
    state, effects = walk(Seen(content=content), state=latched())
    assert (state.killed, state.stage, names(effects)) == (True, KillStage.LATCHING, ["WriteKill", "Told"])
    assert the(WriteKill, effects).record == msgspec.structs.replace(latched().record, epoch=10)
    assert the(Told, effects).code == KillNotice.UNREADABLE
    state, effects = walk(Persisted(epoch=10), state=state)
    assert state.stage == KillStage.LATCHED


@pytest.mark.parametrize("content", [None, CLEAR_FILE, encode_kill(record(KillPhase.CLEAR, 99))])
def test_an_unreadable_file_that_changes_stays_killed_until_a_reset(content: bytes | None) -> None:
    state, _ = walk(Seen(content=content), state=unreadable())
    assert (state.killed, state.stage, state.content) == (True, KillStage.UNREADABLE, content)
    state, effects = walk(RESET, state=state)
    assert the(WriteKill, effects).expected == content


def test_a_kill_on_top_of_an_unreadable_file_writes_a_readable_one() -> None:
    state, effects = walk(TRIGGER, state=unreadable())
    written = the(WriteKill, effects).record
    assert (state.stage, written.epoch, written.kill_id) == (KillStage.LATCHING, 9, "kill-demo-9")


def test_outcomes_nobody_waits_for_and_idle_retries_change_nothing() -> None:
    for state in (clear(), latched(), unreadable()):
        for event in (Persisted(epoch=9), PersistFailed(epoch=9, message="x"), Retry(), Persisted(epoch=0)):
            assert walk(event, state=state) == (state, ())
    for state in (clearing(), founding()):
        assert walk(Retry(), state=state) == (state, ())


def test_long_and_broken_texts_never_stop_a_kill() -> None:
    long = Trigger(actor="a" * 900, reason="\udcff" + "r" * 900, ts_ns=1, trading_day=DAY)
    state, effects = walk(long, state=clear())
    assert len(the(WriteKill, effects).content) < 4096
    state, effects = walk(Persisted(epoch=9), msgspec.structs.replace(RESET, actor="\udcff" * 600, reason="b" * 900), state=state)
    assert names(effects) == ["WriteKill"]


def test_the_file_that_is_being_written_is_no_news() -> None:
    state, (write,) = walk(Rehydrated(content=CLEAR_FILE, had_journal=True, journaled=CLEARED), TRIGGER)
    assert isinstance(write, WriteKill)
    assert signal_of(state, Seen(content=write.content)) is KillSignal.STALE
    assert signal_of(state, Seen(content=CLEAR_FILE)) is KillSignal.STALE
    assert signal_of(state, Seen(content=KILL_FILE)) is KillSignal.FOUND_LATCHED
