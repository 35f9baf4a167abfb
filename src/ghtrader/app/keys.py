"""Every declared configuration key, collected from the rooms."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey
from ghtrader.data.config import KEYS as DATA_KEYS
from ghtrader.datasets.config import KEYS as DATASET_KEYS
from ghtrader.questdb.config import KEYS as STORE_KEYS
from ghtrader.research.config import KEYS as RESEARCH_KEYS
from ghtrader.sim.config import KEYS as SIM_KEYS
from ghtrader.trading.commands.config import KEYS as COMMAND_KEYS
from ghtrader.trading.gateway.config import KEYS as GATEWAY_KEYS
from ghtrader.trading.preflight.config import KEYS as PREFLIGHT_KEYS
from ghtrader.trading.risk.config import KEYS as RISK_KEYS
from ghtrader.trading.strategy.config import KEYS as STRATEGY_KEYS

__all__ = ["declared_keys"]


def declared_keys() -> tuple[ConfigKey, ...]:
    """Keys of every room; a new room adds its line here."""
    return (
        *DATA_KEYS,
        *DATASET_KEYS,
        *SIM_KEYS,
        *RESEARCH_KEYS,
        *STORE_KEYS,
        *RISK_KEYS,
        *STRATEGY_KEYS,
        *COMMAND_KEYS,
        *GATEWAY_KEYS,
        *PREFLIGHT_KEYS,
    )
