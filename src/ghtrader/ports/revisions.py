"""Numbers that no process uses twice: reserved in blocks before they are used, so that a restart begins behind them."""

from __future__ import annotations

from typing import Protocol

__all__ = ["RevisionStore"]


class RevisionStore(Protocol):
    """One writer at a time."""

    def reserve(self, count: int, least: int) -> int:
        """The first of ``count`` numbers, at least ``least``, that were never given; they are given once this returns, over power
        cuts too. Raises StoreError when that cannot be written.
        """
