"""Train and judge: walk-forward fits of every family and horizon, metrics with intervals, out-of-fold scores, artefacts."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import short_id
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.datasets.day_dataset import DayDataset, Horizon, present_factors
from ghtrader.datasets.labels.spec import parse_horizon
from ghtrader.datasets.leaks import FitKind, describe_job, refuse_leaks
from ghtrader.datasets.provenance import require_trainable
from ghtrader.datasets.splits import Fold, split_note, walk_forward
from ghtrader.pipelines.services import Settings
from ghtrader.pipelines.stages import code_hash
from ghtrader.research.evaluation import (
    Decay,
    Edge,
    Metric,
    OutOfFold,
    Reliability,
    decay,
    edges,
    judge,
    predict_out_of_fold,
)
from ghtrader.research.models.factory import model_family
from ghtrader.research.training import FittedFold, fit_fold, score_of
from ghtrader.research.trials import TrialLedger

__all__ = ["Evaluation", "JudgeSettings", "Scores", "evaluate", "evaluation_inputs", "parse_horizon"]

#: What `fit_fold` fixes on the training rows.
FITTED: tuple[FitKind, ...] = ("theta", "trade_threshold", "model")
CODE_ROOMS = ("data", "datasets", "inference", "research")


class JudgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained and judged. The first horizon is the headline; the last model trades."""

    models: tuple[str, ...]
    horizons: tuple[str, ...]
    seed: int
    replicates: int
    trade_quantile: float

    @classmethod
    def from_settings(cls, settings: Settings) -> JudgeSettings:
        """Settings from the keys ``research.*``; the prior is always fitted, it is what skill is measured from."""
        models = settings.get("research.models")
        horizons = settings.get("research.horizons")
        assert isinstance(models, list)
        assert isinstance(horizons, list)
        names = tuple(dict.fromkeys(["prior", *(str(name) for name in models)]))
        return cls(
            models=names,
            horizons=tuple(str(name) for name in horizons),
            seed=int(str(settings.get("research.seed"))),
            replicates=int(str(settings.get("research.bootstrap_replicates"))),
            trade_quantile=float(str(settings.get("research.trade_quantile"))),
        )


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted fold's identity: family, horizon, fold, theta and where it came from, rows, artefact hash.

    parity_certificate: hash of the certificate that the factors come out live as they were trained on ("" where nothing is stored).
    """

    model: str
    horizon: str
    fold: int
    train_days: list[str]
    test_days: list[str]
    theta_ticks: float
    train_rows: int
    trade_threshold: float
    artefact: str
    theta_from: str = ""
    parity_certificate: str = ""


class StoredCard(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside an artefact: the fold's card, the data it saw, settings, code, and how its model was judged."""

    card: ModelCard
    symbol: str
    factor_names: list[str]
    builds: dict[str, str]
    settings: JudgeSettings
    code: str
    metrics: list[Metric]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything judged. ``scores_id`` names the stored out-of-fold scores of the trading model at the headline horizon.

    left_out: days without clean provenance, which nothing was trained or judged on (non-strict only).
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


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores by ISO day, one value per row of the day (NaN: decide nothing), and each day's threshold."""

    score: dict[str, npt.NDArray[np.float64]]
    threshold: dict[str, float]


def evaluation_inputs(datasets: Sequence[DayDataset], settings: JudgeSettings) -> dict[str, Any]:
    """What names an evaluation: builds, settings, folds and code."""
    return {
        "builds": [(dataset.symbol, dataset.trading_day.iso, dataset.build_hash) for dataset in datasets],
        "settings": msgspec.to_builtins(settings),
        "code": code_hash(*CODE_ROOMS),
    }


def evaluate(
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    *,
    artifacts: Path | None,
    trials: TrialLedger | None,
    threads: int | None = None,
    strict: bool = True,
    certificate: str = "",
    progress: Progress = NO_PROGRESS,
) -> tuple[Evaluation, Scores]:
    """Fit and judge every model and horizon, walk-forward; one trial each. Raises DataError when the rows that were used leak.

    artifacts: where model bytes and scores are stored (None: nowhere). threads: for tree training; default all cores.
    strict: refuse days of a series without clean provenance (ProvenanceError lists them) instead of leaving them out.
    """
    trainable, left_out = require_trainable(datasets, strict=strict)
    datasets = present_factors(trainable)
    cores = threads or os.cpu_count() or 1
    folds = walk_forward([dataset.trading_day for dataset in datasets])
    progress.start("train", len(folds) * len(settings.horizons) * len(settings.models))
    metrics: list[Metric] = []
    curves: list[Reliability] = []
    points: list[Decay] = []
    strongest: list[Edge] = []
    cards: list[ModelCard] = []
    thetas: dict[str, float] = {}
    scores = Scores({}, {})
    for number, name in enumerate(settings.horizons):
        horizon, headline = parse_horizon(name), number == 0
        prior: OutOfFold | None = None
        for model in settings.models:
            fitted = _fit(datasets, folds, horizon, model, settings, cores, progress)
            oof = predict_out_of_fold(datasets, fitted)
            prior = oof if model == "prior" else prior
            assert prior is not None
            found, reliability = judge(oof, prior, replicates=settings.replicates, seed=settings.seed)
            metrics += found
            thetas[name] = fitted[-1].theta
            cards += [_stored_card(artifacts, item, certificate, datasets, settings, found) for item in fitted]
            if model == "prior":
                continue
            if headline:
                curves += reliability
                points += decay(oof, datasets, replicates=settings.replicates, seed=settings.seed)
            if headline and model == settings.models[-1]:
                strongest = edges(oof, replicates=settings.replicates, seed=settings.seed)
                scores = _scores(datasets, fitted)
            if trials is not None:
                _record_trial(trials, datasets, settings, fitted, found)
    progress.finish(f"{len(settings.models)} models, {len(settings.horizons)} horizons, {len(folds)} folds")
    scores_id = short_id([[card.artefact for card in cards], [dataset.build_hash for dataset in datasets]])
    if artifacts is not None:
        save_scores(artifacts, scores_id, scores)
    evaluation = Evaluation(
        metrics=metrics,
        reliability=curves,
        decay=points,
        edges=strongest,
        cards=cards,
        folds=folds,
        split_note=split_note(folds),
        theta_ticks=thetas,
        headline_horizon=settings.horizons[0],
        trading_model=settings.models[-1],
        scores_id=scores_id,
        left_out=left_out,
    )
    return evaluation, scores


def _record_trial(
    trials: TrialLedger,
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    fitted: Sequence[FittedFold],
    found: Sequence[Metric],
) -> None:
    """What was tried, on what, with which thresholds of classes, and how it went."""
    spec = {
        "model": fitted[0].family,
        "horizon": str(fitted[0].horizon),
        "factors": list(datasets[0].factor_names),
        "seed": settings.seed,
    }
    theta = [{"fold": item.fold.number, "ticks": item.theta, "from": item.theta_from} for item in fitted]
    data = {"symbol": datasets[0].symbol, "builds": [dataset.build_hash for dataset in datasets], "theta": theta}
    trials.record("evaluation", spec=spec, data=data, result={metric.metric: metric.value for metric in found})


def _fit(
    datasets: Sequence[DayDataset],
    folds: Sequence[Fold],
    horizon: Horizon,
    model: str,
    settings: JudgeSettings,
    threads: int,
    progress: Progress,
) -> list[FittedFold]:
    fitted: list[FittedFold] = []
    for fold in folds:
        fitted.append(
            fit_fold(
                datasets,
                fold,
                horizon,
                model_family(model),
                seed=settings.seed,
                threads=threads,
                trade_quantile=settings.trade_quantile,
            )
        )
        progress.advance(note=f"{model} {horizon} fold {fold.number}")
    rows = [(item.fold, item.masks) for item in fitted]
    in_time = sorted(datasets, key=lambda dataset: dataset.trading_day)
    refuse_leaks(describe_job(in_time, rows, horizon, fitted=FITTED))
    return fitted


def _card(fitted: FittedFold, certificate: str) -> ModelCard:
    return ModelCard(
        model=fitted.family,
        horizon=str(fitted.horizon),
        fold=fitted.fold.number,
        train_days=list(fitted.fold.train_days),
        test_days=list(fitted.fold.test_days),
        theta_ticks=fitted.theta,
        train_rows=fitted.rows,
        trade_threshold=fitted.trade_threshold,
        artefact=fitted.predictor.artefact_hash,
        theta_from=fitted.theta_from,
        parity_certificate=certificate,
    )


def _stored_card(
    artifacts: Path | None,
    fitted: FittedFold,
    certificate: str,
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    metrics: Sequence[Metric],
) -> ModelCard:
    """The fold's card; in ``artifacts/models/HASH/`` the artefact once, its card as of the latest evaluation (None: nowhere)."""
    card = _card(fitted, certificate)
    if artifacts is None:
        return card
    used = {*fitted.fold.train_days, *fitted.fold.test_days}
    stored = StoredCard(
        card=card,
        symbol=datasets[0].symbol,
        factor_names=list(fitted.predictor.factor_names),
        builds={d.trading_day.iso: d.build_hash for d in datasets if d.trading_day.iso in used},
        settings=settings,
        code=code_hash(*CODE_ROOMS),
        metrics=list(metrics),
    )
    folder = artifacts / "models" / card.artefact[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model.bin").exists():
        write_atomically(folder / "model.bin", fitted.predictor.to_bytes())
    write_atomically(folder / "card.json", msgspec.json.format(msgspec.json.encode(stored), indent=1))
    return card


def _scores(datasets: Sequence[DayDataset], fitted: Sequence[FittedFold]) -> Scores:
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    scores = Scores({}, {})
    for item in fitted:
        for day in item.fold.test_days:
            dataset = by_day[day]
            values = np.full(len(dataset), np.nan)
            rows = np.flatnonzero(dataset.eligible)
            values[rows] = score_of(item.predictor.predict_proba(dataset.factors[rows]))
            scores.score[day] = values
            scores.threshold[day] = item.trade_threshold
    return scores


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
