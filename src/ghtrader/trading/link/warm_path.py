"""When failing attempts become a reason code, and when it is taken back. Pure; every channel is a small machine of its own.

A channel is what one reason code names. It counts a streak: so many failures in a row and the code stands, so many successes in a
row and it is gone; what lies between changes nothing, so a medium that fails every other time does not flap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["WARM_TABLE", "Channel", "ChannelState", "WarmEvent", "WarmLimits", "WarmPath", "step_channel"]


class ChannelState(StrEnum):
    """How a channel is."""

    UP = "up"
    FAILING = "failing"  # failures in a row, not yet enough: no code stands
    DOWN = "down"
    MENDING = "mending"  # successes in a row, not yet enough: the code still stands

    @property
    def is_degraded(self) -> bool:
        """Whether the code stands."""
        return self in {ChannelState.DOWN, ChannelState.MENDING}


#: (state, attempt went well) -> (state below the threshold, state once the streak reaches it)
WARM_TABLE: Mapping[tuple[ChannelState, bool], tuple[ChannelState, ChannelState]] = {
    (ChannelState.UP, True): (ChannelState.UP, ChannelState.UP),
    (ChannelState.UP, False): (ChannelState.FAILING, ChannelState.DOWN),
    (ChannelState.FAILING, True): (ChannelState.UP, ChannelState.UP),
    (ChannelState.FAILING, False): (ChannelState.FAILING, ChannelState.DOWN),
    (ChannelState.DOWN, True): (ChannelState.MENDING, ChannelState.UP),
    (ChannelState.DOWN, False): (ChannelState.DOWN, ChannelState.DOWN),
    (ChannelState.MENDING, True): (ChannelState.MENDING, ChannelState.UP),
    (ChannelState.MENDING, False): (ChannelState.DOWN, ChannelState.DOWN),
}


class WarmLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Failures in a row that make a code stand, successes in a row that take it back.

    at_once: one failure is enough. by_change: what is told when it changes, or seldom; one word is enough either way.
    """

    fail_after: int = 2
    recover_after: int = 2
    at_once: frozenset[WarmReason] = frozenset({WarmReason.REDIS_UNAVAILABLE, WarmReason.RECORD_FAILED})
    by_change: frozenset[WarmReason] = frozenset({WarmReason.WS_DISCONNECTED, WarmReason.RECORD_IMPORT_FAILED})

    def needed(self, reason: WarmReason, *, ok: bool) -> int:
        """How long a streak must be."""
        if reason in self.by_change:
            return 1
        if ok:
            return self.recover_after
        return 1 if reason in self.at_once else self.fail_after


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel. streak: attempts in a row of the kind that the last one was; since_ns: when the state's code came or went."""

    state: ChannelState = ChannelState.UP
    streak: int = 0
    last_ok: bool = True
    since_ns: int = 0
    attempts: int = 0
    failures: int = 0
    message: str = ""


class WarmEvent(msgspec.Struct, frozen=True, kw_only=True):
    """For operators. name: ``warm_path_state`` when a code came, or went while others stand; ``warm_path_recovered`` when none is left.

    reasons: the codes that stand now. changed: the code that came or went. message: why. lasted_ns: how long it stood.
    """

    name: str
    reasons: tuple[str, ...]
    changed: str
    message: str
    lasted_ns: int = 0


def step_channel(channel: Channel, outcome: Outcome, now_ns: int, limits: WarmLimits) -> Channel:
    """The channel after an attempt.

    >>> down = step_channel(Channel(), Outcome(WarmReason.REDIS_UNAVAILABLE, False, "refused"), 5, WarmLimits())
    >>> down.state.value, down.since_ns, down.message
    ('down', 5, 'refused')
    """
    streak = channel.streak + 1 if outcome.ok == channel.last_ok else 1
    below, reached = WARM_TABLE[channel.state, outcome.ok]
    state = reached if streak >= limits.needed(outcome.reason, ok=outcome.ok) else below
    changed = state.is_degraded != channel.state.is_degraded
    return Channel(
        state=state,
        streak=streak,
        last_ok=outcome.ok,
        since_ns=now_ns if changed else channel.since_ns,
        attempts=channel.attempts + 1,
        failures=channel.failures + (not outcome.ok),
        message=channel.message if outcome.ok else outcome.message,
    )


class WarmPath:
    """All channels of one process; owned by one thread.

    >>> path = WarmPath()
    >>> [event.name for event in path.observe([Outcome(WarmReason.REDIS_UNAVAILABLE, False, "refused")], 0)], path.reasons
    (['warm_path_state'], ('redis_unavailable',))
    >>> [event.name for event in path.observe([Outcome(WarmReason.REDIS_UNAVAILABLE, True)] * 2, 9)], path.reasons
    (['warm_path_recovered'], ())
    """

    def __init__(self, limits: WarmLimits | None = None) -> None:
        self._limits = limits or WarmLimits()
        self._channels: dict[WarmReason, Channel] = {}

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes that stand, sorted."""
        return tuple(sorted(str(reason) for reason, channel in self._channels.items() if channel.state.is_degraded))

    def channel(self, reason: WarmReason) -> Channel:
        """How a channel is."""
        return self._channels.get(reason, Channel())

    def observe(self, outcomes: Iterable[Outcome], now_ns: int) -> list[WarmEvent]:
        """Take attempts in order; what operators should hear."""
        events = []
        for outcome in outcomes:
            before = self.channel(outcome.reason)
            after = self._channels[outcome.reason] = step_channel(before, outcome, now_ns, self._limits)
            if before.state.is_degraded == after.state.is_degraded:
                continue
            events.append(
                WarmEvent(
                    name="warm_path_state" if self.reasons else "warm_path_recovered",
                    reasons=self.reasons,
                    changed=str(outcome.reason),
                    message=after.message,
                    lasted_ns=now_ns - before.since_ns if before.state.is_degraded else 0,
                )
            )
        return events

    @property
    def counters(self) -> dict[str, int]:
        """Attempts and failures by channel."""
        found = {}
        for reason, channel in sorted(self._channels.items()):
            found[f"{reason}.attempts"], found[f"{reason}.failures"] = channel.attempts, channel.failures
        return found
