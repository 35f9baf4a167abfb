"""Configuration keys of validation."""

from __future__ import annotations

from typing import Any

from ghtrader.core.config_keys import ConfigKey
from ghtrader.data.thresholds import PREFIX, Thresholds

__all__ = ["BOUNDS", "VALIDATION_KEYS"]


def _key(name: str, doc: str, minimum: float, maximum: float | None = None, unit: str = "") -> ConfigKey:
    default: Any = getattr(Thresholds(), name)
    kind: Any = "int" if isinstance(default, int) else "float"
    return ConfigKey(name=PREFIX + name, kind=kind, default=default, minimum=minimum, maximum=maximum, unit=unit, doc=doc)


_THRESHOLDS = (
    _key("gap_min_s", "Silence from which on a hole is looked at; it is a gap only with evidence.", 0.5, 600.0, "s"),
    _key(
        "gap_alpha",
        "A hole is a gap when so few like it (as long, with as large a volume step) are expected in its session part.",
        0.0,
        1.0,
    ),
    _key("gap_pace_share", "Share of the local pace that the volume step of a gap reaches at least.", 0.0, 1.0),
    _key(
        "edge_tolerance_s",
        "How late the first and how early the last row of a session part may be when no volume tells more.",
        0.0,
        unit="s",
    ),
    _key("halted_min_s", "Quiet time from which on peers are asked whether the market was halted.", 1.0, unit="s"),
    _key("late_min_s", "Delay beyond the usual one from which on a row after a hole says that rows came late.", 0.1, unit="s"),
    _key(
        "link_slack_s",
        "How much of a hole a logged link outage may leave uncovered (noticing, subscribing again).",
        0.0,
        unit="s",
    ),
    _key("strict_ratio", "Share of active seconds with two ticks or more from which on a part keeps the 500 ms grid.", 0.0, 1.0),
    _key("slot_miss_info", "Share of empty 500 ms slots of a grid part, gaps aside, from which on it is mentioned.", 0.0, 1.0),
    _key(
        "slot_miss_blocking",
        "Share of empty 500 ms slots of a grid part, gaps aside, from which on the day is an error.",
        0.0,
        1.0,
    ),
    _key("silence_warn_s", "Gap time of a trading day from which on the day is a warning.", 0.0, unit="s"),
    _key("silence_error_s", "Gap time of a trading day from which on the day is an error.", 1.0, unit="s"),
    _key(
        "null_rate_l1_max",
        "Share of continuous rows without best bid or ask above which a day is an error (limit-locked rows excepted).",
        0.0,
        1.0,
    ),
    _key("null_rate_l5_max", "Share of continuous rows with fewer than five levels above which a day is a warning.", 0.0, 1.0),
    _key(
        "missing_side_s",
        "Time without best bid or ask, the price not at its limit, from which on it is a warning.",
        0.0,
        unit="s",
    ),
    _key("price_jump_share", "Relative change of price between neighbouring rows that counts as a jump.", 0.0, 1.0),
    _key("volume_spike_ratio", "A volume step counts as a spike beyond so many times the day's 99.9 % quantile.", 1.0),
    _key("wide_spread_ratio", "A spread counts as wide beyond so many times the day's median.", 1.0),
    _key("few_rows_ratio", "A day has few rows below this share of the median of comparable days.", 0.0, 1.0),
    _key("expected_days", "How many comparable days before a day tell how many rows to expect.", 1),
    _key("expected_min_days", "Comparable days below which no row count is expected.", 1),
    _key("holes_max", "Holes of a day that are kept with their cause; the count of the rest is reported.", 1),
)
VALIDATION_KEYS = (
    *_THRESHOLDS,
    ConfigKey(
        name=PREFIX + "overrides",
        kind="list[str]",
        default=[],
        doc="Thresholds by variety and session part: SHFE.au/night gap_min_s=5, or */night ..., or SHFE.au ... for all parts.",
    ),
    ConfigKey(
        name=PREFIX + "workers",
        kind="int",
        default=0,
        minimum=0,
        maximum=64,
        doc="Days judged at once, by threads; 0: as many as there are cores.",
    ),
)
#: (minimum, maximum) of each threshold by its short name.
BOUNDS = {key.name.removeprefix(PREFIX): (key.minimum, key.maximum) for key in _THRESHOLDS}
