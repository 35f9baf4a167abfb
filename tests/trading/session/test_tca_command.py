"""`ghtrader tca` on a small journal over the sample ticks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import SAMPLES

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.messages import ExecutionStyle, Style, Target
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import DayTicks
from ghtrader.ports.broker import BrokerFill, BrokerOrder, OrderRequest, OrderState
from ghtrader.trading.gateway.state import HeldTarget
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.orders.positions import PositionLedger
from ghtrader.trading.words import OrderIntent, Origin

RB, DAYS = "SHFE.rb2510", ("2025-06-05", "2025-06-06")
TAKER = ExecutionStyle(style=Style.TAKER)


class Writer:
    """A journal in the account's files. On each day it buys a lot at the ask of a row and wants a second one in vain."""

    def __init__(self, services: AppServices, ticks: str) -> None:
        self.journal, self.seq = Journal(services.trading().journal("demo"), "demo"), 0
        self.put(0, RecordKind.START, ticks=ticks)

    def put(self, ts_ns: int, kind: RecordKind, cause: int = 0, **body: object) -> int:
        self.seq += 1
        self.journal.append([Record(self.seq, cause, ts_ns, kind, body)])
        return self.seq

    def day(self, ticks: DayTicks, held: int) -> None:
        iso, row = ticks.trading_day.iso, 5000
        now, ask = int(ticks.ts_ns[row]), int(ticks.ask_px[row, 0])
        self.put(now - 9, RecordKind.DAY, trading_day=iso, contracts={RB: RB}, terms={})
        ledger = PositionLedger(iso)
        fill = {"symbol": RB, "side": Side.BUY, "offset": Offset.OPEN, "price": float(ask)}
        for number in range(held):
            ledger.apply_fill(BrokerFill(client_order_id="old", trade_id=f"old{number}", lots=1, ts_ns=1, **fill))
        self.put(now - 8, RecordKind.STATE, positions=ledger.to_document())
        target = Target(1, "s", self.seq, "demo", RB, held + 2, TAKER, 7, now, now, 0.1)
        wants = HeldTarget(contract=RB, lots=held + 2, execution=TAKER, origin=Origin.STRATEGY, cause=0)
        first = self.put(now, RecordKind.TARGET, target=target, held=wants)
        intent = OrderIntent(
            symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=2, price_ticks=ask, kind=OrderKind.FAK, origin=Origin.STRATEGY
        )
        name = f"o-{iso}"
        second = self.put(now, RecordKind.ORDER_INTENT, first, client_order_id=name, intent=intent)
        self.put(now, RecordKind.ORDER_SENT, second, client_order_id=name)
        self.put(
            now, RecordKind.FILL, second, fill=BrokerFill(client_order_id=name, trade_id=f"t{iso}", lots=1, ts_ns=now, **fill)
        )
        request = OrderRequest(client_order_id=name, symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=2, limit_price=float(ask))
        self.put(now, RecordKind.ORDER_UPDATE, second, order=BrokerOrder(request=request, state=OrderState.CANCELLED, left=1))


@pytest.fixture
def call(services: AppServices, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run_it(*arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert run(services, list(arguments)) == code
        out, err = capfd.readouterr()
        return json.loads(out.splitlines()[-1]) if "--json" in arguments else out + err

    return run_it


def test_costs_of_a_journal_on_the_ticks_that_were_replayed(call, services: AppServices, sample_day) -> None:
    writer, ticks = Writer(services, str(SAMPLES)), [sample_day(day)[0] for day in DAYS]
    for held, day in enumerate(ticks):
        writer.day(day, held)
    writer.journal.close()
    found = call("tca", "--json")
    assert (found["account"], found["days"], found["ticks"]) == ("demo", list(DAYS), [str(SAMPLES)])
    assert [order["order_id"] for order in found["orders"]] == [f"o-{day}" for day in DAYS]
    for day, order, target in zip(ticks, found["orders"], found["targets"], strict=True):
        bid, ask, end = day.bid_px[5000, 0], day.ask_px[5000, 0], (day.bid_px[-1, 0] + day.ask_px[-1, 0]) / 2
        assert (order["timing"], order["impact"], order["spread"]) == (0.0, 0.0, (ask - bid) / 2)
        assert (target["wanted"], target["filled"], target["unfilled"]) == (2, 1, 1)
        assert target["opportunity"] == end - (bid + ask) / 2 != 0
        assert (target["expected"], target["surprise"]) == ((ask - bid) / 2, 0.0)
        assert order["fees"] > 0
    assert found["total"]["shortfall_cny"] == pytest.approx(sum(target["shortfall_cny"] for target in found["targets"]))
    assert list(found["by_style"]) == ["taker"]

    one = call("tca", "--account", "demo", "--day", DAYS[1], "--json")
    assert one["days"] == [DAYS[1]]
    assert [target | {"target_id": 0} for target in one["targets"]] == [found["targets"][1] | {"target_id": 0}]
    shown = call("tca", "--orders", "1")
    assert "1 of 2" in shown
    assert "opportunity" in shown
    missing = call("tca", "--day", str(TradingDay.parse("2025-06-09")), code=4)
    assert "no trading day 2025-06-09" in missing


def test_missing_ticks_are_named(call, services: AppServices, sample_day) -> None:
    writer = Writer(services, "")
    writer.day(sample_day(DAYS[0])[0], 0)
    writer.journal.close()
    said = call("tca", code=4)
    assert f"the tick store has no ticks of {RB} on {DAYS[0]}" in said
    assert "--ticks FOLDER" in said
    assert call("tca", "--ticks", str(SAMPLES), "--json")["total"]["filled"] == 1
