"""What the formulas speak of: rows that count, runs, changes since the run's previous row, flows and levels."""

# ruff: noqa: N806, N815 - the letters are those of the cards
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.history import DaySummary
from ghtrader.datasets.factors.parameters import PARAMETERS

NAN = math.nan
LN2 = math.log(2)
Columns = dict[str, list[float]]

#: As the cards state them; the regime's, which the card only describes, are the declared ones.
NEUTRAL: dict[str, tuple[float, ...]] = {
    "micro": tuple((j + 1) * (i + 0.5) / 10 for i in range(5) for j in range(3)),
    "sweep_lots": (2.0, 20.0),
    "ofi_weights": (0.2,) * 5,
    "large_lots": (100.0,),
    "har": (0.0, 0.5, 0.3, 0.2),
    "regime": PARAMETERS["regime"][1],
}


class Given:
    """What there is beside the rows: session parts, fitted parameters, summaries of earlier days, peers."""

    def __init__(
        self,
        ticks: DayTicks,
        sessions: DaySessions,
        values: dict[str, tuple[float, ...]] | None,
        earlier: list[DaySummary],
        peers: npt.NDArray[np.float64] | None,
    ) -> None:
        self.unit = ticks.price_tick * ticks.multiplier
        self.windows = {int(window.part): (window.start_ns, window.end_ns) for window in sessions.parts}
        self.values = NEUTRAL | (values or {})
        self.earlier = earlier
        self.peers = peers


@dataclass
class Row:
    """One row that counts, with what changed since the run's previous one (0 on the first)."""

    i: int
    ts: int
    part: int
    b: list[int | None]
    a: list[int | None]
    B: list[int]
    A: list[int]
    last: int | None
    V: float
    M: float
    O: float  # noqa: E741
    m: float
    s: float
    first: bool = True
    dt: float = 0.0
    dV: float = 0.0
    dM: float = 0.0
    dO: float = 0.0
    dm: float = 0.0
    p: float = NAN  # average price of the interval in ticks
    sv: float = 0.0
    e1: float = 0.0
    added_bid: float = 0.0
    removed_bid: float = 0.0
    added_ask: float = 0.0
    removed_ask: float = 0.0

    @property
    def sgn(self) -> int:
        return (self.sv > 0) - (self.sv < 0)

    @property
    def buy(self) -> float:
        return (self.dV + self.sv) / 2

    @property
    def sell(self) -> float:
        return (self.dV - self.sv) / 2

    @property
    def imbalance(self) -> float:
        return (self.B[0] - self.A[0]) / (self.B[0] + self.A[0])


Run = list[Row]


def contracts(ticks: DayTicks) -> list[list[Run]]:
    """The runs of each contract of the day (one, or more where main contracts roll)."""
    unit = ticks.price_tick * ticks.multiplier
    found: list[list[Run]] = [[]]
    broken = True
    for i in range(len(ticks)):
        if i and ticks.segment_id[i] != ticks.segment_id[i - 1]:
            found.append([])
            broken = True
        broken = broken or bool(ticks.break_before[i])
        row = read(ticks, i)
        if row is None:
            continue
        runs = found[-1]
        if broken or row.V < runs[-1][-1].V or row.M < runs[-1][-1].M:
            runs.append([row])
            broken = False
        else:
            compare(row, runs[-1][-1], unit)
            runs[-1].append(row)
    return found


def read(ticks: DayTicks, i: int) -> Row | None:
    """The row as it stands, None where it does not count."""

    def prices(values: npt.NDArray[np.int64]) -> list[int | None]:
        return [None if price == NO_PRICE else int(price) for price in values[i]]

    b, a = prices(ticks.bid_px), prices(ticks.ask_px)
    B, A = [int(x) for x in ticks.bid_sz[i]], [int(x) for x in ticks.ask_sz[i]]
    if ticks.phase[i] != 3 or b[0] is None or a[0] is None or b[0] >= a[0] or B[0] <= 0 or A[0] <= 0:
        return None
    last = int(ticks.last_px[i])
    return Row(
        i=i, ts=int(ticks.ts_ns[i]), part=int(ticks.part[i]), b=b, a=a, B=B, A=A, last=None if last == NO_PRICE else last,
        V=float(ticks.volume[i]), M=float(ticks.amount[i]), O=float(ticks.open_interest[i]), m=(b[0] + a[0]) / 2, s=a[0] - b[0],
    )  # fmt: skip


def compare(row: Row, old: Row, unit: float) -> None:
    """Fill in what changed since the run's previous row."""
    b, a, b_old, a_old = best(row.b), best(row.a), best(old.b), best(old.a)
    B, A, B_old, A_old = row.B[0], row.A[0], old.B[0], old.A[0]
    row.first = False
    row.dt = (row.ts - old.ts) / 1e9
    row.dV, row.dM, row.dm = row.V - old.V, row.M - old.M, row.m - old.m
    if old.M == 0 and old.V > 0:  # turnover was absent
        row.dM = 0.0
    if row.O == 0:  # absent: unchanged
        row.O = old.O
    if old.O > 0:
        row.dO = row.O - old.O
    if row.dV > 0 and row.dM > 0:
        row.p = row.dM / (row.dV * unit)
    row.sv = signed(row, b, a, b_old, a_old)
    row.e1 = (b >= b_old) * B - (b <= b_old) * B_old - (a <= a_old) * A + (a >= a_old) * A_old
    if b == b_old:
        row.added_bid, row.removed_bid = max(0, B - B_old), max(0, B_old - B)
    elif b > b_old:
        row.added_bid, row.removed_bid = B, 0
    else:
        row.added_bid, row.removed_bid = 0, B_old
    if a == a_old:
        row.added_ask, row.removed_ask = max(0, A - A_old), max(0, A_old - A)
    elif a < a_old:
        row.added_ask, row.removed_ask = A, 0
    else:
        row.added_ask, row.removed_ask = 0, A_old


def signed(row: Row, b: int, a: int, b_old: int, a_old: int) -> float:
    """sv: bought minus sold lots of the interval."""
    if row.dV <= 0:
        return 0.0
    if row.dM <= 0:
        if row.last is None:
            return 0.0
        return row.dV if row.last >= a_old else -row.dV if row.last <= b_old else 0.0
    low, high = b_old, a_old
    if not low <= row.p <= high:
        low, high = min(b_old, b), max(a_old, a)
    return row.dV * clip((2 * row.p - low - high) / (high - low), -1, 1)


def best(prices: Sequence[int | None]) -> int:
    assert prices[0] is not None
    return prices[0]


def clip(x: float, low: float, high: float) -> float:
    return max(low, min(high, x))


def ratio(x: float, y: float, otherwise: float) -> float:
    return x / y if y != 0 else otherwise


def flow(run: Run, x: Sequence[float], half: float) -> list[float]:
    """S = 2^(-dt/h) S + x; NaN where x is, state untouched."""
    state, out = 0.0, []
    for row, value in zip(run, x, strict=True):
        if not math.isnan(value):
            state = 2 ** (-row.dt / half) * state + value
        out.append(NAN if math.isnan(value) else state)
    return out


def level(run: Run, x: Sequence[float], half: float) -> list[float]:
    """E = w E + (1 - w) x, beginning with the first x; NaN where x is, state untouched."""
    held = held_level(run, x, half)
    return [NAN if math.isnan(value) else state for value, state in zip(x, held, strict=True)]


def held_level(run: Run, x: Sequence[float], half: float) -> list[float]:
    """As level, but its last value where x is NaN; NaN before the first x."""
    state, out = NAN, []
    for row, value in zip(run, x, strict=True):
        if not math.isnan(value):
            weight = 2 ** (-row.dt / half)
            state = value if math.isnan(state) else weight * state + (1 - weight) * value
        out.append(state)
    return out


def before(x: Sequence[float], first: float = 0.0) -> list[float]:
    """x': the value of the run's previous row."""
    return [first, *x[:-1]]
