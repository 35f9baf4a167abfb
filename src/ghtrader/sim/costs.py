"""Fees of a contract in CNY, per instruction, from its dated facts."""

from __future__ import annotations

import msgspec

from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.orders import Offset

__all__ = ["SimCosts"]


class SimCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Rate of turnover plus CNY per lot for open, close (history) and close-today; price tick and multiplier with them."""

    price_tick: float
    multiplier: float
    open_rate: float
    open_cny: float
    close_rate: float
    close_cny: float
    close_today_rate: float
    close_today_cny: float

    @classmethod
    def from_spec(cls, spec: InstrumentSpec) -> SimCosts:
        """Costs of a contract on a trading day."""
        return cls(price_tick=spec.price_tick, multiplier=spec.multiplier, **msgspec.structs.asdict(spec.fee))

    @property
    def tick_value_cny(self) -> float:
        """One tick of one lot in CNY."""
        return self.price_tick * self.multiplier

    def fee_cny(self, offset: Offset, price_ticks: float, lots: int) -> float:
        """Fee of one fill.

        >>> costs = SimCosts(price_tick=1.0, multiplier=10.0, open_rate=1e-4, open_cny=0.0, close_rate=1e-4, close_cny=0.0,
        ...                  close_today_rate=1e-4, close_today_cny=0.0)
        >>> costs.fee_cny(Offset.OPEN, 3000.0, 2)
        6.0
        """
        turnover = price_ticks * self.price_tick * self.multiplier * lots
        rate, cny = {
            Offset.OPEN: (self.open_rate, self.open_cny),
            Offset.CLOSE: (self.close_rate, self.close_cny),
            Offset.CLOSE_TODAY: (self.close_today_rate, self.close_today_cny),
        }[offset]
        return rate * turnover + cny * lots

    def round_trip_fee_ticks(self, price_ticks: float) -> float:
        """Fees of opening and closing one lot the same day, in ticks."""
        both = self.fee_cny(Offset.OPEN, price_ticks, 1) + self.fee_cny(Offset.CLOSE_TODAY, price_ticks, 1)
        return both / self.tick_value_cny
