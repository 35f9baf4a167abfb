"""The truth study: many seeds of every market through the pipeline, each finished run kept, so that a killed study goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path

import msgspec

from ghtrader.core.clock import SystemClock, elapsed_s
from ghtrader.core.ids import short_id
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.build import build_day
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.refit import refit_of
from ghtrader.pipelines.backtest import DayMarket, policies_of, simulate
from ghtrader.pipelines.evaluate import JudgeSettings, evaluate
from ghtrader.pipelines.runs import write_result
from ghtrader.pipelines.services import Services, Settings
from ghtrader.pipelines.stages import code_hash
from ghtrader.research.bootstrap import Interval
from ghtrader.research.trials import TrialLedger
from ghtrader.research.truth import TRUTH_HORIZON, channel_datasets, day_ticks, signal_truth
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.market.generate import DEFAULT_DAYS, GeneratedDay, generate_market, market_spec
from ghtrader.sim.policy import PolicySpec

__all__ = [
    "DEFAULT_MARKETS",
    "MarketSummary",
    "Requirement",
    "SeedTask",
    "SeedTruth",
    "TruthStudy",
    "requirements_of",
    "run_study",
    "seed_task",
    "seed_truth",
]

DEFAULT_MARKETS = ("planted", "decoy", "hidden", "null", "rich")
JUDGED_MARKET = "rich"
MISSES_ALLOWED_PER = 10  # one miss in ten seeds: 18 of 20 must hold
MAX_DECOY_GAIN = 0.01
MAX_NULL_BIAS = 0.012
NULL_MISSES_OF_TWENTY = 3
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


class SeedTruth(msgspec.Struct, frozen=True, kw_only=True):
    """One market and seed. ``verdict``: conclusion of the main job, where it was run (the rich market)."""

    market: str
    seed: int
    signal_gain: Interval
    directional_auc: Interval
    verdict: str | None
    seconds: float


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold over the seeds, with what was found."""

    name: str
    found: str
    met: bool


class MarketSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One market over its seeds."""

    market: str
    seeds: int
    mean_gain: float
    credited: int
    mean_auc: float
    intervals_off_half: int
    verdicts: dict[str, int]


class TruthStudy(msgspec.Struct, frozen=True, kw_only=True):
    """The whole study; ``ok`` when every requirement that its markets allow is met."""

    ok: bool
    requirements: list[Requirement]
    markets: list[MarketSummary]
    runs: list[SeedTruth]
    reused: int
    days: int


class SeedTask(msgspec.Struct, frozen=True):
    """Everything a run depends on; it travels to another process."""

    market: str
    seed: int
    days: int
    settings: JudgeSettings
    policies: tuple[PolicySpec, ...]
    set_name: str


def seed_task(config: Settings, market: str, seed: int, days: int) -> SeedTask:
    """The run of one market and seed under the effective configuration."""
    set_name = str(config.get("datasets.factor_set"))
    return SeedTask(market, seed, days, JudgeSettings.from_settings(config), tuple(policies_of(config)), set_name)


def seed_truth(task: SeedTask) -> SeedTruth:
    """Generate one market and judge it in memory; nothing is stored. One thread."""
    clock = SystemClock()
    started = clock.monotonic_ns()
    days = list(generate_market(task.market, task.seed, days=task.days))
    settings = task.settings
    signal = signal_truth(channel_datasets(days), seed=settings.seed, replicates=settings.replicates, threads=1)
    verdict = _verdict(days, task) if task.market == JUDGED_MARKET else None
    return SeedTruth(
        market=task.market,
        seed=task.seed,
        signal_gain=signal.signal_gain,
        directional_auc=signal.directional_auc,
        verdict=verdict,
        seconds=round(elapsed_s(clock, started), 2),
    )


def _verdict(days: Sequence[GeneratedDay], task: SeedTask) -> str:
    """The main job's conclusion: only what it depends on, the trading model at the headline horizon."""
    chosen, instruments = factor_set(task.set_name), InstrumentTable.vendored()
    by_day = {day.trading_day.iso: day for day in days}
    datasets = [build_day(day_ticks(day), day.sessions, chosen, (TRUTH_HORIZON,)) for day in days]
    settings = msgspec.structs.replace(
        task.settings, models=("prior", task.settings.models[-1]), horizons=(task.settings.horizons[0],)
    )
    refit = refit_of(datasets[0].symbol, chosen, lambda name: (day_ticks(by_day[name]), by_day[name].sessions, ()))
    evaluation, scores = evaluate(datasets, settings, artifacts=None, trials=None, threads=1, refit=refit)

    def market(name: str) -> DayMarket:
        day = by_day[name]
        return DayMarket(day_ticks(day), day.sessions, SimCosts.from_spec(instruments.spec(day.symbol, day.trading_day)))

    return simulate(datasets, market, scores, evaluation, task.policies, settings, trials=None).verdict.conclusion


def _single_threaded() -> None:
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"


def _end_with_parent() -> None:
    """A worker whose study was killed has nobody left to work for: it ends at once instead of waiting for ever."""
    parent = parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _computed(tasks: Sequence[SeedTask], waiting: Sequence[int], workers: int) -> Iterator[tuple[int, SeedTruth]]:
    """Results as they finish; one worker computes here, more in processes of their own."""
    if workers == 1 or len(waiting) < 2:
        yield from ((index, seed_truth(tasks[index])) for index in waiting)
        return
    _single_threaded()
    with ProcessPoolExecutor(min(workers, len(waiting)), mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        futures = {pool.submit(seed_truth, tasks[index]): index for index in waiting}
        try:
            yield from ((futures[future], future.result()) for future in as_completed(futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_study(
    services: Services,
    *,
    seeds: int,
    first_seed: int = 1,
    markets: Sequence[str] = DEFAULT_MARKETS,
    days: int = DEFAULT_DAYS,
    workers: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> TruthStudy:
    """Run every market and seed on all cores. Finished runs are kept under artifacts and reused by content and code."""
    for name in markets:
        market_spec(name)
    config = services.settings()
    code = code_hash("core", "data", "datasets", "inference", "pipelines", "research", "sim")
    tasks = [seed_task(config, market, seed, days) for seed in range(first_seed, first_seed + seeds) for market in markets]
    folder = services.paths.artifacts / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {index: folder / f"{short_id([msgspec.to_builtins(task), code])}.json" for index, task in enumerate(tasks)}
    trials = TrialLedger(services.ledger(), services.clock)
    done: dict[int, SeedTruth] = {}
    for index, path in paths.items():
        known = _known(path)
        if known is not None:
            done[index] = known
    reused = len(done)
    progress.start("truth", len(tasks))
    progress.advance(reused, note=f"{reused} runs reused")
    for index, found in _computed(tasks, [index for index in paths if index not in done], workers or os.cpu_count() or 1):
        done[index] = found
        write_atomically(paths[index], msgspec.json.encode(found))
        _record(trials, tasks[index], found)
        progress.advance(note=f"{found.market} seed {found.seed}")
    progress.finish(f"{len(tasks)} runs, {reused} reused")
    runs = [done[index] for index in sorted(done)]
    summaries = [_summary(name, [run for run in runs if run.market == name]) for name in markets]
    requirements = requirements_of(summaries)
    study = TruthStudy(
        ok=all(item.met for item in requirements),
        requirements=requirements,
        markets=summaries,
        runs=runs,
        reused=reused,
        days=days,
    )
    write_result(services, "truth", study)
    return study


def _record(trials: TrialLedger, task: SeedTask, found: SeedTruth) -> None:
    """One trial per computed run; its data is generated, so it counts for no real market."""
    spec = {"set": "channel", "baseline": "minimal15", "model": "lightgbm", "horizon": str(TRUTH_HORIZON)}
    data = {"symbol": f"generated {task.market}", "seed": task.seed, "days": task.days}
    trials.record("truth", spec=spec, data=data, result=msgspec.to_builtins(found))


def _known(path: Path) -> SeedTruth | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SeedTruth)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _summary(market: str, runs: Sequence[SeedTruth]) -> MarketSummary:
    verdicts: dict[str, int] = {}
    for run in runs:
        if run.verdict is not None:
            verdicts[run.verdict] = verdicts.get(run.verdict, 0) + 1
    return MarketSummary(
        market=market,
        seeds=len(runs),
        mean_gain=sum(run.signal_gain.value for run in runs) / len(runs),
        credited=sum(run.signal_gain.low > 0 for run in runs),
        mean_auc=sum(run.directional_auc.value for run in runs) / len(runs),
        intervals_off_half=sum(not run.directional_auc.low <= 0.5 <= run.directional_auc.high for run in runs),
        verdicts=verdicts,
    )


def requirements_of(summaries: Sequence[MarketSummary]) -> list[Requirement]:
    """What must hold; shares of the seeds, so that 20 seeds give the published numbers (18, 18, 3)."""
    found: list[Requirement] = []
    for item in summaries:
        least = item.seeds - item.seeds // MISSES_ALLOWED_PER
        if item.market == "planted":
            name = f"planted: lower bound of the gain above 0 in at least {least} of {item.seeds}"
            found.append(Requirement(name=name, found=f"{item.credited}", met=item.credited >= least))
        elif item.market in ("decoy", "hidden"):
            name = f"{item.market}: |mean gain| below {MAX_DECOY_GAIN}"
            found.append(Requirement(name=name, found=f"{item.mean_gain:+.4f}", met=abs(item.mean_gain) < MAX_DECOY_GAIN))
        elif item.market == "null":
            most = max(1, item.seeds * NULL_MISSES_OF_TWENTY // 20)
            bias = abs(item.mean_auc - 0.5)
            name = f"null: |mean AUC - 0.5| below {MAX_NULL_BIAS} and at most {most} intervals off 0.5"
            text = f"{bias:.4f}, {item.intervals_off_half}"
            found.append(Requirement(name=name, found=text, met=bias < MAX_NULL_BIAS and item.intervals_off_half <= most))
        elif item.market == "rich":
            name = f"rich: edge in at least {least} of {item.seeds}"
            edges = item.verdicts.get("edge", 0)
            found.append(Requirement(name=name, found=f"{edges}", met=edges >= least))
    return found
