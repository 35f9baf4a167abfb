"""What factors cost, measured: the kernel computes whole groups, so a group is timed and its time divided among its factors."""

from __future__ import annotations

import msgspec

from ghtrader.core.clock import Clock
from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.catalogue import CATALOGUE
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.engine import BEGIN_WITH_HISTORY, READS, compute

__all__ = ["GroupCost", "measure_costs"]

ROWS, REPEATS = 20_000, 3
CORE = "core"


class GroupCost(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel group: ns per row beyond what it rests on (core: all of it), and its share per factor of the catalogue.

    factors: how many the group computes, wanted or not.
    """

    group: str
    ns_per_row: float
    factors: int
    ns_per_factor: float


def _timed(clock: Clock, ticks: DayTicks, sessions: DaySessions, factors: tuple[Factor, ...], user_file: str) -> float:
    chosen = FactorSet(name="", factors=factors, set_hash="", user_file=user_file)
    compute(ticks.rows(slice(0, 10)), sessions, chosen)  # compiled before it is timed
    best = float("inf")
    for _ in range(REPEATS):
        started = clock.monotonic_ns()
        compute(ticks, sessions, chosen)
        best = min(best, (clock.monotonic_ns() - started) / max(len(ticks), 1))
    return best


def _one_of(group: str) -> Factor:
    """A factor of the group that asks for no other group's history."""
    own = [item for item in CATALOGUE if item.kernel == group]
    return next((item for item in own if item.needs != "history" and item.id not in BEGIN_WITH_HISTORY), own[0])


def measure_costs(clock: Clock, ticks: DayTicks, sessions: DaySessions, chosen: FactorSet) -> tuple[list[GroupCost], float]:
    """Cost of every group that the set's factors come from, and ns per row of the set as a whole; best of three runs each.

    Timed on at most 20,000 rows of continuous trading with nothing else in the process; a busy machine shows in the figures.
    """
    rows = ticks.rows(ticks.phase == int(Phase.CONTINUOUS))
    rows = rows.rows(slice(0, ROWS))
    groups = sorted({item.kernel for item in chosen.factors if not item.user} | {CORE}, key=lambda name: (name != CORE, name))
    counts = {group: sum(item.kernel == group for item in CATALOGUE) for group in groups}
    base = _timed(clock, rows, sessions, (_one_of(CORE),), "")
    costs = [GroupCost(group=CORE, ns_per_row=base, factors=counts[CORE], ns_per_factor=base / counts[CORE])]
    for group in groups[1:]:
        rests = tuple(_one_of(other) for other in READS.get(group, ()))
        below = _timed(clock, rows, sessions, rests, "") if rests else base
        extra = max(0.0, _timed(clock, rows, sessions, (*rests, _one_of(group)), "") - below)
        costs.append(GroupCost(group=group, ns_per_row=extra, factors=counts[group], ns_per_factor=extra / counts[group]))
    return costs, _timed(clock, rows, sessions, chosen.factors, chosen.user_file)
