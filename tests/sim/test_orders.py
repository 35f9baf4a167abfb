from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import FillModel, OrderKind, RejectReason
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market
from ghtrader.sim.orders import NEVER_NS, FillArray, OrderArray, simulate_orders, trades_of

sys.path.insert(0, str(Path(__file__).parent))
import plain_fills
from order_cases import random_orders, window, with_gaps

LATENCY = 300_000_000
MODELS = (FillModel.BACK, FillModel.PRO_RATA, FillModel.FRONT)
REASONS = {
    "": RejectReason.NONE, "phase": RejectReason.PHASE, "depth": RejectReason.BEYOND_DEPTH, "fok": RejectReason.NOT_FILLABLE,
    "after_data": RejectReason.AFTER_DATA, "limit": RejectReason.LIMIT,
}  # fmt: skip


def orders_of(*rows: tuple[int, int, int, int, int, int]) -> OrderArray:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 6).T
    return OrderArray(*(np.ascontiguousarray(column) for column in columns))


def fills_by_order(fills: FillArray, order: int) -> list[tuple[int, int, int, bool]]:
    mine = fills.order == order
    values = (fills.row[mine].tolist(), fills.price[mine].tolist(), fills.lots[mine].tolist(), fills.passive[mine].tolist())
    return list(zip(*values, strict=True))


def assert_equal_to_reference(ticks: DayTicks, orders: OrderArray, model: FillModel) -> int:
    day = plain_fills.read_day(ticks)
    plain = [
        plain_fills.Order(
            *(
                int(column[i])
                for column in (orders.side, orders.price, orders.lots, orders.decision_ns, orders.kind, orders.cancel_ns)
            )
        )
        for i in range(len(orders.side))
    ]
    expected = plain_fills.run(day, plain, int(model), LATENCY)
    found = simulate_orders(ticks, orders, model, latency_ns=LATENCY)
    for index, outcome in enumerate(expected):
        assert fills_by_order(found, index) == outcome.fills, (index, plain[index])
        assert RejectReason(int(found.reject[index])) is REASONS[outcome.reject]
    return len(found.order)


@pytest.fixture(scope="module")
def generated() -> DayTicks:
    return day_ticks(next(generate_market("planted", 3, days=1)))


def test_fills_equal_the_plain_reference_on_ten_thousand_random_orders(sample_day: Callable, generated: DayTicks) -> None:
    real, _ = sample_day("2025-06-06")
    fills = total = 0
    for number in range(10):
        # windows over the night, the auction by day, every break and the close; real and generated days in turn
        ticks = real if number % 2 == 0 else generated
        start = (number // 2) * (len(ticks) - 3000) // 4
        part = window(ticks, start, 3000)
        if number % 3:
            part = with_gaps(part, [*range(number * 7 + 1, 3000, 160), number * 7 + 2])
        for chunk in range(2):
            orders = random_orders(part, 500, seed=100 * number + chunk)
            fills += assert_equal_to_reference(part, orders, MODELS[(number + chunk) % 3])
            total += 500
    assert (total, fills > 3000) == (10_000, True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), start=st.integers(0, 20_000))
def test_fills_nest_order_by_order(generated: DayTicks, seed: int, start: int) -> None:
    part = with_gaps(window(generated, start, 4000), list(range(seed % 300 + 1, 4000, 300)))
    orders = random_orders(part, 200, seed)
    trades = trades_of(part)
    reached = []
    for model in (*MODELS, FillModel.FIRST):
        fills = simulate_orders(part, orders, model, latency_ns=LATENCY, trades=trades)
        at = np.zeros((200, len(part)))
        np.add.at(at, (fills.order, fills.row), fills.lots)
        reached.append(np.cumsum(at, axis=1))
    for narrow, wide in pairwise(reached):
        assert (narrow <= wide).all()
    assert (reached[-1][:, -1] <= orders.lots).all()


def test_nothing_fills_in_auctions_breaks_gaps_or_at_a_locked_limit(generated: DayTicks) -> None:
    part = with_gaps(window(generated, 0, 6000), list(range(50, 6000, 100)))
    orders = random_orders(part, 400, seed=5)
    for model in MODELS:
        fills = simulate_orders(part, orders, model, latency_ns=LATENCY)
        assert not part.break_before[fills.row].any()
        assert (part.phase[fills.row] == 3).all()
    locked = replace(part, flags=part.flags | np.uint32(512))
    assert len(simulate_orders(locked, orders, FillModel.FRONT, latency_ns=LATENCY).order) == 0


def tiny(bids: list[tuple[int, int]], asks: list[tuple[int, int]], volume: list[float], turnover_ticks: list[float]) -> DayTicks:
    """A few snapshots around 100 with levels one tick apart; cumulative volume and turnover (ticks x lots) given."""
    source = day_ticks(next(generate_market("null", 1, days=1)))
    part = source.rows(slice(100, 100 + len(bids)))
    down = -np.arange(5)
    breaks = np.zeros(len(bids), dtype=np.bool_)
    breaks[0] = True
    unit = part.price_tick * part.multiplier
    return replace(
        part,
        bid_px=np.array([[price] * 5 + down for price, _ in bids]),
        bid_sz=np.array([[size, 50, 50, 50, 50] for _, size in bids]),
        ask_px=np.array([[price] * 5 - down for price, _ in asks]),
        ask_sz=np.array([[size, 50, 50, 50, 50] for _, size in asks]),
        volume=np.array(volume, dtype=np.float64),
        amount=np.array(turnover_ticks, dtype=np.float64) * unit,
        break_before=breaks,
        upper_px=np.full(len(bids), 1000),
        lower_px=np.full(len(bids), 1),
        flags=np.zeros(len(bids), dtype=np.uint32),
        gap_after=np.zeros(len(bids), dtype=np.int8),
    )


def lots_filled(ticks: DayTicks, order: tuple[int, int, int, int], model: FillModel) -> int:
    side, price, lots, row = order
    one = orders_of((side, price, lots, int(ticks.ts_ns[row]), int(OrderKind.GFD), NEVER_NS))
    return int(simulate_orders(ticks, one, model, latency_ns=0).lots.sum())


def test_a_queue_of_ten_needs_eleven_sold_lots_for_one_of_ours() -> None:
    still = [(100, 10)] * 4
    asks = [(101, 10)] * 4
    ten = tiny(still, asks, [0, 0, 10, 10], [0, 0, 1000, 1000])
    eleven = tiny(still, asks, [0, 0, 11, 11], [0, 0, 1100, 1100])
    assert [lots_filled(ticks, (1, 100, 5, 1), FillModel.BACK) for ticks in (ten, eleven)] == [0, 1]


def test_cancels_move_us_up_as_the_model_says() -> None:
    # 10 ahead; 30 join behind, then 20 of 40 go away without trades, then 8 are sold
    bids = [(100, 10), (100, 10), (100, 40), (100, 20), (100, 20)]
    ticks = tiny(bids, [(101, 10)] * 5, [0, 0, 0, 0, 8], [0, 0, 0, 0, 800])
    assert [lots_filled(ticks, (1, 100, 9, 1), model) for model in MODELS] == [0, 3, 8]


def test_after_a_gap_we_stand_behind_all_that_is_displayed() -> None:
    # ten ahead when we join; the gap hides what happened to them, and thirty are displayed after it
    bids = [(100, 10), (100, 10), (100, 30), (100, 30)]
    sold = [0, 0, 500, 500 + 31], [0, 0, 50_000, 50_000 + 3100]
    ticks = tiny(bids, [(101, 10)] * 4, *sold)
    assert [lots_filled(ticks, (1, 100, 9, 1), model) for model in MODELS] == [9, 9, 9]
    holed = with_gaps(ticks, [2])
    assert [lots_filled(holed, (1, 100, 9, 1), model) for model in MODELS] == [1, 1, 1]
    fewer = with_gaps(tiny([(100, 40), (100, 40), (100, 5), (100, 5)], [(101, 10)] * 4, [0, 0, 0, 6], [0, 0, 0, 600]), [2])
    assert lots_filled(fewer, (1, 100, 9, 1), FillModel.BACK) == 1


def test_a_gap_hides_the_queue_also_behind_a_one_sided_row_and_beyond_the_fifth_level() -> None:
    one_sided = tiny([(100, 10)] * 5, [(101, 10)] * 5, [0, 0, 0, 0, 11], [0, 0, 0, 0, 1100])
    ask_px = one_sided.ask_px.copy()
    ask_px[2] = NO_PRICE
    one_sided = with_gaps(replace(one_sided, ask_px=ask_px), [2])
    wider = replace(one_sided, bid_sz=one_sided.bid_sz + np.array([[0], [0], [0], [20], [20]]))
    assert [lots_filled(ticks, (1, 100, 9, 1), FillModel.FRONT) for ticks in (one_sided, wider)] == [1, 0]
    # after the gap our price lies beyond level five; when it is seen again, everything there stands before us
    bids, asks = [(100, 10), (100, 10), (110, 10), (100, 25), (100, 25)], [(111, 10)] * 5
    away = tiny(bids, asks, [0, 0, 0, 0, 26], [0, 0, 0, 0, 2600])
    assert [lots_filled(with_gaps(away, [2]), (1, 100, 9, 1), model) for model in MODELS] == [1, 1, 1]


def test_what_arrives_inside_a_gap_takes_nothing_and_a_resting_order_gets_nothing_from_the_jump() -> None:
    jump = tiny(
        [(100, 10), (100, 10), (90, 10), (90, 10)], [(101, 10), (101, 10), (91, 10), (91, 10)], [0, 0, 80, 80], [0, 0, 7600, 7600]
    )
    holed = with_gaps(jump, [2])
    inside = int(holed.ts_ns[1]) + 200_000_000
    kinds = [(1, 105, 1, inside, int(kind), NEVER_NS) for kind in (OrderKind.FAK, OrderKind.FOK, OrderKind.GFD)]
    fills = simulate_orders(holed, orders_of(*kinds), FillModel.FRONT, latency_ns=100_000_000)
    assert (fills.row >= 3).all()
    assert fills.reject.tolist()[:2] == [int(RejectReason.PHASE)] * 2
    resting = orders_of((1, 100, 1, int(holed.ts_ns[0]), int(OrderKind.GFD), NEVER_NS))
    assert simulate_orders(jump, resting, FillModel.BACK, latency_ns=1).row.tolist() == [2]
    assert simulate_orders(holed, resting, FillModel.BACK, latency_ns=1).row.tolist() == [3]  # from the ask displayed then


def test_the_bid_falling_away_without_trades_at_our_price_is_no_fill() -> None:
    ticks = tiny([(100, 10), (100, 10), (99, 10), (99, 10)], [(101, 10)] * 4, [0, 0, 0, 0], [0, 0, 0, 0])
    assert lots_filled(ticks, (1, 100, 1, 1), FillModel.FRONT) == 0


def test_trades_below_our_price_trade_through_us() -> None:
    ticks = tiny(
        [(100, 10), (100, 10), (99, 10), (99, 10)], [(101, 10), (101, 10), (100, 10), (100, 10)], [0, 0, 0, 4], [0, 0, 0, 396]
    )
    # at the last snapshot four lots are sold at 99 while we still bid 100; the ask at 100 had filled us before
    assert lots_filled(ticks, (1, 100, 30, 1), FillModel.BACK) >= 10


def test_a_taker_pays_the_worse_touch_of_decision_and_arrival() -> None:
    ticks = tiny([(100, 10), (99, 10), (101, 10)], [(101, 10), (100, 10), (102, 10)], [0, 0, 0], [0, 0, 0])
    decided = int(ticks.ts_ns[0])
    better = orders_of((1, 105, 1, decided, int(OrderKind.FAK), NEVER_NS))
    assert simulate_orders(ticks, better, FillModel.BACK, latency_ns=100_000_000).price.tolist() == [101]
    later = int(ticks.ts_ns[1])
    worse = orders_of((1, 105, 1, later, int(OrderKind.FAK), NEVER_NS))
    assert simulate_orders(ticks, worse, FillModel.BACK, latency_ns=100_000_000).price.tolist() == [102]


def test_displayed_size_is_consumed_once() -> None:
    ticks = tiny([(100, 10)] * 4, [(101, 10)] * 4, [0] * 4, [0] * 4)
    rows = [(1, 101, 8, int(ticks.ts_ns[i]), int(OrderKind.FAK), NEVER_NS) for i in (0, 1, 2)]
    fills = simulate_orders(ticks, orders_of(*rows), FillModel.BACK, latency_ns=1)
    assert fills.lots.tolist() == [8, 2]


def test_fok_takes_all_or_nothing() -> None:
    ticks = tiny([(100, 10)] * 3, [(101, 10)] * 3, [0] * 3, [0] * 3)
    many, few = ((1, 101, lots, int(ticks.ts_ns[0]), int(OrderKind.FOK), NEVER_NS) for lots in (11, 10))
    refused = simulate_orders(ticks, orders_of(many), FillModel.BACK, latency_ns=1)
    assert (len(refused.lots), int(refused.reject[0])) == (0, int(RejectReason.NOT_FILLABLE))
    assert simulate_orders(ticks, orders_of(few), FillModel.BACK, latency_ns=1).lots.sum() == 10


def test_resting_beyond_the_fifth_level_or_the_price_limits_is_refused() -> None:
    ticks = tiny([(100, 10)] * 3, [(101, 10)] * 3, [0] * 3, [0] * 3)
    deep = orders_of((1, 95, 1, int(ticks.ts_ns[0]), 0, NEVER_NS), (1, 1001, 1, int(ticks.ts_ns[0]), 0, NEVER_NS))
    assert simulate_orders(ticks, deep, FillModel.BACK, latency_ns=1).reject.tolist() == [
        int(RejectReason.BEYOND_DEPTH),
        int(RejectReason.LIMIT),
    ]


def test_unsorted_orders_and_empty_lots_are_refused() -> None:
    ticks = tiny([(100, 10)] * 3, [(101, 10)] * 3, [0] * 3, [0] * 3)
    with pytest.raises(UsageError):
        simulate_orders(ticks, orders_of((1, 100, 1, 9, 0, 9), (1, 100, 1, 8, 0, 9)), FillModel.BACK, latency_ns=1)
    with pytest.raises(UsageError):
        simulate_orders(ticks, orders_of((1, 100, 0, 9, 0, 9)), FillModel.BACK, latency_ns=1)
