"""`ghtrader paper --replay`: the real processes on stored ticks, one run per fill model, and how they compare."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import EXIT_OK, ConfigError, DataError, GhtraderError, HaltedError, LockHeldError, UsageError
from ghtrader.core.instruments import product_of
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.pipelines.demo import files_by_symbol, prepare_symbol, tick_files
from ghtrader.pipelines.gateway import FILL_MODELS
from ghtrader.pipelines.gateway_process import GatewayReport
from ghtrader.pipelines.judge_settings import JudgeSettings
from ghtrader.pipelines.main_job import run_evaluation
from ghtrader.pipelines.model_cards import StoredModel
from ghtrader.pipelines.paper_accounts import paper_account, prune_paper_accounts
from ghtrader.pipelines.paper_screening import Comparison, Screening
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import StageLog, StageStore
from ghtrader.pipelines.stopping import StopWish
from ghtrader.pipelines.strategy_models import newest_model
from ghtrader.research.trials import TrialLedger

__all__ = ["PaperReport", "PaperRequest", "PaperRun", "run_pair", "run_paper", "shown_model"]

MODEL = "logistic"
END_S = 20.0
LOOK_S = 0.2
#: What a process that ended with such an exit code failed of.
KINDS: dict[int, type[GhtraderError]] = {2: UsageError, 3: LockHeldError, 4: DataError, 7: ConfigError, 8: HaltedError}


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


class PaperModel(msgspec.Struct, frozen=True, kw_only=True):
    """What the strategy ran on. trained: by this command, because none was stored. in_sample_days: of the replay, known to the model."""

    artefact: str
    family: str
    horizon: str
    factors: int
    trained: bool
    in_sample_days: list[str]


class PaperRun(msgspec.Struct, frozen=True, kw_only=True):
    """One fill model: both processes and what the gateway's run came to; strategy: its own report at the end.

    comparison: with the screening backtester; None for a strategy of one's own, which it does not know.
    """

    fill_model: str
    account: str
    gateway_pid: int
    strategy_pid: int
    gateway: GatewayReport
    strategy: dict[str, Any]
    comparison: Comparison | None = None


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

    The newest stored model of the product trades; without one a logistic model is trained first, in a workspace. Raises UsageError
    when the folder holds several contracts and none is named, and whatever the processes raised.
    """
    symbol, paths, identity = _files_of(request)
    model = None
    if request.file is None:
        model = _model(services, request, symbol, paths, identity, progress)
    stamp = dt.datetime.fromtimestamp(services.clock.now_ns() // NS_PER_S, tz=dt.UTC).strftime("%Y%m%dT%H%M%S")
    screening = None if model is None else Screening(services, request.replay, symbol, model[0], request.policy)
    pruned = prune_paper_accounts(services, int(str(services.settings().get("gateway.paper_runs_kept"))) - 1)
    runs: list[PaperRun] = []
    for name in request.fill_models:
        run = _run(services, request, symbol, model, paper_account(stamp, name), name)
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
    found = newest_model(services, product_of(symbol))
    if found is not None:
        return found, False
    log = StageLog(services.clock)
    stages = StageStore(services.paths.artifacts / "stages", log)
    space = services.workspace(f"{symbol}-{identity}")
    data = prepare_symbol(services, space, symbol, paths, log, progress)
    settings = msgspec.structs.replace(JudgeSettings.from_settings(services.settings()), models=("prior", MODEL))
    trials = TrialLedger(services.ledger(), services.clock)
    run_evaluation(space, data.datasets, settings, stages, trials, progress, built=data.built)
    trained = newest_model(services, product_of(symbol))
    assert trained is not None
    return trained, True


def _run(
    services: Services,
    request: PaperRequest,
    symbol: str,
    model: tuple[StoredModel, bool] | None,
    account: str,
    fill_model: str,
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
    )  # fmt: skip


def run_pair(
    services: Services, account: str, fill_model: str, of_strategy: list[str], of_gateway: list[str], stop: StopWish | None = None
) -> PaperRun:
    """Start a strategy and a gateway with these words of ``strategy run`` and ``gateway run``; wait for the gateway, end the strategy.

    stop: when it is wished for, the gateway is asked to end in order. Raises GhtraderError with what the gateway failed of.
    """
    strategy = services.start(["strategy", "run", "--account", account, *of_strategy, "--json"])
    gateway = services.start(["gateway", "run", "--account", account, *of_gateway, "--fill-model", fill_model, "--json"])
    try:
        out, is_alone = _wait_for(gateway, strategy, stop)
        said = _end(strategy)
        if is_alone:
            raise _failure("strategy", strategy.returncode, said)
        if gateway.returncode != EXIT_OK:
            raise _failure("gateway", gateway.returncode, out)
    finally:
        for process in (gateway, strategy):
            if process.poll() is None:
                process.kill()
                process.wait()
    last = _last_object(said)
    return PaperRun(
        fill_model=fill_model,
        account=account,
        gateway_pid=gateway.pid,
        strategy_pid=strategy.pid,
        gateway=msgspec.convert(_last_object(out), GatewayReport),
        strategy=last.get("report", last),
    )


def _wait_for(gateway: subprocess.Popen[bytes], strategy: subprocess.Popen[bytes], stop: StopWish | None) -> tuple[bytes, bool]:
    """What the gateway said in the end, and whether it was asked to end because the strategy had ended by itself."""
    told = is_alone = False
    while True:
        if not told:
            wished = stop is not None and stop.received != 0
            is_alone = not wished and strategy.poll() is not None and gateway.poll() is None
            if wished or is_alone:
                gateway.send_signal(signal.SIGTERM)
                told = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            return gateway.communicate(timeout=LOOK_S)[0], is_alone


def _end(strategy: subprocess.Popen[bytes]) -> bytes:
    """What the strategy said; it is ended, unless it has ended by itself."""
    if strategy.poll() is None:
        strategy.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return strategy.communicate(timeout=END_S)[0]
        strategy.kill()
    return strategy.communicate()[0]


def _last_object(text: bytes) -> dict[str, Any]:
    """The last line that is a JSON object; empty when there is none."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(line, type=dict[str, Any])
    return {}


def _failure(name: str, code: int, said: bytes) -> GhtraderError:
    """The error that a process ended of, as it would have been raised here."""
    told = _last_object(said)
    message = told.get("message") or f"it ended by itself with exit code {code}"
    kind = KINDS.get(code, GhtraderError)
    return kind(f"the {name} of the paper run failed: {message}", hint=str(told.get("hint") or "see its words above"))
