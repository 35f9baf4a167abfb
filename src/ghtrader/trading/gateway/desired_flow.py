"""What operators want of an account: mode, symbols, executor, tighter limits. Changed here only, by a command that is journaled."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghtrader.core.errors import ConfigError, UnknownInstrumentError
from ghtrader.core.instruments import parse_symbol
from ghtrader.core.messages import Command, ParamValue, Style
from ghtrader.trading.gateway.modes import Desired
from ghtrader.trading.gateway.targets_flow import cancel_everything
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind

__all__ = ["CONFIGURED", "LIMIT", "set_desired"]

#: How the name of a limit begins among the parameters, and the value that gives it back to the configuration.
LIMIT, CONFIGURED = "limits.", "configured"
KNOWN = ("confirm_live", "executor", "mode", "symbols")


def set_desired(turn: Turn, command: Command, seq: int) -> tuple[str, str]:
    """Change what is wanted as a command says; (reason code, message), the code empty when it is accepted.

    A mode that sends no orders cancels what works. Limits are made tighter than the configured ones, never looser; orders that work
    keep the ones they were approved under, losses are judged by the new ones at once.
    """
    state = turn.state
    try:
        desired, looser = _wanted(turn, command.params)
    except msgspec.ValidationError as error:
        return "bad_params", str(error)
    except ConfigError as error:
        return "bad_params", error.message
    if looser:
        return "looser_limit", f"a command only makes limits tighter than the configured ones: {', '.join(looser)}"
    if desired.executor and desired.executor not in set(Style):
        return "bad_params", f"executor is one of {', '.join(Style)}"
    strange = [symbol for symbol in desired.symbols if not _is_tradable(symbol)]
    if strange:
        return "bad_params", f"neither a contract nor a main contract (KQ.m@SHFE.rb): {', '.join(map(repr, strange))}"
    if desired.mode != state.desired.mode and not desired.mode.sends_orders:
        cancel_everything(turn, "cancel_all", seq)
    limits_before = state.limits
    turn.record(RecordKind.MODE, seq, desired=desired, why=command.reason)
    if state.limits != limits_before:
        _judge_again(turn, seq)
    tighter = "".join(f"; {name} {value:g}" for name, value in sorted(desired.limits.items()))
    return "", f"wanted: {desired.mode}; now: {state.mode}{tighter}"


def _wanted(turn: Turn, params: Mapping[str, ParamValue]) -> tuple[Desired, list[str]]:
    """What would be wanted, and the limits asked for that are looser than configured. Raises ConfigError or ValidationError."""
    current = turn.state.desired
    asked = {name.removeprefix(LIMIT): value for name, value in params.items() if name.startswith(LIMIT)}
    others = {name: value for name, value in params.items() if not name.startswith(LIMIT)}
    if unknown := sorted(others.keys() - set(KNOWN)):
        raise ConfigError(f"unknown: {', '.join(unknown)}; there are {', '.join(KNOWN)}, {LIMIT}NAME")
    for name, value in asked.items():
        if value != CONFIGURED and not isinstance(value, bool | int | float):
            raise ConfigError(f"{LIMIT}{name} is a number, or {CONFIGURED}: not {value!r}")
    limits = {name: value for name, value in {**current.limits, **asked}.items() if value != CONFIGURED}
    desired = msgspec.convert({**msgspec.to_builtins(current), **others, "limits": limits}, Desired)
    looser = turn.state.settings.limits.looser(desired.limits)
    return desired, [name for name in looser if name in asked]


def _is_tradable(symbol: str) -> bool:
    """Whether a symbol is a contract or an alias of one; anything else would end the gateway when its day begins."""
    try:
        parsed = parse_symbol(symbol)
    except UnknownInstrumentError:
        return False
    return parsed.continuous or bool(parsed.month)


def _judge_again(turn: Turn, cause: int) -> None:
    """Hold what is known of losses against limits that have changed: a breach does not wait for the next reading."""
    state = turn.state
    if state.risk.equity_known:
        in_session = any(day.is_continuous(turn.now_ns) for day in state.days.values())
        turn.record(RecordKind.EQUITY, cause, equity_cny=state.risk.equity_cny, in_session=in_session)
    results = {symbol: worst for symbol, worst in state.risk.worst_pnl_cny.items() if symbol not in state.risk.pnl_unknown}
    if results:
        turn.record(RecordKind.EQUITY, cause, pnl_cny=results)
