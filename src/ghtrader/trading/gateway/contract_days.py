"""What holds for a contract on a trading day, as plain values that a core can carry: price tick, fees, phases."""

from __future__ import annotations

import msgspec

from ghtrader.core.instruments import FeeRule, parse_symbol
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for

__all__ = ["ContractDay", "SessionWindow", "contract_day"]


class SessionWindow(msgspec.Struct, frozen=True, array_like=True):
    """One phase: from ``start_ns`` on, before ``end_ns``."""

    phase: int
    start_ns: int
    end_ns: int


class ContractDay(msgspec.Struct, frozen=True, kw_only=True):
    """A contract on one trading day. delivery_month: ``YYMM`` as in its name. windows: phases in time order."""

    symbol: str
    trading_day: str
    price_tick: float
    multiplier: float
    min_lots: int
    max_lots: int
    margin_rate: float
    fee: FeeRule
    delivery_month: str
    windows: tuple[SessionWindow, ...]

    def window_at(self, now_ns: int) -> SessionWindow | None:
        """The phase at a moment; None outside the day's windows."""
        return next((window for window in self.windows if window.start_ns <= now_ns < window.end_ns), None)

    def is_continuous(self, now_ns: int) -> bool:
        """Whether orders may match now."""
        window = self.window_at(now_ns)
        return window is not None and window.phase == Phase.CONTINUOUS

    def accepts_orders(self, now_ns: int) -> bool:
        """Whether the exchange takes orders and cancels now: order entry of an auction, and continuous trading."""
        window = self.window_at(now_ns)
        return window is not None and window.phase in {Phase.CONTINUOUS, Phase.ORDER_ENTRY}

    def opening_ns(self, now_ns: int) -> int:
        """When the exchange takes orders and cancels next in the day, while it does not; 0 where it does no more."""
        accepting = (Phase.CONTINUOUS, Phase.ORDER_ENTRY)
        return next((window.start_ns for window in self.windows if window.start_ns > now_ns and window.phase in accepting), 0)

    def part_end_ns(self, now_ns: int) -> int:
        """End of the running session part; ``now_ns`` outside of one."""
        window = self.window_at(now_ns)
        return now_ns if window is None or window.phase != Phase.CONTINUOUS else window.end_ns - 1


def contract_day(symbol: str, trading_day: str, calendar: Calendar, instruments: InstrumentTable) -> ContractDay:
    """Facts of a contract on a day.

    >>> day = contract_day("SHFE.rb2510", "2025-06-05", Calendar.vendored(), InstrumentTable.vendored())
    >>> day.price_tick, day.multiplier, len(day.windows) > 4
    (1.0, 10.0, True)
    """
    parsed, day = parse_symbol(symbol), TradingDay.parse(trading_day)
    spec = instruments.spec(symbol, day)
    sessions = sessions_for(spec.product, day, calendar, instruments)
    return ContractDay(
        symbol=symbol,
        trading_day=day.iso,
        price_tick=spec.price_tick,
        multiplier=spec.multiplier,
        min_lots=spec.limits.min_lots,
        max_lots=spec.limits.max_limit_lots,
        margin_rate=spec.margin_rate,
        fee=spec.fee,
        delivery_month=parsed.month,
        windows=tuple(SessionWindow(int(window.phase), window.start_ns, window.end_ns) for window in sessions.windows),
    )
