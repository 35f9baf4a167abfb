"""`ghtrader paper --replay`: the real processes on stored ticks, one run per fill model, and how they compare."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.pipelines.backtest import POLICIES
from ghtrader.pipelines.demo import files_by_symbol, prepare_symbol, tick_files
from ghtrader.pipelines.gateway import FILL_MODELS, check_fill_model, check_speed
from ghtrader.pipelines.judge_settings import JudgeSettings
from ghtrader.pipelines.main_job import run_evaluation
from ghtrader.pipelines.model_cards import StoredModel
from ghtrader.pipelines.paper_accounts import paper_account, prune_paper_accounts
from ghtrader.pipelines.paper_pair import PaperRun, run_pair
from ghtrader.pipelines.paper_screening import Screening
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import StageLog, StageStore
from ghtrader.pipelines.stopping import StopWish
from ghtrader.pipelines.strategy import parse_params
from ghtrader.pipelines.strategy_models import fitting_model
from ghtrader.research.trials import TrialLedger

__all__ = ["PaperReport", "PaperRequest", "check_strategy_words", "run_paper", "shown_model"]

MODEL = "logistic"


@dataclass(frozen=True, kw_only=True)
class PaperRequest:
    """Options of ``ghtrader paper``. fill_models: one run each; policy, file, params: of the strategy, as in ``strategy run``.

    screening: venue and limits as the screening backtester simplifies them, so that both do the same, order for order.
    """

    replay: Path
    symbol: str | None = None
    fill_models: tuple[str, ...] = FILL_MODELS
    speed: str = "max"
    policy: str = "passive"
    file: Path | None = None
    params: tuple[str, ...] = ()
    model: str | None = None
    screening: bool = False

    def __post_init__(self) -> None:
        for name in self.fill_models:
            check_fill_model(name)
        check_speed(self.speed)
        check_strategy_words(self.policy, self.file, self.params)


def check_strategy_words(policy: str, file: Path | None, params: tuple[str, ...]) -> None:
    """Refuse what the strategy would refuse, before anything is trained or started. Raises UsageError."""
    if file is not None and not file.is_file():
        raise UsageError(f"no such file: {file}", hint="docs/how-to/write-a-strategy.md shows a file that works")
    if file is None and policy not in POLICIES:
        raise UsageError(f"no policy {policy!r}", hint=f"one of {', '.join(POLICIES)}")
    parse_params(params)


class PaperModel(msgspec.Struct, frozen=True, kw_only=True):
    """What the strategy ran on. trained: by this command, because none was stored. in_sample_days: of the replay, known to the model."""

    artefact: str
    family: str
    horizon: str
    factors: int
    trained: bool
    in_sample_days: list[str]


class PaperReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every run, and where to look further. pruned_accounts: of earlier runs, removed when this one began."""

    symbol: str
    policy: str
    speed: str
    model: PaperModel | None
    runs: list[PaperRun]
    days: list[str]
    next_commands: list[str]
    pruned_accounts: list[str] = []


def run_paper(services: Services, request: PaperRequest, *, progress: Progress = NO_PROGRESS) -> PaperReport:
    """Gateway and strategy as two processes on a folder of tick files, once per fill model.

    The newest stored model of the product that fits trades; without one a logistic model is trained first, in a workspace. Raises
    UsageError when the folder holds several contracts and none is named, whatever the processes raised, and KeyboardInterrupt on a
    signal.
    """
    symbol, paths, identity = _files_of(request)
    model = None
    if request.file is None:
        model = _model(services, request, symbol, paths, identity, progress)
    stamp = dt.datetime.fromtimestamp(services.clock.now_ns() // NS_PER_S, tz=dt.UTC).strftime("%Y%m%dT%H%M%S")
    screening = None if model is None else Screening(services, request.replay, symbol, model[0], request.policy)
    pruned = prune_paper_accounts(services, int(str(services.settings().get("gateway.paper_runs_kept"))) - 1)
    runs: list[PaperRun] = []
    stop = StopWish()
    for name in dict.fromkeys(request.fill_models):
        with stop.installed():
            run = _run(services, request, symbol, model, paper_account(stamp, name), name, stop)
        runs.append(run if screening is None else _compared(run, screening, same_venue=request.screening))
    days = [day.trading_day for day in runs[0].gateway.days]
    orders = runs[0].gateway.order_ids
    return PaperReport(
        symbol=symbol,
        policy=request.policy if request.file is None else str(request.file),
        speed=request.speed,
        model=None if model is None else shown_model(*model, days),
        runs=runs,
        days=days,
        next_commands=[
            f"ghtrader journal list --account {runs[0].account}",
            *([f"ghtrader journal why {orders[0]} --json"] if orders else []),
        ],
        pruned_accounts=pruned,
    )


def shown_model(model: StoredModel, trained: bool, days: Sequence[str]) -> PaperModel:
    """What the report says of a model that traded these days."""
    card = model.card.card
    return PaperModel(
        artefact=card.artefact,
        family=card.model,
        horizon=card.horizon,
        factors=len(model.card.factor_names),
        trained=trained,
        in_sample_days=[day for day in days if day <= max(card.train_days)],
    )


def _compared(run: PaperRun, screening: Screening, *, same_venue: bool) -> PaperRun:
    settled = {day.trading_day: day.net_cny for day in run.gateway.days}
    found = screening.compare(run.account, run.fill_model, settled, same_venue=same_venue)
    return msgspec.structs.replace(run, comparison=found)


def _files_of(request: PaperRequest) -> tuple[str, list[Path], str]:
    groups = files_by_symbol(tick_files(request.replay))
    if request.symbol is None and len(groups) > 1:
        raise UsageError(
            f"{request.replay} holds {', '.join(groups)}: say which is traded", hint=f"--symbol {next(iter(groups))}"
        )
    symbol = request.symbol or next(iter(groups))
    if symbol not in groups:
        raise UsageError(f"{request.replay} holds no {symbol}", hint=f"it holds {', '.join(groups)}")
    return symbol, *groups[symbol]


def _model(
    services: Services, request: PaperRequest, symbol: str, paths: Sequence[Path], identity: str, progress: Progress
) -> tuple[StoredModel, bool]:
    """The model, and whether it was trained just now."""
    from ghtrader.pipelines.model_cards import load_model

    if request.model is not None:
        return load_model(services, request.model), False
    found = fitting_model(services, symbol, in_sample=True)
    if found is not None:
        return found, False
    log = StageLog(services.clock)
    stages = StageStore(services.paths.artifacts / "stages", log)
    space = services.workspace(f"{symbol}-{identity}")
    data = prepare_symbol(services, space, symbol, paths, log, progress)
    settings = msgspec.structs.replace(JudgeSettings.from_settings(services.settings()), models=("prior", MODEL))
    trials = TrialLedger(services.ledger(), services.clock)
    run_evaluation(space, data.datasets, settings, stages, trials, progress, built=data.built)
    trained = fitting_model(services, symbol, in_sample=True)
    if trained is None:
        raise DataError(
            f"no model of {symbol} came out of the training", hint="GHTRADER_ARTIFACTS_DIR=NEW_FOLDER, and the same command"
        )
    return trained, True


def _run(
    services: Services,
    request: PaperRequest,
    symbol: str,
    model: tuple[StoredModel, bool] | None,
    account: str,
    fill_model: str,
    stop: StopWish,
) -> PaperRun:
    """One pair of processes, to the end of the replay."""
    chosen = ["--file", str(request.file)] if request.file is not None else ["--policy", request.policy]
    if model is not None:
        chosen += ["--model", model[0].card.card.artefact]
    for param in request.params:
        chosen += ["--param", param]
    return run_pair(
        services,
        account,
        fill_model,
        ["--symbol", symbol, *chosen, "--in-sample", "--lockstep"],
        [
            "--replay", str(request.replay), "--symbol", symbol,
            "--speed", request.speed, *(["--screening"] if request.screening else []),
        ],
        stop,
    )  # fmt: skip
