"""Contract of ``ports.bus``. Inherit `BusContract` and give the fixtures ``ends`` and ``ask``.

``ends``: a server and a client that hear each other already. ``ask(command)`` gives a command to that server and gives back a call that
waits for its answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.messages import (
    MESSAGE_VERSION,
    AccountView,
    Command,
    CommandAnswer,
    ExecutionStyle,
    Heartbeat,
    Outcome,
    Target,
    TickDone,
    TickFrame,
    Verb,
)
from ghtrader.ports.bus import FromStrategy, Request, StreamClient, StreamFrame, StreamServer

__all__ = ["Ask", "BusContract", "Ends", "gathered", "target", "tick"]

Ends = tuple[StreamServer, StreamClient]
Ask = Callable[[Command], Callable[[], CommandAnswer]]
DEADLINE_S = 60.0


def tick(seq: int) -> TickFrame:
    """A message of the gateway, an absent price in it."""
    values = tuple(float("nan") if place == 3 else float(place) for place in range(29))
    return TickFrame(MESSAGE_VERSION, "gateway-1", seq, "SHFE.rb2510", 10**18 + seq, 10**18, values)


def target(seq: int) -> Target:
    """A message of the strategy."""
    return Target(
        MESSAGE_VERSION, "run-1", seq, "demo", "SHFE.rb2510", -2, ExecutionStyle(), 7, 8, 9, 0.25, "m", "f", {"F1": 0.5}
    )


def gathered(receive: Callable[[float], Sequence[Any]], count: int) -> list[Any]:
    """What comes until there are so many, or for `DEADLINE_S`."""
    deadline, found = Deadline(DEADLINE_S), list[Any]()
    while len(found) < count and not deadline.passed:
        found += receive(0.05)
    return found


class BusContract:
    """Laws of every bus."""

    def test_frames_arrive_in_order_and_whole(self, ends: Ends) -> None:
        """Ticks, accounts and beats; NaN stays NaN."""
        server, client = ends
        view = AccountView(MESSAGE_VERSION, "gateway-1", 501, 9, "SHFE.rb2510", 2, 1, 3, "paper", accepts=True)
        beat = Heartbeat(MESSAGE_VERSION, "gateway-1", 501, 5, "gateway", "paper")
        sent: list[StreamFrame] = [*map(tick, range(1, 501)), view, beat]
        for frame in sent:
            server.publish(frame)

        def heard(timeout_s: float) -> list[StreamFrame]:
            server.receive(0.0)  # what could not leave at once leaves with later calls
            return client.receive(timeout_s)

        assert repr(gathered(heard, 502)) == repr(sent)  # repr: NaN is not equal to itself
        assert client.unreadable == 0

    def test_what_the_strategy_says_arrives_in_order_and_whole(self, ends: Ends) -> None:
        """Each once."""
        server, client = ends
        beat = Heartbeat(MESSAGE_VERSION, "run-1", 1, 5, "strategy", "trading")
        sent: list[FromStrategy] = [target(1), TickDone(MESSAGE_VERSION, "run-1", 1, 7, 1234), beat]
        for message in sent:
            client.send(message)
        assert gathered(server.receive, 3) == sent
        assert (server.receive(), server.unreadable, server.listeners) == ([], 0, 1)

    def test_nobody_waits_for_what_is_not_there(self, ends: Ends) -> None:
        """Without a timeout both ends give what they have."""
        server, client = ends
        begun = SystemClock().monotonic_ns()
        assert [end.receive() for end in (server, client) for _ in range(100)] == [[]] * 200
        assert SystemClock().monotonic_ns() - begun < 1_000_000_000

    def test_a_wait_that_is_woken_gives_what_is_there(self, ends: Ends) -> None:
        """Woken from another thread, before or during the wait; nothing that came is lost by it."""
        server, client = ends
        begun = SystemClock().monotonic_ns()
        for seq in range(1, 4):
            server.wake()
            server.wake()
            ringer = threading.Thread(target=server.wake)
            ringer.start()
            assert server.receive(DEADLINE_S) == []
            ringer.join()
            client.send(target(seq))
            assert gathered(server.receive, 1) == [target(seq)]
        assert SystemClock().monotonic_ns() - begun < DEADLINE_S * 1e9

    def test_sending_never_waits_for_a_reader(self, ends: Ends) -> None:
        """Neither end reads, both speak on."""
        server, client = ends
        for seq in range(1, 2001):
            server.publish(tick(seq))
            client.send(target(seq))
        said: list[FromStrategy | Request] = []

        def heard(timeout_s: float) -> list[StreamFrame]:
            said.extend(server.receive(0.0))  # what could not leave at once leaves with later calls
            return client.receive(timeout_s)

        assert [frame.seq for frame in gathered(heard, 2000)] == list(range(1, 2001))
        said += gathered(server.receive, 2000 - len(said))
        assert said == [target(seq) for seq in range(1, 2001)]

    def test_an_answer_goes_to_whoever_asked(self, ends: Ends, ask: Ask) -> None:
        """Whatever the order in which answers are given; somebody who asks on another way gets none here."""
        server, _ = ends
        commands = {
            name: Command(command_id=name, account="demo", verb=Verb.CANCEL_ALL, actor="test", ts_ns=1) for name in ("a", "b")
        }
        answers = {name: ask(command) for name, command in commands.items()}
        requests = gathered(server.receive, 2)
        assert all(isinstance(request, Request) for request in requests)
        assert {request.command.command_id: request.command for request in requests} == commands
        server.answer("elsewhere:1", CommandAnswer(command_id="a", outcome=Outcome.REFUSED, ts_ns=2))
        for request in reversed(requests):
            name = request.command.command_id
            answer = CommandAnswer(command_id=name, outcome=Outcome.ACCEPTED, ts_ns=2, message=f"to {name}")
            server.answer(request.source, answer)
        assert {name: wait().message for name, wait in answers.items()} == {"a": "to a", "b": "to b"}
