"""Every rule on both sides of its boundary, and whose orders it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.trading.risk.cases import CONTEXT, DAY, FLAT, INTENT, LIMITS, MARKET, METERS, NOW, RB, STATE, S, context, held, intent

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.trading.risk.case import Case
from ghtrader.trading.risk.config import KEYS
from ghtrader.trading.risk.gate import Verdict, check_order
from ghtrader.trading.risk.memory import ContractMeters
from ghtrader.trading.risk.meters import Level, MeterLevels
from ghtrader.trading.risk.reasons import Blocks
from ghtrader.trading.risk.reasons import RiskReason as R
from ghtrader.trading.risk.rules import CLOSING, KILLS_OWN, RULES
from ghtrader.trading.words import Mode, Origin

PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "risk.md"
BUY, SELL = Side.BUY, Side.SELL
NAN, INF = float("nan"), float("inf")
Step = dict[str, Any]
OTHER = "SHFE.rb2601"


def go(i: Step | None = None, c: Step | None = None, s: Step | None = None, m: Step | None = None, **limits: Any) -> Verdict:
    """The case in which every rule holds, changed: intent, context (and market), state, meters of rb, limits."""
    state = replace(STATE, **(s or {}))
    if m is not None:
        state = replace(state, meters={RB: ContractMeters(**m)})
    return check_order(state, replace(LIMITS, **limits), METERS, intent(**(i or {})), context(**(c or {})), "id-1")


def close(lots: int = 1, **changes: Any) -> Step:
    return {"side": SELL, "offset": Offset.CLOSE, "lots": lots, **changes}


LONG = held(long_history=3, long_today=2)
KILL: Step = {"origin": Origin.KILL}
WORKS = ((BUY, 2990, 1), (SELL, 3010, 1))

#: (reason, what passes it by a hair, what it refuses)
BOUNDARIES: list[tuple[R, dict[str, Any], dict[str, Any]]] = [
    (R.RISK_KILLED, {"i": close(**KILL), "c": {"killed": True, "held": LONG}}, {"i": close(), "c": {"killed": True, "held": LONG}}),
    (R.RISK_KILLED, {}, {"c": {"killed": True}}),
    (R.RISK_KILLED, {}, {"i": KILL, "c": {"killed": True}}),
    (R.RISK_KILLED, {}, {"i": {"origin": Origin.COMMAND}, "c": {"killed": True}}),
    (R.NOT_KILLED, {"i": close(origin=Origin.ROLL), "c": {"held": LONG}}, {"i": close(**KILL), "c": {"held": LONG}}),
    (R.NOT_KILLED, {}, {"i": KILL}),
    *[(R.MODE, {"c": {"mode": good}}, {"c": {"mode": bad}}) for good, bad in ((Mode.SIM, Mode.IDLE), (Mode.LIVE_TRADE, Mode.LIVE_MONITOR))],
    (R.UNRECONCILED, {"c": {"reconciled": True}}, {"c": {"reconciled": False}}),
    (R.HALTED, {}, {"c": {"halt_reasons": ("link_down",)}}),
    (R.SYMBOL, {}, {"i": {"symbol": "KQ.m@SHFE.rb"}, "c": {"symbol": "KQ.m@SHFE.rb", "held": replace(FLAT, symbol="KQ.m@SHFE.rb")}}),
    (R.SYMBOL, {}, {"c": {"held": replace(FLAT, symbol=OTHER)}}),
    (R.SYMBOL, {}, {"c": {"symbol": OTHER}}),
    *[(R.CONTRACT_FACTS, {}, {"c": {"market": replace(MARKET, price_tick=tick), "price_tick": tick}}) for tick in (0.0, -1.0, NAN, INF)],
    (R.CONTRACT_FACTS, {}, {"c": {"price_tick": 2.0}}),
    *[(R.CONTRACT_FACTS, {"c": {"multiplier": 0.5}}, {"c": {"multiplier": worth}}) for worth in (0.0, -10.0, NAN, INF)],
    (R.NO_MARKET, {}, {"c": {"market": None}}),
    (R.STALE_FEED, {"c": {"receive_ns": NOW - 5 * S}}, {"c": {"receive_ns": NOW - 5 * S - 1}}),
    (R.STALE_FEED, {"c": {"ts_ns": NOW - 5 * S}}, {"c": {"ts_ns": NOW - 5 * S - 1}}),
    (R.STALE_FEED, {"c": {"receive_ns": NOW + 5 * S}}, {"c": {"receive_ns": NOW + 5 * S + 1}}),
    (R.STALE_FEED, {"c": {"ts_ns": NOW - 2 * S}, "stale_feed_ns": 2 * S}, {"c": {"ts_ns": NOW - 3 * S}, "stale_feed_ns": 2 * S}),
    (R.SESSION, {}, {"c": {"accepts_orders": False}}),
    (R.SESSION, {"c": {"part_end_ns": NOW + 1}, "end_guard_ns": 0}, {"c": {"part_end_ns": NOW}, "end_guard_ns": 0}),
    (R.SESSION, {"c": {"continuous": False}}, {"i": {"kind": OrderKind.FAK}, "c": {"continuous": False}}),
    (R.SESSION, {"i": {"kind": OrderKind.FOK}}, {"i": {"kind": OrderKind.FOK}, "c": {"continuous": False}}),
    (R.ORDER_SIZE, {"i": {"lots": 1}}, {"i": {"lots": 0}}),
    (R.ORDER_SIZE, {"c": {"min_lots": 0}}, {"i": {"lots": 0}, "c": {"min_lots": 0}}),
    (R.ORDER_SIZE, {}, {"i": {"lots": -1}}),
    (R.ORDER_SIZE, {"i": {"lots": 2}, "c": {"min_lots": 2}}, {"i": {"lots": 1}, "c": {"min_lots": 2}}),
    (R.ORDER_SIZE, {"i": {"lots": 3}, "c": {"max_lots": 3}}, {"i": {"lots": 4}, "c": {"max_lots": 3}}),
    (R.ORDER_SIZE, {"i": {"lots": 2}, "c": {"max_lots": 0}}, {"i": {"lots": 2}, "c": {"max_lots": 1}}),
    (R.PRICE_LIMIT, {"i": {"price_ticks": 3000}, "c": {"upper": 3000, "ask": 3000}, "limit_proximity_ticks": 0}, {"i": {"price_ticks": 3001}, "c": {"upper": 3000, "ask": 3000}, "limit_proximity_ticks": 0}),
    (R.PRICE_LIMIT, {"i": {"price_ticks": 3000}, "c": {"lower": 3000}, "limit_proximity_ticks": 0}, {"i": {"price_ticks": 2999}, "c": {"lower": 3000}, "limit_proximity_ticks": 0}),
    (R.PRICE_LIMIT, {"i": {"price_ticks": 1}, "c": {"upper": None, "lower": None, "bid": 1, "ask": 2, "last": 1}}, {"i": {"price_ticks": 0}, "c": {"upper": None, "lower": None, "bid": 1, "ask": 2, "last": 1}}),
    (R.CLOSE_VOLUME, {"i": close(3), "c": {"held": LONG}}, {"i": close(4), "c": {"held": LONG}}),
    (R.CLOSE_VOLUME, {"i": close(2, offset=Offset.CLOSE_TODAY), "c": {"held": LONG}}, {"i": close(3, offset=Offset.CLOSE_TODAY), "c": {"held": LONG}}),
    (R.CLOSE_VOLUME, {"i": close(2), "c": {"held": replace(LONG, long_history_frozen=1)}}, {"i": close(3), "c": {"held": replace(LONG, long_history_frozen=1)}}),
    (R.CLOSE_VOLUME, {"i": close(3, side=BUY), "c": {"held": held(short_history=3, short_today=1)}}, {"i": close(4, side=BUY), "c": {"held": held(short_history=3, short_today=1)}}),
    (R.CLOSE_VOLUME, {"i": close(), "c": {"held": LONG}}, {"i": close(side=BUY), "c": {"held": LONG}}),
    (R.SELF_TRADE, {"i": {"price_ticks": 3004}, "c": {"own_working": ((SELL, 3005, 1),)}}, {"i": {"price_ticks": 3005}, "c": {"own_working": ((SELL, 3005, 1),)}}),
    (R.SELF_TRADE, {"i": {"side": SELL, "price_ticks": 2996}, "c": {"own_working": ((BUY, 2995, 1),)}}, {"i": {"side": SELL, "price_ticks": 2995}, "c": {"own_working": ((BUY, 2995, 1),)}}),
    (R.SELF_TRADE, {"c": {"own_working": ((BUY, 2990, 1), (BUY, 3005, 1))}}, {"c": {"own_working": ((BUY, 2990, 1), (SELL, 2990, 1))}}),
    (R.TRADING_DAY, {}, {"c": {"market": replace(MARKET, trading_day="2025-06-04")}}),
    (R.TRADING_DAY, {}, {"s": {"trading_day": "2025-06-04"}}),
    (R.ORDER_RATE, {"s": {"orders_at": (NOW - S, NOW - 1, NOW, NOW)}}, {"s": {"orders_at": (NOW - S + 1, NOW - 1, NOW, NOW)}}),
    (R.ORDER_RATE, {"s": {"orders_at": (NOW + S,)}, "orders_per_s": 1}, {"s": {"orders_at": (NOW + S - 1,)}, "orders_per_s": 1}),
    (R.MESSAGES, {"m": {"messages": 3498}}, {"m": {"messages": 3499}}),
    (R.MESSAGES, {"m": {"messages": 3496}, "c": {"own_working": WORKS}}, {"m": {"messages": 3497}, "c": {"own_working": WORKS}}),
    (R.MESSAGES, {"m": {"messages": 8}, "max_messages": 10}, {"m": {"messages": 9}, "max_messages": 10}),
    (R.MESSAGES, {"m": {"messages": 3998}, "i": close(), "c": {"held": LONG}}, {"m": {"messages": 3999}, "i": close(), "c": {"held": LONG}}),
    (R.MESSAGES, {"m": {"messages": 3498}, "max_messages": 9999}, {"m": {"messages": 3499}, "max_messages": 9999}),
    (R.CANCELS, {"m": {"cancels": 399}}, {"m": {"cancels": 400}}),
    (R.CANCELS, {"m": {"cancels": 397}, "c": {"own_working": WORKS}}, {"m": {"cancels": 398}, "c": {"own_working": WORKS}}),
    (R.CANCELS, {"m": {"cancels": 498}, "i": close(), "c": {"held": LONG}}, {"m": {"cancels": 499}, "i": close(), "c": {"held": LONG}}),
    (R.CANCELS, {"m": {"cancels": 4}, "max_cancels": 5}, {"m": {"cancels": 5}, "max_cancels": 5}),
    (R.OPENINGS_HALTED, {"i": close(), "c": {"held": LONG, "opening_halts": ("roll",)}}, {"c": {"opening_halts": ("roll",)}}),
    *[(R.EQUITY_UNKNOWN, {"c": {"equity_cny": 499_000.0}}, {"c": {"equity_cny": bad}}) for bad in (NAN, INF, 0.0, -1.0)],
    (R.EQUITY_UNKNOWN, {}, {"s": {"equity_known": False}}),
    (R.DAILY_LOSS, {"c": {"equity_cny": 480_000.01}}, {"c": {"equity_cny": 480_000.0}}),
    (R.DAILY_LOSS, {"s": {"day_start_cny": None}, "c": {"equity_cny": 480_000.0}}, {"c": {"equity_cny": 499_000.0}, "max_daily_loss_cny": 1000.0}),
    (R.DRAWDOWN, {"s": {"peak_cny": 549_999.99}}, {"s": {"peak_cny": 550_000.0}}),
    (R.DRAWDOWN, {"s": {"peak_cny": None}}, {"s": {"peak_cny": 501_000.0}, "max_drawdown_cny": 1000.0}),
    (R.SYMBOL_LOSS, {"s": {"worst_pnl_cny": {RB: -9_999.99, OTHER: -10_000.0}}}, {"s": {"worst_pnl_cny": {RB: -10_000.0}}}),
    (R.SYMBOL_LOSS, {"s": {"pnl_unknown": frozenset({OTHER})}}, {"s": {"pnl_unknown": frozenset({RB})}}),
    (R.CONSECUTIVE_LOSSES, {"s": {"losses_in_row": 19}}, {"s": {"losses_in_row": 20}}),
    (R.REJECT_STREAK, {"s": {"rejects_in_row": 4}}, {"s": {"rejects_in_row": 5}}),
    (R.SESSION_END, {"c": {"part_end_ns": NOW + 30 * S}}, {"c": {"part_end_ns": NOW + 30 * S - 1}}),
    (R.NO_LIMITS, {"c": {"upper": None, "lower": None}}, {"c": {"mode": Mode.LIVE_TRADE, "upper": None}}),
    (R.NO_LIMITS, {"c": {"mode": Mode.LIVE_TRADE}}, {"c": {"mode": Mode.LIVE_TRADE, "lower": None}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3011}}, {"c": {"upper": 3010}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3015}, "i": {"price_ticks": 3005}}, {"c": {"upper": 3015}, "i": {"price_ticks": 3006}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3014, "last": 3004}}, {"c": {"upper": 3014, "last": 3005}}),
    (R.LIMIT_PROXIMITY, {"c": {"lower": 2990}}, {"c": {"lower": 2991}}),
    (R.LIMIT_PROXIMITY, {"c": {"lower": 2985}, "i": {"price_ticks": 2995}}, {"c": {"lower": 2985}, "i": {"price_ticks": 2994}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": None, "lower": 2990}}, {"c": {"upper": None, "lower": 2991}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3011, "lower": None}}, {"c": {"upper": 3010, "lower": None}}),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3001}, "limit_proximity_ticks": 0}, {"c": {"upper": 3001}, "limit_proximity_ticks": 1}),
    (R.PRICE_BAND, {"i": {"price_ticks": 3021}}, {"i": {"price_ticks": 3022}}),
    (R.PRICE_BAND, {"i": {"price_ticks": 2980}}, {"i": {"price_ticks": 2979}}),
    (R.PRICE_BAND, {"i": {"price_ticks": 3020}, "c": {"ask": None}}, {"i": {"price_ticks": 3021}, "c": {"ask": None}}),
    (R.PRICE_BAND, {"i": {"price_ticks": 2981}, "c": {"bid": None}}, {"i": {"price_ticks": 2980}, "c": {"bid": None}}),
    (R.PRICE_BAND, {"i": {"price_ticks": 3020}, "c": {"bid": None, "ask": None}}, {"i": {"price_ticks": 3021}, "c": {"bid": None, "ask": None}}),
    (R.PRICE_BAND, {"i": {"price_ticks": 2980}, "c": {"bid": None, "ask": None}}, {"i": {"price_ticks": 2979}, "c": {"bid": None, "ask": None}}),
    (R.PRICE_BAND, {"c": {"bid": None, "ask": None}}, {"c": {"bid": None, "ask": None, "last": None}}),
    (R.PRICE_BAND, {"price_band_ticks": 0}, {"i": {"price_ticks": 2999}, "price_band_ticks": 0}),
    (R.MAX_ORDER_LOTS, {"i": {"lots": 5}}, {"i": {"lots": 6}}),
    (R.MAX_POSITION, {"c": {"held": held(long_history=5, long_today=2), "in_flight_buy": 2}}, {"c": {"held": held(long_history=5, long_today=2), "in_flight_buy": 3}}),
    (R.MAX_POSITION, {"i": {"side": SELL, "lots": 2}, "c": {"held": held(short_today=3, short_history=1), "in_flight_sell": 4}}, {"i": {"side": SELL, "lots": 3}, "c": {"held": held(short_today=3, short_history=1), "in_flight_sell": 4}}),
    (R.MAX_POSITION, {"c": {"in_flight_buy": 50, "opening_buy": 9}}, {"c": {"in_flight_buy": 50, "opening_buy": 10}}),
    (R.MAX_POSITION, {"i": {"side": SELL}, "c": {"in_flight_sell": 50, "opening_sell": 9}}, {"i": {"side": SELL}, "c": {"in_flight_sell": 50, "opening_sell": 10}}),
    (R.MAX_POSITION, {"c": {"in_flight_sell": 50, "held": held(short_today=50)}, "max_notional_cny": 1e12}, {"c": {"in_flight_buy": 10}}),
    (R.MAX_POSITION, {"c": {"held": held(long_history=-5, long_today=8), "in_flight_buy": 1}}, {"c": {"held": held(long_history=-5, long_today=8), "in_flight_buy": 2}}),
    (R.MAX_POSITION, {"c": {"held": held(long_history=8, long_today=-5), "in_flight_buy": 1}}, {"c": {"held": held(long_history=8, long_today=-5), "in_flight_buy": 2}}),
    (R.MAX_POSITION, {"i": {"side": SELL}, "c": {"held": held(short_history=8, short_today=-5), "in_flight_sell": 1}}, {"i": {"side": SELL}, "c": {"held": held(short_history=8, short_today=-5), "in_flight_sell": 2}}),
    (R.MAX_POSITION, {"i": {"side": SELL}, "c": {"held": held(short_history=-5, short_today=8), "in_flight_sell": 1}}, {"i": {"side": SELL}, "c": {"held": held(short_history=-5, short_today=8), "in_flight_sell": 2}}),
    (R.MAX_POSITION, {"max_position_lots": 1}, {"max_position_lots": 0}),
    (R.MAX_NOTIONAL, {"max_notional_cny": 30_000.0}, {"max_notional_cny": 29_999.99}),
    (R.MAX_NOTIONAL, {"c": {"held": held(long_today=1, short_history=1), "in_flight_buy": 1, "in_flight_sell": 1}, "max_notional_cny": 150_000.0}, {"c": {"held": held(long_today=1, short_history=1), "in_flight_buy": 1, "in_flight_sell": 1}, "max_notional_cny": 149_999.0}),
    (R.MAX_NOTIONAL, {"i": {"side": SELL}, "c": {"in_flight_buy": 3, "opening_buy": 1}, "max_notional_cny": 60_000.0}, {"i": {"side": SELL}, "c": {"in_flight_buy": 3, "opening_buy": 2}, "max_notional_cny": 60_000.0}),
    (R.MAX_NOTIONAL, {"c": {"other_notional_cny": 1_970_000.0}}, {"c": {"other_notional_cny": 1_970_001.0}}),
    (R.MAX_NOTIONAL, {}, {"c": {"other_notional_cny": NAN}}),
    (R.AVAILABLE_MARGIN, {"c": {"available_cny": 103_000.0}}, {"c": {"available_cny": 102_999.0}}),
    (R.AVAILABLE_MARGIN, {"i": {"lots": 2}, "c": {"available_cny": 112_000.0, "in_flight_buy": 1, "in_flight_sell": 1}}, {"i": {"lots": 2}, "c": {"available_cny": 111_999.0, "in_flight_buy": 1, "in_flight_sell": 1}}),
    (R.AVAILABLE_MARGIN, {"c": {"available_cny": 3_000.0}, "min_available_share": 0.0}, {"c": {"available_cny": 2_999.0}, "min_available_share": 0.0}),
    (R.AVAILABLE_MARGIN, {}, {"c": {"available_cny": NAN}}),
    (R.AVAILABLE_MARGIN, {"c": {"available_cny": 104_000.0, "other_margin_cny": 1_000.0}}, {"c": {"available_cny": 104_000.0, "other_margin_cny": 1_000.1}}),
    (R.AVAILABLE_MARGIN, {}, {"c": {"other_margin_cny": NAN}}),
    *[(R.AVAILABLE_MARGIN, {"c": {"margin_rate": 0.01}}, {"c": {"margin_rate": bad}}) for bad in (0.0, -0.1, NAN)],
    (R.LARGE_CANCELS, {"i": {"lots": 299}, "m": {"large_cancels": 40}}, {"i": {"lots": 300}, "m": {"large_cancels": 40}}),
    (R.LARGE_CANCELS, {"i": {"lots": 300}, "m": {"large_cancels": 39}}, {"i": {"lots": 300}, "m": {"large_cancels": 40}}),
    (R.SELF_TRADES, {"m": {"self_trades": 2}}, {"m": {"self_trades": 3}}),
    (R.OPEN_LIMIT, {"c": {"open_limit_lots": 5, "in_flight_buy": 1, "in_flight_sell": 1}, "m": {"opened_lots": 2}}, {"c": {"open_limit_lots": 5, "in_flight_buy": 1, "in_flight_sell": 2}, "m": {"opened_lots": 2}}),
    (R.OPEN_LIMIT, {"m": {"opened_lots": 900}}, {"m": {"opened_lots": 900}, "c": {"open_limit_lots": 900}}),
]  # fmt: skip
BIG = {"max_order_lots": 1000, "max_position_lots": 1000, "max_notional_cny": 1e12, "min_available_share": 0.0}


@pytest.mark.parametrize(("reason", "passes", "refused"), BOUNDARIES, ids=[f"{n}-{row[0]}" for n, row in enumerate(BOUNDARIES)])
def test_a_rule_passes_at_its_limit_and_refuses_beyond(reason: R, passes: dict[str, Any], refused: dict[str, Any]) -> None:
    wide = {**BIG, "min_available_share": 0.0} if reason == R.LARGE_CANCELS else {}
    if wide:
        passes, refused = ({**case, **wide, "c": {"available_cny": 1e12, "equity_cny": 500_000.0}} for case in (passes, refused))
    good, bad = go(**passes), go(**refused)
    assert (good.reason, good.message) == (R.PASSED, "")
    assert good.approved is not None
    assert bad.reason == reason
    assert bad.approved is None
    assert bad.message


def test_the_delivery_month_is_closed_to_openings() -> None:
    def at(day: str, symbol: str, **limits: Any) -> R:
        where = {
            "trading_day": day,
            "market": replace(MARKET, symbol=symbol, trading_day=day),
            "held": replace(FLAT, symbol=symbol),
        }
        return go({"symbol": symbol}, where, {"trading_day": day}, **limits).reason

    assert at("2025-09-30", "SHFE.rb2510") == R.PASSED
    assert at("2025-10-08", "SHFE.rb2510") == R.DELIVERY_MONTH
    assert at("2025-11-03", "SHFE.rb2510") == R.DELIVERY_MONTH
    assert at("2025-10-08", "SHFE.rb2510", delivery_month_opening=True) == R.PASSED
    assert at("2025-10-08", "SHFE.rb2610") == R.PASSED
    assert at("2029-12-03", "CZCE.TA001") == R.PASSED
    assert at("2030-01-03", "CZCE.TA001") == R.DELIVERY_MONTH
    assert at("2031-01-03", "CZCE.TA909") == R.DELIVERY_MONTH
    assert at("2025-06-05", "SHFE.rb") == R.PASSED


def test_the_exchange_s_daily_open_limit_stops_openings_by_its_table() -> None:
    day, symbol = "2026-02-02", "SHFE.ag2604"
    where = {"trading_day": day, "market": replace(MARKET, symbol=symbol, trading_day=day), "held": replace(FLAT, symbol=symbol)}

    def at(opened: int, **more: Any) -> Verdict:
        return go(
            {"symbol": symbol}, {**where, **more}, {"trading_day": day, "meters": {symbol: ContractMeters(opened_lots=opened)}}
        )

    assert at(638).near == ()
    assert [(miss.reason, miss.used, miss.limit) for miss in at(639).near] == [(R.OPEN_LIMIT, 640, 760)]
    assert at(759).reason == R.PASSED
    assert at(760).reason == R.OPEN_LIMIT
    assert at(757, in_flight_buy=1, in_flight_sell=1).reason == R.PASSED
    assert at(757, in_flight_buy=2, in_flight_sell=1).reason == R.OPEN_LIMIT
    assert [at(299, open_limit_lots=said).reason for said in (0, 299, 300, 3000)] == [R.PASSED, R.OPEN_LIMIT, R.PASSED, R.PASSED]
    assert at(760, open_limit_lots=3000).reason == R.OPEN_LIMIT  # what the feed says binds where it is less than our own level
    assert [(miss.used, miss.limit) for miss in at(299, open_limit_lots=300).near] == [(300, 300)]


def test_elsewhere_a_close_takes_today_and_history_together() -> None:
    symbol = "DCE.m2509"
    where = {"market": replace(MARKET, symbol=symbol), "held": replace(LONG, symbol=symbol)}
    for offset in (Offset.CLOSE, Offset.CLOSE_TODAY):
        assert go({"symbol": symbol, **close(5, offset=offset)}, where).reason == R.PASSED
        assert go({"symbol": symbol, **close(6, offset=offset)}, where).reason == R.CLOSE_VOLUME


#: One way to break each rule that leaves all rules before it intact, for an order that closes as well.
BROKEN: dict[R, dict[str, Any]] = {
    R.MODE: {"c": {"mode": Mode.LIVE_MONITOR}},
    R.UNRECONCILED: {"c": {"reconciled": False}},
    R.HALTED: {"c": {"halt_reasons": ("journal",)}},
    R.SYMBOL: {"c": {"symbol": OTHER}},
    R.CONTRACT_FACTS: {"c": {"multiplier": NAN}},
    R.NO_MARKET: {"c": {"market": None}},
    R.STALE_FEED: {"c": {"ts_ns": 0}},
    R.SESSION: {"c": {"accepts_orders": False}},
    R.ORDER_SIZE: {"i": {"lots": 0}},
    R.PRICE_LIMIT: {"i": {"price_ticks": 9999}},
    R.CLOSE_VOLUME: {"i": {"lots": 99}},
    R.SELF_TRADE: {"c": {"own_working": ((SELL, 3000, 1), (BUY, 3000, 1))}},
    R.TRADING_DAY: {"s": {"trading_day": ""}},
    R.ORDER_RATE: {"orders_per_s": 0},
    R.MESSAGES: {"m": {"messages": 4000}},
    R.CANCELS: {"m": {"cancels": 500}},
    R.OPENINGS_HALTED: {"c": {"opening_halts": ("roll",)}},
    R.EQUITY_UNKNOWN: {"c": {"equity_cny": NAN}},
    R.DAILY_LOSS: {"s": {"day_start_cny": 9e9}},
    R.DRAWDOWN: {"s": {"peak_cny": 9e9}},
    R.SYMBOL_LOSS: {"s": {"worst_pnl_cny": {RB: -9e9}}},
    R.CONSECUTIVE_LOSSES: {"s": {"losses_in_row": 99}},
    R.REJECT_STREAK: {"s": {"rejects_in_row": 99}},
    R.DELIVERY_MONTH: {"c": {"trading_day": "2025-10-09", "market": replace(MARKET, trading_day="2025-10-09")}, "s": {"trading_day": "2025-10-09"}},
    R.SESSION_END: {"c": {"part_end_ns": NOW + 1}},
    R.NO_LIMITS: {"c": {"mode": Mode.LIVE_TRADE, "upper": None}},
    R.LIMIT_PROXIMITY: {"c": {"upper": 3001}},
    R.PRICE_BAND: {"i": {"price_ticks": 3100}},
    R.MAX_ORDER_LOTS: {"max_order_lots": 0},
    R.MAX_POSITION: {"max_position_lots": 0},
    R.MAX_NOTIONAL: {"max_notional_cny": 0.0},
    R.AVAILABLE_MARGIN: {"c": {"available_cny": 0.0}},
    R.LARGE_CANCELS: {"i": {"lots": 400}, "m": {"large_cancels": 99}, "c": {"available_cny": 1e12}, **BIG},
    R.SELF_TRADES: {"m": {"self_trades": 99}},
    R.OPEN_LIMIT: {"m": {"opened_lots": 99}, "c": {"open_limit_lots": 1}},
}  # fmt: skip


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.reason in BROKEN], ids=lambda rule: rule.reason)
def test_a_rule_refuses_the_orders_it_is_declared_for_and_no_others(rule: Any) -> None:
    broken = dict(BROKEN[rule.reason])
    wish, where = broken.pop("i", {}), {"held": held(long_history=10), **broken.pop("c", {})}
    limits = {"max_position_lots": 50, **broken}
    if rule.reason != R.CLOSE_VOLUME:
        where = {**where, "held": held(long_history=500)} if rule.reason == R.LARGE_CANCELS else where
        assert go(wish, where, **limits).reason == rule.reason
    closing = go({**close(), **wish}, where, **limits).reason
    kills = go({**close(**KILL), **wish}, {**where, "killed": True}, **limits).reason
    assert closing == (R.PASSED if rule.blocks == Blocks.OPENINGS else rule.reason)
    assert kills == (rule.reason if rule.blocks == Blocks.EVERY else R.PASSED)


def test_every_rule_is_tried_and_every_reason_has_one_rule() -> None:
    assert {row[0] for row in BOUNDARIES} | {R.DELIVERY_MONTH} == {rule.reason for rule in RULES}
    assert set(BROKEN) | {R.RISK_KILLED, R.NOT_KILLED} == {rule.reason for rule in RULES}
    assert len({rule.reason for rule in RULES}) == len(RULES)
    assert {rule.reason for rule in RULES} | {R.PASSED, R.CANCEL_RATE} == set(R)
    assert [rule for rule in RULES if rule in CLOSING] == list(CLOSING)
    assert [rule for rule in CLOSING if rule in KILLS_OWN] == list(KILLS_OWN)


def test_the_first_rule_that_refuses_names_the_reason() -> None:
    worst = {"c": {"mode": Mode.IDLE, "reconciled": False, "halt_reasons": ("x",), "market": None, "killed": True}}
    order = [R.RISK_KILLED, R.MODE, R.UNRECONCILED, R.HALTED, R.NO_MARKET]
    mends: list[Step] = [{"killed": False}, {"mode": Mode.PAPER}, {"reconciled": True}, {"halt_reasons": ()}, {"market": MARKET}]
    for reason, mend in zip(order, mends, strict=True):
        assert go(**worst).reason == reason
        worst = {"c": {**worst["c"], **mend}}
    assert go(**worst).reason == R.PASSED


NEAR: list[tuple[R, dict[str, Any], dict[str, Any], float, float]] = [
    (R.STALE_FEED, {"c": {"ts_ns": NOW - 4 * S + 1}}, {"c": {"ts_ns": NOW - 4 * S}}, 4 * S, 5 * S),
    (R.ORDER_RATE, {"s": {"orders_at": (NOW,) * 2}}, {"s": {"orders_at": (NOW,) * 3}}, 4, 4),
    (R.MESSAGES, {"m": {"messages": 2797}}, {"m": {"messages": 2798}}, 2800, 3500),
    (R.MESSAGES, {"m": {"messages": 6}, "max_messages": 12}, {"m": {"messages": 7}, "max_messages": 12}, 9, 12),
    (R.CANCELS, {"m": {"cancels": 318}}, {"m": {"cancels": 319}}, 320, 400),
    (R.SESSION_END, {"c": {"part_end_ns": NOW + 37_500_000_001}}, {"c": {"part_end_ns": NOW + 37_500_000_000}}, 37_500_000_000, 30 * S),
    (R.LIMIT_PROXIMITY, {"c": {"upper": 3014}}, {"c": {"upper": 3013}}, 12, 10),
    (R.PRICE_BAND, {"i": {"price_ticks": 3016}}, {"i": {"price_ticks": 3017}}, 16, 20),
    (R.MAX_ORDER_LOTS, {"i": {"lots": 3}}, {"i": {"lots": 4}}, 4, 5),
    (R.MAX_POSITION, {"c": {"in_flight_buy": 6}}, {"c": {"in_flight_buy": 7}}, 8, 10),
    (R.MAX_NOTIONAL, {"c": {"other_notional_cny": 1_569_999.0}}, {"c": {"other_notional_cny": 1_570_000.0}}, 1_600_000.0, 2_000_000.0),
    (R.AVAILABLE_MARGIN, {"c": {"available_cny": 128_001.0}}, {"c": {"available_cny": 128_000.0}}, 0.25, 0.2),
    (R.SELF_TRADES, {"m": {"self_trades": 0}}, {"m": {"self_trades": 1}}, 2, 3),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "clear", "near", "used", "limit"), NEAR, ids=[f"{n}-{row[0]}" for n, row in enumerate(NEAR)])
def test_a_rule_that_holds_with_little_room_leaves_a_near_miss(
    reason: R, clear: Step, near: Step, used: float, limit: float
) -> None:
    assert go(**clear).near == ()
    (miss,) = go(**near).near
    assert (miss.reason, miss.used, miss.limit, miss.symbol) == (reason, used, limit, RB)
    assert go(**near).approved is not None


def test_a_refusal_says_what_would_be_used_of_what() -> None:
    assert go({"lots": 6}).message == "lots of the order would be 6, at most 5"
    assert go(c={"ts_ns": NOW - 5 * S - 1}).message == "the age of the newest tick in ns would be 5000000001, at most 5000000000"
    assert go(c={"upper": 3010}).message == "ticks to a price limit of the day would be 9, at least 10"
    assert go(c={"equity_cny": 479_999.99}).message == "the trading day lost 20000.01 of 20000 CNY"
    assert go({"lots": 4}).near[0].message == "lots of the order: 4 of at most 5"
    assert go(c={"upper": 3013}).near[0].message == "ticks to a price limit of the day: 12, at least 10"


def test_a_refused_order_keeps_the_near_misses_before_it() -> None:
    verdict = go({"lots": 4}, {"in_flight_buy": 9})
    assert verdict.reason == R.MAX_POSITION
    assert [miss.reason for miss in verdict.near] == [R.MAX_ORDER_LOTS]


def test_nothing_used_of_a_limit_of_zero_is_no_near_miss() -> None:
    assert go(price_band_ticks=0, end_guard_ns=0, limit_proximity_ticks=0, min_available_share=0.0).near == ()
    assert go(c={"upper": 3001}, limit_proximity_ticks=0) == go()
    assert [(miss.used, miss.limit) for miss in go(max_order_lots=1).near] == [(1, 1)]


def test_the_page_lists_every_rule_as_it_is_declared() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| `[a-z_]+` \|", line)]
    wanted = [
        f"| `{rule.reason}` | {rule.asks} | {rule.blocks} | {rule.severity} | {', '.join(f'`{key}`' for key in rule.keys)} |".replace(
            "|  |", "| |"
        )
        for rule in RULES
    ]
    assert rows == wanted
    assert {f"trading.risk.{key}" for rule in RULES for key in rule.keys} | {
        "trading.risk.cancels_per_s",
        "trading.risk.warn_share",
    } == {key.name for key in KEYS}


def test_the_unchanged_case_and_its_parts_hold() -> None:
    assert go().reason == R.PASSED
    assert go().near == ()
    assert (CONTEXT.trading_day, INTENT.symbol) == (DAY, RB)


def test_no_order_is_large_where_nobody_says_from_what_size_on() -> None:
    (rule,) = (rule for rule in RULES if rule.reason == R.LARGE_CANCELS)
    full = replace(STATE, meters={RB: ContractMeters(large_cancels=9)})
    for large_lots, refused in ((0, False), (1, True), (2, False)):
        levels = MeterLevels(large_cancels=Level(1, 2, 2), large_lots=large_lots)
        assert (rule.check(Case(full, LIMITS, levels, intent(lots=1), context())) is not None) == refused
