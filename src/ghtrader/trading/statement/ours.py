"""What the journal says of a trading day: the ledger at its end, and the trades in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from ghtrader.ports.broker import BrokerFill
from ghtrader.trading.gateway.fold import apply_record
from ghtrader.trading.gateway.state import GatewaySettings, GatewayState
from ghtrader.trading.journal.records import Record, RecordKind, plain
from ghtrader.trading.orders.positions import PositionLedger

__all__ = ["OurDay", "our_day"]


@dataclass(frozen=True)
class OurDay:
    """A trading day as we know it: the ledger at its end, before it is marked to settlement, and its trades in order."""

    trading_day: str
    ledger: PositionLedger
    trades: tuple[BrokerFill, ...]


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    trading_day: str = ""


def our_day(records: Iterable[Record], trading_day: str, account: str = "") -> OurDay | None:
    """Fold the records of one day (`trading.journal.days.day_blocks`), as the gateway did; None when there are none.

    Ends where reconciliation finds the venue on a later day. Raises DataError for a record that cannot belong to a journal.
    """
    state = GatewayState(settings=GatewaySettings(account=account))
    trades: dict[str, BrokerFill] = {}
    found = False
    for record in records:
        if record.kind == RecordKind.RECONCILE:
            outcome = msgspec.convert(plain(record.body["outcome"]), _Outcome)
            if outcome.trading_day > trading_day:
                break
        folded = apply_record(state, record)
        found = True
        if record.kind == RecordKind.FILL and folded.change is not None and folded.change.changed:
            fill = msgspec.convert(plain(record.body["fill"]), BrokerFill)
            trades[fill.trade_id] = fill
        for fill in folded.applied.fills if folded.applied is not None else ():
            trades[fill.trade_id] = fill
    return OurDay(trading_day, state.positions, tuple(trades.values())) if found else None
