"""The peers of `ghtrader bench factors` compute the same sixteen factors, or the comparison means nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.pipelines.bench.factor_peers import by_numpy, by_pandas, by_polars, counting_rows
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market


@pytest.fixture(scope="module")
def day() -> tuple[DayTicks, DaySessions]:
    generated = next(generate_market("planted", 5, days=1))
    return counting_rows(day_ticks(generated)), generated.sessions


@pytest.mark.parametrize("peer", [by_numpy, by_polars, by_pandas], ids=lambda peer: peer.__name__)
def test_a_peer_computes_the_same_sixteen_factors(day: tuple[DayTicks, DaySessions], peer: Callable) -> None:
    ticks, sessions = day
    ours, theirs = compute(ticks, sessions, factor_set("minimal16")), peer(ticks, sessions)
    assert (np.isnan(ours) == np.isnan(theirs)).all()
    np.testing.assert_allclose(theirs, ours, rtol=1e-7, atol=1e-7)
