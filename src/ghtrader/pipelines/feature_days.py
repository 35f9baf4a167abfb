"""The trading days that a study of factors reads, one in memory at a time: a stored series, or bare files of one symbol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ghtrader.core.errors import DataError, UsageError
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import gaps_of_day, stored_ticks
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.tick_file import TickFile, load_tick_file
from ghtrader.pipelines.validate import thresholds_of
from ghtrader.ports.tick_store import DayKey

__all__ = ["StudyDays", "study_days"]

Day = tuple[DayTicks, DaySessions]


@dataclass(frozen=True)
class StudyDays:
    """Days of one symbol in order. read: one day's ticks, gaps as hard segments, and its sessions. data: digest by day.

    notes: what should be known about the days.
    """

    symbol: str
    names: tuple[str, ...]
    read: Callable[[str], Day]
    data: dict[str, str]
    notes: tuple[str, ...] = ()


def study_days(services: Services, variety: str | None, files: Sequence[Path], symbol: str | None = None) -> StudyDays:
    """Days of a variety's series, or of files; raises UsageError unless exactly one of the two is given."""
    if bool(files) == bool(variety):
        raise UsageError("either a variety or tick files", hint="ghtrader features report --var rb, or with tick files")
    return _series(services, variety) if variety else _files(services, files, symbol)


def _series(services: Services, variety: str) -> StudyDays:
    prepare_store(services.store())
    schedule, store = current_schedule(services, variety), services.tick_store()
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    keys = {day.iso: DayKey("main_l5", schedule.alias, day) for day in store.days("main_l5", schedule.alias)}
    if not keys:
        raise DataError(f"no days of {schedule.alias} are materialised", hint=f"ghtrader main-l5 --var {schedule.product}")
    manifests = {name: store.manifest(key) for name, key in keys.items()}
    unknown = [name for name, found in manifests.items() if found is not None and gaps_of_day(services.ledger(), found) is None]

    def read(name: str) -> Day:
        return stored_ticks(services, keys[name]), sessions_for(schedule.product, keys[name].trading_day, calendar, instruments)

    notes = (f"never validated, gaps unknown: {', '.join(unknown)} (ghtrader data main-l5-validate)",) if unknown else ()
    data = {name: found.digest for name, found in manifests.items() if found is not None}
    return StudyDays(schedule.alias, tuple(sorted(keys)), read, data, notes)


def _files(services: Services, files: Sequence[Path], symbol: str | None) -> StudyDays:
    calendar, instruments, limits = calendar_of(services), InstrumentTable.vendored(), thresholds_of(services.settings())
    places: dict[str, Path] = {}
    data: dict[str, str] = {}
    symbols: set[str] = set()
    for path in files:
        found = load_tick_file(path, symbol, calendar, instruments)
        symbols.add(found.symbol)
        for day in found.days:
            name = day.ticks.trading_day.iso
            if name in places:
                raise UsageError(f"{name} stands in {places[name].name} and in {path.name}", hint="one file per trading day")
            places[name], data[name] = path, found.sha256
    if len(symbols) != 1:
        raise UsageError(f"files of {', '.join(sorted(symbols))}", hint="one symbol per report", symbols=sorted(symbols))
    held: list[tuple[Path, TickFile]] = []

    def read(name: str) -> Day:
        path = places[name]
        if not held or held[0][0] != path:
            held[:] = [(path, load_tick_file(path, symbol, calendar, instruments, gap_limits=limits))]
        day = next(day for day in held[0][1].days if day.ticks.trading_day.iso == name)
        return day.ticks, day.sessions

    return StudyDays(symbols.pop(), tuple(sorted(places)), read, data)
