from __future__ import annotations

import copy
import pickle
from dataclasses import replace as dataclass_replace

import pytest
from msgspec.structs import replace
from tests.trading.risk.cases import CONTEXT, INTENT, RB, STATE, check, context, held, intent

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.trading.risk.gate import ApprovedOrder, RiskContext
from ghtrader.trading.risk.reasons import RiskReason as R


def test_an_order_within_all_limits_is_approved_with_its_price_in_cny() -> None:
    verdict = check(
        intent(price_ticks=28001),
        context(
            price_tick=0.02, seq=7, market=replace(CONTEXT.market, price_tick=0.02, bid=28001, ask=28002, upper=None, lower=None)
        ),
    )
    assert verdict.approved is not None
    assert (verdict.reason, verdict.message) == (R.PASSED, "")
    assert verdict.approved.limit_price == 560.02
    assert verdict.approved.approved_seq == 7
    request = verdict.approved.request()
    assert (
        request.client_order_id,
        request.symbol,
        request.side,
        request.offset,
        request.lots,
        request.limit_price,
        request.kind,
    ) == ("id-1", RB, Side.BUY, Offset.OPEN, 1, 560.02, OrderKind.GFD)


def test_nobody_else_makes_or_moves_an_approved_order() -> None:
    with pytest.raises(TypeError, match="risk gate only"):
        ApprovedOrder(client_order_id="x", intent=INTENT, limit_price=1.0, approved_seq=1, token=object())
    approved = check().approved
    assert approved is not None
    assert approved.approved_seq == 0
    with pytest.raises((TypeError, ValueError)):
        dataclass_replace(approved, limit_price=1.0)
    for move in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="does not leave the process"):
            move(approved)
    with pytest.raises(AttributeError):
        approved.limit_price = 2.0  # type: ignore[misc]


def test_a_close_within_what_is_held_passes_openings_only_rules() -> None:
    at = context(held=held(long_history=30), opening_halts=("operator",), equity_cny=float("nan"))
    close = intent(side=Side.SELL, offset=Offset.CLOSE, lots=30)
    assert check(close, at).approved is not None
    assert check(intent(), at).reason == R.OPENINGS_HALTED
    assert check(replace(close, lots=31), at).reason == R.CLOSE_VOLUME
    assert check(close, at, state=replace(STATE, equity_known=False)).approved is not None


def test_what_a_context_does_not_say_is_nothing_special() -> None:
    needed = {
        name: getattr(CONTEXT, name)
        for name in (
            "now_ns",
            "trading_day",
            "mode",
            "killed",
            "reconciled",
            "market",
            "held",
            "price_tick",
            "multiplier",
            "equity_cny",
            "available_cny",
            "margin_rate",
        )
    }
    bare = RiskContext(**needed)
    assert (bare.seq, bare.halt_reasons, bare.opening_halts, bare.min_lots, bare.max_lots) == (0, (), (), 1, 0)
    assert (bare.in_flight_buy, bare.in_flight_sell, bare.opening_buy, bare.opening_sell, bare.own_working) == (
        0,
        0,
        None,
        None,
        (),
    )
    assert (bare.other_notional_cny, bare.open_limit_lots) == (0.0, 0)
    assert check(at=bare).approved is not None
