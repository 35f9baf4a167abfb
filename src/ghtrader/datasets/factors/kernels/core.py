"""The core: reads the row, decides whether it counts, fills the scratch, and computes the small sets' factors.

A break row resets the state and has no flow; a row outside continuous trading or without a two-sided, uncrossed book gives NaN
everywhere and leaves the state untouched; falling cumulative volume or amount resets like a break. No fast-math; sums of prices in
ticks and of lots are exact in float64, so that a bid/ask flip changes the sign of odd factors exactly. Prices are relative to
the run's first mid (``anchor``), so that no absolute level enters a float.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import as_of, flow, imbalance, level
from ghtrader.datasets.factors.kernels.layout import (
    AT_CORE,
    DAY,
    F0,
    H_LOGA,
    H_LOGB,
    H_VPIN,
    HALF_LIVES,
    HISTORY_END,
    IMB35_5,
    IMB35_20,
    IMB35_60,
    K_ANCHOR,
    K_ASK,
    K_ASK_SZ,
    K_BID,
    K_BID_SZ,
    K_FIRST_TS,
    K_HEAD,
    K_IMB,
    K_PTR2,
    K_PTR10,
    K_PTR60,
    K_STARTED,
    K_TS,
    LN2,
    MASK,
    NO_PRICE,
    NS,
    RING_MID,
    RING_TS,
    RUN_END,
    X_ADD_ASK,
    X_ADD_BID,
    X_ASK_SZ,
    X_BID_SZ,
    X_BUY,
    X_DAMOUNT,
    X_DEPTH1,
    X_DMID,
    X_DOI,
    X_DT,
    X_DV,
    X_E1,
    X_EXCESS,
    X_FIRST,
    X_I1,
    X_LAST,
    X_LOTS_CNY,
    X_MID,
    X_PREV_SPREAD,
    X_REM_ASK,
    X_REM_BID,
    X_SELL,
    X_SIGNED,
    X_SPREAD,
    X_SUM_ASK,
    X_SUM_BID,
    X_TS_S,
    X_TWICE_MID,
    X_UNIT,
    X_W2,
    X_W5,
    X_W20,
    X_W60,
    X_W300,
)

__all__ = ["counts", "forget", "remember", "update"]

F1, F4, F6, F10, F12 = F0 + 1, F0 + 4, F0 + 6, F0 + 10, F0 + 12
F31, F32, F33, F45, F47, F57 = F0 + 31, F0 + 32, F0 + 33, F0 + 45, F0 + 47, F0 + 57
F59, F60, F61, F68, F90, F95 = F0 + 59, F0 + 60, F0 + 61, F0 + 68, F0 + 90, F0 + 95
(
    S_LAST_DT, S_OFI2, S_OFI20, S_OFI60, S_DEPTH, S_SV5, S_SV60, S_OI60, S_RV60, S_REM_B, S_REM_A,
    S_IMB5, S_IMB20, S_IMB60, S_MID, S_VOLUME, S_AMOUNT, S_OI, S_SPREAD,
) = range(AT_CORE, AT_CORE + 19)  # fmt: skip
W2_NS, W10_NS, W60_NS = 2_000_000_000, 10_000_000_000, 60_000_000_000
STEPS = 121
#: Weights of 0, 0.5 .. 60 s, a column for each half-life.
WEIGHTS = 2.0 ** (-np.arange(STEPS)[:, None] / 2.0 / np.array(HALF_LIVES))
BASE_RATE = 0.1  # lots/s added to each side's removal rate, so that a quiet book is not decided by one lot


@nb.njit(cache=False, forceinline=True)
def counts(bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int, is_continuous: bool) -> bool:
    """Whether a row counts: continuous trading, and a two-sided, uncrossed book."""
    bid, ask = bid_px[at, 0], ask_px[at, 0]
    return bool(is_continuous and bid != NO_PRICE and ask != NO_PRICE and bid < ask and bid_sz[at, 0] > 0 and ask_sz[at, 0] > 0)


@nb.njit(cache=False, forceinline=True)
def _weights(f: Any, dt: float) -> None:
    """Decay of each half-life over ``dt`` seconds; snapshots mostly come in steps of 0.5 s, which a table knows."""
    if dt == f[S_LAST_DT]:
        return
    f[S_LAST_DT] = dt
    steps = int(dt * 2.0)
    if dt * 2.0 == steps and steps < STEPS:
        for index in range(len(HALF_LIVES)):
            f[X_W2 + index] = WEIGHTS[steps, index]
    else:
        for index in range(len(HALF_LIVES)):
            f[X_W2 + index] = 2.0 ** (-dt / HALF_LIVES[index])


@nb.njit(cache=False, forceinline=True)
def _start(f: Any, k: Any, ts: int, anchor: int) -> None:
    """Clear the run's state."""
    f[:RUN_END] = 0.0
    k[:RUN_END] = 0
    f[S_LAST_DT] = -1.0
    k[K_STARTED], k[K_ANCHOR], k[K_FIRST_TS] = 1, anchor, ts
    for index in range(len(HALF_LIVES)):
        f[X_W2 + index] = 1.0


@nb.njit(cache=False, forceinline=True)
def _signed_volume(f: Any, k: Any, bid: float, ask: float, last: float, unit: float) -> None:
    """Bought minus sold lots of the interval (F43 by average price against quotes), in [-dV, dV]; odd under a flip."""
    d_volume, d_amount = f[X_DV], f[X_DAMOUNT]
    f[X_SIGNED] = f[X_EXCESS] = f[X_LOTS_CNY] = 0.0
    if d_volume <= 0.0:
        f[X_BUY] = f[X_SELL] = 0.0
        return
    low, high = float(k[K_BID]), float(k[K_ASK])
    lots = d_volume * unit
    f[X_LOTS_CNY] = lots
    if d_amount <= 0.0:
        # no turnover: the tick rule against the previous quotes
        if last != NO_PRICE:
            f[X_SIGNED] = d_volume if last >= high else -d_volume if last <= low else 0.0
    else:
        excess = d_amount - lots * ((low + high) / 2.0)
        f[X_EXCESS] = excess
        if abs(excess) > lots * (high - low) / 2.0:
            low, high = min(low, bid), max(high, ask)
            excess = d_amount - lots * ((low + high) / 2.0)
        share = 2.0 * excess / (lots * (high - low))
        f[X_SIGNED] = max(-1.0, min(1.0, share)) * d_volume
    f[X_BUY], f[X_SELL] = (d_volume + f[X_SIGNED]) / 2.0, (d_volume - f[X_SIGNED]) / 2.0


@nb.njit(cache=False, forceinline=True)
def _book(f: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> float:
    """Book-shape factors; returns the imbalance of levels 3-5 (NaN when neither side has any)."""
    bids = asks = deep_bids = deep_asks = 0.0
    for index in range(5):
        bids += bid_sz[at, index]
        asks += ask_sz[at, index]
        if index >= 2:
            deep_bids += bid_sz[at, index]
            deep_asks += ask_sz[at, index]
            there = bid_px[at, index] != NO_PRICE and ask_px[at, index] != NO_PRICE
            f[F6 + index - 2] = imbalance(bid_sz[at, index], ask_sz[at, index]) if there else np.nan
    spread = float(ask_px[at, 0] - bid_px[at, 0])
    first = imbalance(bid_sz[at, 0], ask_sz[at, 0])
    f[X_SPREAD], f[X_I1], f[X_SUM_BID], f[X_SUM_ASK] = spread, first, bids, asks
    f[X_BID_SZ], f[X_ASK_SZ], f[X_TWICE_MID] = bid_sz[at, 0], ask_sz[at, 0], bid_px[at, 0] + ask_px[at, 0]
    f[F1] = spread
    f[F4] = first
    f[F10] = imbalance(bids, asks)
    f[F12] = spread * first / 2.0
    return imbalance(deep_bids, deep_asks) if deep_bids + deep_asks > 0.0 else np.nan


@nb.njit(cache=False, forceinline=True)
def _events(f: Any, k: Any, bid: int, ask: int) -> None:
    """Level 1: the order-flow event (Cont, Kukanov, Stoikov), and lots added to and removed from each side."""
    bid_sz, ask_sz, old_bid_sz, old_ask_sz = f[X_BID_SZ], f[X_ASK_SZ], float(k[K_BID_SZ]), float(k[K_ASK_SZ])
    event = 0.0
    if bid >= k[K_BID]:
        event += bid_sz
    if bid <= k[K_BID]:
        event -= old_bid_sz
    if ask <= k[K_ASK]:
        event -= ask_sz
    if ask >= k[K_ASK]:
        event += old_ask_sz
    f[X_E1] = event
    f[X_ADD_BID] = bid_sz if bid > k[K_BID] else max(0.0, bid_sz - old_bid_sz) if bid == k[K_BID] else 0.0
    f[X_REM_BID] = old_bid_sz if bid < k[K_BID] else max(0.0, old_bid_sz - bid_sz) if bid == k[K_BID] else 0.0
    f[X_ADD_ASK] = ask_sz if ask < k[K_ASK] else max(0.0, ask_sz - old_ask_sz) if ask == k[K_ASK] else 0.0
    f[X_REM_ASK] = old_ask_sz if ask > k[K_ASK] else max(0.0, old_ask_sz - ask_sz) if ask == k[K_ASK] else 0.0


@nb.njit(cache=False, forceinline=True)
def _first_row(f: Any, k: Any, ts: int, depth: float) -> None:
    """The first row of a run: levels begin, nothing flows."""
    _start(f, k, ts, int(f[X_TWICE_MID]))
    f[S_DEPTH] = depth
    f[X_FIRST], f[X_PREV_SPREAD] = 1.0, f[X_SPREAD]
    f[X_DT] = f[X_MID] = f[X_DMID] = f[X_TS_S] = 0.0
    f[X_DV] = f[X_DAMOUNT] = f[X_DOI] = f[X_SIGNED] = f[X_BUY] = f[X_SELL] = f[X_EXCESS] = f[X_LOTS_CNY] = 0.0
    f[X_E1] = f[X_ADD_BID] = f[X_REM_BID] = f[X_ADD_ASK] = f[X_REM_ASK] = 0.0


@nb.njit(cache=False, forceinline=True)
def _later_row(
    f: Any, k: Any, ts: int, bid: int, ask: int, last: int, volume: float, amount: float, interest: float, depth: float, unit: float
) -> None:  # fmt: skip
    """Every other row: what changed since the previous one."""
    f[X_FIRST], f[X_PREV_SPREAD] = 0.0, f[S_SPREAD]
    f[X_DT] = (ts - k[K_TS]) / NS
    f[X_TS_S] = (ts - k[K_FIRST_TS]) / NS
    _weights(f, f[X_DT])
    f[X_MID] = (bid + ask - k[K_ANCHOR]) / 2.0
    f[X_DMID] = f[X_MID] - f[S_MID]
    f[X_DV] = volume - f[S_VOLUME]
    # turnover or open interest of 0 is an absent one: a change since then would be the level itself
    f[X_DAMOUNT] = amount - f[S_AMOUNT] if f[S_AMOUNT] > 0.0 or f[S_VOLUME] == 0.0 else 0.0
    f[X_DOI] = interest - f[S_OI] if interest > 0.0 and f[S_OI] > 0.0 else 0.0
    _signed_volume(f, k, float(bid), float(ask), float(last), unit)
    _events(f, k, bid, ask)
    flow(f, S_OFI2, f[X_W2], f[X_E1])
    flow(f, S_OFI20, f[X_W20], f[X_E1])
    flow(f, S_OFI60, f[X_W60], f[X_E1])
    flow(f, S_REM_B, f[X_W20], f[X_REM_BID])
    flow(f, S_REM_A, f[X_W20], f[X_REM_ASK])
    level(f, S_DEPTH, f[X_W300], depth)
    flow(f, S_SV5, f[X_W5], f[X_SIGNED])
    flow(f, S_SV60, f[X_W60], f[X_SIGNED])
    flow(f, S_OI60, f[X_W60], np.sign(f[X_SIGNED]) * f[X_DOI])
    level(f, S_RV60, f[X_W60], f[X_DMID] * f[X_DMID])


@nb.njit(cache=False, forceinline=True)
def _deep_levels(f: Any, k: Any, deep: float) -> None:
    if np.isnan(deep):
        return
    if k[K_IMB] == 0:
        k[K_IMB] = 1
        f[S_IMB5] = f[S_IMB20] = f[S_IMB60] = deep
    else:
        level(f, S_IMB5, f[X_W5], deep)
        level(f, S_IMB20, f[X_W20], deep)
        level(f, S_IMB60, f[X_W60], deep)
    f[IMB35_5], f[IMB35_20], f[IMB35_60] = f[S_IMB5], f[S_IMB20], f[S_IMB60]


@nb.njit(cache=False, forceinline=True)
def _return_over(f: Any, k: Any, pointer: int, target_ns: int) -> float:
    """Mid minus the mid as of a moment; NaN while the run is younger than that."""
    at = as_of(k, pointer, target_ns)
    return float(f[X_MID] - f[RING_MID + at]) if at >= 0 else np.nan


@nb.njit(cache=False, forceinline=True)
def update(
    f: Any, k: Any, ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int, last: int,
    volume: float, amount: float, interest: float, part_end_ns: int, unit: float,
) -> None:  # fmt: skip
    """A row that counts: fill the scratch, update the core's state, push the ring, write its factors."""
    if k[K_STARTED] == 1 and (volume < f[S_VOLUME] or amount < f[S_AMOUNT]):
        k[K_STARTED] = 0
    deep = _book(f, bid_px, bid_sz, ask_px, ask_sz, at)
    depth = (f[X_BID_SZ] + f[X_ASK_SZ]) / 2.0
    if k[K_STARTED] == 0:
        _first_row(f, k, ts, depth)
    else:
        _later_row(f, k, ts, bid_px[at, 0], ask_px[at, 0], last, volume, amount, interest, depth, unit)
    f[X_UNIT], f[X_DEPTH1] = unit, f[S_DEPTH]
    f[X_LAST] = np.nan if last == NO_PRICE else (2 * last - bid_px[at, 0] - ask_px[at, 0]) / 2.0
    _deep_levels(f, k, deep)
    f[S_MID], f[S_VOLUME], f[S_AMOUNT], f[S_SPREAD] = f[X_MID], volume, amount, f[X_SPREAD]
    if interest > 0.0:
        f[S_OI] = interest
    head = k[K_HEAD]
    k[RING_TS + (head & MASK)], f[RING_MID + (head & MASK)] = ts, f[X_MID]
    k[K_HEAD], k[K_TS] = head + 1, ts
    f[F31], f[F32], f[F33] = f[S_OFI2] / f[S_DEPTH], f[S_OFI20] / f[S_DEPTH], f[S_OFI60] / f[S_DEPTH]
    f[F45], f[F47], f[F57] = f[S_SV5], f[S_SV60], f[S_OI60]
    f[F59] = _return_over(f, k, K_PTR2, ts - W2_NS)
    f[F60] = _return_over(f, k, K_PTR10, ts - W10_NS)
    f[F61] = _return_over(f, k, K_PTR60, ts - W60_NS)
    f[F68] = np.sqrt(f[S_RV60])
    ask_hazard = (f[S_REM_A] * (LN2 / 20.0) + BASE_RATE) / f[X_ASK_SZ]
    bid_hazard = (f[S_REM_B] * (LN2 / 20.0) + BASE_RATE) / f[X_BID_SZ]
    f[F90] = 0.5 * ((ask_hazard - bid_hazard) / (ask_hazard + bid_hazard))
    f[F95] = (part_end_ns - ts) / 60e9


@nb.njit(cache=False, forceinline=True)
def forget(f: Any) -> None:
    """Another contract: the day's state and the history were the old one's."""
    f[DAY:HISTORY_END] = 0.0
    f[H_LOGB] = f[H_LOGA] = f[H_VPIN] = np.nan


@nb.njit(cache=False, forceinline=True)
def remember(k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """Keep the quotes for the next row, once every group has read the previous ones."""
    for index in range(5):
        k[K_BID + index], k[K_ASK + index] = bid_px[at, index], ask_px[at, index]
        k[K_BID_SZ + index], k[K_ASK_SZ + index] = bid_sz[at, index], ask_sz[at, index]
