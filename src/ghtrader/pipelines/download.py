"""Fetch the days that the main series still lacks: parallel workers, one breaker, a ledger of what had to be skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import GhtraderError, ProviderPermanentError, ProviderTransientError, StoreError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule, build_schedule
from ghtrader.data.sessions import sessions_for
from ghtrader.pipelines.download_report import DownloadReport, Skip
from ghtrader.pipelines.download_run import SKIPS, DownloadRun, DownloadSettings, task_name
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import save_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.provider_gate import asking
from ghtrader.pipelines.run_records import record_download
from ghtrader.pipelines.runs import write_result
from ghtrader.pipelines.services import Services
from ghtrader.ports.day_worker import DayTask
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.market_data import MarketDataProvider
from ghtrader.ports.tick_store import DayKey

__all__ = ["download_series", "last_closed_day", "list_skips", "provider_schedule"]

#: Causes that are ours or the line's; the others are the provider's word.
OURS = frozenset({"failed", "transient"})


def provider_schedule(services: Services, product: str, provider: MarketDataProvider) -> tuple[MainSchedule, list[DayTask]]:
    """The schedule from the provider's continuous table, saved when it changed, and the days that it makes us need.

    A contract's days are those of its daily bars; the day that is still trading is left out. The schedule ends with the last
    of them.
    """
    calendar = calendar_of(services)
    table = provider.continuous_table(product)
    if not table:
        raise ProviderPermanentError(
            f"the provider has no continuous table of {product}", hint="ghtrader main-schedule --from TABLE.csv"
        )
    last_closed = last_closed_day(services, product, calendar)
    days: dict[str, list[TradingDay]] = {}
    wanted: list[DayTask] = []
    covered: list[TradingDay] = []
    for position, (first, contract) in enumerate(table):
        stop = table[position + 1][0] if position + 1 < len(table) else None
        if contract not in days:
            days[contract] = [day for day in provider.trading_days(contract) if day <= last_closed]
        chosen = [day for day in days[contract] if day >= first and (stop is None or day < stop)]
        covered += chosen
        wanted += [DayTask(symbol=contract, trading_day=day.iso) for day in chosen]
    if not covered:
        raise ProviderPermanentError(f"the provider has no days of {product}", hint="ghtrader data l5-start --var " + product)
    known = [row for position, row in enumerate(table) if _has_days(table, position, covered)]
    schedule = build_schedule(product, known, last_day=max(covered), calendar=calendar, source="tqsdk continuous table")
    save_schedule(services, schedule)
    return schedule, wanted


def _has_days(table: Sequence[tuple[TradingDay, str]], position: int, covered: Sequence[TradingDay]) -> bool:
    """Whether a row of the table stands for any day that can be fetched."""
    first = table[position][0]
    stop = table[position + 1][0] if position + 1 < len(table) else None
    return any(day >= first and (stop is None or day < stop) for day in covered)


def last_closed_day(services: Services, product: str, calendar: Calendar) -> TradingDay:
    """The last trading day that is over by the wall clock (or the calendar's last)."""
    instruments, now = InstrumentTable.vendored(), services.clock.now_ns()
    day = calendar.last
    while sessions_for(product, day, calendar, instruments).last_ns > now:
        day = calendar.previous(day)
    return day


def download_series(services: Services, variety: str, *, progress: Progress = NO_PROGRESS) -> DownloadReport:
    """Fetch every day of the series that is not stored, by parallel workers, and say what could not be had.

    Days in the skip ledger wait for their retry time. Nothing is asked in the provider's daily maintenance window. What was stored
    stays, whatever is raised: ProviderError when the provider cannot be reached or refuses the login, ProviderTransientError or
    StoreError when more days than tolerated could not be fetched for reasons of ours.
    """
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    product = InstrumentTable.vendored().resolve_product(variety)
    with asking(services) as provider:
        schedule, wanted = provider_schedule(services, product, provider)
    settings = DownloadSettings.of(services)
    ledger, store = services.ledger(), services.tick_store()
    missing = [task for task in wanted if store.manifest(_key(task)) is None]
    for task in wanted:
        if task not in missing:
            ledger.delete(SKIPS, task_name(task))
    now = services.clock.now_ns()
    waiting = [task for task in missing if _waits(ledger, task, now)]
    run = DownloadRun(services, settings, [task for task in missing if task not in waiting], progress)
    run.execute()
    ours = [skip for skip in run.skipped if skip.cause in OURS]
    seconds = elapsed_s(services.clock, started)
    report = DownloadReport(
        product=product,
        schedule_hash=schedule.schedule_hash,
        stored=run.stored,
        present=len(wanted) - len(missing),
        rows=run.rows,
        skipped=run.skipped,
        provider_missing=sum(skip.cause == "provider_missing" for skip in run.skipped),
        engineering_missing=len(ours),
        maintenance=sum(skip.cause == "maintenance" for skip in run.skipped),
        deferred=[task_name(task) for task in run.deferred],
        waiting=len(waiting),
        breaker_opened=run.openings,
        seconds=round(seconds, 3),
        rows_per_s=round(run.rows / seconds, 1) if seconds else 0.0,
    )
    report = _write(services, report)
    record_download(services, report, [(task.symbol, task.trading_day) for task in missing], started)
    failure = run.refusal or _failure(product, ours, settings.missing_tolerance) or _silence(product, run)
    if failure is not None:
        raise failure
    return report


def _silence(product: str, run: DownloadRun) -> GhtraderError | None:
    """A run that gave up because nobody answered is no success, even when it could name every day."""
    if not (run.deferred and run.silence):
        return None
    return ProviderTransientError(
        f"{len(run.deferred)} days of {product} are left for later: {run.silence}", hint="run the same command again later"
    )


def _failure(product: str, ours: Sequence[Skip], tolerated: int) -> GhtraderError | None:
    """What a run ends with when more days are missing than tolerated: the line's fault may pass, a store's must be mended."""
    if len(ours) <= tolerated:
        return None
    first = next((skip for skip in ours if skip.cause == "failed"), ours[0])
    kind = StoreError if first.cause == "failed" else ProviderTransientError
    return kind(
        f"{len(ours)} days of {product} could not be fetched, for example {first.symbol} {first.trading_day}: {first.message}",
        hint="ghtrader data skips; then run the same command again",
        days=[skip.trading_day for skip in ours],
    )


def _write(services: Services, report: DownloadReport) -> DownloadReport:
    """The run's manifest under ``runs/``, when there was anything to do."""
    if not (report.stored or report.skipped or report.deferred):
        return report
    folder = write_result(services, f"download-{report.product}", report)
    return msgspec.structs.replace(report, manifest=str(folder / "result.json"))


def _key(task: DayTask) -> DayKey:
    return DayKey("raw", task.symbol, TradingDay.parse(task.trading_day))


def _waits(ledger: LedgerStore, task: DayTask, now_ns: int) -> bool:
    known = ledger.get(SKIPS, task_name(task))
    return known is not None and int(known["retry_after_ns"]) > now_ns


def list_skips(services: Services, symbol: str | None = None) -> list[Skip]:
    """The skip ledger: days that could not be fetched and are not stored since, by symbol and day."""
    prepare_store(services.store())
    rows: list[dict[str, Any]] = [document for _, document in services.ledger().items(SKIPS)]
    found = [msgspec.convert(row, Skip) for row in rows]
    return [skip for skip in found if symbol in {None, skip.symbol}]
