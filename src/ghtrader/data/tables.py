"""Every table of a store, declared once: columns, types, designated timestamp, partitions, keys, since which migration.

Stores build their DDL from these declarations, migrations are derived from them (`ghtrader.data.migrations`), and a store's
real columns are compared with them before anything writes. To change a table, add a column with a new ``since``; what an
earlier migration made is never edited (its checksum would differ).

Types beyond those of tick columns: ``sym`` (text from a small vocabulary), ``str`` (free text), ``ts`` (ns since the epoch,
UTC), ``bool``, ``f64[]``. Names are without the prefix that a store puts before them (``ghtrader_``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ghtrader.core.errors import SchemaError
from ghtrader.data.schema import MAIN_L5_COLUMNS, RAW_COLUMNS, ColumnType

__all__ = [
    "LATEST_SCHEMA",
    "TABLES",
    "TICK_TABLES",
    "VIEWS",
    "Column",
    "DailyView",
    "Table",
    "table_named",
    "tick_table",
]

#: Number of the newest migration.
LATEST_SCHEMA = 2

Partition = Literal["ticks", "DAY", "MONTH", "YEAR"]


class Column(msgspec.Struct, frozen=True):
    """One column; ``capacity`` is the number of different values a ``sym`` is made for."""

    name: str
    type: ColumnType
    since: int = 1
    capacity: int = 0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table. ``timestamp`` is the designated one; ``keys`` make a corrected row replace the old one.

    partition: ``ticks`` follows the key GHTRADER_QDB_TICKS_PARTITION_BY.
    replaced_by_scope: rows belong to a scope and a write; `ports.table_store` replaces a scope whole.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    timestamp: str = "datetime"
    partition: Partition = "MONTH"
    keys: tuple[str, ...]
    since: int = 1
    replaced_by_scope: bool = False

    def column(self, name: str) -> Column:
        """The declaration of a column; raises SchemaError when there is none."""
        found = next((item for item in self.columns if item.name == name), None)
        if found is None:
            raise SchemaError(f"table {self.name} has no column {name}", table=self.name, column=name)
        return found


class DailyView(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a tick table summed up by UTC day, symbol and ``by``; kept by the store, read instead of the ticks."""

    name: str
    doc: str
    base: str
    by: tuple[str, ...]
    since: int = 1


SYMBOL_CAPACITY = {"symbol": 4096, "trading_day": 8192, "underlying_symbol": 4096, "schedule_hash": 1024}


def _columns(spec: str, since: int = 1) -> tuple[Column, ...]:
    """``"name:type name:type"`` as columns."""
    pairs = (item.split(":") for item in spec.split())
    return tuple(
        Column(name, _TYPES[kind], since, SYMBOL_CAPACITY.get(name, 256 if kind == "sym" else 0)) for name, kind in pairs
    )


_TYPES: dict[str, ColumnType] = {
    "i64": "i64",
    "f64": "f64",
    "str": "str",
    "sym": "sym",
    "bool": "bool",
    "ts": "ts",
    "f64s": "f64[]",
}
_DAY = "datetime:ts symbol:sym trading_day:sym "
_SCOPED = " scope:sym write_id:i64 position:i64"


def _ticks(columns: dict[str, ColumnType]) -> tuple[Column, ...]:
    found = [Column("datetime", "ts")]
    for name, kind in columns.items():
        if name != "datetime":
            text = kind == "str"
            found.append(Column(name, "sym" if text else kind, 1, SYMBOL_CAPACITY.get(name, 256) if text else 0))
    return (*found, Column("write_id", "i64"))


def _scoped(name: str, doc: str, spec: str, partition: Partition = "MONTH") -> Table:
    keys = ("datetime", "scope", "write_id", "position")
    return Table(name=name, doc=doc, columns=_columns(spec + _SCOPED), keys=keys, partition=partition, replaced_by_scope=True)


TABLES: tuple[Table, ...] = (
    Table(
        name="ticks_raw_v2",
        doc="Canonical ticks by contract. A row without trading day was removed by a later write of its day.",
        columns=_ticks(RAW_COLUMNS),
        partition="ticks",
        keys=("datetime", "symbol"),
    ),
    Table(
        name="ticks_main_l5_v2",
        doc="The main-contract series by continuous alias, with provenance. A row without trading day was removed.",
        columns=_ticks(MAIN_L5_COLUMNS),
        partition="ticks",
        keys=("datetime", "symbol", "schedule_hash"),
    ),
    Table(
        name="manifests_v2",
        doc="What each write of a tick partition held and how it came to be; found by the write_id that the rows carry.",
        columns=_columns(
            "datetime:ts kind:sym symbol:sym trading_day:sym write_id:i64 rows:i64 digest:str row_hash_version:i64 document:str"
        ),
        keys=("datetime", "kind", "symbol", "write_id"),
    ),
    _scoped(
        "main_schedule_v2",
        "Which contract is the main contract on which trading days; scope = alias.",
        "datetime:ts symbol:sym underlying_symbol:sym segment_id:i64 first_day:sym last_day:sym schedule_hash:sym source:str",
        "YEAR",
    ),
    Table(
        name="features_v2",
        doc="Factor values by tick; names and order of ``factors`` stand in feature_registry_v2 under set_hash.",
        columns=_columns(_DAY + "build_hash:sym set_hash:sym factors:f64s eligible:bool"),
        partition="ticks",
        keys=("datetime", "symbol", "build_hash"),
    ),
    Table(
        name="labels_v2",
        doc="Labels by tick and horizon: y is the mid change in half ticks; void and taker_void carry the reason where there is none.",
        columns=(
            *_columns(_DAY + "build_hash:sym horizon:sym y:i64 void:i64"),
            *_columns("weight:f64 taker_long:f64 taker_short:f64 taker_class:i64 taker_void:i64", since=2),
        ),
        partition="ticks",
        keys=("datetime", "symbol", "build_hash", "horizon"),
    ),
    Table(
        name="fill_labels_v2",
        doc="Fill outcomes and costs by tick, side and fill model (or taker); censored where observation ended first. No row without "
        "an order.",
        columns=(
            *_columns(_DAY + "build_hash:sym side:sym fill_model:sym filled:bool censored:bool time_to_fill_ns:i64"),
            *_columns("cost:f64 adverse:f64", since=2),
        ),
        partition="ticks",
        keys=("datetime", "symbol", "build_hash", "side", "fill_model"),
    ),
    _scoped(
        "main_l5_validate_summary_v2",
        "Verdict per validated trading day; scope = symbol/trading day.",
        _DAY + "overall_state:sym reason_code:sym rows:i64 gaps:i64 gap_seconds:f64 action_hint:str "
        "engineering_state:sym source_state:sym policy_state:sym reasons:str schedule_hash:sym cadence:sym holes_left_out:i64",
    ),
    _scoped(
        "main_l5_validate_gaps_v2",
        "Holes of validated days, with cause and evidence; scope = symbol/trading day.",
        _DAY + "end_ns:i64 part:sym seconds:f64 cause:sym evidence:str is_gap:bool volume_step:f64 end_part:sym",
    ),
    _scoped(
        "tick_gaps_v2",
        "Holes of raw days, with cause and evidence; scope = symbol/trading day.",
        _DAY + "end_ns:i64 part:sym seconds:f64 cause:sym evidence:str is_gap:bool volume_step:f64 end_part:sym",
    ),
    _scoped(
        "field_quality_v2",
        "Quality of fields by day; scope = symbol/trading day.",
        _DAY + "field:sym metric:sym value:f64",
    ),
    _scoped(
        "feature_registry_v2",
        "Factors of a factor set in order; scope = set hash.",
        "datetime:ts set_hash:sym set_name:sym factor_id:sym name:sym version:i64 formula:str",
        "YEAR",
    ),
    Table(
        name="scopes_v2",
        doc="The write that counts for each scope of a table that is replaced by scope; the newest row of a scope wins.",
        columns=_columns("datetime:ts table_name:sym scope:sym write_id:i64 rows:i64"),
        keys=("datetime", "table_name", "scope"),
        partition="YEAR",
    ),
    Table(
        name="ledger_v2",
        doc="Append-only ledgers: documents in sequence.",
        columns=_columns("datetime:ts ledger:sym seq:i64 document:str"),
        keys=("datetime", "ledger", "seq"),
    ),
    Table(
        name="documents_v2",
        doc="Documents by key; the newest row of a key counts, without document it was deleted.",
        columns=_columns("datetime:ts table_name:sym key:sym document:str"),
        keys=("datetime", "table_name", "key"),
    ),
)

VIEWS: tuple[DailyView, ...] = (
    DailyView(name="ticks_raw_daily_v2", doc="Raw ticks by day.", base="ticks_raw_v2", by=("symbol", "trading_day", "write_id")),
    DailyView(
        name="main_l5_daily_agg_v2",
        doc="The main-contract series by day.",
        base="ticks_main_l5_v2",
        by=("symbol", "trading_day", "write_id", "schedule_hash", "underlying_symbol"),
    ),
)

TICK_TABLES: dict[str, tuple[str, str]] = {
    "raw": ("ticks_raw_v2", "ticks_raw_daily_v2"),
    "main_l5": ("ticks_main_l5_v2", "main_l5_daily_agg_v2"),
}


def table_named(name: str) -> Table:
    """The declaration of a table; raises SchemaError when nobody declared it.

    >>> table_named("ticks_raw_v2").keys
    ('datetime', 'symbol')
    """
    found = next((table for table in TABLES if table.name == name), None)
    if found is None:
        raise SchemaError(f"no table {name} is declared", hint="ghtrader db status", table=name)
    return found


def tick_table(kind: str) -> tuple[Table, str]:
    """Table and daily view of a kind of ticks.

    >>> tick_table("main_l5")[1]
    'main_l5_daily_agg_v2'
    """
    if kind not in TICK_TABLES:
        raise SchemaError(f"no kind of ticks {kind!r}: expected raw or main_l5", kind=kind)
    table, view = TICK_TABLES[kind]
    return table_named(table), view
