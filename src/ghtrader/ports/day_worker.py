"""Workers that fetch days from a provider and store them, each in a process of its own.

A worker takes one task at a time. It answers every task with one outcome; a worker that dies answers with ``failed`` and is
replaced by whoever started it. Storing is part of the task: an outcome ``stored`` means that the rows are durable.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = ["DayOutcome", "DayTask", "DayWorkers", "OutcomeKind"]

OutcomeKind = Literal["stored", "provider_missing", "maintenance", "transient", "permanent", "failed"]


class DayTask(msgspec.Struct, frozen=True, kw_only=True):
    """Fetch one contract's trading day."""

    symbol: str
    trading_day: str


class DayOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task. ``failed`` is ours (a dead worker, a store that refused); the rest is the provider's."""

    symbol: str
    trading_day: str
    kind: OutcomeKind
    rows: int = 0
    seconds: float = 0.0
    message: str = ""


class DayWorkers(Protocol):
    """A fixed number of workers."""

    @property
    def idle(self) -> int:
        """How many could take a task now."""

    def submit(self, task: DayTask) -> None:
        """Give a task to an idle worker."""

    def wait(self, timeout_s: float) -> list[DayOutcome]:
        """Outcomes that arrived, at the latest after the timeout."""

    def close(self) -> None:
        """End all workers; those in the middle of a task are terminated (their day is then absent or whole)."""
