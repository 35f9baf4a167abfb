"""The main job on prepared datasets: train, judge, simulate, conclude. The demo runs it from stores, the truth in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ghtrader.core.errors import DataError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.datasets.provenance import require_trainable
from ghtrader.pipelines.backtest import DayMarket, Simulation, policies_of, simulate
from ghtrader.pipelines.build import BuildReport, build_datasets, series_ticks
from ghtrader.pipelines.evaluate import Evaluation, JudgeSettings, Scores, evaluate, evaluation_inputs, load_scores
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.parity import certificate_of_series
from ghtrader.pipelines.refit import refit_of_series
from ghtrader.pipelines.runs import write_result
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import StageLog, StageStore, code_hash
from ghtrader.research.trials import TrialLedger
from ghtrader.sim.costs import SimCosts

__all__ = ["JobReport", "market_of_series", "run_evaluation", "run_simulation", "run_variety"]


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `ghtrader train` and `ghtrader backtest` show.

    left_out: days without clean provenance (non-strict only). unvalidated_days: days of which no gaps are known.
    """

    alias: str
    evaluation: Evaluation
    simulation: Simulation | None
    reused: list[str]
    trials: int
    timings_s: dict[str, float]
    left_out: list[str] = []
    unvalidated_days: list[str] = []


def run_evaluation(
    services: Services,
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    stages: StageStore,
    trials: TrialLedger,
    progress: Progress = NO_PROGRESS,
    *,
    built: BuildReport,
    strict: bool = True,
    factors: Path | None = None,
) -> tuple[Evaluation, Scores]:
    """Evaluation and scores, read back when the same builds were judged with the same settings and code.

    built: what the datasets come from. Factors with fitted parts are fitted on each fold's training days. Before anything is trained,
    parity of the factors is certified on the last day. factors: the file of one's own factors.
    """
    require_trainable(datasets, strict=strict)
    artifacts = services.paths.artifacts
    fresh: list[Scores] = []
    refit = refit_of_series(services, built.alias, factor_set(built.factor_set, _file(factors)), datasets, stages)

    def certify(fitted: FittedParameters | None) -> str:
        day = built.days[-1].trading_day
        return certificate_of_series(services, built.alias, built.factor_set, day, fit=fitted, factors=factors)

    def train(ledger: TrialLedger | None) -> tuple[Evaluation, Scores]:
        return evaluate(
            datasets,
            settings,
            artifacts=artifacts,
            trials=ledger,
            strict=strict,
            certify=certify,
            refit=refit,
            progress=progress,
        )

    def compute() -> Evaluation:
        evaluation, scores = train(trials)
        fresh.append(scores)
        return evaluation

    evaluation = stages.run("train", evaluation_inputs(datasets, settings, refit), Evaluation, compute)
    scores = fresh[0] if fresh else load_scores(artifacts, evaluation.scores_id)
    if scores is None:
        evaluation, scores = train(None)
    return evaluation, scores


def _file(factors: Path | None) -> str:
    return "" if factors is None else str(factors)


def market_of_series(services: Services, variety: str, datasets: Sequence[DayDataset]) -> Callable[[str], DayMarket]:
    """Test days of a stored series by ISO name; DataError when a day is no longer the one that its dataset was built from."""
    schedule = current_schedule(services, variety)
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    built = {dataset.trading_day.iso: dataset for dataset in datasets}

    def day_market(name: str) -> DayMarket:
        day = TradingDay.parse(name)
        ticks = series_ticks(services, schedule, day)
        same = np.array_equal(ticks.ts_ns, built[name].ts_ns) and np.array_equal(ticks.break_before, built[name].break_before)
        if not same:
            hint = "run the same command again"
            raise DataError(
                f"{name} of {schedule.alias} changed after its dataset was built", hint=hint, day=name, retryable=True
            )
        costs = SimCosts.from_spec(instruments.spec(ticks.underlying_symbol, day))
        return DayMarket(ticks, sessions_for(schedule.product, day, calendar, instruments), costs)

    return day_market


def run_simulation(
    services: Services,
    variety: str,
    datasets: Sequence[DayDataset],
    evaluation: Evaluation,
    scores: Scores,
    settings: JudgeSettings,
    stages: StageStore,
    trials: TrialLedger,
    progress: Progress = NO_PROGRESS,
) -> Simulation:
    """Simulation and verdict, read back when the same scores were simulated with the same policies and code."""
    policies = policies_of(services.settings())
    inputs = {
        **evaluation_inputs(datasets, settings),
        "scores": evaluation.scores_id,
        "policies": msgspec.to_builtins(policies),
        "code": code_hash("data", "datasets", "inference", "research", "sim", "pipelines"),
    }

    def compute() -> Simulation:
        return simulate(
            datasets,
            market_of_series(services, variety, datasets),
            scores,
            evaluation,
            policies,
            settings,
            trials=trials,
            progress=progress,
        )

    return stages.run("simulate", inputs, Simulation, compute)


def run_variety(
    services: Services,
    variety: str,
    *,
    set_name: str | None,
    models: Sequence[str] | None,
    horizons: Sequence[str] | None,
    with_simulation: bool,
    strict: bool | None = None,
    factors: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> JobReport:
    """Build what is missing, train and judge, and simulate on request, for the stored series of a variety.

    strict: refuse days without clean provenance instead of leaving them out; default the key ``datasets.strict_provenance``.
    factors: a file that declares factors and sets of one's own.
    """
    config = services.settings()
    gate = bool(config.get("datasets.strict_provenance")) if strict is None else strict
    log = StageLog(services.clock)
    stages = StageStore(services.paths.artifacts / "stages", log)
    trials = TrialLedger(services.ledger(), services.clock)
    settings = JudgeSettings.from_settings(config)
    if models:
        settings = msgspec.structs.replace(settings, models=tuple(dict.fromkeys(["prior", *models])))
    if horizons:
        settings = msgspec.structs.replace(settings, horizons=tuple(horizons))
    with log.timed("build"):
        datasets, built = build_datasets(
            services,
            variety,
            set_name=set_name or str(config.get("datasets.factor_set")),
            strict=gate,
            factors=_file(factors),
            progress=progress,
        )
    evaluation, scores = run_evaluation(
        services, datasets, settings, stages, trials, progress, built=built, strict=gate, factors=factors
    )
    simulation = None
    if with_simulation:
        simulation = run_simulation(services, variety, datasets, evaluation, scores, settings, stages, trials, progress)
    report = JobReport(
        alias=built.alias,
        evaluation=evaluation,
        simulation=simulation,
        reused=log.reused,
        trials=trials.count(),
        timings_s=log.timings_s,
        left_out=built.left_out,
        unvalidated_days=built.unvalidated_days,
    )
    write_result(services, f"{'backtest' if with_simulation else 'train'}-{built.alias}", report)
    return report
