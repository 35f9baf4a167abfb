"""One suite for the port in memory and for the real client against the loopback exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import SAMPLES
from tests.tq.conftest import client_warnings_apart, open_broker, open_feed

from ghtrader.core.errors import HaltedError
from ghtrader.core.orders import Offset, Side
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.broker import Broker, OrderState
from ghtrader.ports.live_feed import LiveTick
from ghtrader.testing.contracts.broker import BrokerContract, LastingBrokerContract
from ghtrader.testing.contracts.live_feed import LiveFeedContract
from ghtrader.testing.exchange_process import ExchangeProcess
from ghtrader.testing.fakes import FakeBroker, FakeFeed, FakeVenue


# --- in memory ---------------------------------------------------------------------------------------------------------------
class TestFakeBroker(LastingBrokerContract):
    @pytest.fixture
    def venue(self) -> FakeVenue:
        return FakeVenue()

    @pytest.fixture
    def port(self, venue: FakeVenue) -> FakeBroker:
        return FakeBroker(venue)

    @pytest.fixture
    def touch(self, venue: FakeVenue) -> Callable[[], tuple[float, float]]:
        return lambda: (venue.bid, venue.ask)

    @pytest.fixture
    def another(self, venue: FakeVenue) -> Callable[[], Broker]:
        return lambda: FakeBroker(venue)

    def test_its_switches_do_what_they_say(self, venue: FakeVenue, port: FakeBroker) -> None:
        venue.lose_next, venue.reject_next = 1, 1
        assert port.submit(self.request(Side.BUY, Offset.OPEN, 1, 2991.0, identity="a")).state == OrderState.LOST
        assert port.submit(self.request(Side.BUY, Offset.OPEN, 1, 2991.0, identity="b")).state == OrderState.REJECTED
        assert port.submit(self.request(Side.BUY, Offset.OPEN, 1, 2980.0, identity="c")).state == OrderState.WORKING
        venue.is_up = False
        assert port.order("c").state == OrderState.UNKNOWN
        with pytest.raises(HaltedError):
            port.submit(self.request(Side.BUY, Offset.OPEN, 1, 2980.0, identity="d"))
        port.cancel("c")
        port.poll(0.0)
        assert venue.orders["c"].state == OrderState.WORKING
        venue.is_up = True
        port.poll(0.0)
        assert port.order("c").state == OrderState.CANCELLED
        assert [request.client_order_id for request in venue.received] == ["b", "c"]


class TestFakeFeed(LiveFeedContract):
    @pytest.fixture
    def served(self) -> Callable[[int], tuple[int, tuple[float, ...]]]:
        return lambda identity: (identity * 500, tuple(np.arange(len(MARKET_COLUMNS)) + float(identity)))

    @pytest.fixture
    def open_feed(self, served) -> Callable[[int | None], FakeFeed]:
        ticks = [LiveTick("SHFE.rb2510", n, *(served(n)[0], n + 1), served(n)[1]) for n in range(500)]
        return lambda begin: FakeFeed(ticks, begin=begin or 0)


# --- the real client ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    started = ExchangeProcess(tmp_path_factory.mktemp("exchange"), ["--ticks", str(SAMPLES), "--speed", "20"]).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started
    started.stop()


class RealBroker:
    kind = ""

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls, exchange: ExchangeProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
        with client_warnings_apart():
            opened = open_broker(tmp_path_factory.mktemp(cls.kind), cls.kind)
        yield opened
        opened.close()

    @pytest.fixture
    def touch(self, port) -> Callable[[], tuple[float, float]]:
        def now() -> tuple[float, float]:
            port.poll(0.0)
            quote = port._quote(BrokerContract.symbol)
            return float(quote.bid_price1), float(quote.ask_price1)

        return now

    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Broker]:
        return lambda: open_broker(tmp_path, self.kind)


class TestTqAccount(RealBroker, LastingBrokerContract):
    kind = "broker"


class TestTqKq(RealBroker, LastingBrokerContract):
    kind = "kq"


class TestTqSim(RealBroker, BrokerContract):
    kind = "sim"


class TestTqLiveFeed(LiveFeedContract):
    @pytest.fixture
    def open_feed(self, exchange: ExchangeProcess, tmp_path: Path):
        def start(begin: int | None):
            return open_feed(tmp_path, silence_s=30.0, begin=None if begin is None else {"SHFE.rb2510": begin})

        return start
