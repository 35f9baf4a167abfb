"""One pass over the days that are missing: a bounded number of tasks in flight, each tried a bounded number of times."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ghtrader.core import errors
from ghtrader.core.errors import GhtraderError, StoreError
from ghtrader.core.progress import Progress
from ghtrader.pipelines.build_day import DayBuilder
from ghtrader.pipelines.services import Services
from ghtrader.ports.build_worker import BuildOutcome, BuildTask, BuildWorkers
from ghtrader.ports.feature_store import BuildManifest

__all__ = ["ATTEMPTS", "BuildRun", "InlineWorkers"]

ATTEMPTS = 4
POLL_S = 0.25


class InlineWorkers:
    """`ports.build_worker.BuildWorkers` without any: days are built in this process, one after the other."""

    count = 1

    def __init__(self, services: Services) -> None:
        self._builder = DayBuilder(services)
        self._task: BuildTask | None = None

    @property
    def idle(self) -> int:
        """1 between two tasks."""
        return int(self._task is None)

    def submit(self, task: BuildTask) -> None:
        """Keep the task until `wait`."""
        self._task = task

    def wait(self, timeout_s: float) -> list[BuildOutcome]:
        """Build it, however long it takes."""
        del timeout_s
        task, self._task = self._task, None
        return [] if task is None else [self._builder.run(task)]

    def close(self) -> None:
        """Nothing to end."""


class BuildRun:
    """Builds every task or raises what the first one that cannot be built failed with; what was built until then stays.

    ``built`` by symbol and day, ``nodes`` that built a day, ``retries``: tasks that were given again.
    """

    def __init__(self, workers: BuildWorkers, tasks: Sequence[BuildTask], progress: Progress) -> None:
        self._workers = workers
        self._queue = deque(tasks)
        self._progress = progress
        self._flying: dict[tuple[str, str], BuildTask] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self.built: dict[tuple[str, str], BuildManifest] = {}
        self.nodes: set[str] = set()
        self.retries = 0

    def execute(self) -> None:
        """Until every day is built; workers are ended in any case."""
        try:
            while self._queue or self._flying:
                while self._queue and self._workers.idle:
                    self._give(self._queue.popleft())
                for outcome in self._workers.wait(POLL_S):
                    self._take(outcome)
        finally:
            self._workers.close()

    def _give(self, task: BuildTask) -> None:
        name = task.symbol, task.trading_day
        self._attempts[name] = self._attempts.get(name, 0) + 1
        self._flying[name] = task
        self._workers.submit(task)

    def _take(self, outcome: BuildOutcome) -> None:
        name = outcome.symbol, outcome.trading_day
        task = self._flying.pop(name)
        if outcome.manifest is not None:
            self.built[name] = outcome.manifest
            self.nodes.add(outcome.node)
            self._progress.advance(note=f"{outcome.symbol} {outcome.trading_day} built")
            return
        if not outcome.error.get("retryable") or self._attempts[name] >= ATTEMPTS:
            raise _raised(outcome)
        self.retries += 1
        self._queue.append(task)


def _raised(outcome: BuildOutcome) -> GhtraderError:
    """A worker's error as an error of this process."""
    told = outcome.error
    kind = getattr(errors, str(told.get("error", "")), StoreError)
    known = isinstance(kind, type) and issubclass(kind, GhtraderError)
    cause = kind if known else StoreError
    message = f"{outcome.symbol} {outcome.trading_day}: {told.get('message', 'the worker ended')}"
    error: GhtraderError = cause(message, hint=str(told.get("hint", "")), retryable=bool(told.get("retryable")))
    error.context.update(told.get("context", {}))
    return error
