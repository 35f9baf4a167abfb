"""Windows by the clock that hold more rows than the ring keeps: right or NaN, never something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.datasets.factor_cases import COLUMN, F64, Case, some_history

from ghtrader.core.phases import Phase
from ghtrader.datasets.factors.kernels.layout import RING

DENSE, SPARSE = 2600, 700


@pytest.fixture(scope="module")
def dense(sample_day: Callable) -> Case:
    """One run that begins with 2,600 rows in 52 s and goes on with one row a second."""
    ticks, sessions = sample_day("2025-06-06")
    window = sessions.parts[-1]
    two_sided = (ticks.bid_sz[:, 0] > 0) & (ticks.ask_sz[:, 0] > 0)
    rows = np.flatnonzero((ticks.part == int(window.part)) & (ticks.phase == int(Phase.CONTINUOUS)) & two_sided)[: DENSE + SPARSE]
    steps = np.where(np.arange(len(rows)) < DENSE, 20_000_000, 1_000_000_000)
    ticks = ticks.rows(rows)
    ticks = replace(ticks, ts_ns=window.start_ns + np.cumsum(steps), break_before=np.arange(len(rows)) == 0)
    return Case(ticks, sessions, some_history(1000.0, 2))


def expected(case: Case) -> dict[str, F64]:
    """From the cards, every window looked at anew."""
    t = case.ticks
    mid, n = t.mid_ticks, np.arange(len(t))
    out: dict[str, F64] = {}
    for id_, seconds in (("F59", 2), ("F60", 10), ("F61", 60), ("F62", 300)):
        first = np.searchsorted(t.ts_ns, t.ts_ns - seconds * 1_000_000_000, side="right")
        kept = n + 1 - first < RING
        out[id_] = np.where(kept & (first > 0), mid - mid[first - 1], np.nan)
        if seconds == 60:
            minute = (t.ts_ns - case.sessions.parts[-1].start_ns) // 60_000_000_000
            usual = np.mean([day.activity for day in case.earlier], axis=0)[int(case.sessions.parts[-1].part) * 360 + minute]
            out["F99"] = np.where(kept, (n + 1 - first) / np.maximum(1.0, usual), np.nan)
    high = np.array([mid[a : b + 1].max() for a, b in zip(first, n, strict=True)])
    low = np.array([mid[a : b + 1].min() for a, b in zip(first, n, strict=True)])
    place = np.divide(mid - (high + low) / 2.0, high - low, out=np.zeros(len(mid)), where=high > low)
    out["F64"] = np.where(kept, place, np.nan)
    out["F76"] = np.where(kept, (high - low) / (2.0 * np.sqrt(np.log(2.0))), np.nan)
    return out


@pytest.mark.parametrize("id_", ["F59", "F60", "F61", "F62", "F64", "F76", "F99"])
def test_a_window_with_more_rows_than_are_kept_is_nan_and_every_other_one_is_right(dense: Case, id_: str) -> None:
    got, wanted = dense.batch()[:, COLUMN[id_]], expected(dense)[id_]
    assert len(got) == DENSE + SPARSE
    assert np.flatnonzero(np.isnan(got) != np.isnan(wanted)).tolist() == []
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def test_the_market_of_these_tests_overfills_both_windows_and_leaves_them_again(dense: Case) -> None:
    values = expected(dense)
    for id_ in ("F64", "F76", "F99"):
        absent = np.isnan(values[id_])
        assert not absent[0]
        assert absent.any()
        assert not absent[-1]
