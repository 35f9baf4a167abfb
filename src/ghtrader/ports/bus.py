"""What goes between a gateway and its strategy, and how commands come in. Frames are those of `ghtrader.core.messages`.

The gateway publishes a stream; every message of its session is numbered by one in `seq` (a beat carries the last number), so that
a reader notices what was lost. Sending never waits: what the other end has not room for goes on with the next
call of either method, and a reader that is too slow loses messages and knows it. In lockstep the gateway
waits for a `TickDone` after each tick, so nothing can be lost. Both ends belong to one thread each.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from ghtrader.core.messages import AccountView, Command, CommandAnswer, Heartbeat, Target, TickDone, TickFrame

__all__ = ["CommandClient", "FromStrategy", "Request", "StreamClient", "StreamFrame", "StreamServer"]

StreamFrame = TickFrame | AccountView | Heartbeat
FromStrategy = Target | TickDone | Heartbeat


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command and the way back for its answer."""

    command: Command
    source: str


class StreamServer(Protocol):
    """The gateway's end."""

    def publish(self, frame: StreamFrame) -> None:
        """Send to whoever listens; never waits."""

    def receive(self, timeout_s: float = 0.0) -> list[FromStrategy | Request]:
        """Messages of the strategy and commands, in order of arrival; waits at most so long for the first one.

        What cannot be read is dropped and counted in ``unreadable``.
        """

    def wake(self) -> None:
        """End the wait of `receive`, or the next one where nobody waits. From any thread; all other calls belong to one."""

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Answer a request, on the way it came."""

    @property
    def listeners(self) -> int:
        """How many strategies listen now."""

    @property
    def unreadable(self) -> int:
        """Messages that could not be read."""

    def close(self) -> None:
        """Hang up."""


class StreamClient(Protocol):
    """The strategy's end. A gateway that is not there yet, or comes back, is found without any call."""

    def send(self, message: FromStrategy) -> None:
        """Send to the gateway; never waits. What is said while it is away is not kept for the next one: it would be old by then."""

    def receive(self, timeout_s: float = 0.0) -> list[StreamFrame]:
        """Messages of the gateway in order; waits at most so long for the first one.

        What cannot be read is dropped and counted in ``unreadable``; its number is missing then, as that of a message that was lost.
        """

    @property
    def unreadable(self) -> int:
        """Messages that could not be read."""

    def close(self) -> None:
        """Hang up."""


class CommandClient(Protocol):
    """Whoever gives commands: the command line, a console."""

    def request(self, command: Command, timeout_s: float) -> CommandAnswer:
        """Send a command and wait for its answer; raises HaltedError (``reason`` gateway_away) when none comes in time.

        Sending the same command again is safe: it is applied at most once.
        """

    def close(self) -> None:
        """Hang up."""
