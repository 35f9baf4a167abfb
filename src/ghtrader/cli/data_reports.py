"""`ghtrader data report` and `ghtrader data lineage`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from ghtrader.pipelines.lineage import LineageReport
    from ghtrader.pipelines.lineage_tree import Node
    from ghtrader.pipelines.run_diff import RunDiff
    from ghtrader.pipelines.run_report import RunRecord

__all__ = ["add_commands"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
SHORT = 16
HASHES = ("digest", "sha256", "schedule_hash", "raw_digest", "build_hash", "code", "rehashed_from_digest")

report_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What runs of the data pipelines did: list, show, compare.",
    epilog="Examples:  ghtrader data report list --kind import  |  ghtrader data report show latest  |  "
    "ghtrader data report diff RUN1 RUN2 --json",
)


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this file to `ghtrader data`."""
    app.add_typer(report_app, name="report")
    app.command(
        "lineage",
        epilog="Examples:  ghtrader data lineage --symbol KQ.m@SHFE.rb --day 2025-06-05  |  "
        "ghtrader data lineage --symbol KQ.m@SHFE.rb --day 2025-06-05 --at 2025-06-05T09:30:00  |  "
        "ghtrader data lineage --symbol SHFE.rb2510 --day 2025-06-05 --row 12000 --json",
    )(lineage)


@report_app.command("list")
def list_reports(
    context: typer.Context,
    kind: str | None = typer.Option(None, "--kind", help="import, download, main_l5, validate, build, or any other verb's runs."),
    limit: int = typer.Option(20, "--limit", min=1, help="How many, newest first."),
    as_json: bool = JSON,
) -> None:
    """Runs under the runs folder, newest first."""
    from ghtrader.pipelines.run_report import list_runs

    found = list_runs(context.obj, kind=kind, limit=limit)
    rows = [
        (entry.run, entry.state, entry.started, *("" if value is None else value for value in (entry.inputs, entry.outputs)))
        for entry in found
    ]
    columns = ("run", "state", "started (UTC)", "in", "out")
    emit({"runs": found}, as_json=as_json, render=lambda console: table(console, "", columns, rows, numbers=2))


@report_app.command("show")
def show_report(
    context: typer.Context,
    run: str = typer.Argument(..., metavar="RUN", help="Name of a run, or how it begins, or latest."),
    whole: bool = typer.Option(False, "--whole", help="Every item, not only the samples."),
    as_json: bool = JSON,
) -> None:
    """What went in and out of a run, its counters, findings, timings, code and configuration."""
    from ghtrader.pipelines.run_report import compact, load_run

    record = load_run(context.obj, run)[1]
    most = context.obj.settings().get("data.report.samples")
    shown = record if whole else compact(record, most)
    emit(shown, as_json=as_json, render=lambda console: _show_record(console, shown))


def _show_record(console: Console, record: RunRecord) -> None:
    facts = [
        ("state", record.state),
        ("started", iso_utc(record.started_ns)),
        ("seconds", ", ".join(f"{name} {value:g}" for name, value in record.seconds.items())),
        ("counters", ", ".join(f"{name} {value:,}" for name, value in record.counters.items())),
        ("parameters", ", ".join(f"{name}={value[:SHORT]}" for name, value in record.parameters.items())),
        ("code", f"{record.tool_version} {record.code}"),
        ("config", record.config_hash[:SHORT]),
    ]
    table(console, record.run, ("", ""), [row for row in facts if row[1]])
    for part in ("inputs", "outputs", "findings"):
        items = getattr(record, part)
        if items:
            rows = [(item.name, item.state, item.note, item.identity[:SHORT], item.rows) for item in items]
            table(console, f"\n{part}", ("name", "state", "note", "identity", "rows"), rows, numbers=1)
        if record.left_out.get(part):
            console.print(f"and {record.left_out[part]} more: --whole shows them all", highlight=False)


@report_app.command("diff")
def diff_reports(
    context: typer.Context,
    left: str = typer.Argument(..., metavar="RUN1"),
    right: str = typer.Argument(..., metavar="RUN2"),
    as_json: bool = JSON,
) -> None:
    """What differs between two runs: inputs, outputs, verdicts, counters, configuration values, code. Always exit code 0."""
    from ghtrader.pipelines.run_diff import diff_runs

    found = diff_runs(context.obj, left, right)
    emit(found, as_json=as_json, render=lambda console: _show_diff(console, found))


def _cell(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 2 * SHORT else f"{text[:SHORT]}..."


def _show_diff(console: Console, found: RunDiff) -> None:
    title = f"{found.left} -> {found.right}: " + (
        "nothing but the time differs" if found.same else ", ".join(f"{count} in {part}" for part, count in found.changed.items())
    )
    rows = [(change.part, change.name, change.what, _cell(change.left), _cell(change.right)) for change in found.changes]
    table(console, title, ("part", "name", "what", "left", "right"), rows)


def lineage(
    context: typer.Context,
    symbol: str = typer.Option(..., "--symbol", help="Continuous alias (KQ.m@SHFE.rb) or contract (SHFE.rb2510)."),
    day: str = typer.Option(..., "--day", help="Trading day, YYYY-MM-DD."),
    row: int | None = typer.Option(None, "--row", help="One row of the day, counted from 0 in time order."),
    at: str | None = typer.Option(None, "--at", help="The last row not after a stamp: ISO time (Shanghai) or nanoseconds."),
    build: str | None = typer.Option(None, "--build", help="Only the dataset whose hash begins so."),
    as_json: bool = JSON,
) -> None:
    """Where a row comes from: dataset, series, schedule, raw day, file or provider request, and the runs that wrote them."""
    from ghtrader.pipelines.lineage import lineage as trace

    report = trace(context.obj, symbol, day, row=row, at=at, build=build)
    emit(report, as_json=as_json, render=lambda console: _show_lineage(console, report))


def _show_lineage(console: Console, report: LineageReport) -> None:
    if report.row is not None:
        found = report.row
        prices = f"last {found.last_price}, bid {found.bid_price1}, ask {found.ask_price1}"
        console.print(f"row {found.row} at {found.shanghai} Shanghai ({found.datetime_ns}): {prices}", highlight=False)
        console.print(f"row hash {found.row_hash}, contract {found.underlying_symbol}", highlight=False)
    console.print(_tree(report.tree))
    for problem in report.problems:
        console.print(f"[bold]problem:[/bold] {problem}", highlight=False)


def _branch(node: Node) -> str:
    from rich.markup import escape

    facts = []
    for name, value in node.facts.items():
        text = str(value)[:SHORT] if name in HASHES else f"{value:,}" if type(value) is int else str(value)
        if text:
            facts.append(text if name == "note" else f"{name} {text}")
    problem = f"  [bold red]{escape(node.problem)}[/bold red]" if node.problem else ""
    name = node.name.removeprefix(f"{node.what}/")
    return f"[bold]{node.what}[/bold] {escape(name)}  [dim]{escape(', '.join(facts))}[/dim]{problem}"


def _tree(node: Node, into: Tree | None = None) -> Tree:
    from rich.tree import Tree as RichTree

    branch = RichTree(_branch(node), highlight=False) if into is None else into.add(_branch(node), highlight=False)
    for child in node.children:
        _tree(child, branch)
    return branch
