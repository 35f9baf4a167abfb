"""`ghtrader main-schedule` and `ghtrader main-l5`."""

from __future__ import annotations

from pathlib import Path

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

__all__ = ["main_l5_app", "schedule_app"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
VARIETY = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb.")
schedule_app = typer.Typer(rich_markup_mode=None, add_completion=False)
main_l5_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@schedule_app.command(
    epilog="Examples:  ghtrader main-schedule --var rb --from rolls.csv  |  ghtrader main-schedule --var rb --show"
)
def main_schedule(
    context: typer.Context,
    variety: str = VARIETY,
    file: Path | None = typer.Option(None, "--from", help="Continuous table: CSV or JSON of (effective trading day, contract)."),
    contract: str | None = typer.Option(None, "--contract", help="One contract alone, over its stored days."),
    until: str | None = typer.Option(None, "--until", help="Last trading day covered; default: the last stored one."),
    show: bool = typer.Option(False, "--show", help="Show the persisted schedule, change nothing."),
    as_json: bool = JSON,
) -> None:
    """Build and persist the main-contract schedule of a variety, after its health gate."""
    from ghtrader.pipelines.main_series import ScheduleReport, current_schedule, make_schedule

    if show:
        report = ScheduleReport(schedule=current_schedule(context.obj, variety), changed=False)
    else:
        report = make_schedule(context.obj, variety, file=file, contract=contract, until=until)
    rows = [(item.segment_id, item.contract, item.first_day, item.last_day) for item in report.schedule.segments]
    title = f"{report.schedule.alias} {report.schedule.schedule_hash[:16]} {'changed' if report.changed else 'unchanged'}"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("segment", "contract", "from", "to"), rows))


@main_l5_app.command(epilog="Examples:  ghtrader main-l5 --var rb  |  ghtrader main-l5 --var rb --full --json")
def main_l5(
    context: typer.Context,
    variety: str = VARIETY,
    full: bool = typer.Option(False, "--full", help="Build every day again."),
    as_json: bool = JSON,
) -> None:
    """Materialise the main-contract series: scheduled contract's rows with segment_id and schedule_hash."""
    from ghtrader.pipelines.main_series import build_main_l5

    with progress_for(context.obj.clock) as progress:
        report = build_main_l5(context.obj, variety, full=full, progress=progress)
    rows = [(day.trading_day, day.contract, day.segment_id, day.outcome, day.reason, day.rows) for day in report.days]
    title = f"{report.alias}: {'nothing to do' if report.noop else f'{report.written} days written'}"
    columns = ("trading day", "contract", "segment", "outcome", "reason", "rows")
    emit(report, as_json=as_json, render=lambda console: table(console, title, columns, rows, numbers=1))
