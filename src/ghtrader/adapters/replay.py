"""Tick files in a folder as a market-data provider: recorded days, asked for as if live history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ghtrader.core.errors import DataError, ProviderPermanentError
from ghtrader.core.ids import content_hash
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import read_ticks
from ghtrader.data.sessions import trading_days_of
from ghtrader.ports.market_data import HistoryChunk

__all__ = ["ReplayProvider"]

SUFFIXES = (".parquet", ".csv")


class ReplayProvider:
    """`ports.market_data.MarketDataProvider` over a folder; files are indexed once, on construction.

    A day may lie in several files: their rows follow each other in the order of the files' names. Raises DataError for what is no
    folder, or none that can be read.
    """

    def __init__(self, folder: Path, calendar: Calendar, instruments: InstrumentTable) -> None:
        self._calendar, self._instruments = calendar, instruments
        self._files: dict[tuple[str, TradingDay], list[Path]] = {}
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            hint = "name a folder of tick files, one a trading day: samples is one"
            raise DataError(f"{folder}: {error.strerror or error}", hint=hint, path=str(folder)) from error
        for path in paths:
            if path.suffix in SUFFIXES:
                source = read_ticks(path)
                for day in self._days(source.symbol, source.frame["datetime"].to_numpy())[0]:
                    self._files.setdefault((source.symbol, day), []).append(path)

    def _days(self, symbol: str, stamps: np.ndarray) -> tuple[list[TradingDay], np.ndarray]:
        product = self._instruments.product(symbol).product
        return trading_days_of(stamps, product, self._calendar, self._instruments)

    def symbols(self) -> list[str]:
        """Contracts that have files, sorted."""
        return sorted({symbol for symbol, _ in self._files})

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Trading days that have a file."""
        return sorted(day for name, day in self._files if name == symbol)

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """Rows of one trading day; raises ProviderPermanentError when no file holds it."""
        paths = self._files.get((symbol, trading_day))
        if paths is None:
            raise ProviderPermanentError(f"no file holds {symbol} on {trading_day}", hint="ghtrader data list")
        frames, hashes = [], []
        for path in paths:
            source = read_ticks(path)
            days, index = self._days(symbol, source.frame["datetime"].to_numpy())
            frames.append(source.frame.filter(index == days.index(trading_day)))
            hashes.append(source.sha256)
        names = ", ".join(path.name for path in paths)
        sha256 = hashes[0] if len(hashes) == 1 else content_hash(hashes)
        return HistoryChunk(symbol, trading_day, pl.concat(frames, how="diagonal"), names, sha256)

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """Files know no main contract: always empty."""
        del product
        return []
