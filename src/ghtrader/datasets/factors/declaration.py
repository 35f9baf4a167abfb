"""What a factor's declaration holds: its card."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Factor", "FactorSet", "Flip", "Needs", "Scope"]

#: odd: changes sign under a bid/ask flip; even: does not change; swap: exchanges with ``partner``.
Flip = Literal["odd", "even", "swap"]
#: What a factor reads beyond the day's own rows: earlier days of the contract, another instrument, the next main contract.
Needs = Literal["", "history", "peer", "next"]
#: What a factor's state lives through: a run (it begins anew after every break), or the trading day (it ends with the contract).
Scope = Literal["run", "day"]


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """One factor. ``slot`` is its column in the kernel's output; ``version`` rises when its values change.

    group: what it is reported under. kernel: the file of `kernels` that computes it; reads: further ones whose factors it
    reads. fitted: names of the parameters that `ghtrader features fit` estimates; neutral: what stands in for them without a
    fit. needs: what has to be there beside the day's own rows; without it every value is NaN and absent_reason says so.
    level_exempt: why the factor may see a price or turnover level. user: declared in a file outside the package.
    """

    id: str
    name: str
    slot: int
    formula: str
    unit: str
    lookback: str
    columns: tuple[str, ...]
    flip: Flip
    nan_policy: str
    group: str
    version: int = 1
    partner: str = ""
    source: str = ""
    fitted: tuple[str, ...] = ()
    neutral: str = ""
    needs: Needs = ""
    absent_reason: str = ""
    level_exempt: str = ""
    kernel: str = "core"
    reads: tuple[str, ...] = ()
    scope: Scope = "run"
    user: bool = False


class FactorSet(msgspec.Struct, frozen=True, kw_only=True):
    """A named, ordered choice of factors. ``set_hash`` covers declarations, kernel source, and the user's file."""

    name: str
    factors: tuple[Factor, ...]
    set_hash: str
    user_file: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the factors, in column order."""
        return tuple(factor.id for factor in self.factors)
