"""`ghtrader paper`: gateway and strategy together, on a replay."""

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

__all__ = ["paper_app"]

paper_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@paper_app.command(
    epilog="Examples:  ghtrader paper --replay samples  |  ghtrader paper --replay samples --fill-model back --policy taker --json  |  "
    "ghtrader paper --replay samples --file mine.py --param edge=0.3"
)
def paper(
    context: typer.Context,
    replay: Path = typer.Option(..., "--replay", help="A folder of tick files."),
    symbol: str | None = typer.Option(None, "--symbol", help="The contract, where the folder holds several."),
    fill_models: list[str] = typer.Option(
        [], "--fill-model", help="back, pro_rata or front; more than one allowed; default: all."
    ),
    speed: str = typer.Option("max", "--speed", help="max, or how many times real time."),
    policy: str = typer.Option("passive", "--policy", help="The built-in strategy: passive or taker."),
    file: Path | None = typer.Option(None, "--file", help="A strategy of your own: docs/how-to/write-a-strategy.md."),
    params: list[str] = typer.Option([], "--param", metavar="NAME=VALUE", help="What your strategy is told."),
    model: str | None = typer.Option(
        None, "--model", help="The model's artefact hash; default: the newest, else one is trained."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """The real processes on stored ticks: nothing is dropped, every order is journaled, one run per fill model."""
    from ghtrader.pipelines.gateway import FILL_MODELS
    from ghtrader.pipelines.paper import PaperRequest, run_paper

    request = PaperRequest(
        replay=replay,
        symbol=symbol,
        fill_models=tuple(fill_models) or FILL_MODELS,
        speed=speed,
        policy=policy,
        file=file,
        params=tuple(params),
        model=model,
    )
    with progress_for(context.obj.clock) as progress:
        report = run_paper(context.obj, request, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))


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
    if report.model is not None and report.model.in_sample_days:
        days = ", ".join(report.model.in_sample_days)
        console.print(f"the model has seen {days}: a rehearsal of the processes, no evidence of profit", soft_wrap=True)
    console.print("\nnext:")
    for command in report.next_commands:
        console.print(f"  {command}", soft_wrap=True)
