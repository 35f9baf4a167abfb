"""Statements made of what a venue tells: of whole days only, and of the venue's own trades of the day."""

from __future__ import annotations

import msgspec

from ghtrader.core.orders import Offset, Side
from ghtrader.ports.account_day import AccountDay, KeptDay
from ghtrader.ports.broker import BrokerFill, BrokerPosition
from ghtrader.trading.statement.venue_days import VenueDays

RB = "SHFE.rb2510"
FIRST, SECOND = "2025-06-05", "2025-06-06"


def trade(name: str) -> BrokerFill:
    return BrokerFill(
        client_order_id=name, trade_id=f"{name}|1", symbol=RB, side=Side.BUY, offset=Offset.OPEN, lots=1, price=3000.0, ts_ns=1
    )


def held(today: int, history: int) -> tuple[BrokerPosition, ...]:
    return (BrokerPosition(symbol=RB, long_today=today, long_history=history, short_today=0, short_history=0),)


EVENING = AccountDay(
    trading_day=FIRST, pre_balance=1000.0, close_profit=20.0, commission=3.0, positions=held(1, 0), trades=(trade("a"),)
)
NEXT = AccountDay(
    trading_day=SECOND,
    pre_balance=1047.0,
    close_profit=0.0,
    commission=0.0,
    positions=held(0, 1),
    trades=(trade("a"),),
    carried={RB: 3003.0},
)


def test_the_next_day_tells_what_the_last_one_came_to() -> None:
    days = VenueDays()
    days.take(EVENING, FIRST)
    assert days.finished() == []
    days.take(NEXT, SECOND)
    (statement,) = days.finished()
    assert (statement.trading_day, statement.balance_cny, statement.position_profit_cny) == (FIRST, 1047.0, 30.0)
    assert [(item.long_lots, item.settlement) for item in statement.positions] == [(1, 3003.0)]
    assert [item.trade_id for item in statement.trades or ()] == ["a|1"]
    later = msgspec.structs.replace(NEXT, trades=(trade("a"), trade("b")), commission=1.0)
    days.take(later, SECOND)
    assert days.latest is not None
    assert [item.trade_id for item in days.latest.trades] == ["b|1"]  # what the venue still tells of yesterday is not today's
    assert (days.finished(), days.incomplete) == ([], "")


def test_what_an_earlier_run_kept_counts_only_when_the_day_was_over() -> None:
    early, late = VenueDays(KeptDay(day=EVENING)), VenueDays(KeptDay(day=EVENING, is_over=True))
    for days in (early, late):
        days.take(NEXT, SECOND)
    assert (early.finished(), early.incomplete) == ([], FIRST)
    assert [statement.trading_day for statement in late.finished()] == [FIRST]
    resumed = VenueDays(KeptDay(day=EVENING))
    resumed.take(EVENING, FIRST)  # asked again on the same day: the venue tells the whole of it
    resumed.take(NEXT, SECOND)
    assert [statement.trading_day for statement in resumed.finished()] == [FIRST]


def test_a_venue_that_names_no_day_has_begun_one_when_its_account_was_settled() -> None:
    days = VenueDays()
    unnamed = msgspec.structs.replace(EVENING, trading_day="")
    days.take(unnamed, FIRST)
    days.take(unnamed, SECOND)  # our clock is ahead of the venue's settlement
    assert days.finished() == []
    days.take(msgspec.structs.replace(NEXT, trading_day=""), SECOND)
    assert [statement.balance_cny for statement in days.finished()] == [1047.0]
    nothing = msgspec.structs.replace(NEXT, pre_balance=float("nan"), trading_day="2025-06-09")
    days.take(nothing, "2025-06-09")
    assert (days.finished(), days.incomplete) == ([], SECOND)  # money that is no number is no statement
