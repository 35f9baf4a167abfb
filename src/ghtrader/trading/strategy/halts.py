"""Why the runner sends no targets: every reason stands until it is taken back, and each says what is missing."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import msgspec

__all__ = ["Halt", "HaltChange", "HaltReason", "Halts"]

KEPT_CHANGES = 100


class HaltReason(StrEnum):
    """Codes of what keeps the runner from deciding."""

    STARTING = "starting"  # what it runs on is being looked for and made ready
    NO_MODEL = "no_model"  # there is no model, or the one there is does not fit
    NO_GATEWAY = "no_gateway"  # nothing is heard of the account's gateway
    LINK = "link"  # the stream from the gateway is not whole
    NO_ACCOUNT = "no_account"  # the gateway has not said what the account holds
    NOT_ACCEPTED = "not_accepted"  # the gateway takes no targets now
    MODEL_REFUSED = "model_refused"  # the model is too old for the day, or knows its future
    TICK_REFUSED = "tick_refused"  # the last tick could not be placed
    UNKNOWN_MESSAGE = "unknown_message"  # a message that cannot be read, or of a version that this runner does not know
    BEHIND = "behind"  # the strategy, or this machine, is too slow for the market
    STRATEGY_FAILED = (
        "strategy_failed"  # the strategy raised, or returned what is no decision; stands until the runner is started anew
    )


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """One reason. symbol: the contract that it holds for, "" for all. since_ns: when it began."""

    reason: HaltReason
    symbol: str
    message: str
    since_ns: int


class HaltChange(msgspec.Struct, frozen=True):
    """For operators. name: ``safe_halt_entered`` when a first reason came, ``safe_halt_cleared`` when the last one went.

    reasons: that came or went. message: of the first of them, "" of those that went.
    """

    name: str
    reasons: tuple[str, ...]
    message: str = ""


class Halts:
    """The standing reasons, in the order in which they came; `changes` tells when the first came and when the last went.

    >>> halts = Halts()
    >>> halts.set(HaltReason.LINK, "a gap", 7), halts.set(HaltReason.LINK, "another gap", 9), halts.stops("SHFE.rb2510")
    (True, False, True)
    >>> halts.clear(HaltReason.LINK), halts.stops("SHFE.rb2510")
    (True, False)
    """

    def __init__(self) -> None:
        self._standing: dict[tuple[HaltReason, str], Halt] = {}
        self._changes: deque[HaltChange] = deque(maxlen=KEPT_CHANGES)

    def set(self, reason: HaltReason, message: str, now_ns: int, symbol: str = "") -> bool:
        """Let a reason stand; whether it is new. Its beginning stays, its message is the newest."""
        if not self._standing:
            self._changes.append(HaltChange("safe_halt_entered", (str(reason),), message))
        before = self._standing.get((reason, symbol))
        if before is None or before.message != message:
            since = now_ns if before is None else before.since_ns
            self._standing[reason, symbol] = Halt(reason=reason, symbol=symbol, message=message, since_ns=since)
        return before is None

    def clear(self, reason: HaltReason, symbol: str = "") -> bool:
        """Take a reason back; whether it stood."""
        if not self._standing or self._standing.pop((reason, symbol), None) is None:
            return False
        if not self._standing:
            self._changes.append(HaltChange("safe_halt_cleared", (str(reason),)))
        return True

    def drop(self, symbol: str) -> None:
        """A contract is given up."""
        for reason, of in tuple(self._standing):
            if of == symbol:
                self.clear(reason, of)

    def changes(self) -> list[HaltChange]:
        """What operators should hear, each once; the oldest are dropped when nobody asks."""
        found = list(self._changes)
        self._changes.clear()
        return found

    def stops(self, symbol: str) -> bool:
        """Whether any reason holds for a contract."""
        return bool(self._standing) and any(key[1] in {"", symbol} for key in self._standing)

    def has(self, reason: HaltReason, symbol: str = "") -> bool:
        """Whether a reason stands."""
        return (reason, symbol) in self._standing

    @property
    def standing(self) -> tuple[Halt, ...]:
        """Every reason, oldest first."""
        return tuple(self._standing.values())
