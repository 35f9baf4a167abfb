"""Factors of a day in one pass, and of one tick after another: the same kernel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.history import DaySummary, no_history, summarise
from ghtrader.datasets.factors.kernels import layout, step
from ghtrader.datasets.factors.parameters import parameter_array

__all__ = ["FactorStream", "Peers", "breaks_of", "compute", "compute_day", "flip", "part_ends", "part_starts"]

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
READS = {"returns": (), "cross": ("returns",), "regime": (), "liquidity": ()}
#: Groups that keep something for the day's summary.
KEEP_HISTORY = layout.NEED_BOOK | layout.NEED_TRADE | layout.NEED_LIQUIDITY | layout.NEED_CLOCK


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


def groups_needed(chosen: FactorSet) -> int:
    """The groups (NEED_* bits) that a set's factors come from, and what those read."""
    names = {item.kernel for item in chosen.factors}
    names |= {other for name in tuple(names) for other in READS.get(name, ())}
    return sum(GROUPS[name] for name in names)


def reads_history(chosen: FactorSet) -> bool:
    """Whether any factor of the set may use summaries of earlier days."""
    return any(item.needs == "history" or item.id in {"F15", "F16"} for item in chosen.factors)


@dataclass
class State:
    """The kernel's arrays; their layout is `kernels.layout`."""

    history: F64 = field(default_factory=no_history)
    params: F64 = field(default_factory=parameter_array)

    def __post_init__(self) -> None:
        self.history = self.history.copy()  # a roll clears it
        self.s, self.k = np.zeros(layout.SIZE_S), np.zeros(layout.SIZE_K, np.int64)
        self.c, self.x = np.zeros(layout.SIZE_C), np.zeros(layout.SIZE_X)
        self.ring_i, self.ring_f = np.zeros((layout.RINGS_I, layout.RING), np.int64), np.zeros((layout.RINGS_F, layout.RING))

    @property
    def arrays(self) -> tuple[npt.NDArray[np.float64] | npt.NDArray[np.int64], ...]:
        """In the order in which the kernel takes them."""
        return (self.s, self.k, self.c, self.ring_i, self.ring_f, self.history, self.params, self.x)


@dataclass(frozen=True)
class Peers:
    """What other instruments showed last, as of each row: float64 (n, SIZE_PEER), NaN where nothing; (0, SIZE_PEER) without one."""

    peer: F64 = field(default_factory=lambda: np.empty((0, layout.SIZE_PEER)))
    following: F64 = field(default_factory=lambda: np.empty((0, layout.SIZE_PEER)))


def compute(
    ticks: DayTicks,
    sessions: DaySessions,
    chosen: FactorSet,
    *,
    params: F64 | None = None,
    history: F64 | None = None,
    peers: Peers | None = None,
) -> F64:
    """Factors of every row of a day, float64 (n, F); NaN where undefined. Uses rows <= i only.

    params: `parameters.parameter_array` (default: neutral). history: `history.history_array` of the contract's earlier days. peers: as-of
    rows of other instruments.
    """
    return compute_day(ticks, sessions, chosen, params=params, history=history, peers=peers)[0]


def compute_day(
    ticks: DayTicks,
    sessions: DaySessions,
    chosen: FactorSet,
    *,
    params: F64 | None = None,
    history: F64 | None = None,
    peers: Peers | None = None,
) -> tuple[F64, DaySummary]:
    """As :func:`compute`, with what the day leaves to the following ones (whole when ``chosen`` reads history)."""
    state = State(*(given if given is not None else make() for given, make in ((history, no_history), (params, parameter_array))))
    others = peers or Peers()
    out = np.empty((len(ticks), len(chosen.factors)))
    step.run_batch(
        *state.arrays,
        ticks.ts_ns,
        ticks.bid_px,
        ticks.bid_sz,
        ticks.ask_px,
        ticks.ask_sz,
        ticks.last_px,
        ticks.volume,
        ticks.amount,
        ticks.open_interest,
        breaks_of(ticks),
        ticks.phase == int(Phase.CONTINUOUS),
        ticks.part,
        part_starts(ticks, sessions),
        part_ends(ticks, sessions),
        ticks.price_tick * ticks.multiplier,
        others.peer,
        others.following,
        groups_needed(chosen) | (KEEP_HISTORY if reads_history(chosen) else 0),
        np.array([factor.slot for factor in chosen.factors]),
        out,
    )
    return out, summarise(ticks.trading_day.iso, state.c)


class FactorStream:
    """Factors tick by tick; ``step`` returns the same numbers as :func:`compute`, bit for bit.

    One stream lives for one trading day; :meth:`summary` at its end and `history_array` lead into the next.
    """

    def __init__(
        self, chosen: FactorSet, *, tick_value_cny: float, params: F64 | None = None, history: F64 | None = None
    ) -> None:
        self._state = State(
            *(given if given is not None else make() for given, make in ((history, no_history), (params, parameter_array)))
        )
        self._arrays = self._state.arrays
        self._unit = tick_value_cny
        self._row = np.empty(layout.N_FACTORS)
        self._slots = np.array([factor.slot for factor in chosen.factors])
        self._need = groups_needed(chosen) | (KEEP_HISTORY if reads_history(chosen) else 0)
        self._nobody = np.full(layout.SIZE_PEER, np.nan)

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
        peer: F64 | None = None,
        following: F64 | None = None,
    ) -> F64:
        """Factors after one snapshot, float64 (F,). Parameters as one row of `DayTicks` (part: -1 to 3) and of `Peers`.

        new_contract: the row's segment differs from the row before; what the day and earlier days left is forgotten.
        """
        step.step(
            *self._arrays,
            ts_ns,
            bid_px,
            bid_sz,
            ask_px,
            ask_sz,
            last_px,
            volume,
            amount,
            open_interest,
            layout.ROLL if new_contract else layout.BREAK if break_before else layout.NO_BREAK,
            continuous,
            part,
            part_start_ns,
            part_end_ns,
            self._unit,
            self._nobody if peer is None else peer,
            self._nobody if following is None else following,
            self._need,
            self._row,
        )
        return self._row[self._slots]

    def summary(self, trading_day: str) -> DaySummary:
        """What the day so far leaves to the following ones."""
        return summarise(trading_day, self._state.c)


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
