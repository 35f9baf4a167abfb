"""Fetch the days that the main series still lacks: parallel workers, one breaker, a ledger of what had to be skipped."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from ghtrader.core.clock import NS_PER_S, elapsed_s
from ghtrader.core.errors import ProviderError, ProviderPermanentError, StoreError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.breaker import Breaker, BreakerSettings, BreakerState, Event, may_ask, step
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule, build_schedule
from ghtrader.data.sessions import sessions_for
from ghtrader.pipelines.download_report import DownloadReport, Skip
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import save_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_download
from ghtrader.pipelines.runs import write_result
from ghtrader.pipelines.services import Services
from ghtrader.ports.day_worker import DayOutcome, DayTask
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.market_data import MarketDataProvider
from ghtrader.ports.tick_store import DayKey

__all__ = ["download_series", "l5_start", "list_skips", "provider_schedule"]

SKIPS = "download_skips"
POLL_S = 0.25
OURS = frozenset({"failed"})


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    workers: int
    attempts: int
    missing_tolerance: int
    retry_after_s: float
    most_openings: int
    breaker: BreakerSettings


def _settings(services: Services) -> _Settings:
    get = services.settings().get

    def number(name: str) -> float:
        value = get(f"data.download.{name}")
        assert isinstance(value, int | float)
        return float(value)

    return _Settings(
        workers=int(number("workers")),
        attempts=int(number("attempts_per_day")),
        missing_tolerance=int(number("missing_tolerance_days")),
        retry_after_s=number("retry_after_s"),
        most_openings=int(number("breaker_most_openings")),
        breaker=BreakerSettings(
            threshold=int(number("breaker_threshold")),
            cool_down_s=number("breaker_cool_down_s"),
            longest_cool_down_s=number("breaker_longest_cool_down_s"),
        ),
    )


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
    last_closed = _last_closed_day(services, product, calendar)
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


def _last_closed_day(services: Services, product: str, calendar: Calendar) -> TradingDay:
    """The last trading day that is over by the wall clock (or the calendar's last)."""
    instruments, now = InstrumentTable.vendored(), services.clock.now_ns()
    day = calendar.last
    while sessions_for(product, day, calendar, instruments).last_ns > now:
        day = calendar.previous(day)
    return day


def download_series(services: Services, variety: str, *, progress: Progress = NO_PROGRESS) -> DownloadReport:
    """Fetch every day of the series that is not stored, by parallel workers, and say what could not be had.

    Days in the skip ledger wait for their retry time. Raises ProviderError when more days than tolerated could not be fetched for
    reasons of ours, or when the provider cannot be reached at all; what was stored stays.
    """
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    product = InstrumentTable.vendored().resolve_product(variety)
    provider = services.provider()
    try:
        schedule, wanted = provider_schedule(services, product, provider)
    finally:
        services.close_provider()
    settings = _settings(services)
    ledger, store = services.ledger(), services.tick_store()
    missing = [task for task in wanted if store.manifest(_key(task)) is None]
    for task in wanted:
        if task not in missing:
            ledger.delete(SKIPS, _name(task))
    now = services.clock.now_ns()
    waiting = [task for task in missing if _waits(ledger, task, now)]
    run = _Run(services, settings, [task for task in missing if task not in waiting], progress)
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
        deferred=[_name(task) for task in run.deferred],
        waiting=len(waiting),
        breaker_opened=run.openings,
        seconds=round(seconds, 3),
        rows_per_s=round(run.rows / seconds, 1) if seconds else 0.0,
    )
    report = _write(services, report)
    record_download(services, report, [(task.symbol, task.trading_day) for task in missing], started)
    if len(ours) > settings.missing_tolerance:
        raise StoreError(
            f"{len(ours)} days of {product} could not be fetched, the first {ours[0].symbol} {ours[0].trading_day}: {ours[0].message}",
            hint="ghtrader data skips; then run the same command again",
            days=[skip.trading_day for skip in ours],
        )
    return report


def _write(services: Services, report: DownloadReport) -> DownloadReport:
    """The run's manifest under ``runs/``, when there was anything to do."""
    if not report.stored and not report.skipped:
        return report
    folder = write_result(services, f"download-{report.product}", report)
    return msgspec.structs.replace(report, manifest=str(folder / "result.json"))


def _key(task: DayTask) -> DayKey:
    return DayKey("raw", task.symbol, TradingDay.parse(task.trading_day))


def _name(task: DayTask) -> str:
    return f"{task.symbol}/{task.trading_day}"


def _waits(ledger: LedgerStore, task: DayTask, now_ns: int) -> bool:
    known = ledger.get(SKIPS, _name(task))
    return known is not None and int(known["retry_after_ns"]) > now_ns


def list_skips(services: Services, symbol: str | None = None) -> list[Skip]:
    """The skip ledger: days that could not be fetched and are not stored since, by symbol and day."""
    prepare_store(services.store())
    rows: list[dict[str, Any]] = [document for _, document in services.ledger().items(SKIPS)]
    found = [msgspec.convert(row, Skip) for row in rows]
    return [skip for skip in found if symbol in {None, skip.symbol}]


class _Run:
    """One pass over the missing days: a queue, the workers, the breaker, attempts by day."""

    def __init__(self, services: Services, settings: _Settings, tasks: Sequence[DayTask], progress: Progress) -> None:
        self._services = services
        self._settings = settings
        self._queue = deque(tasks)
        self._attempts: dict[DayTask, int] = {}
        self._progress = progress
        self._breaker = Breaker()
        self.stored = self.rows = self.openings = 0
        self.skipped: list[Skip] = []
        self.deferred: list[DayTask] = []

    def execute(self) -> None:
        """Until every day is stored, skipped or deferred."""
        if not self._queue:
            return
        self._progress.start("download", len(self._queue))
        workers = self._services.day_workers(min(self._settings.workers, len(self._queue)))
        busy = 0
        try:
            while self._queue or busy:
                self._event(Event.TIME)
                while self._queue and workers.idle and may_ask(self._breaker):
                    task = self._queue.popleft()
                    self._attempts[task] = self._attempts.get(task, 0) + 1
                    self._event(Event.ASKED)
                    workers.submit(task)
                    busy += 1
                if not busy and self._breaker.opened >= self._settings.most_openings:
                    self.deferred, self._queue = list(self._queue), deque()
                    break
                for outcome in workers.wait(POLL_S):
                    busy -= 1
                    self._take(outcome)
        finally:
            workers.close()
        self._progress.finish(f"{self.stored} days stored, {self.rows:,} rows, {len(self.skipped)} skipped")

    def _event(self, event: Event) -> None:
        before = self._breaker.state
        self._breaker = step(self._breaker, event, self._settings.breaker, self._services.clock.now_ns())
        self.openings += before != BreakerState.OPEN and self._breaker.state == BreakerState.OPEN

    def _take(self, outcome: DayOutcome) -> None:
        task = DayTask(symbol=outcome.symbol, trading_day=outcome.trading_day)
        self._event(Event.MAINTENANCE if outcome.kind == "maintenance" else Event.SUCCEEDED)
        if outcome.kind == "stored":
            self.stored += 1
            self.rows += outcome.rows
            self._services.ledger().delete(SKIPS, _name(task))
        elif outcome.kind in {"transient", "failed", "maintenance"} and self._attempts[task] < self._settings.attempts:
            self._queue.append(task)  # last in line: the others go first
            return
        else:
            self._skip(task, outcome)
        self._progress.advance(note=f"{outcome.symbol} {outcome.trading_day} {outcome.kind}")

    def _skip(self, task: DayTask, outcome: DayOutcome) -> None:
        ledger, now = self._services.ledger(), self._services.clock.now_ns()
        known = ledger.get(SKIPS, _name(task))
        skip = Skip(
            symbol=task.symbol,
            trading_day=task.trading_day,
            cause="failed" if outcome.kind == "transient" else outcome.kind,
            message=outcome.message,
            first_seen_ns=int(known["first_seen_ns"]) if known else now,
            last_seen_ns=now,
            attempts=self._attempts[task] + (int(known["attempts"]) if known else 0),
            retry_after_ns=now + int(self._settings.retry_after_s * NS_PER_S),
        )
        ledger.put(SKIPS, _name(task), msgspec.to_builtins(skip))
        self.skipped.append(skip)


def l5_start(services: Services, variety: str, *, progress: Progress = NO_PROGRESS) -> dict[str, Any]:
    """The first trading day on which the provider serves five levels of the variety's main contract, by bisection.

    Every probed day is reported. Raises ProviderPermanentError when no day has them.
    """
    from ghtrader.data.main_l5 import is_level5

    product = InstrumentTable.vendored().resolve_product(variety)
    share = services.settings().get("data.main_l5.level5_min_share")
    assert isinstance(share, float)
    provider, probes = services.provider(), {}
    try:
        table = provider.continuous_table(product)
        days = _main_days(provider, table, _last_closed_day(services, product, calendar_of(services)))
        progress.start("probe", 0)

        def has_levels(position: int) -> bool:
            day, contract = days[position]
            try:
                frame = provider.ticks(contract, day).frame
            except ProviderPermanentError:
                probes[day.iso] = "no ticks"
                return False
            found = is_level5(frame.fill_nan(0.0), share)
            probes[day.iso] = "level 5" if found else "level 1"
            progress.advance(note=f"{day} {probes[day.iso]}")
            return found

        low, high = 0, len(days) - 1
        if not days or not has_levels(high):
            raise ProviderPermanentError(
                f"the provider serves no five levels of {product}", hint="another account, or another variety"
            )
        while low < high:
            middle = (low + high) // 2
            if has_levels(middle):
                high = middle
            else:
                low = middle + 1
    finally:
        services.close_provider()
    progress.finish(f"{days[high][0]}")
    return {
        "product": product,
        "first_level5_day": days[high][0].iso,
        "contract": days[high][1],
        "probes": dict(sorted(probes.items())),
    }


def _main_days(
    provider: MarketDataProvider, table: Sequence[tuple[TradingDay, str]], last: TradingDay
) -> list[tuple[TradingDay, str]]:
    found: list[tuple[TradingDay, str]] = []
    for position, (first, contract) in enumerate(table):
        stop = table[position + 1][0] if position + 1 < len(table) else None
        try:
            days = provider.trading_days(contract)
        except ProviderPermanentError:
            continue
        except ProviderError:
            raise
        found += [(day, contract) for day in days if first <= day <= last and (stop is None or day < stop)]
    return found
