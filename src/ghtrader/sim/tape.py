"""The market as a venue reads it, row by row: a whole stored day at once, or one live tick after the other.

Both lay down the same numbers. A live tape infers the trades of a row when it is appended; nothing in a row depends on a later one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.live_canonical import LiveRows
from ghtrader.sim import venue_kernel as kernel
from ghtrader.sim.orders import Trades, trades_of
from ghtrader.sim.queue_kernel import LEVELS, infer_trades

__all__ = ["MarketTape"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
FIRST_ROWS: Final = 16_384
CONTINUOUS: Final = int(Phase.CONTINUOUS)


class MarketTape:
    """Rows of one contract and trading day. Not to be changed but by :meth:`append`.

    market: int64 (capacity, 30), flow: float64 (capacity, 4), columns named in `ghtrader.sim.venue_kernel`; ``rows`` of them count.
    unit_cny: price tick x multiplier.
    """

    def __init__(self, unit_cny: float, capacity: int = FIRST_ROWS) -> None:
        self.market: I64 = np.zeros((capacity, kernel.MARKET_COLUMNS), np.int64)
        self.flow: F64 = np.zeros((capacity, kernel.FLOW_COLUMNS), np.float64)
        self.rows = 0
        self._unit_cny = unit_cny
        self._stretch = -1

    @classmethod
    def of_day(cls, ticks: DayTicks, trades: Trades | None = None) -> MarketTape:
        """A stored day; ``trades``: `trades_of(ticks)` when at hand."""
        known = trades_of(ticks) if trades is None else trades
        tape = cls(ticks.price_tick * ticks.multiplier, max(1, len(ticks)))
        tape.rows = len(ticks)
        columns = {
            kernel.TS: ticks.ts_ns,
            kernel.BREAK: ticks.break_before,
            kernel.GAP: ticks.gap_before,
            kernel.IS_LIVE: known.live,
            kernel.CONTINUOUS: ticks.phase == CONTINUOUS,
            kernel.UPPER: ticks.upper_px,
            kernel.LOWER: ticks.lower_px,
            kernel.LOW: known.low,
            kernel.HIGH: known.high,
            kernel.LAST: ticks.last_px,
        }
        for column, values in columns.items():
            tape.market[:, column] = values
        for column, book in (
            (kernel.BID_PX, ticks.bid_px),
            (kernel.BID_SZ, ticks.bid_sz),
            (kernel.ASK_PX, ticks.ask_px),
            (kernel.ASK_SZ, ticks.ask_sz),
        ):
            tape.market[:, column : column + LEVELS] = book
        for column, numbers in enumerate((known.sold, known.bought, ticks.volume, ticks.amount)):
            tape.flow[:, column] = numbers
        return tape

    def append(self, live: LiveRows, *, gap: bool = False) -> int:
        """Lay down the kept row that stands in ``live`` (one row, as `LiveCanonical.push` leaves it); returns its number.

        gap: ticks are known to be missing before it; a stretch that begins anew is a gap, too. Raises UsageError for a dropped row.
        """
        if len(live) != 1 or live.code[0] != 0:
            raise UsageError("one kept row is expected")
        if self.rows == len(self.market):
            self.market = np.concatenate([self.market, np.zeros_like(self.market)])
            self.flow = np.concatenate([self.flow, np.zeros_like(self.flow)])
        at = self.rows
        row, stretch = self.market[at], int(live.stretch[0])
        lost = at > 0 and (gap or stretch != self._stretch)
        self._stretch = stretch
        row[kernel.TS], row[kernel.GAP] = live.ts_ns[0], lost
        row[kernel.BREAK] = at == 0 or lost or live.break_before[0]
        row[kernel.CONTINUOUS] = live.phase[0] == CONTINUOUS
        row[kernel.UPPER], row[kernel.LOWER] = live.limits[0]
        row[kernel.LAST] = live.last_px[0]
        row[kernel.BID_PX : kernel.BID_PX + LEVELS], row[kernel.BID_SZ : kernel.BID_SZ + LEVELS] = live.bid_px[0], live.bid_sz[0]
        row[kernel.ASK_PX : kernel.ASK_PX + LEVELS], row[kernel.ASK_SZ : kernel.ASK_SZ + LEVELS] = live.ask_px[0], live.ask_sz[0]
        row[kernel.IS_LIVE] = _fills(row)
        self.flow[at, kernel.VOLUME], self.flow[at, kernel.AMOUNT] = live.counters[0, 0], live.counters[0, 1]
        self.rows += 1
        self._infer(at)
        return at

    def _infer(self, at: int) -> None:
        """Trades between the row before and this one."""
        first = max(0, at - 1)
        market, flow = self.market[first : at + 1], self.flow[first : at + 1]
        low, high, sold, bought = (np.empty(len(market), kind) for kind in (np.int64, np.int64, np.float64, np.float64))
        infer_trades(
            market[:, kernel.BID_PX : kernel.BID_PX + LEVELS], market[:, kernel.ASK_PX : kernel.ASK_PX + LEVELS],
            market[:, kernel.LAST], flow[:, kernel.VOLUME], flow[:, kernel.AMOUNT], market[:, kernel.IS_LIVE],
            market[:, kernel.BREAK], self._unit_cny, low, high, sold, bought,
        )  # fmt: skip
        market[-1, kernel.LOW], market[-1, kernel.HIGH] = low[-1], high[-1]
        flow[-1, kernel.SOLD], flow[-1, kernel.BOUGHT] = sold[-1], bought[-1]

    def ts_ns(self, row: int) -> int:
        """Exchange time of a row."""
        return int(self.market[row, kernel.TS])

    def touch(self, row: int) -> tuple[int | None, int | None]:
        """Best bid and ask of a row, in ticks; None where a side is empty."""
        bid, ask = int(self.market[row, kernel.BID_PX]), int(self.market[row, kernel.ASK_PX])
        return None if bid == NO_PRICE else bid, None if ask == NO_PRICE else ask

    def last(self, row: int) -> int | None:
        """Last price of a row, in ticks; None where there is none."""
        price = int(self.market[row, kernel.LAST])
        return None if price == NO_PRICE else price

    def limits(self, row: int) -> tuple[int | None, int | None]:
        """Upper and lower price limit of a row, in ticks; None where it names none."""
        upper, lower = int(self.market[row, kernel.UPPER]), int(self.market[row, kernel.LOWER])
        return None if upper == NO_PRICE else upper, None if lower == NO_PRICE else lower

    def settlement_estimate(self) -> float:
        """Volume-weighted price of the rows there are, cut to the tick; the last price where nothing traded, NaN without one.

        The rule of `ghtrader.sim.policy.estimate_settlement`.
        """
        if not self.rows:
            return float("nan")
        volume, amount = (float(value) for value in self.flow[self.rows - 1, kernel.VOLUME :])
        if volume > 0 and amount > 0:
            return float(np.floor(amount / (volume * self._unit_cny) + 1e-9))
        last = self.last(self.rows - 1)
        return float("nan") if last is None else float(last)


def _fills(row: I64) -> bool:
    """Whether a fill is possible at a row: continuous trading, two-sided and uncrossed book, no locked limit."""
    bid, ask, upper, lower = row[kernel.BID_PX], row[kernel.ASK_PX], row[kernel.UPPER], row[kernel.LOWER]
    locked = (upper != NO_PRICE and bid >= upper) or (lower != NO_PRICE and ask <= lower)
    return bool(row[kernel.CONTINUOUS] and bid != NO_PRICE and ask != NO_PRICE and bid < ask and not locked)
