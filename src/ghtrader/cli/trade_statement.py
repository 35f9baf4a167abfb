"""`ghtrader trade statement`: the journal against the venue's statements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.statement import StatementReport

__all__ = ["attach"]

DATA_ERROR = 4


def attach(app: typer.Typer) -> None:
    """Add the verb to ``trade``."""
    app.command(
        epilog="Examples:  ghtrader trade statement --account demo  |  ghtrader trade statement --account demo --day 2025-06-05 --json  |  "
        "ghtrader trade statement --account demo --file STATEMENT.json"
    )(statement)


def statement(
    context: typer.Context,
    account: str = typer.Option("", "--account", help="Account; may be left out where only one has a journal."),
    day: str = typer.Option("", "--day", help="One trading day (2025-06-05); default: all."),
    file: Path | None = typer.Option(
        None, "--file", help="The venue's statement of a day as JSON: kept in place of any of that day, and compared."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line, with every line of every day."),
) -> None:
    """Lots, profits, fees, margin and balance of each settled day, ours against the venue's, to the cent.

    Exit code 4 when a line differs or a day that is over has no statement.
    """
    from ghtrader.pipelines.statement import check_statements

    report = check_statements(context.obj, account, day=day, file=file)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if not report.balanced:
        raise typer.Exit(DATA_ERROR)


def _money(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _show(console: Console, report: StatementReport) -> None:
    rows = [
        (
            day.trading_day, day.state, _money(day.close_profit_cny), _money(day.position_profit_cny), _money(day.commission_cny),
            _money(day.balance_cny), len(day.check.differences) if day.check else "-",
        )
        for day in report.days
    ]  # fmt: skip
    columns = ("day", "", "closed", "held", "fees", "balance", "lines differ")
    table(console, f"{report.account}, CNY", columns, rows, numbers=5)
    shown = [(day.trading_day, day.check) for day in report.days if day.check is not None]
    lines = [
        (
            day, f"{line.name} {line.symbol}".strip(), f"{line.reason}: {line.message}" if line.reason else "", _money(line.ours),
            _money(line.venue), _money(line.difference) if line.reason else "",
        )
        for day, check in shown
        for line in (check.lines if len(report.days) == 1 else check.differences)
    ]  # fmt: skip
    if lines:
        table(console, "", ("day", "line", "", "ours", "venue", "differs by"), lines, numbers=3)
    for day, check in shown:
        if check.estimated:
            console.print(f"{day}: settled at an estimated price: {', '.join(check.estimated)}", soft_wrap=True)
    for command in report.next_commands:
        console.print(f"next: {command}", soft_wrap=True)
