"""Where ticks come from: history by trading day, in the provider's own columns.

A provider answers with raw frames (provider columns, not yet canonical); `ghtrader.data.ingest` turns them into
canonical rows. Asking twice for the same day gives the same rows, or an error; a provider never invents a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from ghtrader.core.trading_day import TradingDay

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HistoryChunk", "MarketDataProvider"]


class HistoryChunk(msgspec.Struct, frozen=True):
    """One symbol's trading day as the provider gave it. ``source`` names the origin, ``sha256`` its content.

    request: what was asked for (symbol, from, to, client), so that a row can be traced back to it.
    """

    symbol: str
    trading_day: TradingDay
    frame: pl.DataFrame
    source: str
    sha256: str
    request: dict[str, str] = {}


class MarketDataProvider(Protocol):
    """History by symbol and trading day. Raises ProviderError (transient, permanent or maintenance)."""

    def symbols(self) -> list[str]:
        """Contracts this provider can serve, sorted."""

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Trading days it can serve for a contract, ascending."""

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """All ticks of one trading day, night session included."""

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """Effective trading day and contract of every main-contract switch, ascending; empty when unknown."""
