"""The gateway's core: ``step(state, event) -> effects``. Deterministic; no clock, no I/O: the shell does what the effects say.

The same core runs live, in paper, in replay and in the deterministic simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.clock_flow import on_clock, on_preflight, on_sinks
from ghtrader.trading.gateway.commands_flow import answer_interrupted, on_command
from ghtrader.trading.gateway.day_flow import on_day
from ghtrader.trading.gateway.fold import apply_record
from ghtrader.trading.gateway.kill_flow import enforce, on_kill_seen, on_kill_written
from ghtrader.trading.gateway.state import GatewaySettings, GatewayState
from ghtrader.trading.gateway.targets_flow import on_beat, on_strategy_lost, on_target
from ghtrader.trading.gateway.tick_flow import on_tick
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.gateway.venue_flow import (
    on_broker_link,
    on_cancel_failed,
    on_feed_link,
    on_fill,
    on_funds,
    on_order,
    on_submit_failed,
    on_venue,
)
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.events import Rehydrated
from ghtrader.trading.kill.machine import initial_kill

__all__ = ["recover", "start", "step"]

_HANDLERS: dict[type[ev.Event], Callable[[Turn, Any], None]] = {
    ev.TickArrived: on_tick,
    ev.TargetArrived: on_target,
    ev.StrategyBeat: on_beat,
    ev.StrategyLost: on_strategy_lost,
    ev.CommandArrived: on_command,
    ev.OrderChanged: on_order,
    ev.FillArrived: on_fill,
    ev.SubmitFailed: on_submit_failed,
    ev.CancelFailed: on_cancel_failed,
    ev.VenueAnswered: on_venue,
    ev.FundsArrived: on_funds,
    ev.BrokerLinkChanged: on_broker_link,
    ev.FeedLinkChanged: on_feed_link,
    ev.DayBegan: on_day,
    ev.KillWritten: on_kill_written,
    ev.KillSeen: on_kill_seen,
    ev.PreflightDone: on_preflight,
    ev.SinksReported: on_sinks,
    ev.ClockTicked: on_clock,
}


def recover(settings: GatewaySettings, records: Iterable[Record]) -> GatewayState:
    """The durable state after a journal's records; everything else begins anew. Raises DataError for records that do not fit."""
    state = GatewayState(settings=settings)
    state.dedupe = type(state.dedupe)(max_ids=settings.dedupe_max_ids, ttl_ns=settings.dedupe_ttl_ns)
    for record in records:
        apply_record(state, record)
    return state


def start(state: GatewayState, now_ns: int, *, kill_file: bytes | None, had_journal: bool, **about: str | int) -> list[fx.Effect]:
    """The first step of a run: its number is journaled, the kill file is read. Orders wait for the broker's word about the account.

    kill_file: its bytes, None when there is none, ``b""`` when it cannot be read. about: for the journal (pid, version).
    """
    turn = Turn(state, now_ns)
    state.kill = initial_kill(state.settings.account)
    state.published_revision = state.revision  # behind everything that an earlier run may have used
    turn.record(RecordKind.START, 0, epoch=state.epoch + 1, mode=str(state.desired.mode), **about)
    turn.sync()
    answer_interrupted(turn)
    turn.kill_event(Rehydrated(content=kill_file, had_journal=had_journal, journaled=state.kill_journaled))
    enforce(turn)
    return turn.effects


def step(state: GatewayState, event: ev.Event) -> list[fx.Effect]:
    """Take an event; what must be done, in order."""
    turn = Turn(state, event.now_ns)
    _HANDLERS[type(event)](turn, event)
    if turn.breached:
        turn.settle_breaches()
    enforce(turn)
    return turn.effects
