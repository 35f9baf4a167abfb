"""Parameters of fitted factors: one array for the kernel, neutral where nothing was fitted, with the range they come from."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.core.ids import content_hash
from ghtrader.datasets.factors.kernels.layout import P_HAR, P_LARGE, P_MICRO, P_OFI, P_REGIME, P_SWEEP, PARAMS, PARAMS_END

__all__ = ["PARAMETERS", "FittedParameters", "parameter_array"]

_STAY = 0.98
#: Name -> (first place in the kernel's array, neutral values). The regime: transitions row by row, means and deviations of (ln
#: volatility, ln flow, spread, |order-flow imbalance|) per state, starting probabilities.
PARAMETERS: dict[str, tuple[int, tuple[float, ...]]] = {
    "micro": (P_MICRO, tuple((spread + 1) * (step + 0.5) / 10.0 for step in range(5) for spread in range(3))),
    "sweep_lots": (P_SWEEP, (2.0, 20.0)),
    "ofi_weights": (P_OFI, (0.2, 0.2, 0.2, 0.2, 0.2)),
    "large_lots": (P_LARGE, (100.0,)),
    "har": (P_HAR, (0.0, 0.5, 0.3, 0.2)),
    "regime": (
        P_REGIME,
        (
            *(_STAY if row == column else (1.0 - _STAY) / 2.0 for row in range(3) for column in range(3)),
            *(-2.5, 3.0, 1.0, 0.2, -1.6, 5.0, 1.05, 0.4, -0.8, 7.0, 1.3, 0.8),
            *(0.6, 1.0, 0.3, 0.3, 0.5, 1.0, 0.4, 0.4, 0.6, 1.0, 0.8, 0.8),
            *(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0),
        ),
    ),
}


class FittedParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What `ghtrader features fit` estimated. values: name in `PARAMETERS` -> numbers, in their order.

    symbol, days (ISO), first_ns, last_ns: the rows it saw; rows at or before ``last_ns`` are refused outside training.
    """

    symbol: str
    days: tuple[str, ...]
    first_ns: int
    last_ns: int
    rows: int
    values: dict[str, tuple[float, ...]]

    @property
    def params_hash(self) -> str:
        """Identity of values and range."""
        return content_hash(msgspec.to_builtins(self))


def parameter_array(values: dict[str, tuple[float, ...]] | None = None) -> npt.NDArray[np.float64]:
    """The kernel's array: neutral values, overlaid with fitted ones. Raises UsageError for unknown names or wrong lengths."""
    array = np.zeros(PARAMS_END - PARAMS)
    for at, neutral in PARAMETERS.values():
        array[at - PARAMS : at - PARAMS + len(neutral)] = neutral
    for name, given in (values or {}).items():
        if name not in PARAMETERS:
            raise UsageError(f"no fitted parameter {name!r}", hint=f"one of {', '.join(PARAMETERS)}")
        at, neutral = PARAMETERS[name]
        if len(given) != len(neutral) or not np.isfinite(given).all():
            raise UsageError(f"{name} takes {len(neutral)} finite numbers", hint="ghtrader features fit")
        array[at - PARAMS : at - PARAMS + len(neutral)] = given
    return array
