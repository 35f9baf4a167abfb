"""A replay as the gateway's process uses it: days of a folder, the simulated exchange that fills orders from them, one clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ghtrader.adapters.replay import ReplayProvider
from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.errors import DataError
from ghtrader.core.orders import FillModel
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.sim.replay import ReplayClock, ReplayDay, provided_days
from ghtrader.sim.venue import Arrival
from ghtrader.sim.venue_account import SettledDay, VenueAccount

__all__ = ["FolderReplay"]


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
