"""Main schedule and main-contract series: build, persist, materialise."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, alias_of, product_of
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_l5 import MainL5Day
from ghtrader.data.main_schedule import MainSchedule, build_schedule, read_continuous_table
from ghtrader.data.manifests import require_one_hash_version
from ghtrader.pipelines.download_report import DownloadReport
from ghtrader.pipelines.gate_report import GateReport
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_main_l5
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, TickStore

__all__ = [
    "MainL5Report",
    "ScheduleReport",
    "build_main_l5",
    "current_schedule",
    "fetch_and_build",
    "fetch_schedule",
    "make_schedule",
    "save_schedule",
    "schedule_rows",
]

TABLE = "main_schedule"
HISTORY = "main_schedule_history"
ROWS = "main_schedule_v2"


class ScheduleReport(msgspec.Struct, frozen=True, kw_only=True):
    """A persisted schedule and whether it differs from the one before."""

    schedule: MainSchedule
    changed: bool


def make_schedule(
    services: Services, variety: str, *, file: Path | None = None, contract: str | None = None, until: str | None = None
) -> ScheduleReport:
    """Build the schedule of a variety, persist it with its history, and say whether it changed.

    From ``file`` (a continuous table), else of one ``contract`` alone over its stored days. ``until``: last trading day
    covered; default the last stored raw day of the variety, else the calendar's horizon.
    """
    prepare_store(services.store())
    product = InstrumentTable.vendored().resolve_product(contract or variety)
    calendar, store = calendar_of(services), services.tick_store()
    stored = _stored_days(store, product)
    last = TradingDay.parse(until) if until else max((day for days in stored.values() for day in days), default=calendar.last)
    if file is not None:
        table, source = read_continuous_table(file, product), file.name
    else:
        table, source = _single_contract_table(product, contract, stored)
    schedule = build_schedule(
        product,
        table,
        last_day=calendar.previous(last) if not calendar.is_trading_day(last) else last,
        calendar=calendar,
        source=source,
    )
    changed = save_schedule(services, schedule)
    return ScheduleReport(schedule=schedule, changed=changed)


def save_schedule(services: Services, schedule: MainSchedule) -> bool:
    """Persist a schedule with its history; False when it is the one that counts already. Stored rows that differ are mended."""
    ledger, tables, rows = services.ledger(), services.tables(), schedule_rows(schedule)
    if tables.rows(ROWS, schedule.alias) != rows:
        tables.replace(ROWS, schedule.alias, rows)
    old = ledger.get(TABLE, schedule.alias)
    if old is not None:
        known = msgspec.convert(old, MainSchedule)
        if (known.schedule_hash, known.segments) == (schedule.schedule_hash, schedule.segments):
            return False
    document = msgspec.to_builtins(schedule)
    ledger.append(HISTORY, {**document, "created_ns": services.clock.now_ns()})
    ledger.put(TABLE, schedule.alias, document)
    return True


def schedule_rows(schedule: MainSchedule) -> list[dict[str, Any]]:
    """The schedule as rows of the table main_schedule_v2, stamped with the first day of each segment."""
    return [
        {
            "datetime": TradingDay.parse(item.first_day).stamp_ns,
            "symbol": schedule.alias,
            "underlying_symbol": item.contract,
            "segment_id": item.segment_id,
            "first_day": item.first_day,
            "last_day": item.last_day,
            "schedule_hash": schedule.schedule_hash,
            "source": schedule.source,
        }
        for item in schedule.segments
    ]


def _stored_days(store: TickStore, product: str) -> dict[str, list[TradingDay]]:
    return {symbol: store.days("raw", symbol) for symbol in store.symbols("raw") if product_of(symbol) == product}


def _single_contract_table(
    product: str, contract: str | None, stored: dict[str, list[TradingDay]]
) -> tuple[list[tuple[TradingDay, str]], str]:
    chosen = [contract] if contract else sorted(stored)
    if len(chosen) != 1:
        names = ", ".join(chosen) or "none"
        raise DataError(
            f"the stored contracts of {product} are {names}: say which one is the main contract when",
            hint=f"ghtrader main-schedule --var {product} --from TABLE.csv",
            product=product,
        )
    days = stored.get(chosen[0], [])
    if not days:
        raise DataError(f"no ticks of {chosen[0]} are stored", hint="ghtrader data import FILE", contract=chosen[0])
    return [(days[0], chosen[0])], "single contract"


def current_schedule(services: Services, variety: str) -> MainSchedule:
    """The persisted schedule of a variety; raises DataError with the command that makes one."""
    product = InstrumentTable.vendored().resolve_product(variety.removeprefix(CONTINUOUS_PREFIX))
    document = services.ledger().get(TABLE, alias_of(product))
    if document is None:
        raise DataError(f"no main schedule of {product}", hint=f"ghtrader main-schedule --var {product}", product=product)
    return msgspec.convert(document, MainSchedule)


class MainL5Report(msgspec.Struct, frozen=True, kw_only=True):
    """What materialising did, day by day; ``noop`` when every day was current.

    daily_aggregate: what became of the server's daily view (``none`` for files). gate: what the build gate saw. run: the folder
    under ``runs/`` with manifest and report, empty for a no-op.
    """

    alias: str
    schedule_hash: str
    written: int
    unchanged: int
    missing: int
    removed: int
    not_level5: int
    noop: bool
    daily_aggregate: str
    days: list[MainL5Day]
    gate: GateReport
    download: DownloadReport | None = None
    run: str = ""


def build_main_l5(
    services: Services,
    variety: str,
    *,
    full: bool = False,
    enforce_health: bool = True,
    progress: Progress = NO_PROGRESS,
) -> MainL5Report:
    """Materialise the series of a variety from its schedule: new and changed days, all with ``full``.

    The series as it would become is judged first. With ``enforce_health`` a change in which any day, or the schedule, is an error
    is refused (DataError with ``reason_code``, ``action_hint`` and ``days``) and the series stays as it was; else it becomes
    current all at once. Days the schedule no longer covers are removed and reported. A day without raw ticks is reported as
    missing only between the first and the last stored raw day of its contract.
    """
    from ghtrader.pipelines.series_gate import promote, stage_series

    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    promotions, alias = services.promotions(), current_schedule(services, variety).alias
    with promotions.locks.exclusive(alias):
        with suppress(DataError):  # a promotion that cannot be finished any more is replaced by this one
            promotions.settle_held(alias)
        schedule = current_schedule(services, variety)
        covered = _covered_days(services, schedule)
        require_one_hash_version(
            services.tick_store(), [DayKey("raw", schedule.segment_of(day).contract, day) for day in covered]
        )
        progress.start("main_l5", len(covered))
        staged = stage_series(services, schedule, covered, full=full, enforce=enforce_health, progress=progress)
        promote(services, staged, started)
    counts: dict[str, Any] = {
        name: sum(day.outcome == name for day in staged.days)
        for name in ("written", "unchanged", "missing", "removed", "not_level5")
    }
    progress.finish(f"{counts['written']} written, {counts['unchanged']} unchanged")
    report = MainL5Report(
        alias=schedule.alias,
        schedule_hash=schedule.schedule_hash,
        noop=not counts["written"] and not counts["removed"],
        daily_aggregate=_daily_aggregate(services),
        days=staged.days,
        gate=staged.gate,
        **counts,
    )
    return msgspec.structs.replace(report, run=record_main_l5(services, report, started, full=full))


def _covered_days(services: Services, schedule: MainSchedule) -> list[TradingDay]:
    stored = _stored_days(services.tick_store(), schedule.product)
    known = [day for segment in schedule.segments for day in stored.get(segment.contract, [])]
    if not known:
        return []
    between = calendar_of(services).between(schedule.first_day, schedule.last_day)
    return [day for day in between if min(known) <= day <= max(known)]


def fetch_schedule(services: Services, variety: str) -> ScheduleReport:
    """The schedule of the provider's continuous table, persisted, and whether it changed."""
    from ghtrader.pipelines.download import provider_schedule
    from ghtrader.pipelines.provider_gate import asking

    prepare_store(services.store())
    product = InstrumentTable.vendored().resolve_product(variety)
    old = services.ledger().get(TABLE, alias_of(product))
    with asking(services) as provider:
        schedule, _ = provider_schedule(services, product, provider)
    return ScheduleReport(schedule=schedule, changed=old is None or old["schedule_hash"] != schedule.schedule_hash)


def fetch_and_build(
    services: Services,
    variety: str,
    *,
    full: bool = False,
    enforce_health: bool | None = None,
    progress: Progress = NO_PROGRESS,
) -> MainL5Report:
    """Fetch what the series lacks from the provider, then materialise it; ``enforce_health`` defaults to the key of that name."""
    from ghtrader.pipelines.download import download_series

    fetched = download_series(services, variety, progress=progress)
    enforce = bool(services.settings().get("data.main_l5.enforce_health")) if enforce_health is None else enforce_health
    built = build_main_l5(services, variety, full=full, enforce_health=enforce, progress=progress)
    return msgspec.structs.replace(built, download=fetched)


def _daily_aggregate(services: Services) -> str:
    """What became of the server's daily view: ``current``, ``refreshed``, ``degraded: why``, ``off``; ``none`` for files."""
    if services.store().name == "local":
        return "none"
    if not services.settings().get("store.main_l5_daily_agg_auto_refresh"):
        return "off"
    return services.server_store().ensure_daily()
