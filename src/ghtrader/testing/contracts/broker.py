"""Contract of ``ports.broker.Broker``. Inherit `BrokerContract` and give fixtures ``port`` (a session, may be shared) and ``touch``.

``touch()`` gives best bid and ask of `BrokerContract.symbol` now. A venue whose account outlives a session also gives ``another``
(opens a further session of the same account) and inherits `LastingBrokerContract`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import DataError, RiskDenied
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import Broker, BrokerOrder, BrokerPosition, OrderRequest, OrderState

__all__ = ["BrokerContract", "LastingBrokerContract", "order_until"]

Touch = Callable[[], tuple[float, float]]
TIMEOUT_S = 60.0
FAR = 20.0


def order_until(port: Broker, identity: str, wanted: Callable[[BrokerOrder], bool], timeout_s: float = TIMEOUT_S) -> BrokerOrder:
    """Poll until an order is as wanted; fails with how it stands otherwise."""
    deadline = Deadline(timeout_s)
    while True:
        order = port.order(identity)
        if order is not None and wanted(order):
            return order
        assert not deadline.passed, order
        port.poll(0.1)


def _is_final(order: BrokerOrder) -> bool:
    return order.state.is_final


class BrokerContract:
    """Laws of every broker session. Prices are in ticks of 1 CNY away from the touch."""

    symbol = "SHFE.rb2510"

    def request(
        self, side: Side, offset: Offset, lots: int, price: float, kind: OrderKind = OrderKind.GFD, identity: str = ""
    ) -> OrderRequest:
        """An order with an id of its own."""
        return OrderRequest(
            client_order_id=identity or f"c{uuid.uuid4().hex}",
            symbol=self.symbol,
            side=side,
            offset=offset,
            lots=lots,
            limit_price=price,
            kind=kind,
        )

    def held(self, port: Broker) -> BrokerPosition:
        """The position of the contract."""
        none = BrokerPosition(symbol=self.symbol, long_today=0, long_history=0, short_today=0, short_history=0)
        return next((item for item in port.positions() if item.symbol == self.symbol), none)

    def bought(self, port: Broker, touch: Touch, lots: int) -> str:
        """Buy that many lots to open; the order's id."""
        order = port.submit(self.request(Side.BUY, Offset.OPEN, lots, touch()[1] + FAR))
        assert order_until(port, order.request.client_order_id, _is_final).state == OrderState.FILLED
        return order.request.client_order_id

    def test_an_order_through_the_touch_fills_within_its_limit_and_becomes_a_position(self, port: Broker, touch: Touch) -> None:
        """Fills add up to the order, the position to the fills."""
        before = self.held(port).long_today
        identity = self.bought(port, touch, 3)
        fills = [fill for fill in port.fills() if fill.client_order_id == identity]
        assert sum(fill.lots for fill in fills) == 3
        order = port.order(identity)
        assert order is not None
        assert all(fill.price <= order.request.limit_price and fill.side == Side.BUY for fill in fills)
        assert self.held(port).long_today - before == 3

    def test_the_same_id_again_is_the_same_order(self, port: Broker, touch: Touch) -> None:
        """Whatever the second request says."""
        identity = self.bought(port, touch, 1)
        again = port.submit(self.request(Side.BUY, Offset.OPEN, 5, touch()[1] + FAR, identity=identity))
        assert (again.state, again.request.lots) == (OrderState.FILLED, 1)
        assert sum(fill.lots for fill in port.fills() if fill.client_order_id == identity) == 1

    def test_a_day_order_works_until_it_is_cancelled(self, port: Broker, touch: Touch) -> None:
        """And a cancel of what is over changes nothing."""
        order = port.submit(self.request(Side.BUY, Offset.OPEN, 1, touch()[0] - FAR))
        identity = order.request.client_order_id
        assert order_until(port, identity, lambda found: found.state == OrderState.WORKING).exchange_order_id
        port.cancel(identity)
        assert order_until(port, identity, _is_final).state == OrderState.CANCELLED
        assert port.cancel(identity).state == OrderState.CANCELLED

    @pytest.mark.parametrize("kind", [OrderKind.FAK, OrderKind.FOK])
    def test_what_cannot_fill_at_once_is_killed(self, port: Broker, touch: Touch, kind: OrderKind) -> None:
        """Final without anybody's cancel, nothing filled."""
        order = port.submit(self.request(Side.BUY, Offset.OPEN, 2, touch()[0] - FAR, kind))
        killed = order_until(port, order.request.client_order_id, _is_final)
        assert (killed.state, killed.left, killed.request.kind) == (OrderState.CANCELLED, 2, kind)

    def test_a_closing_order_freezes_its_lots_and_frees_them_with_its_end(self, port: Broker, touch: Touch) -> None:
        """So that nothing is closed twice."""
        self.bought(port, touch, 2)
        held = self.held(port)
        resting = port.submit(self.request(Side.SELL, Offset.CLOSE_TODAY, held.long_today, touch()[1] + FAR))
        identity = resting.request.client_order_id
        order_until(port, identity, lambda found: found.state == OrderState.WORKING)
        assert self.held(port).closable(Side.SELL)[0] == 0
        with pytest.raises(RiskDenied) as denied:
            port.submit(self.request(Side.SELL, Offset.CLOSE_TODAY, 1, touch()[0] - FAR))
        assert denied.value.context["reason"] == "close_volume"
        port.cancel(identity)
        order_until(port, identity, _is_final)
        assert self.held(port).closable(Side.SELL)[0] == held.long_today
        closing = port.submit(self.request(Side.SELL, Offset.CLOSE_TODAY, 2, touch()[0] - FAR))
        assert order_until(port, closing.request.client_order_id, _is_final).state == OrderState.FILLED
        assert self.held(port).long_today == held.long_today - 2

    @pytest.mark.parametrize(
        ("reason", "lots", "price"),
        [
            ("order_size", 0, 0.0),
            ("order_size", -1, 0.0),
            ("order_size", 100_000, 0.0),
            ("price_tick", 1, 0.5),
            ("price_tick", 1, float("nan")),
            ("price_tick", 1, float("inf")),
            ("price_limit", 1, 2000.0),
            ("price_limit", 1, -2000.0),
        ],
    )
    def test_what_the_exchange_would_refuse_never_leaves(
        self, port: Broker, touch: Touch, reason: str, lots: int, price: float
    ) -> None:
        """``price`` is the distance from the ask."""
        before = len(port.orders())
        with pytest.raises(RiskDenied) as denied:
            port.submit(self.request(Side.BUY, Offset.OPEN, lots, touch()[1] + price))
        assert denied.value.context["reason"] == reason
        assert len(port.orders()) == before

    def test_poll_tells_every_change_once(self, port: Broker, touch: Touch) -> None:
        """Also one that came while something else was asked; the last word told is how the order stands."""
        first = self.bought(port, touch, 1)
        second = self.bought(port, touch, 1)
        told = [order for _ in range(20) for order in port.poll(0.01)]
        for identity in (first, second):
            states = [order.state for order in told if order.request.client_order_id == identity]
            assert states.count(OrderState.FILLED) <= 1
        later = [order.request.client_order_id for _ in range(5) for order in port.poll(0.01)]
        assert first not in later
        assert second not in later

    def test_an_unheard_of_order_is_an_error(self, port: Broker) -> None:
        """To look at it is not."""
        assert port.order("nobody") is None
        with pytest.raises(DataError, match="nobody submitted"):
            port.cancel("nobody")

    def test_money_is_told(self, port: Broker) -> None:
        """In CNY."""
        assert port.funds().balance > 0


class LastingBrokerContract(BrokerContract):
    """Laws of a broker whose account outlives the session."""

    def test_another_session_knows_the_orders_and_sends_none_twice(
        self, port: Broker, touch: Touch, another: Callable[[], Broker]
    ) -> None:
        """As after a restart of the process: same id, same order."""
        working = port.submit(self.request(Side.BUY, Offset.OPEN, 1, touch()[0] - FAR))
        identity = working.request.client_order_id
        order_until(port, identity, lambda found: found.state == OrderState.WORKING)
        later = another()
        found = later.submit(self.request(Side.BUY, Offset.OPEN, 7, touch()[0] - FAR, identity=identity))
        assert (found.request.lots, found.state) == (1, OrderState.WORKING)
        assert [fill.trade_id for fill in later.fills()] == [fill.trade_id for fill in port.fills()]
        later.cancel(identity)
        assert order_until(later, identity, _is_final).state == OrderState.CANCELLED
        assert order_until(port, identity, _is_final).state == OrderState.CANCELLED
        later.close()
