"""Configuration revisions in the SQLite ledger of the data folder."""

from __future__ import annotations

import msgspec

from ghtrader.core.env_only import env_only_reason
from ghtrader.core.errors import ConfigError, LockHeldError, StoreError
from ghtrader.ports.config_store import ConfigRevision
from ghtrader.ports.ledger_store import LedgerStore

__all__ = ["LedgerConfigRevisions"]

LEDGER = "config"


class LedgerConfigRevisions:
    """`ports.config_store.ConfigRevisions` on any ledger store: a revision's number is its sequence number."""

    def __init__(self, ledger: LedgerStore, managed: frozenset[str]) -> None:
        self._ledger = ledger
        self._managed = managed

    def all(self) -> list[ConfigRevision]:
        """Every revision, oldest first."""
        try:
            return [msgspec.convert(document, ConfigRevision) for _, document in self._ledger.rows(LEDGER)]
        except msgspec.ValidationError as error:
            raise StoreError(f"the configuration history cannot be read: {error}") from error

    def latest(self) -> ConfigRevision | None:
        """The revision that counts."""
        revisions = self.all()
        return revisions[-1] if revisions else None

    def append(self, revision: ConfigRevision) -> None:
        """Append; env-only and undeclared keys are refused here, whoever calls, and so is a revision out of turn."""
        for name in revision.values:
            refused = env_only_reason(name)
            if refused:
                raise ConfigError(f"{name} is refused: {refused}", hint="set it in the process environment", key=name)
            if name not in self._managed:
                raise ConfigError(f"{name} is no declared key", hint="ghtrader config list", key=name)
        if revision.number != self._ledger.count(LEDGER) + 1:
            raise LockHeldError("the configuration was changed in the meantime", hint="look at it again: ghtrader config history")
        self._ledger.append(LEDGER, msgspec.to_builtins(revision))
