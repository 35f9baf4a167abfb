"""Small compiled pieces that every group uses."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.layout import K_HEAD, RING

__all__ = ["as_of", "flow", "imbalance", "level", "ratio"]


@nb.njit
def flow(s: Any, at: int, weight: float, value: float) -> float:
    """EWMA flow: the sum of all values, each halved per half-life. Returns the new state."""
    s[at] = weight * s[at] + value
    return float(s[at])


@nb.njit
def level(s: Any, at: int, weight: float, value: float) -> float:
    """EWMA level: moves towards the value. Set ``s[at]`` to the first value yourself. Returns the new state."""
    s[at] = weight * s[at] + (1.0 - weight) * value
    return float(s[at])


@nb.njit
def ratio(numerator: float, denominator: float, otherwise: float) -> float:
    """A quotient, or ``otherwise`` where the denominator is 0."""
    return float(numerator / denominator) if denominator != 0.0 else otherwise


@nb.njit
def imbalance(bid: float, ask: float) -> float:
    """(bid - ask) / (bid + ask)."""
    return float((bid - ask) / (bid + ask))


@nb.njit
def as_of(k: Any, ring_ts: Any, pointer: int, target_ns: int) -> int:
    """Ring position of the run's last row at or before a moment; -1 while the run is younger. ``k[pointer]`` follows it."""
    head = k[K_HEAD]
    at = max(k[pointer], head - RING)
    if ring_ts[at % RING] > target_ns:
        return -1
    while at + 1 < head and ring_ts[(at + 1) % RING] <= target_ns:
        at += 1
    k[pointer] = at
    return int(at % RING)


@nb.njit
def clip(value: float, low: float, high: float) -> float:
    """The value within bounds."""
    return float(min(high, max(low, value)))


@nb.njit
def sign(value: float) -> float:
    """-1, 0 or 1."""
    return float(np.sign(value))
