from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm, rankdata, spearmanr

from ghtrader.datasets.quality.battery import SAMPLE_ROWS, Battery, DayRows, blocks_of
from ghtrader.datasets.quality.decay import half_life
from ghtrader.datasets.quality.drift import Reference, psi
from ghtrader.datasets.quality.ic import DaySums, correlation, day_sums, partial_correlation
from ghtrader.datasets.quality.redundancy import clusters, rank_correlations, repeated

F64 = np.ndarray


def sums(x: F64, y: F64, controls: F64 | None = None, parts: F64 | None = None, blocks: int = 4) -> DaySums:
    size = x.shape[1]
    controls = np.zeros((2, size)) if controls is None else controls
    parts = np.zeros(size, dtype=np.int8) if parts is None else parts.astype(np.int8)
    block = np.arange(size) * blocks // size
    return day_sums(x, y, controls, parts, block, blocks, tuple(range(len(y))))


# --- drift -----------------------------------------------------------------------------------------------------------


def test_psi_of_equal_distributions_is_zero_and_of_a_shift_what_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=20_000)
    reference = Reference.of(values)
    assert reference.psi(np.sort(values)) == 0.0
    assert reference.psi(np.sort(rng.normal(size=20_000))) < 0.005
    # deciles of N(0, 1) seen from N(0.5, 1)
    edges = norm.ppf(np.linspace(0, 1, 11))
    shares = np.diff(norm.cdf(edges, loc=0.5))
    known = float(((shares - 0.1) * np.log(shares / 0.1)).sum())
    assert reference.psi(np.sort(values + 0.5)) == pytest.approx(known, rel=0.05)
    assert np.isnan(Reference.of(np.zeros(0)).psi(values))
    assert np.isnan(psi(np.zeros(3), np.ones(3)))


def test_a_value_that_fills_bins_is_counted_apart() -> None:
    zeros = np.zeros(900)
    reference = Reference.of(np.concatenate([zeros, np.full(50, -1.0), np.full(50, 1.0)]))
    swapped = np.sort(np.concatenate([zeros, np.full(100, 1.0)]))
    # the share below zero went from 5 % to none: only a bin of its own for zero sees it
    assert reference.psi(swapped) > 0.25
    rare = Reference.of(np.concatenate([np.ones(950), np.zeros(50)]))
    assert rare.psi(np.sort(np.concatenate([np.ones(500), np.zeros(500)]))) > 0.9


@pytest.mark.parametrize("discrete", [False, True])
def test_ks_is_scipys_to_the_resolution(discrete: bool) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=9_000), rng.normal(0.2, 1.3, size=7_000)
    if discrete:
        first, second = np.round(first * 2), np.round(second * 2)
    found = Reference.of(first).ks(np.sort(second))
    assert abs(found - ks_2samp(first, second).statistic) <= 1.0 / 1024 + 1e-12


# --- information coefficients ----------------------------------------------------------------------------------------


def test_correlations_are_numpys_and_scipys_with_ties_and_holes() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 3000))
    y = np.round(np.stack([x[0] + rng.normal(size=3000), rng.normal(size=3000)]) * 2) / 2
    x[1] = np.round(x[1])
    x[2, ::7] = np.nan
    y[:, -200:] = np.nan
    y[1, :50] = np.nan
    parts = np.arange(3000) * 4 // 3000
    found = sums(x, y, parts=parts)
    for f in range(3):
        for h in range(2):
            known = np.isfinite(x[f]) & np.isfinite(y[h])
            assert correlation(found.pearson.sum(-1))[f, h] == pytest.approx(
                np.corrcoef(x[f, known], y[h, known])[0, 1], abs=1e-12
            )
            assert correlation(found.spearman.sum(-1))[f, h] == pytest.approx(spearmanr(x[f, known], y[h, known])[0], abs=1e-12)
            for part in range(4):
                rows = known & (parts == part)
                assert correlation(found.part.sum(-1))[f, h, part] == pytest.approx(
                    spearmanr(x[f, rows], y[h, rows])[0], abs=1e-12
                )
    assert found.spearman[0].sum(-1)[2, 0] == (np.isfinite(x[2]) & np.isfinite(y[0])).sum()


def test_the_label_itself_has_ic_one_its_mirror_minus_one_and_a_constant_none() -> None:
    y = np.random.default_rng(3).normal(size=(1, 800))
    found = sums(np.concatenate([y, -(y**3), np.full((1, 800), 7.0)]), y)
    assert correlation(found.spearman.sum(-1))[:, 0] == pytest.approx([1.0, -1.0, np.nan], nan_ok=True)
    assert correlation(found.pearson.sum(-1))[0, 0] == pytest.approx(1.0)


def residual_ic(x: F64, y: F64, *controls: F64) -> float:
    """By least squares on ranks: the slow reference."""
    known = np.isfinite(np.stack([x, y, *controls])).all(axis=0)
    ranked = [rankdata(column[known]) for column in (x, y, *controls)]
    design = np.column_stack([np.ones(known.sum()), *ranked[2:]])
    left = ranked[0] - design @ np.linalg.lstsq(design, ranked[0], rcond=None)[0]
    return float(np.corrcoef(left, ranked[1])[0, 1])


def test_the_marginal_ic_is_that_of_the_regression_residual_and_none_of_what_the_controls_say_already() -> None:
    rng = np.random.default_rng(4)
    first, second, own = rng.normal(size=(3, 2000))
    second = second + 0.5 * first
    y = first + own + rng.normal(size=2000)
    x = np.stack([first + 0.3 * own, np.exp(first), own, rng.normal(size=2000)])
    x[2, :300] = np.nan
    first = first.copy()
    first[1900:] = np.nan
    x[0, 1950:] = np.nan
    table = sums(x, y[None], np.stack([first, second])).control.sum(-1)
    both = partial_correlation(table)[:, 0]
    for f in (0, 2, 3):
        assert both[f] == pytest.approx(residual_ic(x[f], y, first, second), abs=1e-10)
        assert partial_correlation(table, controls=(True, False))[f, 0] == pytest.approx(
            _on(x[f], y, first, second, 0), abs=1e-10
        )
        assert partial_correlation(table, controls=(False, True))[f, 0] == pytest.approx(
            _on(x[f], y, first, second, 1), abs=1e-10
        )
    assert np.isnan(both[1])  # a monotone image of the first control
    assert both[2] > 0.3


def _on(x: F64, y: F64, first: F64, second: F64, number: int) -> float:
    known = np.isfinite(first) & np.isfinite(second) & np.isfinite(x)
    return residual_ic(x[known], y[known], (first, second)[number][known])


def test_equal_controls_count_once() -> None:
    rng = np.random.default_rng(5)
    c, x, y = rng.normal(size=(3, 500))
    x = x + c
    table = sums(x[None], y[None], np.stack([c, 2 * c + 1])).control.sum(-1)
    assert partial_correlation(table)[0, 0] == pytest.approx(residual_ic(x, y, c), abs=1e-9)


# --- decay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ic0", "tau"), [(0.4, 3.0), (-0.2, 60.0), (0.1, 700.0)])
def test_a_planted_decay_is_recovered(ic0: float, tau: float) -> None:
    horizons = np.array([1.0, 2, 5, 10, 20, 50, 100, 200, 400])
    noise = np.random.default_rng(6).normal(0, abs(ic0) * 0.01, 9)
    found = half_life(horizons, ic0 * 2.0 ** (-horizons / tau) + noise)
    assert found is not None
    assert found.ic0 == pytest.approx(ic0, rel=0.05)
    assert found.half_life == pytest.approx(tau, rel=0.08)
    assert found.r2 > 0.99


def test_where_no_decay_can_be_seen_there_is_no_half_life() -> None:
    horizons = np.array([1.0, 2, 5, 10, 20, 50, 100, 200, 400])
    assert half_life(horizons, np.full(9, 0.1)) is None
    assert half_life(horizons, np.sqrt(horizons)) is None
    assert half_life(horizons, np.zeros(9)) is None
    assert half_life(horizons, np.array([0.1, 0.1, 0.05, *[np.nan] * 6])) is None


# --- redundancy ------------------------------------------------------------------------------------------------------


def test_rank_correlations_of_whole_columns_are_scipys() -> None:
    rng = np.random.default_rng(7)
    sample = rng.normal(size=(400, 4)) + rng.normal(size=(400, 1))
    sample[:, 3] = np.round(sample[:, 3])
    assert rank_correlations(sample) == pytest.approx(np.asarray(spearmanr(sample).statistic), abs=1e-12)
    holed = sample.copy()
    holed[:, 2] = np.nan
    assert np.isnan(rank_correlations(holed)[2]).all()


def test_constants_and_duplicates_are_named_and_near_ones_are_not() -> None:
    rng = np.random.default_rng(8)
    x, other = rng.normal(size=(2, 5000))
    x[::9] = np.nan
    columns = [x, -4 * x + 2, x + 0.02 * other, np.full(5000, 3.0), np.full(5000, np.nan), other]
    assert repeated(np.column_stack(columns)) == ([3], [(0, 1, -1.0)])


def test_clusters_put_together_what_moves_together() -> None:
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(2, 3000))
    sample = np.column_stack([a, b, -a + 0.1 * rng.normal(size=3000), b + 0.1 * rng.normal(size=3000), rng.normal(size=3000)])
    order, cluster = clusters(rank_correlations(sample))
    assert cluster[0] == cluster[2]
    assert cluster[1] == cluster[3]
    assert len(set(cluster)) == 3
    assert sorted(order) == list(range(5))
    assert [cluster[at] for at in order] == sorted(cluster)


# --- the battery -----------------------------------------------------------------------------------------------------


def day(name: str, rows: int, seed: int, shift: float = 0.0) -> DayRows:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, 3))
    factors[:, 1] += shift
    y = factors[:, :1] + rng.normal(size=(rows, 1))
    factors[: rows // 10, 2] = np.nan
    counted = np.ones(rows, dtype=np.bool_)
    counted[: rows // 5] = False
    block, blocks = blocks_of(np.arange(rows), rows // 3)
    return DayRows(
        name, factors, rng.normal(size=(rows, 2)), np.hstack([y, y]), np.ones(rows, dtype=np.bool_), counted,
        np.zeros(rows, dtype=np.int8), block, blocks,
    )  # fmt: skip


def test_the_battery_counts_presence_and_compares_later_days_with_the_first() -> None:
    battery = Battery(3, days=3, controlled=(0,))
    for number, shift in enumerate((0.0, 0.0, 2.0)):
        battery.add(day(f"day {number}", 6000, number, shift))
    assert battery.coverage[0] == pytest.approx([0.8, 0.8, 0.8])
    assert battery.absent[0] == pytest.approx([0.0, 0.0, 0.0])
    assert np.array(battery.psi)[0] == pytest.approx([0.0] * 3)
    assert np.array(battery.psi)[1].max() < 0.02
    assert np.array(battery.psi)[2, 1] > 1.0 > np.array(battery.psi)[2, 0]
    assert np.array(battery.ks)[2, 1] == pytest.approx(2 * norm.cdf(1.0) - 1.0, abs=0.02)
    whole = battery.sums
    assert whole.spearman.shape == (6, 3, 2, sum(day("", 6000, 0).blocks for _ in range(3)))
    pooled = correlation(whole.spearman.sum(-1))[:, 0]
    assert pooled[0] == pytest.approx(
        6 / np.pi * np.arcsin(np.sqrt(0.5) / 2), abs=0.02
    )  # rho_s of a normal pair with rho = sqrt(1/2)
    assert abs(pooled[1]) < 0.03
    assert battery.rows == [(6000, 4800)] * 3
    assert battery.labelled[0].tolist() == [4800, 4800]


def test_rows_that_do_not_count_move_nothing() -> None:
    plain, other = (Battery(3, days=1, controlled=(0,)) for _ in range(2))
    first = day("a", 3000, 1)
    spoiled = first.factors.copy()
    spoiled[~first.counted] = 1e9
    plain.add(first)
    other.add(DayRows(*(spoiled if name == "factors" else getattr(first, name) for name in DayRows.__dataclass_fields__)))
    assert (plain.sums.spearman == other.sums.spearman).all()
    assert (plain.sums.pearson == other.sums.pearson).all()


def test_what_is_kept_does_not_grow_with_the_rows_of_a_day_and_pooled_references_are_of_all_their_days() -> None:
    battery = Battery(3, days=30, controlled=(0,), reference_days=2)
    for number in range(30):
        battery.add(day(f"{number}", 3000, number, shift=1.0 if number == 1 else 0.0))
    assert len(battery.sample) <= SAMPLE_ROWS
    assert len(battery.psi) == 30
    # between the two reference days stands their mixture
    assert 0.1 < battery.psi[0][1] < 1.0
    assert 0.1 < battery.psi[1][1] < 1.0
