"""Configuration keys of the window in which a command's id is known."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="gateway.cmd_dedupe_max_ids",
        kind="int",
        default=10_000,
        minimum=1,
        unit="commands",
        doc="How many commands a gateway knows again at most; the newest.",
    ),
    ConfigKey(
        name="gateway.cmd_dedupe_ttl_s",
        kind="float",
        default=86_400.0,
        minimum=1.0,
        unit="s",
        doc="For how long after it came last a gateway knows a command again.",
    ),
)
