"""The way in: one snapshot (`step`) and a whole day (`run_batch`, a loop over it). There is no second form to disagree with.

Compiled code is kept between processes under a key that covers the source of every kernel file, so that no stale piece of
another file is ever used.
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
    N_FACTORS,
    NEED_BOOK,
    NEED_CLOCK,
    NEED_CROSS,
    NEED_FLOW,
    NEED_LIQUIDITY,
    NEED_REGIME,
    NEED_RETURN,
    NEED_TRADE,
    ROLL,
)

__all__ = ["kernel_hash", "run_batch", "step"]


@cache
def kernel_hash() -> str:
    """SHA-256 of the source of every kernel file: another kernel, other builds."""
    folder = resources.files("ghtrader.datasets.factors.kernels")
    digest = hashlib.sha256()
    for name in sorted(item.name for item in folder.iterdir() if item.name.endswith(".py")):
        digest.update(name.encode() + b"\0" + folder.joinpath(name).read_bytes() + b"\0")
    return digest.hexdigest()


def _compiled(key: str) -> tuple[Any, Any]:
    """The two functions; ``key`` is a free variable of both, and so part of the name their compiled code is kept under."""

    @nb.njit(cache=True)
    def step(
        s: Any, k: Any, c: Any, ring_i: Any, ring_f: Any, h: Any, p: Any, x: Any,
        ts: int, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: int,
        volume: float, amount: float, interest: float, broken: int, is_continuous: bool,
        part: int, part_start_ns: int, part_end_ns: int, unit: float, peer: Any, following: Any, need: int, row: Any,
    ) -> bool:  # fmt: skip
        if len(key) == 0:
            return False
        row[:] = np.nan
        if broken > 0:
            k[K_STARTED] = 0
        if broken == ROLL:
            core.forget(c, h)
        if not core.counts(bid_px, bid_sz, ask_px, ask_sz, is_continuous):
            return False
        core.update(
            s, k, ring_i, ring_f, x, ts, bid_px, bid_sz, ask_px, ask_sz, last, volume, amount, interest, part_end_ns, unit, row
        )  # fmt: skip
        if need & NEED_BOOK:
            book.update(s, k, c, h, p, x, bid_px, bid_sz, ask_px, ask_sz, row)
        if need & NEED_FLOW:
            flow.update(s, k, p, x, bid_px, bid_sz, ask_px, ask_sz, row)
        if need & NEED_TRADE:
            trade.update(s, k, c, p, x, row)
        if need & NEED_RETURN:
            returns.update(s, k, ring_i, ring_f, p, x, ts, row)
        if need & NEED_LIQUIDITY:
            liquidity.update(s, k, c, h, ring_i, ring_f, x, ts, row)
        if need & NEED_CLOCK:
            clock.update(s, k, c, h, ring_i, x, ts, part, part_start_ns, part_end_ns, row)
        if need & NEED_CROSS:
            cross.update(s, k, c, x, peer, following, row)
        if need & NEED_REGIME:
            regime.update(s, k, p, x, row)
        core.remember(k, bid_px, bid_sz, ask_px, ask_sz)
        return True

    @nb.njit(cache=True)
    def run_batch(
        s: Any, k: Any, c: Any, ring_i: Any, ring_f: Any, h: Any, p: Any, x: Any,
        ts: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last: Any,
        volume: Any, amount: Any, interest: Any, broken: Any, continuous: Any,
        part: Any, part_start_ns: Any, part_end_ns: Any, unit: float, peer: Any, following: Any, need: int, slots: Any, out: Any,
    ) -> int:  # fmt: skip
        row = np.empty(N_FACTORS)
        no_peer = np.full(peer.shape[1], np.nan)
        counted = 0
        for at in range(len(ts)):
            counted += step(
                s, k, c, ring_i, ring_f, h, p, x, ts[at], bid_px[at], bid_sz[at], ask_px[at], ask_sz[at], last[at],
                volume[at], amount[at], interest[at], broken[at], continuous[at], part[at], part_start_ns[at], part_end_ns[at],
                unit, peer[at] if len(peer) else no_peer, following[at] if len(following) else no_peer, need, row,
            )  # fmt: skip
            for column in range(len(slots)):
                out[at, column] = row[slots[column]]
        return counted + len(key) * 0

    return step, run_batch


#: ``step`` reads one snapshot, updates the state and writes every factor to ``row`` (float64, N_FACTORS; NaN where undefined);
#: it returns whether the row counted. s .. x: the state (`engine.State`). bid_px .. ask_sz: int64 (5,), ticks and lots. last:
#: ticks. volume, amount, interest: cumulative lots, CNY, lots. broken: NO_BREAK, BREAK or ROLL before the row. part: 0 to 3.
#: unit: price tick x multiplier, CNY per tick and lot. peer, following: float64 (SIZE_PEER,). need: groups (NEED_* bits).
#: ``run_batch`` does so for every row of a day and keeps the columns ``slots`` in ``out``, float64 (n, len(slots)); peers may
#: be empty (0, SIZE_PEER). It returns how many rows counted.
step, run_batch = _compiled(kernel_hash())
