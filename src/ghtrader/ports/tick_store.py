"""Where day partitions of ticks live.

A partition is one symbol's trading day of one kind. It is immutable in the sense that a write replaces it whole and
atomically: a reader sees the old rows or the new ones, never a mix, a hole or a torn file, in any number of processes.
The manifest is written with the rows and describes exactly them. Writing the same rows again changes nothing.

Stores are safe for concurrent readers; of two writers of one partition the later one wins whole.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec

from ghtrader.core.trading_day import TradingDay

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DayKey", "DayManifest", "SourceFile", "TickStore"]


class DayKey(msgspec.Struct, frozen=True, order=True):
    """Name of a partition. ``kind`` is ``raw`` (symbol = contract) or ``main_l5`` (symbol = continuous alias)."""

    kind: str
    symbol: str
    trading_day: TradingDay


class SourceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where rows came from: a file's name and content hash, or a provider's name and the request that it answered.

    request: of a provider only: symbol, window (from, to), when it was asked, with which client; never a credential.
    """

    name: str
    sha256: str
    rows: int
    request: dict[str, str] = {}


class DayManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a partition holds and how it came to be.

    digest: SHA-256 over (kind, symbol, trading day, ordered row hashes), recomputable from the rows.
    rows_in/deduped/reordered/dropped: counters of the ingests that wrote the rows (dropped by reason).
    columns: hash of every stored column, so that a changed cell can be named by row and column.
    lineage: free provenance of the kind: schedule_hash and segment_id of ``main_l5``, ``origin`` and so on.
    """

    kind: str
    symbol: str
    trading_day: str
    rows: int
    digest: str
    row_hash_version: int
    schema_version: int
    rows_in: int = 0
    deduped: int = 0
    reordered: int = 0
    dropped: dict[str, int] = {}
    conversions: tuple[str, ...] = ()
    sources: tuple[SourceFile, ...] = ()
    columns: dict[str, str] = {}
    lineage: dict[str, str] = {}
    config_hash: str = ""
    tool_version: str = ""
    created_ns: int = 0


class TickStore(Protocol):
    """Read and write day partitions. Raises StoreError when the medium fails, DataError when rows are wrong."""

    def exclusive(self, key: DayKey) -> AbstractContextManager[None]:
        """Hold the partition for a read-merge-write: other writers wait, readers do not. Re-entrant within a thread."""

    def write_day(self, key: DayKey, frame: pl.DataFrame, manifest: DayManifest) -> None:
        """Replace the partition whole. Rows are sorted by ``datetime``; durable when the call returns."""

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition in time order, all columns or the named ones. Raises DataError when it does not exist."""

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The partition's manifest; None when there is no such partition."""

    def days(self, kind: str, symbol: str) -> list[TradingDay]:
        """Trading days that have a partition, ascending."""

    def symbols(self, kind: str) -> list[str]:
        """Symbols that have a partition of this kind, sorted."""

    def strays(self, kind: str) -> list[DayKey]:
        """Partitions that hold data without a manifest, sorted: a first write was killed, or a manifest was removed."""

    def delete_day(self, key: DayKey) -> bool:
        """Remove a partition; False when there was none."""
