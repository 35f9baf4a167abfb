"""Configuration keys of the data room."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="data.validation.gap_min_s",
        kind="float",
        default=2.0,
        minimum=0.5,
        maximum=600.0,
        unit="s",
        doc="Silence from which on a hole is looked at; it is a gap only with evidence.",
    ),
    ConfigKey(
        name="data.validation.volume_step_quantile",
        kind="float",
        default=0.999,
        minimum=0.5,
        maximum=1.0,
        doc="A hole is a gap when its volume step exceeds what its length times this quantile of the day's pace explains.",
    ),
    ConfigKey(
        name="data.validation.silence_error_s",
        kind="float",
        default=1800.0,
        minimum=1.0,
        unit="s",
        doc="Gap time of a trading day from which on the day is an error.",
    ),
    ConfigKey(
        name="data.validation.silence_warn_s",
        kind="float",
        default=5.0,
        minimum=0.0,
        unit="s",
        doc="Gap time of a trading day from which on the day is a warning.",
    ),
    ConfigKey(
        name="data.validation.edge_tolerance_s",
        kind="float",
        default=60.0,
        minimum=0.0,
        unit="s",
        doc="How late the first and how early the last row of a session part may be.",
    ),
    ConfigKey(
        name="data.validation.null_rate_l1_max",
        kind="float",
        default=0.01,
        minimum=0.0,
        maximum=1.0,
        doc="Share of continuous rows without best bid or ask above which a day is an error (limit-locked rows excepted).",
    ),
    ConfigKey(
        name="data.validation.null_rate_l5_max",
        kind="float",
        default=0.20,
        minimum=0.0,
        maximum=1.0,
        doc="Share of continuous rows with fewer than five levels above which a day is a warning.",
    ),
    ConfigKey(
        name="data.main_l5.level5_min_share",
        kind="float",
        default=0.01,
        minimum=0.0,
        maximum=1.0,
        doc="Share of rows with levels 2-5 from which on a day's feed counts as level 5.",
    ),
)
