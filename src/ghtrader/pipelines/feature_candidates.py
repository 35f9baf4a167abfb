"""`ghtrader features candidates`: further factors made of declared ones, chosen inside one training fold of a series."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.datasets.candidate_selection import CandidateSpec, Limits, select_candidates
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.labels.spec import parse_horizon
from ghtrader.datasets.splits import Fold, walk_forward
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.services import Services
from ghtrader.research.trials import TrialLedger

__all__ = ["CandidateReport", "feature_candidates"]


class CandidateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The spec, where it was written, and days that were not read or whose gaps nobody knows."""

    spec: CandidateSpec
    spec_hash: str
    out: str
    left_out: list[str]
    unvalidated_days: list[str]
    trial: int
    seconds: float


def _fold(datasets: list[DayDataset], number: int | None) -> Fold:
    folds = walk_forward([dataset.trading_day for dataset in datasets])
    if number is None:
        return folds[-1]
    found = next((fold for fold in folds if fold.number == number), None)
    if found is None:
        raise UsageError(f"there is no fold {number}", hint=f"--fold 1 to {len(folds)}")
    return found


def feature_candidates(
    services: Services,
    variety: str,
    *,
    set_name: str = "full",
    top: int = 20,
    horizon: str | None = None,
    fold: int | None = None,
    out: Path | None = None,
    limits: Limits | None = None,
    progress: Progress = NO_PROGRESS,
) -> CandidateReport:
    """Build what is missing, choose candidates inside the training days of one walk-forward fold, write the spec (JSON).

    horizon: default the first of ``research.horizons``. fold: its number, default the last one. limits: what a candidate has to
    meet. Records one trial.
    """
    started, settings = services.clock.monotonic_ns(), services.settings()
    horizons = settings.get("research.horizons")
    assert isinstance(horizons, list)
    wanted, chosen = parse_horizon(horizon or str(horizons[0])), factor_set(set_name)
    strict = bool(settings.get("datasets.strict_provenance"))
    datasets, built = build_datasets(services, variety, set_name=set_name, strict=strict, progress=progress)
    if wanted not in datasets[0].horizons:
        raise UsageError(f"no label {wanted}", hint=f"--horizon {', '.join(str(item) for item in datasets[0].horizons)}")
    seed = int(str(settings.get("research.seed")))
    progress.start("candidates", 1)
    spec = select_candidates(
        datasets, chosen.factors, _fold(datasets, fold), wanted,
        top=top, seed=seed, limits=limits, factor_set=chosen.name, set_hash=chosen.set_hash,
    )  # fmt: skip
    progress.advance()
    progress.finish(f"{len(spec.chosen)} of {spec.generated}")
    path = out or services.paths.artifacts / "candidates" / f"{spec.symbol}-{spec.factor_set}-{spec.spec_hash[:16]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(spec), indent=1) + b"\n")
    read = {day.trading_day: day.build_hash for day in built.days if day.trading_day in spec.train_days}
    trial = TrialLedger(services.ledger(), services.clock).record(
        "feature_candidates",
        spec={
            "set": spec.factor_set,
            "set_hash": spec.set_hash,
            "horizon": spec.horizon,
            "seed": seed,
            "generated": spec.generated,
        },
        data={"symbol": spec.symbol, "builds": read},
        result={item.name: item.score for item in spec.chosen},
    )
    return CandidateReport(
        spec=spec,
        spec_hash=spec.spec_hash,
        out=str(path),
        left_out=built.left_out,
        unvalidated_days=built.unvalidated_days,
        trial=trial,
        seconds=round(elapsed_s(services.clock, started), 2),
    )
