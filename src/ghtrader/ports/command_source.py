"""Ways by which commands reach a gateway beside its socket: a Redis stream, a folder of files. The same envelope on every way.

A command is kept by the medium until it was answered: a gateway that dies with it gets it again at its next start, and may get it
more than once; the gateway applies each id at most once. Its end belongs to one thread and never waits.
"""

from __future__ import annotations

from typing import Protocol

from ghtrader.core.messages import CommandAnswer
from ghtrader.ports.bus import Request
from ghtrader.ports.warm_path import Watched

__all__ = ["CommandSource"]


class CommandSource(Watched, Protocol):
    """The gateway's end of one way."""

    @property
    def name(self) -> str:
        """``redis``, ``mailbox``; what `Request.source` begins with, before a colon."""

    @property
    def unreadable(self) -> int:
        """Messages that were no command; they are dropped."""

    def receive(self) -> list[Request]:
        """Commands that came, oldest first. Never waits, never raises: a failure is an outcome."""

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Answer a request by its ``source``; one of another way is left alone. Never waits, never raises."""

    def close(self) -> None:
        """Let go; a second time does nothing."""
