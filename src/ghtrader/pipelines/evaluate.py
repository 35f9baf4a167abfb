"""Train and judge: walk-forward fits of every family and horizon, metrics with intervals, out-of-fold scores, artefacts."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import short_id
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.datasets.day_dataset import DayDataset, Horizon, present_factors
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.datasets.labels.spec import parse_horizon
from ghtrader.datasets.leaks import FitKind, describe_job, refuse_leaks
from ghtrader.datasets.provenance import require_trainable
from ghtrader.datasets.refit import FoldRefit
from ghtrader.datasets.splits import Fold, split_note, walk_forward
from ghtrader.pipelines.judge_settings import JudgeSettings
from ghtrader.pipelines.model_cards import CODE_ROOMS, ModelCard, store_model
from ghtrader.pipelines.stages import code_hash
from ghtrader.research.evaluation import (
    Decay,
    Edge,
    Metric,
    OutOfFold,
    Reliability,
    decay,
    edges,
    joined,
    judge,
    predict_out_of_fold,
)
from ghtrader.research.models.factory import model_family
from ghtrader.research.training import FittedFold, fit_fold, score_of
from ghtrader.research.trials import TrialLedger

__all__ = ["Evaluation", "FoldFit", "JudgeSettings", "ModelCard", "Scores", "evaluate", "evaluation_inputs", "parse_horizon"]

#: What `fit_fold` fixes on the training rows.
FITTED: tuple[FitKind, ...] = ("theta", "trade_threshold", "model")


class FoldFit(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted for a fold's factors: on which days and rows, with which numbers; ``factors`` depend on them."""

    fold: int
    params_hash: str
    factors: list[str]
    fitted: FittedParameters


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything judged. ``scores_id`` names the stored out-of-fold scores of the trading model at the headline horizon.

    left_out: days without clean provenance, which nothing was trained or judged on (non-strict only). fits: parameters of fitted
    factors by fold; empty where no factor has a fitted part.
    """

    metrics: list[Metric]
    reliability: list[Reliability]
    decay: list[Decay]
    edges: list[Edge]
    cards: list[ModelCard]
    folds: list[Fold]
    split_note: str
    theta_ticks: dict[str, float]
    headline_horizon: str
    trading_model: str
    scores_id: str
    left_out: list[str] = []
    fits: list[FoldFit] = []


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores by ISO day, one value per row of the day (NaN: decide nothing), and each day's threshold."""

    score: dict[str, npt.NDArray[np.float64]]
    threshold: dict[str, float]


@dataclass(frozen=True)
class _Job:
    """What every horizon shares. fits, certificates: by fold number."""

    datasets: Sequence[DayDataset]
    folds: Sequence[Fold]
    settings: JudgeSettings
    threads: int
    progress: Progress
    refit: FoldRefit | None
    fits: Mapping[int, FittedParameters]
    certificates: Mapping[int, str]

    def days(self, fold: Fold) -> Sequence[DayDataset]:
        """The days as a fold sees them."""
        return self.datasets if self.refit is None else self.refit.datasets(self.datasets, fold, self.fits[fold.number])


@dataclass
class _Findings:
    """What was found so far. strongest and scores: of the trading model at the headline horizon."""

    metrics: list[Metric] = field(default_factory=list)
    curves: list[Reliability] = field(default_factory=list)
    points: list[Decay] = field(default_factory=list)
    strongest: list[Edge] = field(default_factory=list)
    cards: list[ModelCard] = field(default_factory=list)
    thetas: dict[str, float] = field(default_factory=dict)
    scores: Scores = field(default_factory=lambda: Scores({}, {}))


@dataclass(frozen=True)
class _Trained:
    """One model at one horizon, fold by fold."""

    fitted: list[FittedFold]
    predicted: list[OutOfFold]
    scores: Scores


def evaluation_inputs(datasets: Sequence[DayDataset], settings: JudgeSettings, refit: FoldRefit | None = None) -> dict[str, Any]:
    """What names an evaluation: builds, settings, folds and code, and the factors that are refitted where there are any."""
    refitted = {} if refit is None else {"refitted": list(refit.part.ids)}
    return {
        "builds": [(dataset.symbol, dataset.trading_day.iso, dataset.build_hash) for dataset in datasets],
        "settings": msgspec.to_builtins(settings),
        "code": code_hash(*CODE_ROOMS),
        **refitted,
    }


def _uncertified(fitted: FittedParameters | None) -> str:
    del fitted
    return ""


def evaluate(
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    *,
    artifacts: Path | None,
    trials: TrialLedger | None,
    threads: int | None = None,
    strict: bool = True,
    certify: Callable[[FittedParameters | None], str] = _uncertified,
    refit: FoldRefit | None = None,
    progress: Progress = NO_PROGRESS,
) -> tuple[Evaluation, Scores]:
    """Fit and judge every model and horizon, walk-forward; one trial each. Raises DataError when the rows that were used leak.

    artifacts: where model bytes and scores are stored (None: nowhere). threads: for tree training; default all cores.
    strict: refuse days of a series without clean provenance (ProvenanceError lists them) instead of leaving them out.
    refit: fits the factors with fitted parts anew for each fold; None leaves what ``datasets`` hold. certify: the parity certificate
    of the factors with these parameters, before anything is trained.
    """
    trainable, left_out = require_trainable(datasets, strict=strict)
    datasets = present_factors(trainable)
    folds = walk_forward([dataset.trading_day for dataset in datasets])
    fits, certificates = _fits(refit, folds, certify, progress)
    job = _Job(datasets, folds, settings, threads or os.cpu_count() or 1, progress, refit, fits, certificates)
    progress.start("train", len(folds) * len(settings.horizons) * len(settings.models))
    found = _Findings()
    for number, name in enumerate(settings.horizons):
        _judge(job, name, found, artifacts, trials, headline=number == 0)
    progress.finish(f"{len(settings.models)} models, {len(settings.horizons)} horizons, {len(folds)} folds")
    scores_id = _scores_id(found.cards, datasets, fits)
    if artifacts is not None:
        save_scores(artifacts, scores_id, found.scores)
    evaluation = Evaluation(
        metrics=found.metrics,
        reliability=found.curves,
        decay=found.points,
        edges=found.strongest,
        cards=found.cards,
        folds=folds,
        split_note=split_note(folds),
        theta_ticks=found.thetas,
        headline_horizon=settings.horizons[0],
        trading_model=settings.models[-1],
        scores_id=scores_id,
        left_out=left_out,
        fits=_fold_fits(refit, fits),
    )
    return evaluation, found.scores


def _judge(job: _Job, name: str, into: _Findings, artifacts: Path | None, trials: TrialLedger | None, *, headline: bool) -> None:
    """Train and judge every model at one horizon."""
    settings, datasets = job.settings, job.datasets
    trained = _train(job, parse_horizon(name), headline=headline)
    prior = joined(trained["prior"].predicted)
    for model, run in trained.items():
        oof = joined(run.predicted)
        found, reliability = judge(oof, prior, replicates=settings.replicates, seed=settings.seed)
        into.metrics += found
        into.thetas[name] = run.fitted[-1].theta
        into.cards += [
            store_model(artifacts, item, job.certificates[item.fold.number], datasets, settings, found) for item in run.fitted
        ]
        if model == "prior":
            continue
        if headline:
            into.curves += reliability
            into.points += decay(oof, datasets, replicates=settings.replicates, seed=settings.seed)
        if headline and model == settings.models[-1]:
            into.strongest = edges(oof, replicates=settings.replicates, seed=settings.seed)
            into.scores = run.scores
        if trials is not None:
            _record_trial(trials, job, run.fitted, found)


def _fits(
    refit: FoldRefit | None, folds: Sequence[Fold], certify: Callable[[FittedParameters | None], str], progress: Progress
) -> tuple[dict[int, FittedParameters], dict[int, str]]:
    """Parameters of every fold's factors (none without fitted parts), and the certificate of the factors with them."""
    if refit is None:
        return {}, dict.fromkeys((fold.number for fold in folds), certify(None))
    fits: dict[int, FittedParameters] = {}
    certificates: dict[int, str] = {}
    progress.start("fit", len(folds))
    for fold in folds:
        fits[fold.number] = refit.parameters(fold)
        certificates[fold.number] = certify(fits[fold.number])
        progress.advance(note=f"fold {fold.number}, {fold.train_days[0]} to {fold.train_days[-1]}")
    progress.finish(f"{', '.join(refit.part.ids)}, {len(folds)} folds")
    return fits, certificates


def _fold_fits(refit: FoldRefit | None, fits: Mapping[int, FittedParameters]) -> list[FoldFit]:
    factors = [] if refit is None else list(refit.part.ids)
    return [
        FoldFit(fold=number, params_hash=fitted.params_hash, factors=factors, fitted=fitted) for number, fitted in fits.items()
    ]


def _scores_id(cards: Sequence[ModelCard], datasets: Sequence[DayDataset], fits: Mapping[int, FittedParameters]) -> str:
    named = [[card.artefact for card in cards], [dataset.build_hash for dataset in datasets]]
    return short_id([*named, [fitted.params_hash for fitted in fits.values()]] if fits else named)


def _record_trial(trials: TrialLedger, job: _Job, fitted: Sequence[FittedFold], found: Sequence[Metric]) -> None:
    """What was tried, on what, with which thresholds of classes and fitted parameters, and how it went."""
    spec: dict[str, Any] = {
        "model": fitted[0].family,
        "horizon": str(fitted[0].horizon),
        "factors": list(job.datasets[0].factor_names),
        "seed": job.settings.seed,
    }
    theta = [{"fold": item.fold.number, "ticks": item.theta, "from": item.theta_from} for item in fitted]
    builds = [dataset.build_hash for dataset in job.datasets]
    data: dict[str, Any] = {"symbol": job.datasets[0].symbol, "builds": builds, "theta": theta}
    if job.refit is not None:
        spec["refitted"] = list(job.refit.part.ids)
        data["fits"] = [{"fold": number, "params_hash": fit.params_hash, "days": fit.days} for number, fit in job.fits.items()]
    trials.record("evaluation", spec=spec, data=data, result={metric.metric: metric.value for metric in found})


def _train(job: _Job, horizon: Horizon, *, headline: bool) -> dict[str, _Trained]:
    """Every model on every fold, by model. Raises DataError for a leak."""
    runs = {model: _Trained([], [], Scores({}, {})) for model in job.settings.models}
    for fold in job.folds:
        _train_fold(job, fold, horizon, runs, headline=headline)
    in_time = sorted(job.datasets, key=lambda dataset: dataset.trading_day)
    ranges = {number: (fit.first_ns, fit.last_ns) for number, fit in job.fits.items()}
    for run in runs.values():
        rows = [(item.fold, item.masks) for item in run.fitted]
        refuse_leaks(describe_job(in_time, rows, horizon, fitted=FITTED, factor_ranges=ranges))
    return runs


def _train_fold(job: _Job, fold: Fold, horizon: Horizon, runs: Mapping[str, _Trained], *, headline: bool) -> None:
    """Fit and predict every model on one fold; its refitted columns are in memory for so long only."""
    days, settings = job.days(fold), job.settings
    for model, run in runs.items():
        fitted = fit_fold(
            days,
            fold,
            horizon,
            model_family(model),
            seed=settings.seed,
            threads=job.threads,
            trade_quantile=settings.trade_quantile,
            parameters=job.fits.get(fold.number),
        )
        run.fitted.append(fitted)
        run.predicted.append(predict_out_of_fold(days, [fitted]))
        if headline and model == settings.models[-1]:
            _score(run.scores, days, fitted)
        job.progress.advance(note=f"{model} {horizon} fold {fold.number}")


def _score(scores: Scores, datasets: Sequence[DayDataset], fitted: FittedFold) -> None:
    """Add the fold's test days."""
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    for day in fitted.fold.test_days:
        dataset = by_day[day]
        values = np.full(len(dataset), np.nan)
        rows = np.flatnonzero(dataset.eligible)
        values[rows] = score_of(fitted.predictor.predict_proba(dataset.factors[rows]))
        scores.score[day] = values
        scores.threshold[day] = fitted.trade_threshold


def _scores_path(artifacts: Path, scores_id: str) -> Path:
    return artifacts / "scores" / f"{scores_id}.npz"


def save_scores(artifacts: Path, scores_id: str, scores: Scores) -> None:
    """Store out-of-fold scores under their id."""
    path = _scores_path(artifacts, scores_id)
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(target: Path) -> None:
        with target.open("wb") as stream:
            thresholds = {f"threshold {day}": np.array(value) for day, value in scores.threshold.items()}
            np.savez(stream, allow_pickle=False, **{f"score {day}": value for day, value in scores.score.items()}, **thresholds)

    write_atomically(path, write)


def load_scores(artifacts: Path, scores_id: str) -> Scores | None:
    """Stored scores; None when they are not there or cannot be read."""
    try:
        with np.load(_scores_path(artifacts, scores_id), allow_pickle=False) as stored:
            names = list(stored.files)
            return Scores(
                {name[6:]: stored[name] for name in names if name.startswith("score ")},
                {name[10:]: float(stored[name]) for name in names if name.startswith("threshold ")},
            )
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
