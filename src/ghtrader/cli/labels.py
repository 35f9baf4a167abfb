"""`ghtrader labels`: label any file of ticks, list the labels, show what one means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["labels_app"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
labels_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Labels of ticks: direction, executable taker, fills of passive orders, cost, weights.",
    epilog="Examples:  ghtrader labels compute SHFE.rb2510.20250605.parquet --out labels.parquet  |  ghtrader labels show fill",
)


@labels_app.command("list")
def list_labels(as_json: bool = JSON) -> None:
    """Labels with their columns and units."""
    from ghtrader.pipelines.labels import cards

    found = cards()
    rows = [(item.id, item.name, item.columns, item.unit) for item in found]
    emit({"labels": found}, as_json=as_json, render=lambda console: table(console, "", ("id", "name", "columns", "unit"), rows))


@labels_app.command("show")
def show_label(label_id: str, as_json: bool = JSON) -> None:
    """A label's card."""
    from ghtrader.pipelines.labels import card

    item = card(label_id)
    fields = ("id", "name", "columns", "formula", "unit", "reads", "parameters", "absent", "source")
    rows = [(field, str(getattr(item, field))) for field in fields]
    emit(item, as_json=as_json, render=lambda console: table(console, "", ("", ""), rows))


@labels_app.command(
    "compute",
    epilog="Examples:  ghtrader labels compute TICKS.parquet --symbol SHFE.rb2510 --out LABELS.parquet  |  "
    "ghtrader labels compute TICKS.parquet --symbol SHFE.rb2510 --out LABELS.parquet --horizon 50t --horizon 25s --fee-ticks 0.2 --json",
)
def compute(
    context: typer.Context,
    ticks: Path = typer.Argument(..., help="A file of ticks, in any format that `data import` reads; it need not be stored."),
    out: Path = typer.Option(..., "--out", help="Parquet file to write: one row per row of the input, in its order."),
    symbol: str | None = typer.Option(None, "--symbol", help="The contract; default: the file's metadata, else its name."),
    until: int | None = typer.Option(None, "--until", metavar="NS", help="Read no row stamped later (epoch ns, UTC)."),
    horizon: list[str] = typer.Option([], "--horizon", help="50t for snapshots, 25s for seconds; repeat it. Default: six."),
    latency_snapshots: int | None = typer.Option(None, "--latency-snapshots", help="Taker: from decision to the book [1]."),
    fee_ticks: float | None = typer.Option(
        None, "--fee-ticks", help="Taker: a constant fee per side in ticks; default: the exchange's dated fees."
    ),
    latency_ms: float | None = typer.Option(None, "--latency-ms", help="Passive: from decision to the exchange [100]."),
    patience_s: float | None = typer.Option(None, "--patience", metavar="SECONDS", help="Passive: when to cancel [25]."),
    away_ticks: int | None = typer.Option(None, "--away-ticks", help="Passive: the market has left us at so many ticks [2]."),
    after: str | None = typer.Option(None, "--after", help="From a fill to where its adverse move is measured [25s]."),
    mapping: Path | None = typer.Option(None, "--mapping", help="Mapping file for foreign CSV, as in `data import`."),
    as_json: bool = JSON,
) -> None:
    """Label every row of a tick file; what has no label is null with a reason code, never flat."""
    from ghtrader.pipelines.labels import compute_labels, label_spec

    spec = label_spec(
        horizon,
        after=after,
        latency_snapshots=latency_snapshots,
        fee_ticks=fee_ticks,
        latency_ms=latency_ms,
        patience_s=patience_s,
        away_ticks=away_ticks,
    )
    with progress_for(context.obj.clock) as progress:
        report = compute_labels(
            context.obj, ticks, out, symbol=symbol, until_ns=until, spec=spec, mapping_file=mapping, progress=progress
        )
    rows = [(day.trading_day, *(f"{share:.1%}" for share in day.labelled.values()), day.gaps, day.rows) for day in report.days]
    columns = ("trading day", *report.void, "gaps", "rows")

    def show(console: Console) -> None:
        table(console, f"{report.symbol}: rows with a label, by horizon", columns, rows, numbers=len(columns) - 1)
        reasons = [(name, reason, count) for name, found in report.void.items() for reason, count in found.items()]
        table(console, "rows without one", ("horizon", "reason", "rows"), reasons, numbers=1)
        shares = [(name, f"{share:.3f}") for name, share in report.fills.items()]
        table(console, f"passive orders filled within {report.spec.patience_s:g} s", ("order", "share"), shares, numbers=1)
        left = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items()) or "none"
        console.print(f"{report.rows:,} rows, dropped: {left}; {report.columns} columns in {report.out}, {report.seconds:.2f} s")

    emit(report, as_json=as_json, render=show)
