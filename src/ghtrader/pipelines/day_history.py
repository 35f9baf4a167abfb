"""What each day of a symbol may know of the days before it (`factors.history`), from the store; summaries are kept by content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ghtrader.core.ids import short_id
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.factors.catalogue import factor, kernel_hash
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import compute_day, reads_history
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import gaps_of_day, stored_ticks
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["day_histories"]

#: One factor of each group that leaves something.
LEAVING = ("F15", "F53", "F80", "F99")


class _Kept(msgspec.Struct, frozen=True):
    """A day's summary and the contract that it is of."""

    underlying: str
    summary: DaySummary


def day_histories(
    services: Services, kind: str, symbol: str, product: str, manifests: Mapping[TradingDay, DayManifest], chosen: FactorSet
) -> dict[str, tuple[float, ...]]:
    """For each day (ISO) the history section of the kernel; empty for the first day of a contract, and for sets that read none.

    A day's summary depends on its rows, its gaps and the volume of the day before, and is computed once for each of them. A roll
    begins anew: what the old contract left is not the new one's.
    """
    found: dict[str, tuple[float, ...]] = {}
    if not reads_history(chosen):
        return found
    earlier: list[DaySummary] = []
    contract = ""
    for day, manifest in sorted(manifests.items()):
        kept = _summary(services, DayKey(kind, symbol, day), product, manifest, contract, earlier)
        if kept.underlying != contract:
            contract, earlier = kept.underlying, []
        if earlier:
            found[day.iso] = tuple(history_array(earlier).tolist())
        earlier.append(kept.summary)
    return found


def _summary(
    services: Services, key: DayKey, product: str, manifest: DayManifest, contract: str, earlier: list[DaySummary]
) -> _Kept:
    """A day's summary, from the cache or computed."""
    gaps = gaps_of_day(services.ledger(), manifest)
    before = (contract, earlier[-1].volume) if earlier else ("", 0.0)
    name = short_id([manifest.digest, kernel_hash(), [] if gaps is None else gaps.tolist(), list(before)])
    path = services.paths.artifacts / "summaries" / key.symbol / key.trading_day.iso / f"{name}.json"
    kept = _read(path)
    if kept is not None:
        return kept
    ticks = stored_ticks(services, key)
    known = history_array(earlier if ticks.underlying_symbol == contract else [])
    leaving = FactorSet(name="history", factors=tuple(factor(id_) for id_ in LEAVING), set_hash="")
    sessions = sessions_for(product, key.trading_day, calendar_of(services), InstrumentTable.vendored())
    kept = _Kept(ticks.underlying_symbol, compute_day(ticks, sessions, leaving, history=known)[1])
    encoded = msgspec.json.encode(kept)

    def write(target: Path) -> None:
        target.write_bytes(encoded)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)
    return kept


def _read(path: Path) -> _Kept | None:
    """A summary that was kept; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
