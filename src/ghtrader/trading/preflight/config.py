"""Configuration keys of the checks before a session."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="trading.preflight.min_free_mb",
        kind="int",
        default=1024,
        minimum=1,
        unit="MB",
        doc="Free space of the data folder below which no session begins: the journal must be able to grow.",
    ),
    ConfigKey(
        name="trading.preflight.max_clock_drift_s",
        kind="float",
        default=1.0,
        minimum=0.001,
        unit="s",
        doc="How far this machine's clock may lie behind the newest tick, or behind what the journal has seen; a target on a tick further "
        "ahead is refused.",
    ),
    ConfigKey(
        name="trading.preflight.filing_reference",
        kind="str",
        default="",
        doc="Reference under which the broker confirmed the filing for programme trading; live trading needs one.",
    ),
)
