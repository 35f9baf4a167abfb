"""Download workers as processes: ``python -m ghtrader.app.day_workers`` reads tasks from standard input, answers on standard output.

Each worker has services and a client session of its own. Credentials come through the environment, never through arguments.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

import msgspec

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices, prepare_process
from ghtrader.app.worker_processes import WorkerProcesses
from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import (
    GhtraderError,
    ProviderMaintenanceError,
    ProviderPermanentError,
    ProviderTransientError,
)
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.ingest import Ingest
from ghtrader.pipelines.ingest import ingest_of
from ghtrader.ports.day_worker import DayOutcome, DayTask, OutcomeKind

__all__ = ["ProcessWorkers", "fetch_day", "main"]


def _dead(task: DayTask, why: str) -> DayOutcome:
    return DayOutcome(symbol=task.symbol, trading_day=task.trading_day, kind="failed", message=why)


class ProcessWorkers(WorkerProcesses[DayTask, DayOutcome]):
    """`ports.day_worker.DayWorkers` with one process each."""

    def __init__(self, count: int, overrides: Mapping[str, str], environment: Mapping[str, str]) -> None:
        super().__init__("ghtrader.app.day_workers", DayOutcome, _dead, count, overrides, environment)


def _kind(error: GhtraderError) -> OutcomeKind:
    if isinstance(error, ProviderMaintenanceError):
        return "maintenance"
    if isinstance(error, ProviderPermanentError):
        return "provider_missing" if error.context.get("day") else "permanent"
    return "transient" if isinstance(error, ProviderTransientError) else "failed"


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
