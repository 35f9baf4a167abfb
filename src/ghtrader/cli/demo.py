"""`ghtrader demo`: the whole loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.demo import DemoReport

__all__ = ["demo_app"]

demo_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@demo_app.command(
    epilog="Examples:  ghtrader demo  |  ghtrader demo --ticks DIR  |  ghtrader demo --market planted --seed 1 --json"
)
def demo(
    context: typer.Context,
    ticks: Path | None = typer.Option(None, "--ticks", help="A folder of tick files; several symbols are one run each."),
    market: str | None = typer.Option(None, "--market", help="Generate a market: planted, decoy, hidden, null, rich."),
    seed: int = typer.Option(1, "--seed", help="Seed of the generated market."),
    days: int | None = typer.Option(None, "--days", help="Trading days of the generated market; default 26."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """The whole loop: import, main-contract series, validation, factors, labels, models, simulation, report.

    Runs on the four sample days of SHFE.rb2510 unless told otherwise; no server, no account, no network.
    """
    from ghtrader.pipelines.demo import run_demo

    with progress_for(context.obj.clock) as progress:
        report = run_demo(context.obj, ticks=ticks, market=market, seed=seed, days=days, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))


def _show(console: Console, report: DemoReport) -> None:
    from ghtrader.pipelines.demo import summary_rows

    rows = summary_rows(report)
    if report.truth is not None:
        gain = report.truth.signal_gain
        rows.append(("signal gain", f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] (market {report.truth.market})"))
    reused = ", ".join(report.reused) or "nothing"
    rows.append(("reused", f"{reused}; trials so far: {report.trials}"))
    seconds = sum(report.timings_s.values())
    rows.append(("cost", f"{seconds:.1f} s, peak memory {report.peak_rss_mb:,.0f} MB"))
    table(console, "", ("", ""), rows)
    console.print("\nnext:")
    for command in report.next_commands:
        console.print(f"  {command}", soft_wrap=True)
