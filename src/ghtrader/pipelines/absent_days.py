"""Trading days between stored ones of which nothing is stored: with a verdict where something is known, else only named."""

from __future__ import annotations

import msgspec

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.sessions import sessions_for
from ghtrader.data.validation import DayContext, absent_day
from ghtrader.data.verdict import Cause, DayVerdict, ReasonCode
from ghtrader.pipelines.evidence import TABLE, known_evidence
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey

__all__ = ["absent_days"]

SKIPS, SCHEDULES = "download_skips", "main_schedule"
OURS = frozenset({"failed", "transient"})


def absent_days(
    services: Services, kind: str, symbol: str, product: str, stored: list[TradingDay], calendar: Calendar
) -> tuple[list[DayVerdict], list[TradingDay]]:
    """(verdicts on absent days of which something is known, absent days of which nothing is known).

    Known is what the provider answered with an import, and why a download skipped the day. Days before the first and after
    the last stored one count only when something is known about them.
    """
    store, ledger = services.tick_store(), services.ledger()
    schedule = ledger.get(SCHEDULES, symbol) if kind == "main_l5" else None
    contracts = None if schedule is None else msgspec.convert(schedule, MainSchedule)
    between = set(calendar.between(stored[0], stored[-1])) if stored else set()
    named = _named(services, symbol, contracts)
    told: list[DayVerdict] = []
    unknown: list[TradingDay] = []
    for day in sorted((between | named) - set(stored)):
        if contracts is not None and not contracts.first_day <= day <= contracts.last_day:
            continue
        contract = symbol if contracts is None else contracts.segment_of(day).contract
        if contracts is not None and store.manifest(DayKey("raw", contract, day)) is not None:
            continue  # there are ticks: the series leaves the day out (level 1), or was not built yet
        evidence, skip = known_evidence(ledger, contract, day), ledger.get(SKIPS, f"{contract}/{day.iso}")
        if not evidence.answers and skip is None:
            unknown += [day] if day in between else []
            continue
        cause, detail = _why_skipped(skip)
        sessions = sessions_for(product, day, calendar, InstrumentTable.vendored())
        context = DayContext(evidence=evidence)
        told.append(absent_day(sessions, symbol=symbol, codes=[ReasonCode.NO_ROWS], context=context, cause=cause, detail=detail))
    return told, unknown


def _named(services: Services, symbol: str, schedule: MainSchedule | None) -> set[TradingDay]:
    """Days about which something is known, whether stored or not."""
    contracts = {symbol} if schedule is None else {segment.contract for segment in schedule.segments}
    found = set()
    for table in (TABLE, SKIPS):
        for contract in contracts:
            found |= {TradingDay.parse(key.partition("/")[2]) for key, _ in services.ledger().items(table, prefix=f"{contract}/")}
    return found


def _why_skipped(skip: dict[str, object] | None) -> tuple[Cause, str]:
    if skip is None:
        return Cause.UNKNOWN, ""
    words = f"the download skipped the day: {skip['cause']}, {skip['message']}"
    if skip["cause"] == "provider_missing":
        return Cause.PROVIDER_MISSING, words
    return (Cause.OUR_OUTAGE if skip["cause"] in OURS else Cause.UNKNOWN), words
