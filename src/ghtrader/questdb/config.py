"""Configuration keys of the QuestDB room; addresses and credentials are env-only (`ghtrader.questdb.settings`)."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey

__all__ = ["KEYS"]

KEYS = (
    ConfigKey(
        name="store.ticks_partition_by",
        kind="str",
        default="DAY",
        choices=("DAY", "MONTH", "YEAR"),
        env="GHTRADER_QDB_TICKS_PARTITION_BY",
        doc="Partition of tick tables; taken when a table is created, an existing table keeps its own.",
    ),
    ConfigKey(
        name="store.pg_connection_limit",
        kind="int",
        default=64,
        minimum=2,
        maximum=10000,
        env="GHTRADER_QDB_PG_NET_CONNECTION_LIMIT",
        doc="PGWire connections that the server allows (its pg.net.connection.limit).",
    ),
    ConfigKey(
        name="store.pg_connection_reserve",
        kind="int",
        default=8,
        minimum=1,
        maximum=1000,
        env="GHTRADER_QDB_PG_NET_CONNECTION_RESERVE",
        doc="PGWire connections left to operators: all processes on this data folder together use the limit less these.",
    ),
    ConfigKey(
        name="store.connect_timeout_s",
        kind="float",
        default=1.5,
        minimum=0.1,
        maximum=30.0,
        unit="s",
        doc="How long a connection to the server, and its first answer, may take.",
    ),
    ConfigKey(
        name="store.query_timeout_s",
        kind="float",
        default=30.0,
        minimum=0.5,
        maximum=600.0,
        unit="s",
        doc="How long a query, a flush or the wait for written rows may take.",
    ),
    ConfigKey(
        name="store.flush_attempts",
        kind="int",
        default=4,
        minimum=1,
        maximum=20,
        doc="How often a flush is tried when the transport fails; the backoff doubles from 0.2 s.",
    ),
    ConfigKey(
        name="store.main_l5_daily_agg_auto_refresh",
        kind="bool",
        default=True,
        env="GHTRADER_MAIN_L5_DAILY_AGG_AUTO_REFRESH",
        doc="Check the daily aggregate after a main_l5 build, and rebuild it when it is not valid.",
    ),
)
