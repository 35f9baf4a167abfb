"""The circuit breaker before a provider: a pure state machine that many workers share.

CLOSED lets requests through. After ``threshold`` maintenance answers (or silences) in a row it is OPEN: nothing is asked until the
cool-down is over. Then HALF_OPEN lets a single request through: its success closes the breaker, its failure opens it again, for longer.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["TRANSITIONS", "Breaker", "BreakerSettings", "BreakerState", "Event", "may_ask", "step"]


class BreakerState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    """What happened: a request begins or ends, or time has passed. ABANDONED: the asker died, which says nothing of the provider."""

    ASKED = "asked"
    SUCCEEDED = "succeeded"
    MAINTENANCE = "maintenance"
    SILENCE = "silence"
    ABANDONED = "abandoned"
    TIME = "time"


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds: maintenance answers or silences in a row, first cool-down and its longest, in seconds."""

    threshold: int = 2
    cool_down_s: float = 30.0
    longest_cool_down_s: float = 1800.0


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """State: failures in a row, when an open breaker may be tried, how often it opened, whether the one probe is under way."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    retry_at_ns: int = 0
    opened: int = 0
    probing: bool = False


#: Which states an event may lead to, from each state. `step` stays within this table (tested).
TRANSITIONS: dict[tuple[BreakerState, Event], frozenset[BreakerState]] = {
    (BreakerState.CLOSED, Event.ASKED): frozenset({BreakerState.CLOSED}),
    (BreakerState.CLOSED, Event.SUCCEEDED): frozenset({BreakerState.CLOSED}),
    (BreakerState.CLOSED, Event.MAINTENANCE): frozenset({BreakerState.CLOSED, BreakerState.OPEN}),
    (BreakerState.CLOSED, Event.SILENCE): frozenset({BreakerState.CLOSED, BreakerState.OPEN}),
    (BreakerState.CLOSED, Event.ABANDONED): frozenset({BreakerState.CLOSED}),
    (BreakerState.CLOSED, Event.TIME): frozenset({BreakerState.CLOSED}),
    (BreakerState.OPEN, Event.ASKED): frozenset({BreakerState.OPEN}),
    (BreakerState.OPEN, Event.SUCCEEDED): frozenset({BreakerState.OPEN}),
    (BreakerState.OPEN, Event.MAINTENANCE): frozenset({BreakerState.OPEN}),
    (BreakerState.OPEN, Event.SILENCE): frozenset({BreakerState.OPEN}),
    (BreakerState.OPEN, Event.ABANDONED): frozenset({BreakerState.OPEN}),
    (BreakerState.OPEN, Event.TIME): frozenset({BreakerState.OPEN, BreakerState.HALF_OPEN}),
    (BreakerState.HALF_OPEN, Event.ASKED): frozenset({BreakerState.HALF_OPEN}),
    (BreakerState.HALF_OPEN, Event.SUCCEEDED): frozenset({BreakerState.CLOSED}),
    (BreakerState.HALF_OPEN, Event.MAINTENANCE): frozenset({BreakerState.OPEN}),
    (BreakerState.HALF_OPEN, Event.SILENCE): frozenset({BreakerState.OPEN}),
    (BreakerState.HALF_OPEN, Event.ABANDONED): frozenset({BreakerState.HALF_OPEN}),
    (BreakerState.HALF_OPEN, Event.TIME): frozenset({BreakerState.HALF_OPEN}),
}


def may_ask(breaker: Breaker) -> bool:
    """Whether a request may begin now.

    >>> may_ask(Breaker()), may_ask(Breaker(state=BreakerState.OPEN))
    (True, False)
    """
    if breaker.state == BreakerState.HALF_OPEN:
        return not breaker.probing
    return breaker.state == BreakerState.CLOSED


def _cool_down_ns(settings: BreakerSettings, opened: int) -> int:
    seconds = min(settings.cool_down_s * 2 ** min(opened, 30), settings.longest_cool_down_s)
    return int(seconds * 1e9)


def _open(breaker: Breaker, settings: BreakerSettings, now_ns: int) -> Breaker:
    retry_at = now_ns + _cool_down_ns(settings, breaker.opened)
    return Breaker(state=BreakerState.OPEN, failures=0, retry_at_ns=retry_at, opened=breaker.opened + 1)


def step(breaker: Breaker, event: Event, settings: BreakerSettings, now_ns: int) -> Breaker:
    """The state after an event. Pure; answers that arrive while it is open (asked before it opened) change nothing.

    >>> settings = BreakerSettings(threshold=1, cool_down_s=1.0)
    >>> opened = step(Breaker(), Event.MAINTENANCE, settings, 0)
    >>> opened.state, step(opened, Event.TIME, settings, 10**9).state
    (<BreakerState.OPEN: 'open'>, <BreakerState.HALF_OPEN: 'half_open'>)
    """
    if breaker.state == BreakerState.OPEN:
        if event == Event.TIME and now_ns >= breaker.retry_at_ns:
            return msgspec.structs.replace(breaker, state=BreakerState.HALF_OPEN, probing=False)
        return breaker
    if event == Event.ASKED:
        return msgspec.structs.replace(breaker, probing=breaker.state == BreakerState.HALF_OPEN)
    if event == Event.SUCCEEDED:
        return Breaker()
    if event == Event.ABANDONED:
        return msgspec.structs.replace(breaker, probing=False)
    if event in {Event.MAINTENANCE, Event.SILENCE}:
        failures = breaker.failures + 1
        if breaker.state == BreakerState.HALF_OPEN or failures >= settings.threshold:
            return _open(breaker, settings, now_ns)
        return msgspec.structs.replace(breaker, failures=failures)
    return breaker
