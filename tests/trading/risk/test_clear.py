"""The short way of the gate says yes to exactly the orders that every rule passes and none tells of."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.trading.risk.cases import CONTEXT, DAY, LIMITS, MARKET, METERS, NOW, RB, STATE, S, context, held, intent
from tests.trading.risk.test_rules import BOUNDARIES, BROKEN, NEAR

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.trading.risk.case import Case
from ghtrader.trading.risk.clear import is_clear
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import ContractMeters, RiskState
from ghtrader.trading.risk.rules import CLOSING, KILLS_OWN, RULES
from ghtrader.trading.words import Mode, OrderIntent, Origin

NAN = float("nan")
Step = dict[str, Any]
Asked = tuple[RiskState, RiskLimits, OrderIntent, RiskContext]


def asked(i: Step | None = None, c: Step | None = None, s: Step | None = None, m: Step | None = None, **limits: Any) -> Asked:
    state = replace(STATE, **(s or {}))
    if m is not None:
        state = replace(state, meters={RB: ContractMeters(**m)})
    return state, replace(LIMITS, **limits), intent(**(i or {})), context(**(c or {}))


def by_the_rules(state: RiskState, limits: RiskLimits, wanted: OrderIntent, at: RiskContext) -> bool:
    """Whether every rule that the order must pass does, and none leaves a near-miss."""
    case = Case(state, limits, METERS.levels(wanted.symbol, at.trading_day, limits), wanted, at)
    rules = RULES if case.opening else KILLS_OWN if wanted.origin == Origin.KILL else CLOSING
    return all(rule.check(case) is None for rule in rules) and not case.near


def at_once(state: RiskState, limits: RiskLimits, wanted: OrderIntent, at: RiskContext) -> bool:
    return is_clear(state, limits, METERS.levels(wanted.symbol, at.trading_day, limits), wanted, at)


def is_looked_into(wanted: OrderIntent, at: RiskContext) -> bool:
    """Not one of the cases that always take the long way."""
    market = at.market
    touch = market is not None and None not in (market.bid, market.ask, market.last)
    return wanted.origin != Origin.KILL and not at.own_working and (touch or wanted.offset != Offset.OPEN)


def rows() -> Iterator[Step]:
    for _, passes, refused in BOUNDARIES:
        yield from (passes, refused)
    for _, clear, near, _, _ in NEAR:
        yield from (clear, near)
    for broken in BROKEN.values():
        yield broken
        yield {**broken, "i": {**broken.get("i", {}), "side": Side.SELL, "offset": Offset.CLOSE}, "c": {**broken.get("c", {}), "held": held(long_history=10)}}  # fmt: skip


@pytest.mark.parametrize("row", list(rows()))
def test_it_agrees_with_every_rule_at_its_boundary(row: Step) -> None:
    case = asked(**row)
    expected = by_the_rules(*case)
    assert at_once(*case) == (expected and is_looked_into(*case[2:]))


#: One step away from the case in which every rule holds, near and beyond what they allow.
INTENTS: list[Step] = [
    {"lots": lots} for lots in (0, 2, 3, 4, 5, 6)
] + [{"price_ticks": ticks} for ticks in (0, 2799, 2801, 2810, 2812, 2813, 2983, 2984, 2985, 3016, 3017, 3018, 3187, 3188, 3190)] + [
    {"side": Side.SELL}, {"kind": OrderKind.FAK}, {"origin": Origin.KILL}, {"origin": Origin.COMMAND}, {"symbol": "SHFE.rb2601"},
]  # fmt: skip
CLOSES: list[Step] = [
    {"side": side, "offset": offset, "lots": lots}
    for side in Side
    for offset in (Offset.CLOSE, Offset.CLOSE_TODAY)
    for lots in (1, 2, 3, 4)
]
CONTEXTS: list[Step] = [
    *[{key: value} for key in ("bid", "ask", "last") for value in (None, 2990, 2999, 3011, 3100, 3190)],
    *[{"upper": upper} for upper in (None, 2999, 3011, 3012, 3013, 3014)],
    *[{"lower": lower} for lower in (None, 2987, 2988, 2989, 3001)],
    *[{"part_end_ns": NOW + left} for left in (-1, 0, 1, 30 * S, 37_500_000_000, 37_500_000_001)],
    *[{key: NOW + age} for key in ("ts_ns", "receive_ns") for age in (-5 * S, -4 * S, 1 - 4 * S, 4 * S - 1, 4 * S, 6 * S)],
    *[{"continuous": False}, {"accepts_orders": False}, {"mode": Mode.LIVE_TRADE}, {"mode": Mode.LIVE_MONITOR}, {"reconciled": False}],
    *[{"killed": True}, {"halt_reasons": ("x",)}, {"opening_halts": ("x",)}, {"market": None}, {"multiplier": NAN}, {"price_tick": 2.0}],
    *[{"equity_cny": cny} for cny in (NAN, 0.0, 480_000.0, 480_001.0)],
    *[{"available_cny": cny} for cny in (NAN, 0.0, 103_000.0, 127_999.0, 128_000.0, 128_001.0)],
    *[{"other_notional_cny": cny} for cny in (NAN, 1_569_999.0, 1_570_000.0, 1_970_001.0)],
    *[{"min_lots": 2}, {"max_lots": 1}, {"max_lots": 0}, {"margin_rate": 0.0}, {"open_limit_lots": 2}, {"open_limit_lots": 3}],
    *[{"in_flight_buy": lots, **more} for lots in (1, 6, 7, 9, 10) for more in ({}, {"opening_buy": 0}, {"opening_sell": 3})],
    *[{"held": held(**{kind: lots})} for kind in ("long_today", "long_history", "short_today") for lots in (-2, 2, 6, 7, 10)],
    *[{"held": held(long_today=3, long_history=2, long_today_frozen=2)}, {"own_working": ((Side.SELL, 3010, 1),)}],
    *[{"trading_day": "2025-06-06"}, {"market": replace(MARKET, trading_day="2025-06-06")}, {"market": replace(MARKET, symbol="SHFE.x")}],
]  # fmt: skip
STATES: list[Step] = [
    *[{"orders_at": (NOW,) * count} for count in (1, 2, 3, 4)],
    *[{"orders_at": (NOW - S, NOW - S + 1, NOW + S - 1, NOW + S)}, {"equity_known": False}, {"trading_day": ""}],
    *[{key: value} for key in ("day_start_cny", "peak_cny") for value in (None, 519_999.0, 520_000.0, 549_999.0, 550_000.0)],
    *[{"losses_in_row": count} for count in (19, 20)],
    *[{"rejects_in_row": count} for count in (4, 5)],
    *[{"worst_pnl_cny": {RB: -cny}} for cny in (9_999.0, 10_000.0)],
    *[{"pnl_unknown": frozenset({RB})}, {"pnl_unknown": frozenset({"SHFE.ag2512"})}],
    *[{"meters": {RB: ContractMeters(messages=count)}} for count in (2797, 2798, 3498, 3499)],
    *[{"meters": {RB: ContractMeters(cancels=count)}} for count in (318, 319, 399, 400)],
    *[{"meters": {RB: ContractMeters(self_trades=count)}} for count in (0, 1, 2, 3)],
    *[{"meters": {RB: ContractMeters(large_cancels=count, opened_lots=count)}} for count in (30, 38, 39, 40, 639, 640, 760)],
]
BOUNDS: list[Step] = [
    *[{name: 0} for name in ("price_band_ticks", "end_guard_ns", "limit_proximity_ticks", "min_available_share", "max_notional_cny")],
    *[{"warn_share": share} for share in (0.5, 1.0)],
    *[{"max_order_lots": 1}, {"max_order_lots": 1000, "max_position_lots": 1000}, {"delivery_month_opening": True}, {"orders_per_s": 1}],
]  # fmt: skip


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_it_agrees_with_the_rules_on_any_order(draw: Random) -> None:
    for _ in range(10):
        wanted, limits = draw.choice([INTENTS, CLOSES]), draw.choices(BOUNDS, k=draw.choice([0, 0, 1]))
        at = {key: value for step in draw.choices(CONTEXTS, k=draw.choice([0, 1, 1, 2])) for key, value in step.items()}
        case = asked(
            {key: value for step in draw.choices(wanted, k=draw.choice([0, 1])) for key, value in step.items()},
            at if "market" not in at else {"market": at["market"]},
            draw.choice(STATES) if draw.random() < 0.5 else None,
            **(limits[0] if limits else {}),
        )
        assert at_once(*case) == (by_the_rules(*case) and is_looked_into(*case[2:])), case


def test_a_month_that_delivers_is_none_to_open_in() -> None:
    day = "2025-10-09"
    here = {"trading_day": day, "market": replace(MARKET, trading_day=day)}
    case = asked(c=here, s={"trading_day": day})
    assert not at_once(*case)
    assert not by_the_rules(*case)
    assert at_once(*asked(c=here, s={"trading_day": day}, delivery_month_opening=True))


@pytest.mark.parametrize(("lots", "clear"), [(3, True), (4, False)])
def test_elsewhere_a_closing_order_takes_lots_of_both_days(lots: int, clear: bool) -> None:
    """On exchanges that do not tell today's lots apart."""
    symbol = "DCE.m2509"
    where = context(held=held(symbol=symbol, long_today=1, long_history=2), market=replace(MARKET, symbol=symbol))
    close = intent(symbol=symbol, side=Side.SELL, offset=Offset.CLOSE, lots=lots)
    assert at_once(STATE, LIMITS, close, where) == by_the_rules(STATE, LIMITS, close, where) == clear


def test_the_usual_order_takes_the_short_way() -> None:
    """Otherwise it would be of no use."""
    assert at_once(STATE, LIMITS, intent(), CONTEXT)
    assert at_once(STATE, LIMITS, intent(side=Side.SELL, offset=Offset.CLOSE), context(held=held(long_history=1)))
    assert CONTEXT.trading_day == DAY
