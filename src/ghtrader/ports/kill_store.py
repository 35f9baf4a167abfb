"""Where the kill file of an account lives: a few hundred bytes that must be there after any crash.

Any process may write (the gateway, or ``ghtrader kill`` beside it). Content appears whole or not at all. When `write` or `replace`
comes back the content is durable; when it raises StoreError the old or the new content stands, and the caller must assume the worse.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["KillStore"]


class KillStore(Protocol):
    """The kill file of one account."""

    def read(self) -> bytes | None:
        """What is there; None when there is no file. Raises StoreError when it cannot be read: that is no reason to trade."""

    def write(self, content: bytes) -> None:
        """Replace whatever is there, whole and durable. Works on a disk that has filled up since the store was opened."""

    def replace(self, expected: bytes | None, content: bytes) -> bool:
        """Replace only if ``expected`` is what is there (None: no file); False, and nothing is changed, otherwise.

        The way to clear a kill: one that somebody else triggered in the meantime is never lost.
        """
