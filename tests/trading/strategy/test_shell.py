"""The shell: answers leave in order, silence halts, beats say what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.trading.strategy.frames import account, beat, binding, ticks
from tests.trading.strategy.test_core import Follow, reasons

from ghtrader.core.messages import Heartbeat, Target, TickDone
from ghtrader.testing.fakes import FakeClock
from ghtrader.trading.strategy.core import Frame, StrategyCore
from ghtrader.trading.strategy.shell import SilentStream, StrategyShell

S = 1_000_000_000


class Line:
    """A stream in memory."""

    def __init__(self) -> None:
        self.coming: list[Frame] = []
        self.sent: list[Target | TickDone | Heartbeat] = []

    def receive(self, timeout_s: float) -> Sequence[Frame]:
        frames, self.coming = self.coming, []
        return frames

    def send(self, message: Target | TickDone | Heartbeat) -> None:
        self.sent.append(message)

    def close(self) -> None:
        pass


def shell_of() -> tuple[StrategyShell, Line, FakeClock]:
    clock, line = FakeClock(), Line()
    core = StrategyCore("demo", "s1", [binding()], Follow)
    return StrategyShell(core, line, clock, silence_ns=2 * S, beat_ns=S // 2), line, clock


def test_every_tick_is_answered_in_order_with_its_target_before_its_credit() -> None:
    shell, line, _ = shell_of()
    line.coming = [account(1), *ticks(3000, 100, 2)]
    assert shell.step(0.0) == 101
    answers = [message for message in line.sent if not isinstance(message, Heartbeat)]
    assert [message.tick_seq for message in answers if isinstance(message, TickDone)] == list(range(2, 102))
    for target, done in pairwise(answers):
        if isinstance(target, Target):
            assert isinstance(done, TickDone)
            assert done.tick_seq == target.tick_seq
    assert shell.core.report(0).stages["send"].count == 100


def test_silence_halts_and_a_message_goes_on() -> None:
    shell, line, clock = shell_of()
    shell.step(0.0)
    assert reasons(shell.core) == ["no_gateway"]
    clock.advance(10.0)
    shell.step(0.0)
    assert reasons(shell.core) == ["no_gateway"]  # it was never there
    line.coming = [account(1), *ticks(3000, 2, 2)]
    shell.step(0.0)
    assert reasons(shell.core) == []
    clock.advance(1.999)
    shell.step(0.0)
    assert reasons(shell.core) == []
    clock.advance(0.001)
    shell.step(0.0)
    assert [halt.message for halt in shell.core.halts.standing] == ["no message of the gateway for 2 s"]
    line.coming = [beat(3)]
    shell.step(0.0)
    assert reasons(shell.core) == []


def test_beats_say_what_is_missing() -> None:
    shell, line, clock = shell_of()
    for _ in range(4):
        shell.step(0.0)
        clock.advance(0.25)
    line.coming = [account(1), *ticks(3000, 1, 2)]
    shell.step(0.0)
    shell.beat("stopped")
    beats = [message for message in line.sent if isinstance(message, Heartbeat)]
    assert [message.state for message in beats] == ["halted no_gateway", "halted no_gateway", "ready", "stopped"]
    assert {message.session for message in beats} == {"s1"}


def test_without_a_gateway_nothing_comes() -> None:
    stream = SilentStream()
    stream.send(beat(1))
    assert stream.receive(0.001) == ()
    stream.close()
