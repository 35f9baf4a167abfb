"""Laws of reconciliation: one true answer of the venue balances whatever was missed or told wrongly before; doing it twice is doing it once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, update
from ghtrader.trading.orders import OrderBook, PositionLedger
from ghtrader.trading.reconcile import (
    LOST_AFTER_NS,
    ActionKind,
    CaseName,
    Reconciliation,
    VenueSnapshot,
    apply_reconciliation,
    reconcile,
)
from ghtrader.trading.words import OrderIntent

FUNDS = AccountFunds(balance=1e5, available=9e4, margin=1e4, commission=0.0, close_profit=0.0, position_profit=0.0)
SYMBOLS = (SYMBOL, "SHFE.hc2510")
NOW = 10 * LOST_AFTER_NS
OUTSIDE = (ActionKind.CANCEL_AGAIN, ActionKind.WAIT, ActionKind.REFUSE, ActionKind.NONE)


@dataclass
class TrueOrder:
    """An order as it really is; ``said`` is what the venue told of it so far, in order."""

    name: str
    wanted: OrderIntent
    ours: bool
    arrived: bool = True
    left: int = 0
    end: OrderState | None = None
    said: list[BrokerOrder | BrokerFill] = field(default_factory=list)
    fills: list[BrokerFill] = field(default_factory=list)

    @property
    def state(self) -> BrokerOrder:
        return update(self.name, self.end or OrderState.WORKING, self.left, of=self.wanted, number=f"n{self.name}")

    @property
    def in_flight(self) -> int:
        return self.left if self.arrived and self.end is None else 0


@st.composite
def true_orders(draw: st.DrawFn, name: str) -> TrueOrder:
    lots, side = draw(st.integers(1, 5)), draw(st.sampled_from(Side))
    offset = draw(st.sampled_from(Offset))
    wanted = intent(side, lots, offset=offset, symbol=draw(st.sampled_from(SYMBOLS)))
    order = TrueOrder(name, wanted, ours=draw(st.booleans()), left=lots)
    if order.ours and draw(st.integers(0, 4)) == 0:
        order.arrived = False
        return order
    order.said.append(order.state)
    for number in range(draw(st.integers(0, 3))):
        count = min(order.left, draw(st.integers(1, 3)))
        if count:
            order.left -= count
            trade = fill(name, f"{name}.{number}", count, side=side, offset=offset, symbol=wanted.symbol)
            order.fills.append(trade)
            order.said.append(trade)
            if order.left:
                order.said.append(order.state)
    if order.left == 0:
        order.end = OrderState.FILLED
    elif draw(st.booleans()):
        order.end = OrderState.REJECTED if order.left == lots and draw(st.booleans()) else OrderState.CANCELLED
    if order.end is not None:
        order.said.append(order.state)
    return order


class World:
    """The truth, and a book and ledger that heard a part of it."""

    def __init__(self, orders: list[TrueOrder], base: list[BrokerPosition]) -> None:
        self.orders = orders
        self.truth, self.ledger, self.book = PositionLedger(DAY), PositionLedger(DAY), OrderBook()
        for ledger in (self.truth, self.ledger):
            for position in base:
                ledger.take_over(position)
        self.ledger.based = True
        for order in orders:
            for trade in order.fills:
                self.truth.apply_fill(trade)
            if order.ours:
                self.book.add(order.name, order.wanted, trading_day=DAY, ts_ns=1)

    def hear(self, word: BrokerOrder | BrokerFill) -> None:
        if isinstance(word, BrokerOrder):
            self.book.apply_update(word, 5)
        elif self.book.apply_fill(word, 5).changed:
            self.ledger.apply_fill(word)

    @property
    def snapshot(self) -> VenueSnapshot:
        listed = [order for order in self.orders if order.arrived]
        return VenueSnapshot(
            orders=tuple(order.state for order in listed),
            fills=tuple(trade for order in listed for trade in order.fills),
            positions=tuple(self.truth.position(symbol) for symbol in self.truth.symbols()),
            funds=FUNDS,
            trading_day=DAY,
        )

    def reconcile(self, snapshot: VenueSnapshot) -> Reconciliation:
        outcome = reconcile(self.book, self.ledger, snapshot, now_ns=NOW)
        before = self.book.to_document(), self.ledger.to_document()
        again = reconcile(self.book, self.ledger, snapshot, now_ns=NOW)
        assert again == outcome
        assert (self.book.to_document(), self.ledger.to_document()) == before, "comparing changes nothing"
        apply_reconciliation(outcome, self.book, self.ledger, NOW)
        done = self.book.to_document(), self.ledger.to_document()
        apply_reconciliation(outcome, self.book, self.ledger, NOW)
        assert (self.book.to_document(), self.ledger.to_document()) == done, "doing it twice is doing it once"
        return outcome


def some(data: st.DataObject, values: tuple) -> tuple:
    return tuple(value for value in values if data.draw(st.integers(0, 3)))


def lie(data: st.DataObject, world: World) -> VenueSnapshot:
    """An answer that leaves things out and tells old states of others."""
    true = world.snapshot
    told = [[word for word in order.said if isinstance(word, BrokerOrder)] for order in world.orders if order.arrived]
    orders = tuple(data.draw(st.sampled_from(words)) for words in told if words)
    return VenueSnapshot(
        orders=some(data, orders),
        fills=some(data, true.fills),
        positions=some(data, true.positions),
        funds=FUNDS,
        trading_day=DAY,
    )


#: Enough of everything that no close takes more than is held.
LOTS = st.tuples(*[st.integers(25, 30)] * 4)
BASE = st.tuples(LOTS, LOTS).map(
    lambda found: [
        held(symbol, long_today=lots[0], long_history=lots[1], short_today=lots[2], short_history=lots[3])
        for symbol, lots in zip(SYMBOLS, found, strict=True)
    ]
)


@settings(max_examples=250, deadline=None)
@given(data=st.data(), count=st.integers(0, 5), base=BASE)
def test_two_true_answers_balance_whatever_was_missed_or_told_wrongly_before(data: st.DataObject, count: int, base: list) -> None:
    world = World([data.draw(true_orders(f"o{number}")) for number in range(count)], base)
    for order in world.orders:
        if not order.ours:
            continue
        if data.draw(st.booleans()) or order.said:
            world.book.mark_sent(order.name, 2)
        if data.draw(st.integers(0, 3)) == 0:
            world.book.ask_cancel(order.name, 3)
        for word in some(data, tuple(order.said)):
            world.hear(word)
    for _ in range(data.draw(st.integers(0, 2))):
        world.reconcile(lie(data, world))
        for order in world.orders:
            record = world.book.get(order.name)
            if record is not None and record.acked and not record.adopted:
                assert record.in_flight + record.filled >= order.in_flight + sum(trade.lots for trade in order.fills)
    outcome = world.reconcile(world.snapshot)
    assert {difference.case for difference in outcome.blocking} <= {CaseName.ORDER_UNLISTED}
    outcome = world.reconcile(world.snapshot)
    assert outcome.balanced, outcome.differences
    for symbol in SYMBOLS:
        assert world.ledger.position(symbol) == world.truth.position(symbol)
        flight = dict.fromkeys(Side, 0)
        for order in world.orders:
            if order.wanted.symbol == symbol:
                flight[order.wanted.side] += order.in_flight
        assert world.book.in_flight(symbol) == (flight[Side.BUY], flight[Side.SELL])
    for order in world.orders:
        record = world.book.get(order.name)
        assert record is not None
        assert record.filled == sum(trade.lots for trade in order.fills)
        assert record.is_settled == (order.in_flight == 0)
        assert record.lots == order.wanted.lots
    documents = world.book.to_document(), world.ledger.to_document()
    again = world.reconcile(world.snapshot)
    assert again.balanced
    assert [action for action in again.actions if action.kind not in OUTSIDE] == []
    assert (world.book.to_document(), world.ledger.to_document()) == documents
