from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ghtrader.core.errors import UsageError
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.splits import Fold, RowMasks
from ghtrader.inference.scaler import Scaler
from ghtrader.pipelines.audit import audit_pipeline, planted_leaks
from ghtrader.research.audit import AUDIT_HORIZON, AuditDay, Pipeline, audit
from ghtrader.research.audit_pipelines import PLANTS, honest_pipeline, plant
from ghtrader.research.models.factory import FAMILIES
from ghtrader.research.training import training_matrix
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

ROWS_OF_A_PART = 1500


def _short_days(market: str, seed: int) -> list[AuditDay]:
    """Three generated days, the first rows of every session part."""
    days = []
    for day in generate_market(market, seed, days=3):
        ticks = day_ticks(day)
        starts = np.flatnonzero(ticks.break_before)
        age = np.arange(len(ticks)) - starts[np.searchsorted(starts, np.arange(len(ticks)), side="right") - 1]
        days.append(AuditDay(ticks.rows(age < ROWS_OF_A_PART), day.sessions))
    return days


@pytest.fixture(scope="module")
def days() -> list[AuditDay]:
    return _short_days("planted", 1)


def _names(pipeline: Pipeline, days: list[AuditDay]) -> list[str]:
    return [leak.name for leak in audit(pipeline, days).leaks]


@pytest.mark.parametrize("market", ["planted", "null", "rich"])
def test_the_untouched_pipeline_is_not_accused(market: str) -> None:
    report = audit(honest_pipeline(), _short_days(market, 2))
    assert report.clean
    assert report.leaks == []
    assert report.fits == list(FAMILIES)


@pytest.mark.parametrize("name", PLANTS)
def test_each_planted_leak_is_caught_and_named_and_nothing_else_is(name: str, days: list[AuditDay]) -> None:
    report = audit(plant(name), days)
    assert [leak.name for leak in report.leaks] == [name]
    assert not report.clean
    assert report.leaks[0].evidence


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("name", ["selection_all_days", "theta_from_test"])
def test_fits_on_other_seeds_are_caught_as_well(name: str, seed: int) -> None:
    assert _names(plant(name), _short_days("decoy", seed)) == [name]


def test_every_required_leak_can_be_planted() -> None:
    required = ("random_split", "scaler_all_data", "centred_window", "label_shifted_by_one", "theta_from_test")
    assert set(PLANTS) == {*required, "selection_all_days"}


@pytest.mark.parametrize("pair", [("scaler_all_data", "selection_all_days"), ("random_split", "scaler_all_data")])
def test_two_leaks_are_both_named(pair: tuple[str, str], days: list[AuditDay]) -> None:
    pipeline = honest_pipeline()
    for name in pair:
        pipeline = PLANTS[name](pipeline)
    assert sorted(_names(pipeline, days)) == sorted(pair)


def test_a_model_that_trains_on_test_rows_is_named_itself(days: list[AuditDay]) -> None:
    honest = honest_pipeline()
    leaky = replace(
        honest,
        model=lambda d, m, theta, scaler, chosen: honest.model(d, RowMasks({**m.train, **m.test}, {}), theta, scaler, chosen),
    )
    assert _names(leaky, days) == ["model_saw_test"]


def test_a_whole_fit_that_reads_the_test_day_is_named_by_its_family(days: list[AuditDay]) -> None:
    honest = honest_pipeline()
    fit = honest.fits["logistic"]
    leaky = replace(honest, fits={"logistic": lambda d, fold: fit(d, fold) + d[-1].factors.tobytes()})
    assert _names(leaky, days) == ["fit_saw_test: logistic"]


def test_rows_chosen_by_looking_at_the_test_day_are_named(days: list[AuditDay]) -> None:
    honest = honest_pipeline()

    def split(datasets: Sequence[DayDataset], fold: Fold) -> RowMasks:
        masks = honest.split(datasets, fold)
        volatile = np.nanstd(datasets[-1].y) > 3.0
        return RowMasks(
            {day: rows & (volatile | (np.arange(len(rows)) % 2 == 0)) for day, rows in masks.train.items()}, masks.test
        )

    assert _names(replace(honest, split=split), days) == ["rows_chosen_by_test"]


@pytest.mark.parametrize("shift", [-1, 1, 3])
def test_a_label_shifted_either_way_is_caught(shift: int, days: list[AuditDay]) -> None:
    def labels(ticks: DayTicks) -> tuple[np.ndarray, np.ndarray]:
        y, void = direction_labels(ticks, (AUDIT_HORIZON,))
        return np.roll(y, shift, axis=0), np.roll(void, shift, axis=0)

    assert "label_shifted_by_one" in _names(replace(honest_pipeline(), labels=labels), days)


def test_a_factor_scaled_by_its_whole_day_uses_the_future(days: list[AuditDay]) -> None:
    honest = honest_pipeline()

    def scaled(ticks: DayTicks, sessions: DaySessions) -> np.ndarray:
        factors = honest.factors(ticks, sessions)
        return factors / np.maximum(1e-9, np.nanstd(factors, axis=0))  # some factors are still on a disfigured day

    assert _names(replace(honest, factors=scaled), days) == ["centred_window"]


def test_a_scaler_of_the_training_rows_alone_passes_whatever_it_computes(days: list[AuditDay]) -> None:
    def median_only(datasets: Sequence[DayDataset], masks: RowMasks) -> Scaler:
        factors, _ = training_matrix(datasets, masks, AUDIT_HORIZON)
        width = factors.shape[1]
        low, high = factors.min(axis=0).tolist(), factors.max(axis=0).tolist()
        return Scaler(low=low, high=high, centre=np.median(factors, axis=0).tolist(), scale=[1.0] * width)

    assert audit(replace(honest_pipeline(), scaler=median_only), days).clean


def test_two_days_are_too_few(days: list[AuditDay]) -> None:
    with pytest.raises(UsageError, match="needs 3"):
        audit(honest_pipeline(), days[:2])


def test_the_command_audits_rows_and_fits_of_the_job_too_and_knows_the_leaks_of_both() -> None:
    assert {*PLANTS, "purge_missing", "early_stopping_on_test"} <= set(planted_leaks())
    report = audit_pipeline("early_stopping_on_test", days=3)
    assert [leak.name for leak in report.leaks] == ["early_stopping_on_test"]
    assert (report.clean, report.checks[-1]) == (False, "rows and fits of the training job")
    with pytest.raises(UsageError, match="no leak 'purge_mising'") as error:
        audit_pipeline("purge_mising")
    assert "purge_missing" in error.value.hint
