"""Candidate factors made of declared ones: lags, differences, ratios, moving averages; causal, in batch and row by row.

A candidate reads the rows on which its parents are known, inside one unbroken run: a break clears its state, a row without a
parent gives NaN and leaves the state alone. Which candidates are worth having is `candidate_selection`'s question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import UsageError
from ghtrader.core.ids import content_hash

__all__ = ["Candidate", "CandidateStream", "apply_candidates", "generate_candidates"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Op = Literal["lag", "diff", "ratio", "ewm"]

LAG, DIFF, RATIO, EWM = range(4)
CODES: dict[Op, int] = {"lag": LAG, "diff": DIFF, "ratio": RATIO, "ewm": EWM}
#: Version of the formulas below; part of every candidate's hash.
KERNEL_VERSION = 1
LAG_ROWS = (1, 5, 20)
EWM_SECONDS = (2.0, 10.0, 60.0)
MAX_ROWS = 1000
#: A smaller denominator gives NaN.
TINY = 1e-9


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate. x, y: its parents.

    lag: x of ``parameter`` rows before. diff: x minus that. ratio: x / y. ewm: level with half-life ``parameter`` s, beginning with the
    run's first x: E = w E + (1 - w) x, w = 2^(-dt/half-life), dt since the run's previous known x.

    >>> Candidate(op="diff", parents=("F4",), parameter=5).name, Candidate(op="ratio", parents=("F4", "F68")).name
    ('diff(F4,5)', 'ratio(F4,F68)')
    """

    op: Op
    parents: tuple[str, ...]
    parameter: float = 0.0

    def __post_init__(self) -> None:
        whole = self.op in {"lag", "diff"}
        wrong = (
            len(self.parents) != (2 if self.op == "ratio" else 1)
            or (whole and not (self.parameter == int(self.parameter) and 1 <= self.parameter <= MAX_ROWS))
            or (self.op == "ewm" and not 0.0 < self.parameter < float("inf"))
        )
        if wrong:
            raise UsageError(f"{self.op} of {', '.join(self.parents)} with {self.parameter:g} means nothing")

    @property
    def name(self) -> str:
        """Unique among candidates of one set."""
        tail = {"ratio": "", "ewm": f",{self.parameter:g}s"}.get(self.op, f",{self.parameter:g}")
        return f"{self.op}({','.join(self.parents)}{tail})"

    @property
    def candidate_hash(self) -> str:
        """Identity of the formula; that of its parents is the factor set's hash."""
        return content_hash([KERNEL_VERSION, self.op, self.parents, self.parameter])


def generate_candidates(
    parents: Sequence[str], numerators: Sequence[str] = (), denominators: Sequence[str] = ()
) -> list[Candidate]:
    """Lags and differences of 1, 5, 20 rows and averages of 2, 10, 60 s of each parent, ratios of each numerator to each denominator.

    >>> len(generate_candidates(["F1", "F4"], ["F4"], ["F1", "F68"]))
    20
    """
    made = [Candidate(op=op, parents=(x,), parameter=float(rows)) for x in parents for op in ("lag", "diff") for rows in LAG_ROWS]
    made += [Candidate(op="ewm", parents=(x,), parameter=seconds) for x in parents for seconds in EWM_SECONDS]
    made += [Candidate(op="ratio", parents=(x, y)) for x in numerators for y in denominators if x != y]
    return made


@nb.njit(cache=True)
def _step(
    ts: int, broken: bool, x: Any, op: Any, first: Any, second: Any, rows: Any, half_life_ns: Any,
    ring: Any, count: Any, level: Any, last: Any, out: Any,
) -> None:  # fmt: skip
    """One row of every candidate; the only place where they are computed."""
    for c in range(len(op)):
        if broken:
            count[c] = 0
        value, other = x[first[c]], x[second[c]]
        if not (np.isfinite(value) and np.isfinite(other)):
            out[c] = np.nan
        elif op[c] == RATIO:
            out[c] = value / other if abs(other) >= TINY else np.nan
        elif op[c] == EWM:
            if count[c] == 0:
                level[c] = value
            else:
                w = 2.0 ** (-(ts - last[c]) / half_life_ns[c])
                level[c] = w * level[c] + (1.0 - w) * value
            last[c] = ts
            count[c] += 1
            out[c] = level[c]
        else:
            size = rows[c] + 1
            ring[c, count[c] % size] = value
            earlier = ring[c, (count[c] + 1) % size] if count[c] >= rows[c] else np.nan
            count[c] += 1
            out[c] = earlier if op[c] == LAG else value - earlier


@nb.njit(cache=True)
def _run(
    ts: Any, broken: Any, x: Any, op: Any, first: Any, second: Any, rows: Any, half_life_ns: Any,
    ring: Any, count: Any, level: Any, last: Any, out: Any,
) -> None:  # fmt: skip
    for row in range(len(ts)):
        _step(ts[row], broken[row], x[row], op, first, second, rows, half_life_ns, ring, count, level, last, out[row])


class CandidateStream:
    """Candidates row by row; :func:`apply_candidates` gives the same numbers, bit for bit. Starts at a run's beginning."""

    def __init__(self, candidates: Sequence[Candidate], factor_names: Sequence[str]) -> None:
        places = {name: at for at, name in enumerate(factor_names)}
        lacking = sorted({parent for item in candidates for parent in item.parents} - set(places))
        if lacking:
            raise UsageError(f"the factors lack {', '.join(lacking)}, of which candidates are made", hint="the set of the spec")
        size = len(candidates)
        rows = np.array([int(item.parameter) if item.op in {"lag", "diff"} else 0 for item in candidates], dtype=np.int64)
        self._shape = (
            np.array([CODES[item.op] for item in candidates], dtype=np.int64),
            np.array([places[item.parents[0]] for item in candidates], dtype=np.int64),
            np.array([places[item.parents[-1]] for item in candidates], dtype=np.int64),
            rows,
            np.array([item.parameter * NS_PER_S if item.op == "ewm" else 1.0 for item in candidates], dtype=np.float64),
        )
        self._state = (
            np.zeros((size, int(rows.max(initial=0)) + 1)),
            np.zeros(size, dtype=np.int64),
            np.zeros(size),
            np.zeros(size, dtype=np.int64),
        )
        self._out = np.empty(size)

    def step(self, ts_ns: int, factors: F64, *, break_before: bool) -> F64:
        """Values after one row, float64 (C,). factors: the row's factors, in the order given at the start."""
        _step(ts_ns, break_before, factors, *self._shape, *self._state, self._out)
        return self._out.copy()

    def run(self, ts_ns: I64, factors: F64, break_before: npt.NDArray[np.bool_]) -> F64:
        """Values after each of n further rows, float64 (n, C)."""
        out = np.empty((len(ts_ns), len(self._out)))
        _run(ts_ns, break_before, np.ascontiguousarray(factors), *self._shape, *self._state, out)
        return out


def apply_candidates(
    candidates: Sequence[Candidate],
    factor_names: Sequence[str],
    factors: F64,
    ts_ns: I64,
    break_before: npt.NDArray[np.bool_],
) -> F64:
    """Candidates of every row of a day, float64 (n, C), NaN where undefined; row i reads rows up to i of its own run.

    factors: (n, F), columns named by ``factor_names``. Raises UsageError when a parent is not among them.
    """
    return CandidateStream(candidates, factor_names).run(ts_ns, factors, break_before)
