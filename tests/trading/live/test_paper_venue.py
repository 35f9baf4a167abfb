"""The simulated exchange on live ticks, as the gateway's process has it."""

from __future__ import annotations

from typing import Any

import numba as nb
import pytest
from tests.trading.live.world import RB, sample_ticks

from ghtrader.app.trading import PaperVenue
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import OrderRequest
from ghtrader.sim import tape, venue_kernel
from ghtrader.sim.replay import ReplayClock
from ghtrader.testing.fakes import FakeFeed


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """Kernels that were called, with the types that each is compiled for."""
    seen: set[Any] = set()

    def spied(name: str, kernel: Any) -> Any:
        def spy(*arguments: Any) -> Any:
            seen.add((name, tuple(nb.typeof(argument) for argument in arguments)))
            return kernel(*arguments)

        return spy

    for home, name in ((venue_kernel, "advance_row"), (venue_kernel, "arrive_now"), (tape, "infer_trades")):
        monkeypatch.setattr(home, name, spied(name, getattr(home, name)))
    return seen


def order(name: str, side: Side, price: float, kind: OrderKind) -> OrderRequest:
    return OrderRequest(client_order_id=name, symbol=RB, side=side, offset=Offset.OPEN, lots=2, limit_price=price, kind=kind)


def test_a_venue_that_was_warmed_up_compiles_nothing_at_its_first_orders(compiled: set[Any]) -> None:
    clock = ReplayClock()
    venue = PaperVenue("pro_rata", 0, clock, Calendar.vendored(), InstrumentTable.vendored(), 1e6)
    venue.warm_up()
    warmed = set(compiled)
    assert {name for name, _ in warmed} == {"advance_row", "arrive_now", "infer_trades"}
    assert (venue.broker.orders(), venue.broker.funds().balance) == ([], 1e6)
    feed = venue.feed(FakeFeed(sample_ticks(40), batch=1), [RB])
    for number, kind in enumerate(OrderKind):
        clock.move_to(feed.poll(0.0)[-1].ts_ns)
        venue.broker.submit(order(f"buy{number}", Side.BUY, 2960.0, kind))
        venue.broker.submit(order(f"sell{number}", Side.SELL, 2962.0, kind))
        venue.broker.cancel(f"sell{number}")
        clock.move_to(feed.poll(0.0)[-1].ts_ns)
    assert venue.broker.fills()
    assert compiled == warmed
