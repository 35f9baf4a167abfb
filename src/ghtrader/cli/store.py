"""`ghtrader store`: copy between stores, compare them, ask what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.store_copy import CopyReport, StoreComparison
    from ghtrader.ports.tick_queries import TickQueries

__all__ = ["app"]

DATA_ERROR = 4
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Copy between stores, compare them, ask what they hold.",
    epilog="Examples:  ghtrader store copy --from local --to questdb  |  ghtrader store verify --json  |  ghtrader store counts",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
SYMBOL = typer.Option(None, "--symbol", help="Only this symbol, for example SHFE.rb2510.")
STORE = typer.Option(None, "--store", help="local or questdb; default: the one that GHTRADER_STORE names.")
KIND = typer.Option("raw", "--kind", help="raw or main_l5.")
SCHEDULE = typer.Option(None, "--schedule-hash", help="Only rows of this main schedule (main_l5).")


@app.command(
    "copy",
    epilog="Examples:  ghtrader store copy --from local --to questdb  |  ghtrader store copy --from questdb --to local --json",
)
def copy(
    context: typer.Context,
    source: str = typer.Option(..., "--from", help="local or questdb."),
    target: str = typer.Option(..., "--to", help="questdb or local."),
    symbol: str | None = SYMBOL,
    jobs: int = typer.Option(2, "--jobs", min=1, max=8, help="Days written at once."),
    as_json: bool = JSON,
) -> None:
    """Copy ticks, ledgers, tables and builds; days that are there whole are skipped, what was copied is read back and compared."""
    from ghtrader.pipelines.store_copy import copy_store

    with progress_for(context.obj.clock) as progress:
        report = copy_store(context.obj, source, target, symbol=symbol, jobs=jobs, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_copy(console, report))


def _show_copy(console: Console, report: CopyReport) -> None:
    rows = [(day.kind, day.symbol, day.trading_day, day.outcome, day.rows) for day in report.days]
    rows += [(f"build {day.dataset}", day.symbol, day.trading_day, day.outcome, day.rows) for day in report.builds]
    table(console, f"{report.source} to {report.target}", ("kind", "symbol", "trading day", "", "rows"), rows, numbers=1)
    console.print(
        f"{report.copied} days copied ({report.rows:,} rows, {report.rows_per_s:,.0f} rows/s; {report.mended} of them were damaged), "
        f"{report.present} were there; "
        f"{report.ledger_documents} ledger documents, {report.documents} documents, {report.scopes} scopes of rows; "
        f"{sum(day.outcome != 'present' for day in report.builds)} of {len(report.builds)} built days copied"
    )


@app.command("verify", epilog="Examples:  ghtrader store verify  |  ghtrader store verify --left local --right questdb --json")
def verify(
    context: typer.Context,
    left: str = typer.Option("local", "--left", help="local or questdb."),
    right: str = typer.Option("questdb", "--right", help="questdb or local."),
    symbol: str | None = SYMBOL,
    as_json: bool = JSON,
) -> None:
    """Digests of both stores, recomputed from the rows that each gives; exit code 4 when they differ."""
    from ghtrader.pipelines.store_copy import compare_stores

    with progress_for(context.obj.clock) as progress:
        report = compare_stores(context.obj, left, right, symbol=symbol, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_comparison(console, report))
    if not report.ok:
        raise typer.Exit(DATA_ERROR)


def _show_comparison(console: Console, report: StoreComparison) -> None:
    named = [(day.kind, day) for day in report.days] + [(f"build {day.dataset}", day) for day in report.builds]
    rows = [
        (
            kind,
            day.symbol,
            day.trading_day,
            "equal" if day.equal else "DIFFERENT",
            day.left_digest[:16],
            day.right_digest[:16],
            day.problem,
        )
        for kind, day in named
    ]
    table(console, "", ("kind", "symbol", "trading day", "", report.left, report.right, ""), rows)
    built = f", {len(report.builds)} built days" if report.builds else ""
    console.print(f"{report.partitions} partitions{built}: {'equal' if report.ok else 'DIFFERENT'}")


def _queries(context: typer.Context, name: str | None) -> TickQueries:
    """Questions to a store whose series are whole."""
    from ghtrader.pipelines.prepare import settle_series

    store = context.obj.store(name)
    settle_series(context.obj, store)
    queries: TickQueries = store.queries()
    return queries


@app.command("counts", epilog="Examples:  ghtrader store counts  |  ghtrader store counts --kind main_l5 --store questdb --json")
def counts(
    context: typer.Context,
    kind: str = KIND,
    schedule_hash: str | None = SCHEDULE,
    store: str | None = STORE,
    as_json: bool = JSON,
) -> None:
    """Rows and days by symbol."""
    queries = _queries(context, store)
    found = queries.symbol_counts(kind, schedule_hash)
    rows = [(item.symbol, item.days, item.rows) for item in found]
    emit(
        {"symbols": found, "degraded": queries.degraded},
        as_json=as_json,
        render=lambda console: table(console, queries.degraded, ("symbol", "days", "rows"), rows, numbers=2),
    )


@app.command(
    "coverage",
    epilog="Examples:  ghtrader store coverage --symbol SHFE.rb2510  |  ghtrader store coverage --symbol KQ.m@SHFE.rb --kind main_l5",
)
def coverage(
    context: typer.Context,
    symbol: str = typer.Option(..., "--symbol", help="Contract or alias."),
    kind: str = KIND,
    schedule_hash: str | None = SCHEDULE,
    store: str | None = STORE,
    as_json: bool = JSON,
) -> None:
    """Every trading day of a symbol: rows, first and last row."""
    queries = _queries(context, store)
    days = queries.coverage(kind, symbol, schedule_hash)
    bounds = queries.bounds(kind, symbol, schedule_hash)
    rows = [(day.trading_day, iso_utc(day.first_ns), iso_utc(day.last_ns), day.rows) for day in days]
    emit(
        {"bounds": bounds, "days": days, "degraded": queries.degraded},
        as_json=as_json,
        render=lambda console: table(
            console, queries.degraded, ("trading day", "first row", "last row", "rows"), rows, numbers=1
        ),
    )


@app.command(
    "latest", epilog="Examples:  ghtrader store latest  |  ghtrader store latest --symbol SHFE.rb2510 --store questdb --json"
)
def latest(
    context: typer.Context, symbol: str | None = SYMBOL, kind: str = KIND, store: str | None = STORE, as_json: bool = JSON
) -> None:
    """The last row of each symbol."""
    found = _queries(context, store).latest(kind, symbol)
    rows = [(item.symbol, item.trading_day, iso_utc(item.ts_ns), item.last_price) for item in found]
    emit(
        {"symbols": found},
        as_json=as_json,
        render=lambda console: table(console, "", ("symbol", "trading day", "stamp", "last price"), rows, numbers=1),
    )
