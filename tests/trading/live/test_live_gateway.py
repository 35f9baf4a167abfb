"""The gateway on live ticks, its feed and its broker in threads of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.trading.live.world import RB, Running, World, sample_ticks

from ghtrader.core.clock import NS_PER_S, SystemClock
from ghtrader.core.errors import GhtraderError, UsageError
from ghtrader.core.messages import Command, Verb
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.recording import TickSpool
from ghtrader.pipelines import gateway_live
from ghtrader.pipelines.gateway import GatewayRequest, run_gateway
from ghtrader.pipelines.ingest import list_store
from ghtrader.pipelines.recorder import Recorder
from ghtrader.pipelines.statement import check_statements
from ghtrader.ports.broker import AccountFunds
from ghtrader.ports.live_feed import FeedState, LiveTick
from ghtrader.ports.lock import gateway_key
from ghtrader.ports.tick_store import DayKey
from ghtrader.trading.gateway.feed import ThreadedFeed
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.words import Mode


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def running(world: World, **request: object) -> Running:
    world.queued.put(sample_ticks(1)[0])
    return Running(world, **request)


def test_a_target_of_the_strategy_becomes_one_order_at_the_venue_and_the_next_run_knows_it(world: World) -> None:
    run = running(world, record=True)
    try:
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up, "ready", run.beat)
        assert run.state.mode == Mode.SIM
        assert run.state.trading_day == "2025-06-05"
        for tick in sample_ticks(3, 401):
            world.queued.put(tick)
        run.until(lambda: run.state.counters.get("ticks", 0) >= 4, "ticks")
        run.target(2)
        run.until(lambda: run.state.positions.net(RB) == 2, "filled", run.beat)
        report = run.gateway.report()
    finally:
        run.close()
    stored = list_store(world, kind="raw")
    assert [(day.symbol, day.trading_day, day.rows) for day in stored] == [(RB, "2025-06-05", 4)]
    kept = world.tick_store().read_day(DayKey("raw", RB, TradingDay.parse("2025-06-05")))
    assert kept["local_nano"].to_list() == [1, 1, 1, 1]  # when they were received
    assert len(world.venue.received) == 1
    assert (report.mode, report.orders, report.fills, report.ticks) == ("sim", 1, 1, 4)
    assert report.days[-1].trading_day == "2025-06-05"
    world.queued.put(sample_ticks(1, 405)[0])
    again = Running(world, mode="")
    try:
        again.until(lambda: again.state.life == Life.READY, "reconciled")
        assert again.state.desired.mode == Mode.SIM
        assert again.state.positions.net(RB) == 2
        assert again.state.differences == ()
    finally:
        again.close()
    assert len(world.venue.received) == 1


def test_a_break_of_a_served_market_is_no_silence_of_the_strategy(world: World) -> None:
    run = running(world)
    try:
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up, "ready", run.beat)
        early, late = sample_ticks(2, 401)
        world.queued.put(msgspec.structs.replace(early, open_limit_lots=800))
        run.until(lambda: run.state.markets[RB].open_limit_lots == 800, "the limit that the feed carries", run.beat)
        late = msgspec.structs.replace(late, ts_ns=early.ts_ns + 900 * 10**9)
        world.queued.put(late)
        run.until(lambda: run.state.markets[RB].ts_ns == late.ts_ns, "the tick behind the break")
        assert (run.state.strategy.lost, run.state.strategy_halt(run.state.clock_ns)) == ("", "")
        assert "strategy_lost" not in dict(run.told)
    finally:
        run.close()


def test_paper_fills_on_the_simulated_exchange_and_holds_what_it_held_after_a_restart(world: World) -> None:
    run = running(world, account="mine", mode="paper")
    world.queued.put(sample_ticks(1, 401)[0])  # the first one only said what time it is
    try:
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up, "ready", run.beat)
        run.target(1)
        ticks = iter(sample_ticks(200, 402))
        run.until(lambda: run.state.positions.net(RB) == 1, "filled", lambda: world.queued.put(next(ticks)))
        assert run.state.mode == Mode.PAPER
    finally:
        run.close()
    assert not world.venue.received
    world.queued.put(sample_ticks(1, 700)[0])
    again = Running(world, account="mine", mode="")
    try:
        more = iter(sample_ticks(50, 701))
        again.until(lambda: again.state.life == Life.READY, "reconciled", lambda: world.queued.put(next(more)))
        assert again.state.positions.net(RB) == 1
    finally:
        again.close()


def test_a_paper_account_goes_on_with_its_money_and_its_day_after_a_restart(world: World) -> None:
    """Long in one run, short after the next, settled in the third: the statement knows every trade and balances to the cent."""
    funds = [*traded_paper(world, 1, 400), *traded_paper(world, -1, 800)]
    assert funds[0].balance == 10_000_000.0
    assert funds[2].commission == pytest.approx(funds[1].commission)
    assert funds[1].commission > 0
    assert funds[2].balance - funds[2].position_profit == pytest.approx(funds[1].balance - funds[1].position_profit)
    world.queued.put(sample_ticks(1, day="20250606")[0])
    last = Running(world, account="mine", mode="")
    try:
        last.until(lambda: bool(world.trading().statements("mine").days()), "settled")
    finally:
        last.close()
    books = check_statements(world, "mine", day="2025-06-05")
    assert books.balanced, books.days
    assert books.days[0].check is not None
    assert (books.days[0].check.trades, books.days[0].check.estimated) == (3, (RB,))
    assert books.days[0].balance_cny == pytest.approx(funds[3].balance)


def traded_paper(world: World, lots: int, first: int) -> tuple[AccountFunds, AccountFunds]:
    """A run of a paper account that comes to hold so many lots; its money when it was ready and when it was done."""
    ticks = iter(sample_ticks(300, first))
    world.queued.put(next(ticks))
    run = Running(world, account="mine", mode="paper")

    def each() -> None:
        feed(world, run, ticks)

    try:
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up and RB in run.state.markets, "ready", each)
        before = run.state.funds
        run.target(lots)
        run.until(lambda: run.state.positions.net(RB) == lots and run.state.funds.balance != before.balance, "filled", each)
        return before, run.state.funds
    finally:
        run.close()


def feed(world: World, run: Running, ticks: Iterator[LiveTick]) -> None:
    """One more tick when the ones before are taken."""
    if world.queued.empty():
        world.queued.put(next(ticks))
    run.beat()


def test_a_tick_ends_the_wait_of_a_gateway(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = running(world)
    try:
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up, "ready", run.beat)
        monkeypatch.setattr(gateway_live, "WAIT_S", 60.0)
        seen, begun = run.state.markets[RB].seq, SystemClock().monotonic_ns()
        world.queued.put(sample_ticks(1, 401)[0])
        run.until(lambda: run.state.markets[RB].seq > seen, "heard")
        assert SystemClock().monotonic_ns() - begun < 30 * NS_PER_S
    finally:
        run.close()


def test_what_a_mode_lacks_makes_it_live_monitor_and_is_said(world: World) -> None:
    world.has_login = False
    run = running(world)
    try:
        run.until(lambda: any(name == "gateway_mode" for name, _ in run.told), "said")
        assert run.state.mode == Mode.LIVE_MONITOR
        assert ("gateway_mode", {"wanted": "sim", "mode": "live_monitor", "why": "preflight is red: login"}) in run.told
        world.has_login = True
        run.until(lambda: run.state.mode == Mode.SIM, "mended")
        command = Command(
            command_id="idle",
            account="kq",
            verb=Verb.SET_DESIRED,
            actor="test",
            ts_ns=run.state.marked_ns,
            params={"mode": "idle"},
        )
        client = dict(world.trading().command_ways("kq"))["socket"]()
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(client.request(command, 20.0).outcome))
        thread.start()
        run.until(lambda: bool(answers), "answered")
        thread.join()
        client.close()
        run.until(lambda: world.feeds[-1].closed, "an idle account has no ticks")
    finally:
        run.close()
    world.kind = "live"
    with pytest.raises(UsageError, match="present time"):
        Running(world)


def test_live_trading_needs_both_gates_and_the_checks(world: World) -> None:
    world.kind = "live"
    run = Running(world, market_time=False, mode="live_trade", confirm_live="I_UNDERSTAND")
    try:
        assert not world.live_enabled
        run.until(lambda: any(name == "gateway_mode" for name, _ in run.told), "said")
        assert run.told[-1][1]["why"] == "GHTRADER_LIVE_ENABLED is not true"
        assert run.state.mode == Mode.LIVE_MONITOR
        assert {"schedule", "filing"} <= set(run.state.red)  # the contract was delivered, nothing was filed
    finally:
        run.close()


@pytest.mark.parametrize(
    ("symbol", "words"), [("SHFE.zz9999", "SHFE.zz9999"), ("SHFE.zz2510", "SHFE.zz"), ("SHFE.rb", "is a variety, not a contract")]
)
def test_a_symbol_that_can_have_no_ticks_is_refused_before_anything_is_opened(world: World, symbol: str, words: str) -> None:
    request = GatewayRequest(account="kq", symbols=(symbol,), mode="sim", record=False)
    with pytest.raises(GhtraderError, match=words):
        run_gateway(world, request, lambda name, fields: None)
    assert (world.feeds, world.trading().journal("kq").segments()) == ([], [])


def test_sigterm_ends_a_run_in_order(world: World) -> None:
    world.queued.put(sample_ticks(1)[0])
    request = GatewayRequest(account="kq", symbols=(RB,), mode="sim", market_time=True, record=False)
    told: list[str] = []

    def tell(name: str, fields: object) -> None:
        told.append(name)
        if name == "gateway_mode":
            os.kill(os.getpid(), signal.SIGTERM)

    report = run_gateway(world, request, tell)
    assert report.ticks == 1
    assert world.feeds[-1].closed
    world.trading().locks().acquire(gateway_key("kq")).release()  # free again


def test_a_feed_that_is_subscribed_anew_goes_on_where_it_was() -> None:
    import queue

    from tests.trading.live.world import QueueFeed

    opened: list[QueueFeed] = []
    ticks: queue.SimpleQueue[object] = queue.SimpleQueue()
    heard: list[int] = []

    def opens(symbols: tuple[str, ...], begin: dict[str, int]) -> QueueFeed:
        opened.append(QueueFeed(ticks, symbols, begin))  # type: ignore[arg-type]
        return opened[-1]

    rings: list[int] = []
    feed = ThreadedFeed(
        opens, hear=lambda found: heard.extend(tick.identity for tick in found), ring=lambda: rings.append(len(heard))
    )
    try:
        feed.subscribe((RB,))
        ticks.put(sample_ticks(1)[0])
        assert [tick.identity for tick in feed.poll(10.0)] == [400]
        feed.subscribe((RB, "SHFE.rb2601"))
        ticks.put(sample_ticks(1, 401)[0])
        assert [tick.identity for tick in feed.poll(10.0)] == [401]
    finally:
        feed.close()
    assert heard == [400, 401]
    assert rings == [1, 2]
    assert opened[-1].symbols == (RB, "SHFE.rb2601")
    assert opened[-1].begin == {RB: 401} or opened[0].given == 2
    assert opened[-1].closed
    assert feed.status.state in {FeedState.LIVE, FeedState.CONNECTING}


def test_ticks_of_a_killed_run_are_imported_by_the_next_without_its_torn_row(tmp_path: Path, world: World) -> None:
    folder = world.paths.data / "spool" / "kq"
    TickSpool(folder, "7").append(sample_ticks(5))
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    told: list[tuple[str, dict[str, object]]] = []
    Recorder(world, "kq", lambda name, fields: told.append((name, fields))).close()
    assert told == [("recorded", {"symbol": RB, "day": "2025-06-05", "rows": 4})]
    assert not list(folder.iterdir())
