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
    "ghtrader gateway run --account demo --mode paper --symbol SHFE.rb2510  |  ghtrader gateway run --account kq --mode sim --json"
)
def run(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="The account; demo is built in and trades on the simulated exchange."),
    replay: Path | None = typer.Option(None, "--replay", help="A folder of tick files: trade them on the simulated exchange."),
    symbols: list[str] = typer.Option(
        [], "--symbol", help="Contracts (live: or aliases); default: all of the replay, or what the account trades already."
    ),
    mode: str = typer.Option("", "--mode", help="Live: idle, paper, sim, live_monitor or live_trade; default: as it was."),
    confirm_live: str = typer.Option("", "--confirm-live", help="I_UNDERSTAND: live_trade, with GHTRADER_LIVE_ENABLED=true."),
    for_s: float | None = typer.Option(None, "--for", min=0.0, help="Live: seconds until the end; default: until a signal."),
    market_time: bool = typer.Option(
        False, "--market-time", help="Live: go by the ticks' time, for a market that is not the present one (serve-exchange)."
    ),
    record: bool = typer.Option(True, "--record/--no-record", help="Live: store the ticks."),
    fill_model: str = typer.Option("back", "--fill-model", help="Of the simulated exchange: back, pro_rata or front."),
    speed: str = typer.Option("max", "--speed", help="max, or how many times real time."),
    wait_s: float = typer.Option(120.0, "--wait-s", help="How long a replay waits for a strategy, a market time for a tick."),
    screening: bool = typer.Option(
        False, "--screening", help="In a replay: venue and limits as `ghtrader backtest` simplifies them."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Run until the replay ends, Ctrl-C or SIGTERM. One per account: a second one ends at once with exit code 3.

    A strategy runs beside it: ghtrader strategy run --account demo. Live, the account is one of ghtrader account list, or any name
    with --mode paper; what a mode lacks makes it live_monitor, and the line gateway_mode says what that is.
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
        mode=mode,
        confirm_live=confirm_live,
        for_s=for_s,
        market_time=market_time,
        record=record,
    )
    errors = sys.stderr  # the client of the data provider silences the stream while it opens a session

    def tell(name: str, fields: dict[str, Any]) -> None:
        words = "  ".join(f"{key}={value}" for key, value in fields.items())
        errors.write(f"{name}  {words}\n")

    with progress_for(context.obj.clock) as progress:
        report = run_gateway(context.obj, request, tell, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))


def _show(console: Console, report: GatewayReport) -> None:
    rows = [
        ("account", f"{report.account} ({report.mode}{f', fills {report.fill_model}' if report.fill_model else ''})"),
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
