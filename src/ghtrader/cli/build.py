"""`ghtrader build`: factors and labels of stored days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["build_app", "show_days"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
build_app = typer.Typer(rich_markup_mode=None, add_completion=False)


def show_days(console: Console, left_out: Sequence[str], unvalidated: Sequence[str]) -> None:
    """Days that were left out, and days whose gaps nobody looked for, when there are any."""
    if left_out:
        console.print(f"left out, without clean provenance: {', '.join(left_out)}")
    if unvalidated:
        console.print(f"never validated, gaps unknown: {', '.join(unvalidated)} (ghtrader data main-l5-validate)")


@build_app.command(epilog="Examples:  ghtrader build --var rb  |  ghtrader build --var rb --set channel --json")
def build(
    context: typer.Context,
    variety: str = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb."),
    set_name: str | None = typer.Option(None, "--set", help="Factor set; default: the key datasets.factor_set."),
    non_strict: bool = typer.Option(False, "--non-strict", help="Leave out days without provenance instead of refusing."),
    as_json: bool = JSON,
) -> None:
    """Compute factors and labels of every day of the series; days that did not change are reused."""
    from ghtrader.pipelines.build import build_variety

    with progress_for(context.obj.clock) as progress:
        report = build_variety(context.obj, variety, set_name=set_name, strict=False if non_strict else None, progress=progress)
    rows = [
        (day.trading_day, "reused" if day.reused else "built", day.build_hash, day.gaps, day.eligible, day.rows)
        for day in report.days
    ]
    title = f"{report.alias} {report.factor_set}"
    columns = ("trading day", "", "build", "gaps", "eligible", "rows")

    def show(console: Console) -> None:
        table(console, title, columns, rows, numbers=3)
        show_days(console, report.left_out, report.unvalidated_days)

    emit(report, as_json=as_json, render=show)
