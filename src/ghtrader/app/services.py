"""The composition root's services: adapters picked here and nowhere else, each made on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ghtrader import __version__
from ghtrader.core.clock import Clock, SystemClock

if TYPE_CHECKING:
    from ghtrader.config_service.service import ConfigService
    from ghtrader.pipelines.services import Paths, Services, Settings
    from ghtrader.ports.ledger_store import LedgerStore
    from ghtrader.ports.tick_store import TickStore


#: Small matrices gain nothing from BLAS threads, and threads that spin while they wait starve whatever runs beside them.
THREAD_DEFAULTS = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

__all__ = ["AppServices"]


class AppServices:
    """`pipelines.services.Services` of a real process: local stores under the data folder."""

    def __init__(self, paths: Paths, environment: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> None:
        self.paths = paths
        self.clock: Clock = SystemClock()
        self.tool_version = __version__
        self._environment = environment
        self._overrides = dict(overrides or {})

    def override(self, values: Mapping[str, str]) -> None:
        """Values of the command line (``--set key=value``); before anything asked for the settings."""
        self._overrides.update(values)

    @cached_property
    def _config(self) -> ConfigService:
        from ghtrader.adapters.local.config_store import LedgerConfigRevisions
        from ghtrader.app.keys import declared_keys
        from ghtrader.config_service.registry import KeyRegistry
        from ghtrader.config_service.service import ConfigService

        keys = declared_keys()
        return ConfigService(
            KeyRegistry(keys),
            LedgerConfigRevisions(self.ledger(), frozenset(key.name for key in keys)),
            self.clock,
            environment=self._environment,
            overrides=self._overrides,
        )

    @cached_property
    def _settings(self) -> Settings:
        return self._config.settings()

    @cached_property
    def _tick_store(self) -> TickStore:
        from ghtrader.adapters.local.tick_store import LocalTickStore

        return LocalTickStore(self.paths.data / "ticks")

    @cached_property
    def _ledger(self) -> LedgerStore:
        from ghtrader.adapters.local.ledger_store import SqliteLedger

        return SqliteLedger(self.paths.data / "ledger.sqlite")

    def config(self) -> ConfigService:
        """The configuration service."""
        return self._config

    def settings(self) -> Settings:
        """The effective configuration, resolved once."""
        return self._settings

    def tick_store(self) -> TickStore:
        """The tick store of the data folder."""
        return self._tick_store

    def ledger(self) -> LedgerStore:
        """Ledgers and small tables of the data folder."""
        return self._ledger

    def workspace(self, name: str) -> Services:
        """The same process on ``data/workspaces/name``; configuration stays that of the process."""
        copy = AppServices(replace(self.paths, data=self.paths.data / "workspaces" / name), self._environment, self._overrides)
        copy.__dict__["_config"] = self._config
        copy.__dict__["_settings"] = self._settings
        return copy

    def query(self, sql: str) -> list[dict[str, object]]:
        """One read-only SQL query over the stored ticks (extra ``sql``)."""
        from ghtrader.adapters.local.query import query_ticks

        return query_ticks(self.paths.data / "ticks", sql)


def prepare_process(paths: Paths, environment: Mapping[str, str]) -> None:
    """Settings that must stand before heavy libraries load: where compiled kernels are cached."""
    if "NUMBA_CACHE_DIR" not in environment:
        os.environ["NUMBA_CACHE_DIR"] = str(paths.artifacts / "numba")
    for name, value in THREAD_DEFAULTS.items():
        os.environ.setdefault(name, value)
