"""A stand-in of the Redis server: the state goes there, commands come from there; it is away for a while, refuses, and forgets.

A command stays on it until it was answered, and a gateway that starts, or finds the server again, reads it once more.
"""

from __future__ import annotations

from collections.abc import Callable

from ghtrader.core.messages import Command, CommandAnswer
from ghtrader.ports.bus import Request
from ghtrader.ports.warm_path import Outcome, WarmReason
from ghtrader.trading.simulation.media import CrashPoints
from ghtrader.trading.simulation.world import World

__all__ = ["RedisEnd", "SimRedis"]


class SimRedis:
    """The server. answers: hears every answer that it has been given. shown: hears the revision of every state."""

    def __init__(self, world: World, answers: Callable[[CommandAnswer], None], shown: Callable[[int], None]) -> None:
        self.world, self.answers, self._shown = world, answers, shown
        self.up = True
        self.commands: dict[str, Command] = {}
        self._count = 0

    def add(self, command: Command) -> None:
        """Somebody gives a command; it is lost when the server is away."""
        if self.up:
            self._count += 1
            self.commands[f"{self._count}-0"] = command

    def store(self, revision: int) -> None:
        """The state is replaced."""
        self._shown(revision)

    def lose(self) -> None:
        """The server is away for a while, and may have forgotten everything when it is back."""
        if self.up:
            self.up = False
            if self.world.chance.random() < 0.5:
                self.commands.clear()
            self.world.after(self.world.delay(400, 15_000), self.restore)

    def restore(self) -> None:
        """The server is there again."""
        self.up = True


class RedisEnd:
    """`ports.state_sink.StateSink` and `ports.command_source.CommandSource` of one run of the gateway."""

    name, unreadable = "redis", 0

    def __init__(self, server: SimRedis, crash: CrashPoints) -> None:
        self._server, self._crash = server, crash
        self._connected: bool | None = None
        self._state: int | None = None
        self._answers: list[tuple[str, CommandAnswer]] = []
        self._open: set[str] = set()
        self._outcomes: list[Outcome] = []

    def put(self, revision: int, content: bytes) -> None:
        """Have a state written; one that still waits is replaced."""
        del content
        self._state = revision
        self._work()

    def receive(self) -> list[Request]:
        """Commands that came."""
        self._work()
        if not self._connected:
            return []
        found = [
            Request(command=command, source=f"redis:{entry}")
            for entry, command in self._server.commands.items()
            if entry not in self._open
        ]
        self._open.update(self._server.commands)
        return found

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Have an answer written."""
        self._crash("reply")
        self._answers.append((source.partition(":")[2], answer))
        self._work()

    def outcomes(self) -> list[Outcome]:
        """What was tried since the last call."""
        found, self._outcomes = self._outcomes, []
        return found

    def _work(self) -> None:
        """What the adapter's threads do."""
        if self._server.up != self._connected:
            self._connected = self._server.up
            self._outcomes.append(Outcome(WarmReason.REDIS_UNAVAILABLE, self._connected, "" if self._connected else "refused"))
            answered = {entry for entry, _ in self._answers}
            self._open &= answered  # what was read and not acknowledged is read again
        if not self._connected:
            return
        if self._state is not None and self._tried(WarmReason.REDIS_STATE_WRITE_FAILED, 0.06):
            self._server.store(self._state)
            self._state = None
        if self._answers and self._tried(WarmReason.REDIS_STREAM_FAILED, 0.06):
            for entry, answer in self._answers:
                self._server.commands.pop(entry, None)
                self._server.answers(answer)
            self._answers.clear()

    def _tried(self, reason: WarmReason, probability: float) -> bool:
        refused = self._server.world.faults.hits(str(reason), probability)
        self._outcomes.append(Outcome(reason, not refused, "refused" if refused else ""))
        return not refused

    def close(self) -> None:
        """Let go."""
