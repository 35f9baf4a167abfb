"""`ghtrader build`: factors and labels of stored days."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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


def _interrupt_on_sigterm() -> None:
    """SIGTERM ends a build as Ctrl-C does: workers are ended, nothing is half-written."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)


@build_app.command(
    epilog="Examples:  ghtrader build --var rb  |  ghtrader build --var rb --var cu --set full --engine ray --json  |  "
    "ghtrader build --symbol SHFE.rb2510 --no-fills  |  ghtrader build --var rb --set full --peer hc --next SHFE.rb2601"
)
def build(
    context: typer.Context,
    varieties: list[str] = typer.Option([], "--var", help="Variety, for example rb or SHFE.rb; give it several times."),
    symbols: list[str] = typer.Option([], "--symbol", help="A contract by itself, without a series; several times."),
    set_name: str = typer.Option("", "--set", help="Factor set; default: the key datasets.factor_set."),
    factors: Path | None = typer.Option(None, "--factors", help="A file with factors and sets of your own."),
    peers: list[str] = typer.Option(
        [], "--peer", help="Whom cross-asset factors look at: variety, contract, default, or OWN=OTHER; several times."
    ),
    following: list[str] = typer.Option(
        [], "--next", help="The next main contract, for the calendar spread: contract, or OWN=OTHER; several times."
    ),
    dataset: str = typer.Option("", "--dataset", help="Name under which the days are stored; default: the factor set's."),
    horizons: list[str] = typer.Option([], "--horizon", help="Label horizon, for example 50t or 25s; several times."),
    fills: bool = typer.Option(True, "--fills/--no-fills", help="With fill labels, or without."),
    non_strict: bool = typer.Option(False, "--non-strict", help="Leave out days without provenance instead of refusing."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace days of another configuration; when there are none, build every day again."
    ),
    engine: str = typer.Option("", "--engine", help="local or ray (extra dist); default: the key datasets.build_engine."),
    workers: int | None = typer.Option(None, "--workers", min=0, help="Days at once; 0: one a core."),
    address: str = typer.Option("", "--address", help="A running Ray cluster, host:port; default: two nodes on this machine."),
    as_json: bool = JSON,
) -> None:
    """Factors, labels and fill labels of every day, into the store; days that did not change are reused.

    A build that was ended at any moment goes on where it stopped. One dataset never mixes two configurations.
    """
    from ghtrader.pipelines.build_store import BuildRequest, build_store

    _interrupt_on_sigterm()
    request = BuildRequest(
        varieties=tuple(varieties),
        symbols=tuple(symbols),
        set_name=set_name,
        dataset=dataset,
        horizons=tuple(horizons),
        fills=fills,
        strict=False if non_strict else None,
        overwrite=overwrite,
        engine=engine,
        workers=workers,
        address=address,
        factors="" if factors is None else str(factors.absolute()),
        peers=tuple(peers),
        following=tuple(following),
    )
    with progress_for(context.obj.clock) as progress:
        report = build_store(context.obj, request, progress)
    rows = [
        (day.symbol, day.trading_day, "reused" if day.reused else "built", day.build_hash, day.gaps, day.eligible, day.rows)
        for day in report.days
    ]
    title = f"{report.dataset} in {report.store}, digest {report.digest[:16]}, {report.seconds:g} s on {report.engine}"
    columns = ("symbol", "trading day", "", "build", "gaps", "eligible", "rows")

    def show(console: Console) -> None:
        table(console, title, columns, rows, numbers=3)
        show_days(console, report.left_out, report.unvalidated_days)
        if report.node_ids:
            console.print(f"nodes that worked: {', '.join(report.node_ids)}")
        if report.removed:
            console.print(f"taken out, of another configuration: {', '.join(report.removed)}")

    emit(report, as_json=as_json, render=show)
