"""Planted bugs: each breaks one promise on purpose, so that the simulation can show that it would be seen. Never used elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.trading.commands.dedupe import DedupeWindow
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import fold, kill_flow, targets_flow, venue_flow
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewayState
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.reconcile import ActionKind, Reconciliation, reconcile
from ghtrader.trading.simulation.media import SimKillStore
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.halts import HaltReason

__all__ = ["PLANTS", "Plant", "plant_named"]


class _SendsFirst(GatewayShell):
    """The journal is written after the order has left."""

    def _do(self, effects: list[fx.Effect]) -> None:
        sends = [effect for effect in effects if isinstance(effect, fx.SubmitOrder)]
        super()._do([*sends, *(effect for effect in effects if not isinstance(effect, fx.SubmitOrder))])


class _Unsynced(SimKillStore):
    """The kill file is written but not synced."""

    def _put(self, content: bytes) -> None:
        durable = self._disk.kill_durable
        super()._put(content)
        self._disk.kill_durable = durable


@contextlib.contextmanager
def _patched(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Replace attributes inside the block."""
    before = [(where, name, getattr(where, name)) for where, name, _ in changes]
    try:
        for where, name, value in changes:
            setattr(where, name, value)
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


def _dedupe_unbounded() -> contextlib.AbstractContextManager[None]:
    def never(self: DedupeWindow, now_ns: int) -> None:
        del self, now_ns

    return _patched((DedupeWindow, "_expire", never))


def _cancel_lost() -> contextlib.AbstractContextManager[None]:
    real = reconcile

    def deaf(*args: Any, **more: Any) -> Reconciliation:
        found = real(*args, **more)
        kept = tuple(action for action in found.actions if action.kind is not ActionKind.CANCEL_AGAIN)
        return msgspec.structs.replace(found, actions=kept)

    return _patched((venue_flow, "reconcile", deaf))


def _target_kept() -> contextlib.AbstractContextManager[None]:
    real = fold.FOLDS[RecordKind.DAY]

    def forgets(state: GatewayState, record: Record) -> fold.Folded:
        before, targets = dict(state.contracts), dict(state.targets)
        found = real(state, record)
        left = set(before.values()) - set(state.contracts.values())
        state.targets, state.retired, state.contracts = targets, {}, state.contracts | {old: old for old in left}
        return found

    return _patched((fold, "FOLDS", {**fold.FOLDS, RecordKind.DAY: forgets}))


def _kill_is_no_latch() -> contextlib.AbstractContextManager[None]:
    def nothing(turn: Turn) -> None:
        del turn

    real = targets_flow.target_refusal

    def lenient(turn: Turn, symbol: str, origin: Any) -> tuple[str, str]:
        code, message = real(turn, symbol, origin)
        return ("", "") if code == "risk_killed" else (code, message)

    from ghtrader.trading.gateway import core, orders_flow

    real_context = orders_flow.risk_context

    def unkilled(turn: Turn, intent: Any) -> Any:
        return msgspec.structs.replace(real_context(turn, intent), killed=False)

    return _patched(
        (kill_flow, "enforce", nothing),
        (core, "enforce", nothing),
        (targets_flow, "target_refusal", lenient),
        (orders_flow, "risk_context", unkilled),
    )


def _in_flight_forgotten() -> contextlib.AbstractContextManager[None]:
    from ghtrader.trading.gateway import orders_flow

    real = orders_flow.risk_context

    def blind(turn: Turn, intent: Any) -> Any:
        return msgspec.structs.replace(
            real(turn, intent), in_flight_buy=0, in_flight_sell=0, opening_buy=0, opening_sell=0, held=_flat(intent.symbol)
        )

    return _patched((orders_flow, "risk_context", blind))


def _flat(symbol: str) -> Any:
    from ghtrader.ports.broker import BrokerPosition

    return BrokerPosition(symbol=symbol, long_today=0, long_history=0, short_today=0, short_history=0)


def _revision_forgotten() -> contextlib.AbstractContextManager[None]:
    def nothing(state: GatewayState, record: Record) -> fold.Folded:
        del state, record
        return fold.NOTHING

    return _patched((fold, "FOLDS", {**fold.FOLDS, RecordKind.REVISION: nothing}))


def _hole_ignored() -> contextlib.AbstractContextManager[None]:
    real = StrategyCore._is_new  # noqa: SLF001 - a bug is planted where it would be

    def trusting(core: StrategyCore, *message: Any) -> bool:
        contracts = core._contracts  # noqa: SLF001
        before = {symbol: contract.account for symbol, contract in contracts.items()}
        found = real(core, *message)
        for symbol, contract in contracts.items():
            if contract.account is None and before.get(symbol) is not None:
                contract.account = before[symbol]
                core.halts.clear(HaltReason.NO_ACCOUNT, symbol)
        return found

    return _patched((StrategyCore, "_is_new", trusting))


@dataclass(frozen=True)
class Plant:
    """A bug: its name, what it breaks, and how it is planted."""

    name: str
    about: str
    shell: type[GatewayShell] = GatewayShell
    kill_store: type[SimKillStore] = SimKillStore
    patch: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext


PLANTS: dict[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant("journal_after_send", "an order leaves before its journal is on the disk", shell=_SendsFirst),
        Plant("kill_not_fsynced", "the kill file is written without a sync: a power cut loses it", kill_store=_Unsynced),
        Plant("dedupe_unbounded", "ids of commands are never forgotten: memory grows", patch=_dedupe_unbounded),
        Plant("cancel_lost_on_reconnect", "a cancel that the venue never heard is not sent again", patch=_cancel_lost),
        Plant("target_kept_across_roll", "the old contract's target survives the roll", patch=_target_kept),
        Plant("kill_is_no_latch", "a kill cancels nothing and refuses nothing", patch=_kill_is_no_latch),
        Plant("in_flight_forgotten", "the risk gate sees neither positions nor orders in flight", patch=_in_flight_forgotten),
        Plant("hole_ignored", "the strategy goes on after a hole in the stream as if it knew the account", patch=_hole_ignored),
        Plant("revision_forgotten", "revisions begin anew after a restart", patch=_revision_forgotten),
    )
}


def plant_named(name: str) -> Plant:
    """A plant by its name; raises UsageError for one that there is not."""
    if name not in PLANTS:
        raise UsageError(f"no planted bug {name!r}", hint=f"one of {', '.join(PLANTS)}")
    return PLANTS[name]
