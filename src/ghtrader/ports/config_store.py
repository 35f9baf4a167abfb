"""Where configuration revisions live: an append-only history, the latest revision counts.

A revision holds every stored value. Appending names the revision it was made from, so that two writers cannot lose
each other's change: the second one gets LockHeldError and starts from the new revision. Keys that live in the environment
only (`core.env_only`) and keys that nobody declared are refused by the store itself with ConfigError: nothing is written.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from ghtrader.core.config_keys import ConfigValue

__all__ = ["ConfigRevision", "ConfigRevisions"]


class ConfigRevision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One revision: number from 1, all stored values, who made it, when, why, and what it changed (old, new)."""

    number: int
    values: dict[str, ConfigValue]
    actor: str
    created_ns: int
    reason: str
    changes: dict[str, tuple[ConfigValue | None, ConfigValue | None]]


class ConfigRevisions(Protocol):
    """The history. Raises StoreError when the medium fails."""

    def latest(self) -> ConfigRevision | None:
        """The revision that counts; None before the first."""

    def all(self) -> list[ConfigRevision]:
        """Every revision, oldest first."""

    def append(self, revision: ConfigRevision) -> None:
        """Append; the number must be one above the latest, else LockHeldError."""
