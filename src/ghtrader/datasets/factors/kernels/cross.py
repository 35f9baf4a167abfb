"""Group G, cross-asset: F100 to F108 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit
def update(s: Any, k: Any, c: Any, x: Any, peer: Any, following: Any, row: Any) -> None:
    """A row that counts, after the core."""
