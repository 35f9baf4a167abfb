"""Group G: cross-asset, but for the residual, which lives through the day."""

from __future__ import annotations

import math

from tests.datasets.reference.rows import NAN, Columns, Given, Row, Run, clip

from ghtrader.datasets.factors.kernels.layout import (
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
)

PEER, NEXT = 0, 1


def columns(run: Run, given: Given, known: Columns) -> Columns:
    out: Columns = {f"F{number}": [] for number in (100, 101, 102, 103, 105, 106, 107, 108)}
    lead, strength, spread = Lead(), Z(), Calendar(run[0].m)
    for n, row in enumerate(run):
        peer, following = seen(given, PEER, row), seen(given, NEXT, row)
        for name, field in (("F100", PEER_R2), ("F101", PEER_R10), ("F102", PEER_R60)):
            out[name].append(peer[field] / max(0.05, peer[PEER_RV60]) if peer else NAN)
        out["F103"].append(peer[PEER_OFI10] if peer else NAN)
        if peer:
            q = lead.peer_change(peer)
            out["F105"].append(lead.step(row, q))
            change = row.dm / max(0.05, known["F70"][n]) - q / max(0.05, peer[PEER_RV1800])
            out["F106"].append(strength.step(strength.sum + change, row.dt))
        else:
            out["F105"].append(NAN)
            out["F106"].append(NAN)
        out["F107"].append(spread.step(row, following) if following else NAN)
        fresh = [other[PEER_MICRO] for other in (peer, following) if other]
        out["F108"].append(sum(fresh) / len(fresh) if fresh else NAN)
    return out


def seen(given: Given, which: int, row: Row) -> list[float] | None:
    """What another instrument showed last, None when that is absent or older than 2 s."""
    if given.peers is None:
        return None
    values = [float(x) for x in given.peers[which, row.i]]
    return values if values[PEER_AGE_S] <= 2.0 else None


class Lead:
    """F105, and the change of the peer's mid since the run's previous row with a fresh peer of the same peer run (0 without)."""

    def __init__(self) -> None:
        self.old: list[float] | None = None
        self.first = True
        self.r = self.q = 0.0
        self.P = self.R = self.X = self.Y = 0.0

    def peer_change(self, peer: list[float]) -> float:
        same = self.old is not None and self.old[PEER_RUN] == peer[PEER_RUN]
        q = peer[PEER_MID] - self.old[PEER_MID] if self.old is not None and same else 0.0
        self.old = peer
        return q

    def step(self, row: Row, q: float) -> float:
        w, r = 1.0 if self.first else 2 ** (-row.dt / 600), row.dm
        self.first = False
        self.P = w * self.P + (1 - w) * self.q * r
        self.R = w * self.R + (1 - w) * self.r * q
        self.X = w * self.X + (1 - w) * r * r
        self.Y = w * self.Y + (1 - w) * q * q
        self.r, self.q = r, q
        return (self.P - self.R) / math.sqrt(self.X * self.Y) if self.X * self.Y != 0 else 0.0


class Z:
    """z of a quantity, half-life 4 h: mean and variance as they were before the row."""

    def __init__(self) -> None:
        self.sum = self.e = self.z = 0.0
        self.begun = False

    def step(self, d: float, dt: float) -> float:
        if not self.begun:
            self.begun, self.e, self.z = True, d, 0.0
        value = clip((d - self.e) / math.sqrt(self.z), -10.0, 10.0) if self.z >= 1e-12 else 0.0
        w, off = 2 ** (-dt / 14_400), d - self.e
        self.sum, self.e, self.z = d, self.e + (1 - w) * off, w * (self.z + (1 - w) * off * off)
        return value


class Calendar:
    """F107."""

    def __init__(self, m0: float) -> None:
        self.m0, self.z, self.run = m0, Z(), NAN

    def step(self, row: Row, following: list[float]) -> float:
        if following[PEER_RUN] != self.run:
            self.z, self.run = Z(), following[PEER_RUN]
        return self.z.step(following[PEER_MID] - (row.m - self.m0), row.dt)
