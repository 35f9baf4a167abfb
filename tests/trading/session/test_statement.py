"""What the journal says of settled days is what the venue says, to the cent; whatever differs is named with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.trading.gateway.test_golden import CALENDAR, INSTRUMENTS, RB, Golden

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.messages import ExecutionStyle, Style, Target
from ghtrader.core.orders import FillModel, Offset, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.broker import BrokerFill
from ghtrader.ports.live_feed import LiveTick
from ghtrader.ports.statement import AccountStatement
from ghtrader.sim.policy import PolicySpec
from ghtrader.testing.lockstep import wide_day
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import contract_day
from ghtrader.trading.journal.days import day_blocks
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record
from ghtrader.trading.orders.positions import ContractTerms, DayMoney, PositionLedger
from ghtrader.trading.statement.compare import StatementCheck, compare_statement
from ghtrader.trading.statement.ours import OurDay, our_day

DAYS = ("2025-06-05", "2025-06-06", "2025-06-09")


class Session(Golden):
    """Three days at the simulated exchange, lots held over both nights; settlement prices as a gateway's process brings them."""

    def __init__(self) -> None:
        days = [
            wide_day(300, trading_day=day, seed=number, settlement_ticks=2990.0 + 7 * number) for number, day in enumerate(DAYS)
        ]
        self.rng = np.random.default_rng(8)
        super().__init__(days, PolicySpec(name="taker"), FillModel.BACK)

    def begin_day(self, following_ns: int) -> ev.DayBegan | None:
        if self.number + 1 == len(self.days) or following_ns < self.days[self.number + 1].ticks.ts_ns[0]:
            return None
        self.number += 1
        day, settled = DAYS[self.number], self.replay.feed.settled
        facts = {RB: contract_day(RB, day, CALENDAR, INSTRUMENTS)}
        prices = settled[-1].statement.prices() if settled else {}
        return ev.DayBegan(now_ns=following_ns, trading_day=day, contracts={RB: RB}, days=facts, settlements=prices)

    def decide(self, tick: LiveTick) -> list[Target]:
        if self.rng.random() > 0.1:
            return []
        self.sent += 1
        execution = ExecutionStyle(style=Style.TAKER)
        lots = int(self.rng.integers(-3, 4)) or 2
        return [Target(1, "s", self.sent, "demo", RB, lots, execution, tick.identity, tick.ts_ns, tick.ts_ns, 0.0)]


@pytest.fixture(scope="module")
def session() -> tuple[list[Record], list[AccountStatement]]:
    played = Session()
    played.run()
    return list(played.journal.read()), [done.statement for done in played.replay.account.settled]


def margin_rate(symbol: str, day: str) -> float:
    return INSTRUMENTS.spec(symbol, TradingDay.parse(day)).margin_rate


def ours_of(records: list[Record]) -> list[OurDay]:
    found = [our_day(block, day) for day, block in day_blocks(records)]
    return [day for day in found if day is not None]


def test_days_with_lots_held_over_night_balance(session) -> None:
    records, statements = session
    befores = [None, *statements[:-1]]
    for ours, statement, before in zip(ours_of(records), statements, befores, strict=True):
        check = compare_statement(ours, statement, before, margin_rate)
        assert check.balanced, check.differences
        assert check.trades > 10
        assert statement.positions
        assert {line.name for line in check.lines} >= {
            "long lots",
            "short lots",
            "margin",
            "balance before",
            "close profit",
            "balance",
        }
    second = compare_statement(ours_of(records)[1], statements[1], statements[0], margin_rate)
    assert next(line for line in second.lines if line.name == "close profit").venue != 0
    assert next(line for line in second.lines if line.name == "position profit").venue != 0


def spoil(statement: AccountStatement, what: str) -> AccountStatement:
    """The second day's statement with one thing changed, and what else would change with it."""
    change, trades = msgspec.structs.replace, list(statement.trades or ())
    held = statement.positions[0]
    match what:
        case "fee":
            trades[0] = change(trades[0], commission_cny=trades[0].commission_cny + 0.01)
            fees, balance = statement.commission_cny + 0.01, statement.balance_cny - 0.01
            return change(statement, trades=tuple(trades), commission_cny=fees, balance_cny=balance, available_cny=None)
        case "trade more":
            return change(statement, trades=(*trades, change(trades[0], trade_id="x", lots=9)))
        case "trade less":
            return change(statement, trades=tuple(trades[1:]))
        case "trade":
            return change(statement, trades=(change(trades[0], price=trades[0].price + 1), *trades[1:]))
        case "lots":
            return change(statement, positions=(change(held, long_lots=held.long_lots + 1),))
        case "margin":
            return change(statement, margin_cny=statement.margin_cny + 0.02, available_cny=None)
        case "held margin":
            return change(statement, positions=(change(held, margin_cny=held.margin_cny + 1),))
        case "settlement":
            return change(statement, settlements={RB: statement.settlements[RB] + 1})
        case "no settlement":
            return change(statement, settlements={}, positions=(change(held, settlement=float("nan")),))
        case "before":
            return change(statement, pre_balance_cny=statement.pre_balance_cny + 5, balance_cny=statement.balance_cny + 5)
        case "sum":
            return change(statement, balance_cny=statement.balance_cny - 0.02)
        case _:
            return change(statement, available_cny=statement.available_cny + 0.02)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("fee", {"commission SHFE.rb2510": "fee_rates", "commission": "fee_rates", "balance": "follows"}),
        ("trade more", {"trades": "follows", "trade SHFE.rb2510": "not_in_journal"}),
        ("trade less", {"trades": "follows", "trade SHFE.rb2510": "not_at_venue"}),
        ("trade", {"trade SHFE.rb2510": "trade_differs"}),
        ("lots", {"long lots SHFE.rb2510": "lots"}),
        ("margin", {"margin": "margin_rate"}),
        ("held margin", {"margin SHFE.rb2510": "margin_rate"}),
        ("settlement", {"position profit": "carried_price", "balance": "follows"}),
        ("before", {"balance before": "transfer", "balance": "follows"}),
        ("sum", {"balance": "arithmetic"}),
        ("available", {"available": "arithmetic"}),
    ],
)
def test_what_differs_is_named_with_its_reason(session, what: str, expected: dict[str, str]) -> None:
    records, statements = session
    check = compare_statement(ours_of(records)[1], spoil(statements[1], what), statements[0], margin_rate)
    found = {f"{line.name} {line.symbol}".strip(): line.reason for line in check.differences}
    assert expected.items() <= found.items()
    assert not check.balanced
    surplus = {name: reason for name, reason in found.items() if name not in expected and reason != "follows"}
    assert set(surplus) <= {"margin", "margin SHFE.rb2510", "commission SHFE.rb2510", "available"}, (
        surplus
    )  # they hang on the others


def test_an_unknown_settlement_price_never_balances(session) -> None:
    records, statements = session
    check: StatementCheck = compare_statement(
        ours_of(records)[1], spoil(statements[1], "no settlement"), statements[0], margin_rate
    )
    assert not check.balanced


def test_a_settlement_that_comes_after_the_day_has_begun_still_prices_what_is_history() -> None:
    def trade(number: int, side: Side, offset: Offset, price: float) -> BrokerFill:
        return BrokerFill(
            client_order_id="a", trade_id=str(number), symbol=RB, side=side, offset=offset, lots=1, price=price, ts_ns=number
        )

    ledger = PositionLedger(DAYS[0], {RB: ContractTerms(multiplier=10.0)})
    ledger.apply_fill(trade(1, Side.BUY, Offset.OPEN, 3000.0))
    ledger.apply_fill(trade(2, Side.BUY, Offset.OPEN, 3004.0))
    ledger.begin_day(DAYS[1])
    ledger.carry_at({RB: 3010.0, "SHFE.au2512": 1.0})
    assert ledger.average_price(RB, Side.BUY) == 3010.0
    ledger.apply_fill(trade(3, Side.SELL, Offset.CLOSE, 3012.0))
    ledger.carry_at({RB: 3000.0})  # too late: something was closed already
    assert ledger.day_money(RB, 3013.0) == DayMoney(realised_cny=20.0, holding_cny=30.0)


@pytest.fixture
def call(services: AppServices, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run_it(*arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert run(services, ["trade", "statement", *arguments]) == code
        out, err = capfd.readouterr()
        return json.loads(out.splitlines()[-1]) if "--json" in arguments else out + err

    return run_it


def test_the_command_compares_keeps_and_refuses(call, services: AppServices, session, tmp_path: Path) -> None:
    records, statements = session
    journal = Journal(services.trading().journal("demo"), "demo")
    journal.append(records)
    journal.close()
    kept = services.trading().statements("demo")
    assert "no statement of demo" in call(code=4)
    for statement in statements[:2]:
        kept.put(statement)
    found = call("--json")
    assert [(day["state"], day["continued"]) for day in found["days"]] == [
        ("balanced", False), ("balanced", True), ("not settled yet", False),
    ]  # fmt: skip
    assert "settled at" not in call("--day", DAYS[1])

    file = tmp_path / "venue.json"
    file.write_bytes(msgspec.json.encode(spoil(statements[2], "fee")))
    assert "fee_rates" in call("--file", str(file), code=4)
    assert kept.get(DAYS[2]).source == "simulated exchange"
    assert "differs by" in call(code=4)
    file.write_bytes(msgspec.json.encode(statements[2]))
    assert call("--file", str(file), "--json")["balanced"] is True
    file.write_bytes(b'{"trading_day": "2025-06-09"}')
    assert "is no statement" in call("--file", str(file), code=4)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(statements[2], account="other")))
    assert "is of other" in call("--file", str(file), code=4)

    (services.trading().folder("demo") / "statements" / f"{DAYS[1]}.json").unlink()
    report = call("--json", code=4)
    assert [day["state"] for day in report["days"]] == ["balanced", "missing", "balanced"]
    assert DAYS[1] in report["next_commands"][0]
