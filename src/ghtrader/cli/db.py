"""`ghtrader db`: migrations, schema check, and the health of the QuestDB server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.ports.schema_admin import MigrationReport, SchemaStatus

__all__ = ["app"]

STORE_ERROR = 6
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Migrations, schema check, health and speed of the store.",
    epilog="Examples:  ghtrader db migrate --dry-run  |  ghtrader db check --json  |  ghtrader db questdb-health",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
STORE = typer.Option("questdb", "--store", help="questdb or local.")
DRY_RUN = typer.Option(False, "--dry-run", help="Only print the SQL.")


@app.command("migrate", epilog="Examples:  ghtrader db migrate --dry-run  |  ghtrader db migrate --store local --json")
def migrate(context: typer.Context, store: str = STORE, dry_run: bool = DRY_RUN, as_json: bool = JSON) -> None:
    """Apply pending migrations and restore what is missing; every step is recorded. Repeating it is a no-op."""
    from ghtrader.pipelines.db import migrate as run

    report = run(context.obj, store, dry_run=dry_run)
    emit(report, as_json=as_json, render=lambda console: _show_migration(console, report))


def _show_migration(console: Console, report: MigrationReport) -> None:
    for step in report.steps:
        console.print(f"-- {step.number or 'repair'}: {step.step}", style="dim", highlight=False)
        console.print(f"{step.sql};", highlight=False, soft_wrap=True, markup=False)
    if report.noop:
        console.print(f"{report.store}: at migration {report.version}, nothing to do")
    else:
        verb = "would be applied" if report.dry_run else "applied"
        console.print(
            f"{report.store}: {len(report.steps)} {'step' if len(report.steps) == 1 else 'steps'} {verb}; at migration {report.version}"
        )
    if any(step.step.startswith("restore ") for step in report.steps):
        console.print(
            "restored columns are empty: ghtrader store verify names the days, ghtrader store copy or data import fills them"
        )


@app.command("status", epilog="Examples:  ghtrader db status  |  ghtrader db status --store local --json")
def status(context: typer.Context, store: str = STORE, as_json: bool = JSON) -> None:
    """Applied and pending migrations, and what differs from the declaration."""
    from ghtrader.pipelines.db import schema_status

    report = schema_status(context.obj, store)
    emit(report, as_json=as_json, render=lambda console: _show_status(console, report))


def _show_status(console: Console, report: SchemaStatus) -> None:
    rows = [
        (step.number, step.step, step.checksum[:12], iso_utc(step.applied_ns)[:19], step.tool_version) for step in report.steps
    ]
    rows += [(step.number, step.step, step.checksum[:12], "pending", "") for step in report.pending]
    title = f"{report.store}: migration {report.version} of {report.latest}"
    table(console, title, ("", "step", "checksum", "applied", "by"), rows)
    for item in report.drift:
        where = f"{item.table}.{item.column}" if item.column else item.table
        console.print(f"DIFFERS: {where} should be {item.expected}, but is {item.found or 'absent'}; ghtrader db check")


@app.command("check", epilog="Examples:  ghtrader db check  |  ghtrader db check --store local --json")
def check(context: typer.Context, store: str = STORE, as_json: bool = JSON) -> None:
    """Compare every table with its declaration, by column name and type; exit code 4 names what differs."""
    from ghtrader.pipelines.db import check_schema

    report = check_schema(context.obj, store)
    words = f"{store}: migration {report.version}, {len(report.tables)} tables and views as declared"
    emit(report, as_json=as_json, render=lambda console: console.print(words))


@app.command("questdb-init", epilog="Examples:  ghtrader db questdb-init  |  ghtrader db questdb-init --json")
def questdb_init(context: typer.Context, as_json: bool = JSON) -> None:
    """Prepare a fresh server: migrate, then report its health."""
    from ghtrader.pipelines.db import init_server

    report = init_server(context.obj)
    _emit_health(report["health"], as_json, whole=report)


@app.command("ensure-schema", epilog="Examples:  ghtrader db ensure-schema  |  ghtrader db ensure-schema --json")
def ensure_schema(context: typer.Context, as_json: bool = JSON) -> None:
    """`ghtrader db migrate --store questdb` under its old name."""
    migrate(context, store="questdb", dry_run=False, as_json=as_json)


@app.command("questdb-health", epilog="Examples:  ghtrader db questdb-health  |  ghtrader db questdb-health --json")
def questdb_health(context: typer.Context, as_json: bool = JSON) -> None:
    """Does the server answer, how fast; suspended or late tables, daily views, connection limits. Exit code 6 when it fails."""
    from ghtrader.pipelines.db import server_health

    _emit_health(server_health(context.obj), as_json)


def _emit_health(report: Any, as_json: bool, *, whole: Any = None) -> None:
    emit(whole or report, as_json=as_json, render=lambda console: _show_health(console, report))
    if report.state == "error":
        raise typer.Exit(STORE_ERROR)


def _show_health(console: Console, report: Any) -> None:
    rows = [
        (
            item.table,
            item.partition_by,
            "SUSPENDED" if item.suspended else "ok",
            item.behind,
            f"{item.size_bytes / 1e6:,.1f}",
            item.rows,
        )
        for item in report.tables
    ]
    title = (
        f"{report.server}: {report.state}, answers in {report.connect_ms:.0f} ms (PGWire) and {report.export_ms:.0f} ms (HTTP)"
    )
    table(console, title, ("table", "partition by", "", "behind", "MB", "rows"), rows, numbers=3)
    for problem in report.problems:
        console.print(problem, style="yellow")


@app.command(
    "resume-wal",
    epilog="Examples:  ghtrader db resume-wal ghtrader_ticks_raw_v2  |  ghtrader db resume-wal ghtrader_ledger_v2 --json",
)
def resume_wal(context: typer.Context, name: str = typer.Argument(..., metavar="TABLE"), as_json: bool = JSON) -> None:
    """Let a suspended table go on, after its cause was mended."""
    context.obj.server_store().resume_wal(name)
    emit({"table": name, "resumed": True}, as_json=as_json, render=lambda console: console.print(f"{name} goes on"))


@app.command(
    "refresh-main-l5-daily-agg",
    epilog="Examples:  ghtrader db refresh-main-l5-daily-agg  |  ghtrader db refresh-main-l5-daily-agg --json",
)
def refresh_daily(context: typer.Context, as_json: bool = JSON) -> None:
    """Rebuild the daily views from the ticks; idempotent."""
    before = context.obj.server_store().refresh_daily()
    rows = list(before.items())
    emit({"views": before}, as_json=as_json, render=lambda console: table(console, "rebuilt", ("view", "before"), rows))


@app.command("benchmark", epilog="Examples:  ghtrader db benchmark  |  ghtrader db benchmark --rows 100000 --json")
def benchmark(
    context: typer.Context,
    rows: int = typer.Option(
        500_000, "--rows", min=50_000, help="Rows of every part; the large table of the questions has ten times as many."
    ),
    as_json: bool = JSON,
) -> None:
    """Writes, reads and queries beside a bare client doing the same in the same run. Works in tables of its own."""
    with progress_for(context.obj.clock) as progress:
        report = context.obj.server_store().benchmark(rows=rows, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_benchmark(console, report))
    if not report.met:
        raise typer.Exit(1)


def _show_benchmark(console: Console, report: Any) -> None:
    shown = [
        (item.work, item.ours, item.bare, f"{item.ratio:.2f}", item.target, "met" if item.met else "NOT met")
        for item in report.results
    ]
    table(console, report.machine, ("work", "ours", "bare client", "ratio", "target", ""), shown)
    console.print(report.protocol, style="dim")
