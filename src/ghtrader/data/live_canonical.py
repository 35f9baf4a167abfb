"""The canonical form of a contract's ticks as they arrive: row by row or many at once, the same verdicts.

Every decision about a row is made at the row, so that a recorded file and the live stream it came from give the same rows.
`ghtrader.data.live_kernel` holds the rules.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.trading_day import TradingDay
from ghtrader.data import live_kernel
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import LAST_TWO_SIDED_DAY
from ghtrader.data.day_ticks import NO_GAP, NO_PRICE, DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import DaySessions, phase_edges, sessions_for, trading_day_bracket, trading_days_of

__all__ = ["DayFacts", "LiveCanonical", "LiveRows"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class DayFacts:
    """What holds for a contract on one trading day. number: the day counted in civil days, so that days can be compared."""

    day: TradingDay
    number: int
    sessions: DaySessions
    spec: InstrumentSpec
    halved: bool
    edges: I64
    phases: npt.NDArray[np.uint8]
    parts: npt.NDArray[np.int8]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def tick_value_cny(self) -> float:
        """Price tick x multiplier: CNY per tick and lot."""
        return self.spec.price_tick * self.spec.multiplier


@dataclass(frozen=True)
class LiveRows:
    """Verdicts on rows in arrival order, and the canonical rows among them; other rows hold no price and zeros.

    code: 0 for a kept row, else a place in `live_kernel.REASON_CODES`. day: number of the row's trading day. ts_ns: stamp, of a
    row that is not kept as it came. limits: (n, 2), upper and lower, ticks. counters: (n, 3), volume, amount, open interest.
    stretch: number of the stretch a kept row stands in; a new one begins with each trading day, and where the clock was set back.
    The rest as in `DayTicks`.
    """

    code: npt.NDArray[np.uint8]
    day: I64
    ts_ns: I64
    bid_px: I64
    bid_sz: I64
    ask_px: I64
    ask_sz: I64
    last_px: I64
    limits: I64
    counters: F64
    phase: npt.NDArray[np.uint8]
    part: npt.NDArray[np.int8]
    break_before: npt.NDArray[np.bool_]
    stretch: I64

    def __len__(self) -> int:
        return len(self.code)

    @classmethod
    def empty(cls, ts_ns: I64, day: I64) -> LiveRows:
        """Room for the verdicts on rows with these stamps."""
        rows = len(ts_ns)

        def prices(*levels: int) -> I64:
            return np.full((rows, *levels), NO_PRICE, dtype=np.int64)

        return cls(
            code=np.zeros(rows, dtype=np.uint8),
            day=day,
            ts_ns=ts_ns.copy(),
            bid_px=prices(5),
            bid_sz=np.zeros((rows, 5), dtype=np.int64),
            ask_px=prices(5),
            ask_sz=np.zeros((rows, 5), dtype=np.int64),
            last_px=prices(),
            limits=prices(2),
            counters=np.zeros((rows, 3)),
            phase=np.zeros(rows, dtype=np.uint8),
            part=np.full(rows, -1, dtype=np.int8),
            break_before=np.zeros(rows, dtype=np.bool_),
            stretch=np.full(rows, -1, dtype=np.int64),
        )

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernel writes, in its order."""
        return (
            self.ts_ns, self.bid_px, self.bid_sz, self.ask_px, self.ask_sz, self.last_px, self.limits, self.counters,
            self.phase, self.part, self.break_before, self.stretch,
        )  # fmt: skip

    def rows(self, selection: slice | npt.NDArray[np.bool_]) -> LiveRows:
        """The selected rows (views where numpy gives views)."""
        return LiveRows(self.code[selection], self.day[selection], *(values[selection] for values in self.arrays))

    @staticmethod
    def joined(pieces: list[LiveRows]) -> LiveRows:
        """Pieces behind each other."""
        if len(pieces) == 1:
            return pieces[0]
        columns = zip(*((piece.code, piece.day, *piece.arrays) for piece in pieces), strict=True)
        return LiveRows(*(np.concatenate(column) for column in columns))

    def day_ticks(self, symbol: str, facts: DayFacts) -> DayTicks:
        """The kept rows, all of one stretch of the day of ``facts``, as arrays for kernels; flags are not judged, gaps not known."""
        kept = self.rows(self.code == 0)
        rows = len(kept)
        return DayTicks(
            symbol=symbol,
            underlying_symbol=symbol,
            trading_day=facts.day,
            price_tick=facts.spec.price_tick,
            multiplier=facts.spec.multiplier,
            ts_ns=kept.ts_ns,
            bid_px=kept.bid_px,
            bid_sz=kept.bid_sz,
            ask_px=kept.ask_px,
            ask_sz=kept.ask_sz,
            last_px=kept.last_px,
            volume=np.ascontiguousarray(kept.counters[:, 0]),
            amount=np.ascontiguousarray(kept.counters[:, 1]),
            open_interest=np.ascontiguousarray(kept.counters[:, 2]),
            upper_px=np.ascontiguousarray(kept.limits[:, 0]),
            lower_px=np.ascontiguousarray(kept.limits[:, 1]),
            phase=kept.phase,
            part=kept.part,
            flags=np.zeros(rows, dtype=np.uint32),
            segment_id=np.zeros(rows, dtype=np.int64),
            break_before=kept.break_before,
            gap_after=np.full(rows, NO_GAP, dtype=np.int8),
        )


class LiveCanonical:
    """The canonical form of one contract, from any first row on. Not to be shared between streams.

    >>> live = LiveCanonical("SHFE.rb2510", Calendar.vendored(), InstrumentTable.vendored())
    >>> saturday_noon = 1_749_268_800_000_000_000
    >>> live_kernel.REASON_CODES[live.push(saturday_noon, np.full(29, np.nan))]
    'heartbeat'
    """

    def __init__(self, symbol: str, calendar: Calendar, instruments: InstrumentTable) -> None:
        self.symbol = symbol
        self._product = instruments.product(symbol).product
        self._calendar = calendar
        self._instruments = instruments
        self._facts_of = lru_cache(maxsize=64)(self._look_up)
        self._bracket = (0, 0)
        self._facts: DayFacts | None = None
        self._state: tuple[Any, ...] = (
            np.full(live_kernel.SIZE_K, live_kernel.NO_STAMP, dtype=np.int64),
            np.zeros(1),
            np.empty((live_kernel.SAME_STAMP_ROWS, live_kernel.N_MARKET)),
            np.empty(live_kernel.N_MARKET),
        )
        self._kernel_facts: tuple[Any, ...] = ()
        self.row = LiveRows.empty(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
        self._out = self.row.arrays

    def facts(self, day: TradingDay) -> DayFacts:
        """What holds for the contract on a trading day."""
        return self._facts_of(day)

    def facts_of_number(self, number: int) -> DayFacts:
        """As :meth:`facts`, by the number that rows carry."""
        return self._facts_of(TradingDay(EPOCH + dt.timedelta(days=number)))

    def _look_up(self, day: TradingDay) -> DayFacts:
        sessions = sessions_for(self._product, day, self._calendar, self._instruments)
        starts, ends = [0] * 5, [0] * 5
        for window in sessions.parts:
            starts[int(window.part)], ends[int(window.part)] = window.start_ns, window.end_ns
        spec = self._instruments.spec(self.symbol, day)
        halved = day.iso <= LAST_TWO_SIDED_DAY
        number = (day.date - EPOCH).days
        return DayFacts(day, number, sessions, spec, halved, *phase_edges(sessions), tuple(starts), tuple(ends))

    def push(self, ts_ns: int, raw: F64) -> int:
        """Judge the next row; returns its code, and when that is 0 the row stands in ``row`` and its day in ``row_facts``.

        raw: float64 (29,), `live_kernel.COLUMNS`. Raises CalendarError and UnknownInstrumentError for a stamp of which nobody
        knows the trading day or the contract's facts; the state is then as before.
        """
        if not self._bracket[0] <= ts_ns < self._bracket[1] or self._facts is None:
            day, bracket = trading_day_bracket(ts_ns, self._product, self._calendar, self._instruments)
            self._facts = self.facts(day)
            self._bracket, self._kernel_facts = bracket, _for_kernel(self._facts)
        arguments = (*self._state, ts_ns, raw, *self._kernel_facts, 0, self._out)
        return int(live_kernel.classify_row(*arguments))

    @property
    def row_facts(self) -> DayFacts:
        """Facts of the trading day of the last row."""
        assert self._facts is not None
        return self._facts

    def push_many(self, ts_ns: I64, raw: F64) -> LiveRows:
        """Judge the next rows, arrival order. ts_ns: int64 (n,); raw: float64 (n, 29). Errors as in :meth:`push`."""
        days, index = trading_days_of(ts_ns, self._product, self._calendar, self._instruments)
        facts = [self.facts(day) for day in days]
        numbers = np.array([item.number for item in facts], dtype=np.int64)
        found = LiveRows.empty(ts_ns, numbers[index] if facts else np.empty(0, dtype=np.int64))
        edges = np.flatnonzero(np.diff(index)) + 1
        for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(ts_ns)], strict=True):
            if last > first:
                of_day = _for_kernel(facts[index[first]])
                arguments = (*self._state, ts_ns, raw, *of_day, first, last, found.arrays, found.code)
                live_kernel.classify_rows(*arguments)
        return found


def _for_kernel(facts: DayFacts) -> tuple[Any, ...]:
    return (
        facts.number, facts.edges, facts.phases, facts.parts, facts.sessions.first_ns, facts.halved, facts.spec.price_tick
    )  # fmt: skip
