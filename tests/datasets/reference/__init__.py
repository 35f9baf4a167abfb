"""Every factor of the catalogue in plain Python, written from the cards alone: slow, whole history kept, one run at a time.

The compiled kernels are measured against it; nothing here reads them. A factor's formula stands on its card, and here once
more as directly as it can be said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tests.datasets.reference import book, clock, cross, flow, liquidity, regime, returns, trade, whole_day
from tests.datasets.reference.rows import Columns, Given, contracts

from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.history import DaySummary

__all__ = ["reference"]

GROUPS = (book, flow, trade, returns, liquidity, clock, cross, regime)


def reference(
    ticks: DayTicks,
    sessions: DaySessions,
    *,
    values: dict[str, tuple[float, ...]] | None = None,
    earlier: Sequence[DaySummary] = (),
    peers: npt.NDArray[np.float64] | None = None,
) -> tuple[dict[str, npt.NDArray[np.float64]], DaySummary]:
    """Every factor of every row of a day by id, NaN where undefined, and what the day leaves to the following ones.

    values: fitted parameters by name. earlier: summaries of the contract's earlier days. peers: (2, n, SIZE_PEER).
    """
    out: dict[str, npt.NDArray[np.float64]] = {}
    given = Given(ticks, sessions, values, list(earlier), peers)
    for number, runs in enumerate(contracts(ticks)):
        if number > 0:  # another contract: what the day and earlier days left is forgotten
            given = Given(ticks, sessions, values, [], peers)
        columns: Columns = {}
        for run in runs:
            found: Columns = {}
            for group in GROUPS:
                found |= group.columns(run, given, found)
            for name, numbers in found.items():
                columns.setdefault(name, []).extend(numbers)
        columns |= whole_day.columns(runs, given, columns)
        summary = whole_day.summary(ticks.trading_day.iso, runs, given)
        places = [row.i for run in runs for row in run]
        for name, numbers in columns.items():
            out.setdefault(name, np.full(len(ticks), np.nan))[places] = numbers
    return out, summary
