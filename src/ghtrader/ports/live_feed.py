"""Ticks as they happen: every tick of a symbol exactly once and in order, over drops and rebuilds of the link.

A feed belongs to one thread. `poll` gives what arrived; ids of a symbol ascend by one, over trading days too, so that a hole can be
seen. A hole is asked for again; ``lost`` counts the ids in it that could not be had any more.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

__all__ = ["FeedEvent", "FeedState", "FeedStatus", "LiveFeed", "LiveTick", "RecyclePolicy", "feed_step"]


class FeedState(StrEnum):
    """Where a feed stands. Only LIVE may be traded on."""

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"
    REBUILDING = "rebuilding"
    CLOSED = "closed"


class FeedEvent(StrEnum):
    """What the link or the clock said."""

    CONNECTED = "connected"
    CONNECTED_AGAIN = "connected_again"
    DATA = "data"
    DROPPED = "dropped"
    RESTORED = "restored"
    SILENCE = "silence"
    FAILED = "failed"
    RECYCLE = "recycle"
    REBUILT = "rebuilt"
    CLOSE = "close"


_STEPS: dict[tuple[FeedState, FeedEvent], FeedState] = {
    (FeedState.CONNECTING, FeedEvent.CONNECTED): FeedState.CONNECTING,
    (FeedState.CONNECTING, FeedEvent.DATA): FeedState.LIVE,
    (FeedState.CONNECTING, FeedEvent.DROPPED): FeedState.DOWN,
    (FeedState.CONNECTING, FeedEvent.SILENCE): FeedState.REBUILDING,
    (FeedState.CONNECTING, FeedEvent.CONNECTED_AGAIN): FeedState.REBUILDING,
    (FeedState.LIVE, FeedEvent.DROPPED): FeedState.DOWN,
    (FeedState.LIVE, FeedEvent.SILENCE): FeedState.REBUILDING,
    (FeedState.LIVE, FeedEvent.CONNECTED_AGAIN): FeedState.REBUILDING,
    (FeedState.DOWN, FeedEvent.RESTORED): FeedState.CONNECTING,
    (FeedState.DOWN, FeedEvent.DATA): FeedState.LIVE,
    (FeedState.DOWN, FeedEvent.SILENCE): FeedState.REBUILDING,
    (FeedState.DOWN, FeedEvent.CONNECTED_AGAIN): FeedState.REBUILDING,
    (FeedState.REBUILDING, FeedEvent.REBUILT): FeedState.CONNECTING,
    **{
        (state, event): FeedState.REBUILDING
        for state in (FeedState.CONNECTING, FeedState.LIVE, FeedState.DOWN)
        for event in (FeedEvent.FAILED, FeedEvent.RECYCLE)
    },
}


def feed_step(state: FeedState, event: FeedEvent) -> FeedState:
    """The state after an event; what the table does not name changes nothing. CLOSED is final.

    A client that connects a second time without having said that the link dropped has forgotten its subscriptions: rebuild.

    >>> feed_step(FeedState.LIVE, FeedEvent.CONNECTED_AGAIN)
    <FeedState.REBUILDING: 'rebuilding'>
    """
    if event == FeedEvent.CLOSE or state == FeedState.CLOSED:
        return FeedState.CLOSED
    return _STEPS.get((state, event), state)


class RecyclePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a session is closed and opened anew although nothing is wrong: a client never forgets a tick, so its memory only grows.

    Once per pause of the market (no session, and no tick for ``quiet_s`` seconds), and at the latest after ``most_ticks``.
    """

    quiet_s: float = 60.0
    most_ticks: int = 400_000

    def is_due(self, *, held: int, in_session: bool, quiet_s: float) -> bool:
        """Whether now: ``held`` ticks since the session was opened, ``quiet_s`` seconds since the last.

        >>> policy = RecyclePolicy()
        >>> policy.is_due(held=9, in_session=False, quiet_s=61.0), policy.is_due(held=9, in_session=True, quiet_s=61.0)
        (True, False)
        """
        if held >= self.most_ticks:
            return True
        return held > 0 and not in_session and quiet_s >= self.quiet_s


class LiveTick(msgspec.Struct, frozen=True):
    """One tick: stamps in ns UTC, values in the order of `ghtrader.data.schema.MARKET_COLUMNS` (absent price NaN, size 0).

    A feed that knows the day's price limits gives them behind: upper, lower. open_limit_lots: what the exchange lets one account open
    of the contract in a day, 0 where the feed does not say.
    """

    symbol: str
    identity: int
    ts_ns: int
    receive_ns: int
    values: tuple[float, ...]
    open_limit_lots: int = 0


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State, counters and the last words of the link."""

    state: FeedState
    ticks: int
    rebuilds: int
    lost: int
    last_receive_ns: int
    message: str = ""
    recycles: int = 0


class LiveFeed(Protocol):
    """Raises ProviderPermanentError when the feed cannot be had at all (a login that is refused).

    What may mend itself is a state with a message, also at the first session: sessions are opened again, at growing distance.
    """

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """Ticks that arrived, in order of arrival, at the latest after the timeout; opening a session may take longer."""

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands."""

    def close(self) -> None:
        """Hang up."""
