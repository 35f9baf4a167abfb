"""The data calendar as one self-contained HTML page: no script, no address outside itself, light and dark."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ghtrader.data.atomic import write_atomically
from ghtrader.pipelines.data_calendar import CAUSE_LETTERS, LETTERS, CalendarSeries, DataCalendar, DayStatus

__all__ = ["render_calendar", "write_calendar"]

WORDS: dict[DayStatus, str] = {
    DayStatus.OK: "ok",
    DayStatus.WARN: "warn",
    DayStatus.ERROR: "error",
    DayStatus.UNCHECKED: "stored, not validated",
    DayStatus.MISSING: "missing",
    DayStatus.PROVIDER_MISSING: "the provider has none",
    DayStatus.BEYOND: "beyond the schedule",
}
QUIET = (DayStatus.OK, DayStatus.BEYOND, DayStatus.UNCHECKED)


def _tallest(series: CalendarSeries) -> int:
    return max([1, *(day.rows for day in series.days)])


def render_calendar(found: DataCalendar) -> str:
    """The page as text; equal calendars give equal pages."""
    import jinja2

    source = resources.files("ghtrader.pipelines.report").joinpath("calendar.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        c=found,
        letters={str(status): letter for status, letter in LETTERS.items()},
        words={str(status): word for status, word in WORDS.items()},
        causes={str(cause): letter for cause, letter in CAUSE_LETTERS.items()},
        tallest={series.symbol: _tallest(series) for series in found.series},
        notable={
            series.symbol: [day for day in series.days if day.status not in QUIET or day.gaps or day.beyond_schedule]
            for series in found.series
        },
    )


def write_calendar(found: DataCalendar, path: Path) -> None:
    """Write the page, whole or not at all; raises StoreError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render_calendar(found).encode())
