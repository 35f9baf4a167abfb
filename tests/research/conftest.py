"""Small datasets made of arrays, so that a test changes only what it is about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.day_dataset import DayDataset, Horizon

HORIZON = Horizon("ticks", 10)
DAYS = ("2020-02-04", "2020-02-05", "2020-02-06", "2020-02-07", "2020-02-10", "2020-02-11")
DAY_NS = 86_400_000_000_000
STEP_NS = 500_000_000


@pytest.fixture
def day_dataset() -> Callable[..., DayDataset]:
    """A day whose mid walks along with its first factor; four factors, one horizon of ten ticks."""

    def build(number: int = 0, *, rows: int = 4000, seed: int = 0, signal: float = 0.5) -> DayDataset:
        random = np.random.default_rng([seed, number])
        factors = random.normal(size=(rows, 4))
        steps = np.rint(signal * factors[:, 0] + random.normal(size=rows))
        mid = 3000.0 + np.concatenate([[0.0], np.cumsum(steps)[:-1]])
        breaks = np.zeros(rows, dtype=np.bool_)
        breaks[[0, rows // 2]] = True
        y = np.full(rows, np.nan)
        length = HORIZON.length
        y[:-length] = mid[length:] - mid[:-length]
        run = np.cumsum(breaks)
        crossing = np.ones(rows, dtype=np.bool_)
        crossing[:-length] = run[length:] != run[:-length]
        y[crossing | breaks] = np.nan
        start = 1_580_778_000_000_000_000 + number * DAY_NS
        return DayDataset(
            symbol="SHFE.cu2006",
            trading_day=TradingDay.parse(DAYS[number]),
            ts_ns=start + STEP_NS * np.arange(rows, dtype=np.int64),
            part=np.where(np.arange(rows) < rows // 2, 1, 2).astype(np.int8),
            break_before=breaks,
            mid_ticks=mid,
            factor_names=("A", "B", "C", "D"),
            factors=factors,
            horizons=(HORIZON,),
            y=y[:, None],
            void=np.where(np.isnan(y), 5, 0).astype(np.uint8)[:, None],
            eligible=np.ones(rows, dtype=np.bool_),
            build_hash=f"day{number}",
        )

    return build
