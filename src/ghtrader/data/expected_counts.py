"""How many rows a day should have: quantiles of comparable days before it, with sample size. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ghtrader.data.verdict import ExpectedRows

__all__ = ["expected_rows"]


def expected_rows(
    earlier: Sequence[tuple[tuple[int, ...], int]], parts: tuple[int, ...], *, lookback_days: int
) -> ExpectedRows | None:
    """p10, p50 and p90 of the rows of the last ``lookback_days`` days with the same session parts; None when there is none.

    earlier: (session parts, rows) of the days before, in time order. A day without a night is compared with such days only.

    >>> expected_rows([((1, 2, 3), 27_000), ((0, 1, 2, 3), 41_000)], (0, 1, 2, 3), lookback_days=20)
    ExpectedRows(p10=41000.0, p50=41000.0, p90=41000.0, sample_days=1, lookback_days=20)
    """
    rows = [count for layout, count in earlier if layout == parts][-lookback_days:]
    if not rows:
        return None
    p10, p50, p90 = (float(value) for value in np.quantile(rows, (0.1, 0.5, 0.9)))
    return ExpectedRows(p10=p10, p50=p50, p90=p90, sample_days=len(rows), lookback_days=lookback_days)
