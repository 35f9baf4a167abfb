"""Costs of many targets together: where the money goes, and whether it was what had been expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ghtrader.trading.tca.costs import Cost, CostParts, TargetCost

__all__ = ["CostSummary", "summarise", "summarise_by"]


class CostSummary(CostParts, frozen=True, kw_only=True):
    """Targets together. Lots are sums; positive is a cost; NaN where there is nothing to divide by.

    timing, impact, spread, fees: ticks per filled lot; opportunity: ticks per unfilled lot; shortfall: ticks per wanted lot.
    expected, realised: ticks per filled lot over the targets whose style promises something. without_arrival: targets decided on a
    one-sided book; they count in targets and lots, not in costs. worst: target_id of the highest shortfall in CNY, 0 without one.
    """

    targets: int
    orders: int
    wanted: int
    filled: int
    unfilled: int
    opportunity: float
    expected: float
    realised: float
    without_arrival: int
    worst: int


def _per(value: float, lots: int) -> float:
    return value / lots if lots else math.nan


def summarise(costs: Sequence[TargetCost]) -> CostSummary:
    """Add targets up.

    >>> summarise([]).shortfall
    nan
    """
    measured = [item for item in costs if not math.isnan(item.arrival)]
    total = sum((item.cost for item in measured), Cost())
    promised = [item for item in measured if not math.isnan(item.expected) and item.filled]
    filled, unfilled = sum(item.filled for item in measured), sum(item.unfilled for item in measured)
    lots = sum(item.filled for item in promised)
    worst = max(measured, key=lambda item: item.shortfall_cny, default=None)
    return CostSummary(
        targets=len(costs),
        orders=sum(len(item.orders) for item in costs),
        wanted=sum(item.wanted for item in costs),
        filled=sum(item.filled for item in costs),
        unfilled=sum(item.unfilled for item in costs),
        timing=_per(total.timing, filled),
        impact=_per(total.impact, filled),
        spread=_per(total.spread, filled),
        fees=_per(total.fees, filled),
        opportunity=_per(total.opportunity, unfilled),
        shortfall=_per(total.shortfall, sum(item.wanted for item in measured)),
        shortfall_cny=sum(item.shortfall_cny for item in measured),
        expected=_per(sum(item.expected * item.filled for item in promised), lots),
        realised=_per(sum(item.realised * item.filled for item in promised), lots),
        without_arrival=len(costs) - len(measured),
        worst=0 if worst is None else worst.target_id,
    )


def summarise_by(costs: Iterable[TargetCost], key: Callable[[TargetCost], str]) -> dict[str, CostSummary]:
    """Summaries by a key (symbol, trading day, style), keys sorted."""
    groups: dict[str, list[TargetCost]] = {}
    for item in costs:
        groups.setdefault(key(item), []).append(item)
    return {name: summarise(groups[name]) for name in sorted(groups)}
