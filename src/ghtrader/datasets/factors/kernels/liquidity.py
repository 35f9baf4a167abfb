"""Group E, liquidity, toxicity, impact: F80 to F89, F91 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit
def update(s: Any, k: Any, c: Any, h: Any, ring_i: Any, ring_f: Any, x: Any, ts: int, row: Any) -> None:
    """A row that counts, after the core."""
