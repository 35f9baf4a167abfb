"""The stream between gateway and strategy: in order both ways, but messages are lost, late, doubled, and now and then it stalls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ghtrader.core.messages import AccountView, CommandAnswer
from ghtrader.ports.bus import FromStrategy, Request, StreamFrame
from ghtrader.trading.simulation.media import CrashPoints
from ghtrader.trading.simulation.world import World

__all__ = ["Listener", "SimStream", "StreamEnd"]


class Listener(Protocol):
    """The strategy's process."""

    def hear(self, frame: StreamFrame) -> None:
        """A message of the gateway came."""


class SimStream:
    """What lies between the two ends. answers: hears every answer to a command that came by the socket."""

    def __init__(self, world: World, crash: CrashPoints, answers: Callable[[CommandAnswer], None]) -> None:
        self._world, self._crash, self._answers = world, crash, answers
        self._free_ns = self._holes = 0
        self.listener: Listener | None = None

    # --- to the strategy --------------------------------------------------------------------------------------------------
    def carry(self, frame: StreamFrame) -> None:
        """A message of the gateway sets out, if anybody listens."""
        if self.listener is None:
            return
        faults, world = self._world.faults, self._world
        if faults.hits("frame lost", 0.004 if not self._holes else 0.15):
            self._holes = world.chance.randint(0, 8) if not self._holes else self._holes - 1
            return
        self._holes = max(0, self._holes - 1)
        late = 2600 if faults.hits("stream stalls", 0.004) else 3
        self._free_ns = max(self._free_ns, world.clock.true_ns + world.delay(0.1, late))
        world.at(self._free_ns, lambda: self._arrive(frame))
        if faults.hits("frame twice", 0.003):
            world.at(self._free_ns, lambda: self._arrive(frame))

    def _arrive(self, frame: StreamFrame) -> None:
        if self.listener is not None:
            self.listener.hear(frame)

    # --- to the gateway ---------------------------------------------------------------------------------------------------
    def deliver(self, arrive: Callable[[], None]) -> None:
        """A message to the gateway sets out; ``arrive`` is called when it is there."""
        faults = self._world.faults
        for _ in range(2 if faults.hits("message twice", 0.03) else 1):
            if faults.hits("message lost", 0.02):
                continue
            late = 9000 if faults.hits("message late", 0.02) else 20
            self._world.after(self._world.delay(1, late), arrive)

    # --- the gateway's end ------------------------------------------------------------------------------------------------
    def end(self) -> StreamEnd:
        """A new end for a new run of the gateway."""
        return StreamEnd(self, self._crash, self._answers)


class StreamEnd:
    """`ports.bus.StreamServer` of one run of the gateway."""

    listeners, unreadable = 1, 0

    def __init__(self, stream: SimStream, crash: CrashPoints, answers: Callable[[CommandAnswer], None]) -> None:
        self._stream, self._crash, self._answers = stream, crash, answers

    def publish(self, frame: StreamFrame) -> None:
        """Send to the strategy."""
        if isinstance(frame, AccountView):
            self._crash("view")
        self._stream.carry(frame)

    def receive(self, timeout_s: float = 0.0) -> list[FromStrategy | Request]:
        """Nothing: what comes is given to the gateway when it comes."""
        del timeout_s
        return []

    def wake(self) -> None:
        """Nobody waits here."""

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Answer a command that came by the socket."""
        del source
        self._crash("reply")
        self._answers(answer)

    def close(self) -> None:
        """Hang up."""
