"""The exchange process: provider, market, server, put together here because it joins adapters and the exchange room."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from ghtrader.core.errors import ConfigError, UsageError
from ghtrader.core.instruments import product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import read_continuous_table
from ghtrader.ports.market_data import HistoryChunk, MarketDataProvider

if TYPE_CHECKING:
    from ghtrader.exchange.market import ServedMarket
    from ghtrader.pipelines.exchange import ExchangeRequest

__all__ = ["run", "served_market"]

DEFAULT_CONTRACT = "SHFE.cu2006"


class _Contracts:
    """Several generated contracts as one provider: the second follows where the first ends, one day of both between them."""

    def __init__(self, request: ExchangeRequest, calendar: Calendar) -> None:
        from ghtrader.adapters.synthetic import SyntheticProvider

        assert request.market is not None
        names = request.contracts or (DEFAULT_CONTRACT,)
        first = calendar.require(TradingDay.parse(request.first_day))
        self._parts: dict[str, SyntheticProvider] = {}
        self._starts: dict[str, TradingDay] = {}
        for position, name in enumerate(names):
            start = calendar.next(first, position * (request.days - 1)) if position and request.days > 1 else first
            self._starts[name] = start
            self._parts[name] = SyntheticProvider(
                request.market, request.seed + position, days=request.days, contract=name, first_day=start.iso
            )

    def symbols(self) -> list[str]:
        """Every contract."""
        return sorted(self._parts)

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Generated days of a contract."""
        return self._parts[symbol].trading_days(symbol)

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """One generated day."""
        return self._parts[symbol].ticks(symbol, trading_day)

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """Each contract is the main one from the day on which the one before it ends."""
        named = [(name, start) for name, start in self._starts.items() if product_of(name) == product]
        return [
            (start if position == 0 else self._parts[named[position - 1][0]].trading_days(named[position - 1][0])[-1], name)
            for position, (name, start) in enumerate(named)
        ]


def served_market(request: ExchangeRequest, calendar: Calendar) -> ServedMarket:
    """The market of a request, its present moment set."""
    from ghtrader.exchange.loading import load_market

    instruments = InstrumentTable.vendored()
    provider: MarketDataProvider
    if request.ticks is not None:
        from ghtrader.adapters.replay import ReplayProvider

        if not request.ticks.is_dir():
            raise UsageError(f"no such folder: {request.ticks}", hint="ghtrader serve-exchange --ticks samples")
        provider = ReplayProvider(request.ticks, calendar, instruments)
    else:
        provider = _Contracts(request, calendar)
    tables = None
    if request.table is not None:
        products = sorted({product_of(symbol) for symbol in provider.symbols()})
        rows = [(product, read_continuous_table(request.table, product)) for product in products]
        tables = {product: [row for row in found if product_of(row[1]) == product] for product, found in rows}
    market = load_market(provider, calendar, instruments, tables=tables)
    market.start_on(TradingDay.parse(request.start) if request.start else market.days[min(1, len(market.days) - 1)])
    return market


def run(request: ExchangeRequest, calendar: Calendar, accounts: dict[str, str], ready: Callable[[dict[str, str]], None]) -> None:
    """Serve until a signal."""
    try:
        from ghtrader.exchange.server import ExchangeServer, environment_of
    except ImportError as error:
        raise ConfigError("the exchange needs aiohttp", hint="pip install 'ghtrader[exchange]'") from error
    from ghtrader.exchange.faults import load_script
    from ghtrader.exchange.packets import read_packets

    packets = read_packets(request.packets) if request.packets is not None else []
    faults = load_script(request.script) if request.script is not None else ()
    server = ExchangeServer(served_market(request, calendar), accounts, speed=request.speed, faults=faults, packets=packets)
    user, password = next(iter(accounts.items()))
    try:
        asyncio.run(server.serve(request.port, lambda port: ready(environment_of(port, user, password))))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise UsageError(f"port {request.port} is taken by another process", hint="--port 0 takes any free one") from error
