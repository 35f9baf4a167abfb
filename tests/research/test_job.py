"""Train and backtest on a stored series: reuse by content, trials from the first, artefacts that load."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.conftest import Cli

from ghtrader.adapters.predictors import load_predictor
from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.errors import DataError, SchemaError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.splits import walk_forward
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.day_history import day_histories
from ghtrader.pipelines.evaluate import load_scores
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.known_gaps import stored_ticks
from ghtrader.pipelines.main_job import JobReport, run_variety
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.market import write_market
from ghtrader.pipelines.model_cards import StoredCard, load_model, plan_of_model
from ghtrader.pipelines.parity import certificate_named
from ghtrader.pipelines.refit import refit_of_series
from ghtrader.pipelines.stages import StageLog, StageStore
from ghtrader.pipelines.trials import trial, trials
from ghtrader.ports.tick_store import DayKey
from ghtrader.research.training import score_of

OWN = """
from ghtrader.datasets.factors.user import user_factor


@user_factor("X_TWO", "twice the spread", "2 s", unit="ticks", lookback="none", flip="even")
def twice(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return 2.0 * (ask_px[0] - bid_px[0])


SETS = {"thin": ("F1", "F4", "F54")}
"""
DAYS = ("2020-02-04", "2020-02-05", "2020-02-06", "2020-02-07")


def _services(folder: Path) -> AppServices:
    environment = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "RUNS", "ARTIFACTS")}
    return AppServices(resolve_paths(environment), environment)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four generated days imported, scheduled, materialised and built, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("built")
    services = _services(folder)
    report = write_market(services, "planted", seed=21, out=folder / "ticks", days=4)
    import_files(services, [Path(name) for name in report.files])
    make_schedule(services, "SHFE.cu", contract="SHFE.cu2006")
    build_main_l5(services, "SHFE.cu")
    build_datasets(services, "SHFE.cu", set_name="minimal16")
    return folder


@pytest.fixture
def stored(built: Path, tmp_path: Path) -> AppServices:
    shutil.copytree(built, tmp_path / "copy")
    return _services(tmp_path / "copy")


def _job(
    services: AppServices,
    *,
    set_name: str | None = None,
    models: list[str] | None = None,
    with_simulation: bool = False,
    factors: Path | None = None,
) -> JobReport:
    return run_variety(
        services,
        "cu",
        set_name=set_name,
        models=models or ["logistic"],
        horizons=["50t"],
        with_simulation=with_simulation,
        factors=factors,
    )


def _key(day: str) -> DayKey:
    return DayKey("main_l5", "KQ.m@SHFE.cu", TradingDay.parse(day))


def test_the_same_job_is_reused_and_is_no_new_trial(stored: AppServices) -> None:
    first, second = _job(stored), _job(stored)
    assert "train" not in first.reused
    assert "train" in second.reused
    assert msgspec.json.encode(first.evaluation) == msgspec.json.encode(second.evaluation)
    assert (first.trials, second.trials) == (1, 1)
    kept = trials(stored)[0]
    assert (kept.kind, kept.spec["model"], kept.spec["horizon"]) == ("evaluation", "logistic", "50t")
    assert trial(stored, 1) == kept
    assert kept.result["directional_auc"] > 0.55


def test_another_model_is_a_new_trial_and_so_is_each_backtested_policy(stored: AppServices) -> None:
    _job(stored)
    report = _job(stored, models=["prior", "logistic"], with_simulation=True)
    assert report.simulation is not None
    kinds = [item.kind for item in trials(stored)]
    assert kinds == ["evaluation", "backtest", "backtest"]
    assert report.simulation.verdict.conclusion == "undecidable"  # two test days
    judged = {(item.policy, item.fill_model) for item in report.simulation.evidence}
    assert judged == {(policy, model) for policy in ("passive", "taker") for model in ("back", "pro_rata", "front")}


def test_artefacts_load_and_cards_say_what_was_fitted_on_what(stored: AppServices) -> None:
    report = _job(stored)
    for card in report.evaluation.cards:
        folder = stored.paths.artifacts / "models" / card.artefact[:16]
        predictor = load_predictor((folder / "model.bin").read_bytes())
        assert predictor.artefact_hash == card.artefact
        stored_card = msgspec.json.decode((folder / "card.json").read_bytes(), type=StoredCard)
        assert stored_card.card == card
        assert set(stored_card.builds) == {*card.train_days, *card.test_days}
        assert tuple(stored_card.factor_names) == predictor.factor_names
        assert {metric.model for metric in stored_card.metrics} == {card.model}
        assert len(card.train_days) == card.fold + 1
        assert not set(card.train_days) & set(card.test_days)
        assert card.theta_ticks >= 1.0


def test_scores_cover_test_days_only_row_by_row(stored: AppServices) -> None:
    report = _job(stored)
    scores = load_scores(stored.paths.artifacts, report.evaluation.scores_id)
    assert scores is not None
    assert sorted(scores.score) == ["2020-02-06", "2020-02-07"]
    for day, values in scores.score.items():
        rows = len(stored.tick_store().read_day(_key(day)))
        assert len(values) == rows
        assert 0.9 < np.isfinite(values).mean() < 1.0
        assert 0.0 < scores.threshold[day] < 1.0


def test_torn_scores_are_computed_again(stored: AppServices) -> None:
    report = _job(stored)
    path = stored.paths.artifacts / "scores" / f"{report.evaluation.scores_id}.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    again = _job(stored, with_simulation=True)
    assert again.simulation is not None
    assert again.trials == report.trials + 2  # the backtests; reading scores anew is no evaluation


def test_an_unknown_family_or_horizon_is_a_usage_error(stored: AppServices) -> None:
    with pytest.raises(UsageError, match="deeplob"):
        _job(stored, models=["deeplob"])
    with pytest.raises(UsageError, match="horizon"):
        run_variety(stored, "cu", set_name=None, models=["logistic"], horizons=["soon"], with_simulation=False)


def test_days_that_are_no_longer_those_of_their_datasets_are_not_fitted_on(stored: AppServices) -> None:
    datasets, _ = build_datasets(stored, "cu", set_name="flow")
    changed = [replace(datasets[0], build_hash="another"), *datasets[1:]]
    stages = StageStore(stored.paths.artifacts / "stages", StageLog(stored.clock))
    refit = refit_of_series(stored, "cu", factor_set("flow"), changed, stages)
    assert refit is not None
    with pytest.raises(DataError, match=f"{DAYS[0]} of KQ.m@SHFE.cu changed after"):
        refit.parameters(walk_forward([dataset.trading_day for dataset in datasets])[0])


def test_factors_and_sets_of_ones_own_are_trained_on(stored: AppServices, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    report = _job(stored, set_name="thin", factors=own)
    model = load_model(stored, report.evaluation.cards[-1].artefact)
    assert model.card.factor_names == ["F1", "F4", "F54"]
    assert report.evaluation.fits[0].factors == ["F54"]
    assert plan_of_model(stored, model, "SHFE.cu2006", factors=own).fit == report.evaluation.fits[-1].fitted
    with pytest.raises(UsageError, match="no factor set 'thin'"):
        plan_of_model(stored, model, "SHFE.cu2006")
    for command in ("train", "backtest"):
        missing = Cli(tmp_path / "copy").run(command, "--var", "cu", "--set", "thin", "--factors", "nowhere.py")
        assert missing.returncode == 2
        assert "nowhere.py" in missing.stderr


def test_a_trial_that_does_not_exist_is_said_so(services: AppServices) -> None:
    with pytest.raises(DataError, match="no trial 7"):
        trial(services, 7)


def test_a_model_with_fitted_factors_carries_its_parameters_and_their_range(stored: AppServices) -> None:
    report = _job(stored, set_name="full")
    assert [fit.fitted.days for fit in report.evaluation.fits] == [tuple(fold.train_days) for fold in report.evaluation.folds]
    card = report.evaluation.cards[-1]
    model = load_model(stored, card.artefact)
    fit = model.card.parameters
    assert fit == report.evaluation.fits[-1].fitted
    assert (fit.params_hash, list(fit.days)) == (card.params_hash, card.train_days)
    kept = trials(stored)[0]
    assert kept.spec["refitted"] == ["F13", "F24", "F30", "F54", "F77"]
    assert [item["params_hash"] for item in kept.data["fits"]] == [item.params_hash for item in report.evaluation.fits]

    plan = plan_of_model(stored, model, "SHFE.cu2006")
    assert plan.chosen.ids == load_predictor(model.artefact).factor_names != factor_set("full").ids
    assert certificate_named(stored, card.parity_certificate).params_hash == plan.params_hash
    day = card.test_days[0]
    tested = stored_ticks(stored, _key(day))
    scores = load_scores(stored.paths.artifacts, report.evaluation.scores_id)
    assert scores is not None
    sessions = sessions_for("SHFE.cu", tested.trading_day, plan.calendar, plan.instruments)
    manifests = {_key(name).trading_day: stored.tick_store().manifest(_key(name)) for name in DAYS}
    history = day_histories(stored, "main_l5", "KQ.m@SHFE.cu", "SHFE.cu", manifests, plan.chosen)[day]
    values = compute(tested, sessions, plan.chosen, params=plan.params, history=np.array(history))
    given = scores.score[day]
    known = np.isfinite(given)
    np.testing.assert_array_equal(score_of(load_predictor(model.artefact).predict_proba(values))[known], given[known])
    plan.require_out_of_sample(int(tested.ts_ns[0]))
    for ts_ns in (fit.first_ns - 1, fit.first_ns, fit.last_ns):
        with pytest.raises(DataError, match="know its future"):
            plan.require_out_of_sample(ts_ns)
    plan_of_model(stored, model, "SHFE.cu2006", in_sample=True).require_out_of_sample(fit.last_ns)


def test_fits_are_read_back_and_a_set_without_them_is_as_it_was(stored: AppServices) -> None:
    first, plain = _job(stored, set_name="flow"), _job(stored)
    assert plain.evaluation.fits == []
    folder = stored.paths.artifacts / "models" / plain.evaluation.cards[0].artefact[:16]
    assert b"param" not in (folder / "card.json").read_bytes()
    assert plan_of_model(stored, load_model(stored, folder.name), "SHFE.cu2006").fit is None
    assert "fit" not in plain.timings_s
    assert _job(stored, set_name="flow").reused == ["train"]
    again = _job(stored, set_name="flow", models=["prior"])
    assert again.reused == ["fit"]
    assert again.evaluation.fits == first.evaluation.fits


def test_a_model_that_is_not_what_its_card_says_is_refused(stored: AppServices) -> None:
    report = _job(stored, set_name="flow")
    name = report.evaluation.cards[-1].artefact
    folder = stored.paths.artifacts / "models" / name[:16]
    whole = load_model(stored, name)
    with pytest.raises(DataError, match="no model ffff"):
        load_model(stored, "f" * 64)
    with pytest.raises(DataError, match="not"):
        load_model(stored, name[:16] + "0" * 48)
    other = msgspec.structs.replace(whole.card, parameters=report.evaluation.fits[0].fitted)
    (folder / "card.json").write_bytes(msgspec.json.encode(other))
    with pytest.raises(DataError, match="other parameters"):
        load_model(stored, name)
    (folder / "card.json").write_bytes(b"{}")
    with pytest.raises(SchemaError, match="no model card"):
        load_model(stored, name)
    neutral = msgspec.structs.replace(whole.card, parameters=msgspec.UNSET)
    with pytest.raises(DataError, match="trained on other factors"):
        plan_of_model(stored, replace(whole, card=neutral), "SHFE.cu2006")


def test_the_command_says_what_was_fitted_on_what(stored: AppServices, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "copy")
    asked = ("train", "--var", "cu", "--set", "flow", "--models", "prior", "--horizons", "50t")
    fits = cli.json(*asked)["evaluation"]["fits"]
    assert [fit["fitted"]["days"] for fit in fits] == [list(DAYS[:2]), list(DAYS[:3])]
    assert f"fold 2: F30, F54 fitted on {DAYS[0]} to {DAYS[2]}" in " ".join(cli.run(*asked).stdout.split())
