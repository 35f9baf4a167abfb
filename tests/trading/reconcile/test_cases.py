"""Every case of reconciliation, one by one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerPosition, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, update
from ghtrader.trading.orders import OrderBook, OrderPhase, OrderRecord, PositionLedger, external_order_id
from ghtrader.trading.reconcile import (
    LOST_AFTER_NS,
    Action,
    ActionKind,
    CaseName,
    Reconciliation,
    VenueSnapshot,
    apply_action,
    apply_reconciliation,
    reconcile,
)
from ghtrader.trading.words import OrderIntent, Origin

FUNDS = AccountFunds(balance=1e5, available=9e4, margin=1e4, commission=0.0, close_profit=0.0, position_profit=0.0)
LATER = 1 + 10 * LOST_AFTER_NS


def venue(
    *, orders: Any = (), fills: Any = (), positions: Any = (), funds: AccountFunds = FUNDS, day: str = DAY
) -> VenueSnapshot:
    return VenueSnapshot(orders=tuple(orders), fills=tuple(fills), positions=tuple(positions), funds=funds, trading_day=day)


def account(*, based: bool = True, lots: int = 0, day: str = DAY) -> tuple[OrderBook, PositionLedger]:
    """A book with the order ``a`` (3 lots, sent at 2), and a ledger with long history lots."""
    book, ledger = OrderBook(), PositionLedger(day)
    book.add("a", intent(lots=3), trading_day=day, ts_ns=1)
    book.mark_sent("a", 2)
    if lots:
        ledger.take_over(held(long_history=lots))
    ledger.based = based
    return book, ledger


def once(book: OrderBook, ledger: PositionLedger, snapshot: VenueSnapshot, now_ns: int = LATER) -> Reconciliation:
    """Reconcile one answer and do it."""
    outcome = reconcile(book, ledger, snapshot, now_ns=now_ns)
    apply_reconciliation(outcome, book, ledger, now_ns)
    return outcome


def settle(book: OrderBook, ledger: PositionLedger, snapshot: VenueSnapshot, now_ns: int = LATER) -> Reconciliation:
    """Reconcile, do it, and see that doing it again changes nothing."""
    outcome = reconcile(book, ledger, snapshot, now_ns=now_ns)
    apply_reconciliation(outcome, book, ledger, now_ns)
    documents = book.to_document(), ledger.to_document()
    twice = apply_reconciliation(outcome, book, ledger, now_ns)
    assert (twice.fills, twice.settled) == ((), ())
    assert (book.to_document(), ledger.to_document()) == documents
    again = reconcile(book, ledger, snapshot, now_ns=now_ns)
    assert again.balanced == outcome.balanced
    apply_reconciliation(again, book, ledger, now_ns + 1)
    assert (book.to_document(), ledger.to_document()) == documents
    return outcome


def names(outcome: Reconciliation) -> list[str]:
    return [difference.case.value for difference in outcome.differences]


def phase(book: OrderBook, identity: str = "a") -> OrderPhase:
    record = book.get(identity)
    assert record is not None
    return record.phase


def test_an_account_that_agrees_balances_and_nothing_is_done() -> None:
    book, ledger = account()
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.SENT, 3, of=intent(lots=3))]))
    assert (outcome.actions, outcome.differences, outcome.balanced) == ((), (), True)


def test_a_missed_end_and_its_trades_are_taken() -> None:
    book, ledger = account()
    end = update("a", OrderState.CANCELLED, 1, of=intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[end], fills=[fill("a", "1", 2)], positions=[held(long_today=2)]))
    assert outcome.balanced
    assert names(outcome) == ["fill_missing", "order_behind"]
    assert (phase(book), ledger.net(SYMBOL), book.in_flight(SYMBOL)) == (OrderPhase.CANCELLED, 2, (0, 0))


def test_a_position_that_no_trade_explains_refuses_openings() -> None:
    book, ledger = account(lots=1)
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.SENT, 3, of=intent(lots=3))]))
    assert (names(outcome), outcome.balanced, ledger.net(SYMBOL)) == (["position_differs"], False, 1)


def test_the_first_comparison_takes_what_the_venue_holds() -> None:
    book, ledger = account(based=False)
    agreed = [update("a", OrderState.SENT, 3, of=intent(lots=3))]
    outcome = settle(book, ledger, venue(orders=agreed, positions=[held(short_history=4)]))
    assert (outcome.balanced, ledger.based, ledger.net(SYMBOL)) == (True, True, -4)
    assert [action.case for action in outcome.actions] == [CaseName.POSITION_FIRST]


def test_an_order_that_only_the_venue_has_counts_as_in_flight() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    theirs = update("", OrderState.WORKING, 2, of=intent(Side.SELL, 2, offset=Offset.OPEN), number="77")
    outcome = settle(book, ledger, venue(orders=[theirs]))
    assert outcome.balanced
    assert names(outcome) == ["order_venue_only"]
    assert book.in_flight(SYMBOL) == (0, 2)
    assert [order.adopted for order in book.orders()] == [True]


def test_an_order_that_the_venue_does_not_list_is_waited_for_then_lost() -> None:
    book, ledger = account()
    young = settle(book, ledger, venue(), now_ns=2 + LOST_AFTER_NS - 1)
    assert (names(young), young.balanced, phase(book)) == (["order_young"], False, OrderPhase.SENT)
    first = once(book, ledger, venue(), now_ns=2 + LOST_AFTER_NS)
    assert (names(first), first.balanced, phase(book)) == (["order_unlisted"], False, OrderPhase.UNKNOWN)
    assert book.in_flight(SYMBOL) == (3, 0)
    lost = settle(book, ledger, venue(), now_ns=2 + LOST_AFTER_NS)
    assert (names(lost), lost.balanced, phase(book)) == (["order_lost"], True, OrderPhase.LOST)


def record_of(book: OrderBook, identity: str = "a") -> OrderRecord:
    record = book.get(identity)
    assert record is not None
    return record


def kinds(outcome: Reconciliation) -> list[str]:
    return [action.kind.value for action in outcome.actions]


# --- the day ----------------------------------------------------------------------------------------------------------------
def test_an_answer_of_an_earlier_day_explains_nothing() -> None:
    book, ledger = account(day="2025-06-06")
    outcome = settle(book, ledger, venue(positions=[held(long_today=9)], day="2025-06-05"))
    assert (names(outcome), kinds(outcome), outcome.balanced) == (["day_behind"], [], False)
    assert outcome.differences[0].blocks
    assert outcome.blocking == outcome.differences


def test_a_later_day_makes_history_of_the_lots_and_ends_the_orders() -> None:
    book, ledger = account()
    ledger.take_over(held(long_today=2))
    outcome = settle(book, ledger, venue(positions=[held(long_history=2)], day="2025-06-06"))
    assert (kinds(outcome), outcome.balanced) == (["roll_day", "expire"], True)
    assert names(outcome) == ["order_expired"]
    assert (ledger.trading_day, phase(book), record_of(book).is_settled) == ("2025-06-06", OrderPhase.CANCELLED, True)


def test_settlement_prices_mark_the_day_that_ends() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    ledger.apply_fill(fill("b", "1", 2))
    outcome = reconcile(book, ledger, venue(positions=[held(long_history=2)], day="2025-06-06"), now_ns=LATER)
    assert outcome.balanced
    apply_reconciliation(outcome, book, ledger, LATER, {SYMBOL: 3010.0})
    assert ledger.average_price(SYMBOL, Side.BUY) == 3010.0


# --- yesterday's orders -----------------------------------------------------------------------------------------------------
def yesterday(*orders: OrderIntent, **lots: int) -> tuple[OrderBook, PositionLedger]:
    """Working orders of an earlier day, ``a``, ``b``, ..., and what was held then as history."""
    book, ledger = OrderBook(), PositionLedger("2025-06-04")
    ledger.take_over(held(**lots))
    ledger.begin_day(DAY)
    ledger.based = True
    for number, wanted in enumerate(orders):
        identity = "abc"[number]
        book.add(identity, wanted, trading_day="2025-06-04", ts_ns=1 + number)
        book.apply_update(update(identity, OrderState.WORKING, wanted.lots, of=wanted, number="n"), 7)
    return book, ledger


def test_a_position_proves_what_yesterdays_orders_traded_oldest_first() -> None:
    book, ledger = yesterday(intent(lots=3, price=2999), intent(lots=2, price=2998), intent(Side.SELL, 4))
    book.apply_fill(fill("a", "t", 1), 8)
    ledger.apply_fill(fill("a", "t", 1))
    ledger.take_over(held(long_history=1))
    outcome = settle(book, ledger, venue(positions=[held(long_history=4)]))
    assert outcome.balanced
    assert kinds(outcome) == ["make_fill", "make_fill", "expire", "expire", "expire", "take_position"]
    made = [action.fill for action in outcome.actions if action.fill is not None]
    assert [(trade.client_order_id, trade.trade_id, trade.lots, trade.price, trade.ts_ns) for trade in made] == [
        ("a", "synthetic:a:1+2", 2, 2999.0, 8),
        ("b", "synthetic:b:0+1", 1, 2998.0, 7),
    ]
    ends = [(record_of(book, name).phase.value, record_of(book, name).filled, record_of(book, name).left) for name in "abc"]
    assert ends == [("filled", 3, 0), ("cancelled", 1, 1), ("cancelled", 0, 4)]
    assert ledger.position(SYMBOL) == held(long_history=4)


@pytest.mark.parametrize(
    ("wanted", "before", "after"),
    [
        (intent(Side.SELL, 2, offset=Offset.CLOSE), {"long_history": 5}, {"long_history": 3}),
        (intent(Side.SELL, 2, offset=Offset.CLOSE_TODAY), {"long_history": 5}, {"long_history": 4}),
        (intent(Side.BUY, 2, offset=Offset.CLOSE), {"short_history": 5}, {"short_history": 4}),
        (intent(Side.SELL, 2), {"long_history": 5}, {"long_history": 5, "short_history": 2}),
        (intent(Side.BUY, 2), {"short_history": 5}, {"short_history": 5, "long_history": 1}),
    ],
)
def test_yesterdays_orders_explain_what_they_could_have_done(wanted: OrderIntent, before: dict, after: dict) -> None:
    book, ledger = yesterday(wanted, **before)
    outcome = settle(book, ledger, venue(positions=[held(**after)]))
    assert outcome.balanced
    assert "position_explained" in names(outcome)
    assert ledger.position(SYMBOL) == held(**after)


@pytest.mark.parametrize(
    ("wanted", "after"),
    [
        (intent(Side.BUY, 2), {"long_history": 8}),  # more than it asked for
        (intent(Side.BUY, 2), {"long_history": 4}),  # the other way
        (intent(Side.BUY, 2), {"long_history": 6, "short_history": 1}),  # not the whole of it
        (intent(Side.SELL, 2), {"long_history": 4}),  # an opening order closes nothing
        (intent(Side.SELL, 2, offset=Offset.CLOSE), {"long_history": 6}),
        (intent(Side.BUY, 2, symbol="SHFE.hc2510"), {"long_history": 6}),  # another contract
    ],
)
def test_what_yesterdays_orders_do_not_explain_whole_is_not_made_up(wanted: OrderIntent, after: dict) -> None:
    book, ledger = yesterday(wanted, long_history=5)
    outcome = settle(book, ledger, venue(positions=[held(**after)]))
    assert not outcome.balanced
    assert "position_differs" in names(outcome)
    assert "make_fill" not in kinds(outcome)
    assert record_of(book).phase is OrderPhase.CANCELLED
    assert ledger.net(SYMBOL) == 5


def test_nothing_is_made_up_while_trades_of_today_are_awaited() -> None:
    book, ledger = yesterday(intent(lots=3))
    book.add("t", intent(lots=2), trading_day=DAY, ts_ns=1)
    filled, trade = update("t", OrderState.FILLED, 0, of=intent(lots=2)), fill("t", "1", 2)
    outcome = settle(book, ledger, venue(orders=[filled], positions=[held(long_today=2)]))
    assert (names(outcome), outcome.balanced) == (["order_behind", "fills_awaited", "position_differs"], False)
    assert book.in_flight(SYMBOL) == (5, 0)
    outcome = settle(book, ledger, venue(orders=[filled], fills=[trade], positions=[held(long_today=2)]))
    assert (names(outcome), outcome.balanced) == (["fill_missing", "order_expired"], True)
    assert (book.in_flight(SYMBOL), ledger.position(SYMBOL)) == ((0, 0), held(long_today=2))


def over_by_hearsay(how: str, wanted: OrderIntent, **lots: int) -> tuple[OrderBook, PositionLedger]:
    """An order ``a`` of an earlier day that was taken for lost, was refused, or never left; and what was held then as history."""
    book, ledger = OrderBook(), PositionLedger("2025-06-04")
    ledger.take_over(held(**lots))
    ledger.based = True
    book.add("a", wanted, trading_day="2025-06-04", ts_ns=1)
    book.mark_sent("a", 2)
    if how == "lost":
        for _ in range(2):
            once(book, ledger, venue(positions=[ledger.position(SYMBOL)], day="2025-06-04"))
    elif how == "refused":
        book.apply_update(update("a", OrderState.REJECTED, wanted.lots, of=wanted), 7)
    else:
        book.submit_failed("a", never_sent=True, ts_ns=7)
    assert record_of(book).is_settled
    return book, ledger


@pytest.mark.parametrize("how", ["lost", "refused"])
@pytest.mark.parametrize(("traded", "ends"), [(2, "filled"), (1, "cancelled")])
def test_an_order_that_is_over_by_hearsay_explains_the_next_days_position(how: str, traded: int, ends: str) -> None:
    book, ledger = over_by_hearsay(how, intent(Side.SELL, 2, offset=Offset.CLOSE), long_history=5)
    outcome = settle(book, ledger, venue(positions=[held(long_history=5 - traded)], day=DAY))
    assert outcome.balanced
    assert names(outcome) == ["position_explained"]
    assert kinds(outcome) == ["roll_day", "make_fill", "expire"]
    order = record_of(book)
    assert (order.phase.value, order.filled, order.in_flight, ledger.net(SYMBOL)) == (ends, traded, 0, 5 - traded)


def test_it_explains_nothing_any_more_once_a_day_was_compared() -> None:
    book, ledger = over_by_hearsay("lost", intent(Side.SELL, 2, offset=Offset.CLOSE), long_history=5)
    agreed = settle(book, ledger, venue(positions=[held(long_history=5)], day=DAY))
    assert (names(agreed), kinds(agreed), agreed.balanced) == ([], ["roll_day", "expire"], True)
    assert (phase(book), record_of(book).filled, record_of(book).day_over) == (OrderPhase.LOST, 0, True)
    outcome = settle(book, ledger, venue(positions=[held(long_history=4)], day=DAY))
    assert (names(outcome), kinds(outcome), outcome.balanced) == (["position_differs"], [], False)


def test_it_waits_while_something_of_its_contract_is_not_known() -> None:
    book, ledger = over_by_hearsay("lost", intent(Side.SELL, 2, offset=Offset.CLOSE), long_history=5)
    ledger.begin_day(DAY)
    book.add("t", intent(lots=2), trading_day=DAY, ts_ns=LATER)
    outcome = reconcile(book, ledger, venue(positions=[held(long_history=3)]), now_ns=LATER)
    assert (names(outcome), kinds(outcome)) == (["order_young", "position_differs"], ["wait"])
    known = venue(orders=[update("t", OrderState.WORKING, 2, of=intent(lots=2))], positions=[held(long_history=3)])
    assert names(settle(book, ledger, known)) == ["order_behind", "position_explained"]


def test_what_never_left_or_is_still_listed_explains_nothing() -> None:
    wanted = intent(Side.SELL, 2, offset=Offset.CLOSE)
    book, ledger = over_by_hearsay("never sent", wanted, long_history=5)
    outcome = settle(book, ledger, venue(positions=[held(long_history=3)], day=DAY))
    assert (names(outcome), kinds(outcome)) == (["position_differs"], ["roll_day"])
    book, ledger = over_by_hearsay("refused", wanted, long_history=5)
    refused = update("a", OrderState.REJECTED, 2, of=wanted)
    outcome = settle(book, ledger, venue(orders=[refused], positions=[held(long_history=3)], day=DAY))
    assert (names(outcome), kinds(outcome)) == (["position_differs"], ["roll_day"])


def test_orders_that_were_left_open_explain_before_those_that_are_over_by_hearsay() -> None:
    book, ledger = over_by_hearsay("refused", intent(lots=2))
    book.add("b", intent(lots=2), trading_day="2025-06-04", ts_ns=9)
    outcome = settle(book, ledger, venue(positions=[held(long_history=3)], day=DAY))
    assert outcome.balanced
    made = [(action.fill.client_order_id, action.fill.lots) for action in outcome.actions if action.fill is not None]
    assert made == [("b", 2), ("a", 1)]


def test_the_orders_of_every_contract_end_once() -> None:
    other = "SHFE.hc2510"
    book, ledger = yesterday(intent(), intent(symbol=other))
    outcome = settle(book, ledger, venue())
    assert [(item.symbol, item.client_order_id) for item in outcome.differences] == [(other, "b"), (SYMBOL, "a")]
    assert outcome.balanced


def test_an_order_of_yesterday_that_the_venue_still_lists_is_not_over() -> None:
    book, ledger = yesterday(intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.WORKING, 3, of=intent(lots=3))]))
    assert (names(outcome), book.in_flight(SYMBOL)) == ([], (3, 0))


def test_trades_that_yesterdays_order_was_said_to_have_had_are_not_awaited_any_more() -> None:
    book, ledger = yesterday(intent(lots=3))
    book.apply_update(update("a", OrderState.CANCELLED, 1, of=intent(lots=3)), 9)
    assert book.in_flight(SYMBOL) == (2, 0)
    outcome = settle(book, ledger, venue())
    assert (names(outcome), outcome.balanced, book.in_flight(SYMBOL)) == (["order_expired"], True, (0, 0))


# --- orders -----------------------------------------------------------------------------------------------------------------
def test_an_adopted_order_gets_an_id_that_every_restart_makes_again() -> None:
    theirs = update("", OrderState.WORKING, 2, of=intent(Side.SELL, 2, price=15001), number="77")
    found = []
    for _ in range(2):
        book, ledger = OrderBook(), PositionLedger(DAY)
        ledger.based = True
        outcome = reconcile(book, ledger, venue(orders=[theirs]), now_ns=LATER, price_ticks={SYMBOL: 5.0})
        apply_reconciliation(outcome, book, ledger, LATER)
        found += book.orders()
    assert found[0] == found[1]
    assert found[0].client_order_id == external_order_id(SYMBOL, "77")
    order = found[0]
    assert (order.adopted, order.phase, order.exchange_order_id, order.trading_day) == (True, OrderPhase.WORKING, "77", DAY)
    assert (order.intent.price_ticks, order.intent.origin, order.intent.note) == (3000, Origin.COMMAND, "adopted")
    assert (order.intent.side, order.intent.lots, order.intent.offset) == (Side.SELL, 2, Offset.OPEN)


def test_an_order_without_lots_is_nothing() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    empty = update("z", OrderState.WORKING, 0, of=intent(lots=0))
    outcome = settle(book, ledger, venue(orders=[empty]))
    assert (outcome.balanced, outcome.actions, len(book)) == (True, (), 0)
    book, ledger = account()
    working = update("a", OrderState.WORKING, 3, of=intent(lots=3))
    assert names(settle(book, ledger, venue(orders=[empty, working]))) == ["order_behind"], "those after it count"


def test_trades_that_nobody_has_an_order_for_get_one() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    trades = [fill("x", "1", 2), fill("x", "2", 1), fill("", "3", 1, side=Side.SELL)]
    outcome = settle(book, ledger, venue(fills=trades, positions=[held(long_today=3, short_today=1)]))
    assert outcome.balanced
    assert names(outcome) == ["fill_venue_only"] * 2 + ["fill_missing"] * 3
    orders = {order.client_order_id: (order.lots, order.filled, order.phase.value, order.adopted) for order in book.orders()}
    assert orders == {"x": (3, 3, "filled", True), external_order_id(SYMBOL, "trade 3"): (1, 1, "filled", True)}


def test_an_adopted_order_that_turns_out_larger_counts_whole() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    settle(book, ledger, venue(fills=[fill("x", "1", 2)], positions=[held(long_today=2)]))
    assert book.in_flight(SYMBOL) == (0, 0)
    larger = update("x", OrderState.WORKING, 3, of=intent(lots=5))
    outcome = settle(book, ledger, venue(orders=[larger], fills=[fill("x", "1", 2)], positions=[held(long_today=2)]))
    assert (outcome.balanced, book.in_flight(SYMBOL), record_of(book, "x").phase) == (True, (3, 0), OrderPhase.PARTIAL)
    assert names(outcome) == ["order_venue_only", "order_behind"]


@pytest.mark.parametrize(
    ("ours", "theirs", "case", "becomes"),
    [
        ("sent", ("working", 3), "order_behind", "working"),
        ("sent", ("cancelled", 3), "order_behind", "cancelled"),
        ("sent", ("rejected", 3), "order_behind", "rejected"),
        ("sent", ("lost", 3), "order_behind", "lost"),
        ("sent", ("unknown", 3), "order_unknown", "unknown"),
        ("sent", ("sent", 3), None, "sent"),
        ("unknown", ("sent", 3), "order_behind", "sent"),
        ("unknown", ("unknown", 3), "order_unknown", "unknown"),
        ("working", ("working", 3), None, "working"),
        ("working", ("sent", 3), None, "working"),
        ("working", ("lost", 3), "order_forgotten", "unknown"),
        ("cancelled", ("cancelled", 3), None, "cancelled"),
        ("cancelled", ("rejected", 3), None, "cancelled"),
        ("cancelled", ("unknown", 3), None, "cancelled"),
        ("cancelled", ("working", 3), "order_contradicts", "working"),
        ("cancelled", ("sent", 3), "order_contradicts", "unknown"),
        ("lost", ("working", 3), "order_contradicts", "working"),
        ("lost", ("sent", 3), "order_contradicts", "sent"),
        ("lost", ("cancelled", 3), None, "lost"),
        ("lost", ("unknown", 3), "order_unknown", "unknown"),
        ("rejected", ("working", 3), "order_contradicts", "working"),
    ],
)
def test_how_a_listed_order_is_taken(ours: str, theirs: tuple[str, int], case: str | None, becomes: str) -> None:
    book, ledger = account()
    if ours != "sent":
        for state in ("working", ours) if ours == "cancelled" else (ours,):
            book.apply_update(update("a", OrderState(state), 3, of=intent(lots=3)), 4)
    assert phase(book).value == ours
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState(theirs[0]), theirs[1], of=intent(lots=3))]))
    assert (names(outcome), phase(book).value) == ([case] if case else [], becomes)
    assert outcome.balanced == (case not in ("order_unknown", "order_forgotten"))
    assert book.in_flight(SYMBOL)[0] == (0 if becomes in ("cancelled", "rejected", "lost") else 3)


def test_an_end_with_other_lots_left_is_corrected_and_one_filled_by_trades_is_not() -> None:
    book, ledger = account()
    book.apply_update(update("a", OrderState.FILLED, 0, of=intent(lots=3)), 4)
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.CANCELLED, 3, of=intent(lots=3))]))
    assert (names(outcome), outcome.balanced, book.in_flight(SYMBOL)) == (["order_contradicts"], True, (0, 0))
    book, ledger = account()
    trades = [fill("a", "1", 3)]
    book.apply_fill(trades[0], 4)
    ledger.apply_fill(trades[0])
    working = update("a", OrderState.WORKING, 3, of=intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[working], fills=trades, positions=[held(long_today=3)]))
    assert (names(outcome), phase(book)) == ([], OrderPhase.FILLED)


def test_fewer_lots_than_were_told_are_open_lots_again() -> None:
    book, ledger = account()
    book.apply_update(update("a", OrderState.WORKING, 1, of=intent(lots=3)), 4)
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.WORKING, 3, of=intent(lots=3))]))
    assert (names(outcome), outcome.balanced, record_of(book).left) == (["order_contradicts"], True, 3)


def test_an_order_that_lags_behind_its_own_trades_agrees_with_them() -> None:
    book, ledger = account()
    book.apply_update(update("a", OrderState.WORKING, 3, of=intent(lots=3)), 4)
    lagging = update("a", OrderState.WORKING, 3, of=intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[lagging], fills=[fill("a", "1", 1)], positions=[held(long_today=1)]))
    assert (names(outcome), outcome.balanced, phase(book)) == (["fill_missing"], True, OrderPhase.PARTIAL)
    book.doubt_all(5)
    outcome = settle(book, ledger, venue(orders=[lagging], fills=[fill("a", "1", 1)], positions=[held(long_today=1)]))
    assert (names(outcome), outcome.balanced, phase(book)) == (["order_behind"], True, OrderPhase.PARTIAL)
    book.apply_update(update("a", OrderState.CANCELLED, 2, of=intent(lots=3)), 6)
    outcome = settle(book, ledger, venue(orders=[lagging], fills=[fill("a", "1", 1)], positions=[held(long_today=1)]))
    assert (names(outcome), phase(book)) == (["order_contradicts"], OrderPhase.PARTIAL)


def test_an_end_with_more_lots_left_than_were_told_is_no_step_that_was_missed() -> None:
    book, ledger = account()
    book.apply_update(update("a", OrderState.WORKING, 1, of=intent(lots=3)), 4)
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.CANCELLED, 3, of=intent(lots=3))]))
    assert (names(outcome), outcome.balanced, phase(book)) == (["order_contradicts"], True, OrderPhase.CANCELLED)
    assert book.in_flight(SYMBOL) == (0, 0)


def test_ten_seconds_pass_before_an_order_that_is_not_listed_counts_as_missing() -> None:
    book, ledger = account()
    assert names(reconcile(book, ledger, venue(), now_ns=2 + 9_999_999_999)) == ["order_young"]
    assert names(reconcile(book, ledger, venue(), now_ns=2 + 10_000_000_000)) == ["order_unlisted"]


def test_no_cancel_is_sent_again_for_an_order_that_its_trades_have_filled() -> None:
    book, ledger = account()
    book.ask_cancel("a", 3)
    trades = [fill("a", "1", 3)]
    working = update("a", OrderState.WORKING, 3, of=intent(lots=3))
    outcome = reconcile(book, ledger, venue(orders=[working], fills=trades, positions=[held(long_today=3)]), now_ns=LATER)
    assert (names(outcome), apply_reconciliation(outcome, book, ledger, LATER).cancels) == (["fill_missing"], ())


def test_an_acknowledged_order_that_is_not_listed_is_never_lost() -> None:
    book, ledger = account()
    book.apply_update(update("a", OrderState.WORKING, 3, of=intent(lots=3)), 4)
    outcome = settle(book, ledger, venue())
    assert (names(outcome), outcome.balanced, phase(book)) == (["order_forgotten"], False, OrderPhase.UNKNOWN)
    assert book.in_flight(SYMBOL) == (3, 0)


def test_the_age_of_an_order_counts_from_when_it_was_sent() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.based = True
    book.add("a", intent(), trading_day=DAY, ts_ns=1)
    book.mark_sent("a", 50)
    assert names(reconcile(book, ledger, venue(), now_ns=149, lost_after_ns=100)) == ["order_young"]
    assert names(reconcile(book, ledger, venue(), now_ns=150, lost_after_ns=100)) == ["order_unlisted"]
    book.add("b", intent(), trading_day=DAY, ts_ns=60)
    assert names(reconcile(book, ledger, venue(), now_ns=155, lost_after_ns=100)) == ["order_unlisted", "order_young"]


def test_a_cancel_that_the_venue_has_not_heard_is_sent_again_until_it_has() -> None:
    book, ledger = account()
    book.ask_cancel("a", 3)
    working = update("a", OrderState.WORKING, 3, of=intent(lots=3))
    for expected in (["order_behind", "cancel_unheard"], ["cancel_unheard"]):
        outcome = reconcile(book, ledger, venue(orders=[working]), now_ns=LATER)
        applied = apply_reconciliation(outcome, book, ledger, LATER)
        assert ([action.case.value for action in outcome.actions], applied.cancels) == (expected, ("a",))
        assert (outcome.balanced, phase(book)) == (True, OrderPhase.CANCELLING)
    gone = reconcile(book, ledger, venue(orders=[update("a", OrderState.CANCELLED, 3, of=intent(lots=3))]), now_ns=LATER)
    assert apply_reconciliation(gone, book, ledger, LATER).settled == ("a",)
    assert "cancel_unheard" not in names(gone)


# --- trades -----------------------------------------------------------------------------------------------------------------
def test_trades_are_awaited_until_the_venue_lists_them() -> None:
    book, ledger = account()
    filled = update("a", OrderState.FILLED, 0, of=intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[filled], fills=[fill("a", "1", 1)], positions=[held(long_today=3)]))
    assert not outcome.balanced
    assert names(outcome) == ["fill_missing", "order_behind", "fills_awaited", "position_differs"]
    assert record_of(book).awaited == 2
    trades = [fill("a", "1", 1), fill("a", "2", 2)]
    outcome = reconcile(book, ledger, venue(orders=[filled], fills=trades, positions=[held(long_today=3)]), now_ns=LATER)
    applied = apply_reconciliation(outcome, book, ledger, LATER)
    assert (outcome.balanced, applied.settled, applied.fills) == (True, ("a",), (trades[1],))


def test_a_trade_that_the_venue_forgot_is_kept_and_told() -> None:
    book, ledger = account()
    trade = fill("a", "1", 1)
    book.apply_fill(trade, 4)
    ledger.apply_fill(trade)
    working = update("a", OrderState.WORKING, 2, of=intent(lots=3))
    outcome = settle(book, ledger, venue(orders=[working], positions=[held(long_today=1)]))
    assert (names(outcome), outcome.balanced, outcome.actions) == (["fill_forgotten"], True, ())
    # of another day nothing can be listed
    assert names(reconcile(book, ledger, venue(orders=[working], positions=[held(long_today=1)]), now_ns=LATER)) == [
        "fill_forgotten"
    ]
    later = reconcile(book, ledger, venue(positions=[held(long_history=1)], day="2025-06-06"), now_ns=LATER)
    assert names(later) == ["order_expired"]
    book, ledger = OrderBook(), PositionLedger(DAY)
    for identity, day in (("old", "2025-06-04"), ("new", DAY)):
        book.add(identity, intent(), trading_day=day, ts_ns=1)
        book.apply_fill(fill(identity, "1"), 2)
    told = reconcile(book, ledger, venue(), now_ns=LATER).differences
    assert [item.client_order_id for item in told if item.case is CaseName.FILL_FORGOTTEN] == ["new"]


@pytest.mark.parametrize(
    "odd", [fill("a", "1", 1, side=Side.SELL), fill("a", "1", 1, symbol="SHFE.hc2510"), fill("a", "1", 0), fill("x", "1", 0)]
)
def test_a_trade_that_contradicts_its_order_blocks(odd: BrokerFill) -> None:
    book, ledger = account()
    outcome = settle(book, ledger, venue(orders=[update("a", OrderState.SENT, 3, of=intent(lots=3))], fills=[odd]))
    assert (names(outcome), outcome.balanced, outcome.actions) == (["fill_contradicts"], False, ())


# --- positions and money ----------------------------------------------------------------------------------------------------
def test_a_split_between_today_and_history_is_the_venues_to_say() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.take_over(held(long_today=2, long_history=1, short_history=1))
    ledger.based = True
    outcome = settle(book, ledger, venue(positions=[held(long_history=3, short_today=1)]))
    assert (names(outcome), kinds(outcome), outcome.balanced) == (["split_differs"], ["take_position"], True)
    assert ledger.position(SYMBOL) == held(long_history=3, short_today=1)


@pytest.mark.parametrize(
    "theirs", [held(long_today=3, short_today=1), held(long_today=2), held(long_today=1, short_today=2), held()]
)
def test_lots_of_either_side_that_differ_block(theirs: BrokerPosition) -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    ledger.take_over(held(long_today=2, short_today=1))
    ledger.based = True
    outcome = settle(book, ledger, venue(positions=[theirs] if theirs.lots else []))
    assert (names(outcome), outcome.balanced, outcome.actions) == (["position_differs"], False, ())
    assert ledger.position(SYMBOL) == held(long_today=2, short_today=1)
    difference = outcome.differences[0]
    assert difference.ours == "long 2 today 0 history, short 1 today 0 history"
    assert difference.symbol == SYMBOL


def test_the_first_comparison_takes_nothing_while_something_blocks() -> None:
    book, ledger = account(based=False)
    snapshot = venue(positions=[held(long_history=4)])
    outcome = reconcile(book, ledger, snapshot, now_ns=3)
    apply_reconciliation(outcome, book, ledger, 3)
    assert (names(outcome), ledger.based, ledger.net(SYMBOL)) == (["order_young", "position_differs"], False, 0)
    outcome = once(book, ledger, snapshot)
    assert (names(outcome), ledger.based, ledger.net(SYMBOL)) == (["order_unlisted", "position_differs"], False, 0)
    outcome = settle(book, ledger, snapshot)
    assert (names(outcome), ledger.based, ledger.net(SYMBOL)) == (["order_lost", "position_first"], True, 4)
    # from now on the ledger must explain the venue
    assert not reconcile(book, ledger, venue(), now_ns=LATER).balanced


def test_the_first_comparison_makes_no_trades_up() -> None:
    book, ledger = yesterday(intent(lots=3))
    ledger.based = False
    outcome = settle(book, ledger, venue(positions=[held(long_history=2)]))
    assert (names(outcome), outcome.balanced, record_of(book).filled) == (["order_expired", "position_first"], True, 0)


# --- a false first answer ---------------------------------------------------------------------------------------------------
EARLY = fill("x", "1", 2, ts_ns=5)


def first_answer(**told: Any) -> tuple[OrderBook, PositionLedger]:
    """An account that another terminal had traded on, after its first answer, which came at ``LATER``."""
    book, ledger = OrderBook(), PositionLedger(DAY)
    assert once(book, ledger, venue(positions=[held(long_today=2)], **told)).balanced
    assert (ledger.based, ledger.based_ns, ledger.net(SYMBOL)) == (True, LATER, 2)
    return book, ledger


def test_a_trade_that_the_first_answer_had_in_its_position_and_not_in_its_list_is_not_counted_twice() -> None:
    book, ledger = first_answer()
    whole = venue(orders=[update("x", OrderState.FILLED, 0, of=intent(lots=2))], fills=[EARLY], positions=[held(long_today=2)])
    outcome = settle(book, ledger, whole)
    assert outcome.balanced
    assert names(outcome) == ["order_venue_only", "fill_missing", "position_included"]
    assert (record_of(book, "x").filled, ledger.position(SYMBOL)) == (2, held(long_today=2))


def test_a_flat_account_whose_first_answer_was_without_a_closing_trade_heals() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    assert once(book, ledger, venue()).balanced
    closed = fill("x", "1", 1, side=Side.SELL, offset=Offset.CLOSE, ts_ns=5)
    outcome = settle(book, ledger, venue(fills=[closed]))
    assert (names(outcome)[-1], outcome.balanced, ledger.net(SYMBOL)) == ("position_included", True, 0)


@pytest.mark.parametrize(
    ("trades", "after"),
    [
        ([fill("x", "1", 2, ts_ns=LATER)], held(long_today=2)),  # a new trade, and the position is not up to it yet
        ([fill("x", "1", 2)], held(long_today=2)),  # nobody knows when
        ([EARLY], held(long_today=3)),
        ([EARLY, fill("x", "2", 1, ts_ns=6)], held(long_today=3)),  # only one of two was in it: nobody knows which
    ],
)
def test_later_trades_and_what_they_do_not_explain_whole_refuse(trades: list[BrokerFill], after: BrokerPosition) -> None:
    book, ledger = first_answer()
    outcome = settle(book, ledger, venue(fills=trades, positions=[after]))
    assert (names(outcome)[-1], outcome.balanced) == ("position_differs", False)


def test_trades_of_our_own_orders_are_never_taken_for_included() -> None:
    book, ledger = first_answer()
    book.add("a", intent(lots=2), trading_day=DAY, ts_ns=1)
    working = update("a", OrderState.FILLED, 0, of=intent(lots=2))
    outcome = settle(book, ledger, venue(orders=[working], fills=[fill("a", "1", 2, ts_ns=5)], positions=[held(long_today=2)]))
    assert (names(outcome)[-1], outcome.balanced) == ("position_differs", False)


def test_nothing_is_included_while_the_contract_is_blocked() -> None:
    book, ledger = first_answer()
    unknown = update("y", OrderState.UNKNOWN, 1, of=intent())
    outcome = settle(book, ledger, venue(orders=[unknown], fills=[EARLY], positions=[held(long_today=2)]))
    assert names(outcome)[-2:] == ["order_unknown", "position_differs"]


def test_an_order_that_was_made_of_a_trade_told_the_wrong_way_round_is_put_right() -> None:
    turned = fill("x", "1", 2, side=Side.SELL, ts_ns=5)
    book, ledger = first_answer(fills=[turned])
    assert record_of(book, "x").side is Side.SELL
    filled = update("x", OrderState.FILLED, 0, of=intent(lots=2))
    outcome = settle(book, ledger, venue(orders=[filled], fills=[EARLY], positions=[held(long_today=2)]))
    assert (names(outcome), outcome.balanced) == (["order_venue_only"], True)
    order = record_of(book, "x")
    assert (order.side, order.phase, order.filled, ledger.net(SYMBOL)) == (Side.BUY, OrderPhase.FILLED, 2, 2)


def test_a_position_is_not_first_taken_from_an_answer_that_is_without_trades_that_we_have() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    book.add("x", intent(lots=2), trading_day=DAY, ts_ns=1, adopted=True)
    book.apply_fill(EARLY, 5)
    ledger.apply_fill(EARLY)
    working = update("x", OrderState.WORKING, 2, of=intent(lots=2))
    old = settle(book, ledger, venue(orders=[working]))
    assert (names(old), old.balanced, ledger.net(SYMBOL)) == (["fill_forgotten", "position_differs"], False, 2)
    whole = settle(book, ledger, venue(orders=[working], fills=[EARLY], positions=[held(long_today=2, long_history=1)]))
    assert (names(whole), whole.balanced, ledger.net(SYMBOL)) == (["position_first"], True, 3)


def test_unknown_money_is_told() -> None:
    book, ledger = OrderBook(), PositionLedger(DAY)
    outcome = settle(book, ledger, venue(funds=msgspec.structs.replace(FUNDS, balance=float("nan"))))
    assert (names(outcome), outcome.balanced, ledger.based) == (["funds_unknown"], True, True)


PAYLOAD: dict[str, Any] = {
    "order": update("a", OrderState.WORKING, 3, of=intent(lots=3)),
    "intent": intent(lots=3),
    "fill": fill("a", "1", 1),
    "position": held(long_today=5),
}
NEEDS = {
    ActionKind.UPDATE: "order", ActionKind.OVERRULE: "order", ActionKind.ADOPT: "intent", ActionKind.TAKE_FILL: "fill",
    ActionKind.MAKE_FILL: "fill", ActionKind.TAKE_POSITION: "position",
}  # fmt: skip


@pytest.mark.parametrize("kind", ActionKind)
def test_an_action_does_what_its_kind_says_with_what_it_carries_and_nothing_else(kind: ActionKind) -> None:
    def done(**what: Any) -> bool:
        book, ledger = account()
        before = book.to_document(), ledger.to_document()
        action = Action(case=CaseName.ORDER_AGREES, kind=kind, client_order_id="x" if kind is ActionKind.ADOPT else "a", **what)
        change = apply_action(action, book, ledger, 9)
        changed = (book.to_document(), ledger.to_document()) != before
        assert change is None or change.changed == changed
        return changed

    if kind in NEEDS:
        assert done(**{NEEDS[kind]: PAYLOAD[NEEDS[kind]]})
        assert not done(**{name: value for name, value in PAYLOAD.items() if name != NEEDS[kind]})
    else:
        acts = kind not in {ActionKind.NONE, ActionKind.WAIT, ActionKind.REFUSE, ActionKind.CANCEL_AGAIN}
        assert done(trading_day="2025-06-06", **PAYLOAD) == acts


def test_an_outcome_survives_the_journal() -> None:
    book, ledger = yesterday(intent(lots=3, price=2999))
    outcome = reconcile(
        book, ledger, venue(positions=[held(long_history=2)], fills=[fill("x", "1", 1, symbol="SHFE.hc2510")]), now_ns=LATER
    )
    again = msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(outcome)), Reconciliation)
    assert again == outcome
    assert len(again.actions) > 3
