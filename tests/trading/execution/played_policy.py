"""The screening policies as targets, and executor, book, ledger and day venue driven row by row: who decides what, in that order.

The decisions are those of `sim.policy_kernel` and nothing else; every order comes from the executor. At a row first the timer rings, then
the venue deals with the row, then the executor sees the tick, then the policy sets its target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.core.orders import FillModel, OrderKind
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.ports.broker import OrderState
from ghtrader.sim.orders import Trades
from ghtrader.sim.venue import Arrival, DayVenue, VenueEvent, VenueEventKind
from ghtrader.testing.order_words import DAY, SYMBOL, fill, market, update
from ghtrader.trading.execution import (
    CancelWorking,
    ExecutorTable,
    ExecView,
    OrderDone,
    Place,
    TargetChanged,
    Tick,
    Timer,
)
from ghtrader.trading.execution.goals import Event
from ghtrader.trading.orders import OrderBook, PositionLedger

FLAT, ENTER, HOLD, LEAVE = range(4)
ENDS = {VenueEventKind.CANCELLED: OrderState.CANCELLED, VenueEventKind.REJECTED: OrderState.REJECTED}


@dataclass(frozen=True, kw_only=True)
class Spec:
    threshold: float = 0.5
    passive: bool = True
    lots: int = 1
    hold: int
    patience: int
    flat_before: int
    latency: int


@dataclass
class Desk:
    """Executor, book and ledger of one contract at a day venue; ``fills`` and ``counts`` as `run_day` gives them."""

    spec: Spec
    venue: DayVenue
    ticks: DayTicks
    live: np.ndarray
    table: ExecutorTable = field(default_factory=ExecutorTable)
    book: OrderBook = field(default_factory=OrderBook)
    ledger: PositionLedger = field(default_factory=lambda: PositionLedger(DAY))
    fills: list[tuple[int, int, bool, int, int, bool]] = field(default_factory=list)  # row, side, opens, price, lots, passive
    orders: int = 0
    cancels: int = 0
    rejects: int = 0
    now: int = 0
    row: int = 0

    def give(self, event: Event) -> None:
        working = self.book.working(SYMBOL)
        view = ExecView(held=self.ledger.position(SYMBOL, working), working=working, market=self.market(), now_ns=self.now)
        for effect in self.table.step(SYMBOL, event, view):
            if isinstance(effect, Place):
                self.send(effect)
            elif isinstance(effect, CancelWorking):
                self.book.ask_cancel(effect.client_order_id, self.now)
                assert self.venue.cancel(effect.client_order_id, self.now) == ()

    def market(self):  # type: ignore[no-untyped-def]
        ticks, row = self.ticks, self.row
        bid, ask = int(ticks.bid_px[row, 0]), int(ticks.ask_px[row, 0])
        price = {side: None if value == NO_PRICE else value for side, value in (("bid", bid), ("ask", ask))}
        return market(price["bid"], price["ask"], seq=row, ts_ns=int(ticks.ts_ns[row]))

    def send(self, effect: Place) -> None:
        wanted, self.orders = effect.intent, self.orders + 1
        name = f"o{self.orders}"
        self.book.add(name, wanted, trading_day=DAY, ts_ns=self.now)
        self.book.mark_sent(name, self.now)
        assert self.venue.submit(name, wanted.side, wanted.price_ticks, wanted.lots, wanted.kind, self.now) == ()

    def hear(self, events: tuple[VenueEvent, ...]) -> None:
        for event in events:
            order = self.book.get(event.order_id)
            assert order is not None
            wanted = order.intent
            if event.kind is VenueEventKind.FILL:
                opens, identity = wanted.offset.value == "open", event.order_id
                self.fills.append((event.row, int(wanted.side), opens, event.price, event.lots, event.passive))
                number = str(len(self.fills))
                trade = fill(identity, number, event.lots, side=wanted.side, offset=wanted.offset, price=float(event.price))
                change = self.book.apply_fill(trade, self.now)
                self.ledger.apply_fill(trade)
            else:
                state = ENDS.get(event.kind, OrderState.WORKING)
                change = self.book.apply_update(update(event.order_id, state, order.left, of=wanted, number="n"), self.now)
                self.cancels += state is OrderState.CANCELLED and wanted.kind is OrderKind.GFD
                self.rejects += state is OrderState.REJECTED
            assert change.changed
            if change.settled and change.order is not None:
                done = change.order
                self.give(OrderDone(client_order_id=event.order_id, phase=done.phase, filled=done.filled))

    def advance(self, row: int) -> None:
        """Timer, venue, tick: what a lockstep replay does before the strategy is asked."""
        stamp = int(self.ticks.ts_ns[row])
        for _ in self.table.due(stamp):
            self.now = self.table.wake_ns()
            self.give(Timer())
        self.now = stamp
        events = self.venue.on_row(row)
        if events:
            self.hear(events)
        self.row = row
        if self.table.get(SYMBOL) is not None:
            self.give(Tick())


def play(
    ticks: DayTicks, trades: Trades, part_end: np.ndarray, score: np.ndarray, spec: Spec, model: FillModel
) -> tuple[list[tuple[int, int, bool, int, int, bool]], tuple[int, int, int, int]]:
    """(fills, counts) of a day."""
    venue = DayVenue(ticks, model, latency_ns=spec.latency, rules=Arrival.SCREENING, trades=trades)
    desk = Desk(spec, venue, ticks, trades.live)
    rests = ExecutionStyle(style=Style.PASSIVE, patience_ns=spec.patience)
    enters = rests if spec.passive else ExecutionStyle(style=Style.TAKER)
    sweeps, stops = ExecutionStyle(style=Style.SWEEP), ExecutionStyle(style=Style.STOP)
    state, direction, entered, unfilled = FLAT, 0, 0, 0
    for row in range(len(ticks)):
        desk.advance(row)
        now, position = int(ticks.ts_ns[row]), desk.ledger.net(SYMBOL)
        has_order = bool(desk.book.working(SYMBOL))
        if not has_order and state == ENTER:
            unfilled += position == 0
            state, entered = (HOLD, now) if position else (FLAT, entered)
        elif not has_order and state == LEAVE:
            state = HOLD if position else FLAT
        if trades.live[row] != 1 or ticks.break_before[row]:
            continue
        left = int(part_end[row]) - now
        closing, opinion = left <= spec.flat_before, float(score[row])
        if has_order:
            if closing:
                desk.give(TargetChanged(lots=0, execution=stops))
        elif state == FLAT:
            if left > spec.flat_before + spec.hold and not math.isnan(opinion) and abs(opinion) >= spec.threshold:
                direction, state = (1 if opinion > 0 else -1), ENTER
                desk.give(TargetChanged(lots=direction * spec.lots, execution=enters))
        else:
            held = now - entered
            turned = opinion * direction <= -spec.threshold
            if held >= spec.hold or turned or closing:
                takes = not spec.passive or turned or closing or held >= spec.hold + spec.patience + spec.latency
                state = LEAVE
                desk.give(TargetChanged(lots=0, execution=sweeps if takes else rests))
    return desk.fills, (desk.orders, desk.cancels, unfilled, desk.rejects)
