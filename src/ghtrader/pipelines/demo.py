"""The main job end to end: ticks in, series, verdicts, factors, models, simulated execution, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.ids import short_id
from ghtrader.core.instruments import product_of
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.readers import read_ticks
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.splits import MIN_DAYS
from ghtrader.pipelines.backtest import Simulation
from ghtrader.pipelines.build import BuildReport, build_datasets
from ghtrader.pipelines.demo_report import compose_report
from ghtrader.pipelines.evaluate import Evaluation, JudgeSettings
from ghtrader.pipelines.ingest import ImportReport, import_files
from ghtrader.pipelines.main_job import run_evaluation, run_simulation
from ghtrader.pipelines.main_series import MainL5Report, build_main_l5, make_schedule
from ghtrader.pipelines.market import MarketReport, write_market
from ghtrader.pipelines.report.render import render_html
from ghtrader.pipelines.runs import new_run
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import StageLog, StageStore, code_hash
from ghtrader.pipelines.validate import ValidationReport, validate_main_l5
from ghtrader.research.bootstrap import Interval
from ghtrader.research.trials import TrialLedger
from ghtrader.research.truth import SignalTruth, signal_truth
from ghtrader.sim.market.generate import DEFAULT_DAYS, market_spec

__all__ = [
    "DemoReport",
    "Prepared",
    "SymbolRun",
    "files_by_symbol",
    "prepare_symbol",
    "run_demo",
    "samples_folder",
    "tick_files",
]

TICK_SUFFIXES = (".parquet", ".csv")
FALLBACK_MARKET = "planted"
MIN_MARKET_DAYS = 8
HEADLINE_POLICY = "passive"


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one model with its 95 % interval (None where none is claimed)."""

    symbol: str
    model: str
    horizon: str
    metric: str
    value: float | None
    interval: tuple[float | None, float | None] | None
    rows: int


class FillSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The headline policy under one fill model: net PnL in CNY after fees, fills, passive fills; every policy beneath."""

    pnl: float
    fills: int
    passive_fills: int
    policies: dict[str, dict[str, float | None]]


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a generated market's truth says about the pipeline; ``verdict`` is the main job's conclusion."""

    market: str
    signal_gain: Interval
    directional_auc: Interval
    verdict: str


class SymbolRun(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol's run."""

    symbol: str
    report: str
    trading_days: list[str]
    ticks: int
    rows_in: int
    deduped: int
    dropped: dict[str, int]
    models: list[ModelMetric]
    fills: dict[str, FillSummary]
    conclusion: str
    conclusion_text: list[str]
    data_states: dict[str, str]
    reused: list[str]
    timings_s: dict[str, float]
    workspace: str


class SkippedSymbol(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol of the folder that could not be run, and why; the others were."""

    symbol: str
    message: str
    hint: str


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """All symbols. For one symbol the top-level fields are its own; for several they are joined and ``runs`` has each."""

    report: str
    symbols: list[str]
    trading_days: list[str]
    ticks: int
    dropped: dict[str, int]
    deduped: int
    models: list[ModelMetric]
    fills: dict[str, FillSummary] | dict[str, dict[str, FillSummary]]
    conclusion: str
    config_hash: str
    timings_s: dict[str, float]
    peak_rss_mb: float
    trials: int
    reused: list[str]
    truth: Truth | None
    runs: list[SymbolRun]
    skipped: list[SkippedSymbol]
    next_commands: list[str]


def samples_folder() -> Path | None:
    """The repository's sample days, where they are beside the source; None in an installed wheel."""
    folder = Path(__file__).resolve().parents[3] / "samples"
    return folder if any(folder.glob("*.parquet")) else None


def run_demo(
    services: Services,
    *,
    ticks: Path | None = None,
    market: str | None = None,
    seed: int = 1,
    days: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> DemoReport:
    """Run the whole loop on the sample days, a folder of ticks, or a generated market. What did not change is reused."""
    if ticks is not None and market is not None:
        raise UsageError("--ticks and --market exclude each other", hint="ghtrader demo --help")
    if market is None and ticks is None and samples_folder() is None:
        market = FALLBACK_MARKET
    log = StageLog(services.clock)
    stages = StageStore(services.paths.artifacts / "stages", log)
    if market is not None:
        market_spec(market)
        if days is not None and days < MIN_MARKET_DAYS:
            raise UsageError(
                f"--days {days}: a market needs {MIN_MARKET_DAYS}, six to train on and two to test", hint="--days 26"
            )
        files = _generated_files(services, market, seed, days or DEFAULT_DAYS, stages, progress)
        command = f"ghtrader demo --market {market} --seed {seed}" + (f" --days {days}" if days else "")
    else:
        files = tick_files(ticks or samples_folder())
        command = f"ghtrader demo --ticks {ticks}" if ticks else "ghtrader demo"
    with log.timed("read"):
        groups = files_by_symbol(files)
    runs: list[SymbolRun] = []
    skipped: list[SkippedSymbol] = []
    truth: Truth | None = None
    for symbol, (paths, identity) in groups.items():
        try:
            run, truth = _run_symbol(services, symbol, paths, identity, market, command, stages, log, progress)
        except DataError as error:
            if len(groups) == 1:
                raise
            skipped.append(SkippedSymbol(symbol=symbol, message=error.message, hint=error.hint))
        else:
            runs.append(run)
    if not runs:
        listed = "; ".join(f"{item.symbol}: {item.message}" for item in skipped)
        raise DataError(f"no symbol of the folder could be run: {listed}", hint=skipped[0].hint)
    return _joined(services, runs, skipped, truth, log)


def tick_files(folder: Path | None) -> list[Path]:
    """Tick files of a folder, sorted; raises DataError when there are none."""
    if folder is None or not folder.is_dir():
        what = f"no such folder: {folder}" if folder is None or not folder.exists() else f"{folder} is no folder"
        raise DataError(what, hint="name a folder of tick files, one a trading day: samples is one")
    files = sorted(path for path in folder.iterdir() if path.suffix in TICK_SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no .parquet or .csv files", hint="ghtrader market generate planted --seed 1 --out DIR")
    return files


def _generated_files(services: Services, market: str, seed: int, days: int, stages: StageStore, progress: Progress) -> list[Path]:
    folder = services.paths.data / "markets" / f"{market}-{seed}-{days}"
    inputs = {"market": market, "seed": seed, "days": days, "folder": str(folder), "code": code_hash("core", "data", "sim")}

    def generate() -> MarketReport:
        return write_market(services, market, seed=seed, out=folder, days=days, progress=progress)

    written = stages.run("generate", inputs, MarketReport, generate)
    files = [Path(path) for path in written.files]
    return files if all(path.exists() for path in files) else [Path(path) for path in generate().files]


def files_by_symbol(files: Sequence[Path]) -> dict[str, tuple[list[Path], str]]:
    """Files of each symbol, and the identity of their contents (names do not count)."""
    groups: dict[str, list[Path]] = {}
    hashes: dict[str, list[str]] = {}
    for path in files:
        source = read_ticks(path)
        groups.setdefault(source.symbol, []).append(path)
        hashes.setdefault(source.symbol, []).append(source.sha256)
    return {symbol: (paths, short_id(sorted(hashes[symbol]))) for symbol, paths in sorted(groups.items())}


@dataclass(frozen=True)
class Prepared:
    """One symbol's data, ready to train on."""

    imported: ImportReport
    schedule: MainSchedule
    series: MainL5Report
    verdicts: ValidationReport
    datasets: list[DayDataset]
    built: BuildReport


def _import(space: Services, symbol: str, files: Sequence[Path], log: StageLog, progress: Progress) -> ImportReport:
    """Import every file; a file that cannot be used, or too few days, ends the demo with what to do about it."""
    with log.timed("import"):
        imported = import_files(space, files, progress=progress)
    if imported.errors:
        first = imported.errors[0]
        raise DataError(
            f"{len(imported.errors)} files cannot be used; {first['file']}: {first['message']}", hint=str(first["hint"])
        )
    if not imported.rows_written:
        log.mark_reused("import")
    days = {day.trading_day for day in imported.days if day.rows_stored}
    if len(days) < MIN_DAYS:
        raise DataError(
            f"{symbol}: {len(days)} trading days with ticks; a model needs {MIN_DAYS} (two to train on, one to test)",
            hint="give more days, or ghtrader data import FILE... to store these",
            symbol=symbol,
        )
    return imported


def prepare_symbol(
    services: Services, space: Services, symbol: str, files: Sequence[Path], log: StageLog, progress: Progress
) -> Prepared:
    """From files to datasets: import, schedule, series, verdicts, factors and labels."""
    product, settings = product_of(symbol), services.settings()
    imported = _import(space, symbol, files, log, progress)
    with log.timed("main_series"):
        schedule = make_schedule(space, product, contract=symbol).schedule
        # the workspace holds nothing that needs protection, and the report shows the verdict on every day
        series = build_main_l5(space, product, enforce_health=False, progress=progress)
    with log.timed("validate"):
        verdicts = validate_main_l5(space, product, progress=progress)
    with log.timed("build"):
        datasets, built = build_datasets(
            space,
            product,
            set_name=str(settings.get("datasets.factor_set")),
            strict=bool(settings.get("datasets.strict_provenance")),
            progress=progress,
        )
    unchanged = {"main_series": series.noop, "validate": verdicts.noop, "build": built.reused == len(built.days)}
    for name in (name for name, same in unchanged.items() if same):
        log.mark_reused(name)
    return Prepared(imported, schedule, series, verdicts, datasets, built)


def _run_symbol(
    services: Services,
    symbol: str,
    files: Sequence[Path],
    identity: str,
    market: str | None,
    command: str,
    stages: StageStore,
    log: StageLog,
    progress: Progress,
) -> tuple[SymbolRun, Truth | None]:
    space, product = services.workspace(f"{symbol}-{identity}"), product_of(symbol)
    trials = TrialLedger(services.ledger(), services.clock)
    settings = JudgeSettings.from_settings(services.settings())
    data = prepare_symbol(services, space, symbol, files, log, progress)
    evaluation, scores = run_evaluation(space, data.datasets, settings, stages, trials, progress, built=data.built)
    simulation = run_simulation(space, product, data.datasets, evaluation, scores, settings, stages, trials, progress)
    truth = None if market is None else _truth(space, product, market, simulation, settings, stages, trials, progress)
    with log.timed("report"):
        page = compose_report(
            symbol=symbol,
            command=command,
            tool_version=services.tool_version,
            config_hash=services.settings().config_hash,
            schedule=data.schedule,
            series=data.series,
            verdicts=data.verdicts,
            datasets=data.datasets,
            built=data.built,
            imported=data.imported,
            evaluation=evaluation,
            simulation=simulation,
            truth=_truth_facts(truth),
            trials=trials.count(),
            next_commands=_next_commands(str(space.paths.data)),
            timings_s=dict(log.timings_s),
        )
        path = _write_run(services, symbol, render_html(page))
    run = SymbolRun(
        symbol=symbol,
        report=str(path),
        trading_days=[day.trading_day for day in data.built.days],
        ticks=sum(day.rows for day in data.built.days),
        rows_in=data.imported.rows_in,
        deduped=data.imported.deduped,
        dropped=data.imported.dropped,
        models=_metrics(symbol, evaluation),
        fills=_fills(simulation),
        conclusion=simulation.verdict.conclusion,
        conclusion_text=simulation.verdict.text,
        data_states={day.trading_day: day.overall_state for day in data.verdicts.days},
        reused=list(log.reused),
        timings_s=dict(log.timings_s),
        workspace=str(space.paths.data),
    )
    return run, truth


def _truth(
    space: Services,
    product: str,
    market: str,
    simulation: Simulation,
    settings: JudgeSettings,
    stages: StageStore,
    trials: TrialLedger,
    progress: Progress,
) -> Truth:
    """Signal gain and directional AUC of the planted channel, on the same stored days."""
    datasets, built = build_datasets(space, product, set_name="channel", progress=progress)
    inputs = {
        "builds": [day.build_hash for day in built.days],
        "seed": settings.seed,
        "replicates": settings.replicates,
        "code": code_hash("datasets", "inference", "research"),
    }

    def compute() -> SignalTruth:
        found = signal_truth(datasets, seed=settings.seed, replicates=settings.replicates, threads=2)
        spec = {"set": "channel", "baseline": "minimal15", "model": "lightgbm", "seed": settings.seed}
        result = {"signal_gain": found.signal_gain.value, "directional_auc": found.directional_auc.value}
        trials.record("truth", spec=spec, data={"symbol": built.alias, "builds": inputs["builds"]}, result=result)
        return found

    signal = stages.run("truth", inputs, SignalTruth, compute)
    return Truth(
        market=market,
        signal_gain=signal.signal_gain,
        directional_auc=signal.directional_auc,
        verdict=simulation.verdict.conclusion,
    )


def _truth_facts(truth: Truth | None) -> list[tuple[str, str, str]]:
    if truth is None:
        return []

    def shown(interval: Interval) -> str:
        return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"

    return [
        ("market", truth.market, market_spec(truth.market).summary),
        ("signal gain", shown(truth.signal_gain), "directional AUC with the planted channel's factors minus without, paired"),
        ("directional AUC", shown(truth.directional_auc), "of the model with the channel, given a move"),
    ]


def _metrics(symbol: str, evaluation: Evaluation) -> list[ModelMetric]:
    return [
        ModelMetric(
            symbol=symbol,
            model=item.model,
            horizon=item.horizon,
            metric=item.metric,
            value=item.value,
            interval=None if item.low is None else (item.low, item.high),
            rows=item.rows,
        )
        for item in evaluation.metrics
    ]


def _fills(simulation: Simulation) -> dict[str, FillSummary]:
    """By fill model; the unattainable bound stays in the report, where it is marked as one."""
    out: dict[str, FillSummary] = {}
    for name in ("back", "pro_rata", "front"):
        rows = {row.policy: row for row in simulation.fills if row.fill_model == name}
        headline = rows[HEADLINE_POLICY]
        policies: dict[str, dict[str, float | None]] = {
            policy: {
                "pnl": row.pnl_cny,
                "fees": row.fees_cny,
                "fills": row.fills,
                "passive_fills": row.passive_fills,
                "round_trips": row.round_trips,
                "net_ticks_per_trade": row.net_ticks,
                "low": row.low,
                "high": row.high,
            }
            for policy, row in rows.items()
        }
        out[name] = FillSummary(
            pnl=headline.pnl_cny, fills=headline.fills, passive_fills=headline.passive_fills, policies=policies
        )
    return out


def _write_run(services: Services, symbol: str, page: str) -> Path:
    """A folder for this run: report and effective configuration with its hash."""
    path = new_run(services, f"demo-{symbol}") / "report.html"
    write_atomically(path, page.encode())
    return path


def _next_commands(workspace: str) -> list[str]:
    return [
        f"GHTRADER_DATA_DIR={workspace} ghtrader data verify",
        "ghtrader demo --market planted --seed 1",
        "ghtrader truth --seeds 3",
    ]


def _peak_rss_mb() -> float:
    """Highest resident size of this program, MiB. (`getrusage` would count the process that started it, up to the exec.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(peak.split()[1]) / 1024, 1)


def _joined(
    services: Services, runs: Sequence[SymbolRun], skipped: list[SkippedSymbol], truth: Truth | None, log: StageLog
) -> DemoReport:
    first = runs[0]
    dropped: dict[str, int] = {}
    for run in runs:
        for reason, count in run.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    words = list(dict.fromkeys(run.conclusion for run in runs))
    return DemoReport(
        report=first.report,
        symbols=[run.symbol for run in runs],
        trading_days=sorted({day for run in runs for day in run.trading_days}),
        ticks=sum(run.ticks for run in runs),
        dropped=dropped,
        deduped=sum(run.deduped for run in runs),
        models=[metric for run in runs for metric in run.models],
        fills=first.fills if len(runs) == 1 else {run.symbol: run.fills for run in runs},
        conclusion=words[0] if len(words) == 1 else "mixed",
        config_hash=services.settings().config_hash,
        timings_s=log.timings_s,
        peak_rss_mb=_peak_rss_mb(),
        trials=TrialLedger(services.ledger(), services.clock).count(),
        reused=log.reused,
        truth=truth,
        runs=list(runs),
        skipped=skipped,
        next_commands=_next_commands(first.workspace),
    )


def summary_rows(report: DemoReport) -> list[tuple[str, str]]:
    """The one-screen summary of each run, as label and text."""
    rows: list[tuple[str, str]] = []
    for run in report.runs:
        states = ", ".join(f"{day} {state}" for day, state in list(run.data_states.items())[:6])
        rows += [
            ("symbol", f"{run.symbol}, {len(run.trading_days)} trading days, {run.ticks:,} ticks"),
            ("data", states + (" ..." if len(run.data_states) > 6 else "")),
        ]
        for metric in run.models:
            if metric.metric in ("directional_auc", "log_loss_skill") and metric.value is not None and metric.interval:
                low, high = metric.interval
                rows.append((f"{metric.model} {metric.horizon}", f"{metric.metric} {metric.value:.4f} [{low:.4f}, {high:.4f}]"))
        for name, fill in run.fills.items():
            net = fill.policies[HEADLINE_POLICY]["net_ticks_per_trade"]
            shown = "no trades" if net is None else f"{net:+.3f} net ticks per trade"
            rows.append((f"fills {name}", f"{fill.pnl:,.0f} CNY, {fill.fills:,} fills, {fill.passive_fills:,} passive, {shown}"))
        rows.append(("conclusion", f"{run.conclusion}: {' '.join(run.conclusion_text)}"))
        rows.append(("report", run.report))
    rows += [("not run", f"{item.symbol}: {item.message}") for item in report.skipped]
    return rows
