"""`ghtrader truth`: the truth study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.truth import TruthStudy

__all__ = ["truth_app"]

truth_app = typer.Typer(rich_markup_mode=None, add_completion=False)
DATA_ERROR = 4


@truth_app.command(
    epilog="Examples:  ghtrader truth --seeds 3  |  ghtrader truth --seeds 20 --json  |  ghtrader truth --markets null"
)
def truth(
    context: typer.Context,
    seeds: int = typer.Option(20, "--seeds", min=1, help="Seeds of every market."),
    first_seed: int = typer.Option(1, "--first-seed", help="The first of them."),
    markets: str = typer.Option("planted,decoy,hidden,null,rich", "--markets", help="Comma-separated markets."),
    days: int = typer.Option(26, "--days", min=8, help="Trading days of each market: 6 to train on, the rest to test."),
    workers: int | None = typer.Option(None, "--workers", min=1, help="Processes; default: one per core."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Does the pipeline find what was planted, and nothing else? Killed studies go on where they stopped.

    planted: credited; decoy and hidden: not; null: direction at chance; rich: an edge after costs.
    """
    from ghtrader.pipelines.truth import run_study

    names = [name.strip() for name in markets.split(",") if name.strip()]
    with progress_for(context.obj.clock) as progress:
        study = run_study(
            context.obj, seeds=seeds, first_seed=first_seed, markets=names, days=days, workers=workers, progress=progress
        )
    emit(study, as_json=as_json, render=lambda console: _show(console, study))
    if not study.ok:
        raise typer.Exit(DATA_ERROR)


def _show(console: Console, study: TruthStudy) -> None:
    rows = [
        (m.market, ", ".join(f"{word} {n}" for word, n in m.verdicts.items()), m.seeds, f"{m.mean_gain:+.4f}", m.credited,
         f"{m.mean_auc:.4f}", m.intervals_off_half)
        for m in study.markets
    ]  # fmt: skip
    columns = ("market", "verdicts", "seeds", "mean gain", "credited", "mean AUC", "off 0.5")
    table(console, "", columns, rows, numbers=5)
    for item in study.requirements:
        console.print(f"{'met    ' if item.met else 'NOT MET'}  {item.name}: {item.found}")
