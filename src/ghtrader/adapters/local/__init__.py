"""The embedded default: Parquet partitions with manifests, SQLite ledgers, DuckDB as query engine over them."""
