"""Evidence about days, kept in the ledger by symbol and trading day: the link's log and the provider's answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.link_evidence import DayEvidence, Evidence, read_link_log, read_provider_answers
from ghtrader.data.sessions import sessions_for
from ghtrader.ports.ledger_store import LedgerStore

__all__ = ["TABLE", "keep_evidence", "known_evidence", "read_evidence"]

TABLE = "day_evidence"


def read_evidence(link_log: Path | None, provider_answers: Path | None) -> Evidence:
    """What came with an import; raises DataError naming file and entry before anything is imported."""
    link = () if link_log is None else read_link_log(link_log)
    answers = () if provider_answers is None else read_provider_answers(provider_answers)
    return Evidence(link, answers)


def known_evidence(ledger: LedgerStore, symbol: str, day: TradingDay) -> DayEvidence:
    """What is known about a contract's trading day beside its rows."""
    document = ledger.get(TABLE, f"{symbol}/{day.iso}")
    return DayEvidence() if document is None else msgspec.convert(document, DayEvidence)


def keep_evidence(
    ledger: LedgerStore, evidence: Evidence, days: Iterable[tuple[str, TradingDay]], calendar: Calendar
) -> list[str]:
    """Keep what evidence says about imported days, and about days that an answer names; returns ``symbol/day`` that changed."""
    instruments = InstrumentTable.vendored()
    wanted = set(days)
    symbols = {symbol for symbol, _ in wanted}
    for answer in evidence.answers:
        if answer.trading_day and calendar.is_trading_day(TradingDay.parse(answer.trading_day)):
            named = {answer.symbol} if answer.symbol else symbols
            wanted |= {(symbol, TradingDay.parse(answer.trading_day)) for symbol in named}
    changed: list[str] = []
    for symbol, day in sorted(wanted):
        sessions = sessions_for(instruments.product(symbol).product, day, calendar, instruments)
        known = known_evidence(ledger, symbol, day)
        merged = known.merged(evidence.of_day(symbol, sessions))
        if merged != known:
            ledger.put(TABLE, f"{symbol}/{day.iso}", msgspec.to_builtins(merged))
            changed.append(f"{symbol}/{day.iso}")
    return changed
