"""Group C, trades and open interest: F43, F44, F46, F48 to F56, F58 (definitions: the cards).

Differences of money stay in CNY until one last division, so that a flip changes the sign of what it should exactly.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import clip, flow, level, ratio
from ghtrader.datasets.factors.kernels.layout import (
    AT_TRADE,
    C_ROWS_DV,
    C_SUM_DV,
    F0,
    K_ANCHOR,
    P_LARGE,
    X_DAMOUNT,
    X_DOI,
    X_DV,
    X_EXCESS,
    X_LAST,
    X_LOTS_CNY,
    X_MID,
    X_PREV_SPREAD,
    X_SIGNED,
    X_UNIT,
    X_W2,
    X_W20,
    X_W60,
)

__all__ = ["update"]

(
    S_SV2, S_SV20, S_SV60, S_DV60, S_SIGN60, S_COUNT60, S_MONEY60, S_PAID60, S_OPEN60, S_OI60, S_SIZE, S_PERSIST, S_SIGN,
    S_AGAINST_DAY,
) = range(AT_TRADE, AT_TRADE + 14)  # fmt: skip
K_SIZED, K_SIGNS = AT_TRADE, AT_TRADE + 1
F43, F44, F46, F48, F49, F50, F51 = F0 + 43, F0 + 44, F0 + 46, F0 + 48, F0 + 49, F0 + 50, F0 + 51
F52, F53, F54, F55, F56, F58 = F0 + 52, F0 + 53, F0 + 54, F0 + 55, F0 + 56, F0 + 58
MOST_SPREADS = 3.0


@nb.njit(cache=False, forceinline=True)
def _sizes(f: Any, k: Any) -> None:
    """Trade size against its day: rows with volume only."""
    lots = f[X_DV]
    if lots > 0.0:
        f[C_SUM_DV] += lots
        f[C_ROWS_DV] += 1.0
        if k[K_SIZED] == 0:
            k[K_SIZED], f[S_SIZE] = 1, lots
        else:
            level(f, S_SIZE, f[X_W60], lots)
        f[S_AGAINST_DAY] = np.log(f[S_SIZE] * f[C_ROWS_DV] / f[C_SUM_DV])
    f[F53] = f[S_AGAINST_DAY]
    f[F54] = 1.0 if lots > f[P_LARGE] else 0.0


@nb.njit(cache=False, forceinline=True)
def _signs(f: Any, k: Any, sign: float) -> None:
    """Whether prints keep their direction: rows with a sign only."""
    if sign != 0.0:
        if k[K_SIGNS] == 1:
            f[S_PERSIST] = sign * f[S_SIGN]
        elif k[K_SIGNS] > 1:
            level(f, S_PERSIST, f[X_W60], sign * f[S_SIGN])
        k[K_SIGNS] += 1
        f[S_SIGN] = sign
    f[F55] = f[S_PERSIST]


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any) -> None:
    """A row that counts, after the core."""
    lots, signed, unit = f[X_DV], f[X_SIGNED], f[X_UNIT]
    sign = float(np.sign(signed))
    f[F43] = signed / (2.0 * lots) if lots > 0.0 else 0.0
    f[F44] = flow(f, S_SV2, f[X_W2], signed)
    f[F46] = flow(f, S_SV20, f[X_W20], signed)
    traded = flow(f, S_DV60, f[X_W60], lots)
    f[F48] = ratio(flow(f, S_SV60, f[X_W60], signed), traded, 0.0)
    f[F49] = ratio(flow(f, S_SIGN60, f[X_W60], sign), flow(f, S_COUNT60, f[X_W60], abs(sign)), 0.0)
    f[F50] = f[X_LAST]
    paid = lots > 0.0 and f[X_DAMOUNT] > 0.0
    f[F51] = clip(f[X_EXCESS] / (f[X_LOTS_CNY] * f[X_PREV_SPREAD]), -MOST_SPREADS, MOST_SPREADS) if paid else 0.0
    money = flow(f, S_MONEY60, f[X_W60], f[X_DAMOUNT] - lots * unit * (k[K_ANCHOR] / 2.0) if paid else 0.0)
    priced = flow(f, S_PAID60, f[X_W60], lots if paid else 0.0)
    f[F52] = money / (unit * priced) - f[X_MID] if priced > 0.0 else 0.0
    _sizes(f, k)
    _signs(f, k, sign)
    opened = flow(f, S_OPEN60, f[X_W60], lots + f[X_DOI])
    interest = flow(f, S_OI60, f[X_W60], f[X_DOI])
    f[F56] = clip(opened / (2.0 * traded), 0.0, 1.0) if traded > 0.0 else 0.5
    f[F58] = clip(interest / traded, -1.0, 1.0) if traded > 0.0 else 0.0
