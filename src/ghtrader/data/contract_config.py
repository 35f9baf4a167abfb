"""Configuration keys of the data contract and of run reports."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["CONTRACT_KEYS"]

CONTRACT_KEYS = (
    ConfigKey(
        name="data.contract.min_rows",
        kind="int",
        default=2000,
        minimum=1,
        doc="Rows that a file or stored day must have at least.",
    ),
    ConfigKey(
        name="data.contract.null_rate_l1_max",
        kind="float",
        default=0.01,
        minimum=0.0,
        maximum=1.0,
        doc="Share of continuous rows without best bid or ask above which the contract is broken (limit-locked rows excepted).",
    ),
    ConfigKey(
        name="data.contract.null_rate_l5_max",
        kind="float",
        default=0.10,
        minimum=0.0,
        maximum=1.0,
        doc="Share of continuous rows with fewer than five levels above which the contract is broken; 1 allows level-1 files.",
    ),
    ConfigKey(
        name="data.contract.stray_share_max",
        kind="float",
        default=0.001,
        minimum=0.0,
        maximum=1.0,
        doc="Share of rows outside the phases of the trading day above which the contract is broken.",
    ),
    ConfigKey(
        name="data.report.noop_runs",
        kind="bool",
        default=False,
        doc="Write a run manifest also when a run found nothing to do.",
    ),
    ConfigKey(
        name="data.report.samples",
        kind="int",
        default=20,
        minimum=0,
        maximum=1000,
        doc="How many inputs, outputs and findings a run's report shows of each; the manifest holds them all.",
    ),
)
