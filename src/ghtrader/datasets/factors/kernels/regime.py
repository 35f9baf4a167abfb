"""Group H, filtered regime: three probabilities (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any) -> None:
    """A row that counts, after the core."""
