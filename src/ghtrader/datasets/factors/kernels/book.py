"""Group A, book shape: F2, F3, F5, F9, F11, F13 to F24 (definitions: the cards in `catalogue`).

Whatever a side has of its own is computed by one function for both, so that a bid/ask flip swaps the two exactly. Distances are
doubled (ticks from twice the mid): whole numbers, exact in float64.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import imbalance, level, ratio, sign
from ghtrader.datasets.factors.kernels.layout import (
    C_LOGA,
    C_LOGB,
    C_ROWS,
    C_SET_LOGA,
    C_SET_LOGB,
    C_SUM_LOGA,
    C_SUM_LOGB,
    F0,
    H_LOGA,
    H_LOGB,
    NO_PRICE,
    P_MICRO,
    P_SWEEP,
    X_ASK_SZ,
    X_BID_SZ,
    X_I1,
    X_SPREAD,
    X_SUM_ASK,
    X_SUM_BID,
    X_TWICE_MID,
    X_WDAY,
)

__all__ = ["update"]

F2, F3, F5, F9, F11, F13, F14, F15, F16 = F0 + 2, F0 + 3, F0 + 5, F0 + 9, F0 + 11, F0 + 13, F0 + 14, F0 + 15, F0 + 16
F17, F18, F19, F20, F21, F22, F23, F24 = F0 + 17, F0 + 18, F0 + 19, F0 + 20, F0 + 21, F0 + 22, F0 + 23, F0 + 24
#: 2^-ticks; lots so far from the best that they no longer count in float64 have weight 0.
FAR = 64
HALVES = np.append(2.0 ** -np.arange(FAR), 0.0)


@nb.njit(cache=False, forceinline=True)
def _side(px: Any, sz: Any, at: int, twice_mid: int, direction: int, small: float, large: float) -> Any:
    """One side: lots of levels 1-3, weighted lots (F11), slope (F18), curvature (F21), sweep cost (F24, half of its mean).

    direction: 1 for bids, -1 for asks.
    """
    near = weighted = lots = product = squares = distance = cost_small = cost_large = 0.0
    left_small, left_large = small, large
    levels = 0
    for index in range(5):
        price = px[at, index]
        if price == NO_PRICE:
            continue
        levels += 1
        here = float(sz[at, index])
        distance = float(direction * (twice_mid - 2 * price))
        lots += here
        if index < 3:
            near += here
        weighted += here * HALVES[min(FAR, abs(px[at, 0] - price))]
        product += distance * lots
        squares += distance * distance
        taken_small, taken_large = min(here, left_small), min(here, left_large)
        cost_small += taken_small * distance
        cost_large += taken_large * distance
        left_small -= taken_small
        left_large -= taken_large
    curvature = (sz[at, 0] - 2.0 * near + lots) / lots if levels == 5 else np.nan
    sweep = (cost_small + left_small * distance) / small + (cost_large + left_large * distance) / large
    return near, weighted, 2.0 * product / squares, curvature, sweep / 4.0


@nb.njit(cache=False, forceinline=True)
def _both_sides(f: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int, twice_mid: int) -> None:
    """What needs a level on both sides: F5, F14, F23."""
    moment = lots = 0.0
    levels = 0
    for index in range(5):
        bid, ask = bid_px[at, index], ask_px[at, index]
        if bid == NO_PRICE or ask == NO_PRICE:
            continue
        levels += 1
        bid_lots, ask_lots = float(bid_sz[at, index]), float(ask_sz[at, index])
        moment += float(2 * ask - twice_mid) * bid_lots - float(twice_mid - 2 * bid) * ask_lots
        lots += bid_lots + ask_lots
        if index == 1:
            f[F5] = ratio(bid_lots - ask_lots, bid_lots + ask_lots, np.nan)
    f[F14] = moment / (2.0 * lots)
    if levels == 5:
        f[F23] = float((ask_px[at, 4] - ask_px[at, 0] - 4) + (bid_px[at, 0] - bid_px[at, 4] - 4))


@nb.njit(cache=False, forceinline=True)
def _against_day(f: Any, is_set: int, at: int, before: int, log_lots: float) -> float:
    """Log depth minus its level of the day, which begins with the previous day's mean where that is known."""
    if f[is_set] == 0.0:
        f[is_set] = 1.0
        f[at] = log_lots if np.isnan(f[before]) else f[before]
    return float(log_lots - level(f, at, f[X_WDAY], log_lots))


@nb.njit(cache=False, forceinline=True)
def _depth(f: Any) -> None:
    """Depth against its day, and the sums that the day's summary keeps."""
    log_bid, log_ask = np.log(f[X_SUM_BID]), np.log(f[X_SUM_ASK])
    f[C_SUM_LOGB] += log_bid
    f[C_SUM_LOGA] += log_ask
    f[C_ROWS] += 1.0
    f[F15] = _against_day(f, C_SET_LOGB, C_LOGB, H_LOGB, log_bid)
    f[F16] = _against_day(f, C_SET_LOGA, C_LOGA, H_LOGA, log_ask)


@nb.njit(cache=False, forceinline=True)
def update(f: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """A row that counts, after the core."""
    spread, first, twice_mid = f[X_SPREAD], f[X_I1], bid_px[at, 0] + ask_px[at, 0]
    f[F2] = 1.0 if spread == 1.0 else 0.0
    f[F3] = ratio(20_000.0 * spread, f[X_TWICE_MID], np.nan)
    f[F13] = sign(first) * f[P_MICRO + 3 * min(4, int(5.0 * abs(first))) + int(min(spread, 3.0)) - 1]
    f[F17] = (f[X_BID_SZ] + f[X_ASK_SZ]) / (f[X_SUM_BID] + f[X_SUM_ASK])
    _both_sides(f, bid_px, bid_sz, ask_px, ask_sz, at, twice_mid)
    _depth(f)
    small, large = f[P_SWEEP], f[P_SWEEP + 1]
    near_bid, weighted_bid, f[F18], f[F21], sell = _side(bid_px, bid_sz, at, twice_mid, 1, small, large)
    near_ask, weighted_ask, f[F19], f[F22], buy = _side(ask_px, ask_sz, at, twice_mid, -1, small, large)
    f[F9] = imbalance(near_bid, near_ask)
    f[F11] = imbalance(weighted_bid, weighted_ask)
    f[F20] = ratio(f[F18] - f[F19], f[F18] + f[F19], np.nan)
    f[F24] = buy - sell
