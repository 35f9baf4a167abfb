"""`ghtrader main-schedule` and `ghtrader main-l5`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

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
    source: str = typer.Option(
        "auto",
        "--source",
        help="tqsdk: the provider's table; local: stored days; auto: tqsdk with a login.",
    ),
    as_json: bool = JSON,
) -> None:
    """Build and persist the main-contract schedule of a variety, after its health gate."""
    from ghtrader.pipelines.main_series import ScheduleReport, current_schedule, fetch_schedule, make_schedule

    if show:
        report = ScheduleReport(schedule=current_schedule(context.obj, variety), changed=False)
    elif file is None and contract is None and (source == "tqsdk" or (source == "auto" and context.obj.has_provider())):
        report = fetch_schedule(context.obj, variety)
    else:
        report = make_schedule(context.obj, variety, file=file, contract=contract, until=until)
    rows = [(item.segment_id, item.contract, item.first_day, item.last_day) for item in report.schedule.segments]
    title = f"{report.schedule.alias} {report.schedule.schedule_hash[:16]} {'changed' if report.changed else 'unchanged'}"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("segment", "contract", "from", "to"), rows))


@main_l5_app.command(
    epilog="Examples:  ghtrader main-l5 --var rb  |  ghtrader main-l5 --var rb --full --json  |  ghtrader main-l5 --var cu --source local"
)
def main_l5(
    context: typer.Context,
    variety: str = VARIETY,
    full: bool = typer.Option(False, "--full", help="Build every day again."),
    source: str = typer.Option(
        "auto",
        "--source",
        help="tqsdk: fetch missing days first; local: what is stored; auto: tqsdk with a login.",
    ),
    enforce_health: bool | None = typer.Option(
        None,
        "--enforce-health/--no-enforce-health",
        help="Refuse a change with days in error, the series stays as it was; default: the key data.main_l5.enforce_health.",
    ),
    as_json: bool = JSON,
) -> None:
    """Fetch missing days from the provider, then materialise the main-contract series with segment_id and schedule_hash.

    With a login of the provider (TQSDK_USER, TQSDK_PASSWORD) the schedule comes from its continuous table and the days that are
    not stored yet are fetched in parallel processes. Kill it at any moment and run it again: stored days stay. Days that
    cannot be had are in the skip ledger: ghtrader data skips.

    The new series is validated before anybody reads it, and becomes current all at once. Exit code 4: a day or the schedule is an
    error; days, reasons and hints are named, and the series of before is served.
    """
    from ghtrader.pipelines.main_series import build_main_l5, fetch_and_build

    enforce = bool(context.obj.settings().get("data.main_l5.enforce_health")) if enforce_health is None else enforce_health
    with progress_for(context.obj.clock) as progress:
        if source == "tqsdk" or (source == "auto" and context.obj.has_provider()):
            report = fetch_and_build(context.obj, variety, full=full, enforce_health=enforce, progress=progress)
        elif source in {"auto", "local"}:
            report = build_main_l5(context.obj, variety, full=full, enforce_health=enforce, progress=progress)
        else:
            raise UsageError(f"no source {source!r}: expected auto, tqsdk or local", hint="ghtrader main-l5 --help")
    rows = [(day.trading_day, day.contract, day.segment_id, day.outcome, day.reason, day.rows) for day in report.days]
    title = f"{report.alias}: {'nothing to do' if report.noop else f'{report.written} days written'}"
    columns = ("trading day", "contract", "segment", "outcome", "reason", "rows")

    def show(console: Console) -> None:
        if report.download is not None:
            got = report.download
            console.print(f"fetched {got.stored} days ({got.rows:,} rows), {got.present} were there, {len(got.skipped)} skipped")
            for skip in got.skipped:
                console.print(f"  {skip.symbol} {skip.trading_day}: {skip.cause}, {skip.message}")
        table(console, title, columns, rows, numbers=1)
        gate = report.gate
        if gate.overall_state not in ("noop", "ok"):
            console.print(f"gate: {gate.overall_state}, {gate.reason_code}{'' if gate.enforced else ' (not enforced)'}")
            for found in gate.days:
                console.print(f"  {found.trading_day}: {found.overall_state}, {', '.join(found.reasons)}; {found.action_hint}")

    emit(report, as_json=as_json, render=show)
