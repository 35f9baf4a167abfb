"""Health of a numbered stream as its reader sees it. Pure; `LINK_TABLE` is the whole behaviour, thresholds decide which signal it is.

While HEALTHY or SUSPECT the reader acts on what comes; while DEGRADED or RECOVERING it is in safe halt. Beats count as messages, so a
quiet market is healthy as long as the other end lives. Both ways have a bound: out after ``fail_after`` strikes, or ``fail_ns`` of
silence; back after ``recover_after`` whole messages in a row and not before ``recover_ns``, which is also the least time between two halts.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.core.errors import ConfigError
from ghtrader.trading.link.sequence import Arrival, StreamPlace, follow

__all__ = [
    "LINK_TABLE",
    "Arrived",
    "Disconnected",
    "Link",
    "LinkEffect",
    "LinkEvent",
    "LinkLimits",
    "LinkPhase",
    "LinkSignal",
    "SafeHaltCleared",
    "SafeHaltEntered",
    "TimePassed",
    "first_link",
    "signal_of",
    "step_link",
]


class LinkPhase(StrEnum):
    """How the link is."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"  # late, or something was lost; not often enough to stop
    DEGRADED = "degraded"
    RECOVERING = "recovering"  # it speaks again, and has to go on for a while

    @property
    def is_halted(self) -> bool:
        """Whether the reader must not act on what comes."""
        return self in {LinkPhase.DEGRADED, LinkPhase.RECOVERING}


class LinkSignal(StrEnum):
    """What an event amounts to."""

    WHOLE = "whole"  # a message that continues the one before
    PROVEN = "proven"  # the same, and by it enough of them
    BEGUN = "begun"  # a new session of the other end
    GAP = "gap"
    LATE = "late"  # silent for `suspect_ns`
    STRUCK_OUT = "struck_out"  # a gap or lateness, one too many
    SILENT = "silent"  # silent for `fail_ns`
    DISCONNECTED = "disconnected"


_P, _S = LinkPhase, LinkSignal
#: Every step. What is not here changes nothing but the counts.
LINK_TABLE: dict[tuple[LinkPhase, LinkSignal], LinkPhase] = {
    (_P.HEALTHY, _S.WHOLE): _P.HEALTHY,
    (_P.HEALTHY, _S.GAP): _P.SUSPECT,
    (_P.HEALTHY, _S.LATE): _P.SUSPECT,
    (_P.HEALTHY, _S.STRUCK_OUT): _P.DEGRADED,
    (_P.HEALTHY, _S.SILENT): _P.DEGRADED,
    (_P.HEALTHY, _S.DISCONNECTED): _P.DEGRADED,
    (_P.HEALTHY, _S.BEGUN): _P.RECOVERING,
    (_P.SUSPECT, _S.WHOLE): _P.SUSPECT,
    (_P.SUSPECT, _S.PROVEN): _P.HEALTHY,
    (_P.SUSPECT, _S.GAP): _P.SUSPECT,
    (_P.SUSPECT, _S.LATE): _P.SUSPECT,
    (_P.SUSPECT, _S.STRUCK_OUT): _P.DEGRADED,
    (_P.SUSPECT, _S.SILENT): _P.DEGRADED,
    (_P.SUSPECT, _S.DISCONNECTED): _P.DEGRADED,
    (_P.SUSPECT, _S.BEGUN): _P.RECOVERING,
    (_P.DEGRADED, _S.WHOLE): _P.RECOVERING,
    (_P.DEGRADED, _S.BEGUN): _P.RECOVERING,
    (_P.RECOVERING, _S.WHOLE): _P.RECOVERING,
    (_P.RECOVERING, _S.PROVEN): _P.HEALTHY,
    (_P.RECOVERING, _S.BEGUN): _P.RECOVERING,
    (_P.RECOVERING, _S.GAP): _P.DEGRADED,
    (_P.RECOVERING, _S.LATE): _P.DEGRADED,
    (_P.RECOVERING, _S.SILENT): _P.DEGRADED,
    (_P.RECOVERING, _S.DISCONNECTED): _P.DEGRADED,
}


class LinkLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds. Silence of ``suspect_ns`` is a strike, of ``fail_ns`` the end; ``fail_after`` strikes are the end too.

    clear_after: whole messages in a row that end a suspicion and forgive its strikes. recover_after, recover_ns: messages in a row and
    time that end a safe halt. Raises ConfigError unless 0 < suspect_ns < fail_ns, recover_ns >= 0 and all counts are at least 1.
    """

    suspect_ns: int = 1_250_000_000
    fail_ns: int = 2_000_000_000
    fail_after: int = 3
    clear_after: int = 3
    recover_after: int = 3
    recover_ns: int = 1_000_000_000

    def __post_init__(self) -> None:
        if not 0 < self.suspect_ns < self.fail_ns:
            raise ConfigError(
                f"a link is suspected after {self.suspect_ns} ns and fails after {self.fail_ns} ns: 0 < first < second"
            )
        if min(self.fail_after, self.clear_after, self.recover_after) < 1 or self.recover_ns < 0:
            raise ConfigError("a link needs counts of at least 1 and no negative time to fail, clear and recover")


class Arrived(msgspec.Struct, frozen=True):
    """A message came. now_ns: our monotonic clock, as in every event. is_beat: it repeats the number of the last message."""

    now_ns: int
    session: str
    seq: int
    is_beat: bool = False


class TimePassed(msgspec.Struct, frozen=True):
    """Nothing came until now."""

    now_ns: int


class Disconnected(msgspec.Struct, frozen=True):
    """The transport says that the other end is gone."""

    now_ns: int


LinkEvent = Arrived | TimePassed | Disconnected


class SafeHaltEntered(msgspec.Struct, frozen=True):
    """The reader stops acting. signal: what made it; lost: messages lost so far."""

    signal: LinkSignal
    lost: int


class SafeHaltCleared(msgspec.Struct, frozen=True):
    """The reader may act again. halted_ns: how long it did not."""

    halted_ns: int


LinkEffect = SafeHaltEntered | SafeHaltCleared


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link; `first_link` makes one. It begins in safe halt, since nothing was heard yet.

    place: numbers of the stream. heard_ns: when something new came last. halted_ns: when the halt began. recovering_ns: when the
    newest recovery did. strikes: since the link was healthy. whole: messages in a row. struck: this silence has had its strike.
    """

    phase: LinkPhase = LinkPhase.DEGRADED
    place: StreamPlace = StreamPlace()
    heard_ns: int = 0
    halted_ns: int = 0
    recovering_ns: int = 0
    strikes: int = 0
    whole: int = 0
    struck: bool = False
    signal: LinkSignal = LinkSignal.SILENT

    @property
    def is_halted(self) -> bool:
        """Whether the reader must not act on what comes."""
        return self.phase.is_halted


def first_link(now_ns: int) -> Link:
    """A link of which nothing was heard yet, now."""
    return Link(heard_ns=now_ns, halted_ns=now_ns, recovering_ns=now_ns)


def step_link(link: Link, event: LinkEvent, limits: LinkLimits) -> tuple[Link, tuple[LinkEffect, ...]]:
    """The link after an event, and what is to be said of it.

    >>> link, limits = first_link(0), LinkLimits(recover_ns=0)
    >>> for seq in (1, 2, 3):
    ...     link, effects = step_link(link, Arrived(seq, "gateway-1", seq), limits)
    >>> link.phase.value, effects
    ('healthy', (SafeHaltCleared(halted_ns=3),))
    >>> link, effects = step_link(link, TimePassed(2_000_000_003), limits)
    >>> link.phase.value, effects[0].signal.value
    ('degraded', 'silent')
    """
    if isinstance(event, Arrived) and _goes_on(link, event):
        return _gone_on(link, event), ()
    link, signal = _read(link, event, limits)
    return (link, ()) if signal is None else _moved(link, signal, event.now_ns)


def _goes_on(link: Link, event: Arrived) -> bool:
    """Whether the next message reaches a healthy link: nearly every event, and so the one that must cost nothing."""
    place, now = link.place, event.now_ns
    return (
        link.phase is LinkPhase.HEALTHY
        and event.seq == place.seq + 1
        and event.session == place.session != place.over
        and not event.is_beat
        and now >= link.heard_ns
        and now >= link.halted_ns
        and now >= link.recovering_ns
    )


def _gone_on(link: Link, event: Arrived) -> Link:
    """What `_read` and `_moved` make of it, in one step."""
    place = link.place
    return Link(
        phase=link.phase,
        place=StreamPlace(session=place.session, seq=event.seq, over=place.over, lost=place.lost),
        heard_ns=event.now_ns,
        halted_ns=link.halted_ns,
        recovering_ns=link.recovering_ns,
        whole=link.whole + 1,
        signal=link.signal,
    )


def signal_of(link: Link, event: LinkEvent, limits: LinkLimits) -> LinkSignal | None:
    """The column of `LINK_TABLE` that an event means for a link; None when it is no news."""
    return _read(link, event, limits)[1]


def _read(link: Link, event: LinkEvent, limits: LinkLimits) -> tuple[Link, LinkSignal | None]:
    link = _anchored(link, event.now_ns)
    if isinstance(event, Disconnected):
        return link, LinkSignal.DISCONNECTED
    if isinstance(event, TimePassed):
        return link, _silence(link, event.now_ns, limits)
    place, arrival = follow(link.place, event.session, event.seq, is_beat=event.is_beat)
    if arrival == Arrival.STALE:
        return link, None
    link = msgspec.structs.replace(link, place=place, heard_ns=event.now_ns, struck=False)
    return link, _arrived(link, arrival, event.now_ns, limits)


def _anchored(link: Link, now_ns: int) -> Link:
    """The link, no stamp of it later than now: of a clock that went back, nothing before is believed to be to come."""
    stamps = {name: now_ns for name in ("heard_ns", "halted_ns", "recovering_ns") if getattr(link, name) > now_ns}
    return msgspec.structs.replace(link, **stamps) if stamps else link


def _arrived(link: Link, arrival: Arrival, now_ns: int, limits: LinkLimits) -> LinkSignal:
    if arrival == Arrival.BEGUN:
        return LinkSignal.BEGUN
    if arrival == Arrival.GAP:
        return _strike(link, LinkSignal.GAP, limits)
    whole = link.whole + 1
    if link.phase == LinkPhase.SUSPECT and whole >= limits.clear_after:
        return LinkSignal.PROVEN
    recovered = whole >= limits.recover_after and now_ns - link.recovering_ns >= limits.recover_ns
    return LinkSignal.PROVEN if link.phase == LinkPhase.RECOVERING and recovered else LinkSignal.WHOLE


def _silence(link: Link, now_ns: int, limits: LinkLimits) -> LinkSignal | None:
    silent_ns = now_ns - link.heard_ns
    if silent_ns >= limits.fail_ns:
        return LinkSignal.SILENT
    if silent_ns < limits.suspect_ns or link.struck:
        return None
    return _strike(link, LinkSignal.LATE, limits)


def _strike(link: Link, signal: LinkSignal, limits: LinkLimits) -> LinkSignal:
    return LinkSignal.STRUCK_OUT if not link.is_halted and link.strikes + 1 >= limits.fail_after else signal


_WHOLE = frozenset({LinkSignal.WHOLE, LinkSignal.PROVEN, LinkSignal.BEGUN})
_STRIKES = frozenset({LinkSignal.GAP, LinkSignal.LATE, LinkSignal.STRUCK_OUT})


def _moved(link: Link, signal: LinkSignal, now_ns: int) -> tuple[Link, tuple[LinkEffect, ...]]:
    before, phase = link.phase, LINK_TABLE.get((link.phase, signal), link.phase)
    begins = phase == LinkPhase.RECOVERING and (before != phase or signal == LinkSignal.BEGUN)
    enters, clears = phase.is_halted and not before.is_halted, before.is_halted and not phase.is_halted
    whole = 0 if signal not in _WHOLE else 1 if begins else link.whole + 1
    after = msgspec.structs.replace(
        link,
        phase=phase,
        whole=whole,
        strikes=0 if phase == LinkPhase.HEALTHY or phase.is_halted else link.strikes + (signal in _STRIKES),
        struck=link.struck or signal in {LinkSignal.LATE, LinkSignal.STRUCK_OUT},
        halted_ns=now_ns if enters else link.halted_ns,
        recovering_ns=now_ns if begins else link.recovering_ns,
        signal=signal if phase != before else link.signal,
    )
    if enters:
        return after, (SafeHaltEntered(signal, after.place.lost),)
    return after, (SafeHaltCleared(now_ns - after.halted_ns),) if clears else ()
