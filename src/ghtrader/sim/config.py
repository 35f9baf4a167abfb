"""Configuration keys of the simulation room."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="sim.latency_ms",
        kind="float",
        default=100.0,
        minimum=0.0,
        unit="ms",
        doc="From decision to the exchange, orders and cancels alike.",
    ),
    ConfigKey(
        name="sim.hold_s",
        kind="float",
        default=25.0,
        minimum=0.5,
        unit="s",
        doc="How long a policy holds a position before it leaves.",
    ),
    ConfigKey(
        name="sim.patience_s",
        kind="float",
        default=10.0,
        minimum=0.5,
        unit="s",
        doc="How long a passive order waits before it is cancelled.",
    ),
    ConfigKey(
        name="sim.lots",
        kind="int",
        default=1,
        minimum=1,
        maximum=500,
        unit="lots",
        doc="Lots of every order of a policy.",
    ),
)
