"""The simulated exchange behind the broker port: what paper trading and replays send their orders to."""

from __future__ import annotations

from ghtrader.core.clock import Clock
from ghtrader.core.errors import HaltedError
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest
from ghtrader.sim.venue_account import VenueAccount

__all__ = ["SimBroker"]


class SimBroker:
    """`ports.broker.Broker` over a `VenueAccount`; the moment of a decision is that of the clock.

    Whoever drives the replay moves the clock: to the tick's time before the gateway hears of a tick, to a timer's time before the
    timer rings. A second session on the same account finds every order of the first.
    """

    def __init__(self, account: VenueAccount, clock: Clock) -> None:
        self._account, self._clock = account, clock
        self._open = True

    @property
    def is_up(self) -> bool:
        """Whether orders may leave: a trading day is open and nobody has hung up."""
        return self._open and self._account.trading_day is not None

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order; the same client order id again gives the order that is there."""
        if not self._open:
            raise HaltedError("the session was closed: the order was not sent", hint="open a new one", reason="closed")
        return self._account.submit(request, self._clock.now_ns())

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; it reaches the exchange after the latency."""
        return self._account.cancel(client_order_id, self._clock.now_ns())

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Orders that changed since the last call; never waits, since time stands still between ticks."""
        del timeout_s
        return self._account.changes()

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order as it stands."""
        return self._account.order(client_order_id)

    def orders(self) -> list[BrokerOrder]:
        """Every order of the trading day."""
        return self._account.orders()

    def fills(self) -> list[BrokerFill]:
        """Every trade of the trading day, by exchange time."""
        return self._account.fills()

    def positions(self) -> list[BrokerPosition]:
        """Positions with lots."""
        return self._account.positions()

    def funds(self) -> AccountFunds:
        """Money."""
        return self._account.funds()

    def close(self) -> None:
        """Hang up; orders stay at the venue."""
        self._open = False
