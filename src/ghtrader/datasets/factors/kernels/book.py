"""Group A, book shape: F2, F3, F5, F9, F11, F13 to F24 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """A row that counts, after the core."""
