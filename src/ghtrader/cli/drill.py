"""`ghtrader drill`: rehearse a disaster, and see that it goes as promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.drill import DrillReport

__all__ = ["app"]

FAILED = 8
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Drills: a disaster on purpose, pass or fail by step.",
    epilog="Examples:  ghtrader drill kill-switch --account demo  |  ghtrader drill kill-switch --account demo --json",
)


@app.callback()
def _group() -> None:
    """Keep the drills verbs of their own, also while there is only one."""


@app.command("kill-switch", epilog="Examples:  ghtrader drill kill-switch --account demo  |  ghtrader drill kill-switch --json")
def kill_switch(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="Whose gateway must not run meanwhile; its own files are not touched."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Kill, kill -9, restart, flip every byte of the kill file, killed and cleared; reset, trade again. Exit code 8 if a step fails.

    The venue's own order log judges; the drill works on an account of its own beside yours.
    """
    from ghtrader.pipelines.drill import drill_kill_switch

    with progress_for(context.obj.clock) as progress:
        report = drill_kill_switch(context.obj, account, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if not report.passed:
        raise typer.Exit(FAILED)


def _show(console: Console, report: DrillReport) -> None:
    rows = [("pass" if step.passed else "FAIL", step.step, step.seen) for step in report.steps]
    table(console, f"{report.drill}: {'passed' if report.passed else 'FAILED'}", ("", "step", "seen"), rows)
    console.print(f"\nnext:\n  ghtrader journal tail --account {report.account}", soft_wrap=True)
