"""`ghtrader data main-l5-validate`: verdicts on stored days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.validate import ValidationReport

__all__ = ["add_commands"]

DATA_ERROR = 4
SHOWN = 10


def validate(
    context: typer.Context,
    variety: str | None = typer.Option(
        None, "--var", help="Variety whose main-contract series is judged, for example rb or SHFE.rb."
    ),
    symbol: str | None = typer.Option(None, "--symbol", help="Contract whose raw days are judged, without a schedule."),
    force: bool = typer.Option(False, "--force", help="Validate unchanged days again."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Verdict per trading day: coverage, gaps with cause, field quality, states by layer, reasons, the next command.

    Without --var and --symbol everything that is stored. Days whose verdict still holds are not judged again.
    """
    from ghtrader.pipelines.validate import validate_stored

    if variety is not None and symbol is not None:
        raise UsageError("--var and --symbol exclude each other", hint="ghtrader data main-l5-validate --help")
    with progress_for(context.obj.clock) as progress:
        report = validate_stored(context.obj, variety=variety, symbol=symbol, force=force, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if report.stored_state == "error":
        raise typer.Exit(DATA_ERROR)


def _show(console: Console, report: ValidationReport) -> None:
    rows = [
        (
            day.symbol,
            day.trading_day,
            day.overall_state,
            day.reason_code,
            " ".join(f"{part.session_part} {part.slots_filled:.1%}" for part in day.parts),
            len(day.gaps),
            day.rows,
        )
        for day in report.days
    ]
    columns = ("symbol", "trading day", "state", "reason", "500 ms slots filled", "gaps", "rows")
    table(console, f"{report.alias}: {report.stored_state}; {report.message}", columns, rows, numbers=2)
    for day in report.days:
        if day.reasons:
            console.print(f"{day.symbol} {day.trading_day}: {', '.join(day.reasons)}")
        for gap in day.largest_gaps[:SHOWN]:
            span = f"{iso_utc(gap.start_ns)} to {iso_utc(gap.end_ns)}"
            console.print(f"  gap of {gap.seconds:g} s in {gap.session_part}, {gap.cause}: {span}; {gap.evidence}")
        if day.action_hint:
            console.print(f"  next: {day.action_hint}")
    if report.missing_days:
        more = f" and {len(report.missing_days) - SHOWN} more" if len(report.missing_days) > SHOWN else ""
        console.print(f"no rows and nothing known: {', '.join(report.missing_days[:SHOWN])}{more}")


def add_commands(app: typer.Typer) -> None:
    """Add the command to ``ghtrader data``."""
    app.command("main-l5-validate")(validate)
