"""What a manifest says about the cells of a partition, and how stored rows are compared with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ghtrader.data.day_cache import DayReader
from ghtrader.data.row_hash import VERSIONS, column_hash, day_digest, frame_columns, require_one_version, row_hashes
from ghtrader.data.schema import MAIN_L5_COLUMNS, MARKET_COLUMNS, ColumnType
from ghtrader.ports.tick_store import DayKey, DayManifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Difference", "column_hashes", "compare_with_manifest", "frame_digest", "require_one_hash_version"]

ROWS_SHOWN = 100
#: Columns that the partition's name gives; they are not stored, so they cannot differ.
NAME_COLUMNS = ("symbol", "trading_day")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which rows are not as the manifest says; ``rows`` counts from 0 in time order, at most 100 of them."""

    problem: str
    rows: list[int] = []
    stamps_ns: list[int] = []
    columns: list[str] = []
    detail: str = ""


def _hash_column(column: pl.Series) -> str:
    import polars as pl

    if column.dtype == pl.String:
        text = "\0".join("" if value is None else value for value in column.to_list())
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    return column_hash(column.to_numpy())


def column_hashes(frame: pl.DataFrame) -> dict[str, str]:
    """Hash of every stored column, by name, in the order of the frame."""
    return {name: _hash_column(frame[name]) for name in frame.columns if name not in NAME_COLUMNS}


def require_one_hash_version(store: DayReader, keys: Iterable[DayKey]) -> int:
    """The one row hash version of a dataset's partitions (absent ones do not count); raises HashVersionError when they mix."""
    found = [(key, store.manifest(key)) for key in keys]
    days = [(f"{key.symbol} {key.trading_day}", manifest.row_hash_version) for key, manifest in found if manifest is not None]
    return require_one_version(days, subject="the dataset")


def frame_digest(manifest: DayManifest, frame: pl.DataFrame) -> str:
    """The day's digest recomputed from the rows' cells in the manifest's version, whatever hashes are stored beside them."""
    version = manifest.row_hash_version
    hashes = row_hashes(frame["datetime"].to_numpy(), frame_columns(frame), version)
    return day_digest(manifest.kind, manifest.symbol, manifest.trading_day, hashes, version)


def _fits(kind: pl.DataType, declared: ColumnType) -> bool:
    import polars as pl

    types: dict[str, Any] = {
        "i64": pl.Int64,
        "f64": pl.Float64,
        "str": pl.String,
        "u8": pl.UInt8,
        "u32": pl.UInt32,
        "i8": pl.Int8,
    }
    return bool(kind == types[declared])


def _schema_differences(manifest: DayManifest, frame: pl.DataFrame) -> list[Difference]:
    absent = [name for name in ("datetime", *MARKET_COLUMNS, "row_hash") if name not in frame.columns]
    absent += [name for name in manifest.columns if name not in frame.columns and name not in absent]
    if absent:
        return [Difference(problem="columns_missing", columns=absent)]
    wrong = [name for name, kind in MAIN_L5_COLUMNS.items() if name in frame.columns and not _fits(frame.schema[name], kind)]
    if wrong:
        return [Difference(problem="column_types", columns=wrong, detail="the file was written by something else")]
    if manifest.row_hash_version not in VERSIONS:
        detail = f"stored with v{manifest.row_hash_version}, this knows {', '.join(f'v{known}' for known in sorted(VERSIONS))}"
        return [Difference(problem="hash_version", detail=detail)]
    return []


def compare_with_manifest(manifest: DayManifest, frame: pl.DataFrame) -> list[Difference]:
    """Every way in which stored rows differ from their own hashes and from the manifest; empty when they do not.

    A changed market cell is named by row (its hash differs) and column (the column's hash differs); a cell outside the
    row hash (receive time, limits, phase, part, flags) by column.
    """
    broken = _schema_differences(manifest, frame)
    if broken:
        return broken
    found: list[Difference] = []
    version = manifest.row_hash_version
    hashes = row_hashes(frame["datetime"].to_numpy(), frame_columns(frame), version)
    wrong = (hashes != frame["row_hash"].to_numpy()).nonzero()[0][:ROWS_SHOWN]
    changed = [name for name, known in manifest.columns.items() if _hash_column(frame[name]) != known]
    stamps = frame["datetime"].to_numpy()[wrong].tolist()
    if len(frame) != manifest.rows:
        detail = f"{len(frame)} rows, the manifest says {manifest.rows}"
        found.append(Difference(problem="row_count", rows=wrong.tolist(), stamps_ns=stamps, detail=detail))
    elif len(wrong) or changed:
        found.append(Difference(problem="cell_changed", rows=wrong.tolist(), stamps_ns=stamps, columns=changed))
    if not found and day_digest(manifest.kind, manifest.symbol, manifest.trading_day, hashes, version) != manifest.digest:
        found.append(Difference(problem="digest", detail="the manifest's digest is not that of the rows"))
    return found
