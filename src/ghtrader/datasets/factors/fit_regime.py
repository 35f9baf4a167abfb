"""A hidden Markov model of three regimes with diagonal Gaussians, fitted by expectation-maximisation (Rabiner, 1989)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["decayed", "regime"]

F64 = npt.NDArray[np.float64]
REGIMES = 3
STAY = 0.98
ROUNDS = 12
LEAST_DEVIATION = 0.05
MOST_DEVIATIONS = 4.0
NS = 1e9


@nb.njit(cache=True)
def decayed(ts_ns: Any, values: Any, first: Any, half_life_s: float) -> Any:
    """EWMA flow of values (n,), begun anew where ``first``."""
    out = np.empty(len(values))
    state = 0.0
    for row in range(len(values)):
        weight = 0.0 if first[row] else 2.0 ** (-(ts_ns[row] - ts_ns[row - 1]) / NS / half_life_s)
        state = weight * state + values[row]
        out[row] = state
    return out


@nb.njit(cache=True)
def _densities(z: Any, mean: Any, deviation: Any) -> Any:
    """Likelihood of each row under each state, up to a factor per row; distances clipped as the filter clips them."""
    out = np.empty((len(z), REGIMES))
    for row in range(len(z)):
        most = -np.inf
        for state in range(REGIMES):
            total = 0.0
            for column in range(z.shape[1]):
                away = min(MOST_DEVIATIONS, abs(z[row, column] - mean[state, column]) / deviation[state, column])
                total -= 0.5 * away * away + np.log(deviation[state, column])
            out[row, state] = total
            most = max(most, total)
        for state in range(REGIMES):
            out[row, state] = np.exp(out[row, state] - most)
    return out


@nb.njit(cache=True)
def _expect(likelihood: Any, first: Any, move: Any, start: Any) -> Any:
    """Probabilities of states given everything (n, 3), and expected moves (3, 3): forward and backward within runs."""
    size = len(likelihood)
    forward, backward, moves = np.empty((size, REGIMES)), np.ones((size, REGIMES)), np.zeros((REGIMES, REGIMES))
    for row in range(size):
        for state in range(REGIMES):
            prior = start[state]
            if not first[row]:
                prior = 0.0
                for before in range(REGIMES):
                    prior += forward[row - 1, before] * move[before, state]
            forward[row, state] = prior * likelihood[row, state]
        forward[row] /= forward[row].sum()
    for row in range(size - 2, -1, -1):
        if first[row + 1]:
            continue
        for state in range(REGIMES):
            total = 0.0
            for after in range(REGIMES):
                total += move[state, after] * likelihood[row + 1, after] * backward[row + 1, after]
            backward[row, state] = total
        backward[row] /= backward[row].sum()
        joint = np.empty((REGIMES, REGIMES))
        for state in range(REGIMES):
            for after in range(REGIMES):
                joint[state, after] = (
                    forward[row, state] * move[state, after] * likelihood[row + 1, after] * backward[row + 1, after]
                )
        moves += joint / joint.sum()
    both = forward * backward
    for row in range(size):
        both[row] /= both[row].sum()
    return both, moves


def regime(states: Sequence[F64], firsts: Sequence[npt.NDArray[np.bool_]]) -> tuple[float, ...]:
    """Transitions row by row, means, deviations and starting probabilities (`parameters.PARAMETERS`), by rising volatility.

    states: (n, 4) per day, what the filter looks at. firsts: where a run begins. It starts from thirds of the volatility and takes
    twelve rounds, so that the same rows always give the same numbers.
    """
    z, first = np.concatenate(list(states)), np.concatenate(list(firsts))
    known = np.isfinite(z).all(axis=1)
    z, first = z[known], first[known]
    first[0] = True
    third = np.searchsorted(np.quantile(z[:, 0], (1 / 3, 2 / 3)), z[:, 0])
    weights = np.eye(REGIMES)[third]
    move = np.full((REGIMES, REGIMES), (1.0 - STAY) / (REGIMES - 1)) + np.eye(REGIMES) * (STAY - (1.0 - STAY) / (REGIMES - 1))
    start = np.full(REGIMES, 1.0 / REGIMES)
    for _ in range(ROUNDS):
        total = np.maximum(weights.sum(axis=0), 1e-9)[:, None]
        mean = weights.T @ z / total
        deviation = np.sqrt(np.maximum(weights.T @ z**2 / total - mean**2, LEAST_DEVIATION**2))
        weights, moves = _expect(_densities(z, mean, deviation), first, move, start)
        move = (moves + 1e-3) / (moves + 1e-3).sum(axis=1, keepdims=True)
        start = (weights[first].sum(axis=0) + 1e-3) / (first.sum() + 3e-3)
    order = np.argsort(mean[:, 0], kind="stable")
    parts = (move[np.ix_(order, order)], mean[order], deviation[order], start[order])
    return tuple(float(number) for part in parts for number in part.ravel())
