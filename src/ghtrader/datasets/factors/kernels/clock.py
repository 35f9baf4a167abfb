"""Group F, clock: F92 to F94, F96 to F99 (definitions: the cards in `catalogue`)."""

from __future__ import annotations

from typing import Any

import numba as nb

__all__ = ["update"]


@nb.njit(cache=False)
def update(f: Any, k: Any, ts: int, part: int, part_start_ns: int, part_end_ns: int) -> None:
    """A row that counts, after the core."""
