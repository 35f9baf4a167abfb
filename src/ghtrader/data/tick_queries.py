"""`ports.tick_queries.TickQueries` over any tick store: from manifests where they suffice, else from the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ghtrader.ports.tick_queries import Bounds, DayCoverage, LatestTick, SymbolCount
from ghtrader.ports.tick_store import DayKey, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RECENT_COLUMNS", "StoreQueries"]

RECENT_COLUMNS = ("datetime", "last_price", "bid_price1", "bid_volume1", "ask_price1", "ask_volume1", "volume")


class StoreQueries:
    """Questions answered from a store's partitions; exact, and never degraded, as no sums are kept."""

    degraded = ""

    def __init__(self, store: TickStore) -> None:
        self._store = store

    def _keys(self, kind: str, symbol: str, schedule_hash: str | None) -> list[tuple[DayKey, int]]:
        """Partitions with rows, ascending, and how many rows each has."""
        found = []
        for day in self._store.days(kind, symbol):
            key = DayKey(kind, symbol, day)
            manifest = self._store.manifest(key)
            if manifest is None or not manifest.rows:
                continue
            if schedule_hash is None or manifest.lineage.get("schedule_hash") == schedule_hash:
                found.append((key, manifest.rows))
        return found

    def symbol_counts(self, kind: str, schedule_hash: str | None = None) -> list[SymbolCount]:
        """Every symbol with its rows and days."""
        found = []
        for symbol in self._store.symbols(kind):
            keys = self._keys(kind, symbol, schedule_hash)
            if keys:
                found.append(SymbolCount(symbol=symbol, rows=sum(rows for _, rows in keys), days=len(keys)))
        return found

    def _coverage(self, key: DayKey, rows: int) -> DayCoverage:
        stamps = self._store.read_day(key, ["datetime"])["datetime"]
        first, last = int(stamps[0]), int(stamps[-1])
        return DayCoverage(symbol=key.symbol, trading_day=key.trading_day.iso, rows=rows, first_ns=first, last_ns=last)

    def bounds(self, kind: str, symbol: str, schedule_hash: str | None = None) -> Bounds | None:
        """Where a symbol begins and ends."""
        keys = self._keys(kind, symbol, schedule_hash)
        if not keys:
            return None
        first, last = self._coverage(*keys[0]), self._coverage(*keys[-1])
        return Bounds(
            symbol=symbol,
            first_day=first.trading_day,
            last_day=last.trading_day,
            first_ns=first.first_ns,
            last_ns=last.last_ns,
            rows=sum(rows for _, rows in keys),
        )

    def latest(self, kind: str, symbol: str | None = None) -> list[LatestTick]:
        """The last row of each symbol."""
        found = []
        for name in self._store.symbols(kind) if symbol is None else [symbol]:
            keys = self._keys(kind, name, None)
            if keys:
                key = keys[-1][0]
                row = self._store.read_day(key, ["datetime", "last_price"]).tail(1)
                price = float(row["last_price"][0])
                found.append(
                    LatestTick(
                        symbol=name,
                        trading_day=key.trading_day.iso,
                        ts_ns=int(row["datetime"][0]),
                        last_price=None if price != price else price,  # noqa: PLR0124 - NaN
                    )
                )
        return found

    def recent(self, kind: str, symbol: str, rows: int) -> pl.DataFrame:
        """The last rows of a symbol, over as many days as it takes."""
        import polars as pl

        pieces: list[pl.DataFrame] = []
        missing = rows
        for key, _ in reversed(self._keys(kind, symbol, None)):
            if missing <= 0:
                break
            pieces.insert(0, self._store.read_day(key, list(RECENT_COLUMNS)).tail(missing))
            missing -= len(pieces[0])
        kinds = {name: pl.Int64 if name == "datetime" else pl.Float64 for name in RECENT_COLUMNS}
        return pl.concat(pieces) if pieces else pl.DataFrame(schema=kinds)

    def coverage(self, kind: str, symbol: str, schedule_hash: str | None = None) -> list[DayCoverage]:
        """Every trading day of a symbol."""
        return [self._coverage(key, rows) for key, rows in self._keys(kind, symbol, schedule_hash)]

    def day(self, key: DayKey) -> pl.DataFrame:
        """All rows of one partition."""
        return self._store.read_day(key)
