"""The only door to the data provider: shut during its daily maintenance, hung up after use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import ProviderMaintenanceError
from ghtrader.data.maintenance import MaintenanceWindow
from ghtrader.pipelines.services import Services
from ghtrader.ports.market_data import MarketDataProvider

__all__ = ["asking", "maintenance_window", "require_open"]


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
    """The provider for a few questions; raises ProviderMaintenanceError while it is known to be closed."""
    require_open(services)
    try:
        yield services.provider()
    finally:
        services.close_provider()
