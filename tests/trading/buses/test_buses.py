"""One contract for the stream between gateway and strategy, on every bus; over ZeroMQ also between processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ghtrader.adapters.bus_inproc import InprocBus
from ghtrader.adapters.bus_zmq import ZmqCommandClient, ZmqStreamClient, ZmqStreamServer, socket_folder
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import HaltedError
from ghtrader.core.messages import (
    MESSAGE_VERSION,
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
from ghtrader.ports.bus import Request, StreamClient, StreamServer

Ends = tuple[StreamServer, StreamClient]
DEADLINE_S = 10.0


def tick(seq: int) -> TickFrame:
    values = tuple(float("nan") if place == 3 else float(place) for place in range(29))
    return TickFrame(MESSAGE_VERSION, "gateway-1", seq, "SHFE.rb2510", 10**18 + seq, 10**18, values)


def target(seq: int) -> Target:
    return Target(1, "run-1", seq, "demo", "SHFE.rb2510", -2, ExecutionStyle(), 7, 8, 9, 0.25, "m", "f", {"F1": 0.5})


@pytest.fixture(params=["inproc", "zmq"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    if request.param == "inproc":
        bus = InprocBus()
        yield bus.server, bus.client
        return
    server, client = ZmqStreamServer(tmp_path / "ipc"), ZmqStreamClient(tmp_path / "ipc")
    deadline = Deadline(DEADLINE_S)
    while not server.listeners:
        server.receive(0.01)
        assert not deadline.passed
    yield server, client
    client.close()
    server.close()


def gathered(receive: Callable[[float], list], count: int) -> list:
    deadline, found = Deadline(DEADLINE_S), []
    while len(found) < count and not deadline.passed:
        found += receive(0.05)
    return found


def test_frames_arrive_in_order_and_whole(ends: Ends) -> None:
    server, client = ends
    for seq in range(1, 501):
        server.publish(tick(seq))

    def heard(timeout_s: float) -> list:
        server.receive(0.0)  # what the kernel did not take is sent on with the next call
        return client.receive(timeout_s)

    found = gathered(heard, 500)
    assert [frame.seq for frame in found] == list(range(1, 501))
    assert repr(found[0]) == repr(tick(1))  # repr: NaN is not equal to itself


def test_what_the_strategy_says_arrives_in_order_and_whole(ends: Ends) -> None:
    server, client = ends
    sent = [
        *(target(seq) for seq in range(1, 301)),
        TickDone(1, "run-1", 1, 7, 1234),
        Heartbeat(1, "run-1", 1, 5, "strategy", "trading"),
    ]
    for message in sent:
        client.send(message)

    def heard(timeout_s: float) -> list:
        client.receive(0.0)
        return server.receive(timeout_s)

    assert gathered(heard, len(sent)) == sent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ZmqStreamServer]:
    found = ZmqStreamServer(tmp_path / "ipc")
    yield found
    found.close()


COMMAND = Command(command_id="1", account="demo", verb=Verb.CANCEL_ALL, actor="test", ts_ns=1)


def test_a_command_is_answered_to_whoever_asked(server: ZmqStreamServer, tmp_path: Path) -> None:
    code = """
    import sys
    from pathlib import Path
    from ghtrader.adapters.bus_zmq import ZmqCommandClient
    from ghtrader.core.messages import Command, Verb
    client = ZmqCommandClient(Path(sys.argv[1]))
    command = Command(command_id=sys.argv[2], account="demo", verb=Verb.CANCEL_ALL, actor="test", ts_ns=1)
    print(client.request(command, 10.0).message)
    """
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "ipc"), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    for request in gathered(server.receive, 2):
        assert isinstance(request, Request)
        answer = CommandAnswer(
            command_id=request.command.command_id, outcome=Outcome.ACCEPTED, ts_ns=2, message=f"to {request.command.command_id}"
        )
        server.answer(request.source, answer)
    assert [asker.communicate(timeout=DEADLINE_S)[0].strip() for asker in askers] == ["to a", "to b"]


def test_a_gateway_that_is_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    client = ZmqCommandClient(tmp_path / "ipc")
    with pytest.raises(HaltedError) as error:
        client.request(COMMAND, 0.05)
    client.close()
    assert error.value.context["reason"] == "gateway_away"
    assert "gateway run" in error.value.hint


def test_a_gateway_that_comes_back_is_found_again(tmp_path: Path) -> None:
    first, client = ZmqStreamServer(tmp_path / "ipc"), ZmqStreamClient(tmp_path / "ipc")
    client.send(target(1))
    assert gathered(first.receive, 1) == [target(1)]
    first.close()
    second = ZmqStreamServer(tmp_path / "ipc")
    deadline = Deadline(DEADLINE_S)
    while not second.listeners:
        assert client.receive(0.01) == []  # a client subscribes again when it is asked for messages
        assert not deadline.passed
    second.publish(tick(1))
    client.send(target(2))
    assert [frame.seq for frame in gathered(client.receive, 1)] == [1]
    assert gathered(second.receive, 1) == [target(2)]
    client.close()
    second.close()


def test_what_cannot_be_read_is_counted_and_dropped(server: ZmqStreamServer, tmp_path: Path) -> None:
    client = ZmqStreamClient(tmp_path / "ipc")
    asks = ZmqCommandClient(tmp_path / "ipc")
    for payload in (b"nonsense", b"\x93"):
        client._stream.send(payload)
    for parts in ([b"c", b"\xc1"], [b"c"]):
        asks._socket.send_multipart(parts)
    client.send(TickDone(99, "run-1", 1, 7, 1))
    client.send(target(1))
    assert gathered(server.receive, 1) == [target(1)]
    gathered(server.receive, 1) if server.unreadable < 5 else None
    assert server.unreadable == 5
    client.close()
    asks.close()


def test_sockets_are_for_this_user_only_and_long_paths_get_a_short_stand_in(tmp_path: Path) -> None:
    assert socket_folder(tmp_path / "x").stat().st_mode & 0o777 == 0o700
    deep = tmp_path / ("long" * 30)
    place = socket_folder(deep)
    assert len(str(place)) < 90
    assert place == socket_folder(deep)
    assert place != socket_folder(tmp_path / ("long" * 31))
    assert place.stat().st_mode & 0o777 == 0o700
