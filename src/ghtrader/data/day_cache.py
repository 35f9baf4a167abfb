"""Days of a server's tick store kept beside the process as Parquet: a second pass over a day reads no wire.

A cached day is named by its manifest (digest and the write that made it), so it is used only while the store still says the
same; asking the store for a manifest is one small query. The cache may be removed at any time.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from ghtrader.core.ids import short_id
from ghtrader.data.atomic import write_atomically
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CachedDays", "DayReader"]


class DayReader(Protocol):
    """The reading half of a tick store."""

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The partition's manifest; None when there is no such partition."""

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition in time order."""


class CachedDays:
    """`DayReader` over a store and a folder. A file that cannot be read is fetched again."""

    def __init__(self, store: TickStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The manifest, from the store: the cache never answers for what is stored."""
        return self._store.manifest(key)

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of the partition as the store holds them now, from the cache when it has them."""
        import polars as pl

        manifest = self._store.manifest(key)
        if manifest is None:
            return self._store.read_day(key, columns)
        folder = self._folder / key.kind / key.symbol / key.trading_day.iso
        path = folder / f"{short_id(msgspec.to_builtins(manifest))}.parquet"
        if path.exists():
            with contextlib.suppress(pl.exceptions.PolarsError, OSError):
                return pl.read_parquet(path, columns=columns, hive_partitioning=False)
        frame = self._store.read_day(key)
        if self._store.manifest(key) == manifest:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("*.parquet"):
                old.unlink(missing_ok=True)
            write_atomically(path, lambda target: frame.write_parquet(target, compression="zstd", compression_level=1))
        return frame if columns is None else frame.select(columns)
