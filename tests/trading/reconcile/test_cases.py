"""Every case of reconciliation, one by one."""

from __future__ import annotations

from typing import Any

from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import AccountFunds, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, update
from ghtrader.trading.orders import OrderBook, OrderPhase, PositionLedger
from ghtrader.trading.reconcile import LOST_AFTER_NS, CaseName, Reconciliation, VenueSnapshot, apply_reconciliation, reconcile

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


def settle(book: OrderBook, ledger: PositionLedger, snapshot: VenueSnapshot, now_ns: int = LATER) -> Reconciliation:
    """Reconcile, do it, and see that doing it again changes nothing."""
    outcome = reconcile(book, ledger, snapshot, now_ns=now_ns)
    apply_reconciliation(outcome, book, ledger, now_ns)
    documents = book.to_document(), ledger.to_document()
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
    lost = settle(book, ledger, venue(), now_ns=2 + LOST_AFTER_NS)
    assert (names(lost), lost.balanced, phase(book)) == (["order_lost"], True, OrderPhase.LOST)
