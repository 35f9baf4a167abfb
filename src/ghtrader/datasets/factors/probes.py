"""Any number of the kernel's row or state as a column: what peers and the fit of parameters read beside factors."""

from __future__ import annotations

from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.kernels.layout import ROW

__all__ = ["probe_set"]


def probe_set(name: str, places: dict[str, tuple[int, str]]) -> FactorSet:
    """A set whose columns are places of ``f`` (`kernels.layout`) after each row. places: column -> (place, kernel that fills it).

    The row of factors is NaN on rows that do not count; every other place keeps what it held: take F1 along to tell.
    """
    columns = tuple(
        Factor(
            id=column,
            name=column,
            slot=at - ROW,
            formula="",
            unit="",
            lookback="",
            columns=(),
            flip="even",
            nan_policy="",
            group="probe",
            kernel=kernel,
        )
        for column, (at, kernel) in places.items()
    )
    return FactorSet(name=name, factors=columns, set_hash="")
