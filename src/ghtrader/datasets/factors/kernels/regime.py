"""Group H, filtered regime: three probabilities (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels.common import clip, flow
from ghtrader.datasets.factors.kernels.layout import (
    AT_REGIME,
    F0,
    P_REGIME,
    REGIME1,
    X_DV,
    X_FIRST,
    X_SPREAD,
    X_W60,
)

__all__ = ["update"]

F31, F68 = F0 + 31, F0 + 68
STATES, SIGNALS = 3, 4
P_MEAN = P_REGIME + STATES * STATES
P_DEVIATION = P_MEAN + STATES * SIGNALS
P_START = P_DEVIATION + STATES * SIGNALS
#: The filtered probabilities, the flow of lots, and what the run's first row prepares: 1/sd, and 1/(product of sd) per state.
S_STATE, S_LOTS = AT_REGIME, AT_REGIME + STATES
S_INVERSE = S_LOTS + 1
S_SCALE = S_INVERSE + STATES * SIGNALS
LIMIT = 4.0  # standard deviations


@nb.njit(cache=False, forceinline=True)
def _prepare(f: Any) -> None:
    for state in range(STATES):
        scale = 1.0
        for signal in range(SIGNALS):
            inverse = 1.0 / f[P_DEVIATION + SIGNALS * state + signal]
            f[S_INVERSE + SIGNALS * state + signal] = inverse
            scale *= inverse
        f[S_SCALE + state] = scale


@nb.njit(cache=False, forceinline=True)
def _distance(f: Any, state: int, volatility: float, lots: float, spread: float, imbalance: float) -> float:
    """Squared standard distance of a row from a state, halved; each signal at most four standard deviations away."""
    mean, inverse = P_MEAN + SIGNALS * state, S_INVERSE + SIGNALS * state
    a = clip((volatility - f[mean]) * f[inverse], -LIMIT, LIMIT)
    b = clip((lots - f[mean + 1]) * f[inverse + 1], -LIMIT, LIMIT)
    c = clip((spread - f[mean + 2]) * f[inverse + 2], -LIMIT, LIMIT)
    d = clip((imbalance - f[mean + 3]) * f[inverse + 3], -LIMIT, LIMIT)
    return float(0.5 * (a * a + b * b + c * c + d * d))


@nb.njit(cache=False, forceinline=True)
def _expected(f: Any, state: int) -> float:
    """Probability of a state before the row: the start on a run's first row, else one transition on."""
    if f[X_FIRST] == 1.0:
        return float(f[P_START + state])
    column = P_REGIME + state
    return float(f[S_STATE] * f[column] + f[S_STATE + 1] * f[column + STATES] + f[S_STATE + 2] * f[column + 2 * STATES])


@nb.njit(cache=False, forceinline=True)
def update(f: Any) -> None:
    """A row that counts, after the core."""
    if f[X_FIRST] == 1.0:
        _prepare(f)
    volatility, lots = np.log(f[F68] + 0.01), np.log(1.0 + flow(f, S_LOTS, f[X_W60], f[X_DV]))
    spread, imbalance = f[X_SPREAD], abs(f[F31])
    first = _distance(f, 0, volatility, lots, spread, imbalance)
    # relative to state 1, which saves an exponential; distances are at most 32
    quiet = _expected(f, 0) * f[S_SCALE]
    usual = _expected(f, 1) * f[S_SCALE + 1] * np.exp(first - _distance(f, 1, volatility, lots, spread, imbalance))
    busy = _expected(f, 2) * f[S_SCALE + 2] * np.exp(first - _distance(f, 2, volatility, lots, spread, imbalance))
    whole = 1.0 / (quiet + usual + busy)
    f[S_STATE], f[S_STATE + 1], f[S_STATE + 2] = quiet * whole, usual * whole, busy * whole
    f[REGIME1], f[REGIME1 + 1], f[REGIME1 + 2] = f[S_STATE], f[S_STATE + 1], f[S_STATE + 2]
