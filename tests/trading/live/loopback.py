"""The loopback exchange in a thread of the test, which moves its market, and services that reach it with the real client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from tests.conftest import environment_of
from tests.exchange.markets import Handmade, frame

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import SystemClock
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.exchange.loading import load_market
from ghtrader.exchange.server import ExchangeServer
from ghtrader.exchange.server import environment_of as clients_of
from ghtrader.trading.gateway.market_clock import MarketClock

DEMO = {"TQ_BROKER_ID_DEMO": "simnow", "TQ_ACCOUNT_ID_DEMO": "demo", "TQ_ACCOUNT_PASSWORD_DEMO": "secret"}
PATIENCE_S = 20.0


def quiet_day(day: str, clock: str, price: float, rows: int = 40) -> pl.DataFrame:
    """Rows half a second apart from a wall time on, the last price going up and down by one, 50 lots at the touch."""
    hours, minutes = clock.split(":")
    ticks = [(f"{hours}:{minutes}:{1 + row * 0.5:04.1f}", price + row % 2, 2, 1000 + row) for row in range(rows)]
    return frame(TradingDay.parse(day), ticks, lots=50)


class Loopback:
    """A served market that stands still until `step` or `go_to`. clock: its time, as if that were the present one."""

    def __init__(self, days: Mapping[tuple[str, str], pl.DataFrame]) -> None:
        tables = Calendar.vendored(), InstrumentTable.vendored()
        market = load_market(Handmade({(name, TradingDay.parse(day)): rows for (name, day), rows in days.items()}), *tables)
        self.server = ExchangeServer(market, {"demo": "secret"}, speed=0.0)
        self.stamps = sorted({stamp for rows in days.values() for stamp in rows["datetime"].to_list()})
        market.now_ns = self.stamps[0]
        self.at = 0
        self.clock = MarketClock(SystemClock())
        self.clock.tick(market.now_ns)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="loopback", daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def _serve(self) -> None:
        async def body() -> None:
            self._loop = asyncio.get_running_loop()
            await self.server.serve(0, self._bound, self._stop)

        asyncio.run(body())

    def _bound(self, port: int) -> None:
        self.environment = clients_of(port, "demo", "secret")
        self._ready.set()

    def step(self) -> None:
        """The next moment that has ticks; the market stands still after the last."""
        self.go_to(min(self.at + 1, len(self.stamps) - 1))

    def go_to(self, place: int) -> None:
        """A moment by its number."""
        done = threading.Event()
        self.at = place
        self.clock.tick(self.stamps[place])

        def move() -> None:
            self.server.move_to(self.stamps[place])
            done.set()

        self._loop.call_soon_threadsafe(move)
        assert done.wait(PATIENCE_S)

    def orders(self, what: str) -> list[dict[str, object]]:
        """The venue's own log."""
        return [entry for entry in self.server.broker.log if entry["what"] == what]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)


class RealWorld(AppServices):
    """Services of a process whose provider and brokers are the loopback exchange. kind: what an account's orders are said to reach."""

    kind = "sim"

    def __init__(self, folder: Path, exchange: Loopback, settings: Mapping[str, str] | None = None, **environment: str) -> None:
        known = {**environment_of(folder), **exchange.environment, **DEMO, **environment}
        super().__init__(resolve_paths(known), known, {"trading.preflight.min_free_mb": "1", **(settings or {})})

    def broker_kind(self, name: str) -> str:
        return "paper" if super().broker_kind(name) == "paper" else self.kind
