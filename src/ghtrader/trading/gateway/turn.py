"""One step of the gateway under way: records applied and appended, effects in their order, what the risk memory tells acted on."""

from __future__ import annotations

from typing import Any

from ghtrader.core.messages import HELD_ONLY, RETIRED_CONTRACT, AccountView
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway.fold import Folded, apply_record, snapshot_of
from ghtrader.trading.gateway.state import GatewayState
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.events import Enforce, JournalKill, KillEvent, Reset, Told, Trigger
from ghtrader.trading.kill.events import WriteKill as KillWrite
from ghtrader.trading.kill.machine import step_kill
from ghtrader.trading.kill.record import KillPhase
from ghtrader.trading.risk.reasons import Breach, NearMiss

__all__ = ["MESSAGE", "SYNC", "Turn"]

#: Version of the messages to the strategy.
MESSAGE = 1
#: Session and number of a strategy that was not heard of a contract.
NOBODY = ("", 0)
SYNC = fx.Sync()


class Turn:
    """Collects what one event leads to. ``cause`` of a record is the record that led to it."""

    __slots__ = ("breached", "effects", "enforce", "now_ns", "state")

    def __init__(self, state: GatewayState, now_ns: int) -> None:
        self.state = state
        self.now_ns = now_ns
        self.effects: list[fx.Effect] = []
        self.enforce: Enforce | None = None
        self.breached: list[tuple[Breach, int]] = []

    # --- journal --------------------------------------------------------------------------------------------------------
    def record(self, kind: RecordKind, cause: int = 0, **body: Any) -> tuple[int, Folded]:
        """Apply a record and append it; returns its number and what it did."""
        state = self.state
        seq = state.seq + 1
        record = Record(seq, cause, self.now_ns, kind, body)
        folded = apply_record(state, record)
        self.effects.append(fx.Append(record))
        state.dirty = True
        if folded.told:
            for told in folded.told:
                self._hear(told, seq)
        return seq, folded

    def snapshot(self) -> None:
        """Write everything down, so that a restart reads no further back."""
        self.record(RecordKind.STATE, **snapshot_of(self.state))

    def _hear(self, told: Breach | NearMiss, cause: int) -> None:
        if isinstance(told, NearMiss):
            self.near_misses((told,), cause)
            return
        seq, _ = self.record(
            RecordKind.HALT, cause, reason=str(told.reason), hard=told.hard, message=told.message, symbol=told.symbol
        )
        self.tell("risk_breach", reason=str(told.reason), hard=told.hard, message=told.message)
        if told.hard:
            self.breached.append((told, seq))

    def near_misses(self, near: tuple[NearMiss, ...], cause: int) -> None:
        """Record rules that held with little room."""
        for miss in near:
            self.state.count("near_misses")
            self.record(
                RecordKind.NEAR_MISS,
                cause,
                reason=str(miss.reason),
                used=miss.used,
                limit=miss.limit,
                message=miss.message,
                symbol=miss.symbol,
            )

    # --- effects --------------------------------------------------------------------------------------------------------
    def emit(self, effect: fx.Effect) -> None:
        """Add an effect behind those that are there."""
        self.effects.append(effect)

    def sync(self) -> None:
        """What was recorded so far must be on the disk before what follows."""
        self.effects.append(SYNC)

    def tell(self, name: str, **fields: str | float | bool) -> None:
        """A line for operators."""
        self.effects.append(fx.Tell(name=name, fields=fields))

    def view(self, symbol: str) -> None:
        """Tell the strategy how a contract stands, when that changed."""
        state = self.state
        if symbol in state.retired:
            reason = RETIRED_CONTRACT
        elif symbol not in state.contracts.values():
            reason = HELD_ONLY
        else:
            halts = state.halts()
            reason = halts[0] if halts else ""
        buys, sells = state.book.in_flight(symbol)
        target = state.targets.get(symbol)
        session, seq = state.dealt.get(symbol, NOBODY)
        position, working, mode = state.positions.net(symbol), buys - sells, str(state.mode)
        lots = 0 if target is None else target.lots
        before = state.views.get(symbol)
        if (
            before is not None
            and before.target_seq == seq
            and before.position == position
            and before.working == working
            and before.target == lots
            and before.reason == reason
            and before.mode == mode
            and before.target_session == session
        ):
            return
        view = AccountView(
            version=MESSAGE,
            session="",
            seq=0,
            ts_ns=self.now_ns,
            symbol=symbol,
            position=position,
            working=working,
            target=lots,
            mode=mode,
            accepts=not reason,
            reason=reason,
            target_session=session,
            target_seq=seq,
        )
        state.views[symbol] = view
        self.effects.append(fx.PublishView(view=view))

    # --- kill -----------------------------------------------------------------------------------------------------------
    def kill_event(self, event: KillEvent, cause: int = 0) -> None:
        """Let the kill switch take an event; what it wants done comes before anything else of this turn that follows."""
        self.state.kill, wanted = step_kill(self.state.kill, event)
        if isinstance(event, Trigger | Reset) and any(isinstance(effect, KillWrite) for effect in wanted):
            self.state.kill_cause = cause  # of the record that is journaled once the file stands
        for effect in wanted:
            match effect:
                case KillWrite():
                    self.state.kill_is_written = False
                    self.emit(fx.WriteKill(write=effect))
                case JournalKill(record=record, late=late):
                    kind = RecordKind.KILL_RESET if record.phase == KillPhase.CLEAR else RecordKind.KILL
                    self.record(kind, cause or self.state.kill_cause, record=record, late=late)
                    self.state.kill_cause = 0
                    self.sync()
                case Enforce():
                    self.enforce = effect
                    self.state.enforced = effect.kill_id if effect.flatten else ""
                case Told(code=code, message=message):
                    self.tell(str(code), message=message)
        self.state.dirty = True

    def settle_breaches(self) -> None:
        """Hard breaches kill: the first of the turn names the reason."""
        if self.breached and not self.state.killed:
            worst, seq = self.breached[0]
            policy = self.state.settings.kill_policy
            self.kill_event(
                Trigger(
                    actor="risk",
                    reason=f"{worst.reason}: {worst.message}",
                    ts_ns=self.now_ns,
                    trading_day=self.state.trading_day,
                    policy=policy,
                ),
                seq,
            )
        self.breached.clear()
