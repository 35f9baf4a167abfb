"""Factors with fitted parts are fitted anew on every fold's training days: nothing else moves them, and a fit that looks further is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ghtrader.core.errors import DataError
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import factor, factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import compute, compute_day, flip
from ghtrader.datasets.factors.fit import fit_parameters, fit_sample
from ghtrader.datasets.factors.history import history_array
from ghtrader.datasets.factors.parameters import FittedParameters, parameter_array
from ghtrader.datasets.refit import FoldRefit, fitted_part, refit_of
from ghtrader.datasets.splits import Fold, walk_forward
from ghtrader.pipelines.evaluate import Evaluation, JudgeSettings, evaluate, evaluation_inputs

SYMBOL = "SHFE.rb2510"
DAYS = ("2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10")
SET = "flow"
HORIZONS = (Horizon("ticks", 50),)
JUDGING = JudgeSettings(models=("prior", "logistic"), horizons=("50t",), seed=1, replicates=100, trade_quantile=0.98)

Days = dict[str, tuple[DayTicks, DaySessions]]


@pytest.fixture(scope="module")
def days(sample_day: Callable[[str], tuple[DayTicks, DaySessions]]) -> Days:
    return {name: sample_day(name) for name in DAYS}


@pytest.fixture(scope="module")
def datasets(days: Days) -> list[DayDataset]:
    return [build_day(*days[name], factor_set(SET), HORIZONS, build_hash=name) for name in DAYS]


def refit_on(days: Days, cls: type[FoldRefit] = FoldRefit) -> FoldRefit:
    return cls(SYMBOL, fitted_part(factor_set(SET)), lambda name: (*days[name], ()))


def judged(datasets: Sequence[DayDataset], refit: FoldRefit | None) -> Evaluation:
    return evaluate(datasets, JUDGING, artifacts=None, trials=None, threads=1, refit=refit)[0]


def test_a_folds_parameters_are_those_of_its_training_days_and_test_days_never_move_them(
    days: Days, datasets: list[DayDataset]
) -> None:
    """The test days' market is mirrored, its sizes tripled: parameters and training columns keep every bit."""
    columns = [datasets[0].factor_names.index(name) for name in ("F30", "F54")]
    for fold in walk_forward([dataset.trading_day for dataset in datasets]):
        expected = fit_parameters(SYMBOL, [fit_sample(*days[name]) for name in fold.train_days])
        changed = {
            name: (_another(ticks), windows) if name in fold.test_days else (ticks, windows)
            for name, (ticks, windows) in days.items()
        }
        seen = [(refit := refit_on(source)).parameters(fold) for source in (days, changed)]
        assert seen == [expected, expected]
        assert seen[0].days == fold.train_days
        honest, other = (refit_on(source).datasets(datasets, fold, expected) for source in (days, changed))
        for base, mine, his in zip(datasets, honest, other, strict=True):
            name = base.trading_day.iso
            if name not in {*fold.train_days, *fold.test_days}:
                assert mine is base
                continue
            values = compute(*days[name], refit.part, params=parameter_array(expected.values))
            np.testing.assert_array_equal(mine.factors[:, columns], values)
            np.testing.assert_array_equal(np.delete(mine.factors, columns, axis=1), np.delete(base.factors, columns, axis=1))
            assert np.array_equal(mine.factors, his.factors, equal_nan=True) == (name in fold.train_days)
            assert (mine.factors[base.eligible][:, columns] != base.factors[base.eligible][:, columns]).any(axis=0).all()


def _another(ticks: DayTicks) -> DayTicks:
    mirrored = flip(ticks)
    return replace(
        mirrored, bid_sz=3 * mirrored.bid_sz, ask_sz=mirrored.ask_sz, volume=3 * mirrored.volume, amount=3 * mirrored.amount
    )


def test_an_evaluation_with_fitted_factors_is_another_one_and_says_what_was_fitted_on_what(
    days: Days, datasets: list[DayDataset]
) -> None:
    neutral, fitted, again = (judged(datasets, refit) for refit in (None, refit_on(days), refit_on(days)))
    assert fitted == again
    assert [fit.fitted.days for fit in fitted.fits] == [fold.train_days for fold in fitted.folds]
    assert {tuple(fit.factors) for fit in fitted.fits} == {("F30", "F54")}
    hashes = [fit.params_hash for fit in fitted.fits]
    assert len(set(hashes)) == len(hashes)
    assert [card.params_hash for card in fitted.cards] == 2 * hashes
    assert neutral.fits == []
    pairs = [(a, b) for a, b in zip(neutral.cards, fitted.cards, strict=True) if a.model == "logistic"]
    assert all(a.artefact != b.artefact and a.theta_ticks == b.theta_ticks for a, b in pairs)
    assert neutral.scores_id != fitted.scores_id
    assert evaluation_inputs(datasets, JUDGING) != evaluation_inputs(datasets, JUDGING, refit_on(days))


class _LooksFurther(FoldRefit):
    """A fit that takes the day that is tested too."""

    def parameters(self, fold: Fold) -> FittedParameters:
        return fit_parameters(self.symbol, self._samples_of((*fold.train_days, *fold.test_days)))


def test_a_fit_that_reaches_into_the_test_is_named(days: Days, datasets: list[DayDataset]) -> None:
    with pytest.raises(DataError, match=r"fitted_factors_on_test \(fold 1\): factor_parameters was fitted on \d+ test rows"):
        judged(datasets, refit_on(days, _LooksFurther))


def test_a_row_without_a_fitted_number_is_not_eligible_and_changed_ticks_are_refused(
    days: Days, datasets: list[DayDataset]
) -> None:
    fold = walk_forward([dataset.trading_day for dataset in datasets])[0]
    refit = refit_on(days)
    fitted = refit.parameters(fold)
    silent = {**days, DAYS[0]: (_one_sided(days[DAYS[0]][0], 20_000), days[DAYS[0]][1])}
    assert datasets[0].eligible[20_000]
    assert not refit_on(silent).datasets(datasets, fold, fitted)[0].eligible[20_000]
    shorter = {**days, DAYS[0]: (days[DAYS[0]][0].rows(slice(0, 20_000)), days[DAYS[0]][1])}
    with pytest.raises(DataError, match=f"{DAYS[0]} of {SYMBOL} changed after"):
        refit_on(shorter).datasets(datasets, fold, fitted)


def test_columns_that_know_earlier_days_are_computed_with_them(days: Days) -> None:
    """No built-in factor with a fitted part does; one of one's own may read such factors, so the part is made by hand here."""
    chosen = FactorSet(name="history", factors=tuple(factor(id_) for id_ in ("F15", "F54", "F80")), set_hash="")
    first, second = DAYS[:2]
    left = compute_day(*days[first], chosen)[1]
    history = history_array([left]).tolist()
    built = [
        build_day(*days[first], chosen, HORIZONS),
        build_day(*days[second], chosen, HORIZONS, history=history),
    ]
    refit = FoldRefit(SYMBOL, chosen, lambda name: (*days[name], history if name == second else ()))
    fold = Fold(number=1, train_days=(first,), test_days=(second,))
    neutral = FittedParameters(symbol=SYMBOL, days=(first,), first_ns=0, last_ns=0, rows=0, values={})
    for base, found in zip(built, refit.datasets(built, fold, neutral), strict=True):
        np.testing.assert_array_equal(found.factors, base.factors)
    assert np.isfinite(built[1].factors[:, 2]).any()


def _one_sided(ticks: DayTicks, row: int) -> DayTicks:
    sizes = ticks.bid_sz.copy()
    prices = ticks.bid_px.copy()
    sizes[row], prices[row] = 0, NO_PRICE
    return replace(ticks, bid_sz=sizes, bid_px=prices)


OWN = """
from ghtrader.datasets.factors.kernels.layout import F0
from ghtrader.datasets.factors.user import user_factor


@user_factor("X_VOL", "half the forecast", "F77 / 2", unit="ticks", lookback="the run", flip="even", reads=("returns",))
def half(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return f[F0 + 77] / 2.0


@user_factor("X_TWO", "twice the spread", "2 s", unit="ticks", lookback="none", flip="even")
def twice(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return 2.0 * (ask_px[0] - bid_px[0])


SETS = {"mine": ("F1", "F54", "X_TWO", "X_VOL"), "plain": ("F1", "X_TWO")}
"""


def test_what_is_refitted_is_what_the_parameters_can_reach(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    mine = fitted_part(factor_set("mine", str(path)))
    assert (mine.ids, mine.user_file) == (("F54", "X_VOL"), str(path))
    assert fitted_part(factor_set("all")).ids == ("F13", "F24", "F30", "F54", "F77", "REGIME1", "REGIME2", "REGIME3")
    for name, file in (("minimal16", ""), ("minimal15", ""), ("channel", ""), ("plain", str(path))):
        assert refit_of(SYMBOL, factor_set(name, file), lambda day: pytest.fail(f"{day} was read")) is None
