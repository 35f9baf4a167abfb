"""What each style does, step by step."""

from __future__ import annotations

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.ports.broker import BrokerPosition, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, market, update
from ghtrader.trading.execution import (
    CancelWorking,
    Done,
    ExecPhase,
    ExecutorState,
    ExecView,
    OrderDone,
    Place,
    TargetChanged,
    Tick,
    Timer,
    step_executor,
)
from ghtrader.trading.execution.goals import Effect, Event
from ghtrader.trading.orders import OrderBook, PositionLedger
from ghtrader.trading.words import MarketView

PATIENCE = 10


class Desk:
    """A book, a ledger and one executor; the venue is the test."""

    def __init__(self, position: BrokerPosition | None = None, *, most_lots: int = 0) -> None:
        self.book, self.ledger = OrderBook(), PositionLedger(DAY)
        if position is not None:
            self.ledger.take_over(position)
        self.state = ExecutorState(symbol=SYMBOL)
        self.market: MarketView | None = market()
        self.now, self.count, self.most_lots = 100, 0, most_lots

    def view(self) -> ExecView:
        working = self.book.working(SYMBOL)
        return ExecView(
            held=self.ledger.position(SYMBOL, working),
            working=working,
            market=self.market,
            now_ns=self.now,
            most_lots=self.most_lots,
        )

    def give(self, event: Event) -> list[str]:
        """What the executor asks for, in short words; what it places is sent."""
        self.state, effects = step_executor(self.state, event, self.view())
        return [self.word(effect) for effect in effects]

    def word(self, effect: Effect) -> str:
        if isinstance(effect, CancelWorking):
            self.book.ask_cancel(effect.client_order_id, self.now)
            return f"cancel {effect.client_order_id}"
        if isinstance(effect, Done):
            return f"{effect.reason.value} {effect.missing}"
        assert isinstance(effect, Place)
        wanted = effect.intent
        self.count += 1
        self.book.add(f"o{self.count}", wanted, trading_day=DAY, ts_ns=self.now)
        self.book.mark_sent(f"o{self.count}", self.now)
        return f"{wanted.kind.name} {wanted.side.name} {wanted.offset.value} {wanted.lots}@{wanted.price_ticks}"

    def target(self, lots: int, style: Style, patience: int = PATIENCE, duration: int = 0, slices: int = 1) -> list[str]:
        execution = ExecutionStyle(style=style, patience_ns=patience, duration_ns=duration, slices=slices)
        return self.give(TargetChanged(lots=lots, execution=execution))

    def tick(self, bid: int | None = 3000, ask: int | None = 3001, *, after: int = 1, continuous: bool = True) -> list[str]:
        self.now += after
        self.market = market(bid, ask, ts_ns=self.now, continuous=continuous)
        return self.give(Tick())

    def venue(self, state: str, left: int, *, traded: int = 0) -> list[str]:
        """The venue's word about the newest order, its trades first."""
        identity = f"o{self.count}"
        record = self.book.get(identity)
        assert record is not None
        settled = False
        if traded:
            trade = fill(identity, f"{identity}-{record.filled}", traded, side=record.side, offset=record.intent.offset)
            change = self.book.apply_fill(trade, self.now)
            assert change.changed
            settled = change.settled
            self.ledger.apply_fill(trade)
        change = self.book.apply_update(update(identity, OrderState(state), left, of=record.intent), self.now)
        assert change.order is not None
        if not (settled or change.settled):
            return []
        return self.give(OrderDone(client_order_id=identity, phase=change.order.phase, filled=change.order.filled))


def test_a_taker_sends_one_fak_at_the_touch_and_is_done_with_what_it_got() -> None:
    desk = Desk()
    assert desk.target(3, Style.TAKER) == ["FAK BUY open 3@3001"]
    assert desk.target(3, Style.TAKER) == []
    assert desk.venue("cancelled", 1, traded=2) == ["given_up 1"]
    assert desk.state.phase is ExecPhase.IDLE
    assert desk.tick() == []
    assert desk.target(3, Style.TAKER) == ["FAK BUY open 1@3001"]
    assert desk.venue("filled", 0, traded=1) == ["reached 0"]


def test_a_passive_order_joins_its_own_touch_and_is_cancelled_when_patience_is_over() -> None:
    desk = Desk()
    assert desk.target(2, Style.PASSIVE) == ["GFD BUY open 2@3000"]
    assert desk.state.wake_ns == 100 + PATIENCE
    assert desk.venue("working", 2) == []
    assert desk.tick(after=PATIENCE - 1) == []
    desk.now += 1
    assert desk.give(Timer()) == ["cancel o1"]
    assert (desk.give(Timer()), desk.state.wake_ns) == ([], 0)
    assert desk.venue("cancelled", 1, traded=1) == ["given_up 1"]
