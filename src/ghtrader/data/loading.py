"""Stored partitions as the arrays that kernels read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.data.day_cache import DayReader
from ghtrader.data.day_ticks import DayTicks, from_frame
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.row_hash import require_version
from ghtrader.ports.tick_store import DayKey

__all__ = ["load_day_ticks"]


def load_day_ticks(
    store: DayReader, key: DayKey, instruments: InstrumentTable, *, gaps_ns: npt.NDArray[np.int64] | None = None
) -> DayTicks:
    """One partition as `DayTicks`; ``gaps_ns`` are the day's known gaps, (k, 2) starts and ends.

    Raises DataError when there is no such partition, HashVersionError when its hashes are of an unknown version,
    ProvenanceError when it is of a series and its rows do not say where they belong.
    """
    manifest = store.manifest(key)
    if manifest is not None:
        require_version(manifest.row_hash_version, subject=f"{key.symbol} {key.trading_day}")
    frame = store.read_day(key)
    contract = frame["underlying_symbol"][0] if "underlying_symbol" in frame.columns and len(frame) else key.symbol
    spec = instruments.spec(contract, key.trading_day)
    return from_frame(frame, price_tick=spec.price_tick, multiplier=spec.multiplier, gaps_ns=gaps_ns)
