"""Configuration keys of gateways: what a kill does, and what they leave behind."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey
from ghtrader.trading.kill.record import KillPolicy

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="gateway.kill_policy",
        kind="str",
        default=str(KillPolicy.FLATTEN),
        choices=tuple(str(policy) for policy in KillPolicy),
        doc="What a kill does beside cancelling, unless its command says: flatten closes what is held once the account is reconciled.",
    ),
    ConfigKey(
        name="gateway.paper_runs_kept",
        kind="int",
        default=20,
        minimum=1,
        unit="runs",
        doc="Runs of `ghtrader paper` whose accounts (journal, state, statements) are kept; older ones go when a new run begins.",
    ),
)
