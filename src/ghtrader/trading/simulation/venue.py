"""The venue of the simulation: it takes orders, fills them by chance, and keeps the log by which everybody is judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.simulation.world import World

__all__ = ["SimVenue", "VenueOrder"]


@dataclass
class VenueOrder:
    """An order as the venue has it."""

    request: OrderRequest
    number: int
    left: int
    state: OrderState = OrderState.WORKING
    fills: int = 0
    hazard: float = 0.15

    def shown(self) -> BrokerOrder:
        """The broker's word."""
        return BrokerOrder(request=self.request, state=self.state, left=self.left, exchange_order_id=f"{self.number:08d}")


@dataclass
class _Held:
    """Lots of a contract by side: today's and history's."""

    today: dict[Side, int] = field(default_factory=lambda: {Side.BUY: 0, Side.SELL: 0})
    history: dict[Side, int] = field(default_factory=lambda: {Side.BUY: 0, Side.SELL: 0})


Listener = Callable[[BrokerOrder, BrokerFill | None], None]


def _nobody(order: BrokerOrder, fill: BrokerFill | None) -> None:
    del order, fill


class SimVenue:
    """One account at one exchange. ``says`` hears every change: the order as it stands, and the trade that changed it."""

    def __init__(self, world: World, is_open: Callable[[str], bool], trading_day: str) -> None:
        self._world, self._is_open = world, is_open
        self.trading_day = trading_day
        self.orders: dict[str, VenueOrder] = {}
        self.fills: list[BrokerFill] = []
        self.held: dict[str, _Held] = {}
        self.prices: dict[str, int] = {}
        self.inserted: dict[str, int] = {}
        self.says: Listener = _nobody
        self._number = 0
        self.balance = 1_000_000.0

    # --- requests -------------------------------------------------------------------------------------------------------
    def insert(self, request: OrderRequest) -> None:
        """Take an order; the same id again is not taken twice."""
        identity = request.client_order_id
        self._world.note("venue insert", identity, request.symbol, request.side.name, request.offset, request.lots)
        self.inserted[identity] = self.inserted.get(identity, 0) + 1
        if identity in self.orders:
            return
        self._number += 1
        order = self.orders[identity] = VenueOrder(request, self._number, request.lots)
        order.hazard = self._world.chance.choice((0.15, 0.05, 0.0))
        if not self._is_open(request.symbol) or not self._can_close(request):
            order.state = OrderState.REJECTED
        elif request.kind is not OrderKind.GFD:
            self._trade(order, self._world.chance.choice((0, request.lots, request.lots, max(1, request.lots // 2))))
            if order.left:
                order.state = OrderState.CANCELLED
        self.says(order.shown(), None)

    def cancel(self, identity: str) -> None:
        """Cancel what is left."""
        order = self.orders.get(identity)
        self._world.note("venue cancel", identity)
        if order is not None and order.state is OrderState.WORKING and self._is_open(order.request.symbol):
            order.state = OrderState.CANCELLED
            self.says(order.shown(), None)

    def _can_close(self, request: OrderRequest) -> bool:
        if request.offset is Offset.OPEN:
            return True
        held, side = self.held.get(request.symbol, _Held()), Side(-request.side)
        free = (held.today if request.offset is Offset.CLOSE_TODAY else held.history)[side]
        frozen = sum(
            order.left
            for order in self.orders.values()
            if order.state is OrderState.WORKING
            and (order.request.symbol, order.request.offset, order.request.side) == (request.symbol, request.offset, request.side)
            and order.request is not request
        )
        return request.lots <= free - frozen

    # --- the market -----------------------------------------------------------------------------------------------------
    def move(self, symbol: str) -> None:
        """A tick: the price walks, resting orders trade by chance."""
        chance = self._world.chance
        self.prices[symbol] = self.prices.get(symbol, 3000) + chance.choice((-1, 0, 0, 1))
        for order in list(self.orders.values()):
            if order.request.symbol == symbol and order.state is OrderState.WORKING and chance.random() < order.hazard:
                self._trade(order, chance.randint(1, order.left))
                self.says(order.shown(), None)

    def _trade(self, order: VenueOrder, lots: int) -> None:
        if not lots:
            return
        request = order.request
        order.left -= lots
        order.fills += 1
        if order.left == 0:
            order.state = OrderState.FILLED
        fill = BrokerFill(
            client_order_id=request.client_order_id,
            trade_id=f"{order.number}-{order.fills}",
            symbol=request.symbol,
            side=request.side,
            offset=request.offset,
            lots=lots,
            price=request.limit_price,
            ts_ns=self._world.clock.true_ns,
        )
        self.fills.append(fill)
        held = self.held.setdefault(request.symbol, _Held())
        if request.offset is Offset.OPEN:
            held.today[request.side] += lots
        else:
            (held.today if request.offset is Offset.CLOSE_TODAY else held.history)[Side(-request.side)] -= lots
        self.balance -= 0.5 * lots
        self._world.note("venue fill", request.client_order_id, lots)
        self.says(order.shown(), fill)

    def begin_day(self, trading_day: str) -> None:
        """The next trading day: what rests is gone, today's lots are history."""
        self.trading_day = trading_day
        self.fills = []
        self.orders = {}
        for held in self.held.values():
            for side in Side:
                held.history[side] += held.today[side]
                held.today[side] = 0

    # --- what stands ----------------------------------------------------------------------------------------------------
    def net(self, symbol: str) -> int:
        """Signed lots."""
        held = self.held.get(symbol, _Held())
        return sum(int(side) * (held.today[side] + held.history[side]) for side in Side)

    def working(self, symbol: str) -> tuple[int, int]:
        """(buy, sell) lots that rest."""
        lots = {Side.BUY: 0, Side.SELL: 0}
        for order in self.orders.values():
            if order.request.symbol == symbol and order.state is OrderState.WORKING:
                lots[order.request.side] += order.left
        return lots[Side.BUY], lots[Side.SELL]

    def funds(self, *, unknown: bool = False) -> AccountFunds:
        """Money; NaN when the broker has lost its mind."""
        balance = math.nan if unknown else self.balance
        return AccountFunds(balance=balance, available=balance, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)

    def snapshot(self, forgotten: frozenset[str] = frozenset()) -> VenueSnapshot:
        """The whole account, but for orders that the venue has forgotten for the moment."""
        positions = []
        for symbol, held in sorted(self.held.items()):
            position = BrokerPosition(
                symbol=symbol,
                long_today=held.today[Side.BUY],
                long_history=held.history[Side.BUY],
                short_today=held.today[Side.SELL],
                short_history=held.history[Side.SELL],
            )
            if position.lots:
                positions.append(position)
        return VenueSnapshot(
            orders=tuple(order.shown() for name, order in self.orders.items() if name not in forgotten),
            fills=tuple(self.fills),
            positions=tuple(positions),
            funds=self.funds(),
            trading_day=self.trading_day,
        )
