"""The other instruments that a build's cross-asset factors look at: who they are, which of their days count, what they showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.instruments import parse_symbol, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.factors.peers import peer_of, peer_rows, stack_peers
from ghtrader.pipelines.build_sources import Source, contract_source, series_source
from ghtrader.pipelines.known_gaps import gaps_of_day, stored_ticks
from ghtrader.pipelines.services import Services
from ghtrader.ports.build_worker import PeerDay
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["DEFAULT", "NEXT", "PEER", "Others", "other_of", "peer_array", "peer_days", "peer_identity"]

#: Places in the engine's array.
PEER, NEXT = 0, 1
DEFAULT = "default"
Others = Mapping[int, Source]


def other_of(services: Services, asked: Sequence[str], own: Source, place: int, *, strict: bool) -> Source | None:
    """The one of ``asked`` that is meant for a symbol; None where none is.

    A text names a contract (its stored days), or a variety, product or alias (its series); ``OWN=OTHER`` is meant for the symbol or
    variety OWN alone and goes before a text for all; ``default`` is the series of the product's declared peer, none where it has none.
    Raises UsageError for two that are meant for one symbol, or one that is the symbol itself.
    """
    instruments = InstrumentTable.vendored()
    named = [text.split("=", 1) for text in asked if "=" in text]
    meant = [other for mine, other in named if mine == own.symbol or instruments.resolve_product(mine) == own.product]
    meant = meant or [text for text in asked if "=" not in text]
    option = "--next" if place == NEXT else "--peer"
    if len(meant) > 1:
        raise UsageError(f"{own.symbol} has two of {option}: {', '.join(meant)}", hint=f"{option} OWN=OTHER")
    text = peer_of(own.product) if meant == [DEFAULT] and place == PEER else "".join(meant)
    if not text:
        return None
    is_contract = "." in text and bool(parse_symbol(text).month)
    name = text if is_contract else instruments.resolve_product(text)
    if name in (own.symbol, own.product if own.kind == "main_l5" else ""):
        raise UsageError(f"{own.symbol} is no peer of its own", hint=f"{option} names another instrument")
    return contract_source(services, name) if is_contract else series_source(services, name, strict=strict)


def peer_days(others: Others, day: TradingDay, own: DayManifest) -> tuple[PeerDay, ...]:
    """What a day looks at: the others' same trading day, unless they lack it or show the very contract that the day is of."""
    found = []
    for place, other in sorted(others.items()):
        manifest = other.days.get(day)
        if manifest is not None and _contract(manifest) != _contract(own):
            found.append(PeerDay(place=place, kind=other.kind, symbol=other.symbol, digest=manifest.digest))
    return tuple(found)


def _contract(manifest: DayManifest) -> str:
    return manifest.lineage.get("underlying_symbol", manifest.symbol)


def peer_identity(services: Services, day: TradingDay, peers: Sequence[PeerDay]) -> list[Any]:
    """What of the peers goes into a day's identity: rows, known gaps, schedule. Raises DataError when one was replaced since."""
    found = []
    for peer in peers:
        manifest = services.tick_store().manifest(DayKey(peer.kind, peer.symbol, day))
        if manifest is None or manifest.digest != peer.digest:
            raise DataError(
                f"{peer.symbol} {day} was replaced while it was read", hint="run the same command again", retryable=True
            )
        gaps = gaps_of_day(services.ledger(), manifest)
        known = [] if gaps is None else gaps.tolist()
        found.append([peer.place, peer.symbol, peer.digest, known, manifest.lineage.get("schedule_hash", "")])
    return found


def peer_array(
    services: Services,
    own_ts_ns: npt.NDArray[np.int64],
    day: TradingDay,
    peers: Sequence[PeerDay],
    calendar: Calendar,
    instruments: InstrumentTable,
) -> npt.NDArray[np.float64] | None:
    """The engine's array of a day, float64 (2, n, SIZE_PEER); None without peers. Their known gaps are hard segments."""
    if not peers:
        return None
    rows: list[npt.NDArray[np.float64] | None] = [None, None]
    for peer in peers:
        ticks = stored_ticks(services, DayKey(peer.kind, peer.symbol, day))
        sessions = sessions_for(product_of(peer.symbol), day, calendar, instruments)
        rows[peer.place] = peer_rows(own_ts_ns, ticks, sessions)
    return stack_peers(len(own_ts_ns), *rows)
