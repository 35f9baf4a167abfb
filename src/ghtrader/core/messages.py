"""What the processes of the trading runtime say to each other. Every message carries its version; fields are only ever appended.

Messages of the hot path (``array_like``) are positional: the version stands first, a reader refuses one that it does not know.
Stamps are integer ns UTC; lots of a target or position are signed (long positive).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = [
    "LARGEST_INT",
    "MESSAGE_VERSION",
    "AccountView",
    "Command",
    "CommandAnswer",
    "ExecutionStyle",
    "Heartbeat",
    "Outcome",
    "ParamValue",
    "Style",
    "Target",
    "TickDone",
    "TickFrame",
    "Verb",
]

MESSAGE_VERSION = 1
LARGEST_INT = 2**63 - 1
ParamValue = str | int | float | bool | list[str]


class Verb(StrEnum):
    """What an operator, a console or a script may ask of a gateway. One command path; every answer is journaled."""

    SET_TARGET = "set_target"
    CANCEL_ALL = "cancel_all"
    FLATTEN = "flatten"
    DISARM_LIVE = "disarm_live"
    RESET_RISK_KILL = "reset_risk_kill"
    RELOAD = "reload"
    KILL = "kill"
    SET_DESIRED = "set_desired"
    PLACE_ORDER = "place_order"
    CANCEL_ORDER = "cancel_order"


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DUPLICATE = "duplicate"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command in its envelope, the same over every way in (request socket, Redis stream, mailbox of files).

    command_id: unique; the same id again is answered ``duplicate`` with the first outcome. actor, reason: for the audit.
    confirm: what dangerous verbs want spelled out (``RESET_RISK_KILL``). symbol, lots: of a target or a direct order.
    params: what else a verb takes (documented with the verb in `ghtrader.trading.commands`). Raises ValueError (when it is decoded:
    msgspec.ValidationError) for a whole number of more than 64 bits, which JSON may say and no journal could keep.
    """

    command_id: str
    account: str
    verb: Verb
    actor: str
    ts_ns: int
    reason: str = ""
    confirm: str = ""
    symbol: str = ""
    lots: int = 0
    params: dict[str, ParamValue] = {}
    version: int = MESSAGE_VERSION

    def __post_init__(self) -> None:
        for number in (self.ts_ns, self.lots, self.version, *self.params.values()):
            if isinstance(number, int) and not -LARGEST_INT <= number <= LARGEST_INT:
                raise ValueError(f"{number} has more than 64 bits")


class CommandAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command: always one. reason: a stable code (``risk_killed``, ``stale_feed``), message: for people."""

    command_id: str
    outcome: Outcome
    ts_ns: int
    reason: str = ""
    message: str = ""
    revision: int = 0
    version: int = MESSAGE_VERSION


class Style(StrEnum):
    """How a target position is reached."""

    CHASE = "chase"  # rest at the touch, follow it when it moves away, cross when patience ends
    PASSIVE = "passive"  # rest at the touch once, cancel when patience ends
    TAKER = "taker"  # one FAK at the touch of the decision
    SWEEP = "sweep"  # one FAK up to the price limit: whatever the five levels show
    TWAP = "twap"  # equal slices over a duration, each as PASSIVE, the rest as TAKER at its end
    STOP = "stop"  # cancel what works and keep what is held; the lots of the target are not looked at


class ExecutionStyle(msgspec.Struct, frozen=True, array_like=True):
    """A style with its parameters: patience of one resting order, duration and number of slices (TWAP)."""

    style: Style = Style.CHASE
    patience_ns: int = 10_000_000_000
    duration_ns: int = 0
    slices: int = 1


class Target(msgspec.Struct, frozen=True, array_like=True, tag="target"):
    """The position that the strategy wants, with everything that explains it.

    session, seq: the strategy's run and the number of its message (a gap is seen). lots: signed wanted position.
    tick_seq, tick_ns: the tick it was decided on. score: P(up) - P(down), NaN without a model. factors: values by name.
    """

    version: int
    session: str
    seq: int
    account: str
    symbol: str
    lots: int
    execution: ExecutionStyle
    tick_seq: int
    tick_ns: int
    sent_ns: int
    score: float
    model_hash: str = ""
    factor_set_hash: str = ""
    factors: dict[str, float] = {}
    note: str = ""


class TickFrame(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """One tick of the stream from gateway to strategy. seq ascends by one per session of the gateway over all symbols.

    values: float64 (29,), `ghtrader.data.live_kernel.COLUMNS`, NaN where absent (sizes too).
    """

    version: int
    session: str
    seq: int
    symbol: str
    ts_ns: int
    receive_ns: int
    values: tuple[float, ...]


#: Reasons of a view whose contract the gateway still holds and does not trade: a roll left it, or nobody asked for it.
RETIRED_CONTRACT, HELD_ONLY = "retired_contract", "held_only"


class AccountView(msgspec.Struct, frozen=True, array_like=True, tag="account"):
    """What the strategy may know of the account, per contract: signed position, signed lots that still work, mode.

    target: the last target the gateway took. accepts: whether a new target would be taken; reason: why not.
    target_session, target_seq: the strategy's last target message that the gateway has dealt with, taken or refused (its session and
    number); until that is the last one sent, working and position do not show that target yet.
    """

    version: int
    session: str
    seq: int
    ts_ns: int
    symbol: str
    position: int
    working: int
    target: int
    mode: str
    accepts: bool
    reason: str = ""
    target_session: str = ""
    target_seq: int = 0


class TickDone(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The strategy has dealt with a tick: the credit that lets a lockstep replay go on. compute_ns: what it took."""

    version: int
    session: str
    seq: int
    tick_seq: int
    compute_ns: int


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, tag="beat"):
    """A sign of life: seq is that of the last message sent before it, so that a lost one is noticed in a quiet market."""

    version: int
    session: str
    seq: int
    ts_ns: int
    sender: str
    state: str = ""
