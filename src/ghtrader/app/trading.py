"""The simulated exchange as the gateway's process uses it: on the days of a folder, or on the market as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ghtrader.adapters.paper_feed import PaperFeed
from ghtrader.adapters.replay import ReplayProvider
from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.errors import DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.orders import FillModel, Offset, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import LiveCanonical
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.account_day import AccountDay
from ghtrader.ports.broker import BrokerFill, OrderRequest
from ghtrader.ports.live_feed import LiveFeed
from ghtrader.ports.statement import AccountStatement
from ghtrader.sim.replay import ReplayClock, ReplayDay, provided_days
from ghtrader.sim.venue import Arrival
from ghtrader.sim.venue_account import RememberedContract, SettledDay, VenueAccount
from ghtrader.trading.orders.positions import PositionLedger

__all__ = ["FolderReplay", "PaperVenue"]

#: A moment of continuous trading in a day that every calendar knows (09:30 in Shanghai).
WARM_SYMBOL, WARM_DAY, WARM_NS = "SHFE.rb2510", "2025-06-06", 1_749_173_400_000_000_000


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
            wanted = ", ".join(self.symbols) or "any contract"
            raise DataError(f"{folder} holds no day of {wanted}", hint="--replay samples", path=str(folder))
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

    def warm_up(self) -> None:
        """Have the venue's kernels ready before the first tick: three of them, with an order that rests and one that fills, elsewhere."""
        day, elsewhere = TradingDay.parse(WARM_DAY), VenueAccount(FillModel.BACK, latency_ns=0)
        elsewhere.open_live_day(day, [self._instruments.spec(WARM_SYMBOL, day)])
        live = LiveCanonical(WARM_SYMBOL, self._calendar, self._instruments)
        for number in range(3):
            now = WARM_NS + number * NS_PER_S // 2
            live.push(now, np.array([*(_warm_value(name, number) for name in MARKET_COLUMNS), 3300.0, 2700.0]))
            elsewhere.on_live_tick(WARM_SYMBOL, live.row)
            if number == 0:
                for identity, price in (("rests", 3000.0), ("fills", 3001.0)):
                    request = OrderRequest(
                        client_order_id=identity, symbol=WARM_SYMBOL, side=Side.BUY, offset=Offset.OPEN, lots=1, limit_price=price
                    )
                    elsewhere.submit(request, now)

    def restore(
        self, positions: PositionLedger, trades: Sequence[BrokerFill], balance_cny: float | None, marks: Mapping[str, float]
    ) -> None:
        """Go on with the day of an earlier run: a venue in this process has died with it."""
        day = TradingDay.parse(positions.trading_day)
        symbols = {*positions.symbols(), *(trade.symbol for trade in trades)}
        held = [
            _remembered(positions, self._instruments.spec(symbol, day), marks.get(symbol, math.nan)) for symbol in sorted(symbols)
        ]
        self._account.resume_live_day(day, held, trades, balance_cny)

    def settle_before(self, trading_day: str) -> None:
        """Settle the open day where it lies before this one."""
        day = self._account.trading_day
        if day is not None and day.iso < trading_day:
            self._account.close_day()

    def statements(self) -> list[AccountStatement]:
        """Of every day that was settled."""
        return [done.statement for done in self._account.settled]

    def account_day(self) -> AccountDay | None:
        """The running day."""
        day, account = self._account.trading_day, self._account
        if day is None:
            return None
        funds = account.funds()
        return AccountDay(
            trading_day=day.iso,
            pre_balance=account.static_cny,
            close_profit=funds.close_profit,
            commission=funds.commission,
            positions=tuple(account.positions()),
            marks=account.marks_cny(),
        )

    def feed(self, feed: LiveFeed, symbols: Sequence[str]) -> PaperFeed:
        """The feed whose ticks the venue goes through first."""
        return PaperFeed(feed, self._account, symbols, self._calendar, self._instruments)


def _remembered(positions: PositionLedger, spec: InstrumentSpec, mark: float) -> RememberedContract:
    """A contract as the ledger has it; lots without a price count at the mark."""
    money = positions.day_money(spec.symbol, None)
    lots = {side: positions.batches(spec.symbol, side) for side in Side}
    known = [batch.price for ages in lots.values() for age in ages for batch in age if batch.price is not None]
    price = mark if math.isfinite(mark) else known[-1] if known else math.nan
    ticks = {
        side: tuple(
            [(batch.lots, (price if batch.price is None else batch.price) / spec.price_tick) for batch in age] for age in ages
        )
        for side, ages in lots.items()
    }
    return RememberedContract(
        spec=spec,
        today={side: today for side, (today, _) in ticks.items()},
        history={side: history for side, (_, history) in ticks.items()},
        realised_cny=money.realised_cny,
        fees_cny=money.fees_cny,
        mark_ticks=price / spec.price_tick,
    )


def _warm_value(name: str, number: int) -> float:
    """A value of a plain book that trades ten lots a tick."""
    level = float(name[-1]) - 1.0 if name[-1].isdigit() else 0.0
    if name.startswith("bid_price"):
        return 3000.0 - level
    if name.startswith("ask_price"):
        return 3001.0 + level
    if name == "amount":
        return 300_000.0 * (number + 1)
    return {"volume": 10.0 * (number + 1), "open_interest": 1000.0}.get(name, 20.0 if "volume" in name else 3000.0)
