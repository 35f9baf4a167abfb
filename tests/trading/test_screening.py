"""The gateway beside the screening backtester: what a journal tells of each decision, and the reason that a difference gets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ghtrader.core.messages import ExecutionStyle, Style, Target
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderRequest, OrderState
from ghtrader.sim.policy import PolicyOrder
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.screening.deeds import GatewayDay, days_of
from ghtrader.trading.screening.differences import Difference, compare_day
from ghtrader.trading.words import OrderIntent, Origin

RB, DAY = "SHFE.rb2510", "2025-06-05"
S = 1_000_000_000
T0 = 1_749_085_200 * S
TABLE = InstrumentTable.vendored()


class Pen:
    """Writes a journal as a gateway does."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._add(RecordKind.DAY, T0, trading_day=DAY)

    def _add(self, kind: RecordKind, ts_ns: int, cause: int = 0, **body: object) -> int:
        self.records.append(Record(len(self.records) + 1, cause, ts_ns, kind, body))
        return len(self.records)

    def target(self, at: int, lots: int, *, refused: str = "") -> int:
        style = ExecutionStyle(style=Style.TAKER)
        target = Target(1, "s", 1, "demo", RB, lots, style, 1, at, at, 0.5)
        held = {"contract": RB, "lots": lots, "execution": style, "origin": Origin.STRATEGY}
        return self._add(RecordKind.TARGET, at, target=target, held=held, refused=refused)

    def order(self, cause: int, at: int, name: str, side: Side, offset: Offset, lots: int, price: int = 3000) -> None:
        intent = OrderIntent(
            symbol=RB, side=side, offset=offset, lots=lots, price_ticks=price, kind=OrderKind.FAK, origin=Origin.STRATEGY
        )
        verdict = self._add(RecordKind.VERDICT, at, cause, approved=True, reason="", intent=intent)
        self._add(RecordKind.ORDER_INTENT, at, verdict, client_order_id=name, intent=intent)

    def refuse(self, cause: int, at: int, reason: str) -> None:
        self._add(RecordKind.VERDICT, at, cause, approved=False, reason=reason)
        self._add(RecordKind.NOTE, at, cause, what="goal_done", reason="refused")

    def fill(self, at: int, name: str, side: Side, lots: int, price: float) -> None:
        fill = BrokerFill(
            client_order_id=name,
            trade_id=f"{name}{at}",
            symbol=RB,
            side=side,
            offset=Offset.OPEN,
            lots=lots,
            price=price,
            ts_ns=at,
        )
        self._add(RecordKind.FILL, at, fill=fill)

    def end(self, at: int, name: str, state: OrderState, message: str = "") -> None:
        request = OrderRequest(
            client_order_id=name, symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=2, limit_price=3000.0, kind=OrderKind.FAK
        )
        self._add(RecordKind.ORDER_UPDATE, at, order=BrokerOrder(request=request, state=state, left=0, message=message))

    def strategy(self, at: int, state: str) -> None:
        self._add(RecordKind.STRATEGY, at, session="s", state=state)

    def note(self, at: int, **body: object) -> None:
        self._add(RecordKind.NOTE, at, **body)

    def day(self) -> GatewayDay:
        (day,) = days_of(self.records, RB, lambda symbol, iso: TABLE.spec(symbol, TradingDay.parse(iso)))
        return day


def screened(at: int, side: int, *, opens: bool = True, lots: int = 2, end: str = "filled", price: int = 3000) -> PolicyOrder:
    fills = ((at + S, price, lots),) if end == "filled" else ()
    return PolicyOrder(DAY, at, side, opens, price, lots, takes=True, ended_ns=at + S, end=end, fills=fills)


def compared(pen: Pen, *orders: PolicyOrder, same_venue: bool = False) -> tuple[int, list[Difference]]:
    found = compare_day(orders, pen.day(), same_venue=same_venue, screening_net_cny=0.0, gateway_net_cny=0.0)
    assert found.screening_orders == len(orders)
    return found.matched, found.differences


def trade(pen: Pen, at: int, name: str = "a", price: float = 3000.0, lots: int = 2) -> None:
    pen.order(pen.target(at, lots), at, name, Side.BUY, Offset.OPEN, lots)
    pen.fill(at + S, name, Side.BUY, lots, price)


def test_the_same_order_with_the_same_fills_is_no_difference() -> None:
    pen = Pen()
    trade(pen, T0)
    assert compared(pen, screened(T0, 1)) == (1, [])
    pen.order(pen.target(T0 + 9 * S, 0), T0 + 9 * S, "b", Side.SELL, Offset.CLOSE_TODAY, 2, price=2800)
    pen.fill(T0 + 10 * S, "b", Side.SELL, 2, 3000.0)
    leaves = screened(T0 + 9 * S, -1, opens=False)  # who leaves takes at any price: the limit of the gateway's sweep is its own
    assert compared(pen, screened(T0, 1), leaves) == (2, [])


def _target_refused(pen: Pen) -> None:
    pen.target(T0, 2, refused="stale_target")


def _gate(pen: Pen) -> None:
    pen.refuse(pen.target(T0, 2), T0, "price_band")


def _executor(pen: Pen) -> None:
    pen.note(T0, what="goal_done", reason="ignored: of no target")
    pen._add(RecordKind.NOTE, T0, pen.target(T0, 2), what="goal_done", reason="not_tradable")


def _halted(pen: Pen) -> None:
    pen.strategy(T0 - S, "halted no_account")


def _halt_over(pen: Pen) -> None:
    pen.strategy(T0 - S, "halted no_account")
    pen.strategy(T0, "ready")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (_target_refused, "target refused: stale_target"),
        (_gate, "risk: price_band"),
        (_executor, "executor: not_tradable"),
        (_halted, "halted: no_account"),
        (_halt_over, "unknown"),
    ],
)
def test_an_order_that_the_gateway_did_not_send_has_its_reason(write: Callable[[Pen], None], reason: str) -> None:
    pen = Pen()
    write(pen)
    matched, (difference,) = compared(pen, screened(T0, 1))
    assert (matched, difference.what, difference.reason, difference.gateway) == (0, "order", reason, "none")
    assert difference.screening == "buy 2 to open, FAK at 3000"


def test_fills_and_ends_differ_by_the_rules_of_the_venue_or_for_no_reason_known() -> None:
    pen = Pen()
    trade(pen, T0, price=3001.0)
    for same_venue, reason in ((False, "venue rules"), (True, "unknown")):
        matched, (difference,) = compared(pen, screened(T0, 1), same_venue=same_venue)
        assert (matched, difference.what, difference.reason) == (0, "fill", reason)
        assert difference.gateway.startswith("2 at 3001")
    refused = Pen()
    refused.order(refused.target(T0, 2), T0, "a", Side.BUY, Offset.OPEN, 2)
    refused.end(T0 + S, "a", OrderState.REJECTED, "beyond the limits")
    (difference,) = compared(refused, screened(T0, 1, end="short"))[1]
    assert (difference.what, difference.reason) == ("end", "venue: beyond the limits")
    waits = Pen()
    waits.order(waits.target(T0, 2), T0, "a", Side.BUY, Offset.OPEN, 2)
    waits.note(T0 + S, what="cancel_waits", client_order_id="a")
    waits.end(T0 + 2 * S, "a", OrderState.CANCELLED)
    (difference,) = compared(waits, screened(T0, 1, end="short"))[1]
    assert (difference.what, difference.reason) == ("end", "cancel rate")


def test_what_follows_from_an_earlier_difference_names_it() -> None:
    pen = Pen()
    pen.refuse(pen.target(T0, 2), T0, "stale_feed")
    trade(pen, T0 + 3 * S)
    orders = screened(T0, 1), screened(T0 + 5 * S, -1, opens=False), screened(T0 + 8 * S, 1)
    matched, found = compared(pen, *orders)
    assert [(item.reason, item.follows) for item in found] == [
        ("risk: stale_feed", 0),
        ("follows", 1),
        ("unknown", 0),
        ("follows", 3),
    ]
    assert (found[1].screening, found[1].gateway) == ("none: holds +2", "buy 2 to open, FAK at 3000")
    assert matched == 0


def test_an_order_in_pieces_says_so() -> None:
    pen = Pen()
    cause = pen.target(T0, 2)
    for name in ("a", "b"):
        pen.order(cause, T0, name, Side.BUY, Offset.OPEN, 1)
        pen.fill(T0 + S, name, Side.BUY, 1, 3000.0)
    matched, (difference,) = compared(pen, screened(T0, 1))
    assert (matched, difference.reason) == (0, "order size")
    assert difference.gateway == "buy 2 to open, FAK at 3000 in 2 pieces"
