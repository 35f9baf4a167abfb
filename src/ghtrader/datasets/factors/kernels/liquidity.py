"""Group E, liquidity, toxicity, impact: F80 to F89, F91 (definitions: the cards)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import as_of, clip, flow, level, ratio
from ghtrader.datasets.factors.kernels.core import BASE_RATE, S_REM_A, S_REM_B
from ghtrader.datasets.factors.kernels.layout import (
    AT_LIQUIDITY,
    C_BUCKET_LOTS,
    C_BUCKET_RING,
    C_BUCKET_SIGNED,
    C_BUCKET_SUM,
    C_BUCKETS,
    C_VPIN_HIST,
    F0,
    H_VOLUME,
    H_VPIN,
    K_HEAD,
    LN2,
    MASK,
    RING,
    RING_IMPACT,
    RING_MID,
    RING_SIGN,
    RING_TRADE,
    RING_TS,
    VPIN_BINS,
    VPIN_BUCKETS,
    X_ASK_SZ,
    X_BID_SZ,
    X_DAMOUNT,
    X_DMID,
    X_DV,
    X_EXCESS,
    X_FIRST,
    X_I1,
    X_SIGNED,
    X_UNIT,
    X_W300,
    X_W600,
)

__all__ = ["update"]

(
    S_KYLE_XY, S_KYLE_XX, S_LAMBDA_MEAN, S_LAMBDA_VAR, S_MOVE, S_MONEY, S_ROLL, S_BEFORE, S_REAL, S_EFFECTIVE, S_IMPACT, S_PRINTS,
    S_RESIL_XY, S_RESIL_XX, S_I1,
) = range(AT_LIQUIDITY, AT_LIQUIDITY + 15)  # fmt: skip
K_PENDING_HEAD, K_PENDING_TAIL, K_PTR5 = range(AT_LIQUIDITY, AT_LIQUIDITY + 3)
F80, F81, F82, F83, F84, F85, F86, F87, F88, F89 = range(F0 + 80, F0 + 90)
F91 = F0 + 91
FEWEST_BUCKETS = 10
FORGETTING = 0.999
RIDGE = 1.0
AFTER_NS = 5_000_000_000
MOST_SIGMAS, LEAST_VARIANCE = 10.0, 1e-12
MOST_RATIO = 2.0
LEAST_AR, MOST_AR = 0.01, 0.9999
RATE = LN2 / 20.0


@nb.njit(cache=False, forceinline=True)
def _close_bucket(f: Any, size: float) -> None:
    """A bucket is full: it replaces the oldest of fifty, and the day's distribution of VPIN takes the new value."""
    count = int(f[C_BUCKETS])
    f[C_BUCKET_RING + count % VPIN_BUCKETS] = abs(f[C_BUCKET_SIGNED])
    f[C_BUCKETS] = count + 1
    f[C_BUCKET_LOTS] = f[C_BUCKET_SIGNED] = 0.0
    kept = min(count + 1, VPIN_BUCKETS)
    total = 0.0
    for index in range(kept):
        total += f[C_BUCKET_RING + index]
    f[C_BUCKET_SUM] = total / (kept * size)
    if count + 1 >= FEWEST_BUCKETS:
        f[C_VPIN_HIST + min(VPIN_BINS - 1, int(f[C_BUCKET_SUM] * VPIN_BINS))] += 1.0


@nb.njit(cache=False, forceinline=True)
def _vpin(f: Any) -> None:
    """Volume buckets of a fiftieth of the previous day, filled in fiftieths of lots: whole numbers, so that none closes a row late."""
    if f[H_VOLUME] <= 0.0:
        return
    size, left = f[H_VOLUME], f[X_DV] * VPIN_BUCKETS
    share = f[X_SIGNED] / f[X_DV] if left > 0.0 else 0.0
    while left > 0.0:
        room = size - f[C_BUCKET_LOTS]
        taken = min(room, left)
        f[C_BUCKET_LOTS] += taken
        f[C_BUCKET_SIGNED] += taken * share
        left -= taken
        if taken == room:
            _close_bucket(f, size)
    if f[C_BUCKETS] >= FEWEST_BUCKETS:
        f[F80] = f[C_BUCKET_SUM]
        place = min(VPIN_BINS - 1, int(f[C_BUCKET_SUM] * VPIN_BINS))
        below = f[H_VPIN + place]
        f[F81] = below + 0.5 * (f[H_VPIN + place + 1] - below) if not np.isnan(f[H_VPIN]) else np.nan


@nb.njit(cache=False, forceinline=True)
def _lambda(f: Any) -> None:
    """Kyle's lambda by forgetting regression, and how unusual it is."""
    signed = f[X_SIGNED]
    f[S_KYLE_XY] = FORGETTING * f[S_KYLE_XY] + f[X_DMID] * signed
    f[S_KYLE_XX] = FORGETTING * f[S_KYLE_XX] + signed * signed
    slope = f[S_KYLE_XY] / (f[S_KYLE_XX] + RIDGE)
    f[F82] = slope
    if f[X_FIRST] == 1.0:
        f[S_LAMBDA_MEAN], f[S_LAMBDA_VAR], f[F83] = slope, 0.0, 0.0
        return
    away, weight, variance = slope - f[S_LAMBDA_MEAN], f[X_W600], f[S_LAMBDA_VAR]
    f[F83] = clip(away / np.sqrt(variance), -MOST_SIGMAS, MOST_SIGMAS) if variance >= LEAST_VARIANCE else 0.0
    f[S_LAMBDA_MEAN] += (1.0 - weight) * away
    f[S_LAMBDA_VAR] = weight * (variance + (1.0 - weight) * away * away)


@nb.njit(cache=False, forceinline=True)
def _print(f: Any, k: Any, sign: float) -> None:
    """Remember a print until it can be judged."""
    head, tail = k[K_PENDING_HEAD], k[K_PENDING_TAIL]
    place = tail & MASK
    k[RING_TRADE + place] = k[K_HEAD] - 1
    f[RING_SIGN + place] = sign * f[X_DV]
    f[RING_IMPACT + place] = f[X_EXCESS] / f[X_UNIT] if f[X_DAMOUNT] > 0.0 else np.nan
    k[K_PENDING_TAIL] = tail + 1
    k[K_PENDING_HEAD] = max(head, tail + 1 - RING)


@nb.njit(cache=False, forceinline=True)
def _judge(f: Any, k: Any, ts: int) -> None:
    """Prints that are five seconds old: what was paid against what the mid did."""
    head, tail, newest = k[K_PENDING_HEAD], k[K_PENDING_TAIL], k[K_HEAD] - 1
    real = effective = 0.0
    while head < tail:
        row = k[RING_TRADE + (head & MASK)]
        if row - 1 <= newest - RING:  # rows of the print are no longer kept
            head += 1
            continue
        due = k[RING_TS + (row & MASK)] + AFTER_NS
        if ts < due:
            break
        after = f[RING_MID + as_of(k, K_PTR5, due)]
        lots, paid = f[RING_SIGN + (head & MASK)], f[RING_IMPACT + (head & MASK)]
        sign = 1.0 if lots > 0.0 else -1.0
        if not np.isnan(paid):
            effective += sign * paid
            real += sign * (paid + (f[RING_MID + ((row - 1) & MASK)] - after) * abs(lots))
        f[S_IMPACT] = FORGETTING * f[S_IMPACT] + sign * (after - f[RING_MID + (row & MASK)])
        f[S_PRINTS] = FORGETTING * f[S_PRINTS] + 1.0
        head += 1
    k[K_PENDING_HEAD] = head
    flow(f, S_REAL, f[X_W300], real)
    flow(f, S_EFFECTIVE, f[X_W300], effective)
    f[F86] = clip(f[S_REAL] / f[S_EFFECTIVE], -MOST_RATIO, MOST_RATIO) if f[S_EFFECTIVE] > 0.0 else 0.0
    f[F87] = f[S_IMPACT] / (f[S_PRINTS] + 1.0)


@nb.njit(cache=False, forceinline=True)
def _queues(f: Any) -> None:
    """Resiliency of the imbalance, and how long the best queues last."""
    before, now = f[S_I1], f[X_I1]
    f[S_RESIL_XY] = FORGETTING * f[S_RESIL_XY] + now * before
    f[S_RESIL_XX] = FORGETTING * f[S_RESIL_XX] + before * before
    f[S_I1] = now
    memory = clip(f[S_RESIL_XY] / f[S_RESIL_XX], LEAST_AR, MOST_AR) if f[S_RESIL_XX] > 0.0 else LEAST_AR
    f[F88] = -LN2 / np.log(memory)
    bid, ask, bid_sz, ask_sz = f[S_REM_B], f[S_REM_A], f[X_BID_SZ], f[X_ASK_SZ]
    f[F89] = LN2 * (bid_sz + ask_sz) / (RATE * (bid + ask) + 2.0 * BASE_RATE)
    f[F91] = 1.0 / ((bid * RATE + BASE_RATE) / bid_sz + (ask * RATE + BASE_RATE) / ask_sz)


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any, ts: int) -> None:
    """A row that counts, after the core."""
    _vpin(f)
    _lambda(f)
    moved = f[X_DMID]
    if f[X_FIRST] == 0.0:
        level(f, S_MOVE, f[X_W300], abs(moved))
        level(f, S_MONEY, f[X_W300], f[X_DAMOUNT] / 1e6)
        level(f, S_ROLL, f[X_W300], moved * f[S_BEFORE])
    f[S_BEFORE] = moved
    f[F84] = ratio(f[S_MOVE], f[S_MONEY], 0.0)
    f[F85] = 2.0 * np.sqrt(max(0.0, -f[S_ROLL]))
    sign = float(np.sign(f[X_SIGNED]))
    if sign != 0.0:
        _print(f, k, sign)
    _judge(f, k, ts)
    _queues(f)
