"""Orders against handmade books: what fills, at which price, what is refused, what a day's end does."""

from __future__ import annotations

from typing import Any

import pytest

from ghtrader.exchange.broker import Broker
from ghtrader.exchange.faults import Fault, FaultBoard
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.otg import SIMULATED, OtgSession
from tests.exchange.markets import FIRST, RB, SECOND, at, frame, served, two_days


def order(identity: str, direction: str, offset: str, lots: int, price: float, **more: Any) -> dict[str, Any]:
    return {
        "order_id": identity,
        "exchange_id": "SHFE",
        "instrument_id": "rb2510",
        "direction": direction,
        "offset": offset,
        "volume": lots,
        "limit_price": price,
        "price_type": "LIMIT",
        **more,
    }


FAK = {"time_condition": "IOC", "volume_condition": "ANY"}
FOK = {"time_condition": "IOC", "volume_condition": "ALL"}


class Desk:
    """A broker, and what it told the user."""

    def __init__(self, market: ServedMarket) -> None:
        self.market = market
        self.broker = Broker(market)
        self.told: list[dict[str, Any]] = []
        self.notices: list[str] = []
        self.broker.listen = self.hear

    def hear(self, user: str, patch: dict[str, Any], notify: dict[str, Any] | None) -> None:
        self.told.append(patch)
        if notify is not None:
            self.notices.append(notify["content"])

    def insert(self, identity: str, *words: Any, **more: Any) -> dict[str, Any]:
        self.broker.insert("demo", order(identity, *words, **more))
        return self.order(identity)

    def order(self, identity: str) -> dict[str, Any]:
        return self.broker.orders["demo", identity].shown()

    def move(self, clock: str, day: Any = SECOND) -> None:
        at(self.market, day, clock)
        self.broker.on_market(self.market.moved)

    def prices(self, identity: str) -> list[tuple[float, int]]:
        trades = self.broker.trades.get("demo", {}).values()
        return [(trade["price"], trade["volume"]) for trade in trades if trade["order_id"] == identity]


@pytest.fixture
def desk() -> Desk:
    return Desk(two_days())


def test_an_order_walks_the_displayed_levels_once_and_its_rest_waits_at_the_limit(desk: Desk) -> None:
    found = desk.insert("a", "BUY", "OPEN", 20, 3003.0)  # asks: 3002 x 5, 3003 x 10
    assert desk.prices("a") == [(3002, 5), (3003, 10)]
    assert (found["status"], found["volume_left"], found["last_msg"]) == ("ALIVE", 5, "部分成交")
    second = desk.insert("b", "BUY", "OPEN", 1, 3003.0)
    assert (second["volume_left"], second["last_msg"]) == (1, "未成交")
    desk.move("21:00:01")  # asks: 3003 x 5
    assert desk.prices("a")[2:] == [(3003, 5)]
    assert desk.order("a")["last_msg"] == "全部成交"
    assert desk.prices("b") == [(3003, 1)], "6 lots traded below its limit since it came"
    assert desk.broker.account("demo").frozen_margin == pytest.approx(0)
    assert desk.broker.account("demo").position(RB).long.today.lots == 21


def test_trades_beyond_the_limit_serve_who_waited(desk: Desk) -> None:
    thin = frame(SECOND, [("21:00:00.5", 3000, 1, 1), ("21:00:01", 2990, 8, 1), ("21:00:02", 2995, 8, 1)], lots=0)
    market = served({(RB, FIRST): frame(FIRST, [("21:00:00.5", 3000, 1, 1)]), (RB, SECOND): thin})
    market.start_on(SECOND)
    desk = Desk(market)
    for name in ("a", "b"):
        desk.insert(name, "BUY", "OPEN", 5, 2995.0)
    desk.move("21:00:01")
    assert (desk.prices("a"), desk.prices("b")) == ([(2995, 5)], [(2995, 3)]), "what traded is shared"
    desk.move("21:00:02")
    assert desk.order("b")["volume_left"] == 2, "trades at the limit say nothing about who stood first"


def test_fak_kills_its_rest_and_fok_everything(desk: Desk) -> None:
    killed = desk.insert("a", "BUY", "OPEN", 6, 3002.0, **FAK)
    assert (killed["status"], killed["volume_left"], killed["last_msg"]) == ("FINISHED", 1, "已撤单")
    nothing = desk.insert("b", "SELL", "OPEN", 16, 2999.0, **FOK)  # bids: 3000 x 5, 2999 x 10
    assert (nothing["status"], nothing["volume_left"], desk.prices("b")) == ("FINISHED", 16, [])
    whole = desk.insert("c", "SELL", "OPEN", 15, 2999.0, **FOK)
    assert (whole["volume_left"], desk.prices("c")) == (0, [(3000, 5), (2999, 10)])
    assert desk.broker.account("demo").frozen_margin == pytest.approx(0)


@pytest.mark.parametrize(
    ("words", "more", "text"),
    [
        (("BUY", "OPEN", 1, 3000.5), {}, "最小变动价位"),
        (("BUY", "OPEN", 1, 3500.0), {}, "涨跌停板"),
        (("SELL", "OPEN", 1, 2500.0), {}, "涨跌停板"),
        (("BUY", "OPEN", 501, 3000.0), {}, "15 报单数量超限"),
        (("BUY", "OPEN", 0, 3000.0), {}, "15 报单数量超限"),
        (("HOLD", "OPEN", 1, 3000.0), {}, "买卖方向"),
        (("BUY", "OPEN", 1, 3000.0), {"price_type": "ANY"}, "报单类型"),
        (("BUY", "OPEN", 1, 3000.0), {"instrument_id": "rb2601"}, "16 找不到合约"),
        (("SELL", "CLOSE", 1, 3000.0), {}, "51 平昨仓位不足"),
        (("SELL", "CLOSETODAY", 1, 3000.0), {}, "50 平今仓位不足"),
    ],
)
def test_what_the_exchange_refuses(desk: Desk, words: tuple[Any, ...], more: dict[str, Any], text: str) -> None:
    found = desk.insert("a", *words, **more)
    assert (found["status"], found["exchange_order_id"]) == ("FINISHED", "")
    assert text in found["last_msg"]
    assert desk.notices[-1].startswith("下单失败,CTP:")
    assert desk.broker.account("demo").available == 10_000_000


def test_phases_decide_what_may_be_sent(desk: Desk) -> None:
    desk.insert("rest", "BUY", "OPEN", 1, 2900.0)
    desk.move("23:00:00")
    at(desk.market, SECOND, "23:30:00")
    assert "333 当前时间不支持下单" in desk.insert("closed", "BUY", "OPEN", 1, 2990.0)["last_msg"]
    at(desk.market, SECOND, "10:20:00")
    assert "FAK" in desk.insert("fak", "BUY", "OPEN", 1, 2990.0, **FAK)["last_msg"]
    assert desk.insert("gfd", "BUY", "OPEN", 1, 2990.0)["last_msg"] == "未成交"
    at(desk.market, SECOND, "08:59:00.5")
    desk.broker.cancel("demo", "rest")
    assert "不能撤单" in desk.notices[-1]
    assert desk.order("rest")["status"] == "ALIVE"
    at(desk.market, SECOND, "09:00:00.5")
    desk.broker.cancel("demo", "rest")
    assert (desk.order("rest")["last_msg"], desk.notices[-1]) == ("已撤单", "撤单成功")
    desk.broker.cancel("demo", "rest")
    assert "不能再撤" in desk.notices[-1]


def test_a_number_is_used_once(desk: Desk) -> None:
    desk.insert("a", "BUY", "OPEN", 1, 2990.0)
    desk.insert("a", "BUY", "OPEN", 9, 2990.0)
    assert desk.order("a")["volume_orign"] == 1
    assert "单号重复" in desk.notices[-1]


def test_the_days_end_kills_day_orders_marks_to_settlement_and_makes_history() -> None:
    desk = Desk(two_days())
    at(desk.market, FIRST, "21:00:00.5")
    desk.broker = Broker(desk.market)
    desk.broker.listen = desk.hear
    desk.insert("a", "BUY", "OPEN", 3, 3002.0)
    desk.insert("rest", "BUY", "OPEN", 1, 2900.0)
    desk.move("15:00:00", FIRST)
    account = desk.broker.account("demo")
    assert account.position(RB).last_price == 3003
    desk.move("20:59:00.5")
    settlement = desk.market.settlement(desk.market.contracts[RB], 0)
    assert desk.order("rest")["status"] == "FINISHED"
    assert account.pre_balance == pytest.approx(10_000_000 - 3 * 3002 * 10 * 0.0001 + (settlement - 3002) * 30)
    assert (account.position(RB).long.history.lots, account.position(RB).long.today.lots) == (3, 0)
    assert account.position(RB).long.history.position_cost == settlement * 30
    assert account.commission == 0
    assert desk.notices[-1] == "20250605 结算完成"
    desk.move("21:00:00.5")
    assert desk.insert("b", "SELL", "CLOSE", 3, 2990.0)["volume_left"] == 0
    assert account.close_profit == pytest.approx((3000 - settlement) * 30)


# --- the trade session -------------------------------------------------------------------------------------------------------
def session(desk: Desk, *faults: Fault) -> OtgSession:
    found = OtgSession(desk.broker, FaultBoard(faults), lambda user, password: (user, password) == ("demo", "secret"))
    desk.broker.listen = lambda user, patch, notify: found.hear(patch, notify) if user == found.user else None
    return found


def answer(found: OtgSession) -> dict[str, Any]:
    found.handle({"aid": "peek_message"})
    packet = found.state.take()
    assert packet is not None
    (merged,) = packet["data"]
    return dict(merged)


def login(found: OtgSession, **more: Any) -> dict[str, Any]:
    found.handle({"aid": "req_login", "bid": "simnow", "user_name": "demo", "password": "secret", **more})
    return answer(found)


def test_a_login_shows_everything_and_what_came_before_is_dropped(desk: Desk) -> None:
    found = session(desk)
    found.handle({"aid": "insert_order", **order("early", "BUY", "OPEN", 1, 3002.0)})
    shown = login(found)
    assert shown["trade"]["demo"]["accounts"]["CNY"]["balance"] == 10_000_000
    assert (shown["trade"]["demo"]["orders"], shown["trade_more_data"]) == ({}, False)
    assert [notice["content"] for notice in shown["notify"].values()] == ["登录成功"]
    found.handle({"aid": "insert_order", **order("a", "BUY", "OPEN", 2, 3002.0)})
    told = answer(found)["trade"]["demo"]
    assert told["orders"]["a"]["volume_left"] == 0
    assert [trade["volume"] for trade in told["trades"].values()] == [2]
    assert told["positions"][RB]["pos_long_today"] == 2
    found.handle({"aid": "pre_insert_order", **order("p", "BUY", "OPEN", 1, 3002.0)})
    before = desk.market.quote(RB)["pre_settlement"]
    assert answer(found)["trade"]["demo"]["pre_insert_orders"]["p"]["pre_margin"] == pytest.approx(before * 10 * 0.08)
    again = login(session(desk))
    assert set(again["trade"]["demo"]["orders"]) == {"a"}


def test_a_wrong_password_is_an_error_notice_and_nothing_else(desk: Desk) -> None:
    shown = login(session(desk), password="guess")
    assert [notice["level"] for notice in shown["notify"].values()] == ["ERROR"]
    assert "trade" not in shown
    refused = session(desk, Fault(do="wrong_password", link="td", times=1))
    assert "trade" not in login(refused)
    assert "trade" in login(refused)
    assert "trade" in login(session(desk), bid=SIMULATED, user_name="anybody", password="anybody")


def test_orders_and_cancels_are_lost_or_refused_as_scripted(desk: Desk) -> None:
    found = session(desk, Fault(do="lose_order"), Fault(do="reject_order", text="CTP:99 x"), Fault(do="lose_cancel"))
    login(found)
    for name in ("lost", "refused", "rests"):
        found.handle({"aid": "insert_order", **order(name, "BUY", "OPEN", 1, 2950.0)})
    orders = answer(found)["trade"]["demo"]["orders"]
    assert {name: (item["status"], item["last_msg"]) for name, item in orders.items()} == {
        "refused": ("FINISHED", "CTP:99 x"),
        "rests": ("ALIVE", "未成交"),
    }
    found.handle({"aid": "cancel_order", "order_id": "rests"})
    assert desk.order("rests")["status"] == "ALIVE"
    found.handle({"aid": "cancel_order", "order_id": "rests"})
    assert desk.order("rests")["status"] == "FINISHED"
