"""The core on its stream: messages in, messages out, signs of life both ways. Owns no clock and no socket of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.messages import MESSAGE_VERSION, Heartbeat, Target, TickDone
from ghtrader.trading.strategy.core import Frame, StrategyCore
from ghtrader.trading.strategy.halts import HaltReason
from ghtrader.trading.strategy.timing import Stage

__all__ = ["GatewayStream", "SilentStream", "StrategyShell"]


class GatewayStream(Protocol):
    """The strategy's end of the stream. Belongs to one thread."""

    def receive(self, timeout_s: float) -> Sequence[Frame]:
        """Messages that have come, in order; waits at most so long for one."""

    def send(self, message: Target | TickDone | Heartbeat) -> None:
        """Give a message to the gateway; never waits, and says nothing of whether it is heard."""

    def close(self) -> None:
        """Hang up."""


class SilentStream:
    """The stream where there is no gateway: nothing comes, nobody hears."""

    def receive(self, timeout_s: float) -> Sequence[Frame]:
        """Nothing, after the time is over."""
        Deadline(timeout_s).pause(timeout_s)
        return ()

    def send(self, message: Target | TickDone | Heartbeat) -> None:
        """Ignored."""

    def close(self) -> None:
        """Nothing to hang up."""


class StrategyShell:
    """Runs a core on a stream. silence_ns: without a message for so long the strategy halts; beat_ns: between two beats."""

    def __init__(self, core: StrategyCore, stream: GatewayStream, clock: Clock, *, silence_ns: int, beat_ns: int) -> None:
        self.core = core
        self._stream, self._clock = stream, clock
        self._silence_ns, self._beat_ns = silence_ns, beat_ns
        self._heard = self._beaten = -1
        core.halts.set(
            HaltReason.NO_GATEWAY, f"no gateway of account {core.account} is heard: ghtrader gateway run", clock.now_ns()
        )

    def step(self, timeout_s: float) -> int:
        """Take what has come and answer it; how many messages. Waits at most ``timeout_s`` for one."""
        frames = self._stream.receive(timeout_s)
        core, clock, send = self.core, self._clock, self._stream.send
        for frame in frames:
            answers = core.on_frame(frame, clock.now_ns())
            if answers:
                begun = clock.monotonic_ns()
                for message in answers:
                    send(message)
                core.times.record(Stage.SEND, clock.monotonic_ns() - begun)
        self._watch(heard=bool(frames))
        return len(frames)

    def _watch(self, *, heard: bool) -> None:
        """Halt in silence, go on when it ends, and give signs of life."""
        now = self._clock.monotonic_ns()
        halts = self.core.halts
        if heard:
            self._heard = now
            halts.clear(HaltReason.NO_GATEWAY)
            self.core.on_link(is_whole=True, message="", now_ns=0)
        elif self._heard >= 0 and now - self._heard >= self._silence_ns and not halts.has(HaltReason.LINK):
            silent = f"no message of the gateway for {self._silence_ns / NS_PER_S:g} s"
            self.core.on_link(is_whole=False, message=silent, now_ns=self._clock.now_ns())
        if self._beaten < 0 or now - self._beaten >= self._beat_ns:
            self._beaten = now
            self.beat()

    def beat(self, state: str = "") -> None:
        """Tell the gateway that we live, and what we are missing; ``state``: something else, as ``stopped``."""
        core = self.core
        standing = ",".join(dict.fromkeys(str(halt.reason) for halt in core.halts.standing))
        told = state or (f"halted {standing}" if standing else "ready")
        self._stream.send(Heartbeat(MESSAGE_VERSION, core.session, core.sent, self._clock.now_ns(), "strategy", told))
