"""Ticks as Parquet: one file and one manifest per symbol and trading day, replaced atomically.

``root/kind=raw/symbol=SHFE.rb2510/trading_day=2025-06-05/`` holds ``manifest.json``, which names the data file beside
it. A write puts the new data file down first and then replaces the manifest, so a reader, who goes by the manifest,
sees the old rows or the new ones. Symbol and trading day stand in the path (hive style) and are added on reading.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl

from ghtrader.core.errors import DataError, StoreError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import remove_leftovers, sync_folder, write_atomically
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["LocalTickStore"]

MANIFEST = "manifest.json"
LOCK = ".lock"
READ_ATTEMPTS = 20
PATH_COLUMNS = ("symbol", "trading_day")


class _StoredManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    manifest: DayManifest


class LocalTickStore:
    """`ports.tick_store.TickStore` on a folder. Safe for many readers and writers in many processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held = threading.local()

    def _folder(self, key: DayKey) -> Path:
        return self._root / f"kind={key.kind}" / f"symbol={key.symbol}" / f"trading_day={key.trading_day.iso}"

    @contextlib.contextmanager
    def exclusive(self, key: DayKey) -> Iterator[None]:
        """Hold the partition's write lock (`flock`: a killed holder frees it). Re-entrant within a thread."""
        held: set[DayKey] = self._held.__dict__.setdefault("keys", set())
        if key in held:
            yield
            return
        folder = self._folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write in {folder}: {error.strerror}", path=str(folder)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            held.add(key)
            self._clean(key)
            yield
        finally:
            held.discard(key)
            os.close(handle)

    def _clean(self, key: DayKey) -> None:
        """Remove what killed writers left: temporary files, and data files that the manifest does not name."""
        folder = self._folder(key)
        remove_leftovers(folder)
        with contextlib.suppress(StoreError):  # whoever reads the partition is told; cleaning never stops a writer
            stored = self._stored(key)
            if stored is not None:
                self._remove_all_but(folder, stored.file)

    def _remove_all_but(self, folder: Path, name: str) -> None:
        for path in folder.glob("part-*.parquet"):
            if path.name != name:
                path.unlink(missing_ok=True)

    def write_day(self, key: DayKey, frame: pl.DataFrame, manifest: DayManifest) -> None:
        """Replace the partition: data file first, then the manifest that names it, then the old file goes."""
        if len(frame) != manifest.rows:
            raise DataError(f"{len(frame)} rows with a manifest of {manifest.rows}", symbol=key.symbol, day=key.trading_day.iso)
        folder = self._folder(key)
        with self.exclusive(key):
            name = f"part-{manifest.digest[:16]}-{manifest.created_ns}.parquet"
            stored = frame.drop(*PATH_COLUMNS, strict=False)
            data = folder / name

            def write(path: Path) -> None:
                try:
                    stored.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
                except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                    hint = "look for free space and a healthy disk, then run the same command again"
                    raise StoreError(f"cannot write {data}: {error}", hint=hint, path=str(data)) from error

            write_atomically(data, write)
            write_atomically(folder / MANIFEST, msgspec.json.encode(_StoredManifest(name, manifest)))
            self._remove_all_but(folder, name)
            sync_folder(folder.parent)

    def _stored(self, key: DayKey) -> _StoredManifest | None:
        path = self._folder(key) / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=_StoredManifest)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            hint = f"remove {path.parent} and import the day again"
            raise StoreError(f"the manifest {path} cannot be read: {error}", hint=hint, path=str(path)) from error

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition. A reader that loses a race with a writer follows the new manifest."""
        stored: _StoredManifest | None = None
        for _ in range(READ_ATTEMPTS):
            stored = self._stored(key)
            if stored is None:
                raise DataError(
                    f"no {key.kind} ticks of {key.symbol} on {key.trading_day}",
                    hint="ghtrader data list",
                    symbol=key.symbol,
                    day=key.trading_day.iso,
                )
            path = self._folder(key) / stored.file
            try:
                return self._read(path, key, columns)
            except FileNotFoundError:
                continue
        assert stored is not None
        path = self._folder(key) / stored.file
        hint = f"remove {path.parent} and import the day again"
        raise StoreError(f"the manifest names {path}, which is not there", hint=hint, path=str(path))

    def _read(self, path: Path, key: DayKey, columns: list[str] | None) -> pl.DataFrame:
        wanted = None if columns is None else [name for name in columns if name not in PATH_COLUMNS] or ["datetime"]
        try:
            frame = pl.read_parquet(path, columns=wanted, hive_partitioning=False, use_statistics=False)
        except FileNotFoundError:
            raise
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            hint = f"remove {path.parent} and import the day again"
            raise StoreError(f"{path} cannot be read: {error}", hint=hint, path=str(path)) from error
        frame = frame.with_columns(
            pl.lit(key.symbol, dtype=pl.String).alias("symbol"), pl.lit(key.trading_day.iso, dtype=pl.String).alias("trading_day")
        )
        return frame if columns is None else frame.select(columns)

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The partition's manifest; None when there is no such partition."""
        stored = self._stored(key)
        return None if stored is None else stored.manifest

    def days(self, kind: str, symbol: str) -> list[TradingDay]:
        """Trading days that have a partition, ascending."""
        folder = self._root / f"kind={kind}" / f"symbol={symbol}"
        found = folder.glob(f"trading_day=*/{MANIFEST}")
        return sorted(TradingDay.parse(path.parent.name.removeprefix("trading_day=")) for path in found)

    def symbols(self, kind: str) -> list[str]:
        """Symbols that have a partition of this kind, sorted."""
        found = (self._root / f"kind={kind}").glob(f"symbol=*/trading_day=*/{MANIFEST}")
        return sorted({path.parent.parent.name.removeprefix("symbol=") for path in found})

    def strays(self, kind: str) -> list[DayKey]:
        """Partitions whose folder holds data but no manifest."""
        folders = {path.parent for path in (self._root / f"kind={kind}").glob("symbol=*/trading_day=*/part-*.parquet")}
        found = []
        for folder in folders:
            if not (folder / MANIFEST).exists():
                day = TradingDay.parse(folder.name.removeprefix("trading_day="))
                found.append(DayKey(kind, folder.parent.name.removeprefix("symbol="), day))
        return sorted(found)

    def data_files(self, kind: str) -> list[Path]:
        """Data files that the manifests of a kind name, in order of symbol and day: what a query engine may scan."""
        keys = [DayKey(kind, symbol, day) for symbol in self.symbols(kind) for day in self.days(kind, symbol)]
        stored = [(self._folder(key), self._stored(key)) for key in keys]
        return [folder / found.file for folder, found in stored if found is not None]

    def delete_day(self, key: DayKey) -> bool:
        """Remove a partition: the manifest first, so that no reader finds half of it."""
        folder = self._folder(key)
        if not (folder / MANIFEST).exists():
            return False
        with self.exclusive(key):
            (folder / MANIFEST).unlink(missing_ok=True)
            sync_folder(folder)
            for path in folder.glob("part-*.parquet"):
                path.unlink(missing_ok=True)
        return True
