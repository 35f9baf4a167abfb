"""What a pipeline or a command receives from the composition root: factories typed by ports, made on first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from ghtrader.config_service.service import ConfigService
    from ghtrader.core.clock import Clock
    from ghtrader.core.config_keys import ConfigValue
    from ghtrader.ports.ledger_store import LedgerStore
    from ghtrader.ports.tick_store import TickStore


__all__ = ["Paths", "Services", "Settings"]


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything the system writes goes (env-only: GHTRADER_DATA_DIR, _RUNS_DIR, _ARTIFACTS_DIR)."""

    data: Path
    runs: Path
    artifacts: Path


class Settings(Protocol):
    """The effective configuration of this process, resolved once: command line > environment > store > default."""

    @property
    def config_hash(self) -> str:
        """Hash of every effective value; equal configurations have equal hashes."""

    def get(self, name: str) -> ConfigValue:
        """The effective value of a declared key; raises ConfigError naming the nearest match otherwise."""

    def snapshot(self) -> dict[str, ConfigValue]:
        """Every effective value by name, sorted."""


class Services(Protocol):
    """Lazy factories; each is made once per process. Nothing heavy is imported until it is asked for."""

    @property
    def paths(self) -> Paths:
        """Folders of this process."""

    @property
    def clock(self) -> Clock:
        """The clock of this process."""

    @property
    def tool_version(self) -> str:
        """Version of ghtrader that writes manifests and reports."""

    def settings(self) -> Settings:
        """The effective configuration."""

    def config(self) -> ConfigService:
        """The configuration service: history, changes, explanations."""

    def tick_store(self) -> TickStore:
        """The tick store of the data folder."""

    def ledger(self) -> LedgerStore:
        """Ledgers and small tables of the data folder."""

    def workspace(self, name: str) -> Services:
        """The same process on a data folder of its own (``paths.data/workspaces/name``): own ticks, ledgers and verdicts.

        A generated market or a folder of foreign files never meets the ticks of the main store. Runs, artefacts,
        configuration and clock are shared; trials are recorded in the ledger of the process, not of the workspace.
        """

    def query(self, sql: str) -> list[dict[str, object]]:
        """Rows of one read-only SQL query over the stored ticks; needs the extra ``sql``."""
