"""`ghtrader gateway`: the process that trades an account."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.gateway_process import GatewayReport

__all__ = ["app", "show_days"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The gateway of an account: feed, orders, risk, kill switch, journal.",
    epilog="Examples:  ghtrader gateway run --account demo --replay samples  |  ghtrader trade status --account demo",
)


@app.callback()
def _group() -> None:
    """Keep `run` a verb of its own, also while it is the only one."""


@app.command(
    epilog="Examples:  ghtrader gateway run --account demo --replay samples  |  "
    "ghtrader gateway run --account demo --replay samples --fill-model front --speed 60 --json"
)
def run(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="The account; demo is built in and trades on the simulated exchange."),
    replay: Path | None = typer.Option(None, "--replay", help="A folder of tick files: trade them on the simulated exchange."),
    symbols: list[str] = typer.Option([], "--symbol", help="Contracts of the replay; default: all of them."),
    fill_model: str = typer.Option("back", "--fill-model", help="Of the simulated exchange: back, pro_rata or front."),
    speed: str = typer.Option("max", "--speed", help="max, or how many times real time."),
    wait_s: float = typer.Option(120.0, "--wait-s", help="How long a replay waits for a strategy that is ready."),
    screening: bool = typer.Option(
        False, "--screening", help="In a replay: venue and limits as `ghtrader backtest` simplifies them."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Run until the replay ends, Ctrl-C or SIGTERM. One per account: a second one ends at once with exit code 3.

    A strategy runs beside it: ghtrader strategy run --account demo.
    """
    from ghtrader.pipelines.gateway import GatewayRequest, run_gateway

    request = GatewayRequest(
        account=account,
        replay=replay,
        symbols=tuple(symbols),
        fill_model=fill_model,
        speed=speed,
        wait_s=wait_s,
        screening=screening,
    )

    def tell(name: str, fields: dict[str, Any]) -> None:
        words = "  ".join(f"{key}={value}" for key, value in fields.items())
        sys.stderr.write(f"{name}  {words}\n")

    with progress_for(context.obj.clock) as progress:
        report = run_gateway(context.obj, request, tell, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))


def _show(console: Console, report: GatewayReport) -> None:
    rows = [
        ("account", f"{report.account} ({report.mode}, fills {report.fill_model})"),
        ("ticks", f"{report.ticks:,} at {report.ticks_per_s:,.0f}/s"),
        ("targets, orders, fills", f"{report.targets:,}, {report.orders:,}, {report.fills:,}"),
        ("net", f"{report.net_cny:,.2f} CNY"),
    ]
    table(console, "", ("", ""), rows)
    show_days(console, report)
    stages = [(name, item.count, item.p50_us, item.p99_us, item.p999_us) for name, item in report.latency.items()]
    table(console, "latency, us", ("stage", "count", "p50", "p99", "p99.9"), stages, numbers=4)


def show_days(console: Console, report: GatewayReport) -> None:
    """Results by trading day."""
    rows = [
        (
            day.trading_day,
            f"{day.realised_cny:,.2f}",
            f"{day.holding_cny:,.2f}",
            f"{day.fees_cny:,.2f}",
            f"{day.net_cny:,.2f}",
            "estimated" if day.estimated else "",
        )
        for day in report.days
    ]
    title = f"CNY by trading day, fills {report.fill_model}"
    table(console, title, ("day", "realised", "holding", "fees", "net", "settlement"), rows, numbers=5)
