"""A day of ticks made by integer arithmetic alone: the same rows on every machine, with the oddities of real feeds.

The data contract is held against it without any file, and its canonical digest is pinned: when ingest, the canonical form
or the row hash change what they make of a day, this is where it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, LEVELS, MARKET_COLUMNS
from ghtrader.data.sessions import sessions_for

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BUILT_IN_DAY", "BUILT_IN_DIGEST", "BUILT_IN_SYMBOL", "built_in_frame"]

BUILT_IN_SYMBOL = "SHFE.rb2510"
BUILT_IN_DAY = TradingDay.parse("2025-06-05")
#: Digest of the canonical rows of :func:`built_in_frame` with its default seed, row hash v1.
BUILT_IN_DIGEST = "f1f986585d867a607ed81fd95edc321972a90fbb9a6adf944f87af0a8fbc6dca"
SEED = 20250605
ROWS_BY_PART = 600
STEP_NS = 500_000_000
TICK_CNY, LOT_TONNES = 1.0, 10.0
SHALLOW_EVERY, ONE_SIDED_EVERY = 97, 401

U64 = npt.NDArray[np.uint64]


def _draw(seed: int, stream: int, rows: int, below: int) -> npt.NDArray[np.int64]:
    """``rows`` integers in [0, below), from a counter hashed with constants of its own: no library's generator is asked."""
    counter = np.arange(rows, dtype=np.uint64) + np.uint64((seed * 1_000_003 + stream) * 1_000_000_007 & (1 << 63) - 1)
    with np.errstate(over="ignore"):
        mixed = counter * np.uint64(0xD129_0D3A_8F6B_4E35)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xA24B_AED4_963E_E407)
        mixed ^= mixed >> np.uint64(32)
    return (mixed % np.uint64(below)).astype(np.int64)


def built_in_frame(calendar: Calendar, instruments: InstrumentTable, seed: int = SEED) -> pl.DataFrame:
    """Source rows of one rb day (night, two mornings, afternoon), 28 columns.

    Among them: an auction row, two equal stamps, rows with three levels, rows without asks, a quiet stretch of skipped
    slots, negative zero. All rules of the contract hold.

    >>> frame = built_in_frame(Calendar.vendored(), InstrumentTable.vendored())
    >>> frame.height, frame.width, frame.equals(built_in_frame(Calendar.vendored(), InstrumentTable.vendored()))
    (2402, 28, True)
    """
    import polars as pl

    sessions = sessions_for("SHFE.rb", BUILT_IN_DAY, calendar, instruments)
    slots = np.cumsum(1 + (_draw(seed, 0, ROWS_BY_PART, 50) == 0), dtype=np.int64) - 1  # a skipped slot now and then
    stamps = np.concatenate(
        [[sessions.first_ns + 240 * 10**9 + STEP_NS], *(part.start_ns + STEP_NS * slots for part in sessions.parts)]
    )
    twice = 700
    stamps = np.insert(stamps, twice, stamps[twice])
    rows = len(stamps)
    bid = 3000 + np.cumsum(_draw(seed, 1, rows, 3) - 1)
    spread = 1 + (_draw(seed, 2, rows, 8) == 0)
    last = np.where(_draw(seed, 3, rows, 2) == 0, bid, bid + spread)
    traded = np.where(np.arange(rows) == 0, 0, _draw(seed, 4, rows, 40))
    volume = np.cumsum(traded)
    amount = np.cumsum(traded * last) * TICK_CNY * LOT_TONNES
    columns: dict[str, npt.NDArray[np.float64]] = {
        "last_price": last * TICK_CNY,
        "average": np.where(volume > 0, amount / np.maximum(volume, 1) / LOT_TONNES, np.nan),
        "highest": np.maximum.accumulate(last) * TICK_CNY,
        "lowest": np.minimum.accumulate(last) * TICK_CNY,
        "volume": volume.astype(np.float64),
        "amount": np.where(volume > 0, amount, -0.0),
        "open_interest": (1_000_000 + np.cumsum(_draw(seed, 5, rows, 11) - 5)).astype(np.float64),
    }
    shallow, empty = np.arange(rows) % SHALLOW_EVERY == 5, np.arange(rows) % ONE_SIDED_EVERY == 7
    for level in range(LEVELS):
        absent = shallow if level > 2 else np.zeros(rows, dtype=np.bool_)
        columns[BID_PRICES[level]] = np.where(absent, np.nan, (bid - level) * TICK_CNY)
        columns[BID_SIZES[level]] = np.where(absent, 0.0, 1.0 + _draw(seed, 10 + level, rows, 60))
        columns[ASK_PRICES[level]] = np.where(absent | empty, np.nan, (bid + spread + level) * TICK_CNY)
        columns[ASK_SIZES[level]] = np.where(absent | empty, 0.0, 1.0 + _draw(seed, 20 + level, rows, 60))
    return pl.DataFrame({"datetime": stamps, **{name: columns[name] for name in MARKET_COLUMNS}})
