from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.orders import FillModel, OrderKind, RejectReason, Side
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import LiveCanonical
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.research.truth import day_ticks
from ghtrader.sim import venue_kernel
from ghtrader.sim.market.generate import generate_market
from ghtrader.sim.orders import NEVER_NS, OrderArray, simulate_orders, trades_of
from ghtrader.sim.policy import estimate_settlement
from ghtrader.sim.policy_kernel import LOG_COLUMNS, run_day
from ghtrader.sim.tape import MarketTape
from ghtrader.sim.venue import Arrival, DayVenue, VenueEvent, VenueEventKind

sys.path.insert(0, str(Path(__file__).parent))
from order_cases import random_orders, window, with_gaps
from plain_policy import Plain, Played, play

LATENCY = 300_000_000
MODELS = (FillModel.BACK, FillModel.PRO_RATA, FillModel.FRONT)
DAYS = ("2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10")
S = 1_000_000_000


@pytest.fixture(scope="module")
def generated() -> tuple[DayTicks, np.ndarray]:
    day = next(generate_market("planted", 3, days=1))
    ticks = day_ticks(day)
    return ticks, part_ends(ticks, day.sessions)


def drive(ticks: DayTicks, orders: OrderArray, venue: DayVenue, latency: int) -> list[VenueEvent]:
    """Every order and cancel of a list at its moment: what is decided at a snapshot's stamp follows on the snapshot.

    Without latency a cancel at a snapshot's stamp must have been sent by a timer, before the snapshot was known: the list knows no
    better.
    """
    asked = [(int(orders.decision_ns[i]), 1, i) for i in range(len(orders.side))]
    asked += [(int(orders.cancel_ns[i]), 0, i) for i in range(len(orders.side)) if orders.cancel_ns[i] != NEVER_NS]
    asked.sort()
    events: list[VenueEvent] = []
    at = 0
    for row in range(len(ticks) + 1):
        until = int(ticks.ts_ns[row]) if row < len(ticks) else NEVER_NS
        while at < len(asked) and asked[at][0] < until + (latency == 0 and asked[at][1] == 0):
            when, what, index = asked[at]
            at += 1
            if what == 1:
                side, kind = Side(int(orders.side[index])), OrderKind(int(orders.kind[index]))
                events += venue.submit(str(index), side, int(orders.price[index]), int(orders.lots[index]), kind, when)
            elif str(index) in venue.working:
                events += venue.cancel(str(index), when)
        events += venue.on_row(row) if row < len(ticks) else venue.close()
    return events


def on_snapshots(ticks: DayTicks, orders: OrderArray, share: float = 0.5) -> OrderArray:
    """The same orders, but many decided, and cancelled, at the very stamp of a snapshot."""
    rng = np.random.default_rng(len(orders.side))

    def snapped(stamps: np.ndarray) -> np.ndarray:
        at = np.clip(np.searchsorted(ticks.ts_ns, stamps, side="right") - 1, 0, len(ticks) - 1)
        chosen = (rng.random(len(stamps)) < share) & (stamps < NEVER_NS) & (stamps >= ticks.ts_ns[0])
        return np.where(chosen, ticks.ts_ns[at], stamps)

    decision = np.sort(snapped(orders.decision_ns))
    return replace(orders, decision_ns=decision, cancel_ns=np.maximum(decision + 1, snapped(orders.cancel_ns)))


def assert_equal_to_the_list(ticks: DayTicks, orders: OrderArray, model: FillModel, latency: int) -> int:
    expected = simulate_orders(ticks, orders, model, latency_ns=latency)
    events = drive(ticks, orders, DayVenue(ticks, model, latency_ns=latency), latency)
    found = sorted(
        (int(e.order_id), e.row, number, e.price, e.lots, e.passive)
        for number, e in enumerate(events)
        if e.kind is VenueEventKind.FILL
    )
    columns = (expected.order, expected.row, expected.price, expected.lots, expected.passive)
    assert [(o, r, p, n, w) for o, r, _, p, n, w in found] == list(zip(*(c.tolist() for c in columns), strict=True))
    refused = {int(e.order_id): e.reason for e in events if e.kind is VenueEventKind.REJECTED}
    assert {i: RejectReason(int(code)) for i, code in enumerate(expected.reject) if code} == refused
    ends = [e.order_id for e in events if e.kind in (VenueEventKind.CANCELLED, VenueEventKind.REJECTED)]
    filled = np.bincount(expected.order, weights=expected.lots, minlength=len(orders.side))
    assert len(ends) == len(set(ends)) == int((filled < orders.lots).sum())  # every order ends once
    return len(found)


def test_orders_equal_the_list_simulator_on_random_windows(sample_day: Callable, generated: tuple) -> None:
    fills = 0
    for number in range(8):
        ticks = sample_day(DAYS[number % 4])[0] if number % 2 else generated[0]
        part = window(ticks, (number // 2) * (len(ticks) - 2500) // 3, 2500)
        if number % 3:
            part = with_gaps(part, [*range(number * 7 + 1, 2500, 160), number * 7 + 2])
        orders = on_snapshots(part, random_orders(part, 400, seed=number))
        fills += assert_equal_to_the_list(part, orders, MODELS[number % 3], (LATENCY, 0)[number // 4 % 2])
    assert fills > 1000


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    start=st.integers(0, 20_000),
    latency=st.sampled_from([0, 1, LATENCY, 2 * S]),
    model=st.sampled_from(MODELS),
)
def test_orders_equal_the_list_simulator(generated: tuple, seed: int, start: int, latency: int, model: FillModel) -> None:
    part = with_gaps(window(generated[0], start, 600), list(range(seed % 100 + 1, 600, 100)))
    assert_equal_to_the_list(part, on_snapshots(part, random_orders(part, 60, seed)), model, latency)


def screened(ticks: DayTicks, part_end: np.ndarray, score: np.ndarray, plain: Plain, model: FillModel) -> Played:
    """What the screening backtester does."""
    trades, capacity = trades_of(ticks), 4 * len(ticks)
    out = [np.empty(capacity, kind) for kind in (np.int64, np.int64, np.bool_, np.int64, np.int64, np.bool_)]
    counts = np.zeros(4, np.int64)
    fills = run_day(
        ticks.ts_ns, ticks.break_before, ticks.gap_before, trades.live, ticks.bid_px, ticks.bid_sz, ticks.ask_px, ticks.ask_sz,
        trades.low, trades.high, trades.sold, trades.bought, part_end, score,
        plain.threshold, plain.passive, plain.lots, plain.latency, plain.hold, plain.patience, plain.flat_before, int(model),
        *out, counts, np.empty((0, LOG_COLUMNS), np.int64),
    )  # fmt: skip
    return Played(list(zip(*(column[:fills].tolist() for column in out), strict=True)), *counts.tolist())


def seeded_score(rows: int, seed: int, share: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    score = np.where(rng.random(rows) < share, rng.choice([-1.0, 1.0], rows), 0.0)
    return np.where(rng.random(rows) < 0.05, np.nan, score)


def assert_equal_to_screening(
    ticks: DayTicks, part_end: np.ndarray, score: np.ndarray, model: FillModel, **spec: object
) -> Played:
    plain = {"threshold": 0.5, "passive": True, "lots": 1, "hold": 25 * S, "patience": 10 * S, "flat_before": 30 * S}
    plain |= {"latency": 100_000_000, **spec}
    expected = screened(ticks, part_end, score, Plain(**plain), model)
    trades = trades_of(ticks)
    venue = DayVenue(ticks, model, latency_ns=plain["latency"], rules=Arrival.SCREENING, trades=trades)
    found = play(ticks, trades.live, part_end, score, Plain(**plain), venue)
    assert found == expected
    return found


@pytest.mark.parametrize("day", DAYS)
def test_policies_equal_the_screening_backtester_on_the_sample_days(sample_day: Callable, day: str) -> None:
    ticks, sessions = sample_day(day)
    ends, score = part_ends(ticks, sessions), seeded_score(len(ticks), int(day[-2:]))
    for model in MODELS:
        for passive in (False, True):
            lots = 1 if model is FillModel.PRO_RATA else 3
            played = assert_equal_to_screening(ticks, ends, score, model, passive=passive, lots=lots)
            assert len(played.fills) > 100
            assert not passive or (played.cancels > 50)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    start=st.integers(0, 20_000),
    model=st.sampled_from(list(FillModel)),
    passive=st.booleans(),
    lots=st.sampled_from([1, 2, 7, 60]),
    latency=st.sampled_from([0, 1, 100_000_000, 700_000_000, 3 * S]),
    hold=st.sampled_from([0, S, 5 * S]),
    patience=st.sampled_from([0, S // 4, 2 * S, 9 * S]),
)
def test_policies_equal_the_screening_backtester(
    generated: tuple, seed: int, start: int, model: FillModel, **spec: object
) -> None:
    ticks, ends = generated
    part = with_gaps(window(ticks, start, 1500), list(range(seed % 200 + 1, 1500, 200)))
    one_sided = np.random.default_rng(seed).random(len(part)) < 0.03
    part = replace(part, flags=np.where(one_sided, part.flags | np.uint32(512), part.flags).astype(np.uint32))
    score = seeded_score(len(part), seed, 0.1)
    # a session part that ends twice inside the window
    ends = np.where(np.arange(len(part)) < 700, part.ts_ns[700], part.ts_ns[-1])
    assert_equal_to_screening(part, ends, score, model, flat_before=10 * S, **spec)


def test_rows_may_be_skipped_and_an_idle_venue_jumps(generated: tuple) -> None:
    part = window(generated[0], 4000, 2000)
    orders = random_orders(part, 40, seed=9)
    one, other = (DayVenue(part, FillModel.FRONT, latency_ns=LATENCY) for _ in range(2))
    for index in range(40):
        for venue in (one, other):
            venue.submit(
                str(index), Side(int(orders.side[index])), int(orders.price[index]), 5, OrderKind.GFD, int(part.ts_ns[0])
            )
    steps = [event for row in range(2000) for event in one.on_row(row)]
    assert list(other.on_row(700) + other.on_row(700) + other.on_row(1999)) == steps
    assert any(event.kind is VenueEventKind.FILL for event in steps)
    assert (one.working, one.row, one.now_ns) == (other.working, 1999, int(part.ts_ns[-1]))


def test_without_latency_order_and_cancel_count_at_the_snapshot_that_they_were_decided_on(generated: tuple) -> None:
    part = window(generated[0], 4000, 50)
    venue = DayVenue(part, FillModel.BACK, latency_ns=0)
    venue.on_row(10)
    (accepted,) = venue.submit("a", Side.BUY, int(part.bid_px[10, 1]), 1, OrderKind.GFD, venue.now_ns)
    assert (accepted.kind, accepted.row, venue.is_resting("a")) == (VenueEventKind.ACCEPTED, 10, True)
    (cancelled,) = venue.cancel("a", venue.now_ns)
    assert (cancelled.kind, cancelled.row, venue.working) == (VenueEventKind.CANCELLED, 10, ())
    taken = venue.submit("b", Side.BUY, int(part.ask_px[10, 4]), 1, OrderKind.FAK, venue.now_ns)
    assert [event.kind for event in taken] == [VenueEventKind.ACCEPTED, VenueEventKind.FILL]


def test_an_order_ends_with_the_day(generated: tuple) -> None:
    part = window(generated[0], 4000, 50)
    venue = DayVenue(part, FillModel.BACK, latency_ns=LATENCY)
    venue.submit("rests", Side.BUY, int(part.bid_px[0, 4]), 1, OrderKind.GFD, int(part.ts_ns[0]))
    venue.on_row(49)
    venue.submit("late", Side.BUY, int(part.bid_px[0, 0]), 1, OrderKind.GFD, venue.now_ns)
    ends = {event.order_id: (event.kind, event.reason) for event in venue.close()}
    assert ends == {
        "rests": (VenueEventKind.CANCELLED, RejectReason.NONE),
        "late": (VenueEventKind.REJECTED, RejectReason.AFTER_DATA),
    }
    assert venue.working == ()


def test_what_makes_no_sense_is_refused(generated: tuple) -> None:
    part = window(generated[0], 4000, 50)
    venue = DayVenue(part, FillModel.BACK, latency_ns=LATENCY)
    venue.on_row(10)
    now = venue.now_ns
    venue.submit("a", Side.BUY, 1, 1, OrderKind.GFD, now)
    for order_id, lots, when in (("a", 1, now), ("b", 0, now), ("b", 1, now - 1)):
        with pytest.raises(UsageError):
            venue.submit(order_id, Side.BUY, 1, lots, OrderKind.GFD, when)
    with pytest.raises(UsageError):
        venue.on_row(9)
    with pytest.raises(UsageError):
        venue.on_row(50)
    with pytest.raises(DataError):
        venue.cancel("nobody", now)


@pytest.mark.parametrize("day", DAYS)
def test_a_live_tape_is_the_tape_of_the_recorded_day(sample_day: Callable, day: str) -> None:
    """The rows that a strategy sees live are those that the venue fills from, whichever way they came."""
    ticks, _ = sample_day(day)
    live = LiveCanonical(ticks.symbol, Calendar.vendored(), InstrumentTable.vendored())
    whole, tape = MarketTape.of_day(ticks), MarketTape(ticks.price_tick * ticks.multiplier, 1000)
    raw = raw_rows(ticks)
    for row in range(4000):
        assert live.push(int(ticks.ts_ns[row]), raw[row]) == 0
        assert tape.append(live.row) == row
    assert np.array_equal(tape.market[:4000], whole.market[:4000])
    assert np.array_equal(tape.flow[:4000], whole.flow[:4000])
    found = LiveCanonical(ticks.symbol, Calendar.vendored(), InstrumentTable.vendored()).push_many(ticks.ts_ns, raw)
    assert not found.code.any()
    assert np.array_equal(found.bid_px, ticks.bid_px)
    assert np.array_equal(found.ts_ns, ticks.ts_ns)


def raw_rows(ticks: DayTicks) -> np.ndarray:
    raw = np.full((len(ticks), len(COLUMNS)), np.nan)
    for names, values in (
        (BID_PRICES, ticks.bid_px), (ASK_PRICES, ticks.ask_px), (BID_SIZES, ticks.bid_sz), (ASK_SIZES, ticks.ask_sz),
        (("last_price",), ticks.last_px[:, None]), (("upper_limit",), ticks.upper_px[:, None]),
        (("lower_limit",), ticks.lower_px[:, None]), (("volume",), ticks.volume[:, None]), (("amount",), ticks.amount[:, None]),
        (("open_interest",), ticks.open_interest[:, None]),
    ):  # fmt: skip
        for place, name in enumerate(names):
            column = values[:, place].astype(np.float64)
            raw[:, COLUMNS.index(name)] = np.where(column == NO_PRICE, np.nan, column)
    return raw


def test_a_live_tape_tells_gaps_locks_and_settlement(sample_day: Callable) -> None:
    ticks, _ = sample_day(DAYS[0])
    live = LiveCanonical(ticks.symbol, Calendar.vendored(), InstrumentTable.vendored())
    tape = MarketTape(ticks.price_tick * ticks.multiplier, 1)
    assert math.isnan(tape.settlement_estimate())
    raw = raw_rows(ticks)
    raw[7, COLUMNS.index("upper_limit")] = raw[7, COLUMNS.index("bid_price1")]
    for row in range(9):
        live.push(int(ticks.ts_ns[row]), raw[row])
        tape.append(live.row, gap=row == 5)
    market = tape.market[:9]
    assert np.flatnonzero(market[:, venue_kernel.GAP]).tolist() == [5]
    assert market[5, venue_kernel.BREAK] == 1
    assert market[:, venue_kernel.IS_LIVE].tolist() == [int(row != 7) * int(trades_of(ticks).live[row]) for row in range(9)]
    assert tape.settlement_estimate() == estimate_settlement(ticks.rows(slice(0, 9)))
    assert live.push(int(ticks.ts_ns[8]), raw[8]) != 0
    dropped = replace(live.row, code=np.array([3], np.uint8))
    with pytest.raises(UsageError):
        tape.append(dropped)
