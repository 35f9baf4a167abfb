"""The kernel: one compiled step for batch and for live.

``step`` reads one snapshot, updates the state and writes every factor. Batch is a loop over it, live calls it per tick:
there is no second form to disagree with. No fast-math; sums of prices in ticks and of lots are exact in float64, so that
a bid/ask flip changes the sign of odd factors exactly.

State: ``s`` float64 (running values), ``k`` int64 (previous quotes, ring positions), ``ring_ts``/``ring_mid`` the mids of
the last minutes. Prices are relative to the run's first mid (``anchor``), so that no absolute level enters a float.

Rules: a break row resets the state and has no flow; a row outside continuous trading or without a two-sided, uncrossed
book gives NaN everywhere and leaves the state untouched; falling cumulative volume or amount resets like a break.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

__all__ = ["N_FACTORS", "RING", "SIZE_K", "SIZE_S", "run_batch", "step"]

# --- slots of the output ---------------------------------------------------------------------------------------------
F1, F4, F6, F7, F8, F10, F12, F31, F32, F33, F45, F47, F57, F59, F60, F61, F68, F90, F95 = range(19)
IMB35_5, IMB35_20, IMB35_60 = 19, 20, 21
N_FACTORS = 22

# --- state -----------------------------------------------------------------------------------------------------------
S_W2, S_W5, S_W20, S_W60, S_W300, S_DT = 0, 1, 2, 3, 4, 5
S_OFI2, S_OFI20, S_OFI60, S_DEPTH = 6, 7, 8, 9
S_SV5, S_SV60, S_OI60, S_RV60, S_REM_B, S_REM_A = 10, 11, 12, 13, 14, 15
S_IMB5, S_IMB20, S_IMB60 = 16, 17, 18
S_MID, S_VOLUME, S_AMOUNT, S_OI = 19, 20, 21, 22
SIZE_S = 24
K_STARTED, K_TS, K_BID, K_BID_SZ, K_ASK, K_ASK_SZ, K_ANCHOR, K_HEAD, K_PTR2, K_PTR10, K_PTR60, K_IMB = range(12)
SIZE_K = 16
RING = 2048

NO_PRICE = -(1 << 40)
W2_NS, W10_NS, W60_NS = 2_000_000_000, 10_000_000_000, 60_000_000_000
NS = 1e9
LN2 = 0.6931471805599453
BASE_RATE = 0.1  # lots/s added to each side's removal rate, so that a quiet book is not decided by one lot


@nb.njit(cache=True)
def _weights(s: Any, dt: float) -> None:
    """Decay of each half-life over ``dt`` seconds; snapshots mostly come every 0.5 s, so the last ones are kept."""
    if dt == s[S_DT]:
        return
    s[S_DT] = dt
    s[S_W2] = 2.0 ** (-dt / 2.0)
    s[S_W5] = 2.0 ** (-dt / 5.0)
    s[S_W20] = 2.0 ** (-dt / 20.0)
    s[S_W60] = 2.0 ** (-dt / 60.0)
    s[S_W300] = 2.0 ** (-dt / 300.0)


@nb.njit(cache=True)
def _reset(s: Any, k: Any) -> None:
    s[:] = 0.0
    s[S_DT] = -1.0
    k[:] = 0


@nb.njit(cache=True)
def _signed_volume(bid: float, ask: float, k: Any, last: float, d_volume: float, d_amount: float, unit: float) -> float:
    """Bought minus sold lots of the interval (F43 by average price against quotes), in [-dV, dV]; odd under a flip."""
    if d_volume <= 0.0:
        return 0.0
    low, high = float(k[K_BID]), float(k[K_ASK])
    if d_amount <= 0.0:
        if last == NO_PRICE:
            return 0.0
        # no turnover: the tick rule against the previous quotes
        return d_volume if last >= high else -d_volume if last <= low else 0.0
    lots = d_volume * unit
    centre = (low + high) / 2.0
    excess = d_amount - lots * centre
    if abs(excess) > lots * (high - low) / 2.0:
        low, high = min(low, bid), max(high, ask)
        excess = d_amount - lots * ((low + high) / 2.0)
    share = 2.0 * excess / (lots * (high - low))
    return float(max(-1.0, min(1.0, share)) * d_volume)


@nb.njit(cache=True)
def _return_over(k: Any, ring_ts: Any, ring_mid: Any, pointer: int, ts: int, window: int, mid: float) -> float:
    """Mid minus the mid as of ``window`` ago; NaN while the run is younger than that."""
    target = ts - window
    head = k[K_HEAD]
    at = max(k[pointer], head - RING)
    if ring_ts[at % RING] > target:
        return np.nan
    while at + 1 < head and ring_ts[(at + 1) % RING] <= target:
        at += 1
    k[pointer] = at
    return float(mid - ring_mid[at % RING])


@nb.njit(cache=True)
def _imbalance(bid: float, ask: float) -> float:
    return float((bid - ask) / (bid + ask))


@nb.njit(cache=True)
def _book(out: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any) -> float:
    """Book-shape factors; returns the imbalance of levels 3-5 (NaN when neither side has any)."""
    bids = asks = deep_bids = deep_asks = 0.0
    for level in range(5):
        bids += bid_sz[level]
        asks += ask_sz[level]
        if level >= 2:
            deep_bids += bid_sz[level]
            deep_asks += ask_sz[level]
            there = bid_px[level] != NO_PRICE and ask_px[level] != NO_PRICE
            out[F6 + level - 2] = _imbalance(bid_sz[level], ask_sz[level]) if there else np.nan
    spread = float(ask_px[0] - bid_px[0])
    first = _imbalance(bid_sz[0], ask_sz[0])
    out[F1] = spread
    out[F4] = first
    out[F10] = _imbalance(bids, asks)
    out[F12] = spread * first / 2.0
    return _imbalance(deep_bids, deep_asks) if deep_bids + deep_asks > 0.0 else np.nan


@nb.njit(cache=True)
def _flow(s: Any, k: Any, bid: int, bid_sz: float, ask: int, ask_sz: float) -> None:
    """Order-flow imbalance of level 1 (Cont, Kukanov, Stoikov) and removal rates of each side."""
    event = 0.0
    if bid >= k[K_BID]:
        event += bid_sz
    if bid <= k[K_BID]:
        event -= k[K_BID_SZ]
    if ask <= k[K_ASK]:
        event -= ask_sz
    if ask >= k[K_ASK]:
        event += k[K_ASK_SZ]
    s[S_OFI2] = s[S_W2] * s[S_OFI2] + event
    s[S_OFI20] = s[S_W20] * s[S_OFI20] + event
    s[S_OFI60] = s[S_W60] * s[S_OFI60] + event
    removed_bid = removed_ask = 0.0
    if bid == k[K_BID]:
        removed_bid = max(0.0, k[K_BID_SZ] - bid_sz)
    elif bid < k[K_BID]:
        removed_bid = float(k[K_BID_SZ])
    if ask == k[K_ASK]:
        removed_ask = max(0.0, k[K_ASK_SZ] - ask_sz)
    elif ask > k[K_ASK]:
        removed_ask = float(k[K_ASK_SZ])
    s[S_REM_B] = s[S_W20] * s[S_REM_B] + removed_bid
    s[S_REM_A] = s[S_W20] * s[S_REM_A] + removed_ask


@nb.njit(cache=True)
def _deplete_first(s: Any, bid_sz: float, ask_sz: float) -> float:
    """Ask-side minus bid-side share of the depletion hazard, in [-0.5, 0.5]; + means the ask goes first."""
    ask = (s[S_REM_A] * (LN2 / 20.0) + BASE_RATE) / ask_sz
    bid = (s[S_REM_B] * (LN2 / 20.0) + BASE_RATE) / bid_sz
    return float(0.5 * ((ask - bid) / (ask + bid)))


@nb.njit(cache=True)
def _ewma(s: Any, slot: int, weight: float, value: float) -> None:
    s[slot] = weight * s[slot] + (1.0 - weight) * value


@nb.njit(cache=True)
def step(
    s: Any, k: Any, ring_ts: Any, ring_mid: Any,
    ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: int,
    volume: float, amount: float, open_interest: float,
    is_break: bool, is_continuous: bool, part_end_ns: int, unit: float, out: Any,
) -> None:  # fmt: skip
    """Read one snapshot, update the state, write every factor to ``out`` (float64, N_FACTORS).

    bid_px .. ask_sz: int64 (5,), ticks and lots. last: ticks. volume, amount, open_interest: cumulative, CNY, lots.
    unit: price tick x multiplier, CNY per tick and lot. part_end_ns: end of the running session part.
    """
    out[:] = np.nan
    if is_break:
        k[K_STARTED] = 0
    if not is_continuous:
        return
    bid, ask = bid_px[0], ask_px[0]
    if bid == NO_PRICE or ask == NO_PRICE or bid >= ask or bid_sz[0] <= 0 or ask_sz[0] <= 0:
        return
    if k[K_STARTED] == 1 and (volume < s[S_VOLUME] or amount < s[S_AMOUNT]):
        k[K_STARTED] = 0
    deep = _book(out, bid_px, bid_sz, ask_px, ask_sz)
    depth = float(bid_sz[0] + ask_sz[0]) / 2.0
    if k[K_STARTED] == 0:
        _reset(s, k)
        k[K_STARTED] = 1
        k[K_ANCHOR] = bid + ask
        mid = 0.0
        s[S_DEPTH] = depth
    else:
        mid = (bid + ask - k[K_ANCHOR]) / 2.0
        _weights(s, (ts - k[K_TS]) / NS)
        signed = _signed_volume(float(bid), float(ask), k, float(last), volume - s[S_VOLUME], amount - s[S_AMOUNT], unit)
        _flow(s, k, bid, float(bid_sz[0]), ask, float(ask_sz[0]))
        _ewma(s, S_DEPTH, s[S_W300], depth)
        s[S_SV5] = s[S_W5] * s[S_SV5] + signed
        s[S_SV60] = s[S_W60] * s[S_SV60] + signed
        s[S_OI60] = s[S_W60] * s[S_OI60] + np.sign(signed) * (open_interest - s[S_OI])
        moved = mid - s[S_MID]
        _ewma(s, S_RV60, s[S_W60], moved * moved)
    if not np.isnan(deep):
        if k[K_IMB] == 0:
            k[K_IMB] = 1
            s[S_IMB5] = s[S_IMB20] = s[S_IMB60] = deep
        else:
            _ewma(s, S_IMB5, s[S_W5], deep)
            _ewma(s, S_IMB20, s[S_W20], deep)
            _ewma(s, S_IMB60, s[S_W60], deep)
        out[IMB35_5], out[IMB35_20], out[IMB35_60] = s[S_IMB5], s[S_IMB20], s[S_IMB60]
    s[S_MID], s[S_VOLUME], s[S_AMOUNT], s[S_OI] = mid, volume, amount, open_interest
    k[K_TS], k[K_BID], k[K_BID_SZ], k[K_ASK], k[K_ASK_SZ] = ts, bid, bid_sz[0], ask, ask_sz[0]
    head = k[K_HEAD]
    ring_ts[head % RING], ring_mid[head % RING] = ts, mid
    k[K_HEAD] = head + 1
    out[F31], out[F32], out[F33] = s[S_OFI2] / s[S_DEPTH], s[S_OFI20] / s[S_DEPTH], s[S_OFI60] / s[S_DEPTH]
    out[F45], out[F47], out[F57] = s[S_SV5], s[S_SV60], s[S_OI60]
    out[F59] = _return_over(k, ring_ts, ring_mid, K_PTR2, ts, W2_NS, mid)
    out[F60] = _return_over(k, ring_ts, ring_mid, K_PTR10, ts, W10_NS, mid)
    out[F61] = _return_over(k, ring_ts, ring_mid, K_PTR60, ts, W60_NS, mid)
    out[F68] = np.sqrt(s[S_RV60])
    out[F90] = _deplete_first(s, float(bid_sz[0]), float(ask_sz[0]))
    out[F95] = (part_end_ns - ts) / 60e9


@nb.njit(cache=True)
def run_batch(
    s: Any, k: Any, ring_ts: Any, ring_mid: Any,
    ts: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: Any,
    volume: Any, amount: Any, open_interest: Any,
    breaks: Any, continuous: Any, part_end_ns: Any, unit: float, out: Any,
) -> None:  # fmt: skip
    """``step`` over the rows of a day; ``out`` float64 (n, N_FACTORS)."""
    for row in range(len(ts)):
        step(
            s, k, ring_ts, ring_mid,
            ts[row], bid_px[row], bid_sz[row], ask_px[row], ask_sz[row], last[row],
            volume[row], amount[row], open_interest[row],
            breaks[row], continuous[row], part_end_ns[row], unit, out[row],
        )  # fmt: skip
