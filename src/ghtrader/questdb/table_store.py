"""Rows replaced by scope in QuestDB: a write puts its rows down beside the old ones, then one row in scopes_v2 makes them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ghtrader.core.clock import Clock
from ghtrader.core.errors import StoreError
from ghtrader.core.ids import content_hash
from ghtrader.data.scoped_rows import checked_rows, row_columns, scoped_table
from ghtrader.data.tables import table_named
from ghtrader.questdb.locks import NamedLocks
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.sender import Visibility
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.wire import PgWire

__all__ = ["QuestdbTables"]


class QuestdbTables:
    """`ports.table_store.TableStore` on a server. The commit point is the row in scopes_v2."""

    def __init__(self, settings: QuestdbSettings, wire: PgWire, schema: QuestdbSchema, clock: Clock) -> None:
        self._settings = settings
        self._wire = wire
        self._schema = schema
        self._clock = clock
        self._visible = Visibility(settings, wire)
        self._locks = NamedLocks(settings.lock_folder)
        self._scopes = settings.name("scopes_v2")

    def replace(self, table: str, scope: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a scope."""
        declared = scoped_table(table)
        given = checked_rows(table, rows)
        name = self._settings.name(table)
        with self._locks.exclusive(f"{self._scopes}/{table}/{scope}"):
            self._schema.require_tables(declared, table_named("scopes_v2"))
            last = self._wire.scalar(
                f"SELECT max(datetime)::long FROM {self._scopes} WHERE table_name = %s AND scope = %s",
                (table, scope),
            )
            now = max(self._clock.now_ns(), (last or 0) + 1)
            write_id = int(content_hash([table, scope, now])[:16], 16) >> 2
            if given:
                names = [*(column.name for column in row_columns(declared)), "scope", "write_id", "position"]
                values = [[*row.values(), scope, write_id, position] for position, row in enumerate(given)]
                self._wire.insert(name, names, values)
                self._visible.wait(name)
            columns = ("datetime", "table_name", "scope", "write_id", "rows")
            self._wire.insert(self._scopes, columns, [(now, table, scope, write_id, len(given))])
            self._visible.wait(self._scopes)

    def rows(self, table: str, scope: str) -> list[dict[str, Any]]:
        """The rows of a scope: those of the write that counts."""
        declared = scoped_table(table)
        sql = f"SELECT write_id, rows FROM {self._scopes} WHERE table_name = %s AND scope = %s LATEST ON datetime PARTITION BY scope"
        current = self._wire.query(sql, (table, scope))
        if not current or current[0][1] == 0:
            return []
        columns = row_columns(declared)
        names = [f"{column.name}::long" if column.type == "ts" else column.name for column in columns]
        found = self._wire.query(
            f"SELECT {', '.join(names)} FROM {self._settings.name(table)} WHERE scope = %s AND write_id = %s ORDER BY position",
            (scope, current[0][0]),
        )
        if len(found) != current[0][1]:
            raise StoreError(
                f"{self._settings.name(table)} holds {len(found)} rows of the scope {scope}, {current[0][1]} were written",
                hint="restore a backup, or: ghtrader store copy --from local --to questdb",
                table=table,
                scope=scope,
            )
        return [{column.name: value for column, value in zip(columns, row, strict=True)} for row in found]

    def scopes(self, table: str) -> list[str]:
        """Scopes that have rows, sorted."""
        scoped_table(table)
        live = f"SELECT scope, rows FROM {self._scopes} WHERE table_name = %s LATEST ON datetime PARTITION BY scope"
        return sorted(scope for scope, rows in self._wire.query(live, (table,)) if rows != 0)
