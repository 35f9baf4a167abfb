"""Group E: liquidity, toxicity, impact, but for what lives through the day."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.datasets.reference.rows import LN2, Columns, Given, Row, Run, before, clip, flow, level, ratio


def columns(run: Run, given: Given, known: Columns) -> Columns:
    dm = [row.dm for row in run]
    out: Columns = {"F82": impact(run)}
    out["F83"] = z_score(run, out["F82"], 600)
    amihud = zip(level(run, [abs(x) for x in dm], 300), level(run, [row.dM / 1e6 for row in run], 300), strict=True)
    out["F84"] = [ratio(x, y, 0.0) for x, y in amihud]
    covariance = level(run, [x * y for x, y in zip(dm, before(dm), strict=True)], 300)
    out["F85"] = [2 * math.sqrt(max(0.0, -x)) for x in covariance]
    out["F86"], out["F87"] = judged(run)
    out["F88"] = resiliency([row.imbalance for row in run])
    bid, ask = flow(run, [row.removed_bid for row in run], 20), flow(run, [row.removed_ask for row in run], 20)
    both = list(zip(run, bid, ask, strict=True))
    out["F89"] = [LN2 * (row.B[0] + row.A[0]) / (LN2 / 20 * (x + y) + 0.2) for row, x, y in both]
    h_bid = [(LN2 / 20 * x + 0.1) / row.B[0] for row, x, _ in both]
    h_ask = [(LN2 / 20 * y + 0.1) / row.A[0] for row, _, y in both]
    out["F90"] = [(y - x) / (2 * (y + x)) for x, y in zip(h_bid, h_ask, strict=True)]
    out["F91"] = [1 / (x + y) for x, y in zip(h_bid, h_ask, strict=True)]
    return out


def impact(run: Run) -> list[float]:
    """Kyle's lambda."""
    c = q = 0.0
    out = []
    for row in run:
        c, q = 0.999 * c + row.dm * row.sv, 0.999 * q + row.sv**2
        out.append(c / (q + 1))
    return out


def z_score(run: Run, x: list[float], half: float) -> list[float]:
    """Distance from the mean in deviations, both as they were before the row; the first row begins them."""
    e = z = 0.0
    out = []
    for row, value in zip(run, x, strict=True):
        if row.first:
            e, z = value, 0.0
        out.append(clip((value - e) / math.sqrt(z), -10.0, 10.0) if z >= 1e-12 else 0.0)
        w, d = 2 ** (-row.dt / half), value - e
        e, z = e + (1 - w) * d, w * (z + (1 - w) * d * d)
    return out


@dataclass
class Print:
    """A row with sgn != 0, and the mid of the row before it."""

    row: Row
    m_before: float


def judged(run: Run) -> tuple[list[float], list[float]]:
    """Realised over effective spread, and impact of a print after 5 s."""
    pending: list[Print] = []
    real, effective, impacts = [], [], []
    c = n = 0.0
    for place, row in enumerate(run):
        real_now = effective_now = 0.0
        while pending and row.ts >= pending[0].row.ts + 5_000_000_000:
            print_, then = pending.pop(0), 0.0
            own = print_.row
            then = [old.m for old in run[: place + 1] if old.ts <= own.ts + 5_000_000_000][-1]
            c, n = 0.999 * c + own.sgn * (then - own.m), 0.999 * n + 1
            if not math.isnan(own.p):
                real_now += own.sgn * (own.p - then) * own.dV
                effective_now += own.sgn * (own.p - print_.m_before) * own.dV
        if row.sgn != 0:
            pending.append(Print(row, run[place - 1].m))
        real.append(real_now)
        effective.append(effective_now)
        impacts.append(c / (n + 1))
    both = zip(flow(run, real, 300), flow(run, effective, 300), strict=True)
    return [clip(x / y, -2.0, 2.0) if y > 0 else 0.0 for x, y in both], impacts


def resiliency(imbalance: list[float]) -> list[float]:
    """Half-life of the imbalance in rows."""
    c = v = 0.0
    out = []
    for now, old in zip(imbalance, before(imbalance), strict=True):
        c, v = 0.999 * c + now * old, 0.999 * v + old**2
        out.append(-LN2 / math.log(clip(c / v, 0.01, 0.9999) if v != 0 else 0.01))
    return out
