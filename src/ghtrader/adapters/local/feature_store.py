"""Builds as Parquet: three files and one manifest per symbol, dataset and trading day, replaced atomically.

``root/symbol=S/dataset=D/trading_day=T/manifest.json`` names the files of the build that counts; a write puts new files down
beside it, then replaces the manifest, then removes what no manifest names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import polars as pl

from ghtrader.core.errors import StoreError
from ghtrader.core.ids import short_id
from ghtrader.data.atomic import remove_leftovers, sync_folder, write_atomically
from ghtrader.data.build_frames import check_day, label_columns, not_built, wanted_factors, without_fills
from ghtrader.ports.feature_store import BuildKey, BuildManifest, StoredDay

__all__ = ["LocalFeatures"]

MANIFEST = "manifest.json"
LOCK = ".lock"
READ_ATTEMPTS = 20
PARTS = ("features", "labels", "fills")


def _name(part: str, manifest: BuildManifest) -> str:
    """File of a part: another content or another build has another name."""
    made_of = [manifest.build_hash, manifest.fill_hash, manifest.content_digest, manifest.created_ns]
    return f"{part}-{short_id(made_of)}.parquet"


class LocalFeatures:
    """`ports.feature_store.FeatureStore` on a folder. Safe for many readers and writers in many processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _folder(self, key: BuildKey) -> Path:
        return self._root / f"symbol={key.symbol}" / f"dataset={key.dataset}" / f"trading_day={key.trading_day.iso}"

    @contextlib.contextmanager
    def _exclusive(self, folder: Path) -> Iterator[None]:
        """The day's write lock (`flock`: a killed holder frees it), and what killed writers left is removed."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"cannot write in {folder}: {error.strerror}", path=str(folder)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            remove_leftovers(folder)
            yield
        finally:
            os.close(handle)

    def write(self, manifest: BuildManifest, day: StoredDay) -> None:
        """Replace the build of a day: files first, then the manifest that names them."""
        check_day(manifest, day)
        folder = self._folder(manifest.key)
        with self._exclusive(folder):
            kept = set()
            for part in PARTS:
                frame = getattr(day, part)
                if frame is not None:
                    kept.add(_name(part, manifest))
                    write_atomically(folder / _name(part, manifest), _writer(frame, folder))
            write_atomically(folder / MANIFEST, msgspec.json.encode(manifest))
            for path in folder.glob("*.parquet"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)
            sync_folder(folder.parent)

    def manifest(self, key: BuildKey) -> BuildManifest | None:
        """Metadata of the build that counts."""
        return _read_manifest(self._folder(key) / MANIFEST)

    def manifests(self, symbol: str, dataset: str) -> list[BuildManifest]:
        """Metadata of every day of a dataset."""
        folder = self._root / f"symbol={symbol}" / f"dataset={dataset}"
        found = (_read_manifest(path) for path in sorted(folder.glob(f"trading_day=*/{MANIFEST}")))
        return [manifest for manifest in found if manifest is not None]

    def datasets(self) -> list[tuple[str, str]]:
        """``(symbol, dataset)`` that have days."""
        folders = {path.parent.parent for path in self._root.glob(f"symbol=*/dataset=*/trading_day=*/{MANIFEST}")}
        return sorted((folder.parent.name.removeprefix("symbol="), folder.name.removeprefix("dataset=")) for folder in folders)

    def _read(self, key: BuildKey, part: str, columns: Callable[[BuildManifest], list[str] | None]) -> pl.DataFrame:
        """A part of the build that counts; a reader that loses a race with a writer follows the new manifest."""
        path = self._folder(key)
        for _ in range(READ_ATTEMPTS):
            manifest = self.manifest(key)
            if manifest is None:
                raise not_built(key)
            if part == "fills" and not manifest.fill_hash:
                raise without_fills(key)
            path = self._folder(key) / _name(part, manifest)
            try:
                return pl.read_parquet(path, columns=columns(manifest), hive_partitioning=False)
            except FileNotFoundError:
                continue
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                raise _unreadable(path, str(error)) from error
        raise _unreadable(path, "the manifest names it and it is not there")

    def features(self, key: BuildKey, factors: Sequence[str] | None = None) -> pl.DataFrame:
        """The day's features."""
        return self._read(key, "features", lambda manifest: ["datetime", *wanted_factors(manifest, factors), "eligible"])

    def labels(self, key: BuildKey) -> pl.DataFrame:
        """The day's labels."""
        return self._read(key, "labels", lambda manifest: label_columns(manifest.config.horizons))

    def fills(self, key: BuildKey) -> pl.DataFrame:
        """The day's fill labels."""
        return self._read(key, "fills", lambda _: None)

    def delete(self, key: BuildKey) -> bool:
        """Remove a build: the manifest first, so that no reader finds half of it."""
        folder = self._folder(key)
        if not (folder / MANIFEST).exists():
            return False
        with self._exclusive(folder):
            (folder / MANIFEST).unlink(missing_ok=True)
            sync_folder(folder)
            for path in folder.glob("*.parquet"):
                path.unlink(missing_ok=True)
        return True


def _writer(frame: pl.DataFrame, folder: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        try:
            frame.write_parquet(path, compression="zstd", compression_level=1, statistics=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            hint = "look for free space and a healthy disk, then run the same command again"
            raise StoreError(f"cannot write in {folder}: {error}", hint=hint, path=str(folder)) from error

    return write


def _unreadable(path: Path, why: str) -> StoreError:
    hint = f"remove {path.parent} and build again: ghtrader build --var VAR"
    return StoreError(f"{path} cannot be read: {why}", hint=hint, path=str(path))


def _read_manifest(path: Path) -> BuildManifest | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=BuildManifest)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise _unreadable(path, str(error)) from error
