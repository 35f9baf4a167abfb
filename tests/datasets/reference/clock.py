"""Group F: the clock."""

from __future__ import annotations

import math

from tests.datasets.reference.rows import NAN, Columns, Given, Row, Run


def columns(run: Run, given: Given, known: Columns) -> Columns:
    out: Columns = {}
    oldest = 0
    for n, row in enumerate(run):
        start, end = given.windows[row.part]
        while run[oldest].ts <= row.ts - 60_000_000_000:
            oldest += 1
        angle = 2 * math.pi * (row.ts - start) / (end - start)
        values = {
            "F92": math.sin(angle),
            "F93": math.cos(angle),
            "F94": math.log(1 + max(0, row.ts - start) / 60e9),
            "F95": (end - row.ts) / 60e9,
            "F96": float(row.part),
            "F97": float(row.ts - start < 60_000_000_000),
            "F98": 0.0 if row.first else math.log(max(row.dt, 0.001) / 0.5),
            "F99": activity(row, n + 1 - oldest, given),
        }
        for name, value in values.items():
            out.setdefault(name, []).append(value)
    return out


def minute(row: Row, start: int) -> int:
    return max(0, min(359, (row.ts - start) // 60_000_000_000))


def activity(row: Row, rows: int, given: Given) -> float:
    days = given.earlier[-20:]
    if not days:
        return NAN
    at = row.part * 360 + minute(row, given.windows[row.part][0])
    return rows / max(1.0, sum(day.activity[at] for day in days) / len(days))
