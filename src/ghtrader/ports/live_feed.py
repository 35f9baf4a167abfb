"""Ticks as they happen: every tick of a symbol exactly once and in order, over drops and rebuilds of the link.

A feed belongs to one thread. `poll` gives what arrived; ids of a symbol ascend by one within a trading day's feed, so that a
hole can be seen: ``lost`` counts ticks that no longer could be had after a rebuild.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

__all__ = ["FeedEvent", "FeedState", "FeedStatus", "LiveFeed", "LiveTick", "feed_step"]


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


class LiveTick(msgspec.Struct, frozen=True):
    """One tick: stamps in ns UTC, values in the order of `ghtrader.data.schema.MARKET_COLUMNS` (absent price NaN, size 0)."""

    symbol: str
    identity: int
    ts_ns: int
    receive_ns: int
    values: tuple[float, ...]


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State, counters and the last words of the link."""

    state: FeedState
    ticks: int
    rebuilds: int
    lost: int
    last_receive_ns: int
    message: str = ""


class LiveFeed(Protocol):
    """Raises ProviderError when the feed cannot be had at all; a link that comes back is no error."""

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """Ticks that arrived, in order of arrival, at the latest after the timeout."""

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands."""

    def close(self) -> None:
        """Hang up."""
