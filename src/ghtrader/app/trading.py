"""The simulated exchange as the gateway's process uses it: on the days of a folder, or on the market as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from ghtrader.adapters.paper_feed import PaperFeed
from ghtrader.adapters.replay import ReplayProvider
from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.errors import DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.orders import FillModel, Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, MARKET_COLUMNS
from ghtrader.ports.account_day import AccountDay
from ghtrader.ports.broker import BrokerFill, OrderRequest
from ghtrader.ports.live_feed import FeedState, FeedStatus, LiveFeed, LiveTick
from ghtrader.ports.statement import AccountStatement
from ghtrader.sim.replay import ReplayClock, ReplayDay, provided_days
from ghtrader.sim.venue import Arrival
from ghtrader.sim.venue_account import RememberedContract, SettledDay, VenueAccount
from ghtrader.trading.orders.positions import PositionLedger

__all__ = ["FolderReplay", "PaperVenue"]

#: A contract and a moment of continuous trading that every table knows (2025-06-06 09:30 in Shanghai).
WARM_SYMBOL, WARM_NS = "SHFE.rb2510", 1_749_173_400_000_000_000


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
        self._fill_model, self._latency_ns = fill_model, latency_ns
        self._calendar, self._instruments = calendar, instruments
        self._account = VenueAccount(FillModel[fill_model.upper()], latency_ns=latency_ns, balance_cny=balance_cny)
        self.broker = SimBroker(self._account, clock)

    def warm_up(self) -> None:
        """Have every kernel of an order's life ready, on an account of its own: compiling them takes tens of seconds."""
        clock = ReplayClock()
        other = PaperVenue(self._fill_model, self._latency_ns, clock, self._calendar, self._instruments, 1e9)
        feed = other.feed(_WarmRows(), (WARM_SYMBOL,))
        orders = (("take", 3001.0, OrderKind.GFD), ("rest", 2999.0, OrderKind.GFD), ("all", 3001.0, OrderKind.FOK))
        for tick in iter(lambda: feed.poll(0.0), []):
            clock.move_to(tick[-1].ts_ns)
            for name, price, kind in orders:
                request = OrderRequest(
                    client_order_id=name,
                    symbol=WARM_SYMBOL,
                    side=Side.BUY,
                    offset=Offset.OPEN,
                    lots=1,
                    limit_price=price,
                    kind=kind,
                )
                other.broker.submit(request)
        other.broker.cancel("rest")

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


class _WarmRows:
    """`ports.live_feed.LiveFeed` of a few rows, one at a poll."""

    def __init__(self) -> None:
        fixed = dict.fromkeys(BID_SIZES + ASK_SIZES, 5.0) | {"last_price": 3000.0, "open_interest": 1000.0}
        fixed |= {name: 3000.0 - level for level, name in enumerate(BID_PRICES)}
        fixed |= {name: 3001.0 + level for level, name in enumerate(ASK_PRICES)}
        self._rows = [fixed | {"volume": 10.0 * row, "amount": 300_000.0 * row} for row in range(1, 6)]
        self._given = 0

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """The next row; none after the last."""
        del timeout_s
        if self._given == len(self._rows):
            return []
        row, stamp = self._rows[self._given], WARM_NS + self._given * NS_PER_S
        self._given += 1
        values = tuple(row.get(name, float("nan")) for name in MARKET_COLUMNS)
        return [LiveTick(WARM_SYMBOL, self._given, stamp, stamp, values)]

    @property
    def status(self) -> FeedStatus:
        """Where it stands."""
        return FeedStatus(state=FeedState.LIVE, ticks=self._given, rebuilds=0, lost=0, last_receive_ns=0)

    def close(self) -> None:
        """Nothing is open."""
