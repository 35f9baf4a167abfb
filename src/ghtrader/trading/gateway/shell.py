"""The gateway's shell: gives events to the core and does what it answers, in order. It decides nothing.

The shell is made of ports, so the same one runs with a real broker and disk, in a replay, and in the deterministic simulator, where
every effect is a place at which it may die.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from ghtrader.core.clock import Clock
from ghtrader.core.errors import StoreError
from ghtrader.core.messages import AccountView, CommandAnswer
from ghtrader.ports.kill_store import KillStore
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.core import recover, start, step
from ghtrader.trading.gateway.desk import OrderDesk
from ghtrader.trading.gateway.state import GatewaySettings, GatewayState
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record
from ghtrader.trading.kill.events import WriteKill
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.state.revision import StateDocument

__all__ = ["GatewayShell", "Outlets", "StageTimes"]

#: Between two looks at the clock the gateway is taken to have listened no longer than this.
LONGEST_TURN_NS = 2_000_000_000


class Outlets(Protocol):
    """Where the gateway speaks to the world beside broker and disk. None of these may wait or fail."""

    def view(self, view: AccountView) -> None:
        """Tell the strategy how a contract stands."""

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        """Give the state to every sink; reason codes of those that fail."""

    def reply(self, source: str, answer: CommandAnswer) -> None:
        """Answer a command on the way it came."""

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        """Have ticks of exactly these contracts."""

    def tell(self, name: str, fields: dict[str, str | int | float | bool]) -> None:
        """A line for operators."""


@dataclass
class StageTimes:
    """Nanoseconds of the gateway's stages, newest last, bounded: the core's step, the journal's appends and syncs, the order's way out."""

    step: deque[int] = field(default_factory=lambda: deque(maxlen=200_000))
    append: deque[int] = field(default_factory=lambda: deque(maxlen=200_000))
    sync: deque[int] = field(default_factory=lambda: deque(maxlen=200_000))
    order_out: deque[int] = field(default_factory=lambda: deque(maxlen=200_000))


class GatewayShell:
    """One run of a gateway. The journal must be open, which makes this process its one writer.

    Raises StoreError when the journal cannot be written: what works was cancelled before, nothing else left after; the process
    must end, and the next run recovers. stopwatch: for the stages' times, where ``clock`` is that of a replay.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        journal: Journal,
        kill_store: KillStore,
        desk: OrderDesk,
        outlets: Outlets,
        clock: Clock,
        about: dict[str, str | int] | None = None,
        stopwatch: Clock | None = None,
    ) -> None:
        self._journal, self._kill_store, self._desk, self._outlets = journal, kill_store, desk, outlets
        self._clock, self._watch = clock, stopwatch or clock
        self.times = StageTimes()
        self.state: GatewayState = recover(settings, journal.read_since_snapshot())
        self.state.seq = max(self.state.seq, journal.next_seq - 1)
        self._events: deque[ev.Event] = deque()
        self._ticked: tuple[int, int] | None = None
        self._pending: list[Record] = []
        self._began_ns = self._watch.monotonic_ns()
        self._kill_content: bytes | None = self._read_kill()
        had_journal = self.state.founded
        effects = start(self.state, clock.now_ns(), kill_file=self._kill_content, had_journal=had_journal, **(about or {}))
        self._do(effects)
        self._drain()

    @property
    def journal(self) -> Journal:
        """The journal that this run writes."""
        return self._journal

    # --- events ---------------------------------------------------------------------------------------------------------
    def handle(self, event: ev.Event) -> None:
        """Take an event, do what it leads to, and what that leads to."""
        self._began_ns = self._watch.monotonic_ns()
        self._events.append(event)
        self._drain()

    def pump(self, timeout_s: float = 0.0) -> int:
        """Take what the broker has to say; returns how many events that were."""
        found = self._desk.events(timeout_s)
        for event in found:
            self.handle(event)
        return len(found)

    def tick_clock(self) -> None:
        """Time passed. Called again and again, in between to whatever is to be heard; a longer pause is the gateway's own silence."""
        now, lived = self._clock.now_ns(), self._watch.monotonic_ns()
        clock_ns, lived_ns = self._ticked or (now, lived)
        self._ticked = now, lived
        self.handle(ev.ClockTicked(now_ns=now, leapt_ns=now - clock_ns - min(lived - lived_ns, LONGEST_TURN_NS)))

    def look_at_kill(self) -> None:
        """See whether somebody else wrote the kill file."""
        content = self._read_kill()
        if content != self._kill_content:
            self._kill_content = content
            self.handle(ev.KillSeen(now_ns=self._clock.now_ns(), content=content))

    def _drain(self) -> None:
        while self._events:
            before = self._watch.monotonic_ns()
            effects = step(self.state, self._events.popleft())
            self.times.step.append(self._watch.monotonic_ns() - before)
            self._do(effects)

    def _read_kill(self) -> bytes | None:
        try:
            return self._kill_store.read()
        except StoreError:
            return b""

    # --- effects --------------------------------------------------------------------------------------------------------
    def _do(self, effects: list[fx.Effect]) -> None:
        try:
            for effect in effects:
                if isinstance(effect, fx.Append):
                    self._pending.append(effect.record)
                else:
                    self._flush()
                    self._perform(effect)
            self._flush()
        except StoreError:
            self._give_up()
            raise

    def _perform(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Sync():
                self._sync()
            case fx.SubmitOrder(approved=approved):
                self._submit(approved)
            case fx.CancelOrder(client_order_id=identity):
                self._desk.cancel(identity)
            case fx.WriteKill(write=write):
                self._write_kill(write)
            case fx.QueryVenue():
                self._desk.query()
            case fx.PublishState(document=document):
                degraded = self._outlets.publish(document)
                if degraded != self.state.degraded:
                    self._events.append(ev.SinksReported(now_ns=self._clock.now_ns(), degraded=degraded))
            case _:
                self._speak(effect)

    def _submit(self, approved: ApprovedOrder) -> None:
        """Send an order, unless somebody has written the kill file since it was last looked at."""
        content, now = self._read_kill(), self._clock.now_ns()
        if content != self._kill_content:
            self._kill_content = content
            self._events.append(ev.KillSeen(now_ns=now, content=content))
        if any(isinstance(event, ev.KillSeen) for event in self._events):  # another order of this turn may have seen it
            self._events.appendleft(  # before the kill, which would cancel what never left
                ev.SubmitFailed(
                    now_ns=now,
                    client_order_id=approved.client_order_id,
                    never_sent=True,
                    reason="risk_killed",
                    message="the kill file was written",
                )
            )
            return
        self._desk.submit(approved)
        self.times.order_out.append(self._watch.monotonic_ns() - self._began_ns)

    def _speak(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Reply(source=source, answer=answer):
                self._outlets.reply(source, answer)
            case fx.PublishView(view=view):
                self._outlets.view(view)
            case fx.Subscribe(symbols=symbols):
                self._outlets.subscribe(symbols)
            case fx.Tell(name=name, fields=fields):
                self._outlets.tell(name, fields)

    def _flush(self) -> None:
        if self._pending:
            before = self._watch.monotonic_ns()
            records, self._pending = self._pending, []
            self._journal.append(records)
            self.times.append.append(self._watch.monotonic_ns() - before)

    def _give_up(self) -> None:
        """The journal is gone: cancel what works, the one thing that is always right, and say so."""
        for order in self.state.book.unsettled():
            if not order.phase.is_final:
                self._desk.cancel(order.client_order_id)
        self._outlets.tell("journal_failed", {"account": self.state.settings.account})

    def _sync(self) -> None:
        before = self._watch.monotonic_ns()
        self._journal.sync()
        self.times.sync.append(self._watch.monotonic_ns() - before)

    def _write_kill(self, write: WriteKill) -> None:
        try:
            if write.guarded:
                ok = self._kill_store.replace(write.expected, write.content)
                message = "" if ok else "somebody else has written it meanwhile"
            else:
                self._kill_store.write(write.content)
                ok, message = True, ""
        except StoreError as error:
            ok, message = False, error.message
        self._kill_content = write.content if ok else self._read_kill()
        if not ok:  # first what stands there: a kill that somebody else wrote is taken over, not written over
            self._events.append(ev.KillSeen(now_ns=self._clock.now_ns(), content=self._kill_content))
        self._events.append(ev.KillWritten(now_ns=self._clock.now_ns(), epoch=write.record.epoch, ok=ok, message=message))

    def close(self) -> None:
        """End the run in order: the journal is sealed, the broker hung up; orders stay at the venue."""
        self._desk.close()
        self._journal.close()
