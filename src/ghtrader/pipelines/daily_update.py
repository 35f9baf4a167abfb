"""Bring the main series of varieties up to date: once, or every trading day after the close."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import msgspec

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import ConfigError, GhtraderError, exit_code_of
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.maintenance import clock_time, moment_ns
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import fetch_and_build
from ghtrader.pipelines.provider_gate import maintenance_window
from ghtrader.pipelines.services import Services

__all__ = ["UpdateReport", "VarietyUpdate", "follow", "next_update_ns", "update"]

#: The longest sleep in one piece: a machine that slept or whose clock was set is noticed within it.
LONGEST_SLEEP_S = 60.0
Wait = Callable[[float], bool]


class VarietyUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one variety; ``error`` is empty when its series is as complete as the provider allows."""

    product: str
    fetched: int = 0
    rows: int = 0
    written: int = 0
    skipped: int = 0
    left_for_later: int = 0
    error: str = ""
    hint: str = ""
    exit_code: int = 0


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True):
    """One update; ``next_ns`` is when the next begins (0: none)."""

    began_ns: int
    varieties: list[VarietyUpdate]
    next_ns: int = 0

    @property
    def exit_code(self) -> int:
        """That of the first variety that failed, else 0."""
        return next((item.exit_code for item in self.varieties if item.exit_code), 0)

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed and nothing was left for later."""
        return all(not item.error and not item.left_for_later for item in self.varieties)


def update(services: Services, varieties: Sequence[str], *, progress: Progress = NO_PROGRESS) -> UpdateReport:
    """Schedule, missing days and series of each variety; one that fails does not stop the others."""
    began, found = services.clock.now_ns(), []
    for product in [InstrumentTable.vendored().resolve_product(name) for name in varieties]:
        try:
            built = fetch_and_build(services, product, progress=progress)
        except GhtraderError as error:
            found.append(VarietyUpdate(product=product, error=error.message, hint=error.hint, exit_code=exit_code_of(error)))
            continue
        got = built.download
        assert got is not None
        found.append(
            VarietyUpdate(
                product=product,
                fetched=got.stored,
                rows=got.rows,
                written=built.written,
                skipped=len(got.skipped),
                left_for_later=len(got.deferred) + got.maintenance,
            )
        )
    return UpdateReport(began_ns=began, varieties=found)


def next_update_ns(after_ns: int, time: dt.time, calendar: Calendar) -> int:
    """The first moment later than ``after_ns`` at which the clock in Shanghai shows ``time`` on a trading day.

    >>> friday = moment_ns(dt.date(2025, 6, 6), dt.time(16, 0))
    >>> dt.datetime.fromtimestamp(next_update_ns(friday, dt.time(15, 45), Calendar.vendored()) / 1e9, tz=SHANGHAI).isoformat()
    '2025-06-09T15:45:00+08:00'
    """
    today = TradingDay(dt.datetime.fromtimestamp(after_ns / NS_PER_S, tz=SHANGHAI).date())
    day = calendar.on_or_after(today)
    if moment_ns(day.date, time) <= after_ns:
        day = calendar.next(day)
    return moment_ns(day.date, time)


def _update_time(services: Services) -> dt.time:
    text = str(services.settings().get("data.download.daily_update_time"))
    time = clock_time(text)
    if maintenance_window(services).holds(time):
        raise ConfigError(
            f"data.download.daily_update_time {text} lies in the provider's daily maintenance",
            hint="ghtrader config set data.download.daily_update_time 15:45",
        )
    return time


def follow(
    services: Services,
    varieties: Sequence[str],
    *,
    wait: Wait,
    show: Callable[[UpdateReport], None],
    progress: Progress = NO_PROGRESS,
) -> None:
    """Update now, then on every trading day at ``data.download.daily_update_time``, until ``wait`` says that it is over.

    What failed or was left for later is tried again after ``data.download.daily_retry_s``; nothing is asked in the provider's
    maintenance window. wait: sleeps so many seconds, True when the process shall end.
    """
    time, window, calendar = _update_time(services), maintenance_window(services), calendar_of(services)
    retry_s = services.settings().get("data.download.daily_retry_s")
    assert isinstance(retry_s, float)
    due_ns = services.clock.now_ns()
    while True:
        opens_ns = window.closed_until(max(due_ns, services.clock.now_ns()))
        if _sleep_until(services, opens_ns or due_ns, wait):
            return
        report = update(services, varieties, progress=progress)
        now = services.clock.now_ns()
        due_ns = next_update_ns(max(now, report.began_ns), time, calendar)
        if not report.is_whole:
            due_ns = min(due_ns, now + int(retry_s * NS_PER_S))
        show(msgspec.structs.replace(report, next_ns=due_ns))


def _sleep_until(services: Services, moment: int, wait: Wait) -> bool:
    """Whether the process shall end; False when the moment has come."""
    while (left_ns := moment - services.clock.now_ns()) > 0:
        if wait(min(left_ns / NS_PER_S, LONGEST_SLEEP_S)):
            return True
    return False
