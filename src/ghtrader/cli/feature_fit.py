"""`ghtrader features fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.feature_fit import FitReport

__all__ = ["attach"]

SHOWN = 5


def attach(app: typer.Typer) -> None:
    """Add the verb to `ghtrader features`."""
    app.command(
        "fit",
        epilog="Examples:  ghtrader features fit --var rb --days 2025-06-05..2025-06-06 --out fit.json  |  "
        "ghtrader features fit SHFE.rb2510.20250605.parquet --out fit.json --json",
    )(fit)


def _show(console: Console, report: FitReport) -> None:
    fitted = report.fitted
    rows = [
        (name, len(numbers), "  ".join(f"{number:.4g}" for number in numbers[:SHOWN]) + (" ..." if len(numbers) > SHOWN else ""))
        for name, numbers in fitted.values.items()
    ]
    title = f"{fitted.symbol}, {fitted.rows:,} rows of {len(fitted.days)} days: {fitted.days[0]} to {fitted.days[-1]}"
    table(console, title, ("parameter", "numbers", "values"), rows)
    for note in report.notes:
        console.print(note)
    console.print(f"{report.out}: ghtrader features compute TICKS --params {report.out} takes rows after these")


def fit(
    context: typer.Context,
    files: list[Path] | None = typer.Argument(None, help="Tick files of one contract; or --var."),
    out: Path = typer.Option(..., "--out", help="JSON file to write."),
    variety: str | None = typer.Option(None, "--var", help="Days of a variety's series."),
    symbol: str | None = typer.Option(None, "--symbol", help="The contract of bare files."),
    days: str | None = typer.Option(None, "--days", help="FIRST..LAST, both included; default: all."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Estimate the parameters of fitted factors from days of training; rows inside or before them are refused later."""
    from ghtrader.pipelines.feature_fit import fit_features

    with progress_for(context.obj.clock) as progress:
        report = fit_features(context.obj, variety, files or [], out, symbol=symbol, days=days, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
