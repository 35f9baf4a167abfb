"""Messages between two processes of one machine over a Unix packet socket: one wake-up a message, where a message queue needs three.

Both ends belong to one thread each and never wait in sending: what the kernel does not take (it holds some hundred messages) is kept and
sent on with the next call, up to a mark; beyond it the newest is lost, which the numbers of the messages show.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from pathlib import Path

from ghtrader.core.clock import Clock

__all__ = ["PacketClient", "PacketServer"]

#: Largest message; messages that wait for a slow reader; how often a client looks for a server that is away.
LARGEST, MARK, RETRY_NS = 1 << 17, 100_000, 50_000_000


class _Peer:
    """One connection."""

    def __init__(self, end: socket.socket) -> None:
        self.end, self.waiting = end, deque[bytes]()
        end.setblocking(False)

    def send(self, message: bytes) -> None:
        """Send, behind what waits."""
        if self.waiting or not self._sent(message):
            if len(self.waiting) < MARK:
                self.waiting.append(message)
            self.flush()

    def _sent(self, message: bytes) -> bool:
        try:
            self.end.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError:  # it has hung up: reading says so
            return True
        return True

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it."""
        while self.waiting and self._sent(self.waiting[0]):
            self.waiting.popleft()

    def read(self) -> tuple[list[bytes], bool]:
        """(messages that are there, whether the other end is still there)."""
        found: list[bytes] = []
        while True:
            try:
                message = self.end.recv(LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found, True
            except OSError:
                return found, False
            if not message:
                return found, False
            found.append(message)


class PacketServer:
    """Whoever connects hears everything from then on. Raises OSError when the socket cannot be made."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind(str(path))
            self._listener.listen(8)
        except OSError:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self._peers: list[_Peer] = []

    @property
    def listeners(self) -> int:
        """How many are connected; those who have come are let in."""
        self.let_in()
        return len(self._peers)

    @property
    def listens_on(self) -> int:
        """File descriptor that becomes readable when somebody has come."""
        return self._listener.fileno()

    def let_in(self) -> None:
        """Whoever has come is heard from now on."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._peers.append(_Peer(self._listener.accept()[0]))

    @property
    def waits_on(self) -> list[tuple[int, bool]]:
        """(file descriptor, whether something waits to be sent): it becomes readable, or writable, when there is something to do."""
        return [(self._listener.fileno(), False), *((peer.end.fileno(), bool(peer.waiting)) for peer in self._peers)]

    def send(self, message: bytes) -> None:
        """Send to everybody."""
        for peer in self._peers:
            peer.send(message)

    def read(self) -> list[bytes]:
        """What everybody sent; whoever hung up is forgotten."""
        found: list[bytes] = []
        for peer in tuple(self._peers):
            messages, there = peer.read()
            found += messages
            peer.flush()
            if not there:
                peer.end.close()
                self._peers.remove(peer)
        return found

    def close(self) -> None:
        """Hang up."""
        for end in (self._listener, *(peer.end for peer in self._peers)):
            end.close()
        self._peers.clear()


class PacketClient:
    """Connects when there is a server, and again when it comes back. What is sent meanwhile is lost: the next server would get it old."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._peer: _Peer | None = None
        self._tried_ns = clock.monotonic_ns() - RETRY_NS
        self._connect()

    def _connect(self) -> _Peer | None:
        now = self._clock.monotonic_ns()
        if self._peer is not None or now - self._tried_ns < RETRY_NS:
            return self._peer
        self._tried_ns = now
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            end.connect(str(self._path))
        except OSError:
            end.close()
            return None
        self._peer = _Peer(end)
        return self._peer

    def send(self, message: bytes) -> None:
        """Send, if there is a server."""
        peer = self._connect()
        if peer is not None:
            peer.send(message)

    @property
    def waits_on(self) -> tuple[int, bool] | None:
        """(file descriptor, whether something waits to be sent), as of a server; None without one."""
        peer = self._connect()
        return None if peer is None else (peer.end.fileno(), bool(peer.waiting))

    def read(self) -> list[bytes]:
        """What came."""
        peer = self._connect()
        if peer is None:
            return []
        found, there = peer.read()
        peer.flush()
        if not there:
            peer.end.close()
            self._peer = None
        return found

    def close(self) -> None:
        """Hang up."""
        if self._peer is not None:
            self._peer.end.close()
            self._peer = None
