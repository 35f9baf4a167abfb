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
    ConfigKey(
        name="datasets.build_engine",
        kind="str",
        default="local",
        choices=("local", "ray"),
        doc="Who builds days: processes of this machine, or a Ray cluster (extra dist; its address is GHTRADER_RAY_ADDRESS).",
    ),
    ConfigKey(
        name="datasets.build_peer",
        kind="str",
        default="",
        doc="Whom cross-asset factors look at in a build without --peer: a variety, a contract, default (the product's declared "
        "peer), or nobody (empty).",
    ),
    ConfigKey(
        name="datasets.build_workers",
        kind="int",
        default=0,
        minimum=0,
        maximum=1024,
        doc="How many days are built at once; 0: one a core of the machine or the cluster, 1: in the command's own process.",
    ),
)
