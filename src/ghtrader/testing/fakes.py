"""Ports in memory, for unit speed: a clock that is set, a venue with its broker sessions, a feed, a provider and its workers.

Each behaves as its port's contract says (`ghtrader.testing.contracts`), with switches for what goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError, HaltedError, ProviderError, ProviderPermanentError
from ghtrader.core.instruments import OrderLimits
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.ports.day_worker import DayOutcome, DayTask
from ghtrader.ports.live_feed import FeedEvent, FeedState, FeedStatus, LiveTick, feed_step
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.ports.order_checks import QuoteFacts, check_order

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FakeBroker", "FakeClock", "FakeFeed", "FakeProvider", "FakeVenue", "FakeWorkers"]


class FakeClock:
    """`core.clock.Clock` that stands still until it is set or told to `advance`.

    >>> clock = FakeClock(5)
    >>> clock.advance(1.5)
    >>> clock.now_ns(), clock.monotonic_ns()
    (1500000005, 1500000005)
    """

    def __init__(self, now_ns: int = 0) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        """The moment that was set."""
        return self.ns

    def monotonic_ns(self) -> int:
        """The same moment."""
        return self.ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ns += int(seconds * NS_PER_S)


@dataclass
class FakeVenue:
    """An exchange with one contract and one account in memory; sessions are `FakeBroker` objects.

    Orders that cross the touch (``bid``, ``ask``, ``lots`` displayed at each) fill at it at once; the rest of a day order works.
    ``lose_next`` swallows that many orders, ``reject_next`` refuses them; ``is_up`` is the link of every session.
    """

    symbol: str = "SHFE.rb2510"
    bid: float = 2990.0
    ask: float = 2991.0
    lots: int = 10
    tick: float = 1.0
    upper: float = 3200.0
    lower: float = 2800.0
    limits: OrderLimits = field(default_factory=lambda: OrderLimits(min_lots=1, max_limit_lots=500, max_market_lots=0))
    balance: float = 10_000_000.0
    is_up: bool = True
    lose_next: int = 0
    reject_next: int = 0
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    fills: list[BrokerFill] = field(default_factory=list)
    received: list[OrderRequest] = field(default_factory=list)
    now_ns: int = 1

    def position(self) -> BrokerPosition:
        """Today's lots from the fills, frozen ones from the closing orders that work."""
        lots = {Side.BUY: 0, Side.SELL: 0}
        for fill in self.fills:
            held = fill.side if fill.offset == Offset.OPEN else Side(-fill.side)
            lots[held] += fill.lots if fill.offset == Offset.OPEN else -fill.lots
        frozen = {Side.BUY: 0, Side.SELL: 0}
        for order in self.orders.values():
            if not order.state.is_final and order.request.offset != Offset.OPEN:
                frozen[Side(-order.request.side)] += order.left
        return BrokerPosition(
            symbol=self.symbol,
            long_today=lots[Side.BUY],
            long_history=0,
            short_today=lots[Side.SELL],
            short_history=0,
            long_today_frozen=frozen[Side.BUY],
            short_today_frozen=frozen[Side.SELL],
        )

    def receive(self, request: OrderRequest) -> None:
        """Take an order."""
        if self.lose_next:
            self.lose_next -= 1
            return
        self.received.append(request)
        number = f"{len(self.received):06d}"
        if self.reject_next:
            self.reject_next -= 1
            self.orders[request.client_order_id] = BrokerOrder(
                request=request, state=OrderState.REJECTED, left=request.lots, message="refused"
            )
            return
        crosses = request.limit_price >= self.ask if request.side == Side.BUY else request.limit_price <= self.bid
        taken = min(self.lots, request.lots) if crosses else 0
        if request.kind == OrderKind.FOK and taken < request.lots:
            taken = 0
        left = request.lots - taken
        state = OrderState.FILLED if left == 0 else OrderState.WORKING
        if left and request.kind != OrderKind.GFD:
            state = OrderState.CANCELLED
        self.orders[request.client_order_id] = BrokerOrder(request=request, state=state, left=left, exchange_order_id=number)
        if taken:
            self._fill(request, taken, self.ask if request.side == Side.BUY else self.bid)

    def _fill(self, request: OrderRequest, lots: int, price: float) -> None:
        self.now_ns += 1
        self.fills.append(
            BrokerFill(
                client_order_id=request.client_order_id,
                trade_id=f"{request.client_order_id}|{len(self.fills) + 1}",
                symbol=request.symbol,
                side=request.side,
                offset=request.offset,
                lots=lots,
                price=price,
                ts_ns=self.now_ns,
            )
        )

    def cancel(self, identity: str) -> None:
        """Cancel what is left of a working order."""
        order = self.orders.get(identity)
        if order is not None and not order.state.is_final:
            self.orders[identity] = msgspec.structs.replace(order, state=OrderState.CANCELLED)


class FakeBroker:
    """`ports.broker.Broker`: one session at a `FakeVenue`."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self._requests: dict[str, OrderRequest] = {}
        self._told: dict[str, BrokerOrder] = {}
        self._to_cancel: set[str] = set()

    @property
    def is_up(self) -> bool:
        """The venue's switch."""
        return self.venue.is_up

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Check and send; the same id again gives the order that is there."""
        known = self.order(request.client_order_id)
        if known is not None:
            return known
        if not self.is_up:
            raise HaltedError("the link is down: the order was not sent", hint="wait for the link", reason="link_down")
        venue = self.venue
        facts = QuoteFacts(price_tick=venue.tick, upper_limit=venue.upper, lower_limit=venue.lower)
        check_order(request, facts, venue.limits, venue.position())
        self._requests[request.client_order_id] = request
        venue.receive(request)
        order = self.order(request.client_order_id)
        assert order is not None
        return order

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; while the link is down it waits."""
        order = self.order(client_order_id)
        if order is None:
            raise DataError(f"nobody submitted the order {client_order_id}", hint="ghtrader trade status", order=client_order_id)
        if not order.state.is_final:
            self._to_cancel.add(client_order_id)
        return order

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Orders that changed."""
        del timeout_s
        if self.is_up:
            for identity in self._to_cancel:
                self.venue.cancel(identity)
            self._to_cancel.clear()
        changed = [order for order in self.orders() if self._told.get(order.request.client_order_id) != order]
        self._told |= {order.request.client_order_id: order for order in changed}
        return changed

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """The venue's word, ``unknown`` while the link is down, ``lost`` when it has none."""
        found, request = self.venue.orders.get(client_order_id), self._requests.get(client_order_id)
        if found is not None:
            living = not self.is_up and not found.state.is_final
            return msgspec.structs.replace(found, state=OrderState.UNKNOWN) if living else found
        if request is None:
            return None
        state = OrderState.LOST if self.is_up else OrderState.UNKNOWN
        return BrokerOrder(request=request, state=state, left=request.lots)

    def orders(self) -> list[BrokerOrder]:
        """Every order."""
        found = [self.order(name) for name in dict.fromkeys([*self.venue.orders, *self._requests])]
        return [order for order in found if order is not None]

    def fills(self) -> list[BrokerFill]:
        """Every trade."""
        return list(self.venue.fills)

    def positions(self) -> list[BrokerPosition]:
        """The position, when there is one."""
        held = self.venue.position()
        return [held] if held.lots else []

    def funds(self) -> AccountFunds:
        """The balance, nothing else moves."""
        money = self.venue.balance
        return AccountFunds(balance=money, available=money, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)

    def close(self) -> None:
        """Hang up."""


class FakeFeed:
    """`ports.live_feed.LiveFeed` over ticks that stand in a list, ``batch`` at a time; ``lose`` ids never arrive."""

    def __init__(self, ticks: Sequence[LiveTick], *, batch: int = 10, lose: Sequence[int] = (), begin: int = 0) -> None:
        self._ticks = [tick for tick in ticks if tick.identity >= begin]
        self._batch, self._lose = batch, frozenset(lose)
        self._state = FeedState.CONNECTING
        self._given = self._lost = self._last_ns = 0

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """The next batch."""
        del timeout_s
        if self._state == FeedState.CLOSED:
            return []
        piece, self._ticks = self._ticks[: self._batch], self._ticks[self._batch :]
        found = [tick for tick in piece if tick.identity not in self._lose]
        self._lost += len(piece) - len(found)
        self._given += len(found)
        if found:
            self._state, self._last_ns = feed_step(self._state, FeedEvent.DATA), found[-1].receive_ns
        return found

    @property
    def status(self) -> FeedStatus:
        """Where it stands."""
        return FeedStatus(state=self._state, ticks=self._given, rebuilds=0, lost=self._lost, last_receive_ns=self._last_ns)

    def close(self) -> None:
        """Hang up."""
        self._state = FeedState.CLOSED


class FakeProvider:
    """`ports.market_data.MarketDataProvider` over frames in memory; ``fail`` may raise for a (symbol, day) that is asked for."""

    def __init__(
        self,
        frames: Mapping[tuple[str, str], pl.DataFrame],
        table: Sequence[tuple[str, str]] = (),
        fail: Callable[[str, str], ProviderError | None] | None = None,
    ) -> None:
        self._frames, self._fail = frames, fail
        self._table = [(TradingDay.parse(day), contract) for day, contract in table]
        self.asked: list[tuple[str, str]] = []

    def symbols(self) -> list[str]:
        """Contracts with frames."""
        return sorted({symbol for symbol, _ in self._frames})

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Days with frames."""
        return sorted(TradingDay.parse(day) for name, day in self._frames if name == symbol)

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """The frame of a day."""
        self.asked.append((symbol, trading_day.iso))
        error = self._fail(symbol, trading_day.iso) if self._fail else None
        if error is not None:
            raise error
        frame = self._frames.get((symbol, trading_day.iso))
        if frame is None or frame.is_empty():
            raise ProviderPermanentError(f"no ticks of {symbol} on {trading_day}", symbol=symbol, day=trading_day.iso)
        return HistoryChunk(symbol, trading_day, frame, "fake", "")

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """The table that was given."""
        del product
        return list(self._table)


class FakeWorkers:
    """`ports.day_worker.DayWorkers` in this process: ``answer`` gives the outcome of a task, in the order of the tasks."""

    def __init__(self, count: int, answer: Callable[[DayTask], DayOutcome]) -> None:
        self._count, self._answer = count, answer
        self._tasks: list[DayTask] = []
        self.most_busy = 0
        self.closed = False

    @property
    def idle(self) -> int:
        """Workers without a task."""
        return self._count - len(self._tasks)

    def submit(self, task: DayTask) -> None:
        """Take a task."""
        if not self.idle:
            raise DataError("no worker is idle")
        self._tasks.append(task)
        self.most_busy = max(self.most_busy, len(self._tasks))

    def wait(self, timeout_s: float) -> list[DayOutcome]:
        """The oldest task's outcome."""
        del timeout_s
        return [self._answer(self._tasks.pop(0))] if self._tasks else []

    def close(self) -> None:
        """End."""
        self.closed = True
