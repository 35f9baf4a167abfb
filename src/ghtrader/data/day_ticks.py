"""``DayTicks``: one symbol's trading day as arrays, prices in integer ticks. What every kernel reads."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, ProvenanceError, SchemaError
from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES

if TYPE_CHECKING:
    import polars as pl

__all__ = ["GAP_FOLLOWS", "GAP_LATER", "NO_GAP", "NO_PRICE", "DayTicks", "from_frame"]

#: An absent price in integer ticks. Far from any price and safe to subtract.
NO_PRICE: Final = -(1 << 40)

#: What lies between a row and the next one: no ledger gap, one that begins with the row, or one that begins after a pause
#: (the first rows of the next session part are missing).
NO_GAP: Final = 0
GAP_FOLLOWS: Final = 1
GAP_LATER: Final = 2

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DayTicks:
    """Rows of one symbol and one trading day, in time order, as structure of arrays.

    Prices are int64 ticks (``NO_PRICE`` where absent), sizes int64 lots (0 where absent). All arrays share their first
    dimension ``n``; book arrays are ``(n, 5)``, best level first, C-contiguous.

    ts_ns: exchange time, UTC ns. volume: cumulative lots of the trading day. amount: cumulative CNY.
    open_interest: lots. phase/part/flags: codes of `ghtrader.core.phases`. segment_id: main-contract segment
    (0 for raw contracts). break_before: True where state must not be carried into the row (first row, session break,
    segment change, ledger gap, first continuous row after an auction). gap_after: `NO_GAP`, `GAP_FOLLOWS` or `GAP_LATER`
    between the row and the next one (or the end of the data). schedule_hash: the mapping that the rows follow, empty for raw
    contracts.
    """

    symbol: str
    underlying_symbol: str
    trading_day: TradingDay
    price_tick: float
    multiplier: float
    ts_ns: I64
    bid_px: I64
    bid_sz: I64
    ask_px: I64
    ask_sz: I64
    last_px: I64
    volume: F64
    amount: F64
    open_interest: F64
    upper_px: I64
    lower_px: I64
    phase: npt.NDArray[np.uint8]
    part: npt.NDArray[np.int8]
    flags: npt.NDArray[np.uint32]
    segment_id: I64
    break_before: npt.NDArray[np.bool_]
    gap_after: npt.NDArray[np.int8]
    schedule_hash: str = ""

    def __len__(self) -> int:
        return len(self.ts_ns)

    def rows(self, selection: slice | npt.NDArray[np.bool_] | I64) -> DayTicks:
        """The same day with only the selected rows (views where numpy gives views)."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)}
        return replace(self, **{name: values[selection] for name, values in arrays.items()})

    @property
    def gap_before(self) -> npt.NDArray[np.bool_]:
        """True where a ledger gap lies between the row before and this one."""
        before = np.zeros(len(self), dtype=np.bool_)
        before[1:] = self.gap_after[:-1] != NO_GAP
        return before

    @property
    def mid_ticks(self) -> F64:
        """Mid price in ticks; NaN where the book is one-sided or crossed (best bid at or above best ask)."""
        bid, ask = self.bid_px[:, 0], self.ask_px[:, 0]
        two_sided = (bid != NO_PRICE) & (ask != NO_PRICE) & (bid < ask)
        return np.where(two_sided, (bid + ask) / 2.0, np.nan)


def price_to_ticks(price: F64, price_tick: float) -> I64:
    """Prices to integer ticks, nearest; NaN becomes ``NO_PRICE``.

    >>> price_to_ticks(np.array([2974.0, np.nan]), 1.0).tolist() == [2974, NO_PRICE]
    True
    """
    absent = ~np.isfinite(price)
    ticks = np.rint(np.where(absent, 0.0, price) / price_tick).astype(np.int64)
    ticks[absent] = NO_PRICE
    return ticks


def _break_rows(part: npt.NDArray[np.int8], segment: I64, continuous: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    starts = np.ones(len(part), dtype=np.bool_)
    if len(part) > 1:
        starts[1:] = (part[1:] != part[:-1]) | (segment[1:] != segment[:-1]) | (continuous[1:] != continuous[:-1])
    return starts


def _gap_rows(ts_ns: I64, gaps_ns: I64) -> npt.NDArray[np.int8]:
    """What follows each row: a gap of ``gaps_ns`` (k, 2) counts where it shares time with the stretch up to the next row."""
    follows = np.full(len(ts_ns), NO_GAP, dtype=np.int8)
    for start, end in gaps_ns[gaps_ns[:, 1] > gaps_ns[:, 0]].tolist():
        first, last = int(np.searchsorted(ts_ns, start, side="right")), int(np.searchsorted(ts_ns, end, side="left"))
        if first > 0 and ts_ns[first - 1] < start and follows[first - 1] == NO_GAP:
            follows[first - 1] = GAP_LATER
        elif first > 0 and ts_ns[first - 1] == start:
            follows[first - 1] = GAP_FOLLOWS
        follows[first:last] = GAP_FOLLOWS
    return follows


def _require_provenance(frame: pl.DataFrame, symbol: str, day: str) -> str:
    """The schedule hash of the rows, empty for raw ones; rows of a series that cannot say where they belong are refused."""
    found = [name for name in ("segment_id", "schedule_hash") if name in frame.columns]
    if not found and not symbol.startswith(CONTINUOUS_PREFIX):
        return ""
    whole = len(found) == 2 and not any(frame[name].null_count() for name in found)
    hashes = frame["schedule_hash"].unique().to_list() if whole else []
    if len(hashes) != 1 or not hashes[0] or bool((frame["segment_id"] <= 0).any()):
        raise ProvenanceError(
            f"rows of {symbol} on {day} do not say which segment of one schedule they belong to",
            hint="ghtrader main-l5 --var VAR --full",
            days=[day],
        )
    return str(hashes[0])


def from_frame(frame: pl.DataFrame, *, price_tick: float, multiplier: float, gaps_ns: I64 | None = None) -> DayTicks:
    """Stored rows (``RAW_COLUMNS`` or ``MAIN_L5_COLUMNS``) as ``DayTicks``.

    Parameters
    ----------
    frame: rows of one symbol and one trading day, sorted by ``datetime``.
    price_tick, multiplier: of the underlying contract on that day.
    gaps_ns: (k, 2) starts and ends of ledger gaps, each the last row before and the first row after (or the edge of the
    session part); no state is carried across one, and rows inside one are each on their own.

    Raises DataError when the frame is empty or mixes symbols or days, SchemaError when a column is absent, ProvenanceError
    when rows of a series lack segment_id or schedule_hash.
    """
    if frame.is_empty():
        raise DataError("no rows: a trading day without ticks cannot be turned into arrays")
    missing = [name for name in ("datetime", *BID_PRICES, "symbol", "trading_day", "phase", "part") if name not in frame.columns]
    if missing:
        raise SchemaError(f"columns missing: {', '.join(missing)}", columns=missing)
    symbols, days = frame["symbol"].unique().to_list(), frame["trading_day"].unique().to_list()
    if len(symbols) != 1 or len(days) != 1:
        raise DataError(f"one symbol and one day expected, but got {symbols} x {days}", symbols=symbols, days=days)
    schedule_hash = _require_provenance(frame, symbols[0], days[0])
    part = frame["part"].to_numpy()
    segment = frame["segment_id"].to_numpy() if "segment_id" in frame.columns else np.zeros(len(frame), dtype=np.int64)
    phase = frame["phase"].to_numpy()
    ts_ns = frame["datetime"].to_numpy()
    breaks = _break_rows(part, segment, phase == Phase.CONTINUOUS)
    gap_after = _gap_rows(ts_ns, np.empty((0, 2), dtype=np.int64) if gaps_ns is None else gaps_ns)
    breaks[1:] |= gap_after[:-1] != NO_GAP

    def ticks(name: str) -> I64:
        return price_to_ticks(frame[name].to_numpy(), price_tick)

    def book(names: tuple[str, ...], sizes: bool) -> I64:
        values = np.empty((len(frame), len(names)), dtype=np.int64)
        for level, name in enumerate(names):
            values[:, level] = frame[name].to_numpy().astype(np.int64) if sizes else ticks(name)
        return values

    has_limits = "upper_limit" in frame.columns
    absent = np.full(len(frame), NO_PRICE, dtype=np.int64)
    return DayTicks(
        symbol=symbols[0],
        underlying_symbol=frame["underlying_symbol"][0] if "underlying_symbol" in frame.columns else symbols[0],
        trading_day=TradingDay.parse(days[0]),
        price_tick=price_tick,
        multiplier=multiplier,
        ts_ns=ts_ns,
        bid_px=book(BID_PRICES, sizes=False),
        bid_sz=book(BID_SIZES, sizes=True),
        ask_px=book(ASK_PRICES, sizes=False),
        ask_sz=book(ASK_SIZES, sizes=True),
        last_px=ticks("last_price"),
        volume=frame["volume"].to_numpy(),
        amount=frame["amount"].to_numpy(),
        open_interest=frame["open_interest"].to_numpy(),
        upper_px=ticks("upper_limit") if has_limits else absent,
        lower_px=ticks("lower_limit") if has_limits else absent.copy(),
        phase=phase,
        part=part,
        flags=frame["flags"].to_numpy(),
        segment_id=segment,
        break_before=breaks,
        gap_after=gap_after,
        schedule_hash=schedule_hash,
    )
