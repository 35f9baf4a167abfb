"""Group G, cross-asset: F100 to F108 (definitions: the cards). What a peer showed comes as of the row (`layout`, PEER_*)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import clip, level
from ghtrader.datasets.factors.kernels.layout import (
    AT_CROSS,
    C_SPARE,
    F0,
    MAX_PEER_AGE_S,
    PEER_AGE_S,
    PEER_MICRO,
    PEER_MID,
    PEER_OFI10,
    PEER_R2,
    PEER_R10,
    PEER_R60,
    PEER_RUN,
    PEER_RV60,
    PEER_RV1800,
    X_DMID,
    X_MID,
    X_W600,
    X_WDAY,
)

__all__ = ["update"]

(
    S_RUN, S_MID, S_OWN_BEFORE, S_PEER_BEFORE, S_LEADS, S_LAGS, S_OWN, S_PEER, S_STRENGTH, S_STRENGTH_MEAN, S_STRENGTH_VAR,
    S_NEXT_RUN, S_SPREAD_MEAN, S_SPREAD_VAR,
) = range(AT_CROSS, AT_CROSS + 14)  # fmt: skip
K_PEER, K_NEXT = AT_CROSS, AT_CROSS + 1
C_BETA_XY, C_BETA_XX = C_SPARE, C_SPARE + 1
F60, F70 = F0 + 60, F0 + 70
F100, F101, F102, F103, F104, F105, F106, F107, F108 = range(F0 + 100, F0 + 109)
LEAST_VOLATILITY = 0.05
RIDGE = 1e-6
MOST_SIGMAS, LEAST_VARIANCE = 10.0, 1e-12


@nb.njit(cache=False, forceinline=True)
def _fresh(rows: Any, which: int, at: int) -> bool:
    """Whether a peer showed anything in the last two seconds."""
    return bool(rows[which, at, PEER_AGE_S] <= MAX_PEER_AGE_S)


@nb.njit(cache=False, forceinline=True)
def _z(f: Any, mean: int, variance: int, weight: float, value: float) -> float:
    """How unusual a value is against its average before it; then the average takes it in."""
    away, spread = value - f[mean], f[variance]
    found = clip(away / np.sqrt(spread), -MOST_SIGMAS, MOST_SIGMAS) if spread >= LEAST_VARIANCE else 0.0
    f[mean] += (1.0 - weight) * away
    f[variance] = weight * (spread + (1.0 - weight) * away * away)
    return float(found)


@nb.njit(cache=False, forceinline=True)
def _residual(f: Any, theirs: float) -> None:
    """Own return of 10 s without what the peer's explains."""
    own = f[F60]
    if np.isnan(own) or np.isnan(theirs):
        return
    f[F104] = own - f[C_BETA_XY] / (f[C_BETA_XX] + RIDGE) * theirs
    f[C_BETA_XY] = f[X_WDAY] * f[C_BETA_XY] + own * theirs
    f[C_BETA_XX] = f[X_WDAY] * f[C_BETA_XX] + theirs * theirs


@nb.njit(cache=False, forceinline=True)
def _together(f: Any, k: Any, run: float, mid: float, volatility: float) -> None:
    """Moves of both since the last row on which the peer was fresh: who leads, and who is stronger."""
    first, follows = k[K_PEER] == 0, k[K_PEER] == 1 and f[S_RUN] == run
    own, theirs = f[X_DMID], mid - f[S_MID] if follows else 0.0
    if not first:
        weight = f[X_W600]
        level(f, S_LEADS, weight, f[S_PEER_BEFORE] * own)
        level(f, S_LAGS, weight, f[S_OWN_BEFORE] * theirs)
        level(f, S_OWN, weight, own * own)
        level(f, S_PEER, weight, theirs * theirs)
    f[S_OWN_BEFORE], f[S_PEER_BEFORE] = own, theirs
    scale = f[S_OWN] * f[S_PEER]
    f[F105] = (f[S_LEADS] - f[S_LAGS]) / np.sqrt(scale) if scale > 0.0 else 0.0
    f[S_STRENGTH] += own / max(LEAST_VOLATILITY, f[F70]) - theirs / max(LEAST_VOLATILITY, volatility)
    if first:
        f[S_STRENGTH_MEAN], f[S_STRENGTH_VAR], f[F106] = f[S_STRENGTH], 0.0, 0.0
    else:
        f[F106] = _z(f, S_STRENGTH_MEAN, S_STRENGTH_VAR, f[X_WDAY], f[S_STRENGTH])
    k[K_PEER], f[S_RUN], f[S_MID] = 1, run, mid


@nb.njit(cache=False, forceinline=True)
def _calendar(f: Any, k: Any, run: float, mid: float) -> None:
    """The spread to the next contract against its average."""
    spread = mid - f[X_MID]
    if k[K_NEXT] == 1 and f[S_NEXT_RUN] == run:
        f[F107] = _z(f, S_SPREAD_MEAN, S_SPREAD_VAR, f[X_WDAY], spread)
        return
    k[K_NEXT], f[S_NEXT_RUN] = 1, run
    f[S_SPREAD_MEAN], f[S_SPREAD_VAR], f[F107] = spread, 0.0, 0.0


@nb.njit(cache=False, forceinline=True)
def update(f: Any, k: Any, peers: Any, at: int) -> None:
    """A row that counts, after the core and the returns."""
    micro = shown = 0.0
    if _fresh(peers, 0, at):
        scale = max(LEAST_VOLATILITY, peers[0, at, PEER_RV60])
        f[F100], f[F101], f[F102] = peers[0, at, PEER_R2] / scale, peers[0, at, PEER_R10] / scale, peers[0, at, PEER_R60] / scale
        f[F103] = peers[0, at, PEER_OFI10]
        _residual(f, peers[0, at, PEER_R10])
        _together(f, k, peers[0, at, PEER_RUN], peers[0, at, PEER_MID], peers[0, at, PEER_RV1800])
        micro, shown = peers[0, at, PEER_MICRO], 1.0
    if _fresh(peers, 1, at):
        _calendar(f, k, peers[1, at, PEER_RUN], peers[1, at, PEER_MID])
        micro, shown = micro + peers[1, at, PEER_MICRO], shown + 1.0
    if shown > 0.0:
        f[F108] = micro / shown
