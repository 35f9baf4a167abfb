"""SQL over the Parquet store: DuckDB as query engine only, on views of the files that the manifests name. Nothing is stored in its own format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.core.errors import ConfigError, DataError
from ghtrader.data.schema import TicksKind

if TYPE_CHECKING:
    import polars as pl

__all__ = ["query_ticks"]


def query_ticks(root: Path, sql: str) -> pl.DataFrame:
    """Run one read-only query; the tables are the kinds that the store holds (``raw``, ``main_l5``).

    Raises ConfigError when the extra ``sql`` is not installed, DataError when the query fails.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError("SQL over the store needs DuckDB", hint="pip install 'ghtrader[sql]'") from error
    connection = duckdb.connect(":memory:")
    try:
        store = LocalTickStore(root)
        for kind in get_args(TicksKind):
            files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in store.data_files(kind))
            if files:
                source = f"read_parquet([{files}], hive_partitioning=true, hive_types_autocast=false)"
                connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {source}")  # noqa: S608 - our own file names
        frame: pl.DataFrame = connection.execute(sql).pl()
        return frame
    except duckdb.Error as error:
        raise DataError(
            f"the query failed: {error}", hint="tables: raw, main_l5; ghtrader data list shows what is stored"
        ) from error
    finally:
        connection.close()
