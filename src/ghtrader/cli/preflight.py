"""`ghtrader preflight`: may a session begin?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.preflight import PreflightReport

__all__ = ["preflight_app"]

BLOCKED = 8
preflight_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@preflight_app.command(
    epilog="Examples:  ghtrader preflight --account demo --symbol rb  |  ghtrader preflight --account ACCOUNT --mode live_trade --json"
)
def preflight(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="The account."),
    mode: str = typer.Option("", "--mode", help="paper, sim or live_trade; default: what the account was last asked for."),
    symbols: list[str] = typer.Option(
        [], "--symbol", help="Contract, variety or alias; repeatable; default: what the account was last asked for."
    ),
    model: str | None = typer.Option(
        None, "--model", help="The model's artefact hash; default: the newest; none: the strategy has no model."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Calendar, main contract, settlement, positions, funds, model, clock, disk, filing: green, yellow or red.

    A gateway asks the same when it starts. Exit code 8 while one is red: no order mode begins.
    """
    from ghtrader.pipelines.preflight import PreflightRequest, mode_named, run_preflight

    request = PreflightRequest(
        account=account, mode=mode_named(mode) if mode else None, symbols=tuple(symbols), model=model, ask_account=True
    )
    report = run_preflight(context.obj, request)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if not report.ok:
        raise typer.Exit(BLOCKED)


def _show(console: Console, report: PreflightReport) -> None:
    rows = [
        (check.name.value, check.state.value.upper() if check.state == "red" else check.state.value, check.message)
        for check in report.checks
    ]
    table(console, f"{report.account}, {report.mode}, {report.trading_day or 'no trading day'}", ("check", "", ""), rows)
    for check in report.checks:
        if check.hint:
            console.print(f"next for {check.name.value}: {check.hint}", soft_wrap=True)
