"""What the risk gate remembers of an account: equity, streaks, rates, meters, round trips. A value: `state` makes the next one."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.trading.risk.limits import SECOND_NS

__all__ = ["ContractMeters", "RiskState", "Trip", "from_document", "is_equity", "to_document", "within_second"]


class ContractMeters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of a contract in the trading day. recent: (stamp ns, price, side, order) of its newest fills."""

    messages: int = 0
    cancels: int = 0
    large_cancels: int = 0
    self_trades: int = 0
    opened_lots: int = 0
    recent: tuple[tuple[int, float, int, str], ...] = ()


class Trip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A round trip under way: net lots, and the cash in CNY that its fills brought so far, fees taken off."""

    lots: int = 0
    cash_cny: float = 0.0


class RiskState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory of the gate for one account. Amounts in CNY, None while unknown.

    start_settled: the day's start is not to be replaced by what the broker says of the last settlement.
    equity_known: the newest reading was a number above 0. bad_readings: of the session under way. worst_pnl_cny: lowest result of the
    trading day by contract; pnl_unknown: contracts whose newest result was no number. orders_at, cancels_at: ns stamps of the newest
    ones, no more than the rates ask for. told: what was told already, by kind, reason and contract. before: the memory of the last
    trading day before this one on which anything was counted, should this one have begun too early.
    """

    trading_day: str = ""
    day_start_cny: float | None = None
    start_settled: bool = False
    peak_cny: float | None = None
    equity_cny: float | None = None
    equity_known: bool = False
    bad_readings: int = 0
    losses_in_row: int = 0
    rejects_in_row: int = 0
    orders_at: tuple[int, ...] = ()
    cancels_at: tuple[int, ...] = ()
    meters: dict[str, ContractMeters] = {}
    trips: dict[str, Trip] = {}
    worst_pnl_cny: dict[str, float] = {}
    pnl_unknown: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    before: RiskState | None = None

    def meters_of(self, symbol: str) -> ContractMeters:
        """Counts of a contract, zero when nothing was counted."""
        return self.meters.get(symbol, _NOTHING)

    def daily_loss_cny(self, equity_cny: float) -> float:
        """What the trading day lost at this equity; 0 while its start is unknown."""
        return 0.0 if self.day_start_cny is None else self.day_start_cny - equity_cny

    def drawdown_cny(self, equity_cny: float) -> float:
        """How far this equity lies below the highest one seen; 0 while none was seen."""
        return 0.0 if self.peak_cny is None else self.peak_cny - equity_cny


_NOTHING = ContractMeters()


def within_second(stamps: tuple[int, ...], now_ns: int) -> int:
    """How many stamps lie less than a second from now, on either side: a clock set back neither frees nor blocks for long.

    >>> within_second((0, 1, SECOND_NS), SECOND_NS)
    2
    """
    count, before, after = 0, now_ns - SECOND_NS, now_ns + SECOND_NS
    for stamp in stamps:
        if before < stamp < after:
            count += 1
    return count


def is_equity(value: float | None) -> bool:
    """Whether a reading of the equity is one: a finite number above 0 (a broker that has not loaded yet says 0).

    >>> is_equity(float("nan")), is_equity(0.0), is_equity(1.0)
    (False, False, True)
    """
    return value is not None and math.isfinite(value) and value > 0


def to_document(state: RiskState) -> dict[str, Any]:
    """The state as JSON-ready mapping, for the journal's snapshot."""
    document: dict[str, Any] = msgspec.to_builtins(state)
    document |= {"told": sorted(state.told), "pnl_unknown": sorted(state.pnl_unknown)}
    if state.before is not None:
        document["before"] = to_document(state.before)
    return document


def from_document(document: dict[str, Any]) -> RiskState:
    """The state from its mapping; raises DataError when it is none.

    >>> state = RiskState(trading_day="2025-06-05", losses_in_row=2)
    >>> from_document(to_document(state)) == state
    True
    """
    try:
        return msgspec.convert(document, RiskState)
    except msgspec.ValidationError as error:
        raise DataError(f"not a risk state: {error}", hint="ghtrader journal list") from error
