"""The broker port through the real client, on exchanges that drop, close, lose and refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import SAMPLES
from tests.tq.conftest import SYMBOL, Serve, open_broker
from tests.tq.together import Scenario, together

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, HaltedError, ProviderPermanentError, UnknownInstrumentError
from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import OrderRequest, OrderState
from ghtrader.testing.contracts.broker import order_until
from ghtrader.testing.exchange_process import ExchangeProcess

LIVE = ("--ticks", str(SAMPLES))


def buy(identity: str, lots: int, price: float) -> OrderRequest:
    return OrderRequest(client_order_id=identity, symbol=SYMBOL, side=Side.BUY, offset=Offset.OPEN, lots=lots, limit_price=price)


def bid_of(port) -> float:
    return float(port._quote(SYMBOL).bid_price1)


def venue_log(exchange: ExchangeProcess, what: str) -> list[str]:
    return [entry["order_id"] for entry in exchange.ask("orders") if entry["what"] == what]


def assert_account_is_the_venues(port, exchange: ExchangeProcess) -> None:
    """Nothing that the venue did is unknown to the session, whenever it happened."""
    filled = {entry["trade_id"]: (entry["volume"], entry["price"]) for entry in exchange.ask("orders") if entry["what"] == "fill"}
    assert {fill.trade_id: (fill.lots, fill.price) for fill in port.fills()} == filled
    assert sum(item.long_today for item in port.positions()) == sum(lots for lots, _ in filled.values())


def waiting(port, done: Callable[[], bool]) -> Scenario:
    while not done():
        port.poll(0.05)
        yield


def dropped(exchange: ExchangeProcess, folder: Path) -> Scenario:
    """Torn down: orders are refused, a cancel waits, and what happened meanwhile is known when the client is back."""
    port = open_broker(folder, "broker")
    bid = bid_of(port)
    port.submit(buy("d1", 1, bid - 40))
    port.submit(buy("deep", 500, bid + 2))
    yield from waiting(port, lambda: port.order("d1").state == OrderState.WORKING)
    exchange.ask("strike")
    yield from waiting(port, lambda: not port.is_up)
    assert port.order("d1").state == OrderState.UNKNOWN
    with pytest.raises(HaltedError) as halted:
        port.submit(buy("d2", 1, bid - 40))
    assert halted.value.context["reason"] == "link_down"
    assert not port.cancel("d1").state.is_final
    yield from waiting(port, lambda: port.is_up)
    yield from waiting(port, lambda: port.order("d1").state.is_final)
    assert port.order("d1").state == OrderState.CANCELLED
    assert_account_is_the_venues(port, exchange)
    port.submit(buy("d2", 1, bid - 40))
    yield from waiting(port, lambda: port.order("d2").state == OrderState.WORKING)
    assert venue_log(exchange, "insert") == ["d1", "deep", "d2"]
    assert venue_log(exchange, "cancel").count("d1") == 1
    port.close()


def closed(exchange: ExchangeProcess, folder: Path) -> Scenario:
    """Closed in order: the client never logs in again, so another session does."""
    port = open_broker(folder, "broker")
    bid = bid_of(port)
    port.submit(buy("e1", 1, bid - 40))
    yield from waiting(port, lambda: port.order("e1").state == OrderState.WORKING)
    exchange.ask("strike")
    yield from waiting(port, lambda: exchange.ask("hits").get("login", 0) >= 2)
    yield from waiting(port, lambda: port.is_up)
    assert port.order("e1").state == OrderState.WORKING
    assert port.submit(buy("e1", 9, bid - 40)).request.lots == 1
    port.submit(buy("e2", 1, bid - 40))
    yield from waiting(port, lambda: port.order("e2").state == OrderState.WORKING)
    port.cancel("e1")
    yield from waiting(port, lambda: port.order("e1").state == OrderState.CANCELLED)
    assert_account_is_the_venues(port, exchange)
    assert venue_log(exchange, "insert") == ["e1", "e2"]
    port.close()


def lost(exchange: ExchangeProcess, folder: Path) -> Scenario:
    """Swallowed on the way: unknown, then known to be nowhere; never sent again."""
    port = open_broker(folder, "broker", confirm_s=0.5, resolve_s=1.0)
    bid = bid_of(port)
    assert port.submit(buy("f1", 1, bid - 40)).state == OrderState.SENT
    seen: list[OrderState] = []
    while not port.order("f1").state.is_final:
        seen += [order.state for order in port.poll(0.05)]
        yield
    assert port.order("f1").state == OrderState.LOST
    assert OrderState.UNKNOWN in seen
    assert port.submit(buy("f1", 1, bid - 40)).state == OrderState.LOST
    assert port.cancel("f1").state == OrderState.LOST
    port.submit(buy("f2", 1, bid - 40))
    yield from waiting(port, lambda: port.order("f2").state == OrderState.WORKING)
    assert venue_log(exchange, "insert") == ["f2"]
    assert port.is_up
    port.close()


def refused_and_deaf(exchange: ExchangeProcess, folder: Path) -> Scenario:
    """A reject is told with its words; a cancel that got lost leaves the order working, and another cancel ends it."""
    port = open_broker(folder, "broker")
    bid = bid_of(port)
    port.submit(buy("c1", 1, bid - 20))
    yield from waiting(port, lambda: port.order("c1").state.is_final)
    assert port.order("c1").state == OrderState.REJECTED
    assert "资金不足" in port.order("c1").message
    port.submit(buy("c2", 1, bid - 20))
    yield from waiting(port, lambda: port.order("c2").state == OrderState.WORKING)
    port.cancel("c2")
    for _ in range(5):
        port.poll(0.05)
        yield
    assert port.order("c2").state == OrderState.WORKING
    port.cancel("c2")
    yield from waiting(port, lambda: port.order("c2").state == OrderState.CANCELLED)
    port.close()


def simulated(exchange: ExchangeProcess, folder: Path) -> Scenario:
    """TqSim's account lives in its session: when that is dead, so is the account."""
    port = open_broker(folder, "sim")
    bid = bid_of(port)
    exchange.ask("strike")
    yield from waiting(port, lambda: not port.is_up)
    with pytest.raises(HaltedError):
        port.submit(buy("g1", 1, bid - 40))
    for _ in range(3):
        port.poll(0.05)
        yield
    assert not port.is_up
    assert exchange.ask("hits")["login"] == 1
    port.close()


SCENARIOS = {
    dropped: {"do": "abort", "link": "td", "told": True},
    closed: {"do": "close", "link": "td", "told": True, "code": 1000},
    lost: {"do": "lose_order", "times": 1},
    simulated: {"do": "close", "link": "md", "told": True, "code": 1001},
}


def test_what_a_link_or_a_venue_does_to_orders_is_known_in_the_end(serve: Serve, tmp_path: Path) -> None:
    started = [
        (serve(fault, options=LIVE, speed=50), scenario, tmp_path / scenario.__name__) for scenario, fault in SCENARIOS.items()
    ]
    both = serve({"do": "reject_order", "times": 1}, {"do": "lose_cancel", "times": 1}, options=LIVE, speed=50)
    started.append((both, refused_and_deaf, tmp_path / "refused"))
    together(
        (exchange, lambda exchange=exchange, scenario=scenario, folder=folder: scenario(exchange, folder))
        for exchange, scenario, folder in started
    )


def test_accounts_that_cannot_be_opened_say_so_at_once(serve: Serve, tmp_path: Path) -> None:
    """The client alone waits a minute when the broker refuses the password, and says that the network failed."""
    serve({"do": "wrong_password", "link": "td"}, options=LIVE)
    began = Deadline(30)
    with pytest.raises(ProviderPermanentError, match="账户和密码不匹配") as refused:
        open_broker(tmp_path, "broker")
    assert not began.passed
    assert "secret" not in f"{refused.value}{refused.value.as_dict()}"
    with pytest.raises(ConfigError, match="no research rests on it"):
        open_broker(tmp_path, "sim", for_research=True)


def test_an_order_for_what_nobody_declares_is_refused_before_anything_is_asked(serve: Serve, tmp_path: Path) -> None:
    exchange = serve(options=LIVE)
    port = open_broker(tmp_path, "kq")
    with pytest.raises(UnknownInstrumentError):
        port.submit(
            OrderRequest(client_order_id="x", symbol="SHFE.zz2510", side=Side.BUY, offset=Offset.OPEN, lots=1, limit_price=1.0)
        )
    assert exchange.ask("orders") == []
    assert order_until(port, port.submit(buy("ok", 1, bid_of(port) - 20)).request.client_order_id, lambda order: bool(order.left))
    port.close()
