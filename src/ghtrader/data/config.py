"""Configuration keys of the data room."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey
from ghtrader.data.contract_config import CONTRACT_KEYS
from ghtrader.data.validation_keys import VALIDATION_KEYS

__all__ = ["KEYS"]

KEYS = (
    *CONTRACT_KEYS,
    *VALIDATION_KEYS,
    ConfigKey(
        name="data.main_l5.level5_min_share",
        kind="float",
        default=0.01,
        minimum=0.0,
        maximum=1.0,
        doc="Share of rows with levels 2-5 from which on a day's feed counts as level 5.",
    ),
    ConfigKey(
        name="data.main_l5.enforce_health",
        kind="bool",
        default=True,
        doc="Promote a changed main-contract series only when no day of it, and not its schedule, is an error.",
    ),
    ConfigKey(
        name="data.download.workers",
        kind="int",
        default=2,
        minimum=1,
        maximum=32,
        doc="Processes that fetch days at once, each with a session of its own.",
    ),
    ConfigKey(
        name="data.download.attempts_per_day",
        kind="int",
        default=2,
        minimum=1,
        maximum=20,
        doc="How often a day, or the list of days, is asked for in one run, at most: the bound of a provider's hits under an outage.",
    ),
    ConfigKey(
        name="data.download.timeout_s",
        kind="float",
        default=30.0,
        minimum=1.0,
        maximum=600.0,
        unit="s",
        doc="How long the provider may stay silent on a request.",
    ),
    ConfigKey(
        name="data.download.missing_tolerance_days",
        kind="int",
        default=0,
        minimum=0,
        doc="Days that may be missing for reasons of ours before a run ends with an error; those the provider lacks never count.",
    ),
    ConfigKey(
        name="data.download.retry_after_s",
        kind="float",
        default=0.0,
        minimum=0.0,
        unit="s",
        doc="How long a skipped day waits in the ledger before a later run asks for it again.",
    ),
    ConfigKey(
        name="data.download.breaker_threshold",
        kind="int",
        default=2,
        minimum=1,
        doc="Maintenance answers or silences in a row that open the breaker for all workers.",
    ),
    ConfigKey(
        name="data.download.breaker_cool_down_s",
        kind="float",
        default=2.0,
        minimum=0.0,
        unit="s",
        doc="How long the breaker stays open the first time; it doubles each time.",
    ),
    ConfigKey(
        name="data.download.breaker_longest_cool_down_s",
        kind="float",
        default=300.0,
        minimum=0.0,
        unit="s",
        doc="The longest time that the breaker stays open.",
    ),
    ConfigKey(
        name="data.download.breaker_most_openings",
        kind="int",
        default=6,
        minimum=1,
        doc="Openings in a row after which a run leaves the remaining days for a later one.",
    ),
    ConfigKey(
        name="data.download.maintenance_window",
        kind="str",
        default="19:00-19:30",
        doc="Daily window, Shanghai time, in which the provider is not asked at all; or never.",
    ),
    ConfigKey(
        name="data.download.daily_update_time",
        kind="str",
        default="15:45",
        doc="Shanghai time at which `ghtrader data update --watch` updates on every trading day, after the close.",
    ),
    ConfigKey(
        name="data.download.daily_retry_s",
        kind="float",
        default=900.0,
        minimum=1.0,
        unit="s",
        doc="Pause before `ghtrader data update --watch` tries again what failed or was left for later.",
    ),
)
