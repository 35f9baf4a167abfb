"""Locks between processes, each with a holder that can be named. The process that trades takes them, whoever started it.

A lock lives as long as its process: kill -9 frees it. Taking one never waits. A process that already holds a key is refused like any
other. Keys are plain words with ``:``, ``=``, ``.``, ``_`` and ``-``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

__all__ = ["HeldLock", "Holder", "Locks", "gateway_key", "strategy_key"]


def gateway_key(account: str) -> str:
    """Key of the one gateway of an account.

    >>> gateway_key("demo")
    'trade:account=demo'
    """
    return f"trade:account={account}"


def strategy_key(account: str) -> str:
    """Key of the one strategy runner of an account; gateway and strategy never block each other.

    >>> strategy_key("demo")
    'trade:strategy:account=demo'
    """
    return f"trade:strategy:account={account}"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock: process id, its command line, since when (ns UTC). pid 0: held by somebody who has not written his name."""

    pid: int
    command: str
    since_ns: int


class HeldLock(Protocol):
    """A lock that this process holds, until `release` or its death."""

    @property
    def key(self) -> str:
        """The key."""

    def release(self) -> None:
        """Free it; a second time does nothing."""


class Locks(Protocol):
    """Locks by key."""

    def acquire(self, key: str) -> HeldLock:
        """Take a lock at once. Raises LockHeldError (``context["owner"]`` names the holder), StoreError when the medium fails."""

    def holder(self, key: str) -> Holder | None:
        """Who holds it now; None when nobody does."""
