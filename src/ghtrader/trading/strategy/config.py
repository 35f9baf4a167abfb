"""Configuration keys of the strategy runner."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="strategy.max_model_age_days",
        kind="int",
        default=20,
        minimum=0,
        unit="trading days",
        doc="How long after its last training day a model may trade; 0 for any time.",
    ),
    ConfigKey(
        name="strategy.silence_s",
        kind="float",
        default=2.0,
        minimum=0.1,
        unit="s",
        doc="Without any message of the gateway for so long, the strategy halts; five eighths of it are a strike.",
    ),
    ConfigKey(
        name="strategy.recover_s",
        kind="float",
        default=1.0,
        minimum=0.0,
        unit="s",
        doc="How long the stream must be whole again before a halt for it ends.",
    ),
    ConfigKey(
        name="strategy.late_s",
        kind="float",
        default=1.0,
        minimum=0.05,
        unit="s",
        doc="A decision that took longer is dropped, the third in a row ends the strategy; while beats come so late none is made.",
    ),
    ConfigKey(
        name="strategy.beat_s",
        kind="float",
        default=0.5,
        minimum=0.05,
        unit="s",
        doc="How often the strategy tells the gateway that it lives.",
    ),
    ConfigKey(
        name="strategy.report_s",
        kind="float",
        default=2.0,
        minimum=0.1,
        unit="s",
        doc="How often the strategy writes its state, and looks for what it is missing.",
    ),
)
