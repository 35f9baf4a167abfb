"""Group F, clock: F92 to F94, F96 to F99 (definitions: the cards)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.layout import (
    AT_CLOCK,
    C_ACTIVITY,
    F0,
    H_ACTIVITY,
    H_DAYS,
    K_HEAD,
    MASK,
    PART_MINUTES,
    PARTS,
    RING,
    RING_TS,
    X_DT,
    X_FIRST,
)

__all__ = ["update"]

F92, F93, F94, F96, F97, F98, F99 = F0 + 92, F0 + 93, F0 + 94, F0 + 96, F0 + 97, F0 + 98, F0 + 99
K_OLDEST = AT_CLOCK
MINUTE_NS = 60_000_000_000
SHORTEST_S, USUAL_S = 0.001, 0.5
TURN = 2.0 * np.pi


@nb.njit(cache=False, forceinline=True)
def _activity(f: Any, k: Any, ts: int, part: int, since_open_ns: int) -> None:
    """Rows of the last minute against what earlier days had at the same clock; today's rows are counted for the days to come."""
    minute = since_open_ns // MINUTE_NS
    if not (0 <= part < PARTS and 0 <= minute < PART_MINUTES):
        return
    at = part * PART_MINUTES + minute
    f[C_ACTIVITY + at] += 1.0
    head = k[K_HEAD]
    oldest = max(k[K_OLDEST], head - RING)
    while k[RING_TS + (oldest & MASK)] <= ts - MINUTE_NS:
        oldest += 1
    k[K_OLDEST] = oldest
    if f[H_DAYS] > 0.0 and head - oldest < RING:  # else the ring does not hold the whole minute
        f[F99] = (head - oldest) / max(1.0, f[H_ACTIVITY + at])


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any, ts: int, part: int, part_start_ns: int, part_end_ns: int) -> None:
    """A row that counts, after the core."""
    since_open_ns = ts - part_start_ns
    angle = TURN * (since_open_ns / (part_end_ns - part_start_ns))
    f[F92], f[F93] = np.sin(angle), np.cos(angle)
    f[F94] = np.log(1.0 + max(0, since_open_ns) / 60e9)
    f[F96] = float(part)
    f[F97] = 1.0 if since_open_ns < MINUTE_NS else 0.0
    f[F98] = 0.0 if f[X_FIRST] == 1.0 or f[X_DT] == USUAL_S else np.log(max(f[X_DT], SHORTEST_S) / USUAL_S)
    _activity(f, k, ts, part, since_open_ns)
