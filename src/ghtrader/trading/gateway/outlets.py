"""What the gateway says: ticks and account views to the strategy under one numbering, answers, the state, lines for operators."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ghtrader.core.clock import Clock
from ghtrader.core.messages import MESSAGE_VERSION, AccountView, CommandAnswer, Heartbeat, TickFrame
from ghtrader.ports.bus import StreamServer
from ghtrader.ports.live_feed import LiveTick
from ghtrader.trading.state.revision import StateDocument

__all__ = ["StreamOutlets"]

Publisher = Callable[[StateDocument], tuple[str, ...]]
Teller = Callable[[str, dict[str, str | int | float | bool]], None]


class StreamOutlets:
    """`trading.gateway.shell.Outlets` over a stream server. session: of this run of the gateway, unlike that of any other.

    publish: gives a state to the sinks; at most once in ``publish_s`` of real time, so that a replay at full speed does not write
    files all the time. replies: ways back by the beginning of a source, beside that of the stream.
    """

    def __init__(
        self,
        server: StreamServer,
        session: str,
        clock: Clock,
        *,
        publish: Publisher | None = None,
        tell: Teller | None = None,
        publish_s: float = 0.0,
        replies: dict[str, Callable[[str, CommandAnswer], None]] | None = None,
    ) -> None:
        self._server, self._session, self._clock = server, session, clock
        self._publish, self._tell, self._publish_ns = publish, tell, int(publish_s * 1e9)
        self._replies = replies or {}
        self._seq = 0
        self._published_ns = -(1 << 62)
        self._degraded: tuple[str, ...] = ()
        self.subscribed: tuple[str, ...] = ()
        self.document: StateDocument | None = None

    def tick(self, tick: LiveTick) -> int:
        """Give a tick to the strategy; returns its number. Beyond the 27 market columns a feed may know the price limits."""
        self._seq += 1
        values = tick.values if len(tick.values) == FRAME_VALUES else (*tick.values, *NO_LIMITS)[:FRAME_VALUES]
        frame = TickFrame(MESSAGE_VERSION, self._session, self._seq, tick.symbol, tick.ts_ns, tick.receive_ns, values)
        self._server.publish(frame)
        return self._seq

    def beat(self, state: str) -> None:
        """A sign of life that carries the number of the last message."""
        now = self._clock.now_ns()
        self._server.publish(Heartbeat(MESSAGE_VERSION, self._session, self._seq, now, "gateway", state))

    def view(self, view: AccountView) -> None:
        """Tell the strategy how a contract stands."""
        self._seq += 1
        self._server.publish(replace(view, session=self._session, seq=self._seq))

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        """Give the state to the sinks when the time has come; reason codes of those that fail."""
        self.document = document
        now = self._clock.monotonic_ns()
        if now - self._published_ns >= self._publish_ns:
            self._published_ns = now
            self.flush()
        return self._degraded

    def flush(self) -> None:
        """Give the newest state to the sinks now, stamped by this machine's clock: its own stamps are those of the market."""
        if self.document is not None and self._publish is not None:
            self._degraded = self._publish(replace(self.document, written_ns=self._clock.now_ns()))

    def reply(self, source: str, answer: CommandAnswer) -> None:
        """Answer a command on the way it came."""
        way = self._replies.get(source.split(":", 1)[0])
        if way is not None:
            way(source, answer)
        else:
            self._server.answer(source, answer)

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        """Note which ticks are wanted."""
        self.subscribed = symbols

    def tell(self, name: str, fields: dict[str, str | int | float | bool]) -> None:
        """A line for operators."""
        if self._tell is not None:
            self._tell(name, fields)


FRAME_VALUES = 29
NO_LIMITS = (float("nan"), float("nan"))
