"""Configuration keys of the research room."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="research.models",
        kind="list[str]",
        default=["prior", "logistic", "lightgbm"],
        choices=("prior", "logistic", "lightgbm"),
        doc="Model families that train and demo fit; the last one trades in the simulation.",
    ),
    ConfigKey(
        name="research.horizons",
        kind="list[str]",
        default=["50t", "10t", "200t"],
        choices=("10t", "50t", "200t", "5s", "25s", "100s"),
        doc="Horizons that train and demo fit; the first is the headline, on which policies trade.",
    ),
    ConfigKey(
        name="research.seed", kind="int", default=7, minimum=0, doc="Seed of everything that is drawn in training and judging."
    ),
    ConfigKey(
        name="research.bootstrap_replicates",
        kind="int",
        default=1000,
        minimum=100,
        maximum=100000,
        doc="Block-bootstrap replicates behind every interval.",
    ),
    ConfigKey(
        name="research.trade_quantile",
        kind="float",
        default=0.98,
        minimum=0.5,
        maximum=0.9999,
        doc="A policy trades when |score| exceeds this quantile of the training fold's |scores|.",
    ),
)
