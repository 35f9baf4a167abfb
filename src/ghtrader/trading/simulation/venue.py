"""The venue of the simulation: it takes orders, fills them by chance, and keeps the log by which everybody is judged.

It also lies: what it says of an order may be wrong for a while (`VenueOrder.said`), or for one answer (`simulation.lies`). What it
never does is to make a position that nobody could know of: an opening order that it calls ended does not trade any more.
"""

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
    """An order as the venue has it. said: the state that it is called where that is another one than the true one."""

    request: OrderRequest
    number: int
    left: int
    state: OrderState = OrderState.WORKING
    fills: int = 0
    hazard: float = 0.15
    said: OrderState | None = None

    def shown(self) -> BrokerOrder:
        """The broker's word."""
        state = self.said or self.state
        return BrokerOrder(request=self.request, state=state, left=self.left, exchange_order_id=f"{self.number:08d}")


@dataclass
class _Held:
    """Lots of a contract by side: today's and history's."""

    today: dict[Side, int] = field(default_factory=lambda: {Side.BUY: 0, Side.SELL: 0})
    history: dict[Side, int] = field(default_factory=lambda: {Side.BUY: 0, Side.SELL: 0})


Listener = Callable[[BrokerOrder, BrokerFill | None], None]


def _nobody(order: BrokerOrder, fill: BrokerFill | None) -> None:
    del order, fill


class SimVenue:
    """One account at one exchange. is_open: whether orders of a contract are taken now.

    ``says`` hears every change: the order as it stands, and the trade that changed it.
    """

    def __init__(self, world: World, is_open: Callable[[str], bool], trading_day: str) -> None:
        self._world, self.is_open = world, is_open
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
        order = self._book(request)
        faults, chance = self._world.faults, self._world.chance
        order.hazard = chance.choice((0.15, 0.05, 0.0))
        rejects = faults.hits("venue rejects", 0.03)
        if not self.is_open(request.symbol) or not self._can_close(request):
            order.state = OrderState.REJECTED
        elif rejects:
            self._reject(order)
        elif request.kind is not OrderKind.GFD:
            self._match_now(order, chance.choice((0, request.lots, request.lots, max(1, request.lots // 2))))
        self.says(order.shown(), None)

    def _book(self, request: OrderRequest) -> VenueOrder:
        self._number += 1
        order = self.orders[request.client_order_id] = VenueOrder(request, self._number, request.lots)
        return order

    def _reject(self, order: VenueOrder) -> None:
        """Refuse an order: at once, after it was acknowledged, or (one that closes) in words only, while it trades."""
        how = self._world.chance.random()
        if how < 0.3:
            self.says(order.shown(), None)
        order.state = OrderState.REJECTED
        if how > 0.6 and order.request.offset is not Offset.OPEN:
            self.says(order.shown(), None)
            order.state = OrderState.WORKING
            self._match_now(order, self._world.chance.randint(1, order.left))

    def _match_now(self, order: VenueOrder, lots: int) -> None:
        """Trade in one piece or two, and end the order; one that is full may be called cancelled all the same."""
        if lots > 1 and self._world.chance.random() < 0.5:
            self._trade(order, 1)
            lots -= 1
        self._trade(order, lots)
        if order.left:
            order.state = OrderState.CANCELLED
        elif self._world.faults.hits("full order called cancelled", 0.05):
            order.said = OrderState.CANCELLED

    def refuse_late(self, request: OrderRequest) -> None:
        """An order that came so late that the exchange does not take it any more: it never trades, whatever is said of it first."""
        if request.client_order_id in self.orders:
            return
        self._world.note("venue refuses late", request.client_order_id)
        order = self._book(request)
        how = self._world.chance.random()
        if how < 0.3:
            self.says(order.shown(), None)
        order.state = OrderState.REJECTED if how > 0.6 else OrderState.CANCELLED
        self.says(order.shown(), None)

    def cancel(self, identity: str) -> None:
        """Cancel what is left."""
        order = self.orders.get(identity)
        self._world.note("venue cancel", identity)
        if order is not None and order.state is OrderState.WORKING and self.is_open(order.request.symbol):
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

    def hold(self, symbol: str, lots: int) -> None:
        """Lots of an earlier day, signed: what the account held before anybody traded here."""
        self.held.setdefault(symbol, _Held()).history[Side.BUY if lots > 0 else Side.SELL] += abs(lots)

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
        held = self.held.get(symbol)
        if held is None:
            return 0
        today, history = held.today, held.history
        return today[Side.BUY] + history[Side.BUY] - today[Side.SELL] - history[Side.SELL]

    def is_busy(self, symbol: str) -> bool:
        """Whether lots are held, or orders rest."""
        return self.net(symbol) != 0 or any(self.working(symbol))

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

    def snapshot(self) -> VenueSnapshot:
        """The whole account, as it is."""
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
            orders=tuple(order.shown() for order in self.orders.values()),
            fills=tuple(self.fills),
            positions=tuple(positions),
            funds=self.funds(),
            trading_day=self.trading_day,
        )
