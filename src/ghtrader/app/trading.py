"""The simulated exchange as the gateway's process uses it: on the days of a folder, or on the market as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ghtrader.adapters.paper_feed import PaperFeed
from ghtrader.adapters.replay import ReplayProvider
from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.clock import Clock
from ghtrader.core.errors import DataError
from ghtrader.core.orders import FillModel, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.live_feed import LiveFeed
from ghtrader.sim.replay import ReplayClock, ReplayDay, provided_days
from ghtrader.sim.venue import Arrival
from ghtrader.sim.venue_account import SettledDay, VenueAccount
from ghtrader.trading.orders.positions import PositionLedger

__all__ = ["FolderReplay", "PaperVenue"]


class FolderReplay:
    """`pipelines.services.Replay` over a folder of tick files; days are read when their turn comes."""

    def __init__(
        self,
        folder: Path,
        symbols: Sequence[str],
        fill_model: str,
        latency_ns: int,
        calendar: Calendar,
        instruments: InstrumentTable,
        *,
        screening: bool = False,
    ) -> None:
        provider = ReplayProvider(folder, calendar, instruments)
        self.symbols = tuple(symbols) or tuple(provider.symbols())
        self.clock = ReplayClock()
        days: Iterator[list[ReplayDay]] = provided_days(provider, calendar, instruments, self.symbols)
        first = next(days, None)
        if first is None:
            raise DataError(f"{folder} holds no day of {', '.join(self.symbols)}", hint="--replay samples", path=str(folder))
        count = len({day for symbol in self.symbols for day in provider.trading_days(symbol)})
        self.ticks = sum(len(day.ticks) for day in first) * count
        self.first_ns = min(int(day.ticks.ts_ns[0]) for day in first)
        rules = Arrival.SCREENING if screening else Arrival.EXCHANGE
        self._account = VenueAccount(FillModel[fill_model.upper()], latency_ns=latency_ns, rules=rules)
        self.feed = ReplayFeed(chain([first], days), self._account, self.clock)
        self.broker = SimBroker(self._account, self.clock)
        self._given = 0

    def trading_day(self) -> str:
        """The venue's trading day; that of the last one between two days."""
        day = self._account.trading_day
        return day.iso if day is not None else self.feed.settled[-1].trading_day.iso if self.feed.settled else ""

    def settled(self) -> list[SettledDay]:
        """Days that are over."""
        return list(self.feed.settled)

    def fresh_ticks(self) -> int:
        """Ticks since the last call, for progress."""
        given, self._given = self._given, self.feed.status.ticks
        return self._given - given


class PaperVenue:
    """`pipelines.services.PaperVenue`: the simulated exchange on a live feed."""

    def __init__(
        self, fill_model: str, latency_ns: int, clock: Clock, calendar: Calendar, instruments: InstrumentTable, balance_cny: float
    ) -> None:
        self._calendar, self._instruments = calendar, instruments
        self._account = VenueAccount(FillModel[fill_model.upper()], latency_ns=latency_ns, balance_cny=balance_cny)
        self.broker = SimBroker(self._account, clock)

    def restore(self, positions: PositionLedger, trading_day: str) -> None:
        """Hold what an earlier run held: a venue in this process has died with it."""
        for symbol in positions.symbols():
            spec = self._instruments.spec(symbol, TradingDay.parse(trading_day))
            prices = positions.average_price(symbol, Side.BUY), positions.average_price(symbol, Side.SELL)
            self._account.restore(spec, positions.position(symbol), prices)

    def feed(self, feed: LiveFeed, symbols: Sequence[str]) -> PaperFeed:
        """The feed whose ticks the venue goes through first."""
        return PaperFeed(feed, self._account, symbols, self._calendar, self._instruments)
