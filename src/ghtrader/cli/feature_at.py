"""`ghtrader features at`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.feature_moment import FeatureMoment

__all__ = ["attach"]


def attach(app: typer.Typer) -> None:
    """Add the verb to `ghtrader features`."""
    app.command(
        "at",
        epilog="Examples:  ghtrader features at --var rb --at 2025-06-05T09:30:00 --set minimal16  |  "
        "ghtrader features at --symbol SHFE.rb2510 --at 1749087000000000000 --factor F31 --max-age 2 --json",
    )(at)


def _show(console: Console, found: FeatureMoment) -> None:
    rows = [(name, f"{value:.10g}") for name, value in found.values.items()]
    table(console, f"{found.symbol} {found.dataset}, {found.trading_day}", ("factor", "value"), rows, numbers=1)
    words = "" if found.eligible else "; a model may not predict here"
    console.print(f"row of {found.datetime}, {found.age_s:g} s before {found.at}{words}")


def at(
    context: typer.Context,
    moment: str = typer.Option(..., "--at", metavar="NS|ISO", help="Epoch ns, or ISO text; without a zone: Shanghai."),
    symbol: str | None = typer.Option(None, "--symbol", help="Contract or alias that was built."),
    variety: str | None = typer.Option(None, "--var", help="The variety whose series was built."),
    set_name: str = typer.Option("", "--set", help="Factor set; default: the key datasets.factor_set."),
    dataset: str = typer.Option("", "--dataset", help="Name under which the days were built; default: the factor set's."),
    factors: list[str] = typer.Option([], "--factor", help="Only this factor; several times."),
    max_age_s: float | None = typer.Option(None, "--max-age", metavar="S", help="Refuse a row that is older, in seconds."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """The last built row at or before a moment, and never a later one; its age is told, or limited with --max-age."""
    from ghtrader.pipelines.feature_moment import features_at

    found = features_at(
        context.obj,
        moment,
        symbol=symbol,
        variety=variety,
        set_name=set_name,
        dataset=dataset,
        factors=factors,
        max_age_s=max_age_s,
    )
    emit(found, as_json=as_json, render=lambda console: _show(console, found))
