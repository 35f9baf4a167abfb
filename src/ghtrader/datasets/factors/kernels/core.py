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
    H_LOGA,
    H_LOGB,
    H_VPIN,
    HALF_LIVES,
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
    NO_PRICE,
    NS,
    RING,
    RING_MID,
    RING_TS,
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

F1, F4, F6, F10, F12 = 0, 3, 5, 9, 11
F31, F32, F33, F45, F47, F57, F59, F60, F61, F68, F90, F95 = 30, 31, 32, 44, 46, 56, 58, 59, 60, 67, 89, 94
(
    S_LAST_DT, S_OFI2, S_OFI20, S_OFI60, S_DEPTH, S_SV5, S_SV60, S_OI60, S_RV60, S_REM_B, S_REM_A,
    S_IMB5, S_IMB20, S_IMB60, S_MID, S_VOLUME, S_AMOUNT, S_OI, S_SPREAD,
) = range(AT_CORE, AT_CORE + 19)  # fmt: skip
W2_NS, W10_NS, W60_NS = 2_000_000_000, 10_000_000_000, 60_000_000_000
BASE_RATE = 0.1  # lots/s added to each side's removal rate, so that a quiet book is not decided by one lot


@nb.njit
def counts(bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, is_continuous: bool) -> bool:
    """Whether a row counts: continuous trading, and a two-sided, uncrossed book."""
    bid, ask = bid_px[0], ask_px[0]
    return bool(is_continuous and bid != NO_PRICE and ask != NO_PRICE and bid < ask and bid_sz[0] > 0 and ask_sz[0] > 0)


@nb.njit
def _weights(s: Any, x: Any, dt: float) -> None:
    """Decay of each half-life over ``dt`` seconds; snapshots mostly come every 0.5 s, so the last ones are kept."""
    if dt == s[S_LAST_DT]:
        return
    s[S_LAST_DT] = dt
    for index in range(len(HALF_LIVES)):
        x[X_W2 + index] = 2.0 ** (-dt / HALF_LIVES[index])


@nb.njit
def _start(s: Any, k: Any, x: Any, ts: int, anchor: int) -> None:
    """Clear the run's state."""
    s[:] = 0.0
    k[:] = 0
    s[S_LAST_DT] = -1.0
    k[K_STARTED], k[K_ANCHOR], k[K_FIRST_TS] = 1, anchor, ts
    for index in range(len(HALF_LIVES)):
        x[X_W2 + index] = 1.0


@nb.njit
def _signed_volume(k: Any, x: Any, bid: float, ask: float, last: float, unit: float) -> None:
    """Bought minus sold lots of the interval (F43 by average price against quotes), in [-dV, dV]; odd under a flip."""
    d_volume, d_amount = x[X_DV], x[X_DAMOUNT]
    x[X_SIGNED] = x[X_EXCESS] = x[X_LOTS_CNY] = 0.0
    if d_volume <= 0.0:
        x[X_BUY] = x[X_SELL] = 0.0
        return
    low, high = float(k[K_BID]), float(k[K_ASK])
    lots = d_volume * unit
    x[X_LOTS_CNY] = lots
    if d_amount <= 0.0:
        # no turnover: the tick rule against the previous quotes
        if last != NO_PRICE:
            x[X_SIGNED] = d_volume if last >= high else -d_volume if last <= low else 0.0
    else:
        excess = d_amount - lots * ((low + high) / 2.0)
        x[X_EXCESS] = excess
        if abs(excess) > lots * (high - low) / 2.0:
            low, high = min(low, bid), max(high, ask)
            excess = d_amount - lots * ((low + high) / 2.0)
        share = 2.0 * excess / (lots * (high - low))
        x[X_SIGNED] = max(-1.0, min(1.0, share)) * d_volume
    x[X_BUY], x[X_SELL] = (d_volume + x[X_SIGNED]) / 2.0, (d_volume - x[X_SIGNED]) / 2.0


@nb.njit
def _book(x: Any, row: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any) -> float:
    """Book-shape factors; returns the imbalance of levels 3-5 (NaN when neither side has any)."""
    bids = asks = deep_bids = deep_asks = 0.0
    for index in range(5):
        bids += bid_sz[index]
        asks += ask_sz[index]
        if index >= 2:
            deep_bids += bid_sz[index]
            deep_asks += ask_sz[index]
            there = bid_px[index] != NO_PRICE and ask_px[index] != NO_PRICE
            row[F6 + index - 2] = imbalance(bid_sz[index], ask_sz[index]) if there else np.nan
    spread = float(ask_px[0] - bid_px[0])
    first = imbalance(bid_sz[0], ask_sz[0])
    x[X_SPREAD], x[X_I1], x[X_SUM_BID], x[X_SUM_ASK] = spread, first, bids, asks
    x[X_BID_SZ], x[X_ASK_SZ], x[X_TWICE_MID] = bid_sz[0], ask_sz[0], bid_px[0] + ask_px[0]
    row[F1] = spread
    row[F4] = first
    row[F10] = imbalance(bids, asks)
    row[F12] = spread * first / 2.0
    return imbalance(deep_bids, deep_asks) if deep_bids + deep_asks > 0.0 else np.nan


@nb.njit
def _events(k: Any, x: Any, bid: int, ask: int) -> None:
    """Level 1: the order-flow event (Cont, Kukanov, Stoikov), and lots added to and removed from each side."""
    bid_sz, ask_sz, old_bid_sz, old_ask_sz = x[X_BID_SZ], x[X_ASK_SZ], float(k[K_BID_SZ]), float(k[K_ASK_SZ])
    event = 0.0
    if bid >= k[K_BID]:
        event += bid_sz
    if bid <= k[K_BID]:
        event -= old_bid_sz
    if ask <= k[K_ASK]:
        event -= ask_sz
    if ask >= k[K_ASK]:
        event += old_ask_sz
    x[X_E1] = event
    x[X_ADD_BID] = bid_sz if bid > k[K_BID] else max(0.0, bid_sz - old_bid_sz) if bid == k[K_BID] else 0.0
    x[X_REM_BID] = old_bid_sz if bid < k[K_BID] else max(0.0, old_bid_sz - bid_sz) if bid == k[K_BID] else 0.0
    x[X_ADD_ASK] = ask_sz if ask < k[K_ASK] else max(0.0, ask_sz - old_ask_sz) if ask == k[K_ASK] else 0.0
    x[X_REM_ASK] = old_ask_sz if ask > k[K_ASK] else max(0.0, old_ask_sz - ask_sz) if ask == k[K_ASK] else 0.0


@nb.njit
def _first_row(s: Any, k: Any, x: Any, ts: int, depth: float) -> None:
    """The first row of a run: levels begin, nothing flows."""
    _start(s, k, x, ts, int(x[X_TWICE_MID]))
    s[S_DEPTH] = depth
    x[X_FIRST], x[X_PREV_SPREAD] = 1.0, x[X_SPREAD]
    x[X_DT] = x[X_MID] = x[X_DMID] = x[X_TS_S] = 0.0
    x[X_DV] = x[X_DAMOUNT] = x[X_DOI] = x[X_SIGNED] = x[X_BUY] = x[X_SELL] = x[X_EXCESS] = x[X_LOTS_CNY] = 0.0
    x[X_E1] = x[X_ADD_BID] = x[X_REM_BID] = x[X_ADD_ASK] = x[X_REM_ASK] = 0.0


@nb.njit
def _later_row(
    s: Any, k: Any, x: Any, ts: int, bid: int, ask: int, last: int, volume: float, amount: float, interest: float, depth: float, unit: float
) -> None:  # fmt: skip
    """Every other row: what changed since the previous one."""
    x[X_FIRST], x[X_PREV_SPREAD] = 0.0, s[S_SPREAD]
    x[X_DT] = (ts - k[K_TS]) / NS
    x[X_TS_S] = (ts - k[K_FIRST_TS]) / NS
    _weights(s, x, x[X_DT])
    x[X_MID] = (bid + ask - k[K_ANCHOR]) / 2.0
    x[X_DMID] = x[X_MID] - s[S_MID]
    x[X_DV], x[X_DAMOUNT], x[X_DOI] = volume - s[S_VOLUME], amount - s[S_AMOUNT], interest - s[S_OI]
    _signed_volume(k, x, float(bid), float(ask), float(last), unit)
    _events(k, x, bid, ask)
    flow(s, S_OFI2, x[X_W2], x[X_E1])
    flow(s, S_OFI20, x[X_W20], x[X_E1])
    flow(s, S_OFI60, x[X_W60], x[X_E1])
    flow(s, S_REM_B, x[X_W20], x[X_REM_BID])
    flow(s, S_REM_A, x[X_W20], x[X_REM_ASK])
    level(s, S_DEPTH, x[X_W300], depth)
    flow(s, S_SV5, x[X_W5], x[X_SIGNED])
    flow(s, S_SV60, x[X_W60], x[X_SIGNED])
    flow(s, S_OI60, x[X_W60], np.sign(x[X_SIGNED]) * x[X_DOI])
    level(s, S_RV60, x[X_W60], x[X_DMID] * x[X_DMID])


@nb.njit
def _deep_levels(s: Any, k: Any, x: Any, deep: float, row: Any) -> None:
    if np.isnan(deep):
        return
    if k[K_IMB] == 0:
        k[K_IMB] = 1
        s[S_IMB5] = s[S_IMB20] = s[S_IMB60] = deep
    else:
        level(s, S_IMB5, x[X_W5], deep)
        level(s, S_IMB20, x[X_W20], deep)
        level(s, S_IMB60, x[X_W60], deep)
    row[IMB35_5], row[IMB35_20], row[IMB35_60] = s[S_IMB5], s[S_IMB20], s[S_IMB60]


@nb.njit
def _return_over(k: Any, x: Any, ring_i: Any, ring_f: Any, pointer: int, target_ns: int) -> float:
    """Mid minus the mid as of a moment; NaN while the run is younger than that."""
    at = as_of(k, ring_i[RING_TS], pointer, target_ns)
    return float(x[X_MID] - ring_f[RING_MID, at]) if at >= 0 else np.nan


@nb.njit
def update(
    s: Any, k: Any, ring_i: Any, ring_f: Any, x: Any,
    ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: int,
    volume: float, amount: float, interest: float, part_end_ns: int, unit: float, row: Any,
) -> None:  # fmt: skip
    """A row that counts: fill ``x``, update the core's state, push the ring, write the core's factors."""
    if k[K_STARTED] == 1 and (volume < s[S_VOLUME] or amount < s[S_AMOUNT]):
        k[K_STARTED] = 0
    deep = _book(x, row, bid_px, bid_sz, ask_px, ask_sz)
    depth = (x[X_BID_SZ] + x[X_ASK_SZ]) / 2.0
    if k[K_STARTED] == 0:
        _first_row(s, k, x, ts, depth)
    else:
        _later_row(s, k, x, ts, bid_px[0], ask_px[0], last, volume, amount, interest, depth, unit)
    x[X_UNIT], x[X_DEPTH1] = unit, s[S_DEPTH]
    x[X_LAST] = np.nan if last == NO_PRICE else (2 * last - bid_px[0] - ask_px[0]) / 2.0
    _deep_levels(s, k, x, deep, row)
    s[S_MID], s[S_VOLUME], s[S_AMOUNT], s[S_OI], s[S_SPREAD] = x[X_MID], volume, amount, interest, x[X_SPREAD]
    head = k[K_HEAD]
    ring_i[RING_TS, head % RING], ring_f[RING_MID, head % RING] = ts, x[X_MID]
    k[K_HEAD], k[K_TS] = head + 1, ts
    row[F31], row[F32], row[F33] = s[S_OFI2] / s[S_DEPTH], s[S_OFI20] / s[S_DEPTH], s[S_OFI60] / s[S_DEPTH]
    row[F45], row[F47], row[F57] = s[S_SV5], s[S_SV60], s[S_OI60]
    row[F59] = _return_over(k, x, ring_i, ring_f, K_PTR2, ts - W2_NS)
    row[F60] = _return_over(k, x, ring_i, ring_f, K_PTR10, ts - W10_NS)
    row[F61] = _return_over(k, x, ring_i, ring_f, K_PTR60, ts - W60_NS)
    row[F68] = np.sqrt(s[S_RV60])
    ask_hazard = (s[S_REM_A] * (LN2 / 20.0) + BASE_RATE) / x[X_ASK_SZ]
    bid_hazard = (s[S_REM_B] * (LN2 / 20.0) + BASE_RATE) / x[X_BID_SZ]
    row[F90] = 0.5 * ((ask_hazard - bid_hazard) / (ask_hazard + bid_hazard))
    row[F95] = (part_end_ns - ts) / 60e9


@nb.njit
def forget(c: Any, h: Any) -> None:
    """Another contract: the day's state and the history were the old one's."""
    c[:] = 0.0
    h[:] = 0.0
    h[H_LOGB] = h[H_LOGA] = h[H_VPIN] = np.nan


@nb.njit
def remember(k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any) -> None:
    """Keep the quotes for the next row, once every group has read the previous ones."""
    for index in range(5):
        k[K_BID + index], k[K_ASK + index] = bid_px[index], ask_px[index]
        k[K_BID_SZ + index], k[K_ASK_SZ + index] = bid_sz[index], ask_sz[index]
