"""`ports.bus` between processes of one machine: sockets are files in a folder that only this user may enter.

Commands and the state go over ZeroMQ. The stream of ticks and its answers go over a packet socket (`adapters.packet_socket`),
which wakes the other process once where ZeroMQ's own threads need three wake-ups: a replay in lockstep waits for it at every tick.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import socket
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import zmq

from ghtrader.adapters.packet_socket import PacketClient, PacketServer
from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import MESSAGE_VERSION, Command, CommandAnswer
from ghtrader.ports.bus import FromStrategy, Request, StreamFrame
from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["ZmqCommandClient", "ZmqStateSink", "ZmqStateSource", "ZmqStreamClient", "ZmqStreamServer", "socket_folder"]

#: Requests that may wait before some are lost.
REQUEST_HWM = 100_000
#: Longest path of a socket file that every system takes.
LONGEST_PATH = 100
COMMAND = b"c"
#: Rings of the bell that are heard at once.
RINGS = 4096
#: Longest sleep of a client that waits for a server.
AWAY_S = 0.02

_encode = msgspec.msgpack.Encoder().encode
_frames = msgspec.msgpack.Decoder(StreamFrame)
_messages = msgspec.msgpack.Decoder(FromStrategy)
_commands = msgspec.msgpack.Decoder(Command)
_answers = msgspec.msgpack.Decoder(CommandAnswer)


def socket_folder(folder: Path) -> Path:
    """Where the sockets of an account live: ``folder`` (made, for this user only), or a short stand-in when its path is too long.

    Raises StoreError when it cannot be made, or the stand-in belongs to somebody else.
    """
    place = folder.absolute()
    if len(str(place / "requests.ipc")) > LONGEST_PATH:
        name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / f"ghtrader-{os.getuid()}" / name
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {place}: {error.strerror or error}", hint="check the disk", path=str(place)) from error
    for part in (place, place.parent):
        if part.name.startswith("ghtrader-") or part == place:
            if part.stat().st_uid != os.getuid():
                raise StoreError(f"{part} belongs to another user", hint=f"remove {part}", path=str(part))
            part.chmod(0o700)
    return place


def _stream_path(folder: Path) -> Path:
    return socket_folder(folder) / "stream.sock"


def _requests_endpoint(folder: Path) -> str:
    return f"ipc://{socket_folder(folder) / 'requests.ipc'}"


class ZmqStreamServer:
    """`ports.bus.StreamServer`. Raises StoreError when the sockets cannot be made."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._requests = self._context.socket(zmq.ROUTER)
        self._requests.setsockopt(zmq.LINGER, 100)
        self._requests.setsockopt(zmq.SNDHWM, REQUEST_HWM)
        self._requests.setsockopt(zmq.RCVHWM, REQUEST_HWM)
        try:
            self._requests.bind(_requests_endpoint(folder))
            self._stream = PacketServer(_stream_path(folder))
        except (zmq.ZMQError, OSError) as error:
            self._context.destroy(linger=100)
            raise StoreError(f"the sockets in {folder} cannot be made: {error}", path=str(folder)) from error
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self.unreadable = 0

    def publish(self, frame: StreamFrame) -> None:
        """Send to whoever listens."""
        self._stream.send(_encode(frame))

    @property
    def listeners(self) -> int:
        """How many strategies listen now."""
        return self._stream.listeners

    def receive(self, timeout_s: float = 0.0) -> list[FromStrategy | Request]:
        """Messages and commands that are there."""
        found: list[FromStrategy | Request] = []
        entries: list[tuple[Any, int]] = [(self._requests, zmq.POLLIN), (self._bell.fileno(), zmq.POLLIN)]
        entries += [(place, zmq.POLLIN | zmq.POLLOUT if sends else zmq.POLLIN) for place, sends in self._stream.waits_on]
        ready = zmq.zmq_poll(entries, int(timeout_s * 1000))
        places = [place for place, _ in ready]
        if self._stream.listens_on in places:
            self._stream.let_in()
        if self._bell.fileno() in places:
            with contextlib.suppress(BlockingIOError):
                self._bell.recv(RINGS)
        if any(place is not self._requests for place in places):
            self._take_messages(found)
        if self._requests in places:
            self._take_requests(found)
        return found

    def _take_messages(self, found: list[FromStrategy | Request]) -> None:
        for payload in self._stream.read():
            try:
                message = _messages.decode(payload)
            except (ValueError, msgspec.MsgspecError):
                self.unreadable += 1
                continue
            if message.version == MESSAGE_VERSION:
                found.append(message)
            else:
                self.unreadable += 1

    def _take_requests(self, found: list[FromStrategy | Request]) -> None:
        while self._requests.poll(0):
            try:
                sender, _, payload = self._requests.recv_multipart(zmq.DONTWAIT)
                found.append(Request(command=_commands.decode(payload), source=f"socket:{sender.hex()}"))
            except (ValueError, msgspec.MsgspecError):
                self.unreadable += 1

    def wake(self) -> None:
        """Ring the bell that `receive` listens to; one that rings already, or has been taken down, is left alone."""
        with contextlib.suppress(OSError):
            self._rope.send(b"\0")

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Answer a request; somebody who has hung up gets none."""
        if source.startswith("socket:"):
            self._requests.send_multipart([bytes.fromhex(source.removeprefix("socket:")), _encode(answer)], zmq.DONTWAIT)

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._context.destroy(linger=100)
        self._rope.close()
        self._bell.close()


class ZmqStreamClient:
    """`ports.bus.StreamClient`."""

    def __init__(self, folder: Path) -> None:
        self._stream = PacketClient(_stream_path(folder), SystemClock())
        self.unreadable = 0

    def send(self, message: FromStrategy) -> None:
        """Send to the gateway; while it is away, what is sent is lost."""
        self._stream.send(_encode(message))

    def receive(self, timeout_s: float = 0.0) -> list[StreamFrame]:
        """Messages that are there."""
        deadline = Deadline(timeout_s)
        while (found := self._stream.waits_on) is None:
            if deadline.passed:
                return []
            deadline.pause(AWAY_S)
        place, sends = found
        if not any(select.select([place], [place] if sends else [], [], deadline.left_s)):
            return []
        frames: list[StreamFrame] = []
        for message in self._stream.read():
            try:
                frames.append(_frames.decode(message))
            except (ValueError, msgspec.MsgspecError):
                self.unreadable += 1
        return frames

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


class ZmqCommandClient:
    """`ports.bus.CommandClient`."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(_requests_endpoint(folder))

    def request(self, command: Command, timeout_s: float) -> CommandAnswer:
        """Send a command and wait for its own answer."""
        self._socket.send_multipart([COMMAND, _encode(command)])
        while self._socket.poll(int(timeout_s * 1000)):
            answer = _answers.decode(self._socket.recv())
            if answer.command_id == command.command_id:
                return answer
        raise HaltedError(
            f"the gateway of account {command.account} did not answer in {timeout_s:g} s",
            hint=f"ghtrader gateway run --account {command.account}",
            reason="gateway_away",
        )

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)


class ZmqStateSink:
    """`ports.state_sink.StateSink` for readers on this machine. A socket that cannot be made is tried again with every state.

    socket_name: of the process whose state it is, at most eight letters.
    """

    name = "bus"

    def __init__(self, folder: Path, socket_name: str = "state") -> None:
        self._folder, self._socket_name = folder, socket_name
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._outcomes: list[Outcome] = []

    def put(self, revision: int, content: bytes) -> None:
        """Send to whoever reads now."""
        del revision
        try:
            if self._socket is None:
                self._socket = self._bound()
            self._socket.send(content, zmq.DONTWAIT)
        except (zmq.ZMQError, StoreError, OSError) as error:
            message = f"the state cannot be sent in {self._folder}: {error}"
            self._outcomes.append(Outcome(WarmReason.BUS_STATE_WRITE_FAILED, False, message))
        else:
            self._outcomes.append(Outcome(WarmReason.BUS_STATE_WRITE_FAILED, True))

    def _bound(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PUB)
        try:
            socket.setsockopt(zmq.LINGER, 100)
            socket.bind(_state_endpoint(self._folder, self._socket_name))
        except BaseException:
            socket.close(0)
            raise
        return socket

    def outcomes(self) -> list[Outcome]:
        """What became of sending."""
        found, self._outcomes = self._outcomes, []
        return found

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=100)


class ZmqStateSource:
    """`ports.state_sink.StateSource`: the newest state that was sent since it was made; nothing before the process's next one."""

    name = "bus"

    def __init__(self, folder: Path, socket_name: str = "state") -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(_state_endpoint(folder, socket_name))
        self._newest: bytes | None = None

    def read(self) -> bytes | None:
        """The newest state heard."""
        if self._socket.poll(0):
            self._newest = self._socket.recv(zmq.DONTWAIT)
        return self._newest

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)


def _state_endpoint(folder: Path, socket_name: str) -> str:
    return f"ipc://{socket_folder(folder) / socket_name}.ipc"
