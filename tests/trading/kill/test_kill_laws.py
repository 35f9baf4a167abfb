"""Laws of the kill switch under any order of events, failing writes, other processes and crashes at every effect."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ghtrader.trading.kill.events import (
    Enforce,
    JournalKill,
    KillEvent,
    Persisted,
    PersistFailed,
    Rehydrated,
    Reset,
    Retry,
    Seen,
    Trigger,
    WriteKill,
)
from ghtrader.trading.kill.machine import RESET_CONFIRMATION, initial_kill, signal_of, step_kill
from ghtrader.trading.kill.record import KillPhase, KillPolicy, KillRecord, decode_kill, encode_kill
from ghtrader.trading.kill.table import KILL_TABLE, KillStage

SEEN: Counter[object] = Counter()
#: What happens to a write: it stands, it takes its time, it fails and the old content stands, it fails and stands all the same, the process
#: dies before or after.
OUTCOMES = ("stands", "stands", "slow", "slow", "fails", "fails_and_stands", "dies_before", "dies_after")


class Gateway(RuleBasedStateMachine):
    """A gateway with a kill file and a journal. ``killed`` is the truth: a kill stood on the disk and no reset has been accepted since."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: bytes | None = None
        self.journal: list[KillRecord] = []
        self.has_journal = False
        self.killed = False
        self.outcomes: list[str] = []
        self.now = 0
        self.waiting: WriteKill | None = None
        self.backups: list[bytes] = []
        self.died = self.restored = False

    @initialize(outcomes=st.lists(st.sampled_from(OUTCOMES), max_size=12))
    def begin(self, outcomes: list[str]) -> None:
        self.outcomes = outcomes
        self._start()

    def _start(self) -> None:
        self.state, self.waiting = initial_kill("demo"), None
        self._feed(self._rehydrated())

    def _rehydrated(self) -> Rehydrated:
        journaled = self.journal[-1] if self.journal else None
        return Rehydrated(content=self.disk, had_journal=self.has_journal, journaled=journaled)

    def _feed(self, event: KillEvent) -> None:
        before, self.died = self.state, False
        SEEN[before.stage, signal_of(before, event)] += 1
        self.state, effects = step_kill(before, event)
        assert step_kill(before, event) == (self.state, effects)
        self.has_journal = self.has_journal or not self.state.killed
        if any(isinstance(effect, WriteKill) for effect in effects):
            assert isinstance(effects[0], WriteKill)
        for effect in effects:
            if isinstance(effect, Enforce) and effect.flatten:
                assert decode_kill(self.disk, had_journal=True).phase == KillPhase.LATCHED, (
                    "the kill's orders before the kill stood"
                )
            if isinstance(effect, JournalKill):
                assert effect.late or decode_kill(self.disk, had_journal=True) == effect.record
                self.journal.append(effect.record)
                self.has_journal = True
            if isinstance(effect, WriteKill) and not self._write(effect):
                return

    def _write(self, effect: WriteKill) -> bool:
        """Do it; False when the process died and was started again. Writes come one after the other, as they were asked for."""
        assert self.state.epoch == effect.record.epoch
        self._finish()
        outcome = self.outcomes.pop() if self.outcomes else "stands"
        if outcome == "slow":
            self.waiting = effect
            return True
        if outcome == "dies_before" or not self._stands(effect, outcome):
            outcome = "dies_before" if outcome.startswith("dies") else "fails"
        if outcome.startswith("dies"):
            self._start()
            self.died = True
            return False
        self._tell(effect, stood=outcome == "stands")
        return True

    def _tell(self, effect: WriteKill, *, stood: bool) -> None:
        """How a write went; of one that failed first what stands there now."""
        epoch = effect.record.epoch
        if not stood:
            self._feed(Seen(content=self.disk))
        self._feed(Persisted(epoch=epoch) if stood else PersistFailed(epoch=epoch, message="failed"))

    def _stands(self, effect: WriteKill, outcome: str) -> bool:
        if outcome == "fails" or (effect.guarded and effect.expected != self.disk):
            return False
        self.disk = effect.content
        self.backups.append(effect.content)
        self.killed = effect.record.phase == KillPhase.LATCHED
        return True

    def _finish(self) -> None:
        if self.waiting is not None:
            effect, self.waiting = self.waiting, None
            self._tell(effect, stood=self._stands(effect, "stands"))

    @rule()
    def the_slow_write_comes_back(self) -> None:
        self._finish()

    @rule(policy=st.sampled_from(KillPolicy))
    def trigger(self, policy: KillPolicy) -> None:
        self.now += 1
        self._feed(Trigger(actor="risk", reason=f"limit {self.now}", ts_ns=self.now, trading_day="2025-06-05", policy=policy))
        assert self.state.killed or self.died, "only a kill that nobody was told of may be gone"

    @rule(confirm=st.sampled_from([RESET_CONFIRMATION] * 3 + ["yes"]), actor=st.sampled_from(["ann", ""]))
    def reset(self, confirm: str, actor: str) -> None:
        before = self.state
        self._feed(Reset(actor=actor, reason="checked", confirm=confirm, ts_ns=self.now, trading_day="2025-06-05"))
        if confirm != RESET_CONFIRMATION or not actor:
            assert self.state == before

    @rule()
    def retry(self) -> None:
        self._feed(Retry())

    @rule()
    def look(self) -> None:
        self._feed(Seen(content=self.disk))

    @rule(restart=st.booleans())
    def somebody_else_kills(self, restart: bool) -> None:
        """`ghtrader kill`: a process of its own that reads the file, and the gateway sees it or is started after it."""
        other = initial_kill("demo")
        other, _ = step_kill(other, Rehydrated(content=self.disk, had_journal=self.has_journal))
        self.now += 1
        _, effects = step_kill(other, Trigger(actor="bob", reason=f"smoke {self.now}", ts_ns=self.now, trading_day=""))
        for effect in effects:
            assert isinstance(effect, WriteKill)
            self.disk = effect.content
        self.killed = True
        if restart:
            self._start()
        else:
            self._feed(Seen(content=self.disk))
        assert self.state.killed

    @rule(position=st.integers(0, 10_000), gone=st.booleans(), restart=st.booleans())
    def the_disk_rots(self, position: int, gone: bool, restart: bool) -> None:
        if self.disk and self.has_journal:
            damaged = bytearray(self.disk)
            damaged[position % len(damaged)] ^= 1 + position % 255
            self.disk = None if gone else bytes(damaged)
            self.killed = True
            if restart:
                self._start()
            else:
                self._feed(Seen(content=self.disk))
            assert self.state.killed

    @rule(which=st.integers(0, 10_000), restart=st.booleans())
    def an_old_file_is_put_back(self, which: int, restart: bool) -> None:
        old = self.backups[which % len(self.backups)] if self.backups else self.disk
        unsettled = self.state.stage in {KillStage.LATCHING, KillStage.FOUNDING, KillStage.CLEARING}
        if old == self.disk or not self.journal or unsettled or self.restored:
            return
        self.restored = True  # who puts back a kill and then its reset has put back both
        self.disk, self.killed = old, True
        if restart:
            self._start()
        else:
            self._feed(Seen(content=old))
        assert self.state.killed

    @rule()
    def crash(self) -> None:
        self._start()

    @invariant()
    def a_kill_that_stood_is_never_lost(self) -> None:
        if hasattr(self, "state") and self.killed:
            assert self.state.killed
            assert self.state.reason

    @invariant()
    def who_may_trade_may_trade_after_a_restart_and_who_may_not_may_not(self) -> None:
        if not hasattr(self, "state"):
            return
        again, _ = step_kill(initial_kill("demo"), self._rehydrated())
        if self.state.stage == KillStage.CLEAR:
            assert again.stage == KillStage.CLEAR
        if self.killed:
            assert again.killed

    @invariant()
    def a_kill_in_force_is_in_the_journal(self) -> None:
        if hasattr(self, "state") and self.state.stage in {KillStage.LATCHED, KillStage.UNREADABLE}:
            assert self.journal[-1] == self.state.record
        if hasattr(self, "state") and self.state.stage == KillStage.CLEAR and self.journal:
            assert self.journal[-1].phase == KillPhase.CLEAR


Gateway.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestLaws(Gateway.TestCase):  # type: ignore[name-defined,misc]
    """The machine above, and that it went everywhere."""

    def runTest(self) -> None:
        SEEN.clear()
        super().runTest()
        missed = [pair for pair in KILL_TABLE if pair not in SEEN]
        assert len(missed) <= 0.2 * len(KILL_TABLE), missed  # a few rows need a chain of rare events


def test_every_stage_but_clear_is_killed() -> None:
    for stage in KillStage:
        state = initial_kill("demo")
        assert type(state)(account="demo", stage=stage, record=state.record).killed == (stage != KillStage.CLEAR)


def test_the_table_names_every_stage_and_only_leaves_by_a_reset_or_a_file() -> None:
    ways_out = {(stage, signal) for (stage, signal), (after, _) in KILL_TABLE.items() if after == KillStage.CLEAR}
    assert ways_out == {
        (KillStage.START, "found_clear"), (KillStage.FOUNDING, "persisted"), (KillStage.CLEARING, "persisted"),
        (KillStage.CLEAR, "reset_refused"),
    }  # fmt: skip
    assert {stage for stage, _ in KILL_TABLE} == set(KillStage)


def test_the_file_stays_small() -> None:
    longest = KillRecord(account="demo", phase=KillPhase.LATCHED, actor="螺" * 500, reason="纹" * 500, epoch=10**9, ts_ns=2**62)
    assert len(encode_kill(longest)) < 4096
