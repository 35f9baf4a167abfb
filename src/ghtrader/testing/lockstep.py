"""Made-up days for the simulated exchange, and one lockstep replay with all that belongs to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.orders import FillModel, Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import ASK_PRICES, BID_PRICES
from ghtrader.ports.broker import BrokerOrder, OrderRequest
from ghtrader.sim.replay import ReplayClock, ReplayDay, replay_day
from ghtrader.sim.venue import Arrival, VenueEvent
from ghtrader.sim.venue_account import VenueAccount
from ghtrader.testing.builders import DAY, SYMBOL, source_frame, tick_frame

__all__ = ["LockstepReplay", "wide_day"]


def wide_day(
    rows: int = 400, *, symbol: str = SYMBOL, trading_day: str = DAY, seed: int = 0, settlement_ticks: float | None = None
) -> ReplayDay:
    """The day of `builders.source_frame` with levels five ticks apart, so that far orders find a queue, and with price limits.

    >>> day = wide_day(8)
    >>> len(day.ticks), day.values.shape, int(day.ticks.ask_px[0, 1] - day.ticks.ask_px[0, 0])
    (8, (8, 29), 5)
    """
    spec = InstrumentTable.vendored().spec(symbol, TradingDay.parse(trading_day))
    tick, frame = spec.price_tick, source_frame(rows, symbol=symbol, trading_day=trading_day, seed=seed)
    wider = [(pl.col(name) - 4 * tick * level).alias(name) for level, name in enumerate(BID_PRICES)]
    wider += [(pl.col(name) + 4 * tick * level).alias(name) for level, name in enumerate(ASK_PRICES)]
    limits = [pl.lit(3500.0 * tick).alias("upper_limit"), pl.lit(2500.0 * tick).alias("lower_limit")]
    frame = tick_frame(source=frame.with_columns(*wider, *limits), symbol=symbol, trading_day=trading_day)
    return replay_day(frame, spec, settlement_ticks=settlement_ticks)


@dataclass
class LockstepReplay:
    """Account, clock, feed and broker over ``days``; ``heard`` holds every event of the venue.

    >>> replay = LockstepReplay([[wide_day(20)]])
    >>> changed = replay.step(3)
    >>> name = replay.order(Side.BUY, Offset.OPEN, 1, replay.touch()[1] + 20)
    >>> [order.state.value for order in replay.step(2)]
    ['filled']
    """

    days: Iterable[Sequence[ReplayDay]]
    model: FillModel = FillModel.BACK
    rules: Arrival = Arrival.EXCHANGE
    balance_cny: float = 1_000_000.0
    latency_ns: int = 100_000_000
    heard: list[tuple[str, VenueEvent]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account = VenueAccount(
            self.model,
            latency_ns=self.latency_ns,
            rules=self.rules,
            balance_cny=self.balance_cny,
            listen=lambda symbol, event: self.heard.append((symbol, event)),
        )
        self.clock = ReplayClock()
        self.feed = ReplayFeed(self.days, self.account, self.clock)
        self.broker = SimBroker(self.account, self.clock)
        self._names = (f"c{number}" for number in itertools.count(1))

    def step(self, count: int = 1) -> list[BrokerOrder]:
        """Let so many ticks come (or days end); orders that changed."""
        changed: list[BrokerOrder] = []
        for _ in range(count):
            self.feed.poll()
            changed += self.broker.poll(0.0)
        return changed

    def finish_day(self) -> None:
        """Go on until the open day is settled."""
        while self.feed.poll():
            self.broker.poll(0.0)

    def touch(self, symbol: str = SYMBOL) -> tuple[float, float]:
        """Best bid and ask now, CNY."""
        return self.account.quote(symbol)

    def order(
        self, side: Side, offset: Offset, lots: int, price: float, kind: OrderKind = OrderKind.GFD, symbol: str = SYMBOL
    ) -> str:
        """Submit an order; its id."""
        name = next(self._names)
        request = OrderRequest(
            client_order_id=name, symbol=symbol, side=side, offset=offset, lots=lots, limit_price=price, kind=kind
        )
        self.broker.submit(request)
        return name
