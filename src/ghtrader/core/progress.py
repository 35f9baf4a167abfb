"""How long work tells that it goes on; the command line draws it, jobs store it, tests ignore it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NO_PROGRESS", "NoProgress", "Progress"]


class Progress(Protocol):
    """A sink of progress. Calls are cheap and never fail."""

    def start(self, stage: str, total: int) -> None:
        """A stage of ``total`` steps begins (0 when the number is not known)."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """``steps`` of the running stage are done."""

    def finish(self, note: str = "") -> None:
        """The running stage has ended; ``note`` is shown behind it."""


class NoProgress:
    """A sink that shows nothing."""

    def start(self, stage: str, total: int) -> None:
        """Ignored."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignored."""

    def finish(self, note: str = "") -> None:
        """Ignored."""


NO_PROGRESS: Progress = NoProgress()
