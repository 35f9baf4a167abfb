"""Where the journal's bytes live: segments of one account that only grow, one writer, many readers.

A segment is a name and bytes. Bytes that `append` took are seen by every reader at once and survive the death of the process; they
survive a power cut once `sync` came back. The segment that is being written may go on in zeros, space that is not used yet, and after a
crash in a torn piece; what the bytes mean is the business of `ghtrader.trading.journal`. A writer belongs to one thread.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["JournalStore"]


class JournalStore(Protocol):
    """The segments of one account's journal. Every method raises StoreError when the medium fails."""

    @property
    def place(self) -> str:
        """Where it lives, for messages: a folder."""

    def segments(self) -> list[str]:
        """Names of the segments, sorted: the oldest first."""

    def size(self, segment: str) -> int:
        """Bytes of a segment, unused space included."""

    def read(self, segment: str, offset: int = 0) -> bytes:
        """A segment's bytes from ``offset`` to its end as it stands now."""

    def claim(self) -> None:
        """Become the one writer. Raises LockHeldError naming the one that is, also when it is another store of this process."""

    def create(self, segment: str, content: bytes) -> None:
        """Begin a segment with ``content``, whole and durable, and append to it from now on; one of the same name is replaced.

        For writers only, like all below.
        """

    def resume(self, segment: str, size: int) -> None:
        """Cut a segment to ``size`` bytes, durable, and append to it from now on."""

    def append(self, content: bytes) -> None:
        """Add bytes to the current segment: all of them, or StoreError and none of them stays.

        When not even that is certain, or a `sync` failed, every later append and sync raises: open the journal again.
        """

    def sync(self) -> None:
        """What was appended is durable when this comes back."""

    def close(self) -> None:
        """Give the writer's claim back; nothing is synced. Reading goes on."""
