"""Where the state of an account goes, and where it is read: one content per account, numbered by a revision that only rises.

There are several media (a mirror file, a Redis server, a socket); each fails by itself. A sink has one writer, which never waits for
it; a medium shows a content whole or not at all, an older one only until the newer has arrived.
"""

from __future__ import annotations

from typing import Protocol

from ghtrader.ports.warm_path import Watched

__all__ = ["StateSink", "StateSource"]


class StateSink(Watched, Protocol):
    """The writer's end. Attempts, also those made later by a thread of its own, are told by `outcomes`."""

    @property
    def name(self) -> str:
        """``file``, ``redis``, ``bus``."""

    def put(self, revision: int, content: bytes) -> None:
        """Take a content; one that has not left yet is replaced by it. Never waits, never raises: a failure is an outcome."""

    def close(self) -> None:
        """Let go."""


class StateSource(Protocol):
    """A reader's end."""

    @property
    def name(self) -> str:
        """``file``, ``redis``, ``bus``."""

    def read(self) -> bytes | None:
        """The content that is there, None when there is none yet. Raises StoreError when the medium fails."""

    def close(self) -> None:
        """Let go."""
