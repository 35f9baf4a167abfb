"""Fees of a round trip in ticks: the exchange's, dated, of opening and closing the same trading day, or a constant."""

from __future__ import annotations

import msgspec

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable

__all__ = ["TakerFees", "taker_fees"]


class TakerFees(msgspec.Struct, frozen=True, kw_only=True):
    """Of one lot, in ticks: ``fixed`` for both sides, and a share of each side's price (in ticks)."""

    fixed: float
    entry_rate: float = 0.0
    exit_rate: float = 0.0


def taker_fees(symbol: str, trading_day: TradingDay, fee_ticks: float | None = None) -> TakerFees:
    """Fees of a symbol on a day. fee_ticks: a constant per side instead of the dated table.

    Raises UnknownInstrumentError for a symbol or a day without facts.

    >>> day = TradingDay.parse("2025-06-05")
    >>> taker_fees("SHFE.au2508", day), taker_fees("SHFE.cu2507", day)
    (TakerFees(fixed=0.5, entry_rate=0.0, exit_rate=0.0), TakerFees(fixed=0.0, entry_rate=5e-05, exit_rate=0.0001))
    """
    if fee_ticks is not None:
        return TakerFees(fixed=2.0 * fee_ticks)
    spec = InstrumentTable.vendored().spec(symbol, trading_day)
    fixed = (spec.fee.open_cny + spec.fee.close_today_cny) / spec.tick_value_cny
    return TakerFees(fixed=fixed, entry_rate=spec.fee.open_rate, exit_rate=spec.fee.close_today_rate)
