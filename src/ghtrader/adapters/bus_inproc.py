"""`ports.bus` within one process: what tests, the simulator and a benchmark's baseline use."""

from __future__ import annotations

from collections import deque

from ghtrader.core.messages import Command, CommandAnswer
from ghtrader.ports.bus import FromStrategy, Request, StreamFrame

__all__ = ["InprocBus"]


class InprocBus:
    """Both ends of a stream, and commands: ``server`` is the gateway's end, ``client`` the strategy's.

    >>> from ghtrader.core.messages import Heartbeat
    >>> bus = InprocBus()
    >>> bus.server.publish(Heartbeat(1, "s", 0, 0, "gateway"))
    >>> bus.client.receive()[0].sender
    'gateway'
    """

    def __init__(self) -> None:
        self.to_strategy: deque[StreamFrame] = deque()
        self.to_gateway: deque[FromStrategy | Request] = deque()
        self.answers: dict[str, CommandAnswer] = {}
        self.server = _Server(self)
        self.client = _Client(self)

    def command(self, command: Command) -> None:
        """Give a command; its answer stands in ``answers`` by its id once the gateway has given one."""
        self.to_gateway.append(Request(command=command, source=f"inproc:{command.command_id}"))


class _Server:
    """`ports.bus.StreamServer`."""

    unreadable = 0
    listeners = 1

    def __init__(self, bus: InprocBus) -> None:
        self._bus = bus

    def publish(self, frame: StreamFrame) -> None:
        self._bus.to_strategy.append(frame)

    def receive(self, timeout_s: float = 0.0) -> list[FromStrategy | Request]:
        del timeout_s
        found = list(self._bus.to_gateway)
        self._bus.to_gateway.clear()
        return found

    def wake(self) -> None:
        """Nobody waits here."""

    def answer(self, source: str, answer: CommandAnswer) -> None:
        self._bus.answers[source.removeprefix("inproc:")] = answer

    def close(self) -> None:
        self._bus.to_gateway.clear()


class _Client:
    """`ports.bus.StreamClient`."""

    unreadable = 0

    def __init__(self, bus: InprocBus) -> None:
        self._bus = bus

    def send(self, message: FromStrategy) -> None:
        self._bus.to_gateway.append(message)

    def receive(self, timeout_s: float = 0.0) -> list[StreamFrame]:
        del timeout_s
        found = list(self._bus.to_strategy)
        self._bus.to_strategy.clear()
        return found

    def close(self) -> None:
        self._bus.to_strategy.clear()
