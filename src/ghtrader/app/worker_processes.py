"""Workers as processes of their own: tasks go in on standard input, outcomes come back on standard output, a line each.

A worker ends when its input ends, so that none outlives a parent, however that one died. Credentials come through the environment,
never through arguments.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

__all__ = ["Worker", "WorkerProcesses"]

END_TIMEOUT_S = 3.0
T = TypeVar("T")
R = TypeVar("R")


class Worker(Generic[T, R]):
    """One process and the task it works on. ``dead`` makes the outcome of a task whose worker ended."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], outcome: type[R], dead: Callable[[T, str], R]
    ) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.task: T | None = None
        self._outcome = outcome
        self._dead = dead
        self._left = b""

    def give(self, task: T) -> None:
        """Send a task; a worker that has died is noticed when it is heard."""
        assert self.process.stdin is not None
        self.task = task
        self.process.stdin.write(msgspec.json.encode(task) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> R | None:
        """An outcome when one is whole; a dead worker's task has failed."""
        assert self.process.stdout is not None
        piece = os.read(self.process.stdout.fileno(), 65536)
        if not piece:
            self.process.wait()
            task, self.task = self.task, None
            return None if task is None else self._dead(task, f"the worker ended with {self.process.returncode}")
        self._left += piece
        line, newline, rest = self._left.partition(b"\n")
        if not newline:
            return None
        self._left, self.task = rest, None
        return msgspec.json.decode(line, type=self._outcome)

    def end(self, timeout_s: float = END_TIMEOUT_S) -> None:
        """Terminate it, kill it when it does not end in time, and close the pipes."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


class WorkerProcesses(Generic[T, R]):
    """A fixed number of workers, ``python -m module KEY=VALUE ...``; a dead one is replaced when it is needed."""

    def __init__(
        self,
        module: str,
        outcome: type[R],
        dead: Callable[[T, str], R],
        count: int,
        overrides: Mapping[str, str],
        environment: Mapping[str, str],
    ) -> None:
        command = [sys.executable, "-m", module, *(f"{name}={value}" for name, value in overrides.items())]
        self._start: Callable[[], Worker[T, R]] = lambda: Worker(command, environment, outcome, dead)
        self._workers = [self._start() for _ in range(count)]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._workers)

    @property
    def idle(self) -> int:
        """Workers without a task."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: T) -> None:
        """Give a task to the first idle worker."""
        position = next(index for index, worker in enumerate(self._workers) if worker.task is None)
        if self._workers[position].process.poll() is not None:
            self._workers[position].end()
            self._workers[position] = self._start()
        self._workers[position].give(task)

    def wait(self, timeout_s: float) -> list[R]:
        """Outcomes that are there, at the latest after the timeout."""
        found: list[R] = []
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
