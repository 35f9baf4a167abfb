"""Group C: trades and open interest."""

# ruff: noqa: N806 - the letters are those of the cards
from __future__ import annotations

import math

from tests.datasets.reference.rows import NAN, Columns, Given, Row, Run, clip, flow, held_level, ratio


def columns(run: Run, given: Given, known: Columns) -> Columns:
    u, m0 = given.unit, run[0].m
    sv, dV, sgn = [row.sv for row in run], [row.dV for row in run], [float(row.sgn) for row in run]
    out: Columns = {f"F{44 + n}": flow(run, sv, seconds) for n, seconds in enumerate((2, 5, 20, 60))}
    lots = flow(run, dV, 60)
    out["F43"] = [row.sv / (2 * row.dV) if row.dV > 0 else 0.0 for row in run]
    out["F48"] = [ratio(x, y, 0.0) for x, y in zip(out["F47"], lots, strict=True)]
    signs = zip(flow(run, sgn, 60), flow(run, [abs(x) for x in sgn], 60), strict=True)
    out["F49"] = [ratio(x, y, 0.0) for x, y in signs]
    out["F50"] = [row.last - row.m if row.last is not None else NAN for row in run]
    out["F51"] = [pressure(row, old) for row, old in zip(run, [None, *run[:-1]], strict=True)]
    priced = flow(run, [0.0 if math.isnan(row.p) else row.dV for row in run], 60)
    excess = flow(run, [0.0 if math.isnan(row.p) else row.dM - row.dV * u * m0 for row in run], 60)
    out["F52"] = [x / (u * y) - (row.m - m0) if y != 0 else 0.0 for row, x, y in zip(run, excess, priced, strict=True)]
    out["F54"] = [float(row.dV > given.values["large_lots"][0]) for row in run]
    out["F55"] = [0.0 if math.isnan(x) else x for x in held_level(run, repeats(sgn), 60)]
    interest = [row.dO for row in run]
    out["F56"] = [
        clip(x / (2 * y), 0.0, 1.0) if y != 0 else 0.5
        for x, y in zip(flow(run, [v + o for v, o in zip(dV, interest, strict=True)], 60), lots, strict=True)
    ]
    out["F57"] = flow(run, [x * o for x, o in zip(sgn, interest, strict=True)], 60)
    out["F58"] = [clip(ratio(x, y, 0.0), -1.0, 1.0) for x, y in zip(flow(run, interest, 60), lots, strict=True)]
    return out


def pressure(row: Row, old: Row | None) -> float:
    return 0.0 if old is None or math.isnan(row.p) else clip((row.p - old.m) / old.s, -3.0, 3.0)


def repeats(sgn: list[float]) -> list[float]:
    """Sign times the sign of the run's previous row that had one; NaN where either is absent."""
    out, last = [], NAN
    for x in sgn:
        out.append(x * last if x != 0 else NAN)
        last = x if x != 0 else last
    return out
