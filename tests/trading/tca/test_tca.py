"""What trading cost: the parts add up, and the journal is read as it was written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.messages import ExecutionStyle, Style, Target
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderRequest, OrderState
from ghtrader.testing.builders import book_ticks
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.tca.costs import FillEntry, OrderEntry, Quote, TargetEntry, expected_cost, target_cost
from ghtrader.trading.tca.quotes import DayQuotes
from ghtrader.trading.tca.reading import targets_of
from ghtrader.trading.tca.summary import summarise, summarise_by
from ghtrader.trading.words import OrderIntent, Origin

RB = "SHFE.rb2510"
NAN = float("nan")


def spec_of(symbol: str, day: str):
    return InstrumentTable.vendored().spec(symbol, TradingDay.parse(day))


# --- arithmetic --------------------------------------------------------------------------------------------------------------
mids = st.one_of(st.just(NAN), st.integers(5900, 6100).map(lambda half: half / 2))


@st.composite
def targets(draw: st.DrawFn) -> TargetEntry:
    side = draw(st.sampled_from(list(Side)))
    orders = []
    for number in range(draw(st.integers(0, 4))):
        fills = tuple(
            FillEntry(ts_ns=9, price=draw(st.integers(2950, 3050)), lots=draw(st.integers(1, 9)), mid=draw(mids), fee_cny=draw(st.integers(0, 20)))
            for _ in range(draw(st.integers(0, 3)))
        )  # fmt: skip
        lots = sum(fill.lots for fill in fills) + draw(st.integers(0, 5))
        orders.append(
            OrderEntry(
                order_id=f"o{number}", side=side, lots=max(1, lots), kind=OrderKind.GFD, limit=3000.0, sent_ns=5, mid=draw(mids),
                end_ns=10, end_mid=draw(mids), fills=fills,
            )
        )  # fmt: skip
    filled = sum(fill.lots for order in orders for fill in order.fills)
    unfilled = draw(st.integers(0, 9))
    return TargetEntry(
        target_id=draw(st.integers(1, 9)), symbol=RB, trading_day="2025-06-05", side=side, wanted=filled + unfilled, unfilled=unfilled,
        decision=Quote(1, 2999, draw(st.integers(3000, 3003))), end_ns=20, end_mid=draw(mids), tick_value_cny=10.0,
        style=draw(st.sampled_from([None, *Style])), orders=tuple(orders),
    )  # fmt: skip


@given(targets())
def test_the_parts_add_up_to_what_was_paid_against_the_arrival_price(target: TargetEntry) -> None:
    found, side, arrival = target_cost(target), int(target.side), target.decision.mid
    fills = [fill for order in target.orders for fill in order.fills]
    paid = sum(side * (fill.price - arrival) * fill.lots for fill in fills)
    fees = sum(fill.fee_cny for fill in fills)
    missed = 0.0 if math.isnan(target.end_mid) else side * (target.end_mid - arrival) * target.unfilled
    assert found.cost.traded == pytest.approx(paid, abs=1e-6)
    assert found.cost.opportunity == pytest.approx(missed)
    assert found.shortfall_cny == pytest.approx(10.0 * (paid + missed) + fees, abs=1e-6)
    assert found.filled == sum(order.filled for order in found.orders)
    if found.filled:
        assert found.realised == pytest.approx(paid / found.filled)
        assert found.price == pytest.approx(sum(fill.price * fill.lots for fill in fills) / found.filled)


@given(st.lists(targets(), max_size=6))
def test_a_summary_is_the_sum_whatever_the_order(many: list[TargetEntry]) -> None:
    costs = [target_cost(target) for target in many]
    total = summarise(costs)
    assert total.shortfall_cny == pytest.approx(sum(cost.shortfall_cny for cost in costs), abs=1e-6)
    assert (total.wanted, total.filled, total.unfilled) == tuple(
        sum(getattr(cost, name) for cost in costs) for name in ("wanted", "filled", "unfilled")
    )
    backwards = summarise(costs[::-1])
    assert backwards.shortfall_cny == pytest.approx(total.shortfall_cny, abs=1e-6)
    apart = summarise_by(costs, lambda cost: cost.side.name)
    assert list(apart) == sorted(apart)
    assert sum(part.targets for part in apart.values()) == total.targets


def entry(price: float, mid: float, *, side: Side = Side.BUY, sent: float = 100.5, **known) -> TargetEntry:
    order = OrderEntry(
        order_id="a", side=side, lots=1, kind=OrderKind.FAK, limit=price, sent_ns=1, mid=sent, end_ns=2, end_mid=mid,
        fills=(FillEntry(ts_ns=2, price=price, lots=1, mid=mid),),
    )  # fmt: skip
    plain = {
        "target_id": 1, "symbol": RB, "trading_day": "2025-06-05", "side": Side.BUY, "wanted": 1, "unfilled": 0,
        "decision": Quote(0, 100, 101), "end_ns": 9, "end_mid": 100.5, "tick_value_cny": 10.0, "style": Style.TAKER,
    }  # fmt: skip
    return TargetEntry(**plain | {"orders": (order,)} | known)


def test_who_crosses_pays_half_the_spread_and_who_waits_earns_it() -> None:
    taker = target_cost(entry(101.0, 100.5))
    assert (taker.cost.timing, taker.cost.impact, taker.cost.spread, taker.expected, taker.surprise) == (0.0, 0.0, 0.5, 0.5, 0.0)
    passive = target_cost(entry(100.0, 100.5, style=Style.PASSIVE))
    assert (passive.cost.spread, passive.expected, passive.surprise) == (-0.5, -0.5, 0.0)
    moved = target_cost(entry(102.0, 101.5, sent=101.0))
    assert (moved.cost.timing, moved.cost.impact, moved.cost.spread, moved.surprise) == (0.5, 0.5, 0.5, 1.0)
    assert all(math.isnan(expected_cost(style, Quote(0, 100, 101))) for style in (None, Style.STOP))


def test_what_was_never_filled_costs_the_way_the_market_went() -> None:
    missed = target_cost(entry(101.0, 100.5, wanted=3, unfilled=3, orders=(), end_mid=104.5))
    assert (missed.cost.opportunity, missed.cost.shortfall, missed.filled) == (12.0, 12.0, 0)
    assert math.isnan(missed.realised)
    assert math.isnan(missed.price)
    lucky = target_cost(entry(101.0, 100.5, wanted=3, unfilled=3, orders=(), end_mid=99.5))
    assert lucky.cost.opportunity == -3.0


def test_a_one_sided_book_at_the_decision_leaves_no_arrival_price() -> None:
    blind = target_cost(entry(101.0, 100.5, decision=Quote(0, 100, None)))
    seen = target_cost(entry(101.0, 100.5, target_id=7))
    assert math.isnan(blind.arrival)
    assert math.isnan(blind.cost.shortfall)
    total = summarise([blind, seen])
    assert (total.without_arrival, total.shortfall, total.worst, total.filled) == (1, 0.5, 7, 2)


def test_contradictions_are_refused() -> None:
    with pytest.raises(UsageError, match="the other way"):
        target_cost(entry(101.0, 100.5, side=Side.SELL))
    order = OrderEntry(
        order_id="b", side=Side.BUY, lots=1, kind=OrderKind.FAK, limit=101.0, sent_ns=1, mid=NAN, end_ns=2, end_mid=NAN,
        fills=(FillEntry(ts_ns=2, price=101.0, lots=2, mid=NAN),),
    )  # fmt: skip
    with pytest.raises(UsageError, match="2 lots filled of 1"):
        target_cost(entry(101.0, 100.5, orders=(order,)))


# --- quotes and journal ------------------------------------------------------------------------------------------------------
BOOK = [
    (100, 5, 101, 5, 0),
    (100, 5, 101, 5, 1),
    (101, 5, 102, 5, 2),
    (102, 5, 103, 5, 2),
    (103, 5, 0, 0, 2),
    (103, 5, 104, 5, 2),
]
STEP = 500_000_000


@pytest.fixture
def quotes() -> DayQuotes:
    return DayQuotes([book_ticks(BOOK, trading_day="2025-06-06"), book_ticks(BOOK)])


@pytest.fixture
def start() -> int:
    return int(book_ticks(BOOK).ts_ns[0])


def test_a_moment_has_the_newest_touch(quotes: DayQuotes, start: int) -> None:
    assert quotes.at(RB, start) == Quote(start, 100, 101)
    assert quotes.at(RB, start + 2 * STEP + 1).mid == 101.5
    assert quotes.at(RB, start + 2 * STEP).mid == 101.5
    assert quotes.before(RB, start + 2 * STEP).mid == 100.5
    assert quotes.at(RB, start + 4 * STEP) == Quote(start + 4 * STEP, 103, None)
    assert quotes.at(RB, start - 1) == Quote(start - 1, None, None)
    assert (quotes.trading_day(RB, start + 9), quotes.day_end(RB, start)) == ("2025-06-05", start + 5 * STEP)
    following = int(book_ticks(BOOK, trading_day="2025-06-06").ts_ns[0])
    assert (quotes.trading_day(RB, following), quotes.at(RB, following - 1).mid) == ("2025-06-06", 103.5)
    with pytest.raises(DataError, match="no ticks"):
        quotes.at("SHFE.cu2507", start)


def fill_of(name: str, side: Side, lots: int, price: float, ts_ns: int) -> BrokerFill:
    return BrokerFill(
        client_order_id=name,
        trade_id=f"{name}|{ts_ns}",
        symbol=RB,
        side=side,
        offset=Offset.OPEN,
        lots=lots,
        price=price,
        ts_ns=ts_ns,
    )


@dataclass
class Journal:
    """Writes records as a gateway does."""

    start: int
    records: list[Record] = field(default_factory=list)

    def add(self, kind: RecordKind, step: float, cause: int = 0, **body) -> int:
        self.records.append(Record(len(self.records) + 1, cause, self.start + int(step * STEP), kind, body))
        return len(self.records)

    def target(self, lots: int, row: int, style: Style = Style.TAKER) -> int:
        ts = self.start + row * STEP
        target = Target(1, "s", 1, "demo", RB, lots, ExecutionStyle(style), row, ts, ts, 0.4)
        return self.add(RecordKind.TARGET, row, target=target)

    def order(
        self, cause: int, name: str, side: Side, lots: int, price: int, step: float, kind: OrderKind = OrderKind.FAK
    ) -> None:
        intent = OrderIntent(
            symbol=RB, side=side, offset=Offset.OPEN, lots=lots, price_ticks=price, kind=kind, origin=Origin.STRATEGY, cause=cause
        )
        verdict = self.add(RecordKind.VERDICT, step, cause, approved=True, client_order_id=name)
        intended = self.add(RecordKind.ORDER_INTENT, step, verdict, client_order_id=name, intent=intent)
        self.add(RecordKind.ORDER_SENT, step, intended, client_order_id=name)

    def fill(self, name: str, side: Side, lots: int, price: float, step: float) -> None:
        fill = fill_of(name, side, lots, price, self.start + int(step * STEP))
        self.add(RecordKind.FILL, step, fill=fill)

    def ended(self, name: str, step: float) -> None:
        request = OrderRequest(client_order_id=name, symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=1, limit_price=1.0)
        self.add(RecordKind.ORDER_UPDATE, step, order=BrokerOrder(request=request, state=OrderState.CANCELLED, left=1))


@pytest.fixture
def journal(start: int) -> Journal:
    return Journal(start)


@pytest.mark.parametrize("stored", [False, True])
def test_a_target_its_order_and_its_fills_are_found_through_the_causes(journal: Journal, quotes: DayQuotes, stored: bool) -> None:
    first = journal.target(2, 0)
    journal.order(first, "a", Side.BUY, 2, 101, 0.2)
    journal.fill("a", Side.BUY, 1, 101.0, 1)
    journal.fill("a", Side.BUY, 1, 101.0, 1)  # told twice
    journal.ended("a", 1)
    journal.order(first, "b", Side.BUY, 1, 102, 2.2)
    journal.fill("b", Side.BUY, 1, 103.0, 3)
    records = journal.records
    if stored:
        records = [msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record) for record in records]
    (entry,) = targets_of(records, quotes, spec_of)
    assert (entry.target_id, entry.side, entry.wanted, entry.unfilled, entry.style) == (first, Side.BUY, 2, 0, Style.TAKER)
    assert [order.order_id for order in entry.orders] == ["a", "b"]
    cost = target_cost(entry)
    # one lot at 101 against a mid of 100.5; one sent at 101.5, filled at 103 when the mid was 102.5
    assert (cost.arrival, cost.cost.timing, cost.cost.impact, cost.cost.spread) == (100.5, 1.0, 1.0, 1.0)
    spec = spec_of(RB, "2025-06-05")
    fees = sum(spec.fee.open_rate * price * 10 + spec.fee.open_cny for price in (101.0, 103.0))
    assert cost.shortfall_cny == pytest.approx(30.0 + fees)


def test_a_resting_order_is_measured_before_its_fill(journal: Journal, quotes: DayQuotes) -> None:
    first = journal.target(1, 1, Style.PASSIVE)
    journal.order(first, "a", Side.BUY, 1, 100, 1.2, OrderKind.GFD)
    journal.fill("a", Side.BUY, 1, 100.0, 2)
    cost = target_cost(targets_of(journal.records, quotes, spec_of)[0])
    assert (cost.cost.impact, cost.cost.spread, cost.surprise) == (0.0, -0.5, 0.0)


def test_a_target_as_a_gateway_writes_it(journal: Journal, quotes: DayQuotes, start: int) -> None:
    """An alias stands for its contract; a refused target counts for nothing; an operator's has no tick."""
    held = {"contract": RB, "lots": 1, "execution": ExecutionStyle(Style.TAKER), "origin": "strategy", "cause": 0, "tick_seq": 3}
    alias = Target(1, "s", 1, "demo", "KQ.m@SHFE.rb", 1, ExecutionStyle(Style.TAKER), 0, start, start, 0.4)
    journal.add(RecordKind.TARGET, 0, target=alias, held=held | {"lots": 9}, refused="paused")
    first = journal.add(RecordKind.TARGET, 0, target=alias, held=held, refused="")
    journal.order(first, "a", Side.BUY, 1, 101, 0.2)
    journal.add(RecordKind.RECONCILE, 1, outcome={"actions": [{"fill": fill_of("a", Side.BUY, 1, 101.0, start)}, {"fill": None}]})
    journal.add(RecordKind.TARGET, 3, held=held | {"lots": -1, "origin": "command"}, refused="")
    bought, sold = targets_of(journal.records, quotes, spec_of)
    assert (bought.symbol, bought.wanted, bought.unfilled, target_cost(bought).filled) == (RB, 1, 0, 1)
    assert (sold.side, sold.wanted, sold.unfilled, sold.decision.mid) == (Side.SELL, 2, 2, 102.5)
    journal.add(RecordKind.TARGET, 4)
    with pytest.raises(DataError, match="names no target"):
        targets_of(journal.records, quotes, spec_of)


def test_a_stop_ends_the_window_and_wants_nothing(journal: Journal, quotes: DayQuotes) -> None:
    first = journal.target(2, 0, Style.PASSIVE)
    journal.order(first, "a", Side.BUY, 2, 100, 0.2, OrderKind.GFD)
    journal.fill("a", Side.BUY, 1, 100.0, 1)
    journal.target(2, 2, Style.STOP)
    journal.fill("a", Side.BUY, 1, 100.0, 2.2)  # the cancel came too late
    again = journal.target(2, 3, Style.PASSIVE)
    assert [item.target_id for item in targets_of(journal.records[: again - 1], quotes, spec_of)] == [first]
    (entry,) = targets_of(journal.records, quotes, spec_of)
    assert (entry.wanted, entry.unfilled, entry.end_mid) == (2, 0, 101.5)


def test_an_order_that_never_left_ends_when_that_is_known(journal: Journal, quotes: DayQuotes) -> None:
    first = journal.target(1, 0)
    journal.order(first, "a", Side.BUY, 1, 101, 0.2)
    journal.add(RecordKind.ORDER_UPDATE, 2, client_order_id="a", never_sent=True, message="the link is down")
    journal.add(RecordKind.ORDER_UPDATE, 3, client_order_id="nobody", never_sent=True, message="")
    (entry,) = targets_of(journal.records, quotes, spec_of)
    assert (entry.orders[0].end_ns, entry.orders[0].end_mid, entry.unfilled) == (journal.start + 2 * STEP, 101.5, 1)


@pytest.mark.parametrize(("side", "limit", "paid"), [(Side.BUY, 102, 102.0), (Side.SELL, 99, 101.0)])
def test_a_day_order_that_crosses_is_measured_like_one_that_takes(
    journal: Journal, quotes: DayQuotes, side: Side, limit: int, paid: float
) -> None:
    first = journal.target(int(side), 1, Style.CHASE)
    journal.order(first, "a", side, 1, limit, 1.2, OrderKind.GFD)
    journal.fill("a", side, 1, paid, 2)
    cost = target_cost(targets_of(journal.records, quotes, spec_of)[0])
    assert (cost.cost.impact, cost.cost.spread) == (int(side) * 1.0, 0.5)


def test_a_newer_target_ends_the_window_and_the_same_one_does_not(journal: Journal, quotes: DayQuotes) -> None:
    first = journal.target(3, 0)
    assert journal.target(3, 1)
    journal.order(first, "a", Side.BUY, 1, 101, 1.1)
    journal.fill("a", Side.BUY, 1, 102.0, 2)
    second = journal.target(0, 3)
    journal.order(second, "b", Side.SELL, 1, 102, 3.1)
    journal.fill("b", Side.SELL, 1, 103.0, 5)
    buying, selling = targets_of(journal.records, quotes, spec_of)
    assert (buying.wanted, buying.unfilled, buying.end_mid) == (3, 2, 102.5)
    assert target_cost(buying).cost.opportunity == 4.0
    assert (selling.side, selling.wanted, selling.unfilled, selling.end_mid) == (Side.SELL, 1, 0, 103.5)


def test_a_late_fill_belongs_to_its_own_target_and_the_way_back_to_the_new_one(journal: Journal, quotes: DayQuotes) -> None:
    first = journal.target(1, 0)
    journal.order(first, "a", Side.BUY, 1, 101, 0.1)
    second = journal.target(0, 1)
    journal.fill("a", Side.BUY, 1, 101.0, 1.5)
    journal.order(second, "b", Side.SELL, 1, 101, 2.1)
    journal.fill("b", Side.SELL, 1, 101.0, 3)
    there, back = targets_of(journal.records, quotes, spec_of)
    assert (there.target_id, there.wanted, there.unfilled, len(there.orders)) == (first, 1, 0, 1)
    assert (back.target_id, back.side, back.wanted, back.unfilled) == (second, Side.SELL, 1, 0)


def test_a_target_that_changes_nothing_is_left_out_and_one_without_orders_is_not(journal: Journal, quotes: DayQuotes) -> None:
    journal.target(2, 0)
    assert targets_of(journal.records, quotes, spec_of, positions={RB: 2}) == []
    (missed,) = targets_of(journal.records, quotes, spec_of)
    assert (missed.wanted, missed.unfilled, missed.orders) == (2, 2, ())


def test_each_trading_day_has_a_window_of_its_own(start: int, quotes: DayQuotes) -> None:
    journal = Journal(start)
    journal.target(1, 0)
    following = int(book_ticks(BOOK, trading_day="2025-06-06").ts_ns[0])
    journal.start = following
    journal.target(1, 0)
    found = targets_of(journal.records, quotes, spec_of)
    assert [item.trading_day for item in found] == ["2025-06-05", "2025-06-06"]
    assert found[0].end_ns == start + 5 * STEP


def test_an_order_that_no_target_asked_for_stands_for_itself(journal: Journal, quotes: DayQuotes) -> None:
    command = journal.add(RecordKind.COMMAND, 0, command={})
    journal.order(command, "a", Side.SELL, 2, 100, 0)
    journal.fill("a", Side.SELL, 1, 100.0, 1)
    journal.ended("a", 3)
    journal.order(0, "lost", Side.SELL, 2, 100, 4)
    (entry, other) = targets_of(journal.records, quotes, spec_of)
    assert (entry.wanted, entry.unfilled, entry.style, entry.end_mid) == (2, 1, None, 102.5)
    cost = target_cost(entry)
    assert (cost.cost.spread, cost.cost.opportunity, cost.orders[0].missed) == (0.5, -2.0, -2.0)
    assert math.isnan(cost.expected)
    assert (other.unfilled, other.orders[0].order_id) == (2, "lost")


def test_rows_of_any_order_of_days_are_found(quotes: DayQuotes) -> None:
    many = DayQuotes([book_ticks(BOOK, trading_day=day) for day in ("2025-06-09", "2025-06-05", "2025-06-06")])
    stamps = [int(book_ticks(BOOK, trading_day=day).ts_ns[0]) for day in ("2025-06-05", "2025-06-06", "2025-06-09")]
    assert np.array_equal([many.at(RB, ts).mid for ts in stamps], [100.5] * 3)
