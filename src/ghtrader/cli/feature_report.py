"""`ghtrader features report` and `ghtrader features candidates`: how good factors are, and which further ones they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.feature_candidates import CandidateReport
    from ghtrader.pipelines.feature_report import FeatureReport

__all__ = ["attach"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
SHOWN = 15


def attach(app: typer.Typer) -> None:
    """Add the verbs to `ghtrader features`."""
    app.command(
        "report",
        epilog="Examples:  ghtrader features report --var rb  |  "
        "ghtrader features report SHFE.rb2510.20250605.parquet SHFE.rb2510.20250606.parquet --set full --out report.html",
    )(report)
    app.command(
        "candidates",
        epilog="Examples:  ghtrader features candidates --var rb --top 20  |  "
        "ghtrader features candidates --var rb --set book --horizon 10t --fold 1 --out spec.json --json",
    )(candidates)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _show(console: Console, found: FeatureReport) -> None:
    rows = []
    for item in found.factors:
        ic = next(ic for ic in item.ic if ic.horizon == found.headline)
        life = None if item.half_life is None else item.half_life.half_life
        cells = (
            item.id,
            item.name,
            _number(ic.ic, "+.4f"),
            f"{_number(ic.low, '+.3f')} {_number(ic.high, '+.3f')}",
            _number(ic.marginal, "+.4f"),
            _number(life, ".1f"),
            _number(item.psi_max, ".3f"),
            _number(item.coverage, ".3f"),
        )
        rows.append((abs(ic.ic or 0.0), cells))
    strongest = [cells for _, cells in sorted(rows, key=lambda row: -row[0])[:SHOWN]]
    title = f"{found.symbol} {found.factor_set} at {found.headline}, the strongest {len(strongest)} of {len(found.factors)}"
    columns = ("id", "factor", "IC", "95 % interval", "after F4, F31", "half-life", "PSI max", "coverage")
    table(console, title, columns, strongest, numbers=6)
    for line in (*found.evidence, *found.notes):
        console.print(line)
    console.print(f"{found.html} ({found.seconds:.1f} s), numbers in {found.json}")


def report(
    context: typer.Context,
    ticks: list[Path] = typer.Argument(None, help="Tick files of one symbol, instead of --var.", show_default=False),
    variety: str | None = typer.Option(None, "--var", help="Variety whose stored series is read, for example rb."),
    symbol: str | None = typer.Option(None, "--symbol", help="The files' contract; without it metadata or names say it."),
    set_name: str = typer.Option("full", "--set", help="Factor set."),
    factors: Path | None = typer.Option(None, "--factors", help="A file with factors and sets of your own."),
    reference_days: int = typer.Option(1, "--reference-days", help="First days that PSI and KS compare the others with."),
    out: Path | None = typer.Option(None, "--out", help="The page; its JSON is written beside it. Default: artifacts folder."),
    as_json: bool = JSON,
) -> None:
    """Coverage, drift, information coefficients, decay, redundancy and cost of every factor, as a page with plots."""
    from ghtrader.pipelines.feature_report import feature_report

    with progress_for(context.obj.clock) as progress:
        found = feature_report(
            context.obj,
            variety=variety,
            files=ticks or (),
            symbol=symbol,
            set_name=set_name,
            factors_file=factors,
            reference_days=reference_days,
            out=out,
            progress=progress,
        )
    emit(found, as_json=as_json, render=lambda console: _show(console, found))


def _show_candidates(console: Console, found: CandidateReport) -> None:
    rows = [
        (
            item.name,
            f"{item.mutual_information:.4f}",
            f"{item.ic:+.4f}",
            f"{item.added:+.4f}",
            f"{item.stability:.2f}",
            f"{item.redundancy:.2f} {item.nearest}",
        )
        for item in found.spec.chosen
    ]
    title = f"{found.spec.symbol} {found.spec.factor_set} at {found.spec.horizon}, trained on {', '.join(found.spec.train_days)}"
    columns = ("candidate", "information", "IC", "adds to parents", "stability", "nearest")
    table(console, title, columns, rows, numbers=5)
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.spec.rejected.items() if count)
    console.print(f"{found.spec.generated} candidates from {found.spec.rows:,} training rows; not taken: {reasons or 'none'}")
    console.print(f"{found.out}  {found.spec_hash[:16]}")


def candidates(
    context: typer.Context,
    variety: str = typer.Option(..., "--var", help="Variety, for example rb."),
    set_name: str = typer.Option("full", "--set", help="Factor set that candidates are made of."),
    top: int = typer.Option(20, "--top", min=1, help="At most so many."),
    horizon: str | None = typer.Option(
        None, "--horizon", help="Label, for example 50t; default: the first of research.horizons."
    ),
    fold: int | None = typer.Option(None, "--fold", help="Walk-forward fold whose training days are read; default: the last."),
    out: Path | None = typer.Option(None, "--out", help="Where the spec is written; default: artifacts folder."),
    as_json: bool = JSON,
) -> None:
    """Lags, differences, ratios and averages of factors, chosen inside one training fold."""
    from ghtrader.pipelines.feature_candidates import feature_candidates

    with progress_for(context.obj.clock) as progress:
        found = feature_candidates(
            context.obj, variety, set_name=set_name, top=top, horizon=horizon, fold=fold, out=out, progress=progress
        )
    emit(found, as_json=as_json, render=lambda console: _show_candidates(console, found))
