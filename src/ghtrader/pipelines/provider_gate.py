"""The only door to the data provider: shut during its daily maintenance, patient with a line that breaks, hung up after use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import ProviderMaintenanceError, ProviderTransientError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.maintenance import MaintenanceWindow
from ghtrader.pipelines.services import Services
from ghtrader.ports.market_data import HistoryChunk, MarketDataProvider

__all__ = ["asking", "maintenance_window", "require_open"]

T = TypeVar("T")


def maintenance_window(services: Services) -> MaintenanceWindow:
    """The configured window."""
    return MaintenanceWindow.parse(str(services.settings().get("data.download.maintenance_window")))


def require_open(services: Services) -> None:
    """Raise ProviderMaintenanceError, without asking anybody, while the provider is known to be closed."""
    opens_ns = maintenance_window(services).closed_until(services.clock.now_ns())
    if opens_ns is not None:
        raise ProviderMaintenanceError(
            f"the provider is closed for its daily maintenance until {iso_utc(opens_ns)[:16]} UTC; nothing was asked",
            hint="run the same command after that (ghtrader config get data.download.maintenance_window)",
            opens_ns=opens_ns,
        )


@contextlib.contextmanager
def asking(services: Services) -> Iterator[MarketDataProvider]:
    """The provider for a few questions; raises ProviderMaintenanceError while it is known to be closed.

    A question that meets a broken or silent line is put again, ``data.download.attempts_per_day`` times in all; maintenance and a
    refusal are an answer.
    """
    require_open(services)
    attempts = services.settings().get("data.download.attempts_per_day")
    assert isinstance(attempts, int)
    try:
        yield _Patient(services.provider(), attempts)
    finally:
        services.close_provider()


class _Patient:
    """A provider whose every question may be put ``attempts`` times."""

    def __init__(self, provider: MarketDataProvider, attempts: int) -> None:
        self._provider = provider
        self._attempts = attempts

    def symbols(self) -> list[str]:
        return self._answer(self._provider.symbols)

    def trading_days(self, symbol: str) -> list[TradingDay]:
        return self._answer(partial(self._provider.trading_days, symbol))

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        return self._answer(partial(self._provider.ticks, symbol, trading_day))

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        return self._answer(partial(self._provider.continuous_table, product))

    def _answer(self, ask: Callable[[], T]) -> T:
        for _ in range(self._attempts - 1):
            with contextlib.suppress(ProviderTransientError):
                return ask()
        return ask()
