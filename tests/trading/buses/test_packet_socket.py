"""The packet socket: what waits, what is lost, and ends that hang up."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.adapters import packet_socket
from ghtrader.adapters.packet_socket import PacketClient, PacketServer
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import StoreError

CLOCK = SystemClock()


class Later:
    """A clock that is always past the next try."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.monotonic_ns()

    def monotonic_ns(self) -> int:
        self.ns += packet_socket.RETRY_NS
        return self.ns


def drained(server: PacketServer, client: PacketClient) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(1000):
        got = client.read()
        found += got
        server.read()
        if not got and not any(waits for _, waits in server.waits_on):
            break
    return found


def test_a_slow_reader_gets_everything_up_to_the_mark_and_then_loses_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_socket, "MARK", 50)
    server, client = PacketServer(tmp_path / "s"), PacketClient(tmp_path / "s", CLOCK)
    assert server.listeners == 1
    for number in range(3000):
        server.send(b"%04d" % number + b"x" * 1000)
    assert server.waits_on[1][1]
    found = [int(message[:4]) for message in drained(server, client)]
    assert found == list(range(len(found)))
    assert 50 < len(found) < 3000
    client.close()
    server.close()


def test_what_is_sent_before_there_is_a_server_is_lost(tmp_path: Path) -> None:
    client = PacketClient(tmp_path / "s", Later())
    client.send(b"early")
    assert (client.waits_on, client.read()) == (None, [])
    server = PacketServer(tmp_path / "s")
    assert client.waits_on is not None
    assert server.listeners == 1
    client.send(b"in time")
    assert server.read() == [b"in time"]
    client.close()
    client.close()
    server.send(b"to nobody who listens")
    assert (server.read(), server.listeners) == ([], 0)
    server.close()


def test_a_client_goes_over_to_the_server_that_comes_after(tmp_path: Path) -> None:
    first = PacketServer(tmp_path / "s")
    client = PacketClient(tmp_path / "s", Later())
    assert first.listeners == 1
    first.send(b"last words")
    while not client.waits_on[1]:
        client.send(b"more than the first ever reads")
    first.close()
    assert client.read() in ([b"last words"], [])
    second = PacketServer(tmp_path / "s")
    client.send(b"hello")
    assert second.listeners == 1
    assert second.read() == [b"hello"]
    client.close()
    second.close()


def test_a_socket_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        PacketServer(tmp_path / "nowhere" / "s")
    from ghtrader.adapters.bus_zmq import ZmqStreamServer

    (tmp_path / "ipc" / "stream.sock").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be made"):
        ZmqStreamServer(tmp_path / "ipc")
