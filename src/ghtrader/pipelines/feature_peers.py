"""A file of another instrument's ticks as what that instrument showed last, day by day: what the cross-asset factors read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.kernels.layout import SIZE_PEER
from ghtrader.datasets.factors.peers import peer_rows, stack_peers
from ghtrader.datasets.factors.session import PeerTicks
from ghtrader.pipelines.tick_file import FileDay, load_tick_file

__all__ = ["PeerFile", "load_peer", "peers_of_day"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PeerFile:
    """Another instrument's days by ISO trading day. sha256: of the file."""

    symbol: str
    days: dict[str, FileDay]
    sha256: str

    def rows(self, trading_day: TradingDay, own_ts_ns: I64) -> F64:
        """What it showed last at or before each own stamp of a day, float64 (n, SIZE_PEER); NaN on days that it lacks."""
        day = self.days.get(trading_day.iso)
        if day is None:
            return np.full((len(own_ts_ns), SIZE_PEER), np.nan)
        return peer_rows(own_ts_ns, day.ticks, day.sessions)


def load_peer(
    path: Path, own_symbol: str, calendar: Calendar, instruments: InstrumentTable, *, symbol: str | None = None
) -> PeerFile:
    """Read a peer's ticks from a file of any format that `ghtrader data import` reads, by exchange time.

    Raises UsageError when the file holds ``own_symbol`` itself, and what `load_tick_file` raises.
    """
    found = load_tick_file(path, symbol, calendar, instruments)
    if found.symbol == own_symbol:
        raise UsageError(
            f"{path.name} holds {own_symbol} itself, which is no peer of its own", hint="give another instrument's ticks"
        )
    return PeerFile(found.symbol, {day.ticks.trading_day.iso: day for day in found.days}, found.sha256)


def peers_of_day(
    trading_day: TradingDay, own_ts_ns: I64, *, peer: PeerTicks | None = None, following: PeerTicks | None = None
) -> F64 | None:
    """The engine's array for a day, float64 (2, n, SIZE_PEER): the peer and the next main contract; None where neither is given."""
    if peer is None and following is None:
        return None
    rows = (None if other is None else other.rows(trading_day, own_ts_ns) for other in (peer, following))
    return stack_peers(len(own_ts_ns), *rows)
