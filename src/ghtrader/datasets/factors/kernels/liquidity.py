"""Group E, liquidity, toxicity, impact: F80 to F89, F91 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any, ts: int) -> None:
    """A row that counts, after the core."""
