"""The way in: one snapshot (`step`) and a whole day (`run_batch`, a loop over it). There is no second form to disagree with.

Compiled code is kept between processes under a key that covers the source of every kernel file, so that no stale piece of
another file is ever used. Kernels are compiled without reference counting.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any

import numba as nb
import numpy as np

from ghtrader.datasets.factors.kernels import book, clock, core, cross, flow, liquidity, regime, returns, trade
from ghtrader.datasets.factors.kernels.layout import (
    K_STARTED,
    NEED_BOOK,
    NEED_CLOCK,
    NEED_CROSS,
    NEED_FLOW,
    NEED_LIQUIDITY,
    NEED_REGIME,
    NEED_RETURN,
    NEED_TRADE,
    ROLL,
    ROW,
    ROW_END,
    USER_FACTORS,
    USER_ROW,
)

__all__ = ["kernel_hash", "run_batch", "step", "with_user"]

#: Every function that these two call inherits: no reference counting, which took a third of the time (an allocation in a kernel
#: fails to compile); a division by 0 gives inf or NaN, as in numpy, and needs no way out of the kernel.
LEAN: Any = {"_nrt": False, "error_model": "numpy"}


@cache
def kernel_hash() -> str:
    """SHA-256 of the source of every kernel file: another kernel, other builds."""
    folder = resources.files("ghtrader.datasets.factors.kernels")
    digest = hashlib.sha256()
    for name in sorted(item.name for item in folder.iterdir() if item.name.endswith(".py")):
        digest.update(name.encode() + b"\0" + folder.joinpath(name).read_bytes() + b"\0")
    return digest.hexdigest()


def _step(key: str) -> Any:
    """`step`; ``key`` is a free variable, and so part of the name that its compiled code is kept under."""

    @nb.njit(cache=True, **LEAN)
    def step(
        f: Any, k: Any, need: int, unit: float, at: int,
        ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: int, volume: float, amount: float, interest: float,
        broken: int, is_continuous: bool, part: int, part_start_ns: int, part_end_ns: int, peers: Any,
    ) -> bool:  # fmt: skip
        if len(key) == 0:
            return False
        f[ROW:ROW_END] = np.nan
        if broken > 0:
            k[K_STARTED] = 0
        if broken == ROLL:
            core.forget(f)
        if not core.counts(bid_px, bid_sz, ask_px, ask_sz, at, is_continuous):
            return False
        core.update(f, k, ts, bid_px, bid_sz, ask_px, ask_sz, at, last, volume, amount, interest, part_end_ns, unit)
        if need & NEED_BOOK:
            book.update(f, bid_px, bid_sz, ask_px, ask_sz, at)
        if need & NEED_FLOW:
            flow.update(f, k, bid_px, bid_sz, ask_px, ask_sz, at)
        if need & NEED_TRADE:
            trade.update(f, k)
        if need & NEED_RETURN:
            returns.update(f, k, ts)
        if need & NEED_LIQUIDITY:
            liquidity.update(f, k, ts)
        if need & NEED_CLOCK:
            clock.update(f, k, ts, part, part_start_ns, part_end_ns)
        if need & NEED_CROSS:
            cross.update(f, k, peers, at)
        if need & NEED_REGIME:
            regime.update(f)
        core.remember(k, bid_px, bid_sz, ask_px, ask_sz, at)
        return True

    return step


def _run_batch(key: str) -> Any:
    """`run_batch`, in the same way. It takes ``step`` from the module: a compiled function as free variable is never found again."""

    @nb.njit(cache=True, **LEAN)
    def run_batch(
        f: Any, k: Any, need: int, unit: float,
        ts: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: Any, volume: Any, amount: Any, interest: Any,
        broken: Any, continuous: Any, part: Any, part_start_ns: Any, part_end_ns: Any, peers: Any, slots: Any, out: Any,
    ) -> int:  # fmt: skip
        counted, width, first = 0, len(slots), slots[0] if len(slots) else 0
        in_a_row = True
        for column in range(width):
            in_a_row = in_a_row and slots[column] == first + column
        for at in range(len(ts)):
            counted += step(
                f, k, need, unit, at, ts[at], bid_px, bid_sz, ask_px, ask_sz, last[at], volume[at], amount[at], interest[at],
                np.int64(broken[at]), continuous[at], np.int64(part[at]), part_start_ns[at], part_end_ns[at], peers,
            )  # fmt: skip
            if in_a_row:
                for column in range(width):
                    out[at, column] = f[first + column]
            else:
                for column in range(width):
                    out[at, column] = f[slots[column]]
        return counted + len(key) * 0

    return run_batch


def with_user(user: Any) -> tuple[Any, Any]:
    """`step` and `run_batch` with a further compiled function, called on rows that count: ``user(f, k, bid_px, .., ask_sz, at)``.

    The same step serves batch and live. Not kept between processes: what the user's function calls could change unseen.
    """

    @nb.njit
    def step_user(
        f: Any, k: Any, need: int, unit: float, at: int, ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, *rest: Any
    ) -> bool:
        counted = step(f, k, need, unit, at, ts, bid_px, bid_sz, ask_px, ask_sz, *rest)
        f[USER_ROW : USER_ROW + USER_FACTORS] = np.nan
        if counted:
            user(f, k, bid_px, bid_sz, ask_px, ask_sz, at)
        return bool(counted)

    @nb.njit
    def run_user(
        f: Any, k: Any, need: int, unit: float,
        ts: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: Any, volume: Any, amount: Any, interest: Any,
        broken: Any, continuous: Any, part: Any, part_start_ns: Any, part_end_ns: Any, peers: Any, slots: Any, out: Any,
    ) -> int:  # fmt: skip
        counted = 0
        for at in range(len(ts)):
            counted += step_user(
                f, k, need, unit, at, ts[at], bid_px, bid_sz, ask_px, ask_sz, last[at], volume[at], amount[at], interest[at],
                np.int64(broken[at]), continuous[at], np.int64(part[at]), part_start_ns[at], part_end_ns[at], peers,
            )  # fmt: skip
            for column in range(len(slots)):
                out[at, column] = f[slots[column]]
        return counted

    return step_user, run_user


#: ``step`` reads one snapshot, updates the state (f float64, k int64: `layout`) and writes every factor to ``f[ROW:ROW_END]``, NaN
#: where undefined; it returns whether the row counted. need: groups (NEED_* bits). unit: price tick x multiplier, CNY per tick
#: and lot. bid_px .. ask_sz: int64 (n, 5), ticks and lots, of which row ``at`` is read. last: ticks. volume, amount, interest:
#: cumulative lots, CNY, lots. broken: NO_BREAK, BREAK or ROLL before the row. part: 0 to 3. peers: float64 (2, n, SIZE_PEER), the
#: peer and the next contract; only read where the cross group is needed.
#: ``run_batch`` does so for every row of a day and keeps ``f[slots]`` in ``out``, float64 (n, len(slots)). It returns how many
#: rows counted.
step = _step(kernel_hash())
run_batch = _run_batch(kernel_hash())
