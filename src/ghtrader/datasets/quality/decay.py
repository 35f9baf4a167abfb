"""Half-life of an information coefficient over the horizon."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["HalfLife", "half_life"]

F64 = npt.NDArray[np.float64]

STEPS = 400
#: Half-lives are searched from a quarter of the shortest horizon to four times the longest.
REACH = 4.0
MIN_POINTS = 4


class HalfLife(msgspec.Struct, frozen=True, kw_only=True):
    """IC(h) = ic0 2^(-h / half_life). half_life: in the horizons' unit. r2: share of the ICs' squares that the curve explains."""

    ic0: float
    half_life: float
    r2: float


def half_life(horizons: F64, ic: F64) -> HalfLife | None:
    """Least-squares fit of ``ic0 2^(-h / half_life)`` to the known ICs; None where no decay can be seen in them.

    None: fewer than four known ICs, all of them 0, or a best fit at either end of the searched range (a
    quarter of the shortest horizon to four times the longest).

    >>> found = half_life(np.array([1.0, 2, 5, 10, 20, 50]), 0.3 * 2.0 ** (-np.array([1.0, 2, 5, 10, 20, 50]) / 12))
    >>> round(found.ic0, 4), round(found.half_life, 3), round(found.r2, 4)
    (0.3, 12.0, 1.0)
    """
    from scipy.optimize import minimize_scalar

    known = np.isfinite(ic)
    h, z = horizons[known], ic[known]
    total = float(z @ z)
    if len(z) < MIN_POINTS or total == 0.0:
        return None

    def loss(log_tau: float) -> float:
        curve = np.exp2(-h / np.exp(log_tau))
        square = float(curve @ curve)
        return total - float(curve @ z) ** 2 / square if square > 0.0 else total

    grid = np.linspace(np.log(h.min() / REACH), np.log(h.max() * REACH), STEPS)
    best = int(np.argmin([loss(point) for point in grid]))
    if best in {0, STEPS - 1}:
        return None
    fitted = minimize_scalar(loss, bounds=(grid[best - 1], grid[best + 1]), method="bounded", options={"xatol": 1e-10})
    tau = float(np.exp(fitted.x))
    curve = np.exp2(-h / tau)
    return HalfLife(ic0=float(curve @ z) / float(curve @ curve), half_life=tau, r2=1.0 - float(fitted.fun) / total)
