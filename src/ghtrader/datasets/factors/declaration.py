"""What a factor's declaration holds: its card."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Factor", "FactorSet", "Flip"]

#: odd: changes sign under a bid/ask flip; even: does not change; swap: exchanges with ``partner``.
Flip = Literal["odd", "even", "swap"]


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """One factor. ``slot`` is its column in the kernel's output; ``version`` rises when its values change."""

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


class FactorSet(msgspec.Struct, frozen=True, kw_only=True):
    """A named, ordered choice of factors. ``set_hash`` covers declarations and kernel source."""

    name: str
    factors: tuple[Factor, ...]
    set_hash: str

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the factors, in column order."""
        return tuple(factor.id for factor in self.factors)
