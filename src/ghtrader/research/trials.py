"""The trial ledger: every evaluation and backtest, from the first. Corrections for many trials count honest ones."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.core.clock import Clock
from ghtrader.core.ids import short_id
from ghtrader.ports.ledger_store import LedgerStore

__all__ = ["Trial", "TrialLedger"]

LEDGER = "trials"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried, on what, when, with which result. ``spec_hash`` groups repetitions of the same idea."""

    number: int = 0
    kind: str
    spec: dict[str, Any]
    spec_hash: str
    data: dict[str, Any]
    result: dict[str, Any]
    created_ns: int


class TrialLedger:
    """Append-only record in a ledger store."""

    def __init__(self, ledger: LedgerStore, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def record(self, kind: str, *, spec: dict[str, Any], data: dict[str, Any], result: dict[str, Any]) -> int:
        """Record one trial; returns its number. Results served from a cache are no new trial and are not recorded."""
        trial = Trial(kind=kind, spec=spec, spec_hash=short_id(spec), data=data, result=result, created_ns=self._clock.now_ns())
        return self._ledger.append(LEDGER, msgspec.to_builtins(trial))

    def count(self) -> int:
        """How many trials were recorded."""
        return self._ledger.count(LEDGER)

    def all(self) -> list[Trial]:
        """Every trial, oldest first."""
        return [msgspec.convert({**document, "number": number}, Trial) for number, document in self._ledger.rows(LEDGER)]
