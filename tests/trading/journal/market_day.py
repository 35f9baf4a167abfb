"""A small journal with every kind of order, and the same in files for the command line."""

from __future__ import annotations

from collections.abc import Callable

from ghtrader.core.messages import ExecutionStyle, Target
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderRequest, OrderState
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.words import OrderIntent, Origin

T0 = 1_749_085_201_000_000_000
SYMBOL = "SHFE.rb2510"


def target(lots: int = 2) -> Target:
    factors = {"F1": 0.5, "F2": float("nan")}
    return Target(1, "s1", 9, "demo", SYMBOL, lots, ExecutionStyle(), 77, T0, T0 + 5, 0.25, "m1", "f1", factors, "up")


def intent(lots: int = 2, origin: Origin = Origin.STRATEGY) -> OrderIntent:
    return OrderIntent(
        symbol=SYMBOL, side=Side.BUY, offset=Offset.OPEN, lots=lots, price_ticks=2990, kind=OrderKind.GFD, origin=origin
    )


def order(name: str, state: OrderState, left: int = 2, lots: int = 2, message: str = "", number: str = "") -> BrokerOrder:
    request = OrderRequest(
        client_order_id=name, symbol=SYMBOL, side=Side.SELL, offset=Offset.CLOSE, lots=lots, limit_price=2990.0
    )
    return BrokerOrder(request=request, state=state, left=left, exchange_order_id=number, message=message)


def fill(name: str, trade: str, lots: int) -> BrokerFill:
    return BrokerFill(
        client_order_id=name, trade_id=trade, symbol=SYMBOL, side=Side.BUY, offset=Offset.OPEN, lots=lots, price=2990.0, ts_ns=T0
    )


class Book:
    """Records with numbers and causes."""

    def __init__(self, append: Callable[[Record], None] | None = None) -> None:
        self.records: list[Record] = []
        self._append = append

    def put(self, kind: RecordKind, cause: int = 0, **body: object) -> int:
        seq = len(self.records) + 1
        record = Record(seq, cause, T0 + seq * 1_000_000, kind, body)
        self.records.append(record)
        if self._append:
            self._append(record)
        return seq


def one_order(book: Book, name: str = "o1", *, root: int | None = None) -> tuple[int, int]:
    """Target (unless ``root`` is given), verdict, intent, sent; the seqs of target and sent."""
    first = book.put(RecordKind.TARGET, target=target()) if root is None else root
    verdict = book.put(RecordKind.VERDICT, first, approved=True, reason="", message="", client_order_id=name)
    wanted = book.put(RecordKind.ORDER_INTENT, verdict, client_order_id=name, intent=intent())
    return first, book.put(RecordKind.ORDER_SENT, wanted, client_order_id=name)


def busy_book(append: Callable[[Record], None] | None = None) -> Book:
    """Order o1 of a target: works, fills in two trades (one told twice); o2 of a command: intended only; o3 refused by the broker."""
    book = Book(append)
    book.put(RecordKind.START, mode="paper")
    book.put(RecordKind.DAY, trading_day="2025-06-05")
    first, sent = one_order(book)
    command = book.put(RecordKind.COMMAND, command={"verb": "place_order"})
    book.put(RecordKind.ORDER_UPDATE, sent, order=order("o1", OrderState.WORKING, number="X7"))
    book.put(RecordKind.FILL, sent, fill=fill("o1", "t1", 1))
    book.put(RecordKind.ORDER_INTENT, command, client_order_id="o2", intent=intent(3, Origin.COMMAND))
    book.put(RecordKind.FILL, sent, fill=fill("o1", "t1", 1))
    book.put(RecordKind.FILL, sent, fill=fill("o1", "t2", 1))
    book.put(RecordKind.ORDER_INTENT, first, client_order_id="o3", intent=intent(1))
    book.put(RecordKind.ORDER_UPDATE, 12, client_order_id="o3", never_sent=True, message="no margin")
    book.put(RecordKind.NEAR_MISS, 4, rule="max_order_lots", share=0.9)
    book.put(RecordKind.NEAR_MISS, 1, rule="other")
    book.put(RecordKind.NOTE, text="the end")
    return book
