"""Build workers on a Ray cluster. The cluster's driver is a process of its own (`app.ray_driver`): a node that dies under it, and Ray's
own signals and output, stay away from the command; a driver that dies is replaced, and what it had in flight is given again.
"""

from __future__ import annotations

import importlib.util
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from ghtrader.app.build_workers import died
from ghtrader.core import errors
from ghtrader.core.errors import ConfigError, GhtraderError, StoreError
from ghtrader.ports.build_worker import BuildOutcome, BuildTask

__all__ = ["DriverMessage", "RayWorkers"]

END_TIMEOUT_S = 20.0
DRIVERS = 3


class DriverMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver says: that it is ready for so many tasks at once, that it cannot start, or what became of a task."""

    capacity: int = 0
    error: dict[str, Any] = {}
    outcome: BuildOutcome | None = None


class RayWorkers:
    """`ports.build_worker.BuildWorkers` on the cluster at ``address``, or on two nodes that live as long as the build."""

    def __init__(self, count: int, address: str, overrides: Mapping[str, str], environment: Mapping[str, str]) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("the engine ray needs its library", hint="pip install 'ghtrader[dist]', or --engine local")
        settings = [f"{name}={value}" for name, value in overrides.items()]
        self._command = [sys.executable, "-m", "ghtrader.app.ray_driver", address, str(count), *settings]
        self._environment = dict(environment)
        self._flying: dict[tuple[str, str], BuildTask] = {}
        self._capacity = 0
        self._drivers = 0
        self.count = count
        self._start()

    def _start(self) -> None:
        self._drivers += 1
        self._capacity = 0
        self._left = b""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    @property
    def idle(self) -> int:
        """0 until the cluster is up."""
        return max(0, self._capacity - len(self._flying))

    def submit(self, task: BuildTask) -> None:
        """Give a task to the driver; one that has died is noticed when it is heard."""
        self._flying[task.symbol, task.trading_day] = task
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(task) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def wait(self, timeout_s: float) -> list[BuildOutcome]:
        """Outcomes that arrived; raises what the driver could not start for."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                return []
        piece = os.read(self._process.stdout.fileno(), 1 << 16)
        if not piece:
            return self._driver_died()
        *lines, self._left = (self._left + piece).split(b"\n")
        found = [self._take(msgspec.json.decode(line, type=DriverMessage)) for line in lines]
        return [outcome for outcome in found if outcome is not None]

    def _take(self, message: DriverMessage) -> BuildOutcome | None:
        if message.error:
            kind = getattr(errors, str(message.error["error"]), StoreError)
            error: GhtraderError = kind(str(message.error["message"]), hint=str(message.error["hint"]))
            raise error
        if message.capacity:
            self._capacity = self.count = message.capacity
        if message.outcome is not None:
            self._flying.pop((message.outcome.symbol, message.outcome.trading_day), None)
        return message.outcome

    def _driver_died(self) -> list[BuildOutcome]:
        """Its tasks have failed and may be given again, to a new driver."""
        status = self._process.wait()
        self._hang_up()
        if self._drivers >= DRIVERS:
            raise StoreError(
                f"Ray's driver ended {self._drivers} times, last with {status}", hint="ghtrader build --engine local"
            )
        lost, self._flying = list(self._flying.values()), {}
        self._start()
        return [died(task, f"the driver of the cluster ended with {status}") for task in lost]

    def _hang_up(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue

    def close(self) -> None:
        """End driver and cluster: its input ends, then it is terminated, then killed."""
        self._hang_up()
        for end in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(END_TIMEOUT_S)
                return
            except subprocess.TimeoutExpired:
                end()
        self._process.wait()
