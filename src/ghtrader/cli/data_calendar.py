"""`ghtrader data calendar`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ghtrader.pipelines.data_calendar import CalendarDay, CalendarMonth, CalendarSeries, DataCalendar

__all__ = ["add_commands"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
STYLES = {
    "ok": "green",
    "warn": "bold yellow",
    "error": "bold white on red",
    "unchecked": "cyan",
    "missing": "bold black on yellow",
    "provider_missing": "magenta",
    "beyond": "dim",
}
WORDS = {
    "ok": "ok",
    "warn": "warn",
    "error": "error",
    "unchecked": "stored, not validated",
    "missing": "missing",
    "provider_missing": "the provider has none",
    "beyond": "beyond the schedule",
}
NOTABLE, NAMED = 40, 6


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this file to `ghtrader data`."""
    app.command(
        "calendar",
        epilog="Examples:  ghtrader data calendar --var rb  |  ghtrader data calendar --symbol SHFE.rb2510 --from 2025-06-01  |  "
        "ghtrader data calendar --var rb --html calendar.html",
    )(calendar)


def calendar(
    context: typer.Context,
    variety: str | None = typer.Option(None, "--var", help="Variety: its main series and every contract. Default: everything."),
    symbol: str | None = typer.Option(None, "--symbol", help="One contract, or a continuous alias."),
    first: str | None = typer.Option(None, "--from", help="First trading day shown; default: the first stored or scheduled."),
    last: str | None = typer.Option(None, "--to", help="Last trading day shown; default: the last stored or scheduled."),
    html: Path | None = typer.Option(None, "--html", help="Write the calendar as one self-contained page."),
    as_json: bool = JSON,
) -> None:
    """Days x contracts: rows, verdict and gaps by cause; what is missing, and what lies beyond the schedule.

    A cell is the day of the month, a letter (O ok, W warn, E error, U stored but not validated, M missing, P missing at the provider,
    - beyond the schedule) and the number of gaps. Days on which the exchange is closed are empty.
    """
    from ghtrader.pipelines.data_calendar import data_calendar

    found = data_calendar(context.obj, variety=variety, symbol=symbol, first=first, last=last)
    if html is not None:
        from ghtrader.pipelines.report.calendar import write_calendar

        write_calendar(found, html)
    emit(found, as_json=as_json, render=lambda console: _show(console, found, html))


def _show(console: Console, found: DataCalendar, html: Path | None) -> None:
    from rich.columns import Columns

    from ghtrader.pipelines.data_calendar import LETTERS

    legend = "  ".join(f"[{STYLES[status]}] {letter} [/] {WORDS[status]}" for status, letter in LETTERS.items())
    console.print(f"{found.first_day} to {found.last_day}", highlight=False)
    console.print(legend, highlight=False)
    for series in found.series:
        counts = ", ".join(f"{count} {WORDS[name]}" for name, count in series.counts.items())
        console.print(f"\n[bold]{series.symbol}[/bold]  {series.rows:,} rows; {counts}", highlight=False)
        console.print(Columns([_month(month) for month in series.months()], padding=(0, 3)))
        _notable(console, series)
    if html is not None:
        console.print(f"written: {html}", highlight=False)


def _month(month: CalendarMonth) -> Table:
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(title=month.month, title_justify="left", box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("Mo", "Tu", "We", "Th", "Fr"):
        drawn.add_column(name, width=5)
    for week in month.weeks:
        drawn.add_row(*(Text("") if day is None else Text(_cell(day), style=STYLES[day.status]) for day in week))
    return drawn


def _cell(day: CalendarDay) -> str:
    from ghtrader.pipelines.data_calendar import LETTERS

    gaps = sum(day.gaps.values())
    return f"{day.trading_day[8:]}{LETTERS[day.status]}{'+' if gaps > 99 else gaps or ''}"


def _is_notable(day: CalendarDay) -> bool:
    return bool(day.status not in {"ok", "beyond", "unchecked"} or day.gaps or day.beyond_schedule)


def _spans(days: list[CalendarDay]) -> list[tuple[CalendarDay, CalendarDay]]:
    """Notable days, neighbours without rows that say the same as one span from first to last."""
    found: list[tuple[CalendarDay, CalendarDay]] = []
    before: CalendarDay | None = None
    for day in days:
        if _is_notable(day):
            alike = before is not None and not day.rows and (before.status, before.note) == (day.status, day.note)
            if alike and found and found[-1][1] is before:
                found[-1] = (found[-1][0], day)
            else:
                found.append((day, day))
        before = day
    return found


def _notable(console: Console, series: CalendarSeries) -> None:
    """Days with something to say: not ok, or with gaps; below them what to do, each once."""
    spans = _spans(series.days)
    rows = [
        (
            first.trading_day if first is last else f"{first.trading_day} to {last.trading_day[5:]}",
            WORDS[first.status] + (", beyond the schedule" if first.beyond_schedule else ""),
            first.reason_code,
            ", ".join(f"{cause} {count}" for cause, count in first.gaps.items()),
            f"{first.gap_seconds:g} s" if first.gaps else "",
            first.rows,
        )
        for first, last in spans[:NOTABLE]
    ]
    if rows:
        table(console, "", ("trading day", "state", "reason", "gaps by cause", "time", "rows"), rows, numbers=1)
    for note in dict.fromkeys(first.note for first, _ in spans if first.note):
        days = [first.trading_day[5:] for first, _ in spans if first.note == note]
        more = f" and {len(days) - NAMED} more" if len(days) > NAMED else ""
        console.print(f"  {', '.join(days[:NAMED])}{more}: {note}", highlight=False, markup=False)
    if len(spans) > NOTABLE:
        console.print(f"and {len(spans) - NOTABLE} more: --json lists every day", highlight=False)
