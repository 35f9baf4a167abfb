"""`ghtrader data`: import, list, digest, verify, validate and query ticks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ghtrader.cli import data_calendar, data_contract, data_reports, data_validate
from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.ingest import ImportReport, VerifyReport

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Import, list, digest, verify, validate and query ticks.",
    epilog="Examples:  ghtrader data import samples/*.parquet  |  ghtrader data verify  |  ghtrader data main-l5-validate --var rb",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
SYMBOL = typer.Option(None, "--symbol", help="Contract, for example SHFE.rb2510.")
KIND = typer.Option(None, "--kind", help="raw or main_l5.")
DAY = typer.Option(None, "--day", help="One trading day, YYYY-MM-DD.")
FILES = typer.Argument(
    ..., metavar="FILE...", help="Tick files: .parquet, TqSdk DataDownloader .csv, or any .csv with --mapping."
)
MAPPING = typer.Option(None, "--mapping", help="TOML or JSON: columns, time_column, time_unit, time_format, timezone.")
LINK_LOG = typer.Option(
    None, "--link-log", help='JSON lines: when our link was down: {"event": "down", "ts_ns": ...}, then {"event": "up", ...}.'
)
PROVIDER_ANSWERS = typer.Option(
    None, "--provider-answers", help='JSON list: [{"symbol": ..., "start_ns": ..., "end_ns": ..., "answer": "empty"}].'
)
DATA_ERROR = 4
SHOWN = 10


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


@app.command("import")
def import_ticks(
    context: typer.Context,
    files: list[Path] = FILES,
    symbol: str | None = SYMBOL,
    mapping: Path | None = MAPPING,
    link_log: Path | None = LINK_LOG,
    provider_answers: Path | None = PROVIDER_ANSWERS,
    as_json: bool = JSON,
) -> None:
    """Import tick files into the store. Importing again changes nothing; a killed import is simply run again.

    A mapping file, for example:  columns = {last_price = "LastPrice", ...}  time_column = "ts"  time_unit = "ms"
    A link log and provider answers are evidence for the causes of gaps; they are kept by contract and day for validation.
    """
    from ghtrader.pipelines.evidence import read_evidence
    from ghtrader.pipelines.ingest import import_files

    evidence = read_evidence(link_log, provider_answers)

    with progress_for(context.obj.clock) as progress:
        report = import_files(context.obj, files, symbol=symbol, mapping_file=mapping, evidence=evidence, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_import(console, report))
    if report.errors:
        raise typer.Exit(DATA_ERROR)


def _show_import(console: Console, report: ImportReport) -> None:
    rows = [
        (day.symbol, day.trading_day, _counts(day.dropped), day.rows_in, day.rows_written, day.deduped) for day in report.days
    ]
    table(console, "", ("symbol", "trading day", "dropped", "rows in", "written", "deduped"), rows, numbers=3)
    for line in report.conversions:
        console.print(f"converted: {line}")
    for line in report.notes:
        console.print(f"note: {line}")
    if report.superseded:
        console.print(f"{report.superseded:,} rows stored earlier were stale beside the new ones and are gone")
    if report.evidence:
        console.print(f"evidence kept for {', '.join(report.evidence)}")
    if report.ignored_columns:
        console.print(f"columns not kept: {', '.join(report.ignored_columns)}")
    for error in report.errors:
        console.print(f"[bold]not imported:[/bold] {error['file']}: {error['message']} ({error['hint']})")


@app.command("list")
def list_days(context: typer.Context, kind: str | None = KIND, symbol: str | None = SYMBOL, as_json: bool = JSON) -> None:
    """Every stored day, from the manifests."""
    from ghtrader.pipelines.ingest import list_store

    days = list_store(context.obj, kind=kind, symbol=symbol)
    rows = [(day.kind, day.symbol, day.trading_day, day.digest[:16], ", ".join(day.sources), day.rows) for day in days]
    emit(
        {"days": days, "rows": sum(day.rows for day in days)},
        as_json=as_json,
        render=lambda console: table(
            console, "", ("kind", "symbol", "trading day", "digest", "sources", "rows"), rows, numbers=1
        ),
    )


@app.command("digest")
def digest(
    context: typer.Context,
    kind: str = typer.Option("raw", "--kind", help="raw or main_l5."),
    symbol: str | None = SYMBOL,
    day: str | None = DAY,
    as_json: bool = JSON,
) -> None:
    """Digests recomputed from the rows: the same market data has one digest, however it came in."""
    from ghtrader.pipelines.ingest import digest_store

    report = digest_store(context.obj, kind=kind, symbol=symbol, day=day)
    rows: list[Any] = [(item.symbol, item.trading_day, item.digest, item.rows) for item in report.days]
    rows.append(("all", "", report.digest, report.rows))
    emit(
        report,
        as_json=as_json,
        render=lambda console: table(console, "", ("symbol", "trading day", "digest", "rows"), rows, numbers=1),
    )


@app.command("verify")
def verify(
    context: typer.Context, kind: str | None = KIND, symbol: str | None = SYMBOL, day: str | None = DAY, as_json: bool = JSON
) -> None:
    """Compare every stored row with its hash and manifest; a changed cell is named by row and column."""
    from ghtrader.pipelines.ingest import verify_store

    with progress_for(context.obj.clock) as progress:
        report = verify_store(context.obj, kind=kind, symbol=symbol, day=day, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_verify(console, report))
    if not report.ok:
        raise typer.Exit(DATA_ERROR)


def _show_verify(console: Console, report: VerifyReport) -> None:
    console.print(f"{report.partitions} partitions, {report.rows:,} rows: {'all as written' if report.ok else 'DIFFERENT'}")
    for finding in report.findings:
        pairs = zip(finding.rows[:SHOWN], finding.stamps_ns[:SHOWN], strict=True)
        where = ", ".join(f"row {row} ({iso_utc(stamp)})" for row, stamp in pairs)
        more = f" and {len(finding.rows) - SHOWN} more" if len(finding.rows) > SHOWN else ""
        columns = f" column {', '.join(finding.columns)}" if finding.columns else ""
        words = f"{finding.problem} {where}{more}{columns} {finding.detail}".rstrip()
        console.print(f"  {finding.kind} {finding.symbol} {finding.trading_day}: {words}")


@app.command("sql")
def sql(context: typer.Context, query: str, as_json: bool = JSON) -> None:
    """One SQL query over the stored ticks (extra `sql`); tables are raw and main_l5."""
    found: list[dict[str, Any]] = context.obj.query(query)
    names = list(found[0]) if found else []
    emit(
        {"rows": found},
        as_json=as_json,
        render=lambda console: table(console, "", names, [[str(row[name]) for name in names] for row in found]),
    )


@app.command("skips")
def skips(context: typer.Context, symbol: str | None = SYMBOL, as_json: bool = JSON) -> None:
    """Days that could not be fetched and are not stored since: cause, attempts, when they may be tried again."""
    from ghtrader.pipelines.download import list_skips

    found = list_skips(context.obj, symbol)
    rows = [
        (item.symbol, item.trading_day, item.cause, item.message, iso_utc(item.retry_after_ns)[:19], item.attempts)
        for item in found
    ]
    columns = ("symbol", "trading day", "cause", "message", "retry after", "attempts")
    emit({"skips": found}, as_json=as_json, render=lambda console: table(console, "", columns, rows, numbers=1))


@app.command("l5-start")
def l5_start(
    context: typer.Context,
    variety: str = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb."),
    as_json: bool = JSON,
) -> None:
    """The first trading day on which the provider serves five levels of the main contract, and every day that was probed."""
    from ghtrader.pipelines.l5_start import l5_start as probe

    with progress_for(context.obj.clock) as progress:
        report = probe(context.obj, variety, progress=progress)
    rows = list(report.probes.items())
    title = f"{report.product}: five levels from {report.first_level5_day} ({report.contract})"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("probed day", "feed"), rows))


@app.command("update")
def update(
    context: typer.Context,
    varieties: list[str] = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb; give it several times."),
    watch: bool = typer.Option(False, "--watch", help="Stay, and update after the close of every trading day until SIGTERM."),
    as_json: bool = JSON,
) -> None:
    """Main schedule, missing days and main-contract series from the provider: now, with --watch every trading day again.

    The time is data.download.daily_update_time. Nothing is asked during the provider's daily maintenance. With --json one object
    per update. Without --watch the exit code is that of the first variety that failed.
    """
    from ghtrader.pipelines.daily_update import UpdateReport, follow
    from ghtrader.pipelines.daily_update import update as update_now

    def show(report: UpdateReport) -> None:
        rows = [
            (v.product, v.error or "up to date", v.fetched, v.rows, v.written, v.skipped, v.left_for_later)
            for v in report.varieties
        ]
        columns = ("variety", "outcome", "days fetched", "rows", "days written", "skipped", "left for later")
        following = f", next {iso_utc(report.next_ns)[:16]} UTC" if report.next_ns else ""
        title = f"updated {iso_utc(report.began_ns)[:16]} UTC{following}"
        emit(report, as_json=as_json, render=lambda console: table(console, title, columns, rows, numbers=5))

    with progress_for(context.obj.clock) as progress:
        if not watch:
            report = update_now(context.obj, varieties, progress=progress)
            show(report)
            if report.exit_code:
                raise typer.Exit(report.exit_code)
            return
        follow(context.obj, varieties, wait=_wait_for_a_signal(), show=show, progress=progress)


def _wait_for_a_signal() -> Callable[[float], bool]:
    """Sleep that SIGTERM and SIGINT end; an update under way ends as by Ctrl-C, which leaves nothing half-written."""
    import signal

    from ghtrader.core.clock import Deadline

    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def wait(seconds: float) -> bool:
        try:
            Deadline(seconds).pause(seconds)
        except KeyboardInterrupt:
            return True
        return False

    return wait


data_contract.add_commands(app)
data_reports.add_commands(app)
data_calendar.add_commands(app)
data_validate.add_commands(app)
