"""The known gaps of a stored day, from the verdict on exactly these rows, and days that nobody ever judged."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.data.verdict import DayVerdict
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["GATE", "VALIDATION", "Documents", "gaps_of_day", "gate_key", "stored_ticks", "verdict_of_day"]

VALIDATION = "validation"
#: Verdicts of the build gate by series, trading day and digest: they stand until the day is validated by itself.
GATE = "main_l5_gate"


class Documents(Protocol):
    """The reading half of a ledger's documents."""

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""


def gate_key(symbol: str, day: str, digest: str) -> str:
    """Name of the gate's verdict on certain rows of a day."""
    return f"{symbol}/{day}/{digest[:16]}"


def _verdict(document: dict[str, Any] | None, digest: str, rows: int) -> DayVerdict | None:
    """The verdict, when it is on these rows."""
    if document is None:
        return None
    verdict = msgspec.convert(document["verdict"], DayVerdict)
    return verdict if verdict.rows == rows and document.get("digest", digest) == digest else None


def verdict_of_day(ledger: Documents, manifest: DayManifest) -> DayVerdict | None:
    """The verdict on exactly the rows of a partition; None when these rows were never judged.

    A day of the series that was not validated itself takes the verdict of the build gate, or that on the contract's raw day.
    """
    symbol, day, lineage = manifest.symbol, manifest.trading_day, manifest.lineage
    # a day that was moved to another row hash holds the rows that were judged before
    digests = [digest for digest in (manifest.digest, lineage.get("rehashed_from_digest", "")) if digest]
    document, found = ledger.get(VALIDATION, f"{symbol}/{day}"), None
    for digest in digests:
        found = found or _verdict(document, digest, manifest.rows)
    for digest in digests:
        found = found or _verdict(ledger.get(GATE, gate_key(symbol, day, digest)), digest, manifest.rows)
    if found is None and "raw_digest" in lineage:
        raw = ledger.get(VALIDATION, f"{lineage['underlying_symbol']}/{day}")
        found = _verdict(raw, lineage["raw_digest"], manifest.rows)
    return found


def gaps_of_day(ledger: Documents, manifest: DayManifest) -> npt.NDArray[np.int64] | None:
    """Starts and ends of the known gaps of a partition, int64 (k, 2) ns; None when these rows were never judged."""
    found = verdict_of_day(ledger, manifest)
    if found is None:
        return None
    return np.array([(gap.start_ns, gap.end_ns) for gap in found.gaps if gap.is_gap], dtype=np.int64).reshape(-1, 2)


def stored_ticks(services: Services, key: DayKey) -> DayTicks:
    """A stored day, raw or of the series, as arrays; its known gaps are hard segments."""
    manifest = services.tick_store().manifest(key)
    gaps = None if manifest is None else gaps_of_day(services.ledger(), manifest)
    return load_day_ticks(services.day_reader(), key, InstrumentTable.vendored(), gaps_ns=gaps)
