"""`ghtrader market`: generated markets."""

from __future__ import annotations

from pathlib import Path

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Generate markets whose truth is known.",
    epilog="Examples:  ghtrader market list  |  ghtrader market generate planted --seed 1 --out DIR",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")


@app.command("list")
def list_markets(as_json: bool = JSON) -> None:
    """The markets and what each plants."""
    from ghtrader.pipelines import market

    markets = market.list_markets()
    rows = [tuple(item.values()) for item in markets]
    columns = ("market", "what it plants", "kappa", "eta")
    emit({"markets": markets}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@app.command("generate")
def generate(
    context: typer.Context,
    name: str,
    out: Path = typer.Option(..., "--out", help="Folder of the tick files, one Parquet a trading day."),
    seed: int = typer.Option(1, "--seed", help="Same seed, same ticks."),
    days: int = typer.Option(26, "--days", help="Trading days."),
    contract: str = typer.Option("SHFE.cu2006", "--contract", help="Contract whose tick, multiplier and sessions are used."),
    first_day: str = typer.Option("2020-02-04", "--first-day", help="First trading day."),
    truth: Path | None = typer.Option(None, "--with-truth", help="Another folder for the hidden state of every row."),
    as_json: bool = JSON,
) -> None:
    """Write a market's ticks, without their truth."""
    from ghtrader.pipelines.market import write_market

    with progress_for(context.obj.clock) as progress:
        report = write_market(
            context.obj,
            name,
            seed=seed,
            out=out,
            days=days,
            contract=contract,
            first_day=first_day,
            truth=truth,
            progress=progress,
        )
    rows = [(path,) for path in [*report.files, *report.truth_files]]
    emit(report, as_json=as_json, render=lambda console: table(console, f"{report.rows:,} rows", ("file",), rows))
