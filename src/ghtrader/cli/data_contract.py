"""`ghtrader data contract-check` and `ghtrader data rehash`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.contract_check import ContractReport
    from ghtrader.pipelines.rehash import RehashReport

__all__ = ["add_commands"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
FILES = typer.Argument(None, metavar="FILE", help="Parquet files of ticks; without any the built-in day is checked.")
DATA_ERROR = 4


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this file to `ghtrader data`."""
    app.command(
        "contract-check",
        epilog="Examples:  ghtrader data contract-check  |  ghtrader data contract-check samples/*.parquet --json  |  "
        "ghtrader data contract-check --symbol SHFE.rb2510 --day 2025-06-05",
    )(contract_check)
    app.command(
        "rehash",
        epilog="Examples:  ghtrader data rehash --dry-run  |  ghtrader data rehash --symbol SHFE.rb2510 --json",
    )(rehash)


def contract_check(
    context: typer.Context,
    files: list[Path] | None = FILES,
    symbol: str | None = typer.Option(None, "--symbol", help="Stored contract or alias; with FILE: the contract it holds."),
    day: str | None = typer.Option(None, "--day", help="One stored trading day, YYYY-MM-DD; default: every one of the symbol."),
    kind: str | None = typer.Option(None, "--kind", help="raw or main_l5; default: by symbol."),
    expect: str | None = typer.Option(None, "--expect", help="Digest that the one FILE must have (ghtrader data digest)."),
    digests: Path | None = typer.Option(None, "--digests", help="JSON that maps SYMBOL/DAY or DAY to a digest."),
    rules: bool = typer.Option(False, "--rules", help="Show the rules, check nothing."),
    as_json: bool = JSON,
) -> None:
    """Hold ticks against the data contract: schema, rows, null rates, extra columns, order, hashes. Changes nothing.

    Without arguments the built-in day is made and checked: its digest is pinned. Without --digests a digests.json beside a file
    tells the digest it must have. Every broken rule is named; the exit code is 4 then. Limits: keys data.contract.*.
    """
    from ghtrader.pipelines.contract_check import contract_check as check
    from ghtrader.pipelines.contract_check import contract_rules

    if rules:
        rows = contract_rules()
        shown = {"rules": [dict(zip(("rule", "what", "why"), row, strict=True)) for row in rows]}
        emit(shown, as_json=as_json, render=lambda console: table(console, "", ("rule", "what must be true", "why"), rows))
        return
    with progress_for(context.obj.clock) as progress:
        report = check(
            context.obj, files or [], symbol=symbol, day=day, kind=kind, expected=expect, digests=digests, progress=progress
        )
    emit(report, as_json=as_json, render=lambda console: _show_contract(console, report))
    if not report.ok:
        raise typer.Exit(DATA_ERROR)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _show_contract(console: Console, report: ContractReport) -> None:
    rows = [
        (
            Path(check.subject).name if check.source == "file" else check.subject,
            "ok" if check.ok else "BROKEN",
            check.digest[:8],
            _rate(check.null_rate_l1),
            _rate(check.null_rate_l5),
            check.rows,
        )
        for check in report.checks
    ]
    columns = ("what", "contract", "digest", "null L1", "null L5", "rows")
    table(console, "", columns, rows, numbers=3)
    for breach in report.breaches:
        console.print(f"[bold]{breach.rule}[/bold] {Path(breach.subject).name}: {breach.detail}", highlight=False)
        console.print(f"  next: {breach.hint}", highlight=False, markup=False)


def rehash(
    context: typer.Context,
    symbol: str | None = typer.Option(None, "--symbol", help="Contract or alias; default: everything stored."),
    to: int | None = typer.Option(None, "--to", help="Row hash version; default: the current one."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be moved, change nothing."),
    as_json: bool = JSON,
) -> None:
    """Move stored days to another version of the row hash. The cells stay; hashes, digests and manifests are new.

    Each day is replaced whole: kill it at any moment and run it again. A day whose rows are not those of its manifest is refused.
    """
    from ghtrader.pipelines.rehash import rehash_store

    with progress_for(context.obj.clock) as progress:
        report = rehash_store(context.obj, symbol=symbol, to_version=to, dry_run=dry_run, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_rehash(console, report))
    if not report.ok:
        raise typer.Exit(DATA_ERROR)


def _show_rehash(console: Console, report: RehashReport) -> None:
    rows = [
        (day.kind, day.symbol, day.trading_day, f"v{day.from_version}", day.outcome, day.digest[:16], day.rows)
        for day in report.days
        if day.outcome != "current"
    ]
    title = f"row hash v{report.to_version}: {report.moved} moved, {report.current} current, {report.refused} refused"
    table(console, title, ("kind", "symbol", "trading day", "was", "outcome", "digest", "rows"), rows, numbers=1)
    for day in report.days:
        if day.reason:
            console.print(f"refused: {day.reason}", highlight=False, markup=False)
