"""`ports.bus` over ZeroMQ between processes of one machine: sockets are files in a folder that only this user may enter."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import msgspec
import zmq

from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import MESSAGE_VERSION, Command, CommandAnswer
from ghtrader.ports.bus import FromStrategy, Request, StreamFrame
from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["ZmqCommandClient", "ZmqStateSink", "ZmqStateSource", "ZmqStreamClient", "ZmqStreamServer", "socket_folder"]

#: Messages that a slow reader may be behind before it loses some.
STREAM_HWM, REQUEST_HWM = 100_000, 100_000
#: Longest path of a socket file that every system takes.
LONGEST_PATH = 100
STRATEGY, COMMAND = b"s", b"c"

_encode = msgspec.msgpack.Encoder().encode
_frames = msgspec.msgpack.Decoder(StreamFrame)
_messages = msgspec.msgpack.Decoder(FromStrategy)
_commands = msgspec.msgpack.Decoder(Command)
_answers = msgspec.msgpack.Decoder(CommandAnswer)


def socket_folder(folder: Path) -> Path:
    """Where the sockets of an account live: ``folder`` (made, for this user only), or a short stand-in when its path is too long.

    Raises StoreError when the stand-in belongs to somebody else.
    """
    place = folder.absolute()
    if len(str(place / "requests.ipc")) > LONGEST_PATH:
        name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / f"ghtrader-{os.getuid()}" / name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in (place, place.parent):
        if part.name.startswith("ghtrader-") or part == place:
            if part.stat().st_uid != os.getuid():
                raise StoreError(f"{part} belongs to another user", hint=f"remove {part}", path=str(part))
            part.chmod(0o700)
    return place


def _endpoints(folder: Path) -> tuple[str, str]:
    place = socket_folder(folder)
    return f"ipc://{place / 'stream.ipc'}", f"ipc://{place / 'requests.ipc'}"


class ZmqStreamServer:
    """`ports.bus.StreamServer`. Raises StoreError when the sockets cannot be made."""

    def __init__(self, folder: Path) -> None:
        stream, requests = _endpoints(folder)
        self._context = zmq.Context()
        self._stream = self._context.socket(zmq.XPUB)
        self._requests = self._context.socket(zmq.ROUTER)
        for socket, mark in ((self._stream, STREAM_HWM), (self._requests, REQUEST_HWM)):
            socket.setsockopt(zmq.LINGER, 100)
            socket.setsockopt(zmq.SNDHWM, mark)
            socket.setsockopt(zmq.RCVHWM, mark)
        self._stream.setsockopt(zmq.XPUB_VERBOSER, 1)
        try:
            self._stream.bind(stream)
            self._requests.bind(requests)
        except zmq.ZMQError as error:
            self.close()
            raise StoreError(f"the sockets in {folder} cannot be made: {error}", path=str(folder)) from error
        self._poller = zmq.Poller()
        self._poller.register(self._stream, zmq.POLLIN)
        self._poller.register(self._requests, zmq.POLLIN)
        self._listeners = 0
        self.unreadable = 0

    def publish(self, frame: StreamFrame) -> None:
        """Send to whoever listens."""
        self._stream.send(_encode(frame), zmq.DONTWAIT)

    @property
    def listeners(self) -> int:
        """How many strategies listen now."""
        self._hear_listeners()
        return self._listeners

    def _hear_listeners(self) -> None:
        while self._stream.poll(0):
            self._listeners += 1 if self._stream.recv()[:1] == b"\x01" else -1

    def receive(self, timeout_s: float = 0.0) -> list[FromStrategy | Request]:
        """Messages and commands that are there."""
        found: list[FromStrategy | Request] = []
        ready = dict(self._poller.poll(int(timeout_s * 1000)))
        if self._stream in ready:
            self._hear_listeners()
        if self._requests in ready:
            while self._requests.poll(0):
                self._take(self._requests.recv_multipart(zmq.DONTWAIT), found)
        return found

    def _take(self, parts: list[bytes], found: list[FromStrategy | Request]) -> None:
        try:
            sender, kind, payload = parts
            if kind == STRATEGY:
                message = _messages.decode(payload)
                if message.version != MESSAGE_VERSION:
                    raise ValueError(message.version)
                found.append(message)
            else:
                found.append(Request(command=_commands.decode(payload), source=f"socket:{sender.hex()}"))
        except (ValueError, msgspec.MsgspecError):
            self.unreadable += 1

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Answer a request; somebody who has hung up gets none."""
        if source.startswith("socket:"):
            self._requests.send_multipart([bytes.fromhex(source.removeprefix("socket:")), _encode(answer)], zmq.DONTWAIT)

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=100)


class ZmqStreamClient:
    """`ports.bus.StreamClient`."""

    def __init__(self, folder: Path) -> None:
        stream, requests = _endpoints(folder)
        self._context = zmq.Context()
        self._stream = self._context.socket(zmq.SUB)
        self._requests = self._context.socket(zmq.DEALER)
        for socket, mark in ((self._stream, STREAM_HWM), (self._requests, REQUEST_HWM)):
            socket.setsockopt(zmq.LINGER, 100)
            socket.setsockopt(zmq.SNDHWM, mark)
            socket.setsockopt(zmq.RCVHWM, mark)
            socket.setsockopt(zmq.RECONNECT_IVL, 50)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._requests.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a gateway that is away
        self.unreadable = 0
        self._stream.setsockopt(zmq.SUBSCRIBE, b"")
        self._stream.connect(stream)
        self._requests.connect(requests)

    def send(self, message: FromStrategy) -> None:
        """Send to the gateway; while it is away, or does not keep up, it is lost."""
        try:
            self._requests.send_multipart([STRATEGY, _encode(message)], zmq.DONTWAIT)
        except zmq.Again:
            return

    def receive(self, timeout_s: float = 0.0) -> list[StreamFrame]:
        """Messages that are there."""
        found: list[StreamFrame] = []
        if self._stream.poll(int(timeout_s * 1000)):
            while True:
                try:
                    found.append(_frames.decode(self._stream.recv(zmq.DONTWAIT)))
                except zmq.Again:
                    break
                except (ValueError, msgspec.MsgspecError):
                    self.unreadable += 1
        return found

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=100)


class ZmqCommandClient:
    """`ports.bus.CommandClient`."""

    def __init__(self, folder: Path) -> None:
        _, requests = _endpoints(folder)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(requests)

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
    """`ports.state_sink.StateSink` for readers on this machine. A socket that cannot be made is tried again with every state."""

    name = "bus"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
            socket.bind(_state_endpoint(self._folder))
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
    """`ports.state_sink.StateSource`: the newest state that was sent since it was made; nothing before the gateway's next one."""

    name = "bus"

    def __init__(self, folder: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(_state_endpoint(folder))
        self._newest: bytes | None = None

    def read(self) -> bytes | None:
        """The newest state heard."""
        if self._socket.poll(0):
            self._newest = self._socket.recv(zmq.DONTWAIT)
        return self._newest

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)


def _state_endpoint(folder: Path) -> str:
    return f"ipc://{socket_folder(folder) / 'state.ipc'}"
