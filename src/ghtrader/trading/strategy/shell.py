"""The core on its stream: messages in, messages out, signs of life both ways. Owns no clock and no socket of its own."""

from __future__ import annotations

from ghtrader.core.clock import Clock
from ghtrader.core.messages import MESSAGE_VERSION, Heartbeat
from ghtrader.ports.bus import StreamClient
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.timing import Stage

__all__ = ["StrategyShell"]


class StrategyShell:
    """Runs a core on a stream. beat_ns: between two beats."""

    def __init__(self, core: StrategyCore, stream: StreamClient, clock: Clock, *, beat_ns: int) -> None:
        self.core = core
        self._stream, self._clock = stream, clock
        self._beat_ns = beat_ns
        self._beaten: int | None = None
        self._unreadable = stream.unreadable

    def step(self, timeout_s: float) -> int:
        """Take what has come and answer it; how many messages. Waits at most ``timeout_s`` for one."""
        frames = self._stream.receive(timeout_s)
        core, clock, send = self.core, self._clock, self._stream.send
        for frame in frames:
            answers = core.on_frame(frame, clock.now_ns(), clock.monotonic_ns())
            if answers:
                begun = clock.monotonic_ns()
                for message in answers:
                    send(message)
                core.times.record(Stage.SEND, clock.monotonic_ns() - begun)
        if self._stream.unreadable != self._unreadable:
            for message in core.on_unreadable(self._stream.unreadable - self._unreadable, clock.now_ns()):
                send(message)
            self._unreadable = self._stream.unreadable
        now = clock.monotonic_ns()
        if not frames:
            core.on_silence(clock.now_ns(), now)
        if self._beaten is None or now - self._beaten >= self._beat_ns:
            self._beaten = now
            self.beat()
        return len(frames)

    def beat(self, state: str = "") -> None:
        """Tell the gateway that we live, and what we are missing; ``state``: something else, as ``stopped``."""
        core = self.core
        standing = ",".join(dict.fromkeys(str(halt.reason) for halt in core.halts.standing))
        told = state or (f"halted {standing}" if standing else "ready")
        self._stream.send(Heartbeat(MESSAGE_VERSION, core.session, core.sent, self._clock.now_ns(), "strategy", told))
