"""Which days and contracts a journal traded, and where their ticks lie: what must be read before costs can be measured."""

from __future__ import annotations

from collections.abc import Iterable, Set

import msgspec

from ghtrader.core.messages import Target
from ghtrader.trading.journal.records import Record, RecordKind, plain
from ghtrader.trading.orders.positions import PositionLedger

__all__ = ["TradedDay", "positions_at_start", "traded_days"]


class TradedDay(msgspec.Struct, frozen=True, order=True):
    """A contract on a trading day (ISO); folder: where the run had its ticks from, empty for live ticks."""

    trading_day: str
    symbol: str
    folder: str = ""


def _symbol_of(record: Record) -> str:
    """The contract that a target which was taken, or an order, is about; empty for every other record."""
    if record.kind == RecordKind.ORDER_INTENT:
        return str(plain(record.body["intent"])["symbol"])
    if record.kind != RecordKind.TARGET or record.body.get("refused"):
        return ""
    if record.body.get("held") is not None:
        return str(plain(record.body["held"])["contract"])
    return msgspec.convert(plain(record.body["target"]), Target).symbol


def traded_days(records: Iterable[Record], *, only: Set[str]) -> list[TradedDay]:
    """Contracts with targets or orders on these days, sorted."""
    found: set[TradedDay] = set()
    day = folder = ""
    for record in records:
        if record.kind == RecordKind.START:
            folder = str(record.body.get("ticks") or "")
        elif record.kind == RecordKind.DAY:
            day = str(record.body["trading_day"])
        elif day in only and (symbol := _symbol_of(record)):
            found.add(TradedDay(day, symbol, folder))
    return sorted(found)


def positions_at_start(records: Iterable[Record]) -> dict[str, int]:
    """Signed lots by contract with which a day's records begin."""
    begins = next((record for record in records if record.kind == RecordKind.STATE), None)
    if begins is None:
        return {}
    ledger = PositionLedger.from_document(plain(begins.body["positions"]))
    return {symbol: ledger.net(symbol) for symbol in ledger.symbols()}
