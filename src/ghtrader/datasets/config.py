"""Configuration keys of the datasets room."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="datasets.factor_set",
        kind="str",
        default="minimal16",
        choices=("minimal16", "minimal15", "channel", "book", "flow", "full", "all"),
        doc="Factor set that build, train and demo use.",
    ),
    ConfigKey(
        name="datasets.strict_provenance",
        kind="bool",
        default=True,
        doc="Refuse main_l5 days without segment_id and schedule_hash on every row; off: mask such days and say so.",
    ),
)
