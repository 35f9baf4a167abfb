"""Rows of tables that are replaced by scope, checked against the declaration before any store sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ghtrader.core.errors import SchemaError
from ghtrader.data.tables import Column, Table, table_named

__all__ = ["SCOPE_COLUMNS", "checked_rows", "row_columns", "scoped_table"]

#: Columns that a store fills in by itself.
SCOPE_COLUMNS = ("scope", "write_id", "position")
_KINDS: dict[str, tuple[type, ...]] = {
    "i64": (int,),
    "ts": (int,),
    "f64": (float, int),
    "sym": (str,),
    "str": (str,),
    "bool": (bool,),
}


def scoped_table(name: str) -> Table:
    """A declared table that is replaced by scope; raises SchemaError for any other."""
    table = table_named(name)
    if not table.replaced_by_scope:
        raise SchemaError(f"{name} is not replaced by scope", hint="ghtrader db status", table=name)
    return table


def row_columns(table: Table) -> tuple[Column, ...]:
    """Columns that a row brings with it."""
    return tuple(column for column in table.columns if column.name not in SCOPE_COLUMNS)


def checked_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with every declared column, in declared order; SchemaError names the row and the column that is wrong.

    >>> checked_rows("tick_gaps_v2", [{"datetime": 1, "symbol": "SHFE.rb2510"}])[0]["cause"] is None
    True
    """
    columns = row_columns(scoped_table(name))
    known = {column.name for column in columns}
    found = []
    for number, row in enumerate(rows):
        unknown = sorted(set(row) - known)
        if unknown:
            raise SchemaError(f"row {number} of {name}: no column {unknown[0]} is declared", table=name, column=unknown[0])
        for column in columns:
            value = row.get(column.name)
            wrong = isinstance(value, bool) and column.type != "bool"
            if value is not None and (wrong or not isinstance(value, _KINDS[column.type])):
                message = f"row {number} of {name}: {column.name} should be {column.type}, but was {value!r}"
                raise SchemaError(message, table=name, column=column.name)
        if row.get("datetime") is None:
            raise SchemaError(f"row {number} of {name} has no datetime", table=name, column="datetime")
        found.append({column.name: _plain(row.get(column.name), column) for column in columns})
    return found


def _plain(value: Any, column: Column) -> Any:
    return float(value) if column.type == "f64" and value is not None else value
