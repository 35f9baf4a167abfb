"""Ticks, bars, quotes and instrument nodes of handmade markets, number by number."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import DataError
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.exchange.nodes import instrument, trading_time
from ghtrader.exchange.query import answer_query
from tests.exchange.markets import DAY, FIRST, NEXT, RB, SECOND, THIRD, TRADED, at, frame, rolling, served, stamp, two_days

MINUTE, HOUR, FULL_DAY = 60 * 10**9, 3600 * 10**9, 24 * 3600 * 10**9


def test_minutes_are_cut_as_the_provider_cuts_them() -> None:
    """An auction counts for the bar that opens the session, the last instant for the one that closes it."""
    series = two_days().contracts[RB]
    bars = series.bars(MINUTE)
    clocks = ["21:00", "21:01", "22:59", "09:00", "10:14", "10:30", "14:59"]
    assert bars.start_ns.tolist() == [stamp(day, f"{clock}:00") for day in (FIRST, SECOND) for clock in clocks]
    rows = list(bars.rows(0, len(bars), len(series) - 1).values())
    assert [row["volume"] for row in rows[:7]] == [20, 5, 1, 10, 2, 2, 8]
    first = {name: rows[0][name] for name in ("open", "high", "low", "close", "open_oi", "close_oi")}
    assert first == {"open": 3000, "high": 3002, "low": 3000, "close": 3002, "open_oi": 1000, "close_oi": 1002}
    assert rows[7]["open_oi"] == rows[6]["close_oi"] == 1009


def test_days_carry_midnight_and_many_days_share_a_bar() -> None:
    series = two_days().contracts[RB]
    days = series.bars(FULL_DAY)
    assert days.start_ns.tolist() == [stamp(FIRST, "00:00:00"), stamp(SECOND, "00:00:00")]
    assert [row["volume"] for row in days.rows(0, 2, len(series) - 1).values()] == [TRADED, TRADED]
    both = series.bars(2 * FULL_DAY)
    (row,) = both.rows(0, 5, len(series) - 1).values()
    assert (row["datetime"], row["volume"], row["open"], row["close"]) == (stamp(FIRST, "00:00:00"), 2 * TRADED, 3000, 3003)


@given(st.integers(1, 2 * FULL_DAY // 10**9), st.integers(0, 19))
@settings(max_examples=60, deadline=None)
def test_bars_conserve_volume_at_every_moment(seconds: int, newest: int) -> None:
    series = SERIES
    duration = min(FULL_DAY, seconds * 10**9)
    bars = series.bars(duration)
    rows = bars.rows(0, len(bars), newest)
    assert sum(row["volume"] for row in rows.values()) == series.traded[: newest + 1].sum()
    assert list(map(int, rows)) == list(range(bars.bar_of(newest) + 1))
    prices = series.columns["last_price"][: newest + 1]
    assert max(row["high"] for row in rows.values()) == prices.max()
    assert min(row["low"] for row in rows.values()) == prices.min()
    starts = [row["datetime"] for row in rows.values()]
    assert starts == sorted(starts)


SERIES = two_days().contracts[RB]


def test_a_quote_says_what_was_known_and_what_the_day_before_left() -> None:
    market = two_days()
    assert market.now_ns == stamp(SECOND, "21:00:00.5")
    quote = market.quote(RB)
    amount = sum(last * traded for _, last, traded, _ in DAY)
    assert quote["pre_settlement"] == amount // TRADED
    assert {name: quote[name] for name in ("last_price", "open", "highest", "lowest", "volume", "open_interest")} == {
        "last_price": 3001,
        "open": 3000,
        "highest": 3001,
        "lowest": 3000,
        "volume": 14,
        "open_interest": 1001,
    }
    assert (quote["datetime"], quote["pre_close"], quote["pre_open_interest"]) == ("2025-06-05 21:00:00.500000", 3003, 1009)
    assert (quote["close"], quote["settlement"], quote["ask_price5"], quote["ask_volume5"]) == ("-", "-", 3006, 25)
    base = quote["pre_settlement"]
    assert (quote["upper_limit"], quote["lower_limit"]) == (base + int(base * 0.08), base - int(base * 0.08))
    at(market, SECOND, "15:00:00")
    closed = market.quote(RB)
    assert (closed["close"], closed["settlement"], closed["highest"], closed["lowest"]) == (3003, amount // TRADED, 3003, 2995)
    assert market.is_over


def test_a_contract_that_has_not_traded_shows_no_price_of_the_future() -> None:
    market = rolling()
    at(market, FIRST, "15:00:00")
    quote = market.quote(NEXT)
    assert {quote[name] for name in ("last_price", "bid_price1", "ask_price1", "open", "highest", "close", "amount")} == {"-"}
    assert (quote["volume"], quote["bid_volume1"], quote["datetime"]) == (0, 0, "2025-06-05 15:00:00.000000")
    assert quote["upper_limit"] > quote["lower_limit"] > 0


def test_a_day_without_a_price_breaks_nothing() -> None:
    nothing = frame(FIRST, [("21:00:00.5", float("nan"), 0, 0), ("21:00:01", float("nan"), 0, 0)])
    market = served({(RB, FIRST): nothing, (RB, SECOND): frame(SECOND, DAY)})
    market.start_on(FIRST)
    quote = market.quote(RB)
    assert (quote["last_price"], quote["open"], quote["highest"], quote["pre_close"]) == ("-", "-", "-", 0)
    row = market.contracts[RB].bars(MINUTE).rows(0, 1, 1)["0"]
    assert (row["open"], row["close"], row["volume"]) == ("-", "-", 0)
    without = frame(SECOND, DAY).with_columns(pl.lit(None, dtype=pl.Int64).alias("open_interest"))
    assert served({(RB, SECOND): without}).quote(RB)["open_interest"] == 0


def test_the_alias_follows_the_table_and_shows_its_main_contract() -> None:
    market = rolling()
    assert market.mains["SHFE.rb"] == [(FIRST, RB), (THIRD, NEXT)]
    alias = market.series("KQ.m@SHFE.rb")
    assert alias is not None
    assert alias.contracts == [RB, RB, NEXT]
    assert market.quote("KQ.m@SHFE.rb") == {**market.quote(RB), "instrument_id": "KQ.m@SHFE.rb"}
    at(market, THIRD, "21:00:00.5")
    assert market.quote("KQ.m@SHFE.rb")["pre_settlement"] == market.quote(NEXT)["pre_settlement"]
    assert market.quote("KQ.m@SHFE.rb")["last_price"] == 3101
    node = instrument(market, "KQ.m@SHFE.rb")
    assert node is not None
    assert node["underlying"]["edges"][0]["node"]["instrument_id"] == NEXT
    assert market.continuous_table() == {"SHFE.rb": [["20250605", RB], ["20250609", NEXT]]}
    assert market.quote("KQ.m@SHFE.cu") == market.quote("SHFE.cu2510") == {}
    assert instrument(market, "KQ.m@SHFE.cu") is None


def test_nodes_are_found_by_what_clients_ask_for() -> None:
    market = rolling()
    asked = [
        ('query{ multi_symbol_info(instrument_id: ["SHFE.rb2510","X.y1"]) { ... } }', None, [RB]),
        ("query($class_:[Class]){multi_symbol_info(class:$class_){ x }}", {"class": ["FUTURE"]}, [RB, NEXT]),
        ('query{ multi_symbol_info(class: [CONT], exchange_id: ["KQ"]) { x } }', None, ["KQ.m@SHFE.rb"]),
        ('query{ multi_symbol_info(class: [FUTURE], has_night: true, product_id: ["rb"]) { x } }', None, [RB, NEXT]),
        ("query{ multi_symbol_info(class: [FUTURE], has_night: false) { x } }", None, []),
        ("query{ multi_symbol_info(class: [FUTURE], expired: true) { x } }", None, []),
        ('query{ multi_symbol_info(class: [OPTION], exchange_id: ["SHFE"]) { x } }', None, []),
    ]
    for query, variables, found in asked:
        nodes = answer_query(market, query, variables)["multi_symbol_info"]
        assert [node["instrument_id"] for node in nodes] == found, query
    node = instrument(market, RB)
    assert node is not None
    assert (node["price_tick"], node["volume_multiple"], node["delivery_year"], node["delivery_month"]) == (1, 10, 2025, 10)
    assert node["margin"] == pytest.approx(0.08 * node["settlement_price"] * 10)


def test_hours_are_written_as_the_instrument_service_does() -> None:
    market = rolling()
    assert trading_time(market, RB, SECOND) == {
        "day": [["09:00:00", "10:15:00"], ["10:30:00", "11:30:00"], ["13:30:00", "15:00:00"]],
        "night": [["21:00:00", "23:00:00"]],
    }
    assert trading_time(market, "SHFE.cu2510", SECOND)["night"] == [["21:00:00", "25:00:00"]]
    holidays = market.holidays()
    assert "2025-06-02" in holidays
    assert "2025-01-27" not in holidays
    assert not {day for day in holidays if market.calendar.is_trading_day(TradingDay.parse(day))}


def test_the_present_begins_where_trading_is_continuous_and_skips_silences() -> None:
    market = two_days()
    assert market.phase(RB) == Phase.CONTINUOUS
    waits = [wait for _, wait in market.moments()]
    assert waits == [500_000_000, 10**9, 10**9, 10**9, 60 * 10**9, 10**9, 10**9, 10**9]
    assert waits[0] == 5 * 10**8
    assert market.moved == {RB}
    market.start_on(FIRST)
    assert market.now_ns == stamp(FIRST, "21:00:00.5")
    with pytest.raises(DataError, match="no ticks of 2025-06-09"):
        market.start_on(THIRD)
    with pytest.raises(DataError, match="nothing to serve"):
        served({})


def test_the_sources_own_limits_are_kept() -> None:
    source = frame(FIRST, DAY).with_columns(pl.lit(3131.0).alias("upper_limit"), pl.lit(2832.0).alias("lower_limit"))
    assert served({(RB, FIRST): source}).limits(RB, 3) == (3131, 2832)


def test_rows_are_what_was_given() -> None:
    series = two_days().contracts[RB]
    rows = series.rows(18, 25)
    assert list(rows) == ["18", "19"]
    assert (rows["19"]["last_price"], rows["19"]["average"], rows["19"]["volume"]) == (3003, "-", TRADED)
    assert series.index_at(stamp(SECOND, "21:00:00.5")) == 11
    assert np.array_equal(series.day_of, np.repeat([0, 1], 10))
