from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import present_factors
from ghtrader.datasets.factors.catalogue import factor_set


def test_a_factor_that_an_eligible_row_lacks_is_left_out_on_every_day(sample_day: Callable) -> None:
    days = [build_day(*sample_day(day), factor_set("minimal16")) for day in ("2025-06-05", "2025-06-06")]
    assert [day.factor_names for day in present_factors(days)] == [days[0].factor_names] * 2
    holed = days[1].factors.copy()
    holed[np.flatnonzero(days[1].eligible)[-1], 3] = np.nan
    kept = present_factors([days[0], replace(days[1], factors=holed)])
    assert [day.factor_names for day in kept] == [tuple(name for name in days[0].factor_names if name != "F12")] * 2
    assert np.array_equal(kept[0].factors, np.delete(days[0].factors, 3, axis=1), equal_nan=True)
    assert present_factors([]) == []
