"""Who trades a contract: claims, direct orders, timers, documents."""

from __future__ import annotations

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.core.orders import OrderKind, Side
from ghtrader.testing.order_words import DAY, SYMBOL, fill, held, intent, market
from ghtrader.trading.execution import (
    CancelWorking,
    DirectState,
    Done,
    ExecutorState,
    ExecutorTable,
    ExecView,
    OrderDone,
    Place,
    PlaceRefused,
    Stop,
    TargetChanged,
    Tick,
    Timer,
    start_direct,
)
from ghtrader.trading.orders import OrderBook, OrderPhase

OTHER = "SHFE.hc2510"
CHASE = TargetChanged(lots=1, execution=ExecutionStyle(style=Style.CHASE, patience_ns=50))


def view(book: OrderBook | None = None, *, symbol: str = SYMBOL, lots: int = 0, now_ns: int = 100) -> ExecView:
    working = () if book is None else book.working(symbol)
    return ExecView(held=held(symbol, long_today=lots), working=working, market=market(symbol=symbol), now_ns=now_ns)


def book_with(wanted: object, name: str = "a") -> OrderBook:
    book = OrderBook()
    book.add(name, wanted, trading_day=DAY, ts_ns=1)
    return book


def test_a_contract_belongs_to_whoever_claimed_it_first() -> None:
    table = ExecutorTable()
    assert table.claim(SYMBOL, "kill")
    assert table.claim(SYMBOL, "kill")
    assert not table.claim(SYMBOL, "roll")
    assert not table.accepts_target(SYMBOL)
    assert table.step(SYMBOL, CHASE, view()) == ()
    assert table.place(intent(), view()) is None
    table.release(SYMBOL, "roll")
    assert table.owner(SYMBOL) == "kill"
    table.release(SYMBOL, "kill")
    assert (table.owner(SYMBOL), table.accepts_target(SYMBOL), table.get(SYMBOL)) == ("", True, None)


def test_a_target_holds_its_contract_until_it_is_done() -> None:
    table = ExecutorTable()
    assert table.step(SYMBOL, Tick(), view()) == ()
    placed = table.step(SYMBOL, CHASE, view())
    assert [type(effect) for effect in placed] == [Place]
    assert (table.owner(SYMBOL), table.symbols(), table.wake_ns(), table.due(149), table.due(150)) == (
        "target",
        (SYMBOL,),
        150,
        (),
        (SYMBOL,),
    )
    assert isinstance(table.get(SYMBOL), ExecutorState)
    assert table.accepts_target(SYMBOL)
    assert table.place(intent(), view()) is None
    assert [type(effect) for effect in table.step(SYMBOL, Tick(), view(lots=1))] == [Done]
    assert (table.owner(SYMBOL), table.symbols(), table.wake_ns(), table.due(1 << 60)) == ("", (), 0, ())


def test_the_earliest_timer_of_several_contracts_is_told() -> None:
    table = ExecutorTable()
    table.step(SYMBOL, CHASE, view(now_ns=200))
    table.step(OTHER, CHASE, view(symbol=OTHER, now_ns=100))
    assert (table.wake_ns(), table.due(150), table.due(250), table.symbols()) == (150, (OTHER,), (OTHER, SYMBOL), (OTHER, SYMBOL))


def test_a_direct_order_is_placed_once_and_holds_its_contract_to_its_end() -> None:
    table, wanted = ExecutorTable(), intent(lots=3)
    assert table.place(wanted, view()) == (Place(intent=wanted),)
    book = book_with(wanted)
    assert table.place(wanted, view(book)) is None
    assert isinstance(table.get(SYMBOL), DirectState)
    assert table.step(SYMBOL, CHASE, view(book)) == ()
    assert (table.owner(SYMBOL), table.accepts_target(SYMBOL), table.symbols()) == ("direct", False, (SYMBOL,))
    for quiet in (Tick(), Timer()):
        assert table.step(SYMBOL, quiet, view(book)) == ()
    assert table.step(SYMBOL, Stop(), view(book)) == (CancelWorking(client_order_id="a", reason="stopped"),)
    assert table.step(SYMBOL, Stop(), view(book)) == ()
    done = table.step(SYMBOL, OrderDone(client_order_id="a", phase=OrderPhase.CANCELLED, filled=1), view(lots=1))
    assert [(effect.reason.value, effect.missing) for effect in done if isinstance(effect, Done)] == [("stopped", 2)]
    assert (table.owner(SYMBOL), table.get(SYMBOL)) == ("", None)


def test_how_a_direct_order_ends_is_told() -> None:
    sells = intent(Side.SELL, 2, kind=OrderKind.FAK)
    for event, lots, expected in (
        (PlaceRefused(reason="x"), 0, ("refused", -2)),
        (OrderDone(client_order_id="a", phase=OrderPhase.FILLED, filled=2), -2, ("reached", 0)),
        (Tick(), -1, ("given_up", -1)),
        (Tick(), -3, ("reached", 0)),
    ):
        table = ExecutorTable()
        assert table.place(sells, view()) is not None
        ended = ExecView(held=held(short_today=-lots), working=(), market=None, now_ns=1)
        done = table.step(SYMBOL, event, ended)
        assert [(effect.reason.value, effect.missing) for effect in done if isinstance(effect, Done)] == [expected]
    table = ExecutorTable()
    table.place(intent(lots=2), view(lots=5))
    done = table.step(SYMBOL, Tick(), view(lots=6))
    assert [(effect.reason.value, effect.missing) for effect in done if isinstance(effect, Done)] == [("given_up", 1)]
    table = ExecutorTable()
    table.place(sells, view())
    assert table.step(SYMBOL, Stop(), view(book_with(sells))) == ()  # an immediate order is not cancelled


def test_a_direct_order_waits_for_nobody() -> None:
    book = book_with(intent())
    state, effects = start_direct(intent(Side.SELL, 2), view(book))
    assert state is None
    assert [(effect.reason.value, effect.missing) for effect in effects if isinstance(effect, Done)] == [("frozen", -2)]
    table = ExecutorTable()
    assert table.place(intent(), view(book)) is None
    assert table.owner(SYMBOL) == ""
    book.apply_fill(fill("a", "1"), 2)
    assert table.place(intent(), view(book)) is not None


def test_a_document_gives_the_same_table_again() -> None:
    table = ExecutorTable()
    table.step(SYMBOL, CHASE, view())
    table.place(intent(symbol=OTHER), view(symbol=OTHER))
    table.claim("SHFE.cu2507", "roll")
    again = ExecutorTable.from_document(table.to_document())
    assert again.to_document() == table.to_document()
    assert (again.get(SYMBOL), again.get(OTHER), again.owner("SHFE.cu2507")) == (table.get(SYMBOL), table.get(OTHER), "roll")
    again.release("SHFE.cu2507", "roll")
    assert table.owner("SHFE.cu2507") == "roll"
