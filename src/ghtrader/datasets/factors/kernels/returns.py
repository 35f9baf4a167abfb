"""Group D, returns and volatility: F62 to F67, F69 to F79 (definitions: the cards)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import as_of, clip, level, ratio
from ghtrader.datasets.factors.kernels.layout import (
    AT_RETURN,
    DEQUE_MAX,
    DEQUE_MIN,
    F0,
    K_HEAD,
    K_PTR300,
    MASK,
    P_HAR,
    RING,
    RING_MID,
    RING_TS,
    X_DMID,
    X_FIRST,
    X_MID,
    X_W10,
    X_W20,
    X_W60,
    X_W300,
    X_W600,
    X_W1800,
    X_W3600,
)

__all__ = ["update"]

(
    S_MEAN60, S_RV10, S_RV60, S_RV300, S_RV600, S_RV1800, S_RV3600, S_BIPOWER, S_UP, S_DOWN, S_SLOW, S_BEFORE, S_STREAK,
    S_SIDE, S_BOUNCE,
) = range(AT_RETURN, AT_RETURN + 15)  # fmt: skip
K_MAX_HEAD, K_MAX_TAIL, K_MIN_HEAD, K_MIN_TAIL, K_SLOW = range(AT_RETURN, AT_RETURN + 5)
F61, F62, F63, F64, F65, F66, F67, F68, F69, F70 = range(F0 + 61, F0 + 71)
F71, F72, F73, F74, F75, F76, F77, F78, F79 = range(F0 + 71, F0 + 80)
WINDOW_NS = 300_000_000_000
LAG = 10
HALF_PI = np.pi / 2.0
PARKINSON = 2.0 * np.sqrt(np.log(2.0))
TINY = 1e-4  # ticks^2, under the logarithm of a variance


@nb.njit(cache=False, forceinline=True)
def _extreme(f: Any, k: Any, deque: int, head: int, tail: int, ts: int, up: float) -> float:
    """The highest (``up`` 1) or lowest (-1) mid of the window, by a deque of ring positions whose values fall (rise)."""
    newest = k[K_HEAD] - 1
    mid = f[X_MID]
    first, last = k[head], k[tail]
    while last > first and up * (mid - f[RING_MID + (k[deque + ((last - 1) & MASK)] & MASK)]) >= 0.0:
        last -= 1
    k[deque + (last & MASK)] = newest
    last += 1
    while k[deque + (first & MASK)] <= newest - RING or k[RING_TS + (k[deque + (first & MASK)] & MASK)] <= ts - WINDOW_NS:
        first += 1
    k[head], k[tail] = first, last
    return float(f[RING_MID + (k[deque + (first & MASK)] & MASK)])


@nb.njit(cache=False, forceinline=True)
def _moves(f: Any) -> None:
    """Runs of moves, and the side and age of the last one."""
    moved = f[X_DMID]
    if moved != 0.0:
        side = 1.0 if moved > 0.0 else -1.0
        f[S_STREAK] = f[S_STREAK] + side if f[S_SIDE] == side else side
        f[S_SIDE] = f[S_BOUNCE] = side
    else:
        f[S_BOUNCE] *= f[X_W20]
    f[F65], f[F66] = f[S_STREAK], f[S_BOUNCE]


@nb.njit(cache=False, forceinline=True)
def _variances(f: Any) -> None:
    """Levels of squared moves; on a run's first row they begin with 0."""
    moved = f[X_DMID]
    squared, product = moved * moved, abs(moved) * abs(f[S_BEFORE])
    if f[X_FIRST] == 0.0:
        level(f, S_RV10, f[X_W10], squared)
        level(f, S_RV60, f[X_W60], squared)
        level(f, S_RV300, f[X_W300], squared)
        level(f, S_RV600, f[X_W600], squared)
        level(f, S_RV1800, f[X_W1800], squared)
        level(f, S_RV3600, f[X_W3600], squared)
        level(f, S_BIPOWER, f[X_W300], product)
        level(f, S_UP, f[X_W300], squared if moved > 0.0 else 0.0)
        level(f, S_DOWN, f[X_W300], squared if moved < 0.0 else 0.0)
    f[S_BEFORE] = moved
    f[F67], f[F69], f[F70] = np.sqrt(f[S_RV10]), np.sqrt(f[S_RV300]), np.sqrt(f[S_RV1800])
    f[F71] = HALF_PI * f[S_BIPOWER]
    f[F72] = clip(1.0 - f[F71] / f[S_RV300], -1.0, 1.0) if f[S_RV300] > 0.0 else 0.0
    f[F73], f[F74] = f[S_UP], f[S_DOWN]
    slopes = f[P_HAR + 1] * np.log(f[S_RV60] + TINY) + f[P_HAR + 2] * np.log(f[S_RV600] + TINY)
    f[F77] = f[P_HAR] + slopes + f[P_HAR + 3] * np.log(f[S_RV3600] + TINY)
    f[F78] = ratio(f[F67], f[F69], 1.0)


@nb.njit(cache=False, forceinline=True)
def _two_scales(f: Any, k: Any) -> None:
    """Moves over ten rows against moves over one: what the bounce adds cancels."""
    newest = k[K_HEAD] - 1
    if newest < LAG:
        return
    moved = f[X_MID] - f[RING_MID + ((newest - LAG) & MASK)]
    scaled = moved * moved / LAG
    if k[K_SLOW] == 0:
        k[K_SLOW], f[S_SLOW] = 1, scaled
    else:
        level(f, S_SLOW, f[X_W300], scaled)
    f[F75] = np.sqrt(max(0.0, f[S_SLOW] - f[S_RV300] / LAG))


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any, ts: int) -> None:
    """A row that counts, after the core."""
    mid = f[X_MID]
    at = as_of(k, K_PTR300, ts - WINDOW_NS)
    f[F62] = mid - f[RING_MID + at] if at >= 0 else np.nan
    if f[X_FIRST] == 1.0:
        f[S_MEAN60] = mid
    else:
        level(f, S_MEAN60, f[X_W60], mid)
    f[F63] = mid - f[S_MEAN60]
    high = _extreme(f, k, DEQUE_MAX, K_MAX_HEAD, K_MAX_TAIL, ts, 1.0)
    low = _extreme(f, k, DEQUE_MIN, K_MIN_HEAD, K_MIN_TAIL, ts, -1.0)
    newest = k[K_HEAD] - 1
    if newest < MASK or k[RING_TS + ((newest + 1) & MASK)] <= ts - WINDOW_NS:  # else the ring does not hold the whole window
        f[F64] = ratio(2.0 * mid - (high + low), 2.0 * (high - low), 0.0)
        f[F76] = (high - low) / PARKINSON
    _moves(f)
    _variances(f)
    _two_scales(f, k)
    f[F79] = f[F61] * f[F68]
