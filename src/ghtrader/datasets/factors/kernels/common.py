"""Small compiled pieces that every group uses."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.layout import K_HEAD, MASK, RING, RING_TS

__all__ = ["as_of", "clip", "flow", "imbalance", "level", "ratio", "sign"]


@nb.njit(cache=False, forceinline=True)
def flow(f: Any, at: int, weight: float, value: float) -> float:
    """EWMA flow: the sum of all values, each halved per half-life. Returns the new state."""
    f[at] = weight * f[at] + value
    return float(f[at])


@nb.njit(cache=False, forceinline=True)
def level(f: Any, at: int, weight: float, value: float) -> float:
    """EWMA level: moves towards the value. Set ``f[at]`` to the first value yourself. Returns the new state."""
    f[at] = weight * f[at] + (1.0 - weight) * value
    return float(f[at])


@nb.njit(cache=False, forceinline=True)
def ratio(numerator: float, denominator: float, otherwise: float) -> float:
    """A quotient, or ``otherwise`` where the denominator is 0."""
    return float(numerator / denominator) if denominator != 0.0 else otherwise


@nb.njit(cache=False, forceinline=True)
def imbalance(bid: float, ask: float) -> float:
    """(bid - ask) / (bid + ask)."""
    return float((bid - ask) / (bid + ask))


@nb.njit(cache=False, forceinline=True)
def as_of(k: Any, pointer: int, target_ns: int) -> int:
    """Ring position of the run's last row at or before a moment; -1 while the run is younger. ``k[pointer]`` follows it."""
    head = k[K_HEAD]
    at = max(k[pointer], head - RING)
    if k[RING_TS + (at & MASK)] > target_ns:
        return -1
    while at + 1 < head and k[RING_TS + ((at + 1) & MASK)] <= target_ns:
        at += 1
    k[pointer] = at
    return int(at & MASK)


@nb.njit(cache=False, forceinline=True)
def clip(value: float, low: float, high: float) -> float:
    """The value within bounds."""
    return float(min(high, max(low, value)))


@nb.njit(cache=False, forceinline=True)
def sign(value: float) -> float:
    """-1, 0 or 1."""
    return float(np.sign(value))
