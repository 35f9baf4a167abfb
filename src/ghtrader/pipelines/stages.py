"""Stages of a pipeline: content-addressed results, timings, and what was reused.

A stage is named by what goes in: inputs, settings and the source of the rooms it runs on. Same name, same result: it is
read back instead of computed again. Anything else computes and stores beside the old one; nothing is overwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ghtrader.core.clock import Clock, elapsed_s
from ghtrader.core.ids import short_id
from ghtrader.data.atomic import write_atomically

__all__ = ["StageLog", "StageStore", "code_hash"]

T = TypeVar("T")


def _sources(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from ((f"{entry.name}/{name}", item) for name, item in _sources(entry))
        elif entry.name.endswith((".py", ".json", ".j2")):
            yield entry.name, entry


@cache
def code_hash(*rooms: str) -> str:
    """Hash of the source of the named rooms (``"datasets"``, ``"sim"`` ...): the 'same code' of a stage's name."""
    digest = hashlib.sha256()
    package = resources.files("ghtrader")
    for room in rooms:
        for name, item in _sources(package.joinpath(room)):
            digest.update(f"{room}/{name}\0".encode())
            digest.update(hashlib.sha256(item.read_bytes()).digest())
    return digest.hexdigest()


class StageLog:
    """Seconds by stage and the stages that were reused, in the order in which they ran."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.timings_s: dict[str, float] = {}
        self.reused: list[str] = []

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to ``stage``, also when it fails."""
        start = self._clock.monotonic_ns()
        try:
            yield
        finally:
            self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + elapsed_s(self._clock, start), 3)

    def mark_reused(self, stage: str) -> None:
        """Note that ``stage`` was served from what was there."""
        if stage not in self.reused:
            self.reused.append(stage)


class StageStore:
    """Results of stages as JSON files under ``folder/stage/key.json``, written atomically."""

    def __init__(self, folder: Path, log: StageLog) -> None:
        self._folder = folder
        self._log = log

    def run(self, stage: str, inputs: dict[str, Any], kind: type[T], compute: Callable[[], T]) -> T:
        """The stage's result: read back when these inputs were seen before, else computed and stored.

        A stored result that cannot be read (older layout, torn disk) is computed again.
        """
        path = self._folder / stage / f"{short_id(inputs)}.json"
        with self._log.timed(stage):
            if path.exists():
                try:
                    result = msgspec.json.decode(path.read_bytes(), type=kind)
                except msgspec.DecodeError:
                    path.unlink(missing_ok=True)
                else:
                    self._log.mark_reused(stage)
                    return result
            result = compute()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, msgspec.json.encode(result))
            return result
