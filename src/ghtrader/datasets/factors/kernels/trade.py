"""Group C, trades and open interest: F43, F44, F46, F48 to F56, F58 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any) -> None:
    """A row that counts, after the core."""
