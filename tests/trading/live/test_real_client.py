"""The live gateway with the real client, on a loopback exchange whose market the test moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tq.conftest import client_warnings_apart
from tests.trading.live.loopback import Loopback, RealWorld, quiet_day
from tests.trading.live.world import Running
from tests.trading.strategy.frames import account, binding, ticks

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.pipelines import gateway_live
from ghtrader.pipelines.main_series import make_schedule
from ghtrader.pipelines.statement import check_statements
from ghtrader.trading.gateway.life import Life
from ghtrader.trading.gateway.modes import CONFIRM_LIVE
from ghtrader.trading.link.machine import LinkLimits
from ghtrader.trading.strategy.api import Decision, Strategy
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.shell import StrategyShell
from ghtrader.trading.words import Mode

OLD, NEW, MAIN = "SHFE.rb2510", "SHFE.rb2601", "KQ.m@SHFE.rb"
FIRST, SECOND = "2025-06-05", "2025-06-06"
#: Number of the first moment of the second day.
NIGHT = 40


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client as at noon: it gives up a first connection at once between 19:00 and 19:30 in China, whatever server it talks to."""
    monkeypatch.setattr("tqsdk.connect._cst_now", lambda: dt.datetime(2025, 6, 6, 12))  # noqa: DTZ001 - the client's own
    with client_warnings_apart():
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Loopback]]:
    made: list[Loopback] = []

    def open_exchange(days: Any) -> Loopback:
        made.append(Loopback(days))
        for name, value in made[-1].environment.items():
            monkeypatch.setenv(name, value)
        return made[-1]

    yield open_exchange
    for exchange in made:
        exchange.close()


class Hold(Strategy):
    """Two lots, whatever comes."""

    needs_model = False
    made: list[tuple[str, int]]

    def on_start(self, context: Any) -> None:
        self.symbol, self.rows = context.symbol, 0

    def on_tick(self, view: Any) -> Decision | None:
        self.rows += 1
        self.made.append((view.symbol, self.rows))
        missed = view.settled and view.position != 2
        return Decision(lots=2, execution=ExecutionStyle(style=Style.TAKER), anew=missed) if view.can_trade else None


def warm_factors() -> None:
    """Have the strategy's kernels ready: the time of the market goes on while they are compiled."""
    core = StrategyCore("warm", "s0", [binding()], Strategy)
    for frame in (account(1), *ticks(3000, 5, 2)):
        core.on_frame(frame, 0)


def test_a_roll_on_live_ticks_leaves_the_old_contract_for_the_new(opened: Callable[..., Loopback], tmp_path: Path) -> None:
    exchange = opened(
        {
            (OLD, FIRST): quiet_day(FIRST, "14:00", 3000.0),
            (NEW, FIRST): quiet_day(FIRST, "14:00", 3100.0),
            (OLD, SECOND): quiet_day(SECOND, "21:00", 3010.0),
            (NEW, SECOND): quiet_day(SECOND, "21:00", 3110.0),
        }
    )
    warm_factors()
    world = RealWorld(tmp_path, exchange)
    table = tmp_path / "table.csv"
    table.write_text(f"{FIRST},{OLD}\n{SECOND},{NEW}\n")
    make_schedule(world, "rb", file=table, until="2025-06-09")
    run = Running(world, account="kq", symbols=(MAIN,))
    Hold.made = []
    core = StrategyCore("kq", "s1", [binding(MAIN)], Hold, link=LinkLimits(recover_ns=0, recover_after=1, clear_after=1))
    shell = StrategyShell(core, run.stream, world.clock, beat_ns=100_000_000)

    def trade() -> None:
        """The market goes on when the gateway has seen where it stands; over the night only when something is held."""
        seen = max((market.ts_ns for market in run.state.markets.values()), default=0)
        if seen >= exchange.stamps[exchange.at] and (exchange.at != NIGHT - 1 or run.state.positions.net(OLD) == 2):
            exchange.step()
        shell.step(0.01)

    try:
        run.until(lambda: run.state.positions.net(OLD) == 2, "held", trade)
        assert run.state.contracts == {MAIN: OLD}
        run.until(lambda: run.state.positions.net(NEW) == 2, "rolled", trade)
        run.until(lambda: run.state.traded() == (NEW,), "left", trade)
        report = run.gateway.report()
    finally:
        run.close()
    traded = [(fill["instrument_id"], fill["direction"], fill["offset"], fill["volume"]) for fill in exchange.orders("fill")]
    assert sorted(traded) == [("rb2510", "BUY", "OPEN", 2), ("rb2510", "SELL", "CLOSE", 2), ("rb2601", "BUY", "OPEN", 2)]
    assert ("roll", {"symbol": MAIN, "old": OLD, "new": NEW}) in run.told
    assert [day.trading_day for day in report.days] == [FIRST, SECOND]
    assert [contract.symbol for contract in core.report(0).contracts] == [NEW]
    rows = [row for symbol, row in Hold.made if symbol == NEW]
    assert rows == list(range(1, len(rows) + 1))  # a new strategy, which had seen nothing
    assert run.state.differences == ()
    books = check_statements(world, "kq")
    assert [(day.trading_day, day.state) for day in books.days] == [(FIRST, "balanced"), (SECOND, "not settled yet")]
    first = books.days[0]
    assert first.check is not None
    assert (first.source, first.check.trades) == ("account at the venue", 1)
    assert (first.commission_cny, first.position_profit_cny) != (0.0, 0.0)


class Pushed:
    """A live gateway whose market the test moves, and a target in it."""

    def __init__(self, exchange: Loopback, run: Running) -> None:
        self.exchange, self.run = exchange, run

    def said(self, why: str) -> None:
        self.run.until(lambda: self.run.told[-1:] != [] and why in self.mode()["why"], why, self.step)

    def mode(self) -> dict[str, Any]:
        return next((fields for name, fields in reversed(self.run.told) if name == "gateway_mode"), {"why": "nothing"})

    @property
    def is_seen(self) -> bool:
        """Whether the gateway knows where the market stands."""
        market = self.run.state.markets.get(OLD)
        return market is not None and market.ts_ns >= self.exchange.stamps[self.exchange.at]

    def step(self) -> None:
        self.exchange.step()
        self.run.beat()

    def fill(self, lots: int) -> None:
        run = self.run
        run.until(lambda: run.state.life == Life.READY and run.state.feed_up and OLD in run.state.markets, "ready", self.step)
        run.until(lambda: run.state.mode.sends_orders and self.is_seen, "order mode", run.beat)
        run.target(lots)
        run.until(lambda: run.state.positions.net(OLD) == lots, "filled", run.beat)


def test_live_trade_needs_every_piece_and_then_sends_orders_to_the_broker(
    opened: Callable[..., Loopback], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_live, "RECHECK_NS", 100_000_000)
    exchange = opened({(OLD, FIRST): quiet_day(FIRST, "14:00", 3000.0, 400)})
    filed = {"trading.preflight.filing_reference": "F-1"}

    def start(settings: dict[str, str], enabled: str, confirm: str) -> Pushed:
        world = RealWorld(tmp_path, exchange, settings, GHTRADER_LIVE_ENABLED=enabled)
        world.kind, world.clock = "live", exchange.clock
        request = {"market_time": False, "mode": "live_trade", "confirm_live": confirm}
        return Pushed(exchange, Running(world, account="demo", symbols=(OLD,), **request))

    lacking = [
        (filed, "false", CONFIRM_LIVE, "GHTRADER_LIVE_ENABLED is not true"),
        ({}, "true", CONFIRM_LIVE, "preflight is red: filing"),
    ]
    for settings, enabled, confirm, why in lacking:
        pushed = start(settings, enabled, confirm)
        try:
            pushed.said(why)
            assert pushed.mode()["mode"] == pushed.run.state.mode == Mode.LIVE_MONITOR
        finally:
            pushed.run.close()
    pushed = start(filed, "true", CONFIRM_LIVE)
    try:
        pushed.fill(1)
        assert pushed.mode() == {"wanted": "live_trade", "mode": "live_trade", "why": ""}
        pushed.run.desire(confirm_live="")
        pushed.said(f"confirm_live is not {CONFIRM_LIVE}")
        pushed.run.target(2)
        pushed.run.until(lambda: "target_refused" in [name for name, _ in pushed.run.told], "refused", pushed.run.beat)
    finally:
        pushed.run.close()
    assert [(order["instrument_id"], order["volume_orign"]) for order in exchange.orders("insert")] == [("rb2510", 1)]


def test_the_clients_own_simulator_fills_an_order_of_the_gateway(opened: Callable[..., Loopback], tmp_path: Path) -> None:
    exchange = opened({(OLD, FIRST): quiet_day(FIRST, "14:00", 3000.0, 400)})
    pushed = Pushed(exchange, Running(RealWorld(tmp_path, exchange), account="sim", symbols=(OLD,)))
    try:
        pushed.fill(2)
        funds = pushed.run.state.funds
    finally:
        pushed.run.close()
    assert exchange.orders("insert") == []
    assert funds is not None
    assert funds.margin > 0
