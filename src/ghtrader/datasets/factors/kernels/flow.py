"""Group B, order flow: F25 to F30, F34 to F42 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import flow, level, ratio
from ghtrader.datasets.factors.kernels.layout import (
    AT_FLOW,
    AUX_OFI10,
    F0,
    K_ASK,
    K_ASK_SZ,
    K_BID,
    K_BID_SZ,
    LN2,
    NO_PRICE,
    P_OFI,
    X_ADD_ASK,
    X_ADD_BID,
    X_ASK_SZ,
    X_BID_SZ,
    X_BUY,
    X_DEPTH1,
    X_E1,
    X_FIRST,
    X_REM_ASK,
    X_REM_BID,
    X_SELL,
    X_W5,
    X_W10,
    X_W240,
    X_W300,
)

__all__ = ["update"]

F25, F30, F33, F34, F35, F36, F37 = F0 + 25, F0 + 30, F0 + 33, F0 + 34, F0 + 35, F0 + 36, F0 + 37
F38, F39, F40, F41, F42 = F0 + 38, F0 + 39, F0 + 40, F0 + 41, F0 + 42
LEAST_CANCELLED = 1e-6  # lots: what rounding leaves of sold lots is no cancellation
(
    S_OFI5, S_OFI10, S_OFI240, S_CROSS, S_SQUARE, S_EVENT, S_SHOWN_B, S_GONE_B, S_SHOWN_A, S_GONE_A,
    S_ADDED_B, S_CANCELLED_B, S_ADDED_A, S_CANCELLED_A, S_OFI, S_DEPTH,
) = (*range(AT_FLOW, AT_FLOW + 15), AT_FLOW + 20)  # fmt: skip
#: Whether the depth of levels 2-5 has begun; flows and depths of level i lie at ``S_OFI + i - 1`` and ``S_DEPTH + i - 1``.
K_BEGUN = AT_FLOW
FORGETTING = 0.99


@nb.njit(cache=False, forceinline=True)
def _moved(k: Any, old_px: int, old_sz: int, direction: int, price: int, lots: float) -> float:
    """Lots at a price now minus before, looked up among all previous levels of a side (1 bids, -1 asks)."""
    for index in range(5):
        old = k[old_px + index]
        if old != NO_PRICE and direction * old <= direction * price:
            return lots - k[old_sz + index] if old == price else lots
    return 0.0


@nb.njit(cache=False, forceinline=True)
def _deep_levels(f: Any, k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """Order flow of levels 2-5 by price: F26 to F29."""
    fading, slow, is_first = f[X_W5], f[X_W300], f[X_FIRST] == 1.0
    for index in range(1, 5):
        bid, ask = bid_px[at, index], ask_px[at, index]
        if bid == NO_PRICE or ask == NO_PRICE:
            continue
        bid_lots, ask_lots = float(bid_sz[at, index]), float(ask_sz[at, index])
        event, depth = 0.0, (bid_lots + ask_lots) / 2.0
        if not is_first:
            same_bid, same_ask = bid == k[K_BID + index], ask == k[K_ASK + index]
            event = bid_lots - k[K_BID_SZ + index] if same_bid else _moved(k, K_BID, K_BID_SZ, 1, bid, bid_lots)
            event -= ask_lots - k[K_ASK_SZ + index] if same_ask else _moved(k, K_ASK, K_ASK_SZ, -1, ask, ask_lots)
        if k[K_BEGUN + index] == 0:
            k[K_BEGUN + index] = 1
            f[S_DEPTH + index] = depth
        else:
            level(f, S_DEPTH + index, slow, depth)
        f[F25 + index] = ratio(flow(f, S_OFI + index, fading, event), f[S_DEPTH + index], np.nan)


@nb.njit(cache=False, forceinline=True)
def _surprise(f: Any) -> float:
    """The event minus what the previous one predicts (F36, in lots)."""
    event, before = f[X_E1], f[S_EVENT]
    surprise = event - ratio(f[S_CROSS], f[S_SQUARE], 0.0) * before
    f[S_CROSS] = FORGETTING * f[S_CROSS] + event * before
    f[S_SQUARE] = FORGETTING * f[S_SQUARE] + before * before
    f[S_EVENT] = event
    return float(surprise)


@nb.njit(cache=False, forceinline=True)
def _shown(f: Any, at: int, added: float, removed: float) -> float:
    """Share of added lots in all that came and went at the best level (F37, one side)."""
    came, went = flow(f, at, f[X_W10], added), flow(f, at + 1, f[X_W10], removed)
    return ratio(came, came + went, 0.0)


@nb.njit(cache=False, forceinline=True)
def _orders(f: Any, at: int, better: int, change: float, lots: float, before: float) -> None:
    """Lots that limit orders added and cancellations took at the best level of one side (F38, F40).

    better: 1 where the best price improved, 0 where it stayed, -1 where it fell back. change: of its lots, with those traded given
    back. lots: at the best level now. before: lots of the old best level, less those traded.
    """
    added = lots if better > 0 else max(0.0, change) if better == 0 else 0.0
    cancelled = 0.0 if better > 0 else max(0.0, -change) if better == 0 else max(0.0, before)
    flow(f, at, f[X_W5], added)
    flow(f, at + 1, f[X_W5], cancelled)


@nb.njit(cache=False, forceinline=True)
def _best_levels(f: Any, k: Any, bid: int, ask: int) -> None:
    """What changed at the best levels, by side: the flows of F38 to F41."""
    bid_lots, ask_lots, old_bid_lots, old_ask_lots = f[X_BID_SZ], f[X_ASK_SZ], float(k[K_BID_SZ]), float(k[K_ASK_SZ])
    sold, bought = f[X_SELL], f[X_BUY]
    better_bid, better_ask = np.sign(bid - k[K_BID]), np.sign(k[K_ASK] - ask)
    _orders(f, S_ADDED_B, better_bid, bid_lots - old_bid_lots + sold, bid_lots, old_bid_lots - sold)
    _orders(f, S_ADDED_A, better_ask, ask_lots - old_ask_lots + bought, ask_lots, old_ask_lots - bought)


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """A row that counts, after the core."""
    per_depth = 1.0 / f[X_DEPTH1]
    fast = flow(f, S_OFI5, f[X_W5], f[X_E1]) * per_depth
    f[F25] = fast
    _deep_levels(f, k, bid_px, bid_sz, ask_px, ask_sz, at)
    combined = 0.0
    for index in range(5):
        combined += f[P_OFI + index] * f[F25 + index]
    f[F30] = combined
    f[F34] = flow(f, S_OFI240, f[X_W240], f[X_E1]) * per_depth
    f[AUX_OFI10] = flow(f, S_OFI10, f[X_W10], f[X_E1]) * per_depth
    f[F35] = fast * (LN2 / 5.0) - f[F33] * (LN2 / 60.0)
    f[F36] = _surprise(f) * per_depth
    f[F37] = _shown(f, S_SHOWN_B, f[X_ADD_BID], f[X_REM_BID]) - _shown(f, S_SHOWN_A, f[X_ADD_ASK], f[X_REM_ASK])
    if f[X_FIRST] == 0.0:
        _best_levels(f, k, bid_px[at, 0], ask_px[at, 0])
    f[F38], f[F39] = f[S_ADDED_B] * per_depth, f[S_ADDED_A] * per_depth
    f[F40], f[F41] = f[S_CANCELLED_B] * per_depth, f[S_CANCELLED_A] * per_depth
    cancelled = f[S_CANCELLED_A] + f[S_CANCELLED_B]
    f[F42] = (f[S_CANCELLED_A] - f[S_CANCELLED_B]) / cancelled if cancelled >= LEAST_CANCELLED else 0.0
