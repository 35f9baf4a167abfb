"""The state goes to every sink, each on its own: what one of them does never stops another, nor the thread that trades.

What is written says itself what is degraded, so that a reader of any sink that still works sees it at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ghtrader.ports.state_sink import StateSink
from ghtrader.ports.warm_path import Outcome, WarmReason, Watched
from ghtrader.trading.link.warm_path import WarmEvent, WarmLimits, WarmPath
from ghtrader.trading.state.revision import PublishedDocument

__all__ = ["StatePublisher"]

_encode = msgspec.json.Encoder().encode


class StatePublisher:
    """Publishes the state of one process of an account; owned by one thread. The order of sinks means nothing.

    watched: what else may be degraded (command sources). A document whose revision is not above the last one is not published.
    """

    def __init__(self, sinks: Sequence[StateSink], watched: Sequence[Watched] = (), limits: WarmLimits | None = None) -> None:
        self._sinks, self._watched = tuple(sinks), tuple(watched)
        self._path = WarmPath(limits)
        self._events: list[WarmEvent] = []
        self.revision = 0
        self.refused = 0

    def publish(self, document: PublishedDocument) -> tuple[str, ...]:
        """Give the state to every sink; reason codes of what fails now, sorted. Never waits, never raises."""
        now_ns = document.updated_at
        self.look(now_ns)
        if document.revision <= self.revision:
            self.refused += 1
            return self.reasons
        self.revision = document.revision
        standing = self.reasons
        told = replace(
            document,
            degraded=tuple(sorted((set(document.degraded) - set(WarmReason)) | set(standing))),
            counters={**document.counters, **self.counters},
            written_ns=document.written_ns or now_ns,
            warm_path_degraded=bool(standing),
            warm_path_reason=next((str(reason) for reason in WarmReason if reason in standing), ""),
        )
        content = _encode(told)
        for sink in self._sinks:
            sink.put(document.revision, content)
        return self.look(now_ns)

    def look(self, now_ns: int) -> tuple[str, ...]:
        """Take in what sinks and sources did meanwhile; the codes that stand now."""
        for watched in (*self._sinks, *self._watched):
            self._events += self._path.observe(watched.outcomes(), now_ns)
        return self.reasons

    def watch(self, watched: Watched) -> None:
        """Take in from now on what something else beside trading does."""
        self._watched = (*self._watched, watched)

    def observe(self, outcome: Outcome, now_ns: int) -> None:
        """Take in an attempt of something that is not watched (the provider's WebSocket)."""
        self._events += self._path.observe([outcome], now_ns)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The codes that stand."""
        return self._path.reasons

    @property
    def counters(self) -> dict[str, int]:
        """Attempts and failures by channel, and documents whose revision did not rise."""
        return {**self._path.counters, "state_refused": self.refused}

    def events(self) -> list[WarmEvent]:
        """What operators should hear, each once."""
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        """Let go of every sink."""
        for sink in self._sinks:
            sink.close()
