"""Which mode a gateway is in: what is wanted, what the gates allow, and why less than that."""

from __future__ import annotations

import msgspec

from ghtrader.trading.words import Mode

__all__ = ["CONFIRM_LIVE", "Desired", "Gates", "effective_mode"]

CONFIRM_LIVE = "I_UNDERSTAND"


class Desired(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What operators want of an account, changed by commands only: mode, symbols (contracts or aliases), executor style, risk limits.

    executor: of operators' targets; a strategy says with each target how it is reached. limits: tighter than the configured ones, by
    their names below ``trading.risk``. paused: no target of the strategy is taken until ``reload`` (after flatten). confirm_live: the
    second gate of live trading.
    """

    mode: Mode = Mode.IDLE
    symbols: tuple[str, ...] = ()
    executor: str = ""
    limits: dict[str, bool | int | float] = {}
    confirm_live: str = ""
    paused: bool = False


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """What this process can do: live_enabled from the environment, and the kind of its broker (``paper``, ``sim``, ``live``)."""

    live_enabled: bool = False
    broker: str = "paper"


def effective_mode(desired: Desired, gates: Gates, red: tuple[str, ...] | None) -> tuple[Mode, str]:
    """(mode, why it is less than wanted, "" when it is not). red: failed preflight checks; None: not checked yet.

    >>> wanted = Desired(mode=Mode.LIVE_TRADE, confirm_live="I_UNDERSTAND")
    >>> effective_mode(wanted, Gates(live_enabled=True, broker="live"), ())
    (<Mode.LIVE_TRADE: 'live_trade'>, '')
    >>> effective_mode(wanted, Gates(broker="live"), ())
    (<Mode.LIVE_MONITOR: 'live_monitor'>, 'GHTRADER_LIVE_ENABLED is not true')
    """
    if not desired.mode.sends_orders:
        return desired.mode, ""
    if desired.mode == Mode.LIVE_TRADE:
        if not gates.live_enabled:
            return Mode.LIVE_MONITOR, "GHTRADER_LIVE_ENABLED is not true"
        if desired.confirm_live != CONFIRM_LIVE:
            return Mode.LIVE_MONITOR, f"confirm_live is not {CONFIRM_LIVE}"
    needed = {Mode.PAPER: "paper", Mode.SIM: "sim", Mode.LIVE_TRADE: "live"}[desired.mode]
    if gates.broker != needed:
        return Mode.LIVE_MONITOR, f"the account's broker is {gates.broker}, {desired.mode} needs {needed}"
    if red is None:
        return Mode.LIVE_MONITOR, "preflight has not run"
    if red:
        return Mode.LIVE_MONITOR, f"preflight is red: {', '.join(red)}"
    return desired.mode, ""
