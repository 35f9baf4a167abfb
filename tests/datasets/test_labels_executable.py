"""Taker, fill, cost and weight labels against plain definitions, row by row, and fills against the simulator, order by order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import FillModel, Offset, OrderKind
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import GAP_FOLLOWS, NO_GAP, NO_PRICE, DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.factors.engine import flip
from ghtrader.datasets.labels.cost import passive_cost, taker_cost
from ghtrader.datasets.labels.day_labels import direction_columns, fill_columns
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.labels.fees import TakerFees, taker_fees
from ghtrader.datasets.labels.fills import FILL_MODELS, FillEnd, FillLabels, fill_labels
from ghtrader.datasets.labels.runs import runs_of
from ghtrader.datasets.labels.spec import LabelSpec, label_card, parse_horizon
from ghtrader.datasets.labels.taker import taker_labels
from ghtrader.datasets.labels.weights import uniqueness_weights
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import OrderArray, simulate_orders
from ghtrader.testing.builders import book_ticks

LATENCY_NS, PATIENCE_NS, AWAY = 600_000_000, 8_000_000_000, 2
SIDES: tuple[Literal["bid", "ask"], ...] = ("bid", "ask")
Side = Literal["bid", "ask"]


def rough(ticks: DayTicks) -> DayTicks:
    """Pieces of a day with gaps, a break, a roll, empty and crossed sides and limit-locks strewn in."""
    rng = np.random.default_rng(11)
    part = ticks.rows(np.r_[0:900, 14_000:14_600, 27_000:27_400])
    size = len(part)
    follows = np.where(rng.random(size) < 0.003, GAP_FOLLOWS, NO_GAP).astype(np.int8)
    breaks = part.break_before | np.concatenate([[False], follows[:-1] != NO_GAP])
    segment = part.segment_id.copy()
    segment[1200:] = 2
    breaks[[900, 1200, 1500]] = True
    ask_px, bid_px = part.ask_px.copy(), part.bid_px.copy()
    ask_px[rng.random(size) < 0.006] = NO_PRICE
    crossed = rng.random(size) < 0.003
    bid_px[crossed] += 3
    flags = part.flags | np.where(rng.random(size) < 0.004, 512, 0).astype(np.uint32)
    jump = np.cumsum(np.where(rng.random(size) < 0.02, rng.integers(-4, 5, size), 0))[:, None]
    return replace(
        part,
        break_before=breaks,
        gap_after=follows,
        segment_id=segment,
        flags=flags,
        ask_px=np.where(ask_px == NO_PRICE, NO_PRICE, ask_px + jump),
        bid_px=bid_px + jump,
    )


class Plain:
    """The definitions, one row at a time, in the words of the module docstrings."""

    def __init__(self, ticks: DayTicks) -> None:
        self.ticks, self.size = ticks, len(ticks)
        self.mid = ticks.mid_ticks
        self.locked = (ticks.flags & 512) != 0
        self.ok = [ticks.phase[i] == 3 and not self.locked[i] and not np.isnan(self.mid[i]) for i in range(self.size)]

    def cause(self, row: int) -> VoidReason | None:
        """What lies between a row and the next one; None when they belong together."""
        ticks, after = self.ticks, row + 1
        if ticks.gap_after[row] == GAP_FOLLOWS:
            return VoidReason.GAP
        if not (ticks.phase[after:] == 3).any():
            return VoidReason.END
        if ticks.phase[after] != 3:
            return VoidReason.BREAK
        if not ticks.break_before[after]:
            return None
        if ticks.segment_id[after] != ticks.segment_id[row]:
            return VoidReason.ROLL
        return VoidReason.GAP if ticks.part[after] == ticks.part[row] else VoidReason.BREAK

    def start(self, row: int) -> VoidReason:
        if self.ticks.phase[row] != 3:
            return VoidReason.NOT_CONTINUOUS
        if self.ticks.break_before[row]:
            return VoidReason.AFTER_BREAK
        if self.locked[row]:
            return VoidReason.LIMIT_LOCK
        return VoidReason.ONE_SIDED if np.isnan(self.mid[row]) else VoidReason.NONE

    def ahead(self, row: int, horizon: Horizon) -> int | VoidReason:
        """The row at which a horizon ends, or what it meets."""
        at = row
        while True:
            if horizon.unit == "ticks" and at == row + horizon.length:
                return at
            target = self.ticks.ts_ns[row] + horizon.length * 10**9
            if horizon.unit == "seconds" and self.ticks.ts_ns[at] == target:
                return at
            cause = self.cause(at)
            if cause is not None:
                return cause
            if horizon.unit == "seconds" and self.ticks.ts_ns[at + 1] > target:
                return at
            at += 1

    def taker(self, row: int, horizon: Horizon, latency: int, fee: Callable[[float, float], float]) -> tuple[float, float, int]:
        if self.start(row):
            return np.nan, np.nan, self.start(row)
        entry = self.ahead(row, Horizon("ticks", latency)) if latency else row
        end = entry if isinstance(entry, VoidReason) else self.ahead(entry, horizon)
        if isinstance(end, VoidReason):
            return np.nan, np.nan, end
        if self.locked[entry] or self.locked[end]:
            return np.nan, np.nan, VoidReason.LIMIT_LOCK
        if np.isnan(self.mid[entry]) or np.isnan(self.mid[end]):
            return np.nan, np.nan, VoidReason.ONE_SIDED_AHEAD
        bid, ask = self.ticks.bid_px[:, 0], self.ticks.ask_px[:, 0]
        long, short = bid[end] - ask[entry], bid[entry] - ask[end]
        return long - fee(ask[entry], bid[end]), short - fee(bid[entry], ask[end]), 0

    def traded(self, at: int) -> tuple[float, float, float, float]:
        """(lower quote, lots sold there, upper quote, lots bought there) between the row before and this one."""
        ticks = self.ticks
        lots = ticks.volume[at] - ticks.volume[at - 1]
        turnover = ticks.amount[at] - ticks.amount[at - 1]
        low, high = int(ticks.bid_px[at - 1, 0]), int(ticks.ask_px[at - 1, 0])
        if lots <= 0:
            return low, 0.0, high, 0.0
        if turnover <= 0:
            last = ticks.last_px[at]
            phi = 1.0 if last >= high else 0.0 if last <= low else 0.5
            return (low, 0.0, high, 0.0) if last == NO_PRICE else (low, (1 - phi) * lots, high, phi * lots)
        price = turnover / (lots * ticks.price_tick * ticks.multiplier)
        if not low - 1e-9 <= price <= high + 1e-9:
            low, high = min(low, int(ticks.bid_px[at, 0])), max(high, int(ticks.ask_px[at, 0]))
        phi = min(1.0, max(0.0, (price - low) / (high - low)))
        return low, (1 - phi) * lots, high, phi * lots

    def shown(self, at: int, side: Side, price: int) -> float:
        prices, sizes = (self.ticks.bid_px, self.ticks.bid_sz) if side == "bid" else (self.ticks.ask_px, self.ticks.ask_sz)
        found = [int(sizes[at, level]) for level in range(5) if prices[at, level] == price]
        return float(found[0]) if found else 0.0

    def order(self, row: int, side: Side, model: FillModel) -> tuple[int, int, int]:
        """(end, row of the event, arrival row) of the order decided at a row."""
        ticks, sign = self.ticks, 1 if side == "bid" else -1
        own, other = (ticks.bid_px, ticks.ask_px) if side == "bid" else (ticks.ask_px, ticks.bid_px)
        price, cancel = int(own[row, 0]), ticks.ts_ns[row] + PATIENCE_NS + LATENCY_NS
        queue, reach, arrival, before, at = 0.0, 0.0, -1, 0.0, row
        while True:
            if at > row:
                if ticks.ts_ns[at] >= cancel:
                    return FillEnd.PATIENCE, at - 1, at if arrival < 0 else arrival
                if not self.ok[at]:
                    joins_now = arrival < 0 and ticks.ts_ns[at] >= ticks.ts_ns[row] + LATENCY_NS
                    if arrival >= 0 or joins_now:
                        return FillEnd.HALT, at - 1, at if joins_now else arrival
            if arrival >= 0:
                low, sold, high, bought = self.traded(at)
                reference, lots = (low, sold) if side == "bid" else (high, bought)
                now = self.shown(at, side, price)
                if lots > 0 and sign * (price - reference) > 0:
                    queue, reach = 0.0, reach + lots
                else:
                    here = lots if reference == price else 0.0
                    reach += max(0.0, here - queue)
                    queue = max(0.0, queue - here)
                    left = before - here
                    gone = max(0.0, left - now)
                    if model == FillModel.FRONT:
                        queue = max(0.0, queue - gone)
                    if model == FillModel.PRO_RATA and left > 0:
                        queue = max(0.0, queue - gone * min(1.0, queue / left))
                    queue = min(queue, now)
                if sign * (price - other[at, 0]) >= 0 or reach >= 1 - 1e-9:
                    return FillEnd.FILLED, at, arrival
                before = now
            elif ticks.ts_ns[at] >= ticks.ts_ns[row] + LATENCY_NS:
                arrival, before = at, self.shown(at, side, price)
                queue = before
            if arrival >= 0 and sign * (own[at, 0] - price) >= AWAY:
                return FillEnd.AWAY, at, arrival
            cause = self.cause(at)
            if cause is not None:
                return FillEnd[cause.name], at, arrival
            at += 1


@pytest.fixture(scope="module")
def rough_day(sample_day: Callable) -> DayTicks:
    return rough(sample_day("2025-06-05")[0])


def orders(ticks: DayTicks, side: Side) -> FillLabels:
    return fill_labels(ticks, side, latency_ns=LATENCY_NS, patience_ns=PATIENCE_NS, away_ticks=AWAY)


@pytest.mark.parametrize(
    ("horizon", "latency", "fees"),
    [("10t", 1, (0.4, 0, 0)), ("50t", 2, (0, 1e-4, 1e-4)), ("5s", 0, (0.1, 5e-5, 0)), ("25s", 3, (0, 0, 3e-4))],
)
def test_taker_labels_equal_the_plain_definition(
    rough_day: DayTicks, horizon: str, latency: int, fees: tuple[float, float, float]
) -> None:
    fixed, entry_rate, exit_rate = fees
    given_ = TakerFees(fixed=fixed, entry_rate=entry_rate, exit_rate=exit_rate)
    found = taker_labels(rough_day, parse_horizon(horizon), latency_snapshots=latency, fees=given_)
    plain = Plain(rough_day)
    for row in range(len(rough_day)):
        long, short, void = plain.taker(
            row, parse_horizon(horizon), latency, lambda entry, end: fixed + entry_rate * entry + exit_rate * end
        )
        np.testing.assert_equal((found.long[row], found.short[row], found.void[row]), (long, short, void), str(row))
        expected = -1 if void else 2 if long > 0 else 0 if short > 0 else 1
        assert found.classes[row] == expected
    assert {0, 1, 2, -1} == set(found.classes.tolist())


@pytest.mark.parametrize("symbol", ["SHFE.rb2510", "KQ.m@SHFE.cu", "SHFE.au2508", "INE.sc2507"])
@pytest.mark.parametrize("day", ["2020-03-02", "2025-06-05"])
def test_fees_are_those_of_the_simulated_account_on_the_day(symbol: str, day: str) -> None:
    on = TradingDay.parse(day)
    costs = SimCosts.from_spec(InstrumentTable.vendored().spec(symbol, on))
    fees = taker_fees(symbol, on)
    for entry, exit_ in ((3000.0, 3100.0), (7800.0, 7790.0)):
        paid = costs.fee_cny(Offset.OPEN, entry, 1) + costs.fee_cny(Offset.CLOSE_TODAY, exit_, 1)
        assert fees.fixed + fees.entry_rate * entry + fees.exit_rate * exit_ == pytest.approx(
            paid / costs.tick_value_cny, rel=1e-12
        )
    assert taker_fees(symbol, on, 0.3) == TakerFees(fixed=0.6)


def test_labels_pay_the_dated_fees_unless_told_a_constant(rough_day: DayTicks) -> None:
    spec = LabelSpec(horizons=(Horizon("ticks", 50),))
    dated, constant = taker_fees("SHFE.rb2510", rough_day.trading_day), TakerFees(fixed=0.6)
    for given_, fees in ((spec, dated), (msgspec.structs.replace(spec, fee_ticks=0.3), constant)):
        expected = taker_labels(rough_day, spec.horizons[0], latency_snapshots=1, fees=fees)
        np.testing.assert_array_equal(direction_columns(rough_day, given_)["taker_long_50t"], expected.long)
    assert dated.entry_rate > 0


@pytest.mark.parametrize("side", SIDES)
def test_orders_end_as_the_plain_definition_says_under_every_queue_model(rough_day: DayTicks, side: Side) -> None:
    found, plain = orders(rough_day, side), Plain(rough_day)
    for row in range(len(rough_day)):
        if plain.start(row):
            assert found.end[row].tolist() == [0, 0, 0]
            assert found.row[row].tolist() == [-1, -1, -1]
            continue
        for column, model in enumerate(FILL_MODELS):
            expected = plain.order(row, side, model)
            assert (found.end[row, column], found.row[row, column], found.arrival[row]) == expected, (row, model)
    assert set(np.unique(found.end)) == {int(end) for end in FillEnd}


def test_a_fill_on_a_rough_day_costs_what_the_definition_says(rough_day: DayTicks) -> None:
    after, plain, runs = Horizon("seconds", 5), Plain(rough_day), runs_of(rough_day)
    for side, sign in (("bid", 1), ("ask", -1)):
        fills = orders(rough_day, side)  # type: ignore[arg-type]
        found, taken = passive_cost(fills, runs, after, buys=sign == 1), taker_cost(rough_day, fills, runs, after, buys=sign == 1)
        own = rough_day.bid_px[:, 0] if sign == 1 else rough_day.ask_px[:, 0]
        touch = rough_day.ask_px[:, 0] if sign == 1 else rough_day.bid_px[:, 0]

        def adverse(paid: float, row: int, sign: int = sign) -> float:
            end = plain.ahead(row, after)
            void = isinstance(end, VoidReason) or plain.locked[end]
            return np.nan if void else sign * (paid - plain.mid[end])

        for row in range(len(rough_day)):
            joins = int(fills.arrival[row])
            for column in range(3):
                cost, move = np.nan, np.nan
                if fills.end[row, column] == FillEnd.FILLED:
                    cost = sign * (own[row] - plain.mid[joins])
                    move = adverse(float(own[row]), int(fills.row[row, column]))
                np.testing.assert_equal((found.cost[row, column], found.adverse[row, column]), (cost, move))
            cost, move = np.nan, np.nan
            if joins >= 0 and plain.ok[joins]:
                worse = max(touch[row], touch[joins]) if sign == 1 else min(touch[row], touch[joins])
                cost, move = sign * (worse - plain.mid[joins]), adverse(float(worse), joins)
            np.testing.assert_equal((taken.cost[row], taken.adverse[row]), (cost, move))


@pytest.mark.parametrize(("day", "holes"), [("2025-06-06", 0), ("2025-06-09", 30)])
def test_fills_are_those_of_the_simulator_order_by_order(sample_day: Callable, day: str, holes: int) -> None:
    ticks = sample_day(day)[0]
    if holes:  # a few gaps: the simulator's orders survive them, a label is censored there
        follows = ticks.gap_after.copy()
        follows[np.random.default_rng(1).integers(100, len(ticks) - 100, holes)] = GAP_FOLLOWS
        ticks = replace(
            ticks, gap_after=follows, break_before=ticks.break_before | np.concatenate([[False], follows[:-1] != NO_GAP])
        )
    latency = 100_000_000
    compared = 0
    for side, sign in (("bid", 1), ("ask", -1)):
        found = fill_labels(ticks, side, latency_ns=latency, patience_ns=PATIENCE_NS, away_ticks=AWAY)  # type: ignore[arg-type]
        rows = np.flatnonzero((found.end[:, 0] != FillEnd.VOID) & (found.arrival >= 0))
        ones, decided = np.ones(len(rows), np.int64), ticks.ts_ns[rows]
        given = OrderArray(sign * ones, found.price[rows], ones, decided, int(OrderKind.GFD) * ones, decided + PATIENCE_NS)
        for column, model in enumerate(FILL_MODELS):
            fills = simulate_orders(ticks, given, model, latency_ns=latency)
            assert fills.passive.all()
            at = np.full(len(rows), len(ticks))
            at[fills.order] = fills.row
            ends, seen = found.end[rows, column], found.row[rows, column]
            filled = ends == FillEnd.FILLED
            np.testing.assert_array_equal(seen[filled], at[filled])
            assert (at[~filled] > seen[~filled]).all()  # later, or never
            assert (at[ends == FillEnd.PATIENCE] == len(ticks)).all()
            compared += int(filled.sum())
    assert compared > 40_000
    assert (np.diff(found.filled()[~np.isnan(found.filled()).any(axis=1)], axis=1) >= 0).all()  # back in pro_rata in front


def test_a_sell_is_a_buy_in_the_mirrored_book(rough_day: DayTicks) -> None:
    mirrored = flip(rough_day)
    for side, other in (("bid", "ask"), ("ask", "bid")):
        here, there = orders(rough_day, side), orders(mirrored, other)  # type: ignore[arg-type]
        np.testing.assert_array_equal(here.end, there.end)
        np.testing.assert_array_equal(here.row, there.row)


def test_an_order_that_nothing_reaches_waits_and_a_market_that_leaves_is_a_competing_risk() -> None:
    still = [(100, 5, 101, 7, 0)] * 40
    waiting = orders(book_ticks(still), "bid")
    assert waiting.end[1].tolist() == [FillEnd.PATIENCE] * 3
    assert waiting.seconds(book_ticks(still).ts_ns)[1, 0] == 8.5  # the last snapshot before patience and latency are over
    assert waiting.end[-2].tolist() == [FillEnd.END] * 3
    leaving = orders(book_ticks([*still[:10], *[(102, 5, 103, 7, 0)] * 30]), "bid")
    assert (leaving.end[1, 0], leaving.row[1, 0], leaving.ticks()[1, 0]) == (FillEnd.AWAY, 10, 9)
    np.testing.assert_array_equal(leaving.filled()[1], [0.0, 0.0, 0.0])
    sold = orders(book_ticks([*still[:10], (100, 1, 101, 7, 4), (100, 3, 101, 7, 2), *still[:20]]), "bid")
    # five ahead: four are sold, then one and we
    assert (sold.end[1, 0], sold.row[1, 0]) == (FillEnd.FILLED, 11)


@settings(max_examples=15, deadline=None)
@given(row=st.integers(100, 40_000))
def test_an_order_sees_nothing_before_its_decision_or_after_its_end(sample_day: Callable, row: int) -> None:
    ticks = sample_day("2025-06-10")[0].rows(slice(0, 41_000))
    row = min(row, len(ticks) - 10)
    piece = ticks.rows(slice(max(0, row - 40), min(len(ticks), row + 200)))
    here = min(row, 40)
    found = orders(piece, "bid")
    last = int(found.row[here].max())
    if last < 0:
        return
    sizes, volume = piece.bid_sz.copy(), piece.volume.copy()
    sizes[:here] += 5
    sizes[last + 1 :] += 9
    volume[last + 1 :] += 1000.0
    volume[:here] -= 1000.0
    moved = orders(replace(piece, bid_sz=sizes, volume=volume), "bid")
    assert moved.end[here].tolist() == found.end[here].tolist()
    assert moved.row[here].tolist() == found.row[here].tolist()


@pytest.mark.parametrize("text", ["1t", "10t", "50t", "5s", "25s"])
def test_weights_are_one_over_the_mean_concurrency(rough_day: DayTicks, text: str) -> None:
    horizon, plain, runs = parse_horizon(text), Plain(rough_day), runs_of(rough_day)
    used = direction_labels(rough_day, (horizon,))[1][:, 0] == 0
    found = uniqueness_weights(runs, horizon, used)
    spans = {row: plain.ahead(row, horizon) for row in np.flatnonzero(used).tolist()}
    concurrency = np.zeros(len(rough_day))
    for row, end in spans.items():
        concurrency[row:end] += 1
    for row in range(len(rough_day)):
        if row not in spans:
            assert np.isnan(found[row])
        else:
            covered = concurrency[row : spans[row]]
            assert found[row] == pytest.approx(1 / covered.mean() if len(covered) else 1.0, rel=1e-12)
    assert np.nanmax(found) <= 1.0


def test_weights_add_up_to_the_number_of_independent_labels(sample_day: Callable) -> None:
    ticks = sample_day("2025-06-05")[0]
    weights = direction_columns(ticks, LabelSpec(horizons=(Horizon("ticks", 50),)))["weight_50t"]
    assert np.nansum(weights) == pytest.approx(len(ticks) / 50, rel=0.02)


def test_a_spec_is_refused_where_it_makes_no_sense_and_named_where_it_is_unknown() -> None:
    wrong = [
        {"horizons": ()},
        {"horizons": (Horizon("ticks", 5), Horizon("ticks", 5))},
        {"horizons": (Horizon("ticks", 0),)},
        {"fee_ticks": -0.1},
        {"fee_ticks": float("nan")},
        {"patience_s": 0.0},
        {"away_ticks": 6},
    ]
    for given_ in wrong:
        with pytest.raises(UsageError, match="a label spec needs"):
            LabelSpec(**given_)
    for text in ("", "t", "0s", "5m", "-5t", "1.5s", "²t"):
        with pytest.raises(UsageError, match="no horizon"):
            parse_horizon(text)
    with pytest.raises(UsageError) as error:
        label_card("weights")
    assert "did you mean weight?" in error.value.hint


def test_columns_do_not_depend_on_what_else_is_asked(rough_day: DayTicks) -> None:
    both = direction_columns(rough_day, LabelSpec(horizons=(Horizon("ticks", 10), Horizon("seconds", 5))))
    one = direction_columns(rough_day, LabelSpec(horizons=(Horizon("seconds", 5),)))
    for name, values in one.items():
        np.testing.assert_array_equal(values, both[name])
    assert set(fill_columns(rough_day, LabelSpec())) == set(fill_columns(rough_day, LabelSpec(away_ticks=5)))
