"""Round trips, from flat to flat by net lots, and what they brought."""

from __future__ import annotations

from ghtrader.trading.risk.memory import Trip

__all__ = ["next_trip"]


def next_trip(trip: Trip, lots: int, price: float, multiplier: float, fee_cny: float) -> tuple[Trip, float | None]:
    """The round trip after a fill of signed ``lots``, and its result in CNY when it ended.

    >>> next_trip(Trip(lots=2, cash_cny=-2000.0), -2, 110.0, 10.0, 5.0)
    (Trip(lots=0, cash_cny=0.0), 195.0)
    """
    ends = trip.lots * lots < 0 and abs(lots) >= abs(trip.lots)
    if not ends:
        return Trip(lots=trip.lots + lots, cash_cny=trip.cash_cny - lots * price * multiplier - fee_cny), None
    rest = trip.lots + lots
    rest_fee = fee_cny * rest / lots
    result = trip.cash_cny + trip.lots * price * multiplier - (fee_cny - rest_fee)
    return Trip(lots=rest, cash_cny=-rest * price * multiplier - rest_fee if rest else 0.0), result
