"""Validate the main-contract series: incremental, verdicts and gaps kept in the ledger store."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import short_id
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.data.validation import Thresholds, validate_day
from ghtrader.data.verdict import DayVerdict, Gap, State, worst
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_validation
from ghtrader.pipelines.services import Services, Settings
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.table_store import TableStore
from ghtrader.ports.tick_store import DayKey

__all__ = ["ValidationReport", "gap_starts", "known_gaps", "validate_main_l5"]

TABLE = "validation"
SUMMARY, GAPS = "main_l5_validate_summary_v2", "main_l5_validate_gaps_v2"
VERSION = 2


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts of a series; ``overall_state`` is the worst day's, ``noop`` when nothing had to be looked at."""

    alias: str
    schedule_hash: str
    overall_state: State
    noop: bool
    validated: int
    unchanged: int
    days: list[DayVerdict]
    run: str = ""


def thresholds_of(settings: Settings) -> Thresholds:
    """Thresholds from the keys ``data.validation.*``."""
    return msgspec.convert({name: settings.get(f"data.validation.{name}") for name in Thresholds.__struct_fields__}, Thresholds)


def _key(symbol: str, day: TradingDay) -> str:
    return f"{symbol}/{day.iso}"


def validate_main_l5(
    services: Services, variety: str, *, force: bool = False, progress: Progress = NO_PROGRESS
) -> ValidationReport:
    """Judge every stored day of the variety's series; days judged before (same rows, same thresholds) are not repeated."""
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    schedule, store, ledger = current_schedule(services, variety), services.tick_store(), services.ledger()
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    limits = thresholds_of(services.settings())
    days = store.days("main_l5", schedule.alias)
    progress.start("validate", len(days))
    verdicts: list[DayVerdict] = []
    unchanged = 0
    for day in days:
        key = DayKey("main_l5", schedule.alias, day)
        manifest = store.manifest(key)
        assert manifest is not None
        identity = short_id([VERSION, manifest.digest, manifest.lineage, msgspec.to_builtins(limits)])
        known = None if force else ledger.get(TABLE, _key(schedule.alias, day))
        if known is not None and known["identity"] == identity:
            verdict = msgspec.convert(known["verdict"], DayVerdict)
            unchanged += 1
        else:
            sessions = sessions_for(schedule.product, day, calendar, instruments)
            verdict = validate_day(store.read_day(key), sessions, limits, symbol=schedule.alias)
            _record(services.tables(), schedule.alias, day, verdict)
            ledger.put(TABLE, _key(schedule.alias, day), {"identity": identity, "verdict": msgspec.to_builtins(verdict)})
        verdicts.append(verdict)
        progress.advance(note=f"{day} {verdict.overall_state}")
    state = worst(verdict.overall_state for verdict in verdicts)
    progress.finish(f"{len(days)} days: {state}")
    report = ValidationReport(
        alias=schedule.alias,
        schedule_hash=schedule.schedule_hash,
        overall_state=state,
        noop=unchanged == len(days),
        validated=len(days) - unchanged,
        unchanged=unchanged,
        days=verdicts,
    )
    run = record_validation(services, report, started, kind="main_l5", symbol=schedule.alias)
    return msgspec.structs.replace(report, run=run)


def _record(tables: TableStore, symbol: str, day: TradingDay, verdict: DayVerdict) -> None:
    """The verdict and its gaps as rows, for queries; the ledger keeps them whole."""
    scope, named = _key(symbol, day), {"symbol": symbol, "trading_day": day.iso}
    gaps = [
        {
            "datetime": gap.start_ns,
            **named,
            "end_ns": gap.end_ns,
            "part": gap.session_part,
            "seconds": gap.seconds,
            "cause": gap.cause,
            "evidence": gap.evidence,
        }
        for gap in verdict.gaps
    ]
    tables.replace(GAPS, scope, gaps)
    summary = {
        "datetime": day.stamp_ns,
        **named,
        "overall_state": verdict.overall_state,
        "reason_code": str(verdict.reason_code),
        "rows": verdict.rows,
        "gaps": len(verdict.gaps),
        "gap_seconds": sum(gap.seconds for gap in verdict.gaps),
        "action_hint": verdict.action_hint,
    }
    tables.replace(SUMMARY, scope, [summary])


def known_gaps(ledger: LedgerStore, symbol: str, day: TradingDay) -> list[Gap]:
    """Gaps of a day where rows are missing, in time order; none when it has none or was never validated.

    symbol: the continuous alias for the series, the contract for raw ticks.
    """
    known = ledger.get(TABLE, _key(symbol, day))
    return [] if known is None else msgspec.convert(known["verdict"]["gaps"], list[Gap])


def gap_starts(ledger: LedgerStore, symbol: str, day: TradingDay) -> npt.NDArray[np.int64]:
    """Starts of the known gaps of a day, int64 ns; see :func:`known_gaps`."""
    return np.array([gap.start_ns for gap in known_gaps(ledger, symbol, day)], dtype=np.int64)
