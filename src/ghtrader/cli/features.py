"""`ghtrader features`: the catalogue, factors of a file or of a live stream, and the proof that both are the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli import feature_at, feature_fit, feature_report
from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.feature_table import FeaturesReport

__all__ = ["features_app"]

DATA_ERROR = 4
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
SET = typer.Option("full", "--set", help="Factor set.")
SYMBOL = typer.Option(None, "--symbol", help="The contract; without it the file's columns, metadata or name say it.")
PARAMS = typer.Option(None, "--params", help="Fitted parameters (ghtrader features fit); without them the neutral ones.")
IN_SAMPLE = typer.Option(False, "--in-sample", help="Compute rows inside or before the range of the fit too.")
MAPPING = typer.Option(None, "--mapping", help="Mapping file of a foreign CSV, as in `ghtrader data import`.")
FACTORS = typer.Option(None, "--factors", help="A file with factors and sets of your own.")
features_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The catalogue of factors, factors of files and of live streams, and parity between the two.",
    epilog="Examples:  ghtrader features show F31  |  "
    "ghtrader features compute SHFE.rb2510.20250605.parquet --set full --out features.parquet",
)


@features_app.command("list", epilog="Examples:  ghtrader features list --set minimal16  |  ghtrader features list --json")
def list_features(
    name: str | None = typer.Option(None, "--set", help="Only the factors of a named set."),
    factors: Path | None = FACTORS,
    as_json: bool = JSON,
) -> None:
    """Factors with formula, unit and flip class."""
    from ghtrader.pipelines.features import catalogue

    found = catalogue(name, factors)
    rows = [(item.id, item.name, item.formula, item.unit, item.flip, item.lookback) for item in found]
    columns = ("id", "name", "formula", "unit", "flip", "lookback")
    emit({"factors": found}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@features_app.command("show", epilog="Examples:  ghtrader features show F31  |  ghtrader features show F80 --json")
def show_feature(factor_id: str, factors: Path | None = FACTORS, as_json: bool = JSON) -> None:
    """A factor's card."""
    from ghtrader.pipelines.features import card, card_rows

    item = card(factor_id, factors)
    emit(item, as_json=as_json, render=lambda console: table(console, f"{item.id}  {item.name}", ("", ""), card_rows(item)))


def _show_report(console: Console, report: FeaturesReport) -> None:
    console.print(f"{report.symbol} {report.factor_set}: {report.rows:,} rows, {report.computed:,} with factors -> {report.out}")
    if report.dropped:
        table(console, "", ("dropped", "rows"), list(report.dropped.items()), numbers=1)
    if report.differs_from_import:
        console.print("an import, which sees the whole file, may keep some of these rows: docs/reference/features.md")


@features_app.command(
    epilog="Examples:  ghtrader features compute SHFE.rb2510.20250605.parquet --out features.parquet  |  "
    "ghtrader features compute ticks.csv --symbol SHFE.rb2510 --set full --out f.parquet --until 1749085200500000000 --json"
)
def compute(
    context: typer.Context,
    ticks: Path = typer.Argument(..., help="Tick file of any format that `data import` reads."),
    out: Path = typer.Option(..., "--out", help="Parquet file to write: one row per input row."),
    symbol: str | None = SYMBOL,
    set_name: str = SET,
    until: int | None = typer.Option(None, "--until", help="Only rows with stamps up to this (ns, UTC)."),
    params: Path | None = PARAMS,
    in_sample: bool = IN_SAMPLE,
    mapping: Path | None = MAPPING,
    factors: Path | None = FACTORS,
    peer: Path | None = typer.Option(None, "--peer", help="Ticks of another instrument, for the cross-asset factors."),
    following: Path | None = typer.Option(None, "--next", help="Ticks of the next main contract, for the calendar spread."),
    as_json: bool = JSON,
) -> None:
    """Factors of every row of a tick file. What follows a row never changes it."""
    from ghtrader.pipelines.feature_files import compute_features

    with progress_for(context.obj.clock) as progress:
        report = compute_features(
            context.obj,
            ticks,
            out,
            symbol=symbol,
            set_name=set_name,
            until=until,
            params=params,
            in_sample=in_sample,
            mapping=mapping,
            factors=factors,
            peer=peer,
            following=following,
            progress=progress,
        )
    emit(report, as_json=as_json, render=lambda console: _show_report(console, report))


@features_app.command(
    epilog="Examples:  feed | ghtrader features stream --set full --symbol SHFE.rb2510 | strategy  |  "
    "ghtrader features stream --ticks SHFE.rb2510.20250605.parquet --out features.parquet"
)
def stream(
    context: typer.Context,
    symbol: str | None = SYMBOL,
    set_name: str = SET,
    as_csv: bool = typer.Option(False, "--csv", help="Answer in CSV, after a header line."),
    ticks: Path | None = typer.Option(None, "--ticks", help="Run the same path over a file instead of standard input."),
    out: Path | None = typer.Option(None, "--out", help="With --ticks: the Parquet file to write."),
    params: Path | None = PARAMS,
    in_sample: bool = IN_SAMPLE,
    mapping: Path | None = MAPPING,
    factors: Path | None = FACTORS,
    as_json: bool = typer.Option(False, "--json", help="With --ticks: the report as one JSON object on the last line."),
) -> None:
    """Read ticks line by line (JSON, or CSV with a header), answer each with its factors before the next is read."""
    from ghtrader.pipelines.feature_session import plan_features
    from ghtrader.pipelines.feature_stream import stream_features, stream_file

    if (ticks is None) != (out is None):
        raise UsageError("--ticks and --out belong together", hint="ghtrader features stream --ticks FILE --out FILE")
    if ticks is not None and out is not None:
        with progress_for(context.obj.clock) as progress:
            report = stream_file(
                context.obj,
                ticks,
                out,
                symbol=symbol,
                set_name=set_name,
                params=params,
                in_sample=in_sample,
                mapping=mapping,
                factors=factors,
                progress=progress,
            )
        emit(report, as_json=as_json, render=lambda console: _show_report(console, report))
        return
    if symbol is None or as_json or mapping is not None:
        raise UsageError(
            "standard input needs --symbol, and takes neither --mapping nor --json",
            hint="ghtrader features stream --set full --symbol SHFE.rb2510",
        )
    plan = plan_features(context.obj, symbol, set_name, params=params, in_sample=in_sample, factors=factors)
    lines = stream_features(plan, sys.stdin.buffer, sys.stdout.buffer, as_csv=as_csv)
    if lines.reader_left:  # what is left in the buffer goes nowhere, without a complaint at the end of the process
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if lines.bad:
        sys.stderr.write(f"{lines.bad} of {lines.lines} lines could not be read; {lines.first_error}\n")
        raise typer.Exit(DATA_ERROR)


@features_app.command(
    epilog="Examples:  ghtrader features parity --set full --json  |  ghtrader features parity SHFE.rb2510.20250605.parquet  |  "
    "ghtrader features parity --var rb"
)
def parity(
    context: typer.Context,
    ticks: Path | None = typer.Argument(None, help="A recorded stream: a tick file of any format that `data import` reads."),
    variety: str | None = typer.Option(None, "--var", help="Stored days of a variety's series."),
    symbol: str | None = typer.Option(None, "--symbol", help="Stored days of a contract; with a file: its contract."),
    day: str | None = typer.Option(None, "--day", help="Only this stored trading day."),
    set_name: str = SET,
    params: Path | None = PARAMS,
    factors: Path | None = FACTORS,
    as_json: bool = JSON,
) -> None:
    """Replay ticks one by one and compare with the batch path bit for bit; the certificate's hash goes on model cards."""
    from ghtrader.pipelines.parity import certify

    with progress_for(context.obj.clock) as progress:
        found = certify(
            context.obj,
            set_name=set_name,
            path=ticks,
            variety=variety,
            symbol=symbol,
            day=day,
            params=params,
            factors=factors,
            progress=progress,
        )
    rows = [(item.name, item.digest[:16], item.days, item.rows, item.mismatches) for item in found.data]

    def show(console: Console) -> None:
        table(console, f"{found.symbol} {found.factor_set}", ("data", "digest", "days", "rows", "mismatches"), rows, numbers=3)
        console.print(f"certificate {found.certificate}\n{found.file}")

    emit(found, as_json=as_json, render=show)
    if found.first_mismatch is not None:
        one = found.first_mismatch
        sys.stderr.write(f"error: {one.source} row {one.row} {one.column}: live {one.stream}, batch {one.batch}\n")
        raise typer.Exit(DATA_ERROR)


feature_report.attach(features_app)
feature_fit.attach(features_app)
feature_at.attach(features_app)
