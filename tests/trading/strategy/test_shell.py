"""The shell: answers leave in order, silence halts, beats say what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.trading.strategy.frames import account, beat, binding, ticks
from tests.trading.strategy.test_core import Follow, reasons

from ghtrader.core.messages import Heartbeat, Target, TickDone
from ghtrader.ports.bus import StreamFrame as Frame
from ghtrader.testing.fakes import FakeClock
from ghtrader.trading.link.machine import LinkLimits
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.shell import StrategyShell

S = 1_000_000_000


class Line:
    """A stream in memory."""

    def __init__(self) -> None:
        self.coming: list[Frame] = []
        self.sent: list[Target | TickDone | Heartbeat] = []
        self.unreadable = 0

    def receive(self, timeout_s: float) -> Sequence[Frame]:
        frames, self.coming = self.coming, []
        return frames

    def send(self, message: Target | TickDone | Heartbeat) -> None:
        self.sent.append(message)

    def close(self) -> None:
        pass


def shell_of() -> tuple[StrategyShell, Line, FakeClock]:
    clock, line = FakeClock(), Line()
    core = StrategyCore("demo", "s1", [binding()], Follow, link=LinkLimits(recover_ns=S))
    return StrategyShell(core, line, clock, beat_ns=S // 2), line, clock


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


def heard(shell: StrategyShell, line: Line, *frames: Frame) -> list[str]:
    line.coming = list(frames)
    shell.step(0.0)
    return reasons(shell.core)


def test_silence_halts_and_a_stream_that_is_whole_again_goes_on() -> None:
    shell, line, clock = shell_of()
    assert heard(shell, line) == ["no_gateway"]
    clock.advance(10.0)
    assert heard(shell, line) == ["no_gateway"]  # it was never there
    assert heard(shell, line, account(1), *ticks(3000, 5, 2)) == ["link"]  # it has to go on for a while
    clock.advance(1.0)
    assert heard(shell, line, beat(6)) == []
    clock.advance(1.999)
    assert heard(shell, line) == []
    clock.advance(0.001)
    assert heard(shell, line) == ["link"]
    assert shell.core.halts.standing[0].message == "the stream of the gateway is degraded (silent)"
    assert heard(shell, line, beat(6), beat(6), beat(6)) == ["link"]
    clock.advance(1.0)
    assert heard(shell, line, beat(6)) == []


def test_beats_say_what_is_missing() -> None:
    shell, line, clock = shell_of()
    for _ in range(4):
        shell.step(0.0)
        clock.advance(0.25)
    heard(shell, line, account(1), *ticks(3000, 3, 2))
    clock.advance(1.0)
    heard(shell, line, beat(4))
    shell.beat("stopped")
    beats = [message for message in line.sent if isinstance(message, Heartbeat)]
    assert [message.state for message in beats] == ["halted no_gateway", "halted no_gateway", "halted link", "ready", "stopped"]
    assert {message.session for message in beats} == {"s1"}


def test_a_message_that_cannot_be_read_halts_until_one_can_and_is_told() -> None:
    shell, line, clock = shell_of()
    heard(shell, line, account(1))
    line.unreadable = 2
    clock.advance(1.0)
    heard(shell, line)
    assert "unknown_message" in line.sent[-1].state
    (halt,) = [item for item in shell.core.halts.standing if item.reason == "unknown_message"]
    assert halt.message == "2 messages of the gateway could not be read"
    assert "unknown_message" not in heard(shell, line, beat(1))


def dones(line: Line) -> list[int]:
    found = [message.tick_seq for message in line.sent if isinstance(message, TickDone)]
    line.sent.clear()
    return found


def test_a_tick_that_cannot_be_read_is_dealt_with_so_that_a_replay_goes_on() -> None:
    shell, line, _ = shell_of()
    line.unreadable = 1
    heard(shell, line)
    assert dones(line) == []  # nobody knows whose it is
    heard(shell, line, account(1), *ticks(3000, 2, 2))
    assert dones(line) == [2, 3]
    for number in (4, 6):
        line.unreadable += 1
        heard(shell, line)
        assert dones(line) == [number]
        heard(shell, line, *ticks(3000, 1, number + 1))
        assert dones(line) == [number + 1]
    line.unreadable += 1
    heard(shell, line, *ticks(3000, 1, 9))  # what could not be read came before it
    assert dones(line) == [9]
    line.unreadable += 1  # a beat: it has no number
    heard(shell, line)
    dones(line)
    heard(shell, line, beat(9))
    line.unreadable += 1
    heard(shell, line)
    assert dones(line) == [10]
