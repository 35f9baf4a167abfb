"""A generated market as a market-data provider."""

from __future__ import annotations

import hashlib

from ghtrader.core.errors import ProviderPermanentError
from ghtrader.core.instruments import product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.sim.market.generate import DEFAULT_CONTRACT, DEFAULT_DAYS, DEFAULT_FIRST_DAY, GeneratedDay, generate_market

__all__ = ["SyntheticProvider"]


class SyntheticProvider:
    """`ports.market_data.MarketDataProvider` of one market and seed; days are generated once, when first asked for."""

    def __init__(
        self,
        market: str,
        seed: int,
        *,
        days: int = DEFAULT_DAYS,
        contract: str = DEFAULT_CONTRACT,
        first_day: str = DEFAULT_FIRST_DAY,
    ) -> None:
        self._market, self._seed, self._count, self._contract, self._first_day = market, seed, days, contract, first_day
        self._days: dict[TradingDay, GeneratedDay] | None = None

    def _generated(self) -> dict[TradingDay, GeneratedDay]:
        if self._days is None:
            generated = generate_market(
                self._market, self._seed, days=self._count, contract=self._contract, first_day=self._first_day
            )
            self._days = {day.trading_day: day for day in generated}
        return self._days

    def symbols(self) -> list[str]:
        """The one contract."""
        return [self._contract]

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Generated trading days."""
        return sorted(self._generated()) if symbol == self._contract else []

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """One generated day; raises ProviderPermanentError for another contract or day."""
        import polars as pl

        day = self._generated().get(trading_day) if symbol == self._contract else None
        if day is None:
            raise ProviderPermanentError(f"the generated market has no {symbol} on {trading_day}", hint="ghtrader market list")
        frame = pl.DataFrame(
            {"datetime": day.ts_ns, **day.columns, "upper_limit": day.upper_limit, "lower_limit": day.lower_limit}
        )
        identity = hashlib.sha256(f"{self._market}\0{self._seed}\0{symbol}\0{trading_day}".encode()).hexdigest()
        return HistoryChunk(symbol, trading_day, frame, f"market {self._market} seed {self._seed}", identity)

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """The contract is the main contract from the first generated day on."""
        days = self.trading_days(self._contract)
        return [(days[0], self._contract)] if days and product == product_of(self._contract) else []
