"""Laws of the executor under a venue that accepts, trades, refuses, forgets and answers late, and a gate that refuses at will."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, market, update
from ghtrader.trading.execution import (
    EXECUTOR_STEPS,
    CancelWorking,
    Done,
    ExecPhase,
    ExecSignal,
    ExecutorState,
    ExecView,
    OrderDone,
    Place,
    PlaceRefused,
    Stop,
    TargetChanged,
    Tick,
    Timer,
    step_executor,
)
from ghtrader.trading.execution.goals import Event
from ghtrader.trading.orders import OrderBook, OrderRecord, PositionLedger

WORDS = (
    "target",
    "tick",
    "closed_tick",
    "timer",
    "stop",
    "accept",
    "trade",
    "trade_all",
    "cancel",
    "reject",
    "lose",
    "doubt",
    "refuse",
    "foreign",
)
STYLES = st.builds(
    ExecutionStyle,
    style=st.sampled_from(Style),
    patience_ns=st.sampled_from([0, 3, 10]),
    duration_ns=st.sampled_from([0, 7, 30]),
    slices=st.sampled_from([1, 2, 5]),
)


class World:
    """A book, a ledger, one executor, and a venue that is the test's."""

    def __init__(self, long_today: int, long_history: int, short: int, most_lots: int) -> None:
        self.book, self.ledger = OrderBook(), PositionLedger(DAY)
        self.ledger.take_over(held(long_today=long_today, long_history=long_history, short_history=short))
        self.state, self.now, self.count, self.most_lots = ExecutorState(symbol=SYMBOL), 100, 0, most_lots
        self.market = market()
        self.refuses = False
        self.goal: int | None = None
        self.cancels: Counter[str] = Counter()
        self.done: list[Done] = []

    def view(self) -> ExecView:
        working = self.book.working(SYMBOL)
        return ExecView(
            held=self.ledger.position(SYMBOL, working),
            working=working,
            market=self.market,
            now_ns=self.now,
            most_lots=self.most_lots,
        )

    def give(self, event: Event) -> None:
        if isinstance(event, TargetChanged):
            self.goal = None if event.execution.style is Style.STOP else event.lots
        if isinstance(event, Stop):
            self.goal = None
        before = self.view()
        self.state, effects = step_executor(self.state, event, before)
        for effect in effects:
            if isinstance(effect, Place):
                assert isinstance(event, TargetChanged | Tick), "an order is decided on a tick"
                self.placed(effect, before)
            elif isinstance(effect, CancelWorking):
                self.cancelled(effect.client_order_id)
            else:
                self.done.append(effect)
                assert self.goal is None or effect.missing == self.goal - self.ledger.net(SYMBOL)
        assert sum(isinstance(effect, Place) for effect in effects) <= 1
        self.consistent()

    def placed(self, effect: Place, view: ExecView) -> None:
        wanted = effect.intent
        assert view.working == (), "nothing is in flight when an order is placed"
        assert self.goal is not None
        missing = self.goal - view.position
        assert wanted.side * missing > 0
        assert 0 < wanted.lots <= abs(missing), "never past the target"
        assert not self.most_lots or wanted.lots <= self.most_lots
        there = view.held
        closes = there.long_today + there.long_history if wanted.side is Side.SELL else there.short_today + there.short_history
        if wanted.offset is Offset.OPEN:
            assert closes == 0, "closing comes first"
        else:
            assert wanted.lots <= closes
        assert view.market is not None
        assert view.market.continuous
        if self.refuses:
            self.give(PlaceRefused(reason="test"))
            return
        self.count += 1
        self.book.add(f"o{self.count}", wanted, trading_day=DAY, ts_ns=self.now)
        self.book.mark_sent(f"o{self.count}", self.now)

    def cancelled(self, identity: str) -> None:
        order = self.book.get(identity)
        assert order is not None
        assert not order.adopted
        assert not order.is_settled
        assert order.intent.kind is OrderKind.GFD
        self.cancels[identity] += 1
        assert self.cancels[identity] <= 2, "once, and once more when it is acknowledged late"
        self.book.ask_cancel(identity, self.now)

    def consistent(self) -> None:
        state = self.state
        assert len([order for order in self.book.working(SYMBOL) if not order.adopted]) <= 1
        assert (state.phase is ExecPhase.READY) <= (state.goal is not None)
        assert (state.phase is ExecPhase.IDLE) <= (state.goal is None and state.wake_ns == 0)
        if state.wake_ns:
            assert state.phase is ExecPhase.PLACED

    # --- the venue ------------------------------------------------------------------------------------------------------
    @property
    def order(self) -> OrderRecord | None:
        return next((order for order in self.book.working(SYMBOL) if not order.adopted), None)

    def say(self, order: OrderRecord, state: OrderState, left: int) -> None:
        change = self.book.apply_update(update(order.client_order_id, state, left, of=order.intent, number="n"), self.now)
        if change.settled and change.order is not None:
            self.ended(change.order)

    def trade(self, order: OrderRecord, lots: int) -> None:
        wanted = order.intent
        trade = fill(order.client_order_id, f"t{order.filled}", lots, side=wanted.side, offset=wanted.offset)
        change = self.book.apply_fill(trade, self.now)
        assert change.changed
        self.ledger.apply_fill(trade)
        if change.settled and change.order is not None:
            self.ended(change.order)

    def ended(self, order: OrderRecord) -> None:
        self.give(OrderDone(client_order_id=order.client_order_id, phase=order.phase, filled=order.filled))

    def do(self, word: str, lots: int, execution: ExecutionStyle) -> None:
        self.now += 1
        order = self.order
        if word == "target":
            self.give(TargetChanged(lots=lots, execution=execution))
        elif word in ("tick", "closed_tick"):
            self.market = market(3000 + lots, 3001 + lots, ts_ns=self.now, continuous=word == "tick")
            self.give(Tick())
        elif word == "timer":
            self.now += 3
            self.give(Timer())
        elif word == "stop":
            self.give(Stop())
        elif word == "refuse":
            self.refuses = not self.refuses
        elif word == "foreign" and self.book.get("foreign") is None:
            self.book.add("foreign", intent(), trading_day=DAY, ts_ns=self.now, adopted=True)
        elif order is not None:
            self.answer(word, order)

    def answer(self, word: str, order: OrderRecord) -> None:
        left = order.lots - order.filled
        if word == "accept":
            self.say(order, OrderState.WORKING, left)
        elif word == "trade":
            self.trade(order, 1)
        elif word == "trade_all":
            self.trade(order, left)
        elif word == "cancel":
            self.say(order, OrderState.CANCELLED, left)
        elif word in ("reject", "lose") and not order.acked:
            self.say(order, OrderState.REJECTED if word == "reject" else OrderState.LOST, left)
        elif word == "doubt":
            self.say(order, OrderState.UNKNOWN, left)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(WORDS), st.integers(-3, 3), STYLES), max_size=30),
    start=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    most_lots=st.sampled_from([0, 1, 2]),
)
def test_one_order_at_a_time_never_past_the_target_and_every_goal_comes_to_an_end(
    steps: list[tuple[str, int, ExecutionStyle]], start: tuple[int, int, int], most_lots: int
) -> None:
    world = World(*start, most_lots)
    for word, lots, execution in steps:
        world.do(word, lots, execution)
    # the venue becomes kind: what is in flight trades, the market is open, the gate lets orders pass
    world.refuses = False
    if world.book.get("foreign") is not None:
        world.book.submit_failed("foreign", never_sent=True, ts_ns=world.now)
    for _ in range(60):
        if world.state.phase is ExecPhase.IDLE:
            break
        world.now += 10**9
        world.do("tick", 0, ExecutionStyle())
        if world.order is not None:
            world.do("trade_all", 0, ExecutionStyle())
    assert world.state.phase is ExecPhase.IDLE
    assert world.book.working(SYMBOL) == ()
    assert world.goal is None or world.done[-1].missing == world.goal - world.ledger.net(SYMBOL)


def test_the_table_of_the_executor_is_the_one_that_was_meant() -> None:
    meant = {
        "idle": {"wish": "ready"},
        "ready": {"wish": "ready", "place": "placed", "done": "idle"},
        "placed": {"wish": "placed", "ask_cancel": "cancelling", "ended": "ready"},
        "cancelling": {"wish": "cancelling", "ask_cancel": "cancelling", "ended": "ready"},
    }
    assert {
        (ExecPhase(at), ExecSignal(event)): ExecPhase(to) for at, row in meant.items() for event, to in row.items()
    } == EXECUTOR_STEPS
