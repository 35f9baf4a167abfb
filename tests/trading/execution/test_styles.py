"""What each style does, step by step."""

from __future__ import annotations

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.ports.broker import BrokerPosition, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, market, update
from ghtrader.trading.execution import (
    CancelWorking,
    Done,
    ExecPhase,
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


# --- one order a piece ------------------------------------------------------------------------------------------------------
def test_a_reversal_closes_history_then_today_then_opens_each_at_the_touch_of_its_tick() -> None:
    desk = Desk(held(short_today=1, short_history=2))
    assert desk.target(2, Style.TAKER) == ["FAK BUY close 2@3001"]
    assert desk.venue("filled", 0, traded=2) == []
    assert desk.tick(3004, 3005) == ["FAK BUY close_today 1@3005"]
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick(3005, 3006) == ["FAK BUY open 2@3006"]
    assert desk.venue("filled", 0, traded=2) == ["reached 0"]


def test_a_piece_that_ends_short_ends_a_taker() -> None:
    desk = Desk(held(short_today=2))
    assert desk.target(2, Style.TAKER) == ["FAK BUY close_today 2@3001"]
    assert desk.venue("cancelled", 1, traded=1) == ["given_up 3"]


def test_a_bound_on_the_lots_of_one_order_makes_more_of_them() -> None:
    desk = Desk(most_lots=2)
    assert desk.target(-5, Style.TAKER) == ["FAK SELL open 2@3000"]
    for expected in (["FAK SELL open 2@3000"], ["FAK SELL open 1@3000"]):
        assert desk.venue("filled", 0, traded=2) == []
        assert desk.tick() == expected
    assert desk.venue("filled", 0, traded=1) == ["reached 0"]


def test_lots_that_other_orders_freeze_are_not_closed() -> None:
    desk = Desk(held(long_today=2))
    frozen = desk.view()
    view = ExecView(
        held=held(long_today=2, long_today_frozen=2), working=(), market=frozen.market, now_ns=frozen.now_ns, most_lots=0
    )
    state, effects = step_executor(desk.state, TargetChanged(lots=0, execution=ExecutionStyle(style=Style.SWEEP)), view)
    assert (state.phase, [desk.word(effect) for effect in effects]) == (ExecPhase.IDLE, ["frozen -2"])


def test_a_target_that_is_held_already_is_reached() -> None:
    desk = Desk(held(long_today=2))
    assert desk.target(2, Style.CHASE) == ["reached 0"]
    assert (desk.state.phase, desk.state.goal) == (ExecPhase.IDLE, None)


# --- prices -----------------------------------------------------------------------------------------------------------------
def test_a_sweep_goes_to_the_price_limit_or_twenty_ticks_through() -> None:
    for lots, limits, expected in (
        (1, {}, "FAK BUY open 1@3021"),
        (-1, {}, "FAK SELL open 1@2980"),
        (1, {"upper": 3200, "lower": 2800}, "FAK BUY open 1@3200"),
        (-1, {"upper": 3200, "lower": 2800}, "FAK SELL open 1@2800"),
    ):
        desk = Desk()
        desk.market = market(**limits)
        assert desk.target(lots, Style.SWEEP) == [expected]
        assert desk.venue("cancelled", 1) == [f"given_up {lots}"]


def test_where_there_is_no_price_a_taker_and_a_passive_order_are_given_up_and_the_others_wait() -> None:
    closed, one_sided = market(continuous=False), market(None, 3001)
    for style, seen, lots in (
        (Style.TAKER, closed, 1),
        (Style.PASSIVE, closed, 1),
        (Style.TAKER, one_sided, -1),
        (Style.PASSIVE, one_sided, 1),
        (Style.TAKER, None, 1),
    ):
        desk = Desk()
        desk.market = seen
        assert desk.target(lots, style) == [f"not_tradable {lots}"]
    for style, lots, expected in (
        (Style.SWEEP, -1, "FAK SELL open 1@2980"),
        (Style.CHASE, 1, "GFD BUY open 1@3000"),
        (Style.TWAP, -1, "FAK SELL open 1@3000"),
    ):
        desk = Desk()
        desk.market = one_sided
        assert desk.target(lots, style) == []
        assert desk.tick(continuous=False) == []
        assert desk.state.phase is ExecPhase.READY
        assert desk.tick() == [expected]
    desk = Desk()
    desk.market = one_sided
    assert desk.target(1, Style.TAKER) == ["FAK BUY open 1@3001"]


# --- a new target -----------------------------------------------------------------------------------------------------------
def test_a_new_target_cancels_what_works_and_starts_from_what_was_filled() -> None:
    desk = Desk()
    desk.target(3, Style.PASSIVE)
    desk.venue("working", 3)
    assert desk.target(-1, Style.TAKER) == ["cancel o1"]
    assert desk.tick() == []
    assert desk.venue("cancelled", 2, traded=1) == []
    assert desk.tick(3007, 3008) == ["FAK SELL close_today 1@3007"]
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick() == ["FAK SELL open 1@3000"]


def test_a_cancel_for_a_new_target_waits_until_the_venue_has_the_order() -> None:
    desk = Desk()
    desk.target(3, Style.PASSIVE)
    assert desk.target(0, Style.PASSIVE) == []
    assert desk.tick() == []
    desk.venue("working", 3)
    assert desk.tick() == ["cancel o1"]
    assert desk.venue("cancelled", 3) == ["reached 0"]


def test_the_patience_of_the_old_order_ends_it_all_the_same_and_the_cancel_is_sent_again_when_it_is_acknowledged() -> None:
    desk = Desk()
    desk.target(3, Style.PASSIVE)
    assert desk.target(0, Style.STOP) == []
    assert desk.state.wake_ns == 100 + PATIENCE
    desk.now += PATIENCE
    assert desk.give(Timer()) == ["cancel o1"]
    assert desk.tick() == []
    desk.venue("working", 3)
    assert desk.tick() == ["cancel o1"]
    assert desk.tick() == []
    assert desk.venue("cancelled", 1, traded=2) == ["stopped 0"]


def test_an_order_that_is_unknown_is_cancelled_without_an_acknowledgement() -> None:
    desk = Desk()
    desk.target(3, Style.PASSIVE)
    desk.venue("unknown", 3)
    assert desk.target(0, Style.STOP) == ["cancel o1"]


def test_an_immediate_order_is_waited_for_and_never_cancelled() -> None:
    desk = Desk()
    desk.target(3, Style.TAKER)
    desk.venue("working", 3)
    assert desk.target(-1, Style.PASSIVE) == []
    assert desk.give(Stop()) == []
    assert desk.target(-1, Style.PASSIVE) == []
    assert desk.tick() == []
    assert desk.venue("cancelled", 3) == []
    assert desk.tick() == ["GFD SELL open 1@3001"]


def test_the_same_target_while_a_passive_order_is_being_cancelled_is_a_new_wish() -> None:
    desk = Desk()
    desk.target(1, Style.PASSIVE)
    desk.venue("working", 1)
    desk.now += PATIENCE
    assert desk.give(Tick()) == ["cancel o1"]
    assert desk.target(1, Style.PASSIVE) == []
    assert desk.venue("cancelled", 1) == []
    assert desk.tick() == ["GFD BUY open 1@3000"]


def test_stop_cancels_at_once_and_a_target_to_stop_keeps_what_is_held() -> None:
    desk = Desk()
    assert desk.target(0, Style.STOP) == []
    assert desk.state.phase is ExecPhase.IDLE
    desk.target(2, Style.PASSIVE)
    assert desk.give(Stop()) == ["cancel o1"]
    assert desk.venue("cancelled", 1, traded=1) == ["stopped 0"]
    desk.target(5, Style.PASSIVE)
    desk.venue("working", 4)
    assert desk.target(0, Style.STOP) == ["cancel o2"]
    assert desk.venue("cancelled", 4) == ["stopped 0"]
    assert desk.ledger.net(SYMBOL) == 1
    desk.market = market(continuous=False)
    desk.target(3, Style.CHASE)
    assert desk.give(Stop()) == ["stopped 2"]


# --- blocked ----------------------------------------------------------------------------------------------------------------
def test_what_is_not_ours_or_still_awaits_trades_blocks_the_next_order() -> None:
    desk = Desk()
    desk.book.add("theirs", intent(), trading_day=DAY, ts_ns=1, adopted=True)
    assert desk.target(1, Style.CHASE) == []
    assert desk.tick() == []
    desk.book.submit_failed("theirs", never_sent=True, ts_ns=2)
    assert desk.tick() == ["GFD BUY open 1@3000"]
    desk.venue("filled", 0)  # the trade is still on its way
    assert desk.target(3, Style.TAKER) == []
    assert desk.tick() == []
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick() == ["FAK BUY open 2@3001"]


def test_an_end_that_nobody_told_is_seen_in_the_view() -> None:
    desk = Desk()
    desk.target(2, Style.CHASE)
    desk.venue("working", 2)
    desk.tick()
    desk.book.apply_update(update("o1", OrderState.CANCELLED, 2, of=desk.book.orders()[0].intent), desk.now)
    assert desk.tick() == ["GFD BUY open 2@3000"]


# --- chase ------------------------------------------------------------------------------------------------------------------
def test_a_chase_follows_the_touch_and_crosses_when_its_patience_ends() -> None:
    desk = Desk()
    assert desk.target(2, Style.CHASE, patience=100) == ["GFD BUY open 2@3000"]
    assert desk.state.wake_ns == 200
    assert desk.tick(3001, 3002) == []  # not acknowledged yet
    desk.venue("working", 2)
    assert desk.tick(2999, 3000) == []
    assert desk.tick(3001, 3002, continuous=False) == []
    assert desk.tick(3001, 3002) == ["cancel o1"]
    assert desk.venue("cancelled", 1, traded=1) == []
    assert desk.tick(3002, 3003) == ["GFD BUY open 1@3002"]
    assert desk.state.wake_ns == 200
    desk.venue("working", 1)
    assert desk.target(2, Style.CHASE, patience=100) == []
    desk.now = 200
    assert desk.give(Timer()) == ["cancel o2"]
    assert desk.venue("cancelled", 1) == []
    assert desk.tick(3002, 3003) == ["FAK BUY open 1@3003"]
    assert desk.venue("cancelled", 1) == []
    assert desk.tick(3003, 3004) == ["FAK BUY open 1@3004"]
    assert desk.venue("filled", 0, traded=1) == ["reached 0"]


def test_a_chasing_seller_follows_the_ask_down() -> None:
    desk = Desk()
    assert desk.target(-1, Style.CHASE, patience=100) == ["GFD SELL open 1@3001"]
    desk.venue("working", 1)
    assert desk.tick(3001, 3002) == []
    assert desk.tick(2999, 3000) == ["cancel o1"]


def test_a_refused_order_of_a_chase_is_tried_again_after_a_second_three_times_in_all() -> None:
    desk = Desk()
    for number, done in enumerate(([], [], ["refused 1"])):
        placed = desk.target(1, Style.CHASE, patience=10**12) if number == 0 else desk.tick(after=1)
        assert placed == ["GFD BUY open 1@3000"]
        assert (desk.give(PlaceRefused(reason="rate")), desk.state.wake_ns) == (done, 0)
        desk.book = OrderBook()
        assert desk.tick(after=10**9 - 1) == []
    assert desk.state.phase is ExecPhase.IDLE
    desk = Desk()
    desk.target(1, Style.CHASE, patience=10**12)
    for _ in range(2):
        assert desk.venue("rejected", 1) == []
        desk.tick(after=10**9)
    desk.venue("working", 1)
    desk.tick(3001, 3002)
    assert desk.venue("cancelled", 1) == []  # an order that worked: the count begins anew
    for done in ([], [], ["rejected 1"]):
        assert desk.tick(after=10**9) == ["GFD BUY open 1@3000"]
        assert desk.venue("rejected", 1) == done


def test_a_refused_order_ends_a_taker() -> None:
    desk = Desk()
    desk.target(1, Style.TAKER)
    assert desk.give(PlaceRefused(reason="rate")) == ["refused 1"]
    assert desk.give(PlaceRefused(reason="rate")) == []
    desk = Desk()
    desk.target(1, Style.PASSIVE)
    assert desk.venue("rejected", 1) == ["rejected 1"]


# --- twap -------------------------------------------------------------------------------------------------------------------
def test_a_twap_sends_an_order_a_slice_and_takes_the_rest_at_its_end() -> None:
    desk = Desk()
    assert desk.target(5, Style.TWAP, patience=20, duration=90, slices=3) == ["GFD BUY open 1@3000"]
    assert desk.state.wake_ns == 120
    desk.venue("working", 1)
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick(after=1) == []  # this slice has what it wanted
    assert desk.tick(after=29) == ["GFD BUY open 2@3000"]  # 130: 3 of 5
    assert desk.state.wake_ns == 150
    desk.venue("working", 2)
    assert desk.tick(after=20) == ["cancel o2"]
    assert desk.venue("cancelled", 1, traded=1) == []
    assert desk.tick(after=1) == []  # one order a slice
    assert desk.tick(after=9) == ["GFD BUY open 3@3000"]  # 160: 5 of 5
    assert desk.state.wake_ns == 180
    desk.venue("working", 3)
    desk.now = 180
    assert desk.give(Timer()) == ["cancel o3"]
    assert desk.venue("cancelled", 3) == []
    assert desk.tick(after=9) == []
    assert desk.tick(after=1) == ["FAK BUY open 3@3001"]  # 190: the end
    assert desk.venue("cancelled", 1, traded=2) == ["given_up 1"]


def test_a_slice_ends_with_the_next_one_at_the_latest_and_may_take_several_orders() -> None:
    desk = Desk(held(long_today=1, long_history=1))
    assert desk.target(-2, Style.TWAP, patience=1000, duration=100, slices=2) == ["GFD SELL close 1@3001"]
    assert desk.state.wake_ns == 150
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick() == ["GFD SELL close_today 1@3001"]
    assert desk.venue("filled", 0, traded=1) == []
    assert desk.tick() == []
    assert desk.tick(after=48) == ["GFD SELL open 2@3001"]
    assert desk.state.wake_ns == 200


def test_a_refused_slice_is_tried_again_within_it() -> None:
    desk = Desk()
    assert desk.target(2, Style.TWAP, duration=10**12, slices=2) == ["GFD BUY open 1@3000"]
    assert desk.venue("rejected", 1) == []
    assert desk.tick(after=10**9 - 1) == []
    assert desk.tick(after=1) == ["GFD BUY open 1@3000"]


def test_what_is_ahead_of_its_slice_waits() -> None:
    desk = Desk()
    desk.target(4, Style.TWAP, duration=100, slices=2)
    desk.venue("filled", 0, traded=2)
    desk.ledger.apply_fill(fill("x", "x", 1))
    assert desk.tick() == []
    desk.ledger.apply_fill(fill("x", "y", 3))
    assert desk.tick(after=50) == []  # beyond the target of the slice: a twap never turns round before its end
    assert desk.tick(after=50) == ["FAK SELL close_today 2@3000"]
