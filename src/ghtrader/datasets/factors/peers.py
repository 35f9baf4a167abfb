"""What another instrument showed last: by exchange time for research (`peer_rows`), by order of arrival live (`PeerFeed`).

Both run the factors' own kernel over the other's ticks and keep its last row that counts; the two agree bit for bit where ticks
arrive in the order of their stamps, the other's before ours where stamps are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.engine import FactorStream, compute
from ghtrader.datasets.factors.kernels.layout import (
    AUX_OFI10,
    F0,
    NS,
    PEER_AGE_S,
    PEER_MICRO,
    PEER_MID,
    PEER_OFI10,
    PEER_R2,
    PEER_R10,
    PEER_R60,
    PEER_RUN,
    PEER_RV60,
    PEER_RV1800,
    SIZE_PEER,
    X_FIRST,
    X_MID,
)
from ghtrader.datasets.factors.probes import probe_set

__all__ = ["PEERS", "PeerFeed", "peer_of", "peer_rows", "stack_peers"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Product -> the product that its peer factors look at when nothing else is said.
PEERS = {
    "SHFE.au": "SHFE.ag", "SHFE.ag": "SHFE.au",
    "SHFE.cu": "SHFE.zn", "SHFE.zn": "SHFE.cu", "SHFE.al": "SHFE.zn", "SHFE.pb": "SHFE.zn", "INE.bc": "SHFE.cu",
    "SHFE.ni": "SHFE.ss", "SHFE.ss": "SHFE.ni", "SHFE.sn": "SHFE.ni",
    "SHFE.rb": "SHFE.hc", "SHFE.hc": "SHFE.rb", "SHFE.wr": "SHFE.rb",
    "INE.sc": "SHFE.fu", "SHFE.fu": "INE.sc", "INE.lu": "SHFE.fu", "SHFE.bu": "INE.sc",
    "SHFE.ru": "INE.nr", "INE.nr": "SHFE.ru",
}  # fmt: skip

#: What the other's kernel is asked for, in this order.
WANTED = probe_set(
    "peer",
    {
        "first": (X_FIRST, "core"),
        "mid": (X_MID, "core"),
        "spread": (F0 + 1, "core"),
        "micro": (F0 + 12, "core"),
        "r2": (F0 + 59, "core"),
        "r10": (F0 + 60, "core"),
        "r60": (F0 + 61, "core"),
        "rv60": (F0 + 68, "core"),
        "rv1800": (F0 + 70, "returns"),
        "ofi10": (AUX_OFI10, "flow"),
    },
)
FIRST, MID, SPREAD, MICRO, R2, R10, R60, RV60, RV1800, OFI10 = range(10)
TAKEN = (
    (PEER_MID, MID), (PEER_R2, R2), (PEER_R10, R10), (PEER_R60, R60), (PEER_RV60, RV60), (PEER_RV1800, RV1800),
    (PEER_OFI10, OFI10),
)  # fmt: skip


def peer_of(product: str) -> str:
    """The default peer of a product, "" where it has none.

    >>> peer_of("SHFE.rb"), peer_of("SHFE.sp")
    ('SHFE.hc', '')
    """
    return PEERS.get(product, "")


def _shown(values: F64, run: F64 | float) -> F64:
    """Peer fields, but for the age, of rows that count. values: (m, len(WANTED.factors)); run: their runs' numbers."""
    shown = np.full((len(values), SIZE_PEER), np.nan)
    for field, column in TAKEN:
        shown[:, field] = values[:, column]
    shown[:, PEER_RUN] = run
    shown[:, PEER_MICRO] = values[:, MICRO] / values[:, SPREAD]
    return shown


def peer_rows(own_ts_ns: I64, peer_ticks: DayTicks, peer_sessions: DaySessions) -> F64:
    """What the peer showed last at or before each stamp, by exchange time: float64 (n, SIZE_PEER), NaN before its first row.

    own_ts_ns: int64 (n,), ascending. peer_ticks: the peer's rows of the same trading day. The age tells how old the peer's row
    is; factors ignore it from two seconds on.
    """
    values = compute(peer_ticks, peer_sessions, WANTED)
    counts = ~np.isnan(values[:, SPREAD])
    values, ts = values[counts], peer_ticks.ts_ns[counts]
    out = np.full((len(own_ts_ns), SIZE_PEER), np.nan)
    last = np.searchsorted(ts, own_ts_ns, side="right") - 1
    there = last >= 0
    out[there] = _shown(values, np.cumsum(values[:, FIRST]))[last[there]]
    out[there, PEER_AGE_S] = (own_ts_ns[there] - ts[last[there]]) / NS
    return out


def stack_peers(n: int, peer: F64 | None = None, following: F64 | None = None) -> F64:
    """The array that the engine takes, float64 (2, n, SIZE_PEER): the peer, the next main contract; NaN for one that is None."""
    absent = np.full((n, SIZE_PEER), np.nan)
    return np.stack([absent if peer is None else peer, absent if following is None else following])


class PeerFeed:
    """One other instrument's trading day, live: push its ticks as they arrive, ask what it showed last at one's own."""

    def __init__(self, *, tick_value_cny: float) -> None:
        """tick_value_cny: price tick x multiplier of the other contract."""
        self._stream = FactorStream(WANTED, tick_value_cny=tick_value_cny)
        self._row = np.full((1, SIZE_PEER), np.nan)
        self._ts = self._run = 0

    def push(self, ts_ns: int, *row: Any, **rest: Any) -> None:
        """The other's next snapshot; parameters as :meth:`FactorStream.step`."""
        values = self._stream.step(ts_ns, *row, **rest)[None]
        if np.isnan(values[0, SPREAD]):
            return
        self._run += int(values[0, FIRST])
        self._row, self._ts = _shown(values, self._run), ts_ns

    def at(self, ts_ns: int) -> F64:
        """What it showed last, float64 (SIZE_PEER,), at one's own stamp; NaN before its first row.

        A row that arrived before ours and is stamped later has age 0.
        """
        row: F64 = self._row[0].copy()
        if self._run:
            row[PEER_AGE_S] = max(0, ts_ns - self._ts) / NS
        return row
