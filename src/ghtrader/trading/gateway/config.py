"""Configuration keys of what gateways leave behind."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="gateway.paper_runs_kept",
        kind="int",
        default=20,
        minimum=1,
        unit="runs",
        doc="Runs of `ghtrader paper` whose accounts (journal, state, statements) are kept; older ones go when a new run begins.",
    ),
)
