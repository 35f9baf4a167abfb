"""The simulated exchange behind its ports: contracts, lockstep, money and days."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.adapters.paper_feed import PaperFeed
from ghtrader.adapters.replay import ReplayProvider
from ghtrader.adapters.replay_feed import ReplayFeed
from ghtrader.adapters.sim_broker import SimBroker
from ghtrader.core.errors import DataError, HaltedError, UsageError
from ghtrader.core.orders import FillModel, Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.data.readers import read_ticks
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.ports.broker import Broker, BrokerFill, BrokerOrder, OrderRequest, OrderState
from ghtrader.ports.live_feed import FeedState, LiveTick
from ghtrader.sim import venue_kernel
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import live_rows
from ghtrader.sim.policy import PolicyDay, PolicySpec, run_policy
from ghtrader.sim.replay import ReplayClock, ReplayDay, merged_rows, provided_days, replay_day, stored_days
from ghtrader.sim.venue import Arrival, VenueEvent
from ghtrader.sim.venue_account import VenueAccount
from ghtrader.testing.builders import book_ticks, day_manifest, day_sessions, source_frame, tick_frame
from ghtrader.testing.contracts.broker import LastingBrokerContract
from ghtrader.testing.contracts.live_feed import LiveFeedContract
from ghtrader.testing.fakes import FakeFeed
from ghtrader.testing.lockstep import LockstepReplay, wide_day

sys.path.insert(0, str(Path(__file__).parent.parent / "sim"))
from plain_policy import Plain, play

LATENCY = 100_000_000
RB, CU = "SHFE.rb2510", "SHFE.cu2507"
S = 1_000_000_000
BID_1, ASK_1 = COLUMNS.index("bid_price1"), COLUMNS.index("ask_price1")


def spec_of(symbol: str, day: str):
    return InstrumentTable.vendored().spec(symbol, TradingDay.parse(day))


# --- contracts of the ports ------------------------------------------------------------------------------------------------
class Stepped:
    """A session in which a poll lets the market go on by a tick, as time does elsewhere."""

    def __init__(self, replay: LockstepReplay) -> None:
        self._replay = replay
        self._broker = SimBroker(replay.account, replay.clock)

    def __getattr__(self, name: str):
        return getattr(self._broker, name)

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        self._replay.feed.poll()
        return self._broker.poll(timeout_s)


class TestSimBroker(LastingBrokerContract):
    @pytest.fixture
    def replay(self) -> LockstepReplay:
        replay = LockstepReplay([[wide_day(rows=4000)]])
        replay.step(10)
        return replay

    @pytest.fixture
    def port(self, replay: LockstepReplay) -> Stepped:
        return Stepped(replay)

    @pytest.fixture
    def touch(self, replay: LockstepReplay) -> Callable[[], tuple[float, float]]:
        return replay.touch

    @pytest.fixture
    def another(self, replay: LockstepReplay) -> Callable[[], Broker]:
        return lambda: Stepped(replay)

    def test_nothing_leaves_when_it_is_closed(self, replay: LockstepReplay, port: Stepped) -> None:
        assert port.is_up
        port.close()
        assert not port.is_up
        with pytest.raises(HaltedError):
            port.submit(self.request(Side.BUY, Offset.OPEN, 1, replay.touch()[1]))
        assert replay.broker.is_up  # the account lives on


class TestReplayFeed(LiveFeedContract):
    @pytest.fixture
    def day(self) -> ReplayDay:
        return wide_day(rows=600)

    @pytest.fixture
    def served(self, day: ReplayDay) -> Callable[[int], tuple[int, tuple[float, ...]]]:
        return lambda identity: (int(day.ticks.ts_ns[identity]), tuple(day.values[identity].tolist()))

    @pytest.fixture
    def open_feed(self, day: ReplayDay) -> Callable[[int | None], ReplayFeed]:
        def start(begin: int | None) -> ReplayFeed:
            replay = LockstepReplay([[day]])
            replay.step(begin or 0)
            return replay.feed

        return start


# --- lockstep ----------------------------------------------------------------------------------------------------------------
class ThroughTheBroker:
    """What a driver of a `DayVenue` asks, answered by feed and broker."""

    def __init__(self, replay: LockstepReplay) -> None:
        self.replay, self.last = replay, ""

    def on_row(self, row: int) -> tuple[VenueEvent, ...]:
        self.replay.heard.clear()
        (tick,) = self.replay.feed.poll()
        assert tick.ts_ns == self.replay.clock.now_ns() == self.replay.account._contracts[RB].venue.now_ns
        self.replay.broker.poll(0.0)
        return tuple(event for _, event in self.replay.heard)

    @property
    def working(self) -> tuple[str, ...]:
        order = self.replay.broker.order(self.last)
        return () if order is None or order.state.is_final else (self.last,)

    def is_resting(self, name: str) -> bool:
        order = self.replay.broker.order(name)
        return order is not None and order.state == OrderState.WORKING

    def submit(self, name: str, side: Side, price: int, lots: int, kind: OrderKind, now: int) -> tuple[VenueEvent, ...]:
        assert now == self.replay.clock.now_ns()
        self.last = name
        held = next(iter(self.replay.broker.positions()), None)
        closing = held is not None and held.lots > 0
        upper, lower = self.replay.account._contracts[RB].venue.tape.limits(0)
        price = max(min(price, upper), lower)
        self.replay.broker.submit(
            OrderRequest(
                client_order_id=name,
                symbol=RB,
                side=side,
                offset=Offset.CLOSE_TODAY if closing else Offset.OPEN,
                lots=lots,
                limit_price=float(price),
                kind=kind,
            )
        )
        return ()

    def cancel(self, name: str, now: int) -> None:
        self.replay.clock.move_to(now)
        self.replay.broker.cancel(name)


@pytest.mark.parametrize("passive", [False, True])
def test_a_policy_through_feed_and_broker_does_what_the_screening_backtester_does(passive: bool) -> None:
    """Fills, counts and cents, over two days."""
    calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
    provider = ReplayProvider(SAMPLES, calendar, instruments)
    days = provider.trading_days(RB)[:2]
    replay = LockstepReplay(provided_days(provider, calendar, instruments, [RB], days), FillModel.PRO_RATA, Arrival.SCREENING)
    through = ThroughTheBroker(replay)
    screening, played = [], []
    spec = PolicySpec(name="passive" if passive else "taker", lots=2)
    for number, day in enumerate(days):
        if number:
            assert replay.feed.poll() == []
        source = next(iter(provided_days(provider, calendar, instruments, [RB], [day])))[0]
        ticks, ends = source.ticks, part_ends(source.ticks, day_sessions(RB, day.iso))
        rng = np.random.default_rng(number)
        score = np.where(rng.random(len(ticks)) < 0.02, rng.choice([-1.0, 1.0], len(ticks)), 0.0)
        screening.append(PolicyDay(ticks, ends, score, 0.5, SimCosts.from_spec(source.spec)))
        plain = Plain(0.5, passive, 2, spec.hold_ns, spec.patience_ns, 30 * S, LATENCY)
        played.append(play(ticks, live_rows(ticks), ends, score, plain, through))  # type: ignore[arg-type]
    assert replay.feed.poll() == []
    assert (replay.feed.is_over, replay.feed.status.state) == (True, FeedState.CLOSED)
    expected = run_policy(screening, spec, FillModel.PRO_RATA)
    assert sum(len(one.fills) for one in played) == expected.fills > 200
    assert [sum(getattr(one, name) for one in played) for name in ("orders", "cancels", "unfilled", "rejects")] == [
        expected.orders, expected.cancels, expected.unfilled, expected.rejects,
    ]  # fmt: skip
    for done in replay.account.settled:
        assert done.pnl[RB] == expected.days[done.trading_day.iso]
    assert replay.account.settled[-1].balance_cny == pytest.approx(1_000_000.0 + expected.pnl_cny)


def test_the_venue_stands_at_the_snapshot_before_the_tick_is_seen() -> None:
    replay = LockstepReplay([[wide_day()]], latency_ns=1)
    replay.step(5)
    name = replay.order(Side.BUY, Offset.OPEN, 1, replay.touch()[1] + 20.0)
    assert replay.broker.order(name).state == OrderState.SENT
    replay.feed.poll()
    assert replay.broker.order(name).state == OrderState.FILLED
    assert replay.broker.fills()[0].ts_ns == replay.clock.now_ns()


def test_contracts_are_merged_by_time_and_their_orders_are_apart() -> None:
    replay = LockstepReplay([[wide_day(), wide_day(300, symbol=CU, seed=1)]])
    ticks = [tick for _ in range(700) for tick in replay.feed.poll()]
    stamps = [tick.ts_ns for tick in ticks]
    assert stamps == sorted(stamps)
    for symbol, rows in ((RB, 400), (CU, 300)):
        assert [tick.identity for tick in ticks if tick.symbol == symbol] == list(range(rows))
    assert replay.feed.poll() == []
    replay = LockstepReplay([[wide_day(), wide_day(symbol=CU, seed=1)]])
    replay.step(20)
    names = [replay.order(Side.BUY, Offset.OPEN, 1, replay.touch(symbol)[1], symbol=symbol) for symbol in (RB, CU)]
    replay.step(300)
    assert {fill.symbol for fill in replay.broker.fills()} == {RB, CU}
    assert [replay.broker.order(name).state for name in names] == [OrderState.FILLED] * 2
    assert [held.symbol for held in replay.broker.positions()] == [CU, RB]


def test_rows_of_equal_stamps_keep_the_order_of_the_contracts() -> None:
    which, rows = merged_rows([wide_day(rows=8), wide_day(8, symbol=CU)])
    pairs = list(zip(which.tolist(), rows.tolist(), strict=True))
    assert pairs == [(place, row) for row in range(8) for place in (0, 1)]


# --- days and money ----------------------------------------------------------------------------------------------------------
def two_days(**options) -> LockstepReplay:
    return LockstepReplay([[wide_day()], [wide_day(trading_day="2025-06-06", seed=3)]], **options)


def test_todays_lots_are_history_after_settlement_and_close_differently() -> None:
    replay = two_days()
    replay.step(10)
    replay.order(Side.BUY, Offset.OPEN, 3, replay.touch()[1] + 20.0)
    replay.step(2)
    (held,) = replay.broker.positions()
    assert (held.long_today, held.long_history) == (3, 0)
    resting = replay.order(Side.SELL, Offset.CLOSE_TODAY, 3, replay.touch()[1] + 8.0)
    replay.step(3)
    far = replay.broker.order(resting)
    assert far.state == OrderState.WORKING
    assert replay.broker.positions()[0].long_today_frozen == 3
    replay.broker.cancel(resting)
    replay.finish_day()
    assert replay.broker.order(resting).state == OrderState.CANCELLED
    (held,) = replay.broker.positions()
    assert (held.long_today, held.long_history, held.long_today_frozen) == (0, 3, 0)
    assert not replay.broker.is_up
    with pytest.raises(HaltedError):
        replay.order(Side.BUY, Offset.OPEN, 1, 3000.0)
    replay.step(5)
    assert replay.broker.is_up
    assert replay.broker.orders() == replay.broker.fills() == []
    replay.order(Side.SELL, Offset.CLOSE, 2, replay.touch()[0] - 20.0)
    replay.step(2)
    (held,) = replay.broker.positions()
    assert (held.long_today, held.long_history) == (0, 1)


def test_money_adds_up_to_the_cent() -> None:
    replay = two_days()
    spec = spec_of(RB, "2025-06-05")
    start = replay.broker.funds()
    assert (start.balance, start.available, start.margin) == (1_000_000.0, 1_000_000.0, 0.0)
    replay.step(10)
    name = replay.order(Side.BUY, Offset.OPEN, 2, replay.touch()[1])
    waiting = replay.broker.funds()
    need = 2 * replay.broker.order(name).request.limit_price * 10 * spec.margin_rate
    fee = 2 * replay.broker.order(name).request.limit_price * 10 * spec.fee.open_rate + 2 * spec.fee.open_cny
    assert waiting.available == pytest.approx(1_000_000.0 - need - fee)
    replay.step(30)
    fills = replay.broker.fills()
    assert sum(fill.lots for fill in fills) == 2
    funds = replay.broker.funds()
    turnover = sum(fill.price * fill.lots * 10 for fill in fills)
    assert funds.commission == pytest.approx(turnover * spec.fee.open_rate + 2 * spec.fee.open_cny)
    assert funds.margin == pytest.approx(turnover * spec.margin_rate)
    last = replay.account._marks[RB]
    assert funds.position_profit == pytest.approx(2 * last * 10 - turnover)
    assert funds.balance == pytest.approx(1_000_000.0 + funds.close_profit + funds.position_profit - funds.commission)
    assert funds.available == pytest.approx(funds.balance - funds.margin)
    replay.finish_day()
    (done,) = replay.account.settled
    settled = replay.broker.funds()
    assert done.net_cny == pytest.approx(2 * done.settlement_ticks[RB] * 10 - turnover - funds.commission)
    assert settled.balance == done.balance_cny == pytest.approx(1_000_000.0 + done.net_cny)
    assert (settled.commission, settled.position_profit, done.estimated) == (0.0, 0.0, (RB,))
    assert settled.margin == pytest.approx(2 * done.settlement_ticks[RB] * 10 * spec.margin_rate)


def test_a_published_settlement_is_used_and_named_so() -> None:
    replay = LockstepReplay([[wide_day(settlement_ticks=2990.0)]])
    replay.step(10)
    replay.order(Side.SELL, Offset.OPEN, 1, replay.touch()[0] - 20.0)
    replay.finish_day()
    (done,) = replay.account.settled
    (fill,) = replay.broker.fills()
    assert (done.estimated, done.settlement_ticks) == ((), {RB: 2990.0})
    assert done.pnl[RB].holding_cny == pytest.approx((fill.price - 2990.0) * 10)


def test_what_the_account_cannot_pay_for_is_rejected_and_costs_nothing() -> None:
    spec, price = spec_of(RB, "2025-06-05"), 3000.0
    one = price * 10 * (spec.margin_rate + spec.fee.open_rate) + spec.fee.open_cny
    replay = LockstepReplay([[wide_day()]], balance_cny=2 * one + 0.01)
    replay.step(5)
    assert replay.broker.order(replay.order(Side.BUY, Offset.OPEN, 3, price)).state == OrderState.REJECTED
    paid = [replay.order(Side.BUY, Offset.OPEN, 1, price) for _ in range(2)]
    assert [replay.broker.order(name).state for name in paid] == [OrderState.SENT] * 2  # to the last cent
    assert replay.broker.funds().available == pytest.approx(0.01)
    replay = LockstepReplay([[wide_day()]], balance_cny=one / 2)
    replay.step(5)
    name = replay.order(Side.BUY, Offset.OPEN, 1, price)
    order = replay.broker.order(name)
    assert (order.state, order.exchange_order_id) == (OrderState.REJECTED, "")
    assert "funds" in order.message
    assert replay.broker.funds().available == one / 2
    assert [change.request.client_order_id for change in replay.step(3)] == [name]
    assert replay.heard == []


def test_the_exchange_says_why_it_refuses() -> None:
    replay = LockstepReplay([[wide_day()]], latency_ns=1)
    replay.step(5)
    whole = replay.order(Side.BUY, Offset.OPEN, 30, replay.touch()[0] - 8.0, OrderKind.FOK)
    replay.step()
    killed = replay.broker.order(whole)
    assert (killed.state, killed.exchange_order_id) == (OrderState.CANCELLED, "000000000001")
    assert killed.message == "not all of it could be filled"
    beyond = replay.order(Side.BUY, Offset.OPEN, 1, replay.touch()[0] - 60.0)
    replay.step()
    order = replay.broker.order(beyond)
    assert (order.state, order.message[:23]) == (OrderState.REJECTED, "it would rest beyond th")
    with pytest.raises(DataError, match=r"has no SHFE\.zn2508"):
        replay.order(Side.BUY, Offset.OPEN, 1, 3000.0, symbol="SHFE.zn2508")


def test_a_closing_order_that_fills_in_part_keeps_the_rest_frozen_until_its_end() -> None:
    book = [(100, 9, 101, 9, 0)] * 3 + [(100, 2, 101, 9, 0)] * 2 + [(100, 2, 102, 9, 0)] * 4
    ticks = book_ticks(book)
    day = ReplayDay(ticks, np.zeros((len(book), len(COLUMNS))), spec_of(RB, "2025-06-05"))
    replay = LockstepReplay([[day]], latency_ns=1)
    replay.step()
    replay.order(Side.BUY, Offset.OPEN, 5, 101.0)
    replay.step(2)
    resting = replay.order(Side.SELL, Offset.CLOSE_TODAY, 5, 100.0)  # two lots are shown at 100, the rest waits there
    replay.step()
    held, order = replay.broker.positions()[0], replay.broker.order(resting)
    assert (order.state, order.left, held.long_today, held.long_today_frozen) == (OrderState.WORKING, 3, 3, 3)
    replay.broker.cancel(resting)
    replay.step(3)
    held, order = replay.broker.positions()[0], replay.broker.order(resting)
    assert (order.state, held.long_today_frozen) == (OrderState.CANCELLED, 0)
    assert held.long_today == order.left


def test_where_close_takes_both_ages_history_goes_first() -> None:
    """An exchange that does not tell today apart."""
    symbol = "DCE.m2509"
    days = []
    for day, seed in (("2025-06-05", 0), ("2025-06-06", 1)):
        one = wide_day(trading_day=day, seed=seed)
        spec = msgspec.structs.replace(one.spec, symbol=symbol)
        ticks = type(one.ticks)(**{name: getattr(one.ticks, name) for name in one.ticks.__slots__} | {"symbol": symbol})
        days.append([ReplayDay(ticks, one.values, spec)])
    replay = LockstepReplay(days)
    replay.step(5)
    replay.order(Side.BUY, Offset.OPEN, 2, replay.touch(symbol)[1] + 20.0, symbol=symbol)
    replay.finish_day()
    replay.step(5)
    replay.order(Side.BUY, Offset.OPEN, 2, replay.touch(symbol)[1] + 20.0, symbol=symbol)
    replay.step(2)
    replay.order(Side.SELL, Offset.CLOSE, 3, replay.touch(symbol)[0] - 20.0, symbol=symbol)
    (held,) = replay.broker.positions()
    assert (held.long_history_frozen, held.long_today_frozen) == (2, 1)
    replay.step(2)
    (held,) = replay.broker.positions()
    assert (held.long_history, held.long_today, held.long_today_frozen) == (0, 1, 0)


def test_the_same_replay_gives_the_same_ids_and_cents() -> None:
    def run() -> tuple:
        replay = two_days(model=FillModel.FRONT)
        told = []
        for number in range(800):
            told += replay.step()
            if number % 20 == 0 and replay.broker.is_up:
                side = Side.BUY if number % 40 else Side.SELL
                replay.order(side, Offset.OPEN, 3, replay.touch()[number % 3 // 2])
        fills = list(replay.broker.fills())
        return told, fills, replay.account.settled, replay.broker.funds()

    first, second = run(), run()
    assert first == second
    trades = [fill.trade_id for fill in first[1]]
    assert len(set(trades)) == len(trades) > 5
    assert trades[0].startswith("20250606|c")


def test_days_must_ascend_and_be_closed_first() -> None:
    account = VenueAccount(FillModel.BACK, latency_ns=1)
    account.open_day([wide_day(trading_day="2025-06-06")])
    with pytest.raises(UsageError):
        account.open_day([wide_day(trading_day="2025-06-09")])
    account.close_day()
    with pytest.raises(HaltedError):
        account.close_day()
    for days in ([wide_day()], [wide_day(trading_day="2025-06-06")], []):
        with pytest.raises(UsageError):
            account.open_day(days)


# --- what the feed reads -----------------------------------------------------------------------------------------------------
def test_stored_and_provided_days_are_the_rows_of_the_file() -> None:
    calendar, instruments, store = Calendar.vendored(), InstrumentTable.vendored(), MemoryTickStore()
    provider = ReplayProvider(SAMPLES, calendar, instruments)
    day = TradingDay.parse("2025-06-05")
    ((given,),) = provided_days(provider, calendar, instruments, [RB], [day])
    source = read_ticks(SAMPLES / "SHFE.rb2510.20250605.parquet").frame.sort("datetime")
    assert given.symbol == RB
    kept = source.filter(pl.col("datetime").is_in(given.ticks.ts_ns.tolist()))
    assert len(given.ticks) == len(kept) > 40_000
    for name in ("last_price", "bid_price1", "ask_volume5", "volume", "amount", "open_interest", "upper_limit"):
        assert np.array_equal(given.values[:, COLUMNS.index(name)], kept[name].cast(pl.Float64).to_numpy(), equal_nan=True), name
    frame = tick_frame(300)
    store.write_day(*partition(frame))
    ((stored,),) = stored_days(store, instruments, [RB, CU], [day])
    assert np.array_equal(stored.values[:, 0], frame["last_price"].to_numpy())
    with pytest.raises(DataError, match="no ticks of"):
        next(stored_days(store, instruments, [RB], [TradingDay.parse("2025-06-06")]))


def partition(frame: pl.DataFrame):
    key, manifest = day_manifest(frame)
    return key, frame, manifest


def test_counters_of_two_sided_years_are_given_as_they_were_published() -> None:
    frame = source_frame(50, symbol="SHFE.rb1910", trading_day="2019-06-05")
    day = replay_day(
        tick_frame(source=frame, symbol="SHFE.rb1910", trading_day="2019-06-05"), spec_of("SHFE.rb1910", "2019-06-05")
    )
    column = COLUMNS.index("volume")
    assert np.array_equal(day.values[:, column], frame["volume"].to_numpy())
    assert np.array_equal(day.ticks.volume, frame["volume"].to_numpy() / 2)


def test_known_gaps_reach_the_venue() -> None:
    store, frame = MemoryTickStore(), tick_frame(300)
    store.write_day(*partition(frame))
    stamps = frame["datetime"].to_numpy()
    gap = np.array([[stamps[20], stamps[21]]])
    ((day,),) = stored_days(store, InstrumentTable.vendored(), [RB], [TradingDay.parse("2025-06-05")], gaps_of=lambda *_: gap)
    assert np.flatnonzero(day.ticks.gap_before).tolist() == [21]


def test_timers_are_due_before_the_next_tick() -> None:
    replay = two_days()
    first = replay.feed.next_ns
    replay.step()
    assert first == replay.clock.now_ns() < replay.feed.next_ns
    replay.finish_day()
    following = replay.feed.next_ns
    (tick,) = replay.feed.poll()
    assert following == tick.ts_ns
    with pytest.raises(UsageError):
        replay.clock.move_to(first)


# --- paper trading on a live feed --------------------------------------------------------------------------------------------
def live_ticks(days: Sequence[ReplayDay], *, values: int = 27) -> list[LiveTick]:
    rows = [(day, row) for day in days for row in range(len(day.ticks))]
    return [
        LiveTick(
            day.symbol, number, int(day.ticks.ts_ns[row]), int(day.ticks.ts_ns[row]), tuple(day.values[row, :values].tolist())
        )
        for number, (day, row) in enumerate(rows)
    ]


class PaperSession:
    """Trades on a live feed by the same script as a replay."""

    def __init__(self, ticks: Sequence[LiveTick], lose: Sequence[int] = (), batch: int = 1) -> None:
        self.account = VenueAccount(FillModel.PRO_RATA, latency_ns=100_000_000, balance_cny=1_000_000.0)
        self.clock = ReplayClock()
        fake = FakeFeed(ticks, batch=batch, lose=lose)
        tables = Calendar.vendored(), InstrumentTable.vendored()
        self.feed = PaperFeed(fake, self.account, [RB], *tables, limits_of=lambda _: (3500.0, 2500.0))
        self.broker = SimBroker(self.account, self.clock)


def trade(session, steps: int) -> list[BrokerFill]:
    """An order every seventh tick, in turn through the touch and at it; every fill."""
    fills: list[BrokerFill] = []
    for number in range(steps):
        ticks = session.feed.poll(0.0)
        if not ticks:
            continue
        if session.clock.now_ns() < ticks[-1].ts_ns:
            session.clock.move_to(ticks[-1].ts_ns)
        fills = [*[fill for fill in fills if fill not in session.broker.fills()], *session.broker.fills()]
        if number % 7 == 3:
            side = Side.BUY if number % 2 else Side.SELL
            bid, ask = session.account.quote(RB)
            price = (bid, ask)[number % 3 // 2]
            request = OrderRequest(
                client_order_id=f"c{number}", symbol=RB, side=side, offset=Offset.OPEN, lots=2, limit_price=price
            )
            session.broker.submit(request)
        if number % 7 == 6:
            for order in session.broker.orders():
                if not order.state.is_final:
                    session.broker.cancel(order.request.client_order_id)
    return fills


def test_paper_trading_on_a_live_feed_fills_as_a_replay_of_its_record_does() -> None:
    """Two days, settled by the first tick of the next one."""
    days = [wide_day(300, seed=5), wide_day(300, trading_day="2025-06-06", seed=6)]
    session = PaperSession(live_ticks(days))
    live = trade(session, 600)
    replay = LockstepReplay([[day] for day in days], FillModel.PRO_RATA)
    recorded = trade_by_the_same_numbers(replay)
    assert live == recorded
    assert len(live) > 20
    session.account.close_day()
    assert session.account.settled == replay.account.settled


def trade_by_the_same_numbers(replay: LockstepReplay) -> list[BrokerFill]:
    """The pause in which a replay settles a day is no tick."""

    class Ticks:
        def __init__(self) -> None:
            self.account, self.clock, self.broker, self.feed = replay.account, replay.clock, replay.broker, self

        def poll(self, timeout_s: float) -> list[LiveTick]:
            return replay.feed.poll() or replay.feed.poll()

    fills = trade(Ticks(), 600)
    replay.finish_day()
    return fills


def test_what_the_feed_lost_is_a_gap_at_the_venue() -> None:
    session = PaperSession(live_ticks([wide_day(60)]), lose=[20, 21])
    for _ in range(60):
        session.feed.poll(0.0)
    tape = session.account._contracts[RB].venue.tape
    assert (tape.rows, np.flatnonzero(tape.market[: tape.rows, venue_kernel.GAP]).tolist()) == (58, [20])
    assert session.feed.status.ticks == 58
    session.feed.close()
    assert session.feed.status.state == FeedState.CLOSED


def test_rows_that_are_not_kept_move_nothing_and_other_contracts_pass_through() -> None:
    first, second = live_ticks([wide_day(8)])[:2]
    noon = LiveTick(RB, 1, 1_749_268_800_000_000_000, 0, (float("nan"),) * 27)  # a heartbeat on a Saturday
    other = msgspec.structs.replace(first, symbol=CU, identity=7)
    session = PaperSession([noon, first, other, msgspec.structs.replace(second, identity=3)], batch=4)
    assert len(session.feed.poll(0.0)) == 4
    assert session.account._contracts[RB].venue.row == 1
    assert session.account.quote(RB) == (second.values[BID_1], second.values[ASK_1])
