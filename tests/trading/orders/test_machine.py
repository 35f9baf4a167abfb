"""The life of an order: the table, and that truth wins whatever comes late, twice or not at all."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderState
from ghtrader.testing.order_words import DAY, SYMBOL, fill, intent, update
from ghtrader.trading.orders import ORDER_STEPS, OrderBook, OrderEvent, OrderPhase, PositionLedger
from ghtrader.trading.orders.machine import step_order, step_trade
from ghtrader.trading.words import OrderIntent

#: The table a second time, written by hand: rows are phases, columns events; . is no step.
MATRIX = """
            send  ask_cancel  ack         part        fill    cancel     reject    lose  doubt    trade       last_trade
new         sent  .           working     partial     filled  cancelled  rejected  lost  unknown  partial     filled
sent        .     cancelling  working     partial     filled  cancelled  rejected  lost  unknown  partial     filled
working     .     cancelling  .           partial     filled  cancelled  rejected  .     unknown  partial     filled
partial     .     cancelling  .           partial     filled  cancelled  .         .     unknown  partial     filled
cancelling  .     cancelling  cancelling  cancelling  filled  cancelled  rejected  lost  unknown  cancelling  filled
unknown     sent  unknown     working     partial     filled  cancelled  rejected  lost  .        unknown     filled
filled      .     .           .           .           .       .          .         .     .        filled      filled
cancelled   .     .           .           .           .       .          .         .     .        cancelled   filled
rejected    .     .           .           .           .       .          .         .     .        unknown     filled
lost        .     .           working     partial     filled  cancelled  rejected  .     .        unknown     filled
"""


def test_the_table_is_the_one_that_was_meant() -> None:
    head, *rows = [line.split() for line in MATRIX.strip().splitlines()]
    meant = {
        (OrderPhase(phase), OrderEvent(event)): OrderPhase(to)
        for phase, *cells in rows
        for event, to in zip(head, cells, strict=True)
        if to != "."
    }
    assert meant == ORDER_STEPS
    assert [row[0] for row in rows] == [phase.value for phase in OrderPhase]


def book_with(lots: int = 3, *, sent: bool = True) -> OrderBook:
    book = OrderBook()
    book.add("a", intent(lots=lots), trading_day=DAY, ts_ns=1)
    if sent:
        book.mark_sent("a", 2)
    return book


def tell(book: OrderBook, state: OrderState, left: int, ts_ns: int = 5) -> str:
    """Apply an update; what the order then is, or why nothing changed."""
    change = book.apply_update(update("a", state, left, of=intent(lots=3), number="n1"), ts_ns)
    assert change.order is not None
    return change.order.phase.value if change.changed else change.note or "same"


@pytest.mark.parametrize(
    ("words", "phase", "in_flight"),
    [
        ([("sent", 3)], "sent", 3),
        ([("working", 3)], "working", 3),
        ([("working", 2)], "partial", 3),
        ([("filled", 0)], "filled", 3),
        ([("filled", 2)], "filled", 3),
        ([("cancelled", 3)], "cancelled", 0),
        ([("cancelled", 1)], "cancelled", 2),
        ([("rejected", 3)], "rejected", 0),
        ([("working", 2), ("rejected", 2)], "cancelled", 1),
        ([("lost", 3)], "lost", 0),
        ([("working", 3), ("lost", 3)], "working", 3),
        ([("working", 3), ("unknown", 3), ("lost", 3)], "unknown", 3),
        ([("working", 3), ("sent", 3)], "working", 3),
        ([("working", 1), ("working", 2)], "partial", 3),
        ([("working", 1), ("cancelled", 3)], "cancelled", 2),
        ([("unknown", 3), ("sent", 3)], "sent", 3),
        ([("lost", 3), ("working", 3)], "working", 3),
        ([("cancelled", 3), ("working", 3)], "cancelled", 0),
        ([("filled", 0), ("cancelled", 2)], "filled", 3),
    ],
)
def test_what_the_venue_says_makes_of_an_order(words: list[tuple[str, int]], phase: str, in_flight: int) -> None:
    book = book_with()
    for state, left in words:
        tell(book, OrderState(state), left)
    order = book.get("a")
    assert order is not None
    assert (order.phase.value, order.in_flight) == (phase, in_flight)
    assert book.in_flight(SYMBOL) == (in_flight, 0)


def test_a_repeated_word_is_the_same_and_an_old_one_is_stale() -> None:
    book = book_with()
    assert [tell(book, OrderState.WORKING, left) for left in (3, 3, 2, 2, 3)] == ["working", "same", "partial", "same", "stale"]
    assert [tell(book, OrderState.SENT, 3), tell(book, OrderState.CANCELLED, 2), tell(book, OrderState.CANCELLED, 2)] == [
        "stale",
        "cancelled",
        "same",
    ]
    assert tell(book, OrderState.WORKING, 2) == "stale"
    order = book.get("a")
    assert order is not None
    assert (order.exchange_order_id, order.awaited, order.updated_ns, order.sent_ns, order.created_ns) == ("n1", 1, 5, 2, 1)


def test_a_cancel_that_was_asked_for_stays_asked_for_over_doubt() -> None:
    book = book_with()
    assert book.ask_cancel("a", 3).changed
    assert tell(book, OrderState.WORKING, 3) == "cancelling"
    assert tell(book, OrderState.UNKNOWN, 3) == "unknown"
    assert tell(book, OrderState.WORKING, 2) == "cancelling"
    assert tell(book, OrderState.UNKNOWN, 2) == "unknown"
    assert tell(book, OrderState.WORKING, 2) == "cancelling"
    assert tell(book, OrderState.LOST, 3) == "stale"


def test_an_order_settles_once_and_with_all_its_trades() -> None:
    book = book_with()
    assert not book.apply_update(update("a", OrderState.FILLED, 0, of=intent(lots=3)), 5).settled
    assert [book.apply_fill(fill("a", trade, 1), 6).settled for trade in ("1", "2", "2", "3", "3")] == [
        False,
        False,
        False,
        True,
        False,
    ]
    assert book.working(SYMBOL) == ()
    order = book.get("a")
    assert order is not None
    assert (order.filled, order.average_price, order.is_settled) == (3, 3000.0, True)


def test_trades_after_the_end_still_count() -> None:
    book = book_with()
    assert book.apply_update(update("a", OrderState.CANCELLED, 3, of=intent(lots=3)), 5).settled
    late = book.apply_fill(fill("a", "1", 1), 6)
    assert (late.changed, late.settled, late.note) == (True, False, "late_trade")
    book.apply_fill(fill("a", "2", 1), 6)
    last = book.apply_fill(fill("a", "3", 2), 7)
    assert last.order is not None
    assert (last.note, last.order.phase, last.order.filled) == ("overfilled", OrderPhase.FILLED, 4)


def test_an_order_thought_lost_that_trades_is_unknown_again() -> None:
    for state in (OrderState.LOST, OrderState.REJECTED):
        book = book_with()
        tell(book, state, 3)
        change = book.apply_fill(fill("a", "1", 1), 6)
        assert change.order is not None
        assert (change.order.phase, book.in_flight(SYMBOL), change.note) == (OrderPhase.UNKNOWN, (2, 0), "late_trade")


def test_trades_that_contradict_their_order_are_not_applied() -> None:
    book = book_with()
    for odd in (fill("a", "1", 0), fill("a", "1", 1, side=Side.SELL), fill("a", "1", 1, symbol="SHFE.hc2510")):
        change = book.apply_fill(odd, 3)
        assert (change.changed, change.note) == (False, "contradiction")
    assert book.apply_fill(fill("b", "1"), 3).note == "unknown_order"
    assert book.apply_update(update("b", OrderState.WORKING, 1), 3).note == "unknown_order"


def test_a_submit_that_failed_is_lost_only_when_it_never_left() -> None:
    book = book_with()
    change = book.submit_failed("a", never_sent=False, ts_ns=3, message="link")
    assert change.order is not None
    assert (change.order.phase, change.order.message, change.settled) == (OrderPhase.UNKNOWN, "link", False)
    assert book.submit_failed("a", never_sent=True, ts_ns=4).settled
    seen = book_with()
    tell(seen, OrderState.WORKING, 3)
    assert seen.submit_failed("a", never_sent=True, ts_ns=4).note == "contradiction"


def test_a_link_that_is_down_makes_all_but_new_and_ended_orders_unknown() -> None:
    book = OrderBook()
    for name in ("new", "sent", "working", "done"):
        book.add(name, intent(lots=3), trading_day=DAY, ts_ns=1)
        if name != "new":
            book.mark_sent(name, 2)
    book.apply_update(update("working", OrderState.WORKING, 3, of=intent(lots=3)), 3)
    book.apply_update(update("done", OrderState.FILLED, 0, of=intent(lots=3)), 3)
    assert [order.client_order_id for order in book.doubt_all(9)] == ["sent", "working"]
    assert book.doubt_all(10) == ()
    assert book.in_flight(SYMBOL) == (12, 0)


def test_ids_are_unique_and_lots_positive() -> None:
    book = book_with()
    for name, lots in (("a", 1), ("", 1), ("b", 0), ("b", -1)):
        with pytest.raises(UsageError):
            book.add(name, intent(lots=lots), trading_day=DAY, ts_ns=1)
    for ask in (book.mark_sent, book.ask_cancel, book.expire):
        with pytest.raises(UsageError):
            ask("b", 1)
    assert len(book) == 1


def test_the_end_of_its_day_is_noted_of_an_order_that_was_over_and_ends_one_that_was_not() -> None:
    book = book_with()
    book.add("b", intent(), trading_day=DAY, ts_ns=1)
    book.submit_failed("b", never_sent=True, ts_ns=2)
    assert not any(order.day_over for order in book.orders())
    ended, noted = book.expire("a", 9), book.expire("b", 9)
    assert (ended.changed, ended.settled, noted.changed, noted.settled) == (True, True, True, False)
    assert [(order.phase.value, order.day_over, order.updated_ns) for order in book.orders()] == [
        ("cancelled", True, 9), ("lost", True, 2),
    ]  # fmt: skip
    assert (book.expire("a", 10).changed, book.expire("b", 10).changed) == (False, False)


@pytest.mark.parametrize(
    ("adopted", "wanted", "becomes"),
    [
        (True, intent(lots=3), (3, Side.BUY, 1, "unknown")),
        (True, intent(Side.SELL, 2), (2, Side.SELL, 0, "filled")),
        (True, intent(lots=1), None),
        (False, intent(lots=3), None),
    ],
)
def test_only_an_adopted_order_grows_or_turns_round(adopted: bool, wanted: OrderIntent, becomes: tuple | None) -> None:
    book = OrderBook()
    book.add("x", intent(lots=2), trading_day=DAY, ts_ns=1, adopted=adopted)
    book.apply_fill(fill("x", "1", 2), 2)
    change = book.enlarge("x", wanted, 9)
    assert (change.changed, change.note) == (becomes is not None, "" if becomes else "stale")
    order = book.orders()[0]
    assert (order.lots, order.side, order.left, order.phase.value) == (becomes or (2, Side.BUY, 0, "filled"))


def test_a_book_forgets_what_settled_two_trading_days_ago() -> None:
    book = OrderBook()
    for day in ("2025-06-03", "2025-06-04", "2025-06-05"):
        for name in ("done", "open"):
            book.add(f"{day} {name}", intent(), trading_day=day, ts_ns=1)
        book.submit_failed(f"{day} done", never_sent=True, ts_ns=2)
    assert book.begin_day("2025-06-05") == 1
    assert [order.client_order_id for order in book.orders()] == [
        "2025-06-03 open",
        "2025-06-04 done",
        "2025-06-04 open",
        "2025-06-05 done",
        "2025-06-05 open",
    ]
    assert book.begin_day("2025-06-05") == 0


def test_a_document_gives_the_same_book_again() -> None:
    book = book_with()
    tell(book, OrderState.WORKING, 2)
    book.apply_fill(fill("a", "1", 1), 6)
    book.add("b", intent(Side.SELL, 2), trading_day=DAY, ts_ns=1)
    again = OrderBook.from_document(book.to_document())
    assert again.orders() == book.orders()
    assert again.in_flight(SYMBOL) == book.in_flight(SYMBOL) == (2, 2)
    again.mark_sent("b", 3)
    assert again.orders() != book.orders()


# --- laws -------------------------------------------------------------------------------------------------------------------
@st.composite
def lives(draw: st.DrawFn) -> tuple[int, list[int], str, list[BrokerOrder | BrokerFill]]:
    """A true life at the venue: lots asked, trades, the end, and everything the venue says of it, once each and in order."""
    lots = draw(st.integers(1, 6))
    traded = draw(st.lists(st.integers(1, 3), max_size=4))
    while sum(traded) > lots:
        traded.pop()
    total = sum(traded)
    ends = ["filled"] if total == lots else ["cancelled"] if traded else ["cancelled", "rejected", "lost"]
    end = draw(st.sampled_from(ends))
    wanted, said, left = intent(lots=lots), [], lots
    if end != "lost":
        said.append(update("a", OrderState.SENT, lots, of=wanted))
        if end != "rejected":
            said.append(update("a", OrderState.WORKING, lots, of=wanted))
    for number, count in enumerate(traded):
        left -= count
        said.append(fill("a", str(number), count))
        if left:
            said.append(update("a", OrderState.WORKING, left, of=wanted))
    said.append(update("a", OrderState(end), left, of=wanted))
    return lots, traded, end, said


@settings(max_examples=200, deadline=None)
@given(life=lives(), data=st.data())
def test_whatever_comes_late_twice_or_reordered_the_truth_is_reached_and_nothing_is_under_counted(life, data) -> None:  # type: ignore[no-untyped-def]
    lots, traded, end, said = life
    doubled = said + data.draw(
        st.lists(st.sampled_from([*said, update("a", OrderState.UNKNOWN, lots, of=intent(lots=lots))]), max_size=4)
    )
    order_of_arrival = data.draw(st.permutations(doubled))
    book, ledger = book_with(lots), PositionLedger(DAY)
    settled, seen = 0, Counter()
    for ts_ns, word in enumerate(order_of_arrival, 10):
        before = book.get("a")
        if isinstance(word, BrokerFill):
            change = book.apply_fill(word, ts_ns)
            seen[word.trade_id] = word.lots
            assert change.changed == (word.trade_id not in before.trade_ids)
            if change.changed:
                ledger.apply_fill(word)
        else:
            change = book.apply_update(word, ts_ns)
        settled += change.settled
        record = book.get("a")
        assert ledger.net(SYMBOL) == record.filled == sum(seen.values())
        assert record.filled + record.in_flight >= sum(traded)
        assert book.in_flight(SYMBOL) == (record.in_flight, 0)
        assert 0 <= record.left <= lots - record.filled
        if not change.changed:
            assert record == before
    assert (record.is_settled, record.filled) == (True, sum(traded))
    assert settled == 1
    assert record.phase.value == end


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(OrderEvent), max_size=12), st.integers(1, 4))
def test_no_sequence_of_events_reaches_an_illegal_state(events: list[OrderEvent], lots: int) -> None:
    book = OrderBook()
    record = book.add("a", intent(lots=lots), trading_day=DAY, ts_ns=0).order
    assert record is not None
    for number, event in enumerate(events):
        before = record
        if event in (OrderEvent.TRADE, OrderEvent.LAST_TRADE):
            count = 1 if event is OrderEvent.TRADE else max(1, lots - record.filled)
            record = step_trade(record, str(number), count, 1.0, number)
        else:
            record = step_order(record, event, number) or record
        assert record.in_flight >= 0
        assert record.left >= 0
        assert record.filled >= before.filled
        assert record.is_settled == (record.phase.is_final and record.in_flight == 0)
        if before.phase is OrderPhase.FILLED:
            assert record.phase is OrderPhase.FILLED
        if not record.phase.is_final:
            assert record.in_flight == max(0, lots - record.filled)
