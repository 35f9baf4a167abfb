"""Questions about stored ticks that people and pages ask: how many, from when to when, what is the latest.

Answers come from sums that the store keeps by day where it can, else from the rows themselves; ``source`` and ``degraded``
say which. They are about what readers can see when they are asked. ``schedule_hash`` narrows the main series to one schedule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    import polars as pl

    from ghtrader.ports.tick_store import DayKey

__all__ = ["Bounds", "DayCoverage", "LatestTick", "SymbolCount", "TickQueries"]


class SymbolCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rows and trading days of a symbol."""

    symbol: str
    rows: int
    days: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """First and last trading day and stamp (ns, UTC) of a symbol."""

    symbol: str
    first_day: str
    last_day: str
    first_ns: int
    last_ns: int
    rows: int


class LatestTick(msgspec.Struct, frozen=True, kw_only=True):
    """The last row of a symbol; the price is None when the row has none."""

    symbol: str
    trading_day: str
    ts_ns: int
    last_price: float | None


class DayCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a trading day and the stamps between which they lie."""

    symbol: str
    trading_day: str
    rows: int
    first_ns: int
    last_ns: int


class TickQueries(Protocol):
    """Read-only questions. Raises StoreError when the store cannot be reached."""

    @property
    def degraded(self) -> str:
        """Why the last answer did not come from the daily sums; empty when it did, or when the store keeps none."""

    def symbol_counts(self, kind: str, schedule_hash: str | None = None) -> list[SymbolCount]:
        """Every symbol with its rows and days, by symbol."""

    def bounds(self, kind: str, symbol: str, schedule_hash: str | None = None) -> Bounds | None:
        """Where a symbol begins and ends; None when it has no rows."""

    def latest(self, kind: str, symbol: str | None = None) -> list[LatestTick]:
        """The last row of each symbol (or of one), by symbol."""

    def recent(self, kind: str, symbol: str, rows: int) -> pl.DataFrame:
        """The last ``rows`` rows of a symbol in time order: datetime, last_price, best bid and ask with sizes, volume."""

    def coverage(self, kind: str, symbol: str, schedule_hash: str | None = None) -> list[DayCoverage]:
        """Every trading day of a symbol, ascending."""

    def day(self, key: DayKey) -> pl.DataFrame:
        """All rows of one partition, as `TickStore.read_day` gives them."""
