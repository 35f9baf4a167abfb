"""Group D, returns and volatility: F62 to F67, F69 to F79 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any, ts: int) -> None:
    """A row that counts, after the core."""
