"""Progress for people: a bar with ETA on a terminal, a plain line now and then otherwise. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["progress_for"]

PLAIN_EVERY_NS = 10 * NS_PER_S


class _PlainProgress:
    """One line when a stage ends, and one every ten seconds while it runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stage, self._total, self._done, self._started, self._said = "", 0, 0, 0, 0

    def start(self, stage: str, total: int) -> None:
        self._stage, self._total, self._done = stage, total, 0
        self._started = self._said = self._clock.monotonic_ns()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        now = self._clock.monotonic_ns()
        if now - self._said >= PLAIN_EVERY_NS:
            self._said = now
            left = (now - self._started) / max(self._done, 1) * (self._total - self._done) / NS_PER_S
            eta = f", about {left:.0f} s left" if self._total else ""
            sys.stderr.write(f"{self._stage}: {self._done}/{self._total or '?'} {note}{eta}\n")

    def finish(self, note: str = "") -> None:
        seconds = (self._clock.monotonic_ns() - self._started) / NS_PER_S
        sys.stderr.write(f"{self._stage}: {note or 'done'} ({seconds:.1f} s)\n")


class _BarProgress:
    """A rich bar per stage."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, stage: str, total: int) -> None:
        self._task = self._bars.add_task(stage, total=total or None, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        if self._task is not None:
            self._bars.update(self._task, advance=steps, note=note)

    def finish(self, note: str = "") -> None:
        if self._task is not None:
            task = next(item for item in self._bars.tasks if item.id == self._task)
            self._bars.update(self._task, total=task.total or 1, completed=task.total or 1, note=note)


@contextlib.contextmanager
def progress_for(clock: Clock) -> Iterator[Progress]:
    """The progress of one command: bars on a terminal, lines otherwise."""
    if not sys.stderr.isatty():
        yield _PlainProgress(clock)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        yield _BarProgress(bars)
