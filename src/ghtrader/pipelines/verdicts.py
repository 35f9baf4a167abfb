"""Verdicts that were recorded, read back."""

from __future__ import annotations

import msgspec

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.verdict import Gap
from ghtrader.ports.ledger_store import LedgerStore

__all__ = ["KnownVerdict", "known_verdict", "known_verdicts"]

TABLE = "validation"


class KnownVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What pictures and lineage show of a recorded verdict; fields of later versions are passed over."""

    symbol: str
    trading_day: str
    rows: int
    overall_state: str
    reason_code: str
    action_hint: str = ""
    gaps: list[Gap] = []


def known_verdict(ledger: LedgerStore, symbol: str, day: TradingDay) -> KnownVerdict | None:
    """The verdict on a day of the series (by alias) or of a contract; None when it was never validated."""
    found = ledger.get(TABLE, f"{symbol}/{day.iso}")
    return None if found is None else msgspec.convert(found["verdict"], KnownVerdict)


def known_verdicts(ledger: LedgerStore, symbol: str) -> dict[str, KnownVerdict]:
    """Every recorded verdict of a symbol by ISO day."""
    found = ledger.items(TABLE, prefix=f"{symbol}/")
    return {key.rpartition("/")[2]: msgspec.convert(document["verdict"], KnownVerdict) for key, document in found}
