"""Stores that live in this process: for tests, studies and anything that must leave nothing behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.ids import canonical_json
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.build_frames import check_day, not_built, wanted_factors, without_fills
from ghtrader.data.scoped_rows import checked_rows, scoped_table
from ghtrader.ports.feature_store import BuildKey, BuildManifest, StoredDay
from ghtrader.ports.ledger_store import LedgerRow
from ghtrader.ports.tick_store import DayKey, DayManifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MemoryFeatures", "MemoryLedger", "MemoryTables", "MemoryTickStore"]


class MemoryTickStore:
    """`ports.tick_store.TickStore` in a dictionary."""

    def __init__(self) -> None:
        self._days: dict[DayKey, tuple[pl.DataFrame, DayManifest]] = {}
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def exclusive(self, key: DayKey) -> Iterator[None]:
        """Hold every partition (one lock for all)."""
        del key
        with self._lock:
            yield

    def write_day(self, key: DayKey, frame: pl.DataFrame, manifest: DayManifest) -> None:
        """Replace the partition whole."""
        if len(frame) != manifest.rows:
            raise DataError(f"{len(frame)} rows with a manifest of {manifest.rows}", symbol=key.symbol, day=key.trading_day.iso)
        with self._lock:
            self._days[key] = (frame, manifest)

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition."""
        found = self._days.get(key)
        if found is None:
            raise DataError(
                f"no {key.kind} ticks of {key.symbol} on {key.trading_day}",
                hint="ghtrader data list",
                symbol=key.symbol,
                day=key.trading_day.iso,
            )
        return found[0] if columns is None else found[0].select(columns)

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The partition's manifest."""
        found = self._days.get(key)
        return None if found is None else found[1]

    def days(self, kind: str, symbol: str) -> list[TradingDay]:
        """Trading days that have a partition, ascending."""
        return sorted(key.trading_day for key in list(self._days) if (key.kind, key.symbol) == (kind, symbol))

    def symbols(self, kind: str) -> list[str]:
        """Symbols that have a partition of this kind, sorted."""
        return sorted({key.symbol for key in list(self._days) if key.kind == kind})

    def strays(self, kind: str) -> list[DayKey]:
        """None: rows and manifest are one entry."""
        del kind
        return []

    def delete_day(self, key: DayKey) -> bool:
        """Remove a partition."""
        with self._lock:
            return self._days.pop(key, None) is not None


class MemoryLedger:
    """`ports.ledger_store.LedgerStore` in dictionaries; documents are copied in and out as JSON."""

    def __init__(self) -> None:
        self._ledgers: dict[str, list[bytes]] = {}
        self._tables: dict[str, dict[str, bytes]] = {}
        self._lock = threading.RLock()

    def append(self, ledger: str, document: Mapping[str, Any]) -> int:
        """Append one document."""
        return self.append_many(ledger, [document])[0]

    def append_many(self, ledger: str, documents: Sequence[Mapping[str, Any]]) -> list[int]:
        """Append documents, all or none."""
        encoded = [canonical_json(document) for document in documents]
        with self._lock:
            rows = self._ledgers.setdefault(ledger, [])
            rows.extend(encoded)
            return list(range(len(rows) - len(encoded) + 1, len(rows) + 1))

    def rows(self, ledger: str, *, after: int = 0, limit: int | None = None) -> list[LedgerRow]:
        """``(sequence, document)`` in order."""
        rows = self._ledgers.get(ledger, [])
        stop = len(rows) if limit is None else min(len(rows), after + limit)
        return [(index + 1, msgspec.json.decode(rows[index])) for index in range(after, stop)]

    def count(self, ledger: str) -> int:
        """How many documents a ledger holds."""
        return len(self._ledgers.get(ledger, []))

    def ledgers(self) -> list[str]:
        """Names of the ledgers that hold documents, sorted."""
        return sorted(name for name, rows in self._ledgers.items() if rows)

    def tables(self) -> list[str]:
        """Names of the document tables that hold documents, sorted."""
        return sorted(name for name, rows in self._tables.items() if rows)

    def put(self, table: str, key: str, document: Mapping[str, Any]) -> None:
        """Store a document under a key."""
        self.put_many(table, {key: document})

    def put_many(self, table: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Store several documents, all or none."""
        encoded = {key: canonical_json(document) for key, document in documents.items()}
        with self._lock:
            self._tables.setdefault(table, {}).update(encoded)

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""
        found = self._tables.get(table, {}).get(key)
        return None if found is None else msgspec.json.decode(found)

    def items(self, table: str, *, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """``(key, document)`` sorted by key."""
        rows = sorted(self._tables.get(table, {}).items())
        return [(key, msgspec.json.decode(document)) for key, document in rows if key.startswith(prefix)]

    def delete(self, table: str, key: str) -> bool:
        """Remove a document."""
        with self._lock:
            return self._tables.get(table, {}).pop(key, None) is not None


class MemoryTables:
    """`ports.table_store.TableStore` in a dictionary."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def replace(self, table: str, scope: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rows of a scope."""
        self._rows[table, scope] = checked_rows(table, rows)

    def rows(self, table: str, scope: str) -> list[dict[str, Any]]:
        """The rows of a scope."""
        scoped_table(table)
        return [dict(row) for row in self._rows.get((table, scope), [])]

    def scopes(self, table: str) -> list[str]:
        """Scopes that have rows, sorted."""
        scoped_table(table)
        return sorted(scope for (name, scope), rows in self._rows.items() if name == table and rows)


class MemoryFeatures:
    """`ports.feature_store.FeatureStore` in a dictionary."""

    def __init__(self) -> None:
        self._days: dict[BuildKey, tuple[BuildManifest, StoredDay]] = {}

    def write(self, manifest: BuildManifest, day: StoredDay) -> None:
        """Replace the build of a day."""
        check_day(manifest, day)
        self._days[manifest.key] = (manifest, day)

    def manifest(self, key: BuildKey) -> BuildManifest | None:
        """Metadata of the build that counts."""
        found = self._days.get(key)
        return None if found is None else found[0]

    def manifests(self, symbol: str, dataset: str) -> list[BuildManifest]:
        """Metadata of every day of a dataset."""
        return [self._days[key][0] for key in sorted(self._days) if (key.symbol, key.dataset) == (symbol, dataset)]

    def datasets(self) -> list[tuple[str, str]]:
        """``(symbol, dataset)`` that have days."""
        return sorted({(key.symbol, key.dataset) for key in self._days})

    def _day(self, key: BuildKey) -> tuple[BuildManifest, StoredDay]:
        found = self._days.get(key)
        if found is None:
            raise not_built(key)
        return found

    def features(self, key: BuildKey, factors: Sequence[str] | None = None) -> pl.DataFrame:
        """The day's features."""
        manifest, day = self._day(key)
        return day.features.select("datetime", *wanted_factors(manifest, factors), "eligible")

    def labels(self, key: BuildKey) -> pl.DataFrame:
        """The day's labels."""
        return self._day(key)[1].labels

    def fills(self, key: BuildKey) -> pl.DataFrame:
        """The day's fill labels."""
        fills = self._day(key)[1].fills
        if fills is None:
            raise without_fills(key)
        return fills

    def delete(self, key: BuildKey) -> bool:
        """Remove a build."""
        return self._days.pop(key, None) is not None
