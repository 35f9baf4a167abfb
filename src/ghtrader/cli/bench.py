"""`ghtrader bench`: speed and memory beside peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.bench.harness import BenchReport

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog="Examples:  ghtrader bench sim  |  ghtrader bench rowhash --rows 2000000 --json")
def bench(
    context: typer.Context,
    name: str = typer.Argument(
        ..., help="sim, factors, labels, rowhash, store, validate, import, strategy, gateway, links or dedupe."
    ),
    rows: int | None = typer.Option(None, "--rows", min=1000, help="Rows of one timed call."),
    repeats: int = typer.Option(5, "--repeats", min=1, help="Timed calls; the median counts."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Measure on one core, with memory, beside peers in the same run (extra `bench`). Absolute numbers are this machine's."""
    from ghtrader.pipelines.bench.run import run_bench

    with progress_for(context.obj.clock) as progress:
        report = run_bench(name, rows=rows, repeats=repeats, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))


def _show(console: Console, report: BenchReport) -> None:
    rows = [
        (m.name, m.note or "", m.unavailable or f"{m.rows_per_s:,.0f}", f"{m.rss_above_baseline_mb:,.0f}")
        for m in (report.ours, *report.peers)
    ]
    table(console, report.work, ("contestant", "what it does", "rows/s", "MiB above baseline"), rows, numbers=2)
    shown = {key: value for key, value in report.ours.extra.items() if key != "work"}
    if shown:
        console.print(", ".join(f"{key} {value:,.2f}" for key, value in shown.items()))
    met = "met" if report.target_met else "NOT met"
    console.print(f"target {report.target}: {met}; {report.machine.cpu}, {report.machine.cores} cores, {report.versions}")
