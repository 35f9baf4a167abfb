"""`ghtrader paper`: gateway and strategy together, on a replay or on live ticks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.gateway import show_days
from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.paper import PaperReport
    from ghtrader.pipelines.paper_pair import PaperRun
    from ghtrader.pipelines.paper_screening import Comparison

__all__ = ["paper_app", "run_replay"]

#: Differences that a table shows of one run; --json has them all.
SHOWN = 20
HALTED = 8

paper_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@paper_app.command(
    epilog="Examples:  ghtrader paper --replay samples  |  ghtrader paper --replay samples --fill-model back --policy taker --json  |  "
    "ghtrader paper --replay samples --file mine.py --param edge=0.3  |  ghtrader paper --symbol SHFE.rb2510 --for 600"
)
def paper(
    context: typer.Context,
    replay: Path | None = typer.Option(None, "--replay", help="A folder of tick files; without one the ticks are live."),
    symbol: str | None = typer.Option(None, "--symbol", help="The contract; live, and where the folder holds several."),
    for_s: float | None = typer.Option(None, "--for", min=0.0, help="Live: seconds until the end; default: until Ctrl-C."),
    market_time: bool = typer.Option(False, "--market-time", help="Live: as in `ghtrader gateway run`."),
    fill_models: list[str] = typer.Option(
        [], "--fill-model", help="back, pro_rata or front; more than one allowed; default: all, live back."
    ),
    speed: str = typer.Option("max", "--speed", help="max, or how many times real time."),
    policy: str = typer.Option("passive", "--policy", help="The built-in strategy: passive or taker."),
    file: Path | None = typer.Option(None, "--file", help="A strategy of your own: docs/how-to/write-a-strategy.md."),
    params: list[str] = typer.Option([], "--param", metavar="NAME=VALUE", help="What your strategy is told."),
    model: str | None = typer.Option(
        None, "--model", help="The model's artefact hash; default: the newest, else one is trained."
    ),
    screening: bool = typer.Option(
        False,
        "--screening",
        help="Venue and limits as the screening backtester simplifies them: then it must agree, order for order.",
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """The real processes on stored ticks: nothing is dropped, every order is journaled, one run per fill model.

    Each run of a built-in strategy is laid beside the screening backtester (`ghtrader backtest`): every order that differs, and why.
    """
    from ghtrader.pipelines.gateway import FILL_MODELS
    from ghtrader.pipelines.paper import PaperRequest, run_paper

    if replay is None:
        report = _live(context, symbol, for_s, market_time, tuple(fill_models), policy, file, tuple(params), model)
        _tell(report, as_json=as_json)
        return
    request = PaperRequest(
        replay=replay,
        symbol=symbol,
        fill_models=tuple(fill_models) or FILL_MODELS,
        speed=speed,
        policy=policy,
        file=file,
        params=tuple(params),
        model=model,
        screening=screening,
    )
    with progress_for(context.obj.clock) as progress:
        report = run_paper(context.obj, request, progress=progress)
    _tell(report, as_json=as_json)


def run_replay(
    context: typer.Context, replay: Path, symbol: str | None, file: Path, params: tuple[str, ...], *, as_json: bool
) -> None:
    """A strategy of one's own on a folder of tick files, once per fill model, and what came of it."""
    from ghtrader.pipelines.paper import PaperRequest, run_paper

    with progress_for(context.obj.clock) as progress:
        report = run_paper(context.obj, PaperRequest(replay=replay, symbol=symbol, file=file, params=params), progress=progress)
    _tell(report, as_json=as_json)


def _tell(report: PaperReport, *, as_json: bool) -> None:
    """Show it; a strategy that failed on the way is no success, whatever it earned before."""
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if any(_failures(run) for run in report.runs):
        raise typer.Exit(HALTED)


def _failures(run: PaperRun) -> list[str]:
    return [str(halt["message"]) for halt in run.strategy.get("halts", ()) if halt["reason"] == "strategy_failed"]


def _live(
    context: typer.Context,
    symbol: str | None,
    for_s: float | None,
    market_time: bool,
    fill_models: tuple[str, ...],
    policy: str,
    file: Path | None,
    params: tuple[str, ...],
    model: str | None,
) -> PaperReport:
    from ghtrader.core.errors import UsageError
    from ghtrader.pipelines.paper_live import LivePaperRequest, run_live_paper

    if symbol is None or len(fill_models) > 1:
        raise UsageError("live ticks need one contract and one fill model", hint="--symbol SHFE.rb2510, or --replay samples")
    request = LivePaperRequest(
        symbol=symbol,
        for_s=for_s,
        market_time=market_time,
        fill_model=fill_models[0] if fill_models else "back",
        policy=policy,
        file=file,
        params=params,
        model=model,
    )
    return run_live_paper(context.obj, request)


def _show(console: Console, report: PaperReport) -> None:
    rows = [
        (
            run.fill_model,
            run.gateway.targets,
            run.gateway.orders,
            run.gateway.fills,
            f"{run.gateway.net_cny:,.2f}",
            f"{run.gateway.ticks_per_s:,.0f}",
            f"{run.gateway.latency['tick_round_trip'].p50_us:,.0f}",
            f"{run.gateway_pid} {run.strategy_pid}",
        )
        for run in report.runs
    ]
    columns = ("fills", "targets", "orders", "trades", "net CNY", "ticks/s", "round trip us", "pids")
    table(console, f"{report.symbol}, {report.policy}", columns, rows, numbers=7)
    for run in report.runs:
        show_days(console, run.gateway)
    for run in report.runs:
        for message in _failures(run):
            console.print(f"the strategy was halted, fills {run.fill_model}: {message}", soft_wrap=True)
    for run in report.runs:
        if run.comparison is not None:
            _show_comparison(console, run.fill_model, run.comparison)
    if report.model is not None and report.model.in_sample_days:
        days = ", ".join(report.model.in_sample_days)
        console.print(f"the model has seen {days}: a rehearsal of the processes, no evidence of profit", soft_wrap=True)
    if report.pruned_accounts:
        count = len(report.pruned_accounts)
        console.print(f"{count} accounts of older runs were removed (gateway.paper_runs_kept)", soft_wrap=True)
    console.print("\nnext:")
    for command in report.next_commands:
        console.print(f"  {command}", soft_wrap=True)


def _show_comparison(console: Console, fill_model: str, found: Comparison) -> None:
    """How a run differs from the screening backtester: by day, by reason, and the first differences."""
    rows = [
        (
            day.trading_day,
            day.screening_orders,
            day.gateway_orders,
            day.matched,
            len(day.differences),
            f"{day.screening_net_cny:,.2f}",
            f"{day.gateway_net_cny:,.2f}",
        )
        for day in found.days
    ]
    title = f"beside the screening backtester, fills {fill_model}: {found.matched} of {found.orders} orders alike"
    columns = ("day", "screened orders", "orders", "alike", "differences", "screened net", "net")
    table(console, title, columns, rows, numbers=6)
    if not found.differences:
        console.print("no difference")
        return
    console.print(", ".join(f"{reason} {count}" for reason, count in found.reasons.items()), soft_wrap=True)
    every = [difference for day in found.days for difference in day.differences]
    shown = [
        (
            f"{item.trading_day} {item.number}",
            item.at[11:23],
            item.what,
            item.screening,
            item.gateway,
            f"{item.reason} {item.follows}" if item.follows else item.reason,
        )
        for item in every[:SHOWN]
    ]
    table(console, "", ("no.", "UTC", "what", "screening", "gateway", "reason"), shown)
    if len(every) > SHOWN:
        console.print(f"{len(every) - SHOWN:,} more: --json")
