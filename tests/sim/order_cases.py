"""Random orders on windows of a day, with and without gaps: what the simulators of single orders are held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ghtrader.data.day_ticks import GAP_FOLLOWS, DayTicks
from ghtrader.sim.orders import NEVER_NS, OrderArray


def random_orders(ticks: DayTicks, count: int, seed: int) -> OrderArray:
    """Orders of every kind around the touch, some far away, some decided in auctions, breaks and after the close."""
    rng = np.random.default_rng(seed)
    decision = np.sort(rng.integers(ticks.ts_ns[0] - 10**9, ticks.ts_ns[-1] + 10**9, count))
    near = rng.random(count) < 0.9
    rows = np.sort(rng.integers(0, len(ticks), count))
    decision = np.sort(np.where(near, ticks.ts_ns[rows] + rng.integers(0, 400_000_000, count), decision))
    at = np.maximum(np.searchsorted(ticks.ts_ns, decision, side="right") - 1, 0)
    side = rng.choice([-1, 1], count)
    touch = np.where(side == 1, ticks.bid_px[at, 0], ticks.ask_px[at, 0])
    price = touch + side * rng.choice([-7, -4, -2, -1, 0, 0, 0, 1, 1, 2, 400], count)
    patience = rng.choice([2, 10, 60, 600], count) * 10**9
    cancel = np.where(rng.random(count) < 0.1, NEVER_NS, decision + patience)
    kind = rng.choice([0, 0, 0, 1, 2], count)
    return OrderArray(
        *(np.ascontiguousarray(x, dtype=np.int64) for x in (side, price, rng.integers(1, 30, count), decision, kind, cancel))
    )


def window(ticks: DayTicks, start: int, rows: int) -> DayTicks:
    part = ticks.rows(slice(start, start + rows))
    breaks = part.break_before.copy()
    breaks[0] = True
    return replace(part, break_before=breaks)


def with_gaps(ticks: DayTicks, rows: list[int]) -> DayTicks:
    """The same rows, but between each of ``rows`` and the row before it some are missing."""
    breaks, follows = ticks.break_before.copy(), ticks.gap_after.copy()
    for row in rows:
        breaks[row], follows[row - 1] = True, GAP_FOLLOWS
    return replace(ticks, break_before=breaks, gap_after=follows)
