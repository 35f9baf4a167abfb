"""The account's arithmetic, and its laws under any sequence of orders, fills, cancels and settlements."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.exchange.account import INITIAL_BALANCE, Account, Rejected

RB = "SHFE.rb2510"
DAY = TradingDay.parse("2025-06-06")
TABLE = InstrumentTable.vendored()
RATE, FEE = 0.08, 0.0001  # the vendored margin and fee rates of rb on this day


def spec(symbol: str) -> InstrumentSpec:
    return TABLE.spec(symbol, DAY)


def opened(account: Account, direction: str, lots: int, price: float) -> None:
    account.fill(RB, direction, "OPEN", lots, price, account.freeze(RB, direction, "OPEN", lots, price))


def closed(account: Account, direction: str, offset: str, lots: int, price: float) -> None:
    account.fill(RB, direction, offset, lots, price, account.freeze(RB, direction, offset, lots, price))


def test_a_round_trip_over_a_settlement_lot_by_lot() -> None:
    account = Account("demo", spec)
    opened(account, "BUY", 4, 3000.0)
    account.position(RB).last_price = 3010.0
    shown = account.shown()
    assert shown["margin"] == pytest.approx(4 * 3000 * 10 * RATE)
    assert shown["commission"] == pytest.approx(4 * 3000 * 10 * FEE)
    assert shown["position_profit"] == shown["float_profit"] == 4 * 10 * 10
    assert shown["balance"] == pytest.approx(INITIAL_BALANCE + 400 - 12)
    assert shown["available"] == pytest.approx(shown["balance"] - 9600)
    account.settle(lambda symbol: 3008.0)
    assert account.pre_balance == pytest.approx(INITIAL_BALANCE + 320 - 12)
    opened(account, "BUY", 2, 3020.0)
    account.position(RB).last_price = 3020.0
    held = account.shown_position(RB)
    assert (held["pos_long_his"], held["pos_long_today"], held["volume_long"]) == (4, 2, 6)
    assert held["open_price_long"] == pytest.approx((4 * 3000 + 2 * 3020) / 6)
    assert held["position_price_long"] == pytest.approx((4 * 3008 + 2 * 3020) / 6)
    assert (held["float_profit_long"], held["position_profit_long"]) == (4 * 20 * 10, 4 * 12 * 10)
    closed(account, "SELL", "CLOSE", 4, 3018.0)
    assert account.close_profit == pytest.approx(4 * 10 * 10)
    closed(account, "SELL", "CLOSETODAY", 2, 3019.0)
    assert account.close_profit == pytest.approx(400 - 20)
    held = account.shown_position(RB)
    assert {held[name] for name in ("volume_long", "open_price_long", "open_cost_long", "margin_long", "float_profit")} == {0}
    assert account.shown()["margin"] == 0


def test_a_short_side_earns_when_prices_fall() -> None:
    account = Account("demo", spec)
    opened(account, "SELL", 3, 3000.0)
    account.position(RB).last_price = 2990.0
    assert account.shown_position(RB)["float_profit_short"] == 3 * 10 * 10
    closed(account, "BUY", "CLOSETODAY", 3, 2980.0)
    assert account.close_profit == pytest.approx(600)


def test_what_is_not_there_is_refused_with_the_brokers_words() -> None:
    account = Account("demo", spec, balance=25_000.0)
    with pytest.raises(Rejected, match="31 资金不足"):
        account.freeze(RB, "BUY", "OPEN", 11, 3000.0)
    opened(account, "BUY", 2, 3000.0)
    with pytest.raises(Rejected, match="51 平昨仓位不足"):
        account.freeze(RB, "SELL", "CLOSE", 1, 3000.0)
    account.freeze(RB, "SELL", "CLOSETODAY", 2, 3000.0)
    with pytest.raises(Rejected, match="50 平今仓位不足"):
        account.freeze(RB, "SELL", "CLOSETODAY", 1, 3000.0)
    account.release(RB, "SELL", "CLOSETODAY", 2, 0.0)
    account.freeze(RB, "SELL", "CLOSETODAY", 1, 3000.0)


class Trading(RuleBasedStateMachine):
    """Orders rest, fill in parts and die; days end."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account("demo", spec, balance=200_000.0)
        self.orders: list[dict[str, Any]] = []
        self.cash = 0.0

    @rule(
        direction=st.sampled_from(["BUY", "SELL"]),
        offset=st.sampled_from(["OPEN", "CLOSE", "CLOSETODAY"]),
        lots=st.integers(1, 20),
        price=st.integers(2900, 3100),
    )
    def insert(self, direction: str, offset: str, lots: int, price: int) -> None:
        try:
            margin = self.account.freeze(RB, direction, offset, lots, float(price))
        except Rejected:
            return
        self.orders.append({"words": (direction, offset), "left": lots, "margin": margin, "price": float(price)})

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.orders))
        lots = data.draw(st.integers(1, order["left"]))
        margin = order["margin"] * lots / order["left"]
        self.cash -= self.account.fill(RB, *order["words"], lots, order["price"], margin)
        self.cash += lots * order["price"] * 10 * (1 if order["words"][0] == "SELL" else -1)
        order["margin"] -= margin
        order["left"] -= lots
        if not order["left"]:
            self.orders.remove(order)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.orders))
        self.orders.remove(order)
        self.account.release(RB, *order["words"], order["left"], order["margin"])

    @rule(price=st.integers(2900, 3100))
    def settle(self, price: int) -> None:
        while self.orders:
            order = self.orders.pop()
            self.account.release(RB, *order["words"], order["left"], order["margin"])
        self.account.position(RB).last_price = float(price)
        before = self.account.balance
        self.account.settle(lambda symbol: float(price))
        assert self.account.balance == pytest.approx(before)
        assert self.account.position(RB).long.today.lots == self.account.position(RB).short.today.lots == 0

    @invariant()
    def nothing_is_negative_and_what_is_frozen_belongs_to_an_order(self) -> None:
        account = self.account
        for side in (account.position(RB).long, account.position(RB).short):
            for aged in (side.today, side.history):
                assert 0 <= aged.frozen <= aged.lots
                assert aged.open_cost >= 0
                assert aged.position_cost >= 0
        assert account.total_margin >= 0
        assert account.frozen_margin == pytest.approx(sum(order["margin"] for order in self.orders), abs=1e-6)
        frozen = sum(order["left"] for order in self.orders if order["words"][1] != "OPEN")
        held = account.position(RB)
        assert frozen == sum(aged.frozen for side in (held.long, held.short) for aged in (side.today, side.history))

    @invariant()
    def money_is_conserved(self) -> None:
        """Marked to one price, equity is what was put in, what trading cost or brought, and what is held."""
        held = self.account.position(RB)
        held.last_price = 3000.0
        worth = (held.long.lots - held.short.lots) * 3000.0 * 10
        assert self.account.balance == pytest.approx(200_000.0 + self.cash + worth, abs=1e-3)

    def teardown(self) -> None:
        for order in self.orders:
            self.account.release(RB, *order["words"], order["left"], order["margin"])
        assert self.account.frozen_margin == pytest.approx(0, abs=1e-6)


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
