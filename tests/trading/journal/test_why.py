"""Orders as the journal tells them, and why each came to be."""

from __future__ import annotations

import math

import pytest
from tests.trading.journal.market_day import SYMBOL, T0, Book, busy_book, fill, intent, one_order, order, target

from ghtrader.core.errors import DataError
from ghtrader.ports.broker import OrderState
from ghtrader.testing.trading_stores import MemoryJournalStore
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.orders import JournalOrder, OrderTale
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, readable
from ghtrader.trading.journal.why import TargetCause, TickCause, VerdictCause, explain
from ghtrader.trading.reconcile.actions import Action, Reconciliation
from ghtrader.trading.reconcile.cases import ActionKind, CaseName


def told(book: Book) -> dict[str, JournalOrder]:
    return {item.order_id: item for item in OrderTale().read_all(book.records).orders()}


def stored(book: Book) -> JournalRecords:
    """The same records, read back from bytes."""
    store = MemoryJournalStore()
    journal = Journal(store, "demo")
    journal.append(book.records)
    journal.close()
    return JournalRecords(store)


def test_what_became_of_each_order() -> None:
    found = told(busy_book())
    assert list(found) == ["o1", "o2", "o3"]
    assert found["o1"] == JournalOrder(
        order_id="o1", symbol=SYMBOL, side=1, offset="open", lots=2, price_ticks=2990, origin="strategy", state="filled",
        first_seq=5, intended_ns=T0 + 5_000_000, sent_ns=T0 + 6_000_000, last_ns=T0 + 12_000_000, exchange_order_id="X7",
        fills=2, lots_filled=2,
    )  # fmt: skip
    assert not found["o1"].is_open
    assert found["o2"] == JournalOrder(
        order_id="o2", symbol=SYMBOL, side=1, offset="open", lots=3, price_ticks=2990, origin="command", state="intended",
        first_seq=10, intended_ns=T0 + 10_000_000, sent_ns=0, last_ns=T0 + 10_000_000,
    )  # fmt: skip
    assert found["o2"].is_open
    assert (found["o3"].state, found["o3"].is_open, found["o3"].message) == ("lost", False, "no margin")


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        (OrderState.SENT, True), (OrderState.WORKING, True), (OrderState.UNKNOWN, True), (OrderState.FILLED, False),
        (OrderState.CANCELLED, False), (OrderState.REJECTED, False), (OrderState.LOST, False),
    ],
)  # fmt: skip
def test_an_order_is_open_until_the_venue_said_its_last_word(state: OrderState, is_open: bool) -> None:
    book = Book()
    _, sent = one_order(book)
    book.put(RecordKind.ORDER_UPDATE, sent, order=order("o1", state, message="said"))
    found = told(book)["o1"]
    assert (found.state, found.is_open, found.message, found.symbol, found.offset, found.side) == (
        state.value, is_open, "said", SYMBOL, "close", -1,
    )  # fmt: skip


def test_what_is_final_stays_so() -> None:
    book = Book()
    _, sent = one_order(book)
    book.put(RecordKind.ORDER_UPDATE, sent, order=order("o1", OrderState.CANCELLED, number="X1"))
    book.put(RecordKind.ORDER_UPDATE, sent, order=order("o1", OrderState.WORKING))
    book.put(RecordKind.ORDER_SENT, sent, client_order_id="o1")
    assert (told(book)["o1"].state, told(book)["o1"].exchange_order_id) == ("cancelled", "X1")


def test_an_order_that_works_goes_on_working_after_a_trade_of_a_part() -> None:
    book = Book()
    _, sent = one_order(book)
    assert told(book)["o1"].lots == 2
    for state in (OrderState.SENT, OrderState.WORKING):
        book.put(RecordKind.ORDER_UPDATE, sent, order=order("o1", state))
    book.put(RecordKind.FILL, sent, fill=fill("o1", "t1", 1))
    assert (told(book)["o1"].state, told(book)["o1"].lots_filled) == ("working", 1)


def test_an_order_that_only_the_venue_knew_is_told_by_its_fills() -> None:
    book = Book()
    book.put(RecordKind.FILL, fill=fill("venue-1", "t1", 3))
    book.put(RecordKind.ORDER_UPDATE, order=order("venue-2", OrderState.WORKING))
    found = told(book)
    assert found["venue-1"] == JournalOrder(
        order_id="venue-1", symbol=SYMBOL, side=1, offset="open", lots=0, price_ticks=None, origin="", state="unknown",
        first_seq=1, intended_ns=0, sent_ns=0, last_ns=T0 + 1_000_000, fills=1, lots_filled=3,
    )  # fmt: skip
    assert found["venue-1"].is_open
    assert found["venue-2"] == JournalOrder(
        order_id="venue-2", symbol=SYMBOL, side=-1, offset="close", lots=2, price_ticks=None, origin="", state="working",
        first_seq=2, intended_ns=0, sent_ns=0, last_ns=T0 + 2_000_000,
    )  # fmt: skip


def test_a_submission_that_failed_halfway_is_unknown() -> None:
    book = Book()
    _, sent = one_order(book)
    book.put(RecordKind.ORDER_UPDATE, sent, client_order_id="o1", never_sent=False, message="timeout")
    assert (told(book)["o1"].state, told(book)["o1"].is_open) == ("unknown", True)


def test_orders_die_with_their_trading_day() -> None:
    book = Book()
    book.put(RecordKind.ORDER_UPDATE, order=order("early", OrderState.WORKING))
    book.put(RecordKind.DAY, trading_day="2025-06-05")
    one_order(book, "o1")
    one_order(book, "o2")
    book.put(RecordKind.ORDER_UPDATE, order=order("o2", OrderState.CANCELLED))
    book.put(RecordKind.DAY, trading_day="2025-06-05")
    assert [item.is_open for item in told(book).values()] == [True, True, False]
    book.put(RecordKind.DAY, trading_day="2025-06-06")
    assert [(item.is_open, item.day_over, item.state) for item in told(book).values()] == [
        (False, True, "working"), (False, True, "sent"), (False, False, "cancelled"),
    ]  # fmt: skip
    one_order(book, "o3")
    assert told(book)["o3"].is_open


def reconciled(book: Book, *actions: Action, day: str = "2025-06-05") -> None:
    outcome = Reconciliation(trading_day=day, actions=actions, differences=(), balanced=True)
    book.put(RecordKind.RECONCILE, outcome=outcome, terms={})


@pytest.mark.parametrize(
    ("kind", "state", "is_open"),
    [
        (ActionKind.LOSE, "lost", False), (ActionKind.DOUBT, "unknown", True), (ActionKind.EXPIRE, "cancelled", False),
        (ActionKind.MISS, "unknown", True),
        (ActionKind.WAIT, "sent", True), (ActionKind.CANCEL_AGAIN, "sent", True),
    ],
)  # fmt: skip
def test_what_reconciliation_decides_of_an_order_counts(kind: ActionKind, state: str, is_open: bool) -> None:
    book = Book()
    one_order(book)
    reconciled(book, Action(case=CaseName.ORDER_FORGOTTEN, kind=kind, client_order_id="o1"))
    assert (told(book)["o1"].state, told(book)["o1"].is_open) == (state, is_open)
    reconciled(Book(), Action(case=CaseName.ORDER_FORGOTTEN, kind=kind, client_order_id="stranger"))
    assert list(told(book)) == ["o1"]


def test_the_end_of_its_day_leaves_an_order_that_is_over_as_it_was_unless_a_trade_was_made_of_it() -> None:
    book = Book()
    one_order(book)
    over = Action(case=CaseName.ORDER_EXPIRED, kind=ActionKind.EXPIRE, client_order_id="o1")
    reconciled(book, Action(case=CaseName.ORDER_LOST, kind=ActionKind.LOSE, client_order_id="o1"))
    reconciled(book, over)
    assert told(book)["o1"].state == "lost"
    proven = Action(case=CaseName.POSITION_EXPLAINED, kind=ActionKind.MAKE_FILL, client_order_id="o1", fill=fill("o1", "t", 1))
    reconciled(book, proven, over)
    assert (told(book)["o1"].state, told(book)["o1"].lots_filled) == ("cancelled", 1)


def test_an_action_that_lacks_what_it_is_about_says_nothing_of_an_order() -> None:
    book = Book()
    one_order(book)
    before = told(book)
    for kind in (ActionKind.UPDATE, ActionKind.OVERRULE, ActionKind.ADOPT, ActionKind.WAIT):
        reconciled(book, Action(case=CaseName.ORDER_BEHIND, kind=kind, client_order_id="o1"))
    reconciled(book, Action(case=CaseName.ORDER_YOUNG, kind=ActionKind.WAIT, client_order_id="v1", intent=intent()))
    reconciled(
        book,
        Action(case=CaseName.ORDER_AGREES, kind=ActionKind.NONE, client_order_id="v2", order=order("v2", OrderState.WORKING)),
    )
    reconciled(book, Action(case=CaseName.ORDER_VENUE_ONLY, kind=ActionKind.ADOPT, client_order_id="v3"))
    assert told(book) == before


def test_what_reconciliation_learns_from_the_venue_counts() -> None:
    book = Book()
    one_order(book)
    working = order("o1", OrderState.WORKING, number="X3")
    reconciled(book, Action(case=CaseName.ORDER_BEHIND, kind=ActionKind.UPDATE, client_order_id="o1", order=working))
    assert (told(book)["o1"].state, told(book)["o1"].exchange_order_id) == ("working", "X3")
    trade = fill("o1", "t1", 2)
    reconciled(book, Action(case=CaseName.FILL_MISSING, kind=ActionKind.TAKE_FILL, client_order_id="o1", fill=trade))
    book.put(RecordKind.FILL, fill=trade)
    assert (told(book)["o1"].state, told(book)["o1"].fills) == ("filled", 1)
    reconciled(book, Action(case=CaseName.ORDER_BEHIND, kind=ActionKind.UPDATE, client_order_id="o1", order=working))
    assert told(book)["o1"].state == "filled"
    reconciled(book, Action(case=CaseName.ORDER_CONTRADICTS, kind=ActionKind.OVERRULE, client_order_id="o1", order=working))
    assert told(book)["o1"].state == "working"
    adopted = Action(case=CaseName.ORDER_VENUE_ONLY, kind=ActionKind.ADOPT, client_order_id="v1", intent=intent(7), order=working)
    reconciled(book, adopted, adopted)
    assert (told(book)["v1"].lots, told(book)["v1"].state, told(book)["v1"].is_open) == (7, "intended", True)
    reconciled(book, Action(case=CaseName.ORDER_BEHIND, kind=ActionKind.UPDATE, client_order_id="v1", order=working), adopted)
    assert told(book)["v1"].state == "working"
    reconciled(book, Action(case=CaseName.DAY_CHANGED, kind=ActionKind.ROLL_DAY, trading_day="2025-06-06"), day="2025-06-06")
    assert {item.is_open for item in told(book).values()} == {False}


@pytest.mark.parametrize("read_back", [False, True], ids=["new", "read back"])
def test_the_chain_goes_from_the_tick_to_the_fills(read_back: bool) -> None:
    book = busy_book()
    chain = explain(stored(book) if read_back else book.records, "o1")
    assert chain.order == told(book)["o1"]
    assert (chain.root, chain.missing) == ("target", [])
    assert chain.tick == TickCause(seq=77, ts_ns=T0, symbol=SYMBOL)
    assert chain.factors["F1"] == 0.5
    assert math.isnan(chain.factors["F2"])
    assert (chain.score, chain.model_hash, chain.factor_set_hash) == (0.25, "m1", "f1")
    assert chain.target == TargetCause(symbol=SYMBOL, lots=2, style="chase", session="s1", seq=9, sent_ns=T0 + 5, note="up")
    assert chain.verdict == VerdictCause(approved=True, reason="", message="", near=[{"rule": "max_order_lots", "share": 0.9}])
    assert [link.seq for link in chain.links] == [3, 4, 5, 6, 8, 9, 11, 12, 15]
    assert [link.cause for link in chain.links] == [0, 3, 4, 5, 6, 6, 6, 6, 4]
    assert [link.kind for link in chain.links] == [
        "target", "verdict", "order_intent", "order_sent", "order_update", "fill", "fill", "fill", "near_miss",
    ]  # fmt: skip
    assert chain.links[0].body["target"]["execution"]["style"] == "chase"
    assert chain.links[0].ts_ns == T0 + 3_000_000


def test_an_order_of_a_command_has_no_tick_and_says_what_is_missing() -> None:
    chain = explain(busy_book().records, "o2")
    assert (chain.root, chain.tick, chain.score, chain.factors, chain.target, chain.verdict) == (
        "command",
        None,
        None,
        {},
        None,
        None,
    )
    assert chain.missing == ["verdict", "order_sent"]
    assert [link.seq for link in chain.links] == [7, 10]


def test_an_operators_target_is_no_target_of_the_strategy() -> None:
    book = Book()
    command = book.put(RecordKind.COMMAND, command={})
    wanted = book.put(RecordKind.TARGET, command, held={"contract": SYMBOL, "lots": 1}, refused="")
    one_order(book, "o1", root=wanted)
    chain = explain(book.records, "o1")
    assert (chain.root, chain.target, chain.tick) == ("command", None, None)


def test_a_verdict_that_stands_beside_the_chain_is_found_by_the_order() -> None:
    book = Book()
    first = book.put(RecordKind.TARGET, target=target(-1))
    wanted = book.put(RecordKind.ORDER_INTENT, first, client_order_id="o1", intent={"symbol": SYMBOL, "side": -1, "offset": "open",
        "lots": 1, "price_ticks": 1, "kind": 0, "origin": "strategy"})  # fmt: skip
    book.put(RecordKind.VERDICT, wanted, approved=False, reason="stale_feed", message="old", client_order_id="o1")
    chain = explain(book.records, "o1")
    assert chain.verdict == VerdictCause(approved=False, reason="stale_feed", message="old")
    assert (chain.root, chain.missing) == ("target", ["order_sent"])


def test_a_kill_is_the_root_of_its_own_orders_and_other_orders_stay_out() -> None:
    book = busy_book()
    kill = book.put(RecordKind.KILL, record={"kill_id": "kill-demo-2"})
    one_order(book, "k1", root=kill)
    chain = explain(book.records, "k1")
    assert (chain.root, chain.target) == ("kill", None)
    assert [link.seq for link in chain.links] == [kill, kill + 1, kill + 2, kill + 3]


def test_what_reconciliation_did_to_an_order_belongs_to_its_chain() -> None:
    book = busy_book()
    book.put(RecordKind.RECONCILE, outcome={"actions": [{"kind": "adopt_fill", "orders": ["o9", "o1"]}]})
    book.put(RecordKind.DIFFERENCE, by_order={"o1": "state"})
    book.put(RecordKind.RECONCILE, outcome={"actions": [{"orders": ["o2"]}]})
    book.put(RecordKind.NOTE, text="o1")
    assert [link.seq for link in explain(book.records, "o1").links][-2:] == [len(book.records) - 3, len(book.records) - 2]


def test_an_order_that_only_reconciliation_met_has_a_chain_of_its_own() -> None:
    book = busy_book()
    adopted = Action(case=CaseName.ORDER_VENUE_ONLY, kind=ActionKind.ADOPT, client_order_id="v1", intent=intent(7))
    other = Action(case=CaseName.ORDER_VENUE_ONLY, kind=ActionKind.ADOPT, client_order_id="v2", intent=intent(8))
    reconciled(book, other, adopted)
    chain = explain(book.records, "v1")
    assert (chain.order.order_id, chain.order.lots, chain.order.state, chain.root) == ("v1", 7, "intended", "reconcile")
    assert [link.kind for link in chain.links] == ["reconcile"]
    book.put(RecordKind.DAY, trading_day="2025-06-06")
    assert explain(book.records, "v1").order.day_over


def test_an_order_that_is_only_asked_to_be_cancelled_is_told_all_the_same() -> None:
    book = Book()
    book.put(RecordKind.CANCEL_SENT, client_order_id="ghost", why="kill")
    chain = explain(book.records, "ghost")
    assert chain.order == JournalOrder(
        order_id="ghost", symbol="", side=0, offset="", lots=0, price_ticks=None, origin="", state="unknown",
        first_seq=1, intended_ns=0, sent_ns=0, last_ns=T0 + 1_000_000,
    )  # fmt: skip
    assert chain.root == "cancel_sent"
    book.put(RecordKind.RECONCILE, symbol=SYMBOL, orders=["other"])
    assert explain(book.records, "other").order.symbol == SYMBOL


def test_an_unknown_order_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="knows no order 'o11'") as caught:
        explain(busy_book().records, "o11")
    assert caught.value.hint == "did you mean o1?"
    assert explain(busy_book().records, "o1").order.order_id == "o1"
    with pytest.raises(DataError) as caught:
        explain([], "o1")
    assert caught.value.hint == "ghtrader journal list"


def test_a_cause_that_is_not_there_ends_the_chain() -> None:
    book = Book()
    book.put(RecordKind.ORDER_INTENT, 40, client_order_id="o1", intent=busy_book().records[4].body["intent"])
    chain = explain(book.records, "o1")
    assert (chain.root, [link.seq for link in chain.links]) == ("order_intent", [1])


def test_which_order_a_record_is_about() -> None:
    def about(**body: object) -> str:
        return order_id_of(Record(1, 0, 0, RecordKind.NOTE, body))

    assert about(client_order_id="a") == "a"
    assert about(order={"request": {"client_order_id": "b"}}) == "b"
    assert about(order=order("c", OrderState.SENT)) == "c"
    assert about(fill=fill("d", "t", 1)) == "d"
    assert about(fill={"client_order_id": "e"}) == "e"
    assert about() == about(order={"request": 3}) == about(order="x") == about(client_order_id=7) == ""


def test_only_targets_change_for_reading() -> None:
    record = Record(1, 0, 0, RecordKind.NOTE, {"target": ["a"], "fill": fill("d", "t", 1)})
    assert readable(record)["target"] == ["a"]
    assert readable(record)["fill"]["trade_id"] == "t"
    assert readable(Record(1, 0, 0, RecordKind.TARGET, {"target": target()}))["target"]["factors"]["F1"] == 0.5
    assert readable(Record(1, 0, 0, RecordKind.TARGET, {"refused": True})) == {"refused": True}
