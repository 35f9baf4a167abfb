"""What a gateway has beside its stream: sinks of its state, and other ways by which commands come. Nothing here waits or fails."""

from __future__ import annotations

from collections.abc import Sequence

from ghtrader.core.messages import CommandAnswer
from ghtrader.ports.bus import Request
from ghtrader.ports.command_source import CommandSource
from ghtrader.ports.warm_path import Outcome, WarmReason, Watched
from ghtrader.trading.state.publish import StatePublisher
from ghtrader.trading.state.revision import StateDocument

__all__ = ["WarmSide"]


class WarmSide:
    """Sinks and ways of one account; owned by the gateway's thread. Degradation of both is in what `publish` returns."""

    def __init__(self, publisher: StatePublisher, sources: Sequence[CommandSource]) -> None:
        self._publisher, self._sources = publisher, {source.name: source for source in sources}

    @property
    def ways(self) -> tuple[str, ...]:
        """How sources of requests begin, before the colon."""
        return tuple(self._sources)

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        """Give the state to every sink; reason codes of what fails now."""
        return self._publisher.publish(document)

    def watch(self, watched: Watched) -> None:
        """Say what fails of something else that works beside trading (the recorder)."""
        self._publisher.watch(watched)

    def socket_changed(self, *, is_up: bool, message: str, now_ns: int) -> tuple[str, ...]:
        """The provider's WebSocket came up or went down; reason codes of what fails now."""
        self._publisher.observe(Outcome(WarmReason.WS_DISCONNECTED, is_up, message), now_ns)
        return self._publisher.reasons

    def receive(self) -> list[Request]:
        """Commands that came by any way, way by way."""
        return [request for source in self._sources.values() for request in source.receive()]

    def reply(self, source: str, answer: CommandAnswer) -> None:
        """Answer a request on the way it came; one of another way is left alone."""
        way = self._sources.get(source.partition(":")[0])
        if way is not None:
            way.answer(source, answer)

    def close(self) -> None:
        """Write what waits, and let go."""
        for source in self._sources.values():
            source.close()
        self._publisher.close()
