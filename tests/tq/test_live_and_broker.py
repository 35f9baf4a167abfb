"""The live feed and the broker port through the real client, on exchanges that behave and that do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES, Cli

from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import ConfigError, DataError, RiskDenied
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.broker import OrderRequest, OrderState
from ghtrader.ports.live_feed import FeedState, LiveTick
from ghtrader.testing.exchange_process import ExchangeProcess

SYMBOL = "SHFE.rb2510"
SERVE = ["--ticks", str(SAMPLES), "--speed", "50"]


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeProcess]:
    faults = getattr(request, "param", ())
    exchange = ExchangeProcess(tmp_path / "exchange", SERVE, faults=faults).start()
    for name, value in exchange.environment.items():
        monkeypatch.setenv(name, value)
    yield exchange
    exchange.stop()


def feed(tmp_path: Path, silence_s: float = 4.0):
    from ghtrader.tq.live import TqLiveFeed
    from ghtrader.tq.session import credentials_from

    credentials = credentials_from(os.environ, tmp_path)
    assert credentials is not None
    return TqLiveFeed(credentials, tmp_path / "tq", (SYMBOL,), SystemClock(), in_session=lambda: True, silence_s=silence_s)


def gather(live, count: int, seconds: float = 60.0) -> list[LiveTick]:
    found: list[LiveTick] = []
    deadline = Deadline(seconds)
    while len(found) < count:
        assert not deadline.passed, f"{len(found)} ticks, {live.status}"
        found += live.poll(0.5)
    return found


def served_rows() -> pl.DataFrame:
    frames = [pl.read_parquet(path) for path in sorted(SAMPLES.glob("*.parquet"))]
    return pl.concat(frames, how="diagonal").sort("datetime")


def assert_exactly_the_served_ticks(ticks: list[LiveTick]) -> None:
    """Ids without a hole, each once, in order; every value as it was served."""
    assert [tick.identity for tick in ticks] == list(range(ticks[0].identity, ticks[0].identity + len(ticks)))
    rows = served_rows().slice(ticks[0].identity, len(ticks))
    assert [tick.ts_ns for tick in ticks] == rows["datetime"].to_list()
    for index, name in enumerate(MARKET_COLUMNS):
        if name in rows.columns:
            expected = rows[name].cast(pl.Float64).to_numpy()
            assert np.array_equal(np.array([tick.values[index] for tick in ticks]), expected, equal_nan=True), name


def test_every_tick_once_and_in_order(served: ExchangeProcess, tmp_path: Path) -> None:
    live = feed(tmp_path)
    ticks = gather(live, 300)
    assert_exactly_the_served_ticks(ticks)
    status = live.status
    assert (status.state, status.rebuilds, status.lost) == (FeedState.LIVE, 0, 0)
    live.close()
    assert live.status.state == FeedState.CLOSED
    assert live.poll(0.1) == []


@pytest.mark.parametrize(
    "served",
    [
        pytest.param(({"do": "abort", "link": "md", "after_s": 1.5},), id="torn down"),
        pytest.param(
            ({"do": "close", "link": "md", "after_s": 1.5, "code": 1001},),
            id="closed in order: the client forgets its subscriptions",
        ),
        pytest.param(({"do": "half_open", "link": "md", "after_s": 1.5, "for_s": 30},), id="half open"),
        pytest.param(({"do": "stale_quotes", "after_s": 2.0, "for_s": 6},), id="stale"),
    ],
    indirect=True,
)
def test_a_link_that_lies_costs_no_tick(served: ExchangeProcess, tmp_path: Path) -> None:
    live = feed(tmp_path, silence_s=2.0)
    before = gather(live, 60)
    ticks = before + gather(live, 900)
    assert live.status.lost == 0
    assert_exactly_the_served_ticks(ticks)
    assert live.status.state == FeedState.LIVE
    live.close()


@pytest.mark.parametrize(
    "served",
    [({"do": "dash_fields", "after_ticks": 20, "times": 30, "fields": ["ask_price5", "bid_price1", "average"]},)],
    indirect=True,
)
def test_absent_fields_are_absent_and_break_nothing(served: ExchangeProcess, tmp_path: Path) -> None:
    live = feed(tmp_path)
    ticks = gather(live, 120)
    at = MARKET_COLUMNS.index("ask_price5")
    absent = [np.isnan(tick.values[at]) for tick in ticks]
    assert 20 <= sum(absent) <= 30
    assert not absent[-1]
    live.close()


def test_sigterm_of_the_exchange_ends_it_within_ten_seconds_and_hangs_no_reader(served: ExchangeProcess, tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ghtrader.core.clock import SystemClock\n"
        "from ghtrader.tq.live import TqLiveFeed\n"
        "from ghtrader.tq.session import credentials_from\n"
        "live = TqLiveFeed(credentials_from(os.environ, Path(sys.argv[1])), Path(sys.argv[1]), ('SHFE.rb2510',), SystemClock(), in_session=lambda: True, silence_s=2.0)\n"
        "while True:\n"
        "    print(len(live.poll(0.5)), live.status.state, flush=True)\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "tq")], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    while "live" not in reader.stdout.readline():
        assert reader.poll() is None
    started = Deadline(10)
    served.signal(signal.SIGTERM)
    assert served.wait(10) == 0
    lines = [reader.stdout.readline() for _ in range(6)]
    assert any("live" not in line for line in lines) or reader.poll() is None
    reader.send_signal(signal.SIGTERM)
    reader.wait(10)
    assert not started.passed or reader.returncode is not None


# --- broker -----------------------------------------------------------------------------------------------------------------
def broker(tmp_path: Path, kind: str, **options):
    from ghtrader.tq.accounts import TradingAccount
    from ghtrader.tq.broker import TqBroker
    from ghtrader.tq.session import credentials_from

    account = {
        "sim": TradingAccount("sim", "sim"),
        "kq": TradingAccount("kq", "kq"),
        "broker": TradingAccount("demo", "broker", "simnow", "demo", "secret"),
    }[kind]
    credentials = credentials_from(os.environ, tmp_path)
    assert credentials is not None
    return TqBroker(account, credentials, tmp_path / "tq", InstrumentTable.vendored(), SystemClock(), **options)


def request(identity: str, side: Side, offset: Offset, lots: int, price: float, kind: OrderKind = OrderKind.GFD) -> OrderRequest:
    return OrderRequest(
        client_order_id=identity, symbol=SYMBOL, side=side, offset=offset, lots=lots, limit_price=price, kind=kind
    )


def until(port, identity: str, wanted, seconds: float = 20.0):
    deadline = Deadline(seconds)
    while True:
        order = port.order(identity)
        if order is not None and wanted(order):
            return order
        assert not deadline.passed, order
        port.poll(0.2)


@pytest.mark.parametrize("kind", ["sim", "kq", "broker"])
def test_orders_live_and_die_by_the_exchanges_word(served: ExchangeProcess, tmp_path: Path, kind: str) -> None:
    port = broker(tmp_path, kind)
    quote = port._quote(SYMBOL)
    bid, ask = float(quote.bid_price1), float(quote.ask_price1)
    bought = port.submit(request("a1", Side.BUY, Offset.OPEN, 4, ask + 5))
    assert bought.request.client_order_id == "a1"
    filled = until(port, "a1", lambda order: order.state.is_final)
    assert (filled.state, filled.left) == (OrderState.FILLED, 0)
    again = port.submit(request("a1", Side.BUY, Offset.OPEN, 4, ask + 5))
    assert again == port.order("a1")
    assert sum(fill.lots for fill in port.fills() if fill.client_order_id == "a1") == 4
    (position,) = port.positions()
    assert (position.long_today, position.short_today) == (4, 0)
    resting = port.submit(request("a2", Side.BUY, Offset.OPEN, 1, bid - 30))
    until(port, "a2", lambda order: order.state == OrderState.WORKING)
    assert not resting.state.is_final
    port.cancel("a2")
    assert until(port, "a2", lambda order: order.state.is_final).state == OrderState.CANCELLED
    assert port.cancel("a2").state == OrderState.CANCELLED
    killed = port.submit(request("a3", Side.BUY, Offset.OPEN, 2, bid - 30, OrderKind.FOK))
    assert until(port, "a3", lambda order: order.state.is_final).left == 2
    assert killed.request.kind == OrderKind.FOK
    port.submit(request("a4", Side.SELL, Offset.CLOSE_TODAY, 4, bid - 10, OrderKind.FAK))
    until(port, "a4", lambda order: order.state.is_final)
    funds = port.funds()
    assert 9_000_000 < funds.balance < 10_000_000
    assert funds.commission > 0
    assert {order.request.client_order_id for order in port.orders()} >= {"a1", "a2", "a3", "a4"}
    with pytest.raises(DataError, match="nobody submitted"):
        port.cancel("zz")
    port.close()


def test_what_the_exchange_would_refuse_never_leaves(served: ExchangeProcess, tmp_path: Path) -> None:
    port = broker(tmp_path, "broker")
    quote = port._quote(SYMBOL)
    ask = float(quote.ask_price1)
    for reason, bad in {
        "price_tick": request("b1", Side.BUY, Offset.OPEN, 1, ask + 0.5),
        "price_limit": request("b2", Side.BUY, Offset.OPEN, 1, ask * 1.5 // 1),
        "order_size": request("b3", Side.BUY, Offset.OPEN, 10_000, ask),
        "close_volume": request("b4", Side.SELL, Offset.CLOSE_TODAY, 1, ask),
    }.items():
        with pytest.raises(RiskDenied) as caught:
            port.submit(bad)
        assert caught.value.context["reason"] == reason
    with pytest.raises(RiskDenied):
        port.submit(request("b5", Side.BUY, Offset.OPEN, 0, ask))
    with pytest.raises(RiskDenied):
        port.submit(request("b6", Side.BUY, Offset.OPEN, 1, float("nan")))
    assert served.ask("orders") == []
    assert port.orders() == []
    port.close()


@pytest.mark.parametrize("served", [({"do": "reject_order", "times": 1}, {"do": "lose_cancel", "times": 1})], indirect=True)
def test_rejects_are_told_and_a_lost_cancel_leaves_the_order_working(served: ExchangeProcess, tmp_path: Path) -> None:
    port = broker(tmp_path, "broker")
    bid = float(port._quote(SYMBOL).bid_price1)
    port.submit(request("c1", Side.BUY, Offset.OPEN, 1, bid - 20))
    refused = until(port, "c1", lambda order: order.state.is_final)
    assert refused.state == OrderState.REJECTED
    assert "资金不足" in refused.message
    port.submit(request("c2", Side.BUY, Offset.OPEN, 1, bid - 20))
    until(port, "c2", lambda order: order.state == OrderState.WORKING)
    port.cancel("c2")
    port.poll(0.5)
    assert port.order("c2").state == OrderState.WORKING
    port.cancel("c2")
    assert until(port, "c2", lambda order: order.state.is_final).state == OrderState.CANCELLED
    port.close()


@pytest.mark.parametrize("served", [({"do": "abort", "link": "td", "after_s": 3.0},)], indirect=True)
def test_a_dropped_trade_link_stops_orders_repeats_cancels_and_reconciles(served: ExchangeProcess, tmp_path: Path) -> None:
    from ghtrader.core.errors import HaltedError

    port = broker(tmp_path, "broker")
    bid = float(port._quote(SYMBOL).bid_price1)
    port.submit(request("d1", Side.BUY, Offset.OPEN, 1, bid - 40))
    until(port, "d1", lambda order: order.state == OrderState.WORKING)
    deadline = Deadline(30)
    while port.is_up:
        port.poll(0.2)
        assert not deadline.passed
    assert port.order("d1").state == OrderState.UNKNOWN
    with pytest.raises(HaltedError):
        port.submit(request("d2", Side.BUY, Offset.OPEN, 1, bid - 40))
    port.cancel("d1")
    assert until(port, "d1", lambda order: order.state.is_final, 60).state == OrderState.CANCELLED
    deadline = Deadline(60)
    while not port.is_up:
        port.poll(0.2)
        assert not deadline.passed
    port.submit(request("d2", Side.BUY, Offset.OPEN, 1, bid - 40))
    until(port, "d2", lambda order: order.state == OrderState.WORKING)
    venue = [entry["order_id"] for entry in served.ask("orders") if entry["what"] == "insert"]
    assert venue == ["d1", "d2"]
    port.close()


def test_the_simulator_of_the_client_is_refused_for_research(served: ExchangeProcess, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no research rests on it"):
        broker(tmp_path, "sim", for_research=True)


def test_accounts_are_listed_masked_and_verified_without_a_secret_anywhere(served: ExchangeProcess, tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    declared = {"TQ_BROKER_ID_MAIN": "simnow", "TQ_ACCOUNT_ID_MAIN": "demo", "TQ_ACCOUNT_PASSWORD_MAIN": "secret"}
    environment = {**served.environment, **declared}
    listed = cli.json("account", "list", **environment)["accounts"]
    assert [(item["name"], item["number"]) for item in listed] == [("kq", ""), ("main", "**mo"), ("sim", "")]
    check = cli.json("account", "verify", "main", **environment)
    assert (check["ok"], check["balance"], check["cached"]) == (True, 10_000_000.0, False)
    assert cli.json("account", "verify", "main", **environment)["cached"]
    assert not cli.json("account", "verify", "main", "--fresh", **environment)["cached"]
    missing = cli.json("account", "list", code=7, **{**environment, "TQ_ACCOUNT_PASSWORD_MAIN": ""})
    assert "TQ_ACCOUNT_PASSWORD_MAIN" in missing["message"]
    assert "no account" in cli.json("account", "verify", "nobody", code=7, **environment)["message"]
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes(), path
    assert cli.run("account", "verify", "kq", **environment).returncode == 0
