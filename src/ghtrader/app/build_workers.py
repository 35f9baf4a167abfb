"""Build workers as processes: ``python -m ghtrader.app.build_workers`` reads tasks from standard input, answers on standard output."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

import msgspec

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices, prepare_process
from ghtrader.app.worker_processes import WorkerProcesses
from ghtrader.core.errors import StoreError
from ghtrader.ports.build_worker import BuildOutcome, BuildTask

__all__ = ["BuildProcesses", "answers_only", "died", "main"]


def died(task: BuildTask, why: str) -> BuildOutcome:
    """The outcome of a task whose worker is gone: it may be given again."""
    hint = "look for free memory and disk space, then run the same command again: whole days are reused"
    error = StoreError(why, hint=hint, retryable=True)
    return BuildOutcome(symbol=task.symbol, trading_day=task.trading_day, kind="failed", error=error.as_dict())


class BuildProcesses(WorkerProcesses[BuildTask, BuildOutcome]):
    """`ports.build_worker.BuildWorkers` with one process each."""

    def __init__(self, count: int, overrides: Mapping[str, str], environment: Mapping[str, str]) -> None:
        super().__init__("ghtrader.app.build_workers", BuildOutcome, died, count, overrides, environment)


def answers_only() -> int:
    """A descriptor for answers; whatever libraries print goes to standard error from now on."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def main(arguments: list[str]) -> None:
    """Serve tasks until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends us in order
    paths = resolve_paths(os.environ)
    prepare_process(paths, os.environ)
    answers = answers_only()
    from ghtrader.pipelines.build_day import DayBuilder

    overrides = dict(item.split("=", 1) for item in arguments)
    builder = DayBuilder(AppServices(paths, os.environ, overrides))
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=BuildTask)
        os.write(answers, msgspec.json.encode(builder.run(task)) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
