"""A real Redis server for tests: started on a free loopback port, stopped, killed, frozen and started again with what it had."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, StoreError
from ghtrader.testing.questdb_server import free_ports

__all__ = ["RedisServer"]

TIMEOUT_S, POLL_S = 60.0, 0.02


class RedisServer:
    """A server process with its data under ``root``, synced with every write. The port stays the same over restarts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What GHTRADER_REDIS_URL is to be."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start and wait until it answers; raises StoreError when it does not."""
        program = shutil.which("redis-server")
        if program is None:
            raise ConfigError("redis-server is not installed", hint="apt-get install redis-server")
        self.root.mkdir(parents=True, exist_ok=True)
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.root,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        command = [program, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
        with (self.root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: S603 - our own command
        deadline = Deadline(TIMEOUT_S)
        while not self._answers():
            if self._process.poll() is not None or deadline.passed:
                raise StoreError(f"Redis did not start: {(self.root / 'server.log').read_text(errors='replace')[-1500:]}")
            deadline.pause(POLL_S)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the server in order."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(TIMEOUT_S)

    def pause(self) -> None:
        """Freeze it: it keeps its sockets, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)
