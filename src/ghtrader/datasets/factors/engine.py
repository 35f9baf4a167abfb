"""Factors of a day in one pass, and of one tick after another: the same kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.history import DaySummary, no_history, summarise
from ghtrader.datasets.factors.kernels import layout
from ghtrader.datasets.factors.parameters import parameter_array
from ghtrader.datasets.factors.user import compiled

__all__ = ["FactorStream", "breaks_of", "compute", "compute_day", "flip", "part_ends", "part_starts"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

GROUPS = {
    "core": 0,
    "book": layout.NEED_BOOK,
    "flow": layout.NEED_FLOW,
    "trade": layout.NEED_TRADE,
    "returns": layout.NEED_RETURN,
    "liquidity": layout.NEED_LIQUIDITY,
    "clock": layout.NEED_CLOCK,
    "cross": layout.NEED_CROSS,
    "regime": layout.NEED_REGIME,
}
#: A group reads what these others left in the row.
READS = {"cross": ("returns",)}
#: Groups that keep something for the day's summary, and factors that only begin with it.
KEEP_HISTORY = {"book", "trade", "liquidity", "clock"}
BEGIN_WITH_HISTORY = {"F15", "F16"}


def _edges(ticks: DayTicks, sessions: DaySessions, edge: str) -> I64:
    edges = np.zeros(5, dtype=np.int64)
    for window in sessions.parts:
        edges[int(window.part)] = getattr(window, edge)
    return edges[np.where(ticks.part < 0, 4, ticks.part)]


def part_ends(ticks: DayTicks, sessions: DaySessions) -> I64:
    """End of the session part each row stands in, ns; 0 where it stands in none."""
    return _edges(ticks, sessions, "end_ns")


def part_starts(ticks: DayTicks, sessions: DaySessions) -> I64:
    """Start of the session part each row stands in, ns; 0 where it stands in none."""
    return _edges(ticks, sessions, "start_ns")


def breaks_of(ticks: DayTicks) -> npt.NDArray[np.int8]:
    """What lies before each row: NO_BREAK, BREAK or ROLL (`kernels.layout`)."""
    codes = ticks.break_before.astype(np.int8) * np.int8(layout.BREAK)
    codes[1:][ticks.segment_id[1:] != ticks.segment_id[:-1]] = layout.ROLL
    return codes


def reads_history(chosen: FactorSet) -> bool:
    """Whether any factor of the set reads what earlier days left."""
    return any(item.needs == "history" or item.id in BEGIN_WITH_HISTORY for item in chosen.factors)


def reads_peers(chosen: FactorSet) -> bool:
    """Whether any factor of the set looks at another instrument."""
    return bool(groups_needed(chosen) & layout.NEED_CROSS)


def groups_needed(chosen: FactorSet) -> int:
    """The groups (NEED_* bits) that a set's factors come from, what those read, and what the day's summary needs."""
    names = {item.kernel for item in chosen.factors}
    names |= {other for name in tuple(names) for other in READS.get(name, ())}
    names |= {other for item in chosen.factors for other in item.reads}
    if reads_history(chosen):
        names |= KEEP_HISTORY
    return sum(GROUPS[name] for name in names)


def _state(history: F64 | None, params: F64 | None) -> tuple[F64, I64]:
    """The kernel's two arrays at the beginning of a day."""
    f, k = np.zeros(layout.SIZE_F), np.zeros(layout.SIZE_K, np.int64)
    f[layout.HISTORY : layout.HISTORY_END] = no_history() if history is None else history
    f[layout.PARAMS : layout.PARAMS_END] = parameter_array() if params is None else params
    return f, k


def _frozen(values: Any) -> Any:
    """A contiguous view that cannot be written: one kind of input, one compilation."""
    view = np.ascontiguousarray(values).view()
    view.setflags(write=False)
    return view


def _slots(chosen: FactorSet) -> I64:
    return layout.ROW + np.array([factor.slot for factor in chosen.factors])


def compute(
    ticks: DayTicks,
    sessions: DaySessions,
    chosen: FactorSet,
    *,
    params: F64 | None = None,
    history: F64 | None = None,
    peers: F64 | None = None,
) -> F64:
    """Factors of every row of a day, float64 (n, F); NaN where undefined. Uses rows <= i only.

    params: `parameters.parameter_array` (default: neutral). history: `history.history_array` of the contract's earlier days.
    peers: float64 (2, n, SIZE_PEER), what the peer and the next main contract showed last as of each row, NaN where nothing.
    """
    return compute_day(ticks, sessions, chosen, params=params, history=history, peers=peers)[0]


def compute_day(
    ticks: DayTicks,
    sessions: DaySessions,
    chosen: FactorSet,
    *,
    params: F64 | None = None,
    history: F64 | None = None,
    peers: F64 | None = None,
) -> tuple[F64, DaySummary]:
    """As :func:`compute`, with what the day leaves to the following ones (whole when ``chosen`` reads history)."""
    f, k = _state(history, params)
    need = groups_needed(chosen)
    if peers is None:
        need, peers = need & ~layout.NEED_CROSS, np.empty((2, 0, layout.SIZE_PEER))
    out = np.empty((len(ticks), len(chosen.factors)))
    _, run_batch = compiled(chosen)
    run_batch(
        f,
        k,
        need,
        ticks.price_tick * ticks.multiplier,
        _frozen(ticks.ts_ns),
        _frozen(ticks.bid_px),
        _frozen(ticks.bid_sz),
        _frozen(ticks.ask_px),
        _frozen(ticks.ask_sz),
        _frozen(ticks.last_px),
        _frozen(ticks.volume),
        _frozen(ticks.amount),
        _frozen(ticks.open_interest),
        _frozen(breaks_of(ticks)),
        _frozen(ticks.phase == int(Phase.CONTINUOUS)),
        _frozen(ticks.part),
        _frozen(part_starts(ticks, sessions)),
        _frozen(part_ends(ticks, sessions)),
        _frozen(peers),
        _frozen(_slots(chosen)),
        out,
    )
    return out, summarise(ticks.trading_day.iso, f)


class FactorStream:
    """Factors tick by tick; ``step`` returns the same numbers as :func:`compute`, bit for bit.

    One stream lives for one trading day; :meth:`summary` at its end and `history_array` lead into the next.
    """

    def __init__(
        self, chosen: FactorSet, *, tick_value_cny: float, params: F64 | None = None, history: F64 | None = None
    ) -> None:
        self._f, self._k = _state(history, params)
        self._unit = tick_value_cny
        self._slots = _slots(chosen)
        self._step = compiled(chosen)[0]
        self._need = groups_needed(chosen)
        self._books = np.zeros((4, 5), dtype=np.int64)
        self._views = tuple(_frozen(side.reshape(1, 5)) for side in self._books)
        self._nobody = _frozen(np.full((2, 1, layout.SIZE_PEER), np.nan))

    def step(
        self,
        ts_ns: int,
        bid_px: I64,
        bid_sz: I64,
        ask_px: I64,
        ask_sz: I64,
        last_px: int,
        volume: float,
        amount: float,
        open_interest: float,
        *,
        break_before: bool,
        continuous: bool,
        part: int,
        part_start_ns: int,
        part_end_ns: int,
        new_contract: bool = False,
        peers: F64 | None = None,
    ) -> F64:
        """Factors after one snapshot, float64 (F,). Parameters as one row of `DayTicks` (part: -1 to 3).

        peers: float64 (2, 1, SIZE_PEER), what the peer and the next contract showed last. new_contract: the row's segment
        differs from the row before; what the day and earlier days left is forgotten.
        """
        books = self._books
        books[0], books[1], books[2], books[3] = bid_px, bid_sz, ask_px, ask_sz
        self._step(
            self._f,
            self._k,
            self._need if peers is not None else self._need & ~layout.NEED_CROSS,
            self._unit,
            0,
            ts_ns,
            *self._views,
            last_px,
            volume,
            amount,
            open_interest,
            layout.ROLL if new_contract else layout.BREAK if break_before else layout.NO_BREAK,
            continuous,
            part,
            part_start_ns,
            part_end_ns,
            self._nobody if peers is None else _frozen(peers),
        )
        return np.asarray(self._f[self._slots], dtype=np.float64)

    def summary(self, trading_day: str) -> DaySummary:
        """What the day so far leaves to the following ones."""
        return summarise(trading_day, self._f)


def flip(ticks: DayTicks) -> DayTicks:
    """The mirrored market: bids become asks, prices reflect around the first mid, turnover with them.

    Odd factors change sign on it, even ones do not: the symmetry every factor's test relies on.
    """
    from dataclasses import replace

    from ghtrader.data.day_ticks import NO_PRICE

    present = ticks.bid_px[:, 0][ticks.bid_px[:, 0] != NO_PRICE]
    centre = 2 * int(present[0]) if len(present) else 0

    def mirror(prices: I64) -> I64:
        return np.where(prices == NO_PRICE, NO_PRICE, centre - prices)

    unit = ticks.price_tick * ticks.multiplier
    return replace(
        ticks,
        bid_px=mirror(ticks.ask_px),
        ask_px=mirror(ticks.bid_px),
        bid_sz=ticks.ask_sz,
        ask_sz=ticks.bid_sz,
        last_px=mirror(ticks.last_px),
        amount=np.where(ticks.amount > 0, centre * unit * ticks.volume - ticks.amount, ticks.amount),
        upper_px=mirror(ticks.lower_px),
        lower_px=mirror(ticks.upper_px),
    )
