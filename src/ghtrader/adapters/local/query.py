"""SQL over the Parquet store: DuckDB as query engine only, on views of the files that the manifests name.

Nothing is stored in DuckDB's own format, and nothing can be written: only queries run, on the store's folder alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.core.errors import ConfigError, DataError
from ghtrader.data.schema import TicksKind

__all__ = ["query_ticks"]

TABLES_HINT = "tables: raw, main_l5; ghtrader data list shows what is stored"


def query_ticks(root: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of one SELECT, by column name; the tables are the kinds that the store holds (``raw``, ``main_l5``).

    Raises ConfigError when the extra ``sql`` is not installed, DataError when the query fails.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError("SQL over the store needs DuckDB", hint="pip install 'ghtrader[sql]'") from error
    connection = duckdb.connect(":memory:")
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise DataError("one SELECT is expected: the store is only read here", hint=TABLES_HINT)
        store = LocalTickStore(root)
        for kind in get_args(TicksKind):
            files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in store.data_files(kind))
            if files:
                source = f"read_parquet([{files}], hive_partitioning=true, hive_types_autocast=false)"
                connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {source}")  # noqa: S608 - our own file names
        folder = str(root).replace("'", "''")
        connection.execute(f"SET allowed_directories=['{folder}']")
        connection.execute("SET enable_external_access=false")
        result = connection.execute(sql)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    except duckdb.Error as error:
        raise DataError(f"the query failed: {error}", hint=TABLES_HINT) from error
    finally:
        connection.close()
