"""Validate stored days: main-contract series and raw contracts, incremental, verdicts and holes kept in the store.

A day is judged again only when something that its verdict rests on has changed: rows, provenance, thresholds, evidence,
counters of its import, comparable days, or the peers that were asked. Judging runs in threads (reading a day and most of the
arithmetic leave the interpreter free); a few days are in memory at once, however many there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import CalendarError, DataError
from ghtrader.core.ids import short_id
from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schedule_health import schedule_problems
from ghtrader.data.sessions import sessions_for
from ghtrader.data.thresholds import Thresholds, thresholds_from
from ghtrader.data.validation import DayContext, validate_day
from ghtrader.data.validation_keys import BOUNDS
from ghtrader.data.verdict import DayVerdict, Gap, State, worst
from ghtrader.pipelines.absent_days import absent_days
from ghtrader.pipelines.day_context import AskedPeers, DayContexts
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_validation
from ghtrader.pipelines.services import Services, Settings
from ghtrader.pipelines.verdict_rows import record_verdict
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey

__all__ = ["ValidationReport", "gap_starts", "known_gaps", "thresholds_of", "validate_main_l5", "validate_stored"]

TABLE = "validation"
SCHEDULES, SCHEDULE_ROWS = "main_schedule", "main_schedule_v2"
VERSION = 3
#: Days read and judged ahead of the one that is being recorded, per worker.
AHEAD = 2


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts, one a day. ``overall_state`` is the worst day's, ``noop`` when nothing had to be looked at.

    stored_state: the worst of all verdicts, looked at now or before. message: what was done, in a sentence. missing_days:
    trading days between stored ones of which nothing is stored and nothing is known, as ``symbol/day``.
    """

    alias: str
    schedule_hash: str
    overall_state: State
    stored_state: State
    noop: bool
    message: str
    validated: int
    unchanged: int
    days: list[DayVerdict]
    missing_days: list[str] = []
    run: str = ""


class _Target(NamedTuple):
    """What is validated: all stored days of one symbol."""

    kind: str
    symbol: str
    product: str
    schedule_hash: str
    days: list[TradingDay]


class _Task(NamedTuple):
    """One day to judge; ``known``: the verdict that still holds."""

    key: DayKey
    identity: str
    digest: str
    context: DayContext
    peers: AskedPeers
    known: DayVerdict | None


def thresholds_of(settings: Settings) -> Thresholds:
    """Thresholds from the keys ``data.validation.*``; raises ConfigError for an override that means nothing."""
    return thresholds_from(settings.snapshot(), InstrumentTable.vendored().products, BOUNDS)


def validate_main_l5(
    services: Services, variety: str, *, force: bool = False, progress: Progress = NO_PROGRESS
) -> ValidationReport:
    """Judge every stored day of a variety's series; days whose verdict still holds are not repeated."""
    return validate_stored(services, variety=variety, force=force, progress=progress)


def validate_stored(
    services: Services,
    *,
    variety: str | None = None,
    symbol: str | None = None,
    force: bool = False,
    progress: Progress = NO_PROGRESS,
) -> ValidationReport:
    """Judge stored days: a variety's series, a contract's raw days (no schedule needed), or without either everything stored.

    Fails before the first day is judged when the store's schema is not the declared one, a schedule is not healthy, an
    override is unknown, or a stored day lies outside the calendar.
    """
    prepare_store(services.store())
    calendar, limits = calendar_of(services), thresholds_of(services.settings())
    targets = _targets(services, calendar, variety, symbol)
    _require_calendar(targets, calendar)
    progress.start("validate", sum(len(target.days) for target in targets))
    reports = [_validate(services, target, calendar, limits, force, progress) for target in targets]
    whole = _whole(reports)
    progress.finish(f"{len(whole.days)} days: {whole.message}")
    return whole


def _targets(services: Services, calendar: Calendar, variety: str | None, symbol: str | None) -> list[_Target]:
    store, instruments = services.tick_store(), InstrumentTable.vendored()

    def raw(name: str) -> _Target:
        return _Target("raw", name, instruments.product(name).product, "", store.days("raw", name))

    if symbol is not None and symbol.startswith(CONTINUOUS_PREFIX):
        variety, symbol = symbol.removeprefix(CONTINUOUS_PREFIX), None
    if symbol is not None:
        found = [raw(symbol)]
    elif variety is not None:
        found = [_series(services, variety, calendar)]
    else:
        aliases = [name for name in store.symbols("main_l5") if services.ledger().get(SCHEDULES, name) is not None]
        found = [_series(services, alias, calendar) for alias in aliases]
        found += [raw(name) for name in store.symbols("raw")]
    if variety is None and not any(target.days for target in found):
        what = f"no ticks of {symbol} are stored" if symbol else "nothing is stored"
        raise DataError(what, hint="ghtrader data import FILE", symbol=symbol or "")
    return found


def _series(services: Services, variety: str, calendar: Calendar) -> _Target:
    schedule = current_schedule(services, variety)
    rows = services.tables().rows(SCHEDULE_ROWS, schedule.alias)
    problems = schedule_problems(schedule, rows, calendar, InstrumentTable.vendored())
    if problems:
        raise DataError(
            f"the schedule of {schedule.alias} is not healthy: {problems[0].detail}",
            hint=f"ghtrader main-schedule --var {schedule.product}",
            reason_code=str(problems[0].reason_code),
            alias=schedule.alias,
        )
    days = services.tick_store().days("main_l5", schedule.alias)
    return _Target("main_l5", schedule.alias, schedule.product, schedule.schedule_hash, days)


def _require_calendar(targets: list[_Target], calendar: Calendar) -> None:
    for target in targets:
        outside = [day for day in target.days if not calendar.first <= day <= calendar.last or not calendar.is_trading_day(day)]
        if outside:
            raise CalendarError(
                f"{target.symbol} is stored on {outside[0]}, which the calendar ({calendar.first} to {calendar.last}) does not know",
                hint="ghtrader calendar refresh",
                symbol=target.symbol,
                day=outside[0].iso,
            )


def _validate(
    services: Services, target: _Target, calendar: Calendar, limits: Thresholds, force: bool, progress: Progress
) -> ValidationReport:
    started = services.clock.monotonic_ns()
    ledger, tables = services.ledger(), services.tables()
    verdicts: list[DayVerdict] = []
    unchanged = 0
    for task, verdict in _judged(services, target, calendar, limits, force):
        if verdict is task.known:
            unchanged += 1
        else:
            record_verdict(tables, target.kind, verdict)
            peers = task.peers.identity() if task.peers.asked else None
            document = {
                "identity": task.identity,
                "digest": task.digest,
                "peers": None if peers is None else short_id(peers),
                "verdict": msgspec.to_builtins(verdict),
            }
            ledger.put(TABLE, _name(target.symbol, task.key.trading_day), document)
        verdicts.append(verdict)
        progress.advance(note=f"{target.symbol} {verdict.trading_day} {verdict.overall_state}")
    told, missing = absent_days(services, target.kind, target.symbol, target.product, target.days, calendar)
    fresh = [verdict for verdict in told if _record_absent(services, target, verdict)]
    verdicts = sorted([*verdicts, *told], key=lambda verdict: verdict.trading_day)
    validated = len(target.days) - unchanged + len(fresh)
    noop = not validated
    state = worst(verdict.overall_state for verdict in verdicts)
    report = ValidationReport(
        alias=target.symbol,
        schedule_hash=target.schedule_hash,
        overall_state=State.NOOP if noop else state,
        stored_state=state,
        noop=noop,
        message=_message(validated, len(verdicts) - validated),
        validated=validated,
        unchanged=len(verdicts) - validated,
        days=verdicts,
        missing_days=[_name(target.symbol, day) for day in missing],
    )
    run = record_validation(services, report, started, kind=target.kind, symbol=target.symbol)
    return msgspec.structs.replace(report, run=run)


def _record_absent(services: Services, target: _Target, verdict: DayVerdict) -> bool:
    """Keep the verdict on a day that is not stored; False when it is known as it is."""
    key, identity = f"{target.symbol}/{verdict.trading_day}", short_id([VERSION, msgspec.to_builtins(verdict)])
    known = services.ledger().get(TABLE, key)
    if known is not None and known["identity"] == identity:
        return False
    record_verdict(services.tables(), target.kind, verdict)
    services.ledger().put(
        TABLE, key, {"identity": identity, "digest": "", "peers": None, "verdict": msgspec.to_builtins(verdict)}
    )
    return True


def _message(validated: int, unchanged: int) -> str:
    if not validated:
        return f"nothing to do: {unchanged} days unchanged since the last validation"
    return f"{validated} days validated, {unchanged} unchanged since the last validation"


def _whole(reports: list[ValidationReport]) -> ValidationReport:
    """Several targets as one report."""
    if len(reports) == 1:
        return reports[0]
    validated, unchanged = sum(report.validated for report in reports), sum(report.unchanged for report in reports)
    return ValidationReport(
        alias=",".join(report.alias for report in reports),
        schedule_hash="",
        overall_state=worst(report.overall_state for report in reports),
        stored_state=worst(report.stored_state for report in reports),
        noop=all(report.noop for report in reports),
        message=_message(validated, unchanged),
        validated=validated,
        unchanged=unchanged,
        days=[verdict for report in reports for verdict in report.days],
        missing_days=[name for report in reports for name in report.missing_days],
        run=next((report.run for report in reports if report.run), ""),
    )


def _tasks(services: Services, target: _Target, calendar: Calendar, limits: Thresholds, force: bool) -> Iterator[_Task]:
    """Days of a target in order, each with its context and the verdict that still holds."""
    store, ledger = services.tick_store(), services.ledger()
    contexts = DayContexts(store, ledger, calendar, limits, product=target.product)
    if target.kind == "raw":
        contexts.learn_files(target.symbol, target.days)
    for day in target.days:
        key = DayKey(target.kind, target.symbol, day)
        manifest = store.manifest(key)
        if manifest is None:
            continue
        context, peers = contexts.of(manifest, schedule_hash=target.schedule_hash)
        identity = short_id(
            [
                VERSION,
                manifest.digest,
                manifest.lineage,
                msgspec.to_builtins(limits),
                msgspec.to_builtins(context.evidence),
                [context.dropped, context.deduped, context.reordered, context.spilled, context.asked_provider],
                [context.schedule_hash, msgspec.to_builtins(context.expected)],
            ]
        )
        known = None if force else _still_holds(ledger.get(TABLE, _name(target.symbol, day)), identity, peers)
        yield _Task(key, identity, manifest.digest, context, peers, known)


def _still_holds(document: dict[str, Any] | None, identity: str, peers: AskedPeers) -> DayVerdict | None:
    if document is None or document["identity"] != identity:
        return None
    if document["peers"] is not None and document["peers"] != short_id(peers.identity()):
        return None
    return msgspec.convert(document["verdict"], DayVerdict).in_session_order()


def _judged(
    services: Services, target: _Target, calendar: Calendar, limits: Thresholds, force: bool
) -> Iterator[tuple[_Task, DayVerdict]]:
    """Every task with its verdict, in order; a bounded number of days is in work."""
    store, instruments = services.tick_store(), InstrumentTable.vendored()

    def judge(task: _Task) -> DayVerdict:
        if task.known is not None:
            return task.known
        sessions = sessions_for(target.product, task.key.trading_day, calendar, instruments)
        return validate_day(store.read_day(task.key), sessions, limits, symbol=target.symbol, context=task.context)

    tasks = _tasks(services, target, calendar, limits, force)
    workers = _workers(services.settings(), len(target.days))
    if workers == 1:
        for task in tasks:
            yield task, judge(task)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="validate") as pool:
        waiting: deque[tuple[_Task, Future[DayVerdict]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(judge, task)))
            if len(waiting) >= AHEAD * workers:
                first, verdict = waiting.popleft()
                yield first, verdict.result()
        for task, verdict in waiting:
            yield task, verdict.result()


def _workers(settings: Settings, days: int) -> int:
    asked = settings.get("data.validation.workers")
    assert isinstance(asked, int)
    return max(1, min(asked or len(os.sched_getaffinity(0)), days))


def _name(symbol: str, day: TradingDay) -> str:
    return f"{symbol}/{day.iso}"


def known_gaps(ledger: LedgerStore, symbol: str, day: TradingDay) -> list[Gap]:
    """Gaps of a day where rows are missing, in time order; none when it has none or was never validated.

    symbol: the continuous alias for the series, the contract for raw ticks.
    """
    known = ledger.get(TABLE, _name(symbol, day))
    return [] if known is None else msgspec.convert(known["verdict"]["gaps"], list[Gap])


def gap_starts(ledger: LedgerStore, symbol: str, day: TradingDay) -> npt.NDArray[np.int64]:
    """Starts of the known gaps of a day, int64 ns; see :func:`known_gaps`."""
    return np.array([gap.start_ns for gap in known_gaps(ledger, symbol, day)], dtype=np.int64)
