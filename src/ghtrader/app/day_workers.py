"""Download workers as processes: ``python -m ghtrader.app.day_workers`` reads tasks from standard input, answers on standard output.

Each worker has services and a client session of its own. Credentials come through the environment, never through arguments.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping

import msgspec

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices, prepare_process
from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import (
    GhtraderError,
    ProviderMaintenanceError,
    ProviderPermanentError,
    ProviderTransientError,
)
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.ports.day_worker import DayOutcome, DayTask, OutcomeKind

__all__ = ["ProcessWorkers", "fetch_day", "ingest_of", "main"]

END_TIMEOUT_S = 3.0


class _Worker:
    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.task: DayTask | None = None
        self._left = b""

    def give(self, task: DayTask) -> None:
        assert self.process.stdin is not None
        self.task = task
        self.process.stdin.write(msgspec.json.encode(task) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> DayOutcome | None:
        """An outcome when one is whole; a dead worker's task has failed."""
        assert self.process.stdout is not None
        piece = os.read(self.process.stdout.fileno(), 65536)
        if not piece:
            self.process.wait()
            task, self.task = self.task, None
            if task is None:
                return None
            message = f"the worker ended with {self.process.returncode}"
            return DayOutcome(symbol=task.symbol, trading_day=task.trading_day, kind="failed", message=message)
        self._left += piece
        line, newline, rest = self._left.partition(b"\n")
        if not newline:
            return None
        self._left, self.task = rest, None
        return msgspec.json.decode(line, type=DayOutcome)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


class ProcessWorkers:
    """`ports.day_worker.DayWorkers` with one process each; a dead one is replaced when it is needed."""

    def __init__(self, count: int, overrides: Mapping[str, str], environment: Mapping[str, str]) -> None:
        settings = [f"{name}={value}" for name, value in overrides.items()]
        self._command = [sys.executable, "-m", "ghtrader.app.day_workers", *settings]
        self._environment = environment
        self._workers = [_Worker(self._command, environment) for _ in range(count)]

    @property
    def idle(self) -> int:
        """Workers without a task."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: DayTask) -> None:
        """Give a task to the first idle worker."""
        position = next(index for index, worker in enumerate(self._workers) if worker.task is None)
        if self._workers[position].process.poll() is not None:
            self._workers[position].end()
            self._workers[position] = _Worker(self._command, self._environment)
        self._workers[position].give(task)

    def wait(self, timeout_s: float) -> list[DayOutcome]:
        """Outcomes that are there, at the latest after the timeout."""
        found: list[DayOutcome] = []
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                if worker.task is not None:
                    assert worker.process.stdout is not None
                    selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            for key, _ in selector.select(timeout_s):
                outcome = key.data.hear()
                if outcome is not None:
                    found.append(outcome)
        return found

    def close(self) -> None:
        """End them all."""
        for worker in self._workers:
            worker.end()


def _kind(error: GhtraderError) -> OutcomeKind:
    if isinstance(error, ProviderMaintenanceError):
        return "maintenance"
    if isinstance(error, ProviderPermanentError):
        return "provider_missing" if error.context.get("day") else "permanent"
    return "transient" if isinstance(error, ProviderTransientError) else "failed"


def ingest_of(services: AppServices) -> Ingest:
    """The way into the process's own store."""
    return Ingest(
        services.tick_store(),
        calendar_of(services),
        InstrumentTable.vendored(),
        services.clock,
        services.tool_version,
        services.settings().config_hash,
    )


def fetch_day(services: AppServices, ingest: Ingest, task: DayTask) -> DayOutcome:
    """Fetch and store a day; every deliberate error becomes an outcome."""
    started = services.clock.monotonic_ns()
    try:
        chunk = services.provider().ticks(task.symbol, TradingDay.parse(task.trading_day))
        imported = ingest.import_chunk(chunk)
    except GhtraderError as error:
        return DayOutcome(
            symbol=task.symbol,
            trading_day=task.trading_day,
            kind=_kind(error),
            seconds=round(elapsed_s(services.clock, started), 3),
            message=error.message,
        )
    return DayOutcome(
        symbol=task.symbol,
        trading_day=task.trading_day,
        kind="stored",
        rows=imported.rows_written,
        seconds=round(elapsed_s(services.clock, started), 3),
    )


def main(arguments: list[str]) -> None:
    """Serve tasks until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends us in order
    paths = resolve_paths(os.environ)
    prepare_process(paths, os.environ)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print is no answer
    overrides = dict(item.split("=", 1) for item in arguments)
    services = AppServices(paths, os.environ, overrides)
    ingest = ingest_of(services)
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=DayTask)
        answers.write(msgspec.json.encode(fetch_day(services, ingest, task)) + b"\n")
    services.close_provider()


if __name__ == "__main__":
    main(sys.argv[1:])
