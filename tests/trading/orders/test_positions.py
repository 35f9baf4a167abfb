"""Positions and money from trades: against the simulator's book, and that nothing but trades moves them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.instruments import FeeRule
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerPosition
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.positions import PositionBook
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent
from ghtrader.trading.orders import ContractTerms, DayMoney, OrderBook, PositionLedger, split_intents

FEE = FeeRule(open_rate=1e-4, open_cny=1.0, close_rate=2e-4, close_cny=0.5, close_today_rate=3e-4, close_today_cny=0.25)
TERMS = ContractTerms(multiplier=10.0, fee=FEE)
SOYA = "DCE.m2509"


def counts(position: BrokerPosition) -> tuple[int, int, int, int]:
    return position.long_today, position.long_history, position.short_today, position.short_history


def frozen(position: BrokerPosition) -> tuple[int, int, int, int]:
    return (
        position.long_today_frozen,
        position.long_history_frozen,
        position.short_today_frozen,
        position.short_history_frozen,
    )


def ledger_of(symbol: str = SYMBOL, **lots: int) -> PositionLedger:
    ledger = PositionLedger(DAY, {symbol: TERMS})
    ledger.take_over(held(symbol, **lots))
    return ledger


# --- trades -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("symbol", "side", "offset", "lots", "expected"),
    [
        (SYMBOL, Side.BUY, Offset.OPEN, 2, (5, 2, 1, 4)),
        (SYMBOL, Side.SELL, Offset.OPEN, 2, (3, 2, 3, 4)),
        (SYMBOL, Side.SELL, Offset.CLOSE, 1, (3, 1, 1, 4)),
        (SYMBOL, Side.SELL, Offset.CLOSE_TODAY, 1, (2, 2, 1, 4)),
        (SYMBOL, Side.BUY, Offset.CLOSE, 4, (3, 2, 1, 0)),
        (SYMBOL, Side.BUY, Offset.CLOSE_TODAY, 1, (3, 2, 0, 4)),
        (SYMBOL, Side.SELL, Offset.CLOSE, 4, (3, -2, 1, 4)),
        (SYMBOL, Side.SELL, Offset.CLOSE_TODAY, 4, (-1, 2, 1, 4)),
        (SOYA, Side.SELL, Offset.CLOSE, 4, (1, 0, 1, 4)),
        (SOYA, Side.SELL, Offset.CLOSE_TODAY, 4, (0, 1, 1, 4)),
        (SOYA, Side.SELL, Offset.CLOSE, 6, (-1, 0, 1, 4)),
        (SOYA, Side.SELL, Offset.CLOSE_TODAY, 6, (-1, 0, 1, 4)),
    ],
)
def test_a_trade_opens_or_takes_the_lots_that_its_instruction_names(
    symbol: str, side: Side, offset: Offset, lots: int, expected: tuple[int, int, int, int]
) -> None:
    ledger = ledger_of(symbol, long_today=3, long_history=2, short_today=1, short_history=4)
    ledger.apply_fill(fill("a", "1", lots, side=side, offset=offset, symbol=symbol))
    assert counts(ledger.position(symbol)) == expected
    assert ledger.net(symbol) == sum(expected[:2]) - sum(expected[2:])


TRADES = st.lists(
    st.tuples(st.sampled_from(Side), st.sampled_from(Offset), st.integers(1, 4), st.integers(2990, 3010)), max_size=25
)


@settings(max_examples=100, deadline=None)
@given(TRADES, st.sampled_from([SYMBOL, SOYA]))
def test_the_position_is_the_sum_of_the_trades_whatever_they_are(trades: list, symbol: str) -> None:
    ledger, net = PositionLedger(DAY), 0
    for number, (side, offset, lots, price) in enumerate(trades):
        ledger.apply_fill(fill("a", str(number), lots, side=side, offset=offset, price=float(price), symbol=symbol))
        net += side * lots
        assert ledger.net(symbol) == net
        if number == 9:
            ledger.begin_day("2025-06-06", {symbol: 3000.0})
            assert ledger.net(symbol) == net
    assert PositionLedger.from_document(ledger.to_document()).to_document() == ledger.to_document()


@settings(max_examples=100, deadline=None)
@given(st.lists(TRADES, min_size=1, max_size=3), st.booleans())
def test_lots_and_money_are_those_of_the_simulators_book(days: list[list], costly: bool) -> None:
    costs = SimCosts(
        price_tick=1.0, multiplier=10.0, open_rate=FEE.open_rate, open_cny=FEE.open_cny, close_rate=FEE.close_rate,
        close_cny=FEE.close_cny, close_today_rate=FEE.close_today_rate, close_today_cny=FEE.close_today_cny,
    )  # fmt: skip
    ledger, book = PositionLedger("2025-06-03", {SYMBOL: TERMS}), PositionBook(costs)
    for number, trades in enumerate(days):
        for at, (side, offset, lots, price) in enumerate(trades):
            own = Side(-side)
            if offset is Offset.OPEN:
                book.fill_open(side, float(price), lots)
            elif lots <= book.free(own, offset):
                book.freeze(own, offset, lots)
                book.fill_close(own, offset, float(price), lots)
            else:
                continue
            ledger.apply_fill(fill("a", f"{number}.{at}", lots, side=side, offset=offset, price=float(price)))
            assert counts(ledger.position(SYMBOL)) == (*book.lots(Side.BUY), *book.lots(Side.SELL))
        mark = 3003.0 if costly else 2995.0
        running = ledger.day_money(SYMBOL, mark)
        expected = book.settle(mark)
        settled = ledger.begin_day(f"2025-06-0{4 + number}", {SYMBOL: mark}).get(SYMBOL, DayMoney())
        assert settled == running
        assert settled.realised_cny == pytest.approx(expected.realised_cny)
        assert settled.holding_cny == pytest.approx(expected.holding_cny)
        assert settled.fees_cny == pytest.approx(expected.fees_cny)
        assert settled.net_cny == pytest.approx(expected.net_cny)
        assert not settled.estimated


# --- money ------------------------------------------------------------------------------------------------------------------
def test_money_of_a_day_is_realised_holding_and_fees_apart() -> None:
    ledger = PositionLedger(DAY, {SYMBOL: ContractTerms(multiplier=10.0, fee=FeeRule(open_cny=1.0, close_today_cny=2.0))})
    ledger.apply_fill(fill("a", "1", 3, price=3000.0))
    ledger.apply_fill(fill("a", "2", 1, price=3006.0))
    assert ledger.average_price(SYMBOL, Side.BUY) == 3001.5
    assert math.isnan(ledger.average_price(SYMBOL, Side.SELL))
    ledger.apply_fill(fill("b", "3", 2, side=Side.SELL, offset=Offset.CLOSE_TODAY, price=3002.0))
    assert ledger.average_price(SYMBOL, Side.BUY) == 3003.0
    money = ledger.day_money(SYMBOL, 3001.0)
    assert (money.realised_cny, money.holding_cny, money.fees_cny, money.net_cny) == (40.0, -40.0, 8.0, -8.0)
    unmarked = ledger.day_money(SYMBOL, None)
    assert (unmarked.holding_cny, unmarked.estimated) == (0.0, True)
    assert ledger.day_money("SHFE.hc2510", None) == DayMoney()


def test_a_day_without_a_settlement_price_is_estimated_and_carries_lots_at_cost() -> None:
    ledger = PositionLedger(DAY, {SYMBOL: TERMS, "SHFE.hc2510": TERMS})
    ledger.apply_fill(fill("a", "1", 2, price=3000.0))
    money = ledger.begin_day("2025-06-06")
    assert set(money) == {SYMBOL}
    assert money[SYMBOL].estimated
    assert counts(ledger.position(SYMBOL)) == (0, 2, 0, 0)
    assert ledger.average_price(SYMBOL, Side.BUY) == 3000.0
    assert ledger.day_money(SYMBOL, 3001.0) == DayMoney(holding_cny=20.0)
    assert ledger.begin_day("2025-06-06", {SYMBOL: 1.0}) == ledger.begin_day("2025-06-05", {SYMBOL: 1.0}) == {}
    assert (ledger.trading_day, ledger.average_price(SYMBOL, Side.BUY)) == ("2025-06-06", 3000.0)


def test_terms_hold_from_when_they_are_set() -> None:
    ledger = PositionLedger(DAY)
    ledger.apply_fill(fill("a", "1", 1))
    ledger.set_terms(SYMBOL, ContractTerms(multiplier=10.0, fee=FeeRule(open_cny=2.0)))
    ledger.apply_fill(fill("a", "2", 1))
    assert ledger.day_money(SYMBOL, 3001.0) == DayMoney(holding_cny=20.0, fees_cny=2.0)


# --- the venue's word -------------------------------------------------------------------------------------------------------
def test_taking_over_keeps_prices_that_are_known() -> None:
    ledger = PositionLedger(DAY, {SYMBOL: TERMS})
    ledger.apply_fill(fill("a", "1", 2, price=3000.0))
    ledger.apply_fill(fill("a", "2", 2, price=3010.0))
    ledger.take_over(held(long_history=3, long_today=2, short_today=1))
    assert counts(ledger.position(SYMBOL)) == (2, 3, 1, 0)
    # history first, from the oldest; lots that nobody knows have no price
    document = ledger.to_document()["contracts"][SYMBOL]
    assert document["long_history"] == ([2, 3000.0], [1, 3010.0])
    assert document["long_today"] == ([1, 3010.0], [1, None])
    assert document["short_today"] == ([1, None],)
    assert ledger.average_price(SYMBOL, Side.BUY) == 3005.0
    ledger.take_over(held())
    assert ledger.symbols() == ()


def test_lots_without_a_price_make_the_day_an_estimate_until_it_settles() -> None:
    ledger = PositionLedger(DAY, {SYMBOL: ContractTerms(multiplier=10.0)})
    ledger.take_over(held(long_history=2, short_today=1))
    assert ledger.day_money(SYMBOL, 3000.0) == DayMoney(estimated=True)
    ledger.apply_fill(fill("a", "1", 2, side=Side.SELL, offset=Offset.CLOSE, price=3001.0))
    ledger.apply_fill(fill("a", "2", 1, side=Side.BUY, offset=Offset.CLOSE_TODAY, price=3001.0))
    assert ledger.symbols() == ()
    assert PositionLedger.from_document(ledger.to_document()).day_money(SYMBOL, 3000.0) == DayMoney(estimated=True)
    ledger.apply_fill(fill("a", "3", 1, price=3000.0))
    assert ledger.begin_day("2025-06-06", {SYMBOL: 3004.0}) == {SYMBOL: DayMoney(holding_cny=40.0, estimated=True)}
    assert ledger.day_money(SYMBOL, 3005.0) == DayMoney(holding_cny=10.0)


def test_lots_that_are_closed_before_their_opening_is_told_are_matched_when_it_is() -> None:
    ledger = PositionLedger(DAY, {SYMBOL: ContractTerms(multiplier=10.0)})
    ledger.take_over(held(long_history=4))
    ledger.begin_day("2025-06-06", {SYMBOL: 3000.0})
    ledger.apply_fill(fill("b", "1", 3, side=Side.SELL, offset=Offset.CLOSE_TODAY, price=3005.0))
    assert counts(ledger.position(SYMBOL)) == (-3, 4, 0, 0)
    assert not ledger.day_money(SYMBOL, 3000.0).estimated
    ledger.take_over(held(long_history=1))
    assert ledger.day_money(SYMBOL, 3000.0).estimated
    ledger = PositionLedger(DAY, {SYMBOL: ContractTerms(multiplier=10.0)})
    for trade, lots in (("1", 3), ("2", 1)):
        ledger.apply_fill(fill("b", trade, lots, side=Side.SELL, offset=Offset.CLOSE_TODAY, price=3005.0))
    assert counts(ledger.position(SYMBOL)) == (-4, 0, 0, 0)
    ledger.apply_fill(fill("a", "3", 2, price=3001.0))
    assert counts(ledger.position(SYMBOL)) == (-2, 0, 0, 0)
    assert ledger.day_money(SYMBOL, 3005.0) == DayMoney(realised_cny=80.0)
    ledger.apply_fill(fill("a", "4", 3, price=3002.0))
    ledger.apply_fill(fill("a", "5", 2, price=3002.0))
    assert ledger.to_document()["contracts"][SYMBOL]["long_today"] == ([3, 3002.0],)
    assert ledger.day_money(SYMBOL, 3002.0) == DayMoney(realised_cny=140.0)


def test_symbols_are_those_with_lots_sorted() -> None:
    ledger = PositionLedger(DAY)
    for symbol in ("SHFE.rb2510", "SHFE.hc2510", "SHFE.cu2507"):
        ledger.apply_fill(fill("a", symbol, 1, symbol=symbol))
    ledger.apply_fill(fill("a", "x", 1, side=Side.SELL, offset=Offset.CLOSE_TODAY, symbol="SHFE.cu2507"))
    ledger.apply_fill(fill("a", "y", 1, side=Side.SELL, symbol="SHFE.hc2510"))
    assert ledger.symbols() == ("SHFE.hc2510", "SHFE.rb2510")  # long one and short one is not nothing
    assert ledger.net("SHFE.hc2510") == 0


# --- what works -------------------------------------------------------------------------------------------------------------
def test_closing_orders_freeze_what_they_ask_for() -> None:
    book = OrderBook()
    wanted = [
        intent(Side.SELL, 2, offset=Offset.CLOSE_TODAY),
        intent(Side.SELL, 1, offset=Offset.CLOSE),
        intent(Side.BUY, 9, offset=Offset.CLOSE),
        intent(Side.SELL, 5, offset=Offset.OPEN),
        intent(Side.SELL, 5, offset=Offset.CLOSE, symbol="SHFE.hc2510"),
    ]
    for number, order in enumerate(wanted):
        book.add(str(number), order, trading_day=DAY, ts_ns=1)
    ledger = ledger_of(long_today=3, long_history=2, short_today=1, short_history=4)
    working = book.unsettled()
    assert frozen(ledger.position(SYMBOL, working)) == (2, 1, 0, 4)
    book.apply_fill(fill("0", "t", 1, side=Side.SELL, offset=Offset.CLOSE_TODAY), 2)
    assert frozen(ledger.position(SYMBOL, book.unsettled())) == (1, 1, 0, 4)
    assert frozen(ledger.position(SYMBOL)) == (0, 0, 0, 0)
    book = OrderBook()
    book.add("a", intent(Side.BUY, 9, offset=Offset.CLOSE_TODAY), trading_day=DAY, ts_ns=1)
    assert frozen(ledger.position(SYMBOL, book.unsettled())) == (0, 0, 1, 0)
    soya = ledger_of(SOYA, long_today=3, long_history=2)
    book = OrderBook()
    book.add("a", intent(Side.SELL, 3, offset=Offset.CLOSE, symbol=SOYA), trading_day=DAY, ts_ns=1)
    book.add("b", intent(Side.SELL, 1, offset=Offset.CLOSE, symbol=SOYA), trading_day=DAY, ts_ns=1)
    assert frozen(soya.position(SOYA, book.unsettled())) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("position", "delta", "expected"),
    [
        (held(), 0, []),
        (held(long_today=-1, short_today=-1), 0, []),
        (held(), 3, [(1, "open", 3)]),
        (held(), -3, [(-1, "open", 3)]),
        (held(long_today=2, long_history=1), -1, [(-1, "close", 1)]),
        (held(long_today=2, long_history=1), -2, [(-1, "close", 1), (-1, "close_today", 1)]),
        (held(long_today=2, long_history=1), -5, [(-1, "close", 1), (-1, "close_today", 2), (-1, "open", 2)]),
        (held(long_today=2, long_today_frozen=2), -2, []),
        (held(long_today=2, long_today_frozen=1), -2, [(-1, "close_today", 1)]),
        (held(long_today=2, long_today_frozen=2), -3, [(-1, "open", 1)]),
        (held(short_history=2), 3, [(1, "close", 2), (1, "open", 1)]),
        (held(long_today=4, short_today=1), 1, [(1, "close_today", 1)]),
        (held(short_today=-1), 2, [(1, "open", 2)]),
        (held(SOYA, long_today=2, long_history=1), -4, [(-1, "close", 3), (-1, "open", 1)]),
    ],
)
def test_a_wanted_change_closes_before_it_opens(position: BrokerPosition, delta: int, expected: list) -> None:
    like = intent(Side.BUY, 1, price=7, kind=OrderKind.FAK, symbol=position.symbol)
    pieces = split_intents(position, delta, like)
    assert [(int(piece.side), piece.offset.value, piece.lots) for piece in pieces] == expected
    assert all((piece.price_ticks, piece.kind, piece.symbol) == (7, OrderKind.FAK, position.symbol) for piece in pieces)
