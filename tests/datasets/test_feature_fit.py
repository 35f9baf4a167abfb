from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Cli

from ghtrader.core.errors import DataError
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.factors.fit import FitSample, fit_parameters, fit_sample, har, micro_price, ofi_weights
from ghtrader.datasets.factors.fit_regime import regime
from ghtrader.datasets.factors.parameters import PARAMETERS, parameter_array

HALF_S = 500_000_000


def sample(rows: int, **changed: np.ndarray) -> FitSample:
    """A quiet day without anything in it."""
    first = np.zeros(rows, dtype=bool)
    first[0] = True
    nothing = np.zeros(rows)
    base = FitSample(
        trading_day="2025-06-05", ts_ns=np.arange(rows) * HALF_S, first=first, mid=nothing, spread=np.ones(rows), imbalance=nothing,
        lots=nothing, ofi=np.zeros((rows, 5)), logs=np.zeros((rows, 3)), state=np.zeros((rows, 4)),
    )  # fmt: skip
    return replace(base, **changed)


def test_the_micro_price_is_the_expected_move_of_a_memoryless_book_and_odd() -> None:
    # the imbalance is drawn anew each row; with |I| in the last bin the mid moves one tick towards it half of the time
    rng = np.random.default_rng(1)
    imbalance = rng.uniform(-1.0, 1.0, 200_000)
    jump = np.where((np.abs(imbalance[:-1]) >= 0.8) & (rng.random(199_999) < 0.5), np.sign(imbalance[:-1]), 0.0)
    found = np.array(micro_price([sample(200_000, imbalance=imbalance, mid=np.concatenate([[0.0], np.cumsum(jump)]))])).reshape(
        5, 3
    )
    assert found[:, 0] == pytest.approx([0.0, 0.0, 0.0, 0.0, 0.5], abs=0.02)
    assert found[:, 1:].tolist() == np.array(PARAMETERS["micro"][1]).reshape(5, 3)[:, 1:].tolist()  # spreads that nobody saw


def test_weights_of_the_order_flow_are_the_first_component_with_a_positive_sum() -> None:
    rng = np.random.default_rng(2)
    direction = np.array([4.0, 3.0, 2.0, 1.0, 0.0]) / 10.0
    ofi = rng.normal(size=(20_000, 1)) * -direction * 10.0 + rng.normal(0.0, 0.05, (20_000, 5))
    assert ofi_weights(ofi) == pytest.approx(direction, abs=0.01)


def test_the_volatility_forecast_recovers_what_was_planted() -> None:
    rng = np.random.default_rng(3)
    rows, level = 400_000, np.repeat(rng.normal(-1.0, 1.0, 400), 1000)
    moves = np.sqrt(np.exp(level)) * rng.choice([-1.0, 1.0], rows)
    logs = np.column_stack([level, rng.normal(size=rows), rng.normal(size=rows)])
    found = har([sample(rows, mid=np.cumsum(moves), logs=logs)])
    assert found == pytest.approx((0.0, 1.0, 0.0, 0.0), abs=0.15)


def test_the_regime_finds_three_planted_states_by_rising_volatility() -> None:
    rng = np.random.default_rng(4)
    which = np.repeat(rng.integers(0, 3, 300), 100)
    means = np.array([[3.0, 1.0, 1.0, 0.0], [-3.0, 5.0, 1.2, 0.3], [0.0, 9.0, 1.4, 0.6]])
    state = means[which] + rng.normal(0.0, 0.3, (len(which), 4))
    found = np.array(regime([state], [np.arange(len(which)) == 0]))
    assert found[9:21].reshape(3, 4) == pytest.approx(means[[1, 2, 0]], abs=0.05)
    moves = found[:9].reshape(3, 3)
    assert moves.sum(axis=1) == pytest.approx(np.ones(3))
    assert (np.diag(moves) > 0.97).all()


def test_a_fit_reads_its_own_days_and_its_numbers_reach_the_kernel(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    fitted = fit_parameters("SHFE.rb2510", [fit_sample(ticks, sessions)])
    assert fitted == fit_parameters("SHFE.rb2510", [fit_sample(ticks, sessions)])
    assert fitted.days == ("2025-06-05",)
    assert fitted.last_ns == int(ticks.ts_ns[ticks.phase == 3][-1])
    assert fitted.rows > 40_000
    assert set(fitted.values) == set(PARAMETERS)
    other, windows = sample_day("2025-06-06")
    chosen = factor_set("all")
    neutral, own = (compute(other, windows, chosen, params=parameter_array(values)) for values in (None, fitted.values))
    differs = {
        item.id for item, a, b in zip(chosen.factors, neutral.T, own.T, strict=True) if not np.array_equal(a, b, equal_nan=True)
    }
    assert differs == {item.id for item in chosen.factors if item.fitted}
    lots = np.diff(ticks.volume[ticks.phase == 3])
    large = (np.diff(other.volume[other.phase == 3]) > fitted.values["large_lots"][0]).sum()
    assert large - 4 <= np.nansum(own[:, chosen.ids.index("F54")]) <= large  # first rows of four runs have no interval
    assert fitted.values["large_lots"][0] == pytest.approx(np.percentile(lots[lots > 0], 99), rel=0.02)


def test_too_little_data_is_refused(sample_day: Callable) -> None:
    ticks, sessions = sample_day("2025-06-05")
    with pytest.raises(DataError, match="at least 5000 rows"):
        fit_parameters("SHFE.rb2510", [fit_sample(ticks.rows(slice(0, 2000)), sessions)])


def test_a_fit_is_refused_on_the_rows_it_saw(cli: Cli, tmp_path: Path) -> None:
    first, second = sorted((Path(__file__).parents[2] / "samples").glob("*.parquet"))[:2]
    fit = str(tmp_path / "fit.json")
    assert cli.json("features", "fit", str(first), "--out", fit, "--json")["fitted"]["days"] == ["2025-06-05"]
    asked = ("--set", "full", "--out", str(tmp_path / "f.parquet"), "--params", fit)
    refused = cli.run("features", "compute", str(first), *asked)
    assert refused.returncode == 4
    assert "know its future" in refused.stderr
    assert cli.run("features", "compute", str(second), *asked).returncode == 0
    assert cli.run("features", "compute", str(first), *asked, "--in-sample").returncode == 0
