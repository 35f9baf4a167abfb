"""Every bus keeps the contract; what a socket does beside it: an end that goes away and comes back, bytes that are no message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from ghtrader.adapters.bus_inproc import InprocBus
from ghtrader.adapters.bus_zmq import ZmqCommandClient, ZmqStreamClient, ZmqStreamServer, socket_folder
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import HaltedError
from ghtrader.core.messages import MESSAGE_VERSION, Command, CommandAnswer, Heartbeat, TickDone, Verb
from ghtrader.testing.contracts.bus import Ask, BusContract, Ends, gathered, target, tick

DEADLINE_S = 60.0


class TestInprocBus(BusContract):
    @pytest.fixture
    def bus(self) -> InprocBus:
        return InprocBus()

    @pytest.fixture
    def ends(self, bus: InprocBus) -> Ends:
        return bus.server, bus.client

    @pytest.fixture
    def ask(self, bus: InprocBus) -> Ask:
        def given(command: Command) -> Callable[[], CommandAnswer]:
            bus.command(command)
            return lambda: bus.answers[command.command_id]

        return given


class TestZmqBus(BusContract):
    @pytest.fixture
    def ends(self, tmp_path: Path) -> Iterator[Ends]:
        server, client = ZmqStreamServer(tmp_path / "ipc"), ZmqStreamClient(tmp_path / "ipc")
        met(server, client)
        yield server, client
        client.close()
        server.close()

    @pytest.fixture
    def ask(self, tmp_path: Path) -> Iterator[Ask]:
        pool = ThreadPoolExecutor(4)

        def asked(command: Command) -> CommandAnswer:
            client = ZmqCommandClient(tmp_path / "ipc")
            try:
                return client.request(command, DEADLINE_S)
            finally:
                client.close()

        yield lambda command: pool.submit(asked, command).result
        pool.shutdown()


def met(server: ZmqStreamServer, client: ZmqStreamClient) -> None:
    """Both ways are open."""
    deadline = Deadline(DEADLINE_S)
    while not server.listeners:
        assert client.receive(0.0) == []  # a client subscribes again when it is asked for messages
        server.receive(0.01)
        assert not deadline.passed
    hello = Heartbeat(MESSAGE_VERSION, "hello", 0, 0, "strategy", "")
    while not server.receive(0.01):
        client.send(hello)
        assert not deadline.passed
    while server.receive(0.02):
        assert not deadline.passed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ZmqStreamServer]:
    found = ZmqStreamServer(tmp_path / "ipc")
    yield found
    found.close()


COMMAND = Command(command_id="1", account="demo", verb=Verb.CANCEL_ALL, actor="test", ts_ns=1)


def test_a_gateway_that_is_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    client = ZmqCommandClient(tmp_path / "ipc")
    with pytest.raises(HaltedError) as error:
        client.request(COMMAND, 0.05)
    client.close()
    assert error.value.context["reason"] == "gateway_away"
    assert "gateway run" in error.value.hint


def test_a_gateway_that_comes_back_is_found_again_and_hears_nothing_that_was_said_while_it_was_away(tmp_path: Path) -> None:
    client = ZmqStreamClient(tmp_path / "ipc")
    for seq in range(1, 4):
        client.send(target(seq))
    first = ZmqStreamServer(tmp_path / "ipc")
    met(first, client)
    client.send(target(4))
    assert gathered(first.receive, 1) == [target(4)]
    first.close()
    for seq in range(5, 50):
        client.send(target(seq))
    assert client.receive(0.0) == []
    for seq in range(50, 100):
        client.send(target(seq))
    second = ZmqStreamServer(tmp_path / "ipc")
    deadline = Deadline(DEADLINE_S)
    while not second.listeners:
        assert client.receive(0.01) == []
        assert not deadline.passed
    heard: list[object] = []
    while not heard:
        client.send(target(100))
        heard = second.receive(0.02)
        assert not deadline.passed
    assert {message.seq for message in heard} == {100}
    second.publish(tick(1))
    assert [frame.seq for frame in gathered(client.receive, 1)] == [1]
    client.close()
    second.close()


def test_a_frame_that_cannot_be_read_is_counted_and_missing_in_the_stream(server: ZmqStreamServer, tmp_path: Path) -> None:
    client = ZmqStreamClient(tmp_path / "ipc")
    met(server, client)
    for content in (b"nonsense", b"\x93\x01\x02\x03", msgspec.msgpack.encode(target(1)), b"\xd9\x02\xff\xff"):
        server._stream.send(content)
    server.publish(tick(7))
    assert [frame.seq for frame in gathered(client.receive, 1)] == [7]
    assert client.unreadable == 4
    client.close()


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
    deadline = Deadline(DEADLINE_S)
    while server.unreadable < 5 and not deadline.passed:
        assert server.receive(0.05) == []
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
