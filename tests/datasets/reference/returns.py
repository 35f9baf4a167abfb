"""Group D: returns and volatility."""

from __future__ import annotations

import math

from tests.datasets.reference.rows import NAN, Columns, Given, Run, before, clip, level


def columns(run: Run, given: Given, known: Columns) -> Columns:
    m, dm = [row.m for row in run], [row.dm for row in run]
    square, both = [x * x for x in dm], [x * y for x, y in zip(dm, before(dm), strict=True)]

    def volatility(half: float) -> list[float]:
        return [math.sqrt(x) for x in level(run, square, half)]

    out: Columns = {f"F{59 + n}": change(run, seconds) for n, seconds in enumerate((2, 10, 60, 300))}
    out["F63"] = [x - y for x, y in zip(m, level(run, m, 60), strict=True)]
    high, low = extremes(run, 300)
    out["F64"] = [(x - (h + low_) / 2) / (h - low_) if h > low_ else 0.0 for x, h, low_ in zip(m, high, low, strict=True)]
    out["F65"], out["F66"] = moves(run)
    out |= {f"F{67 + n}": volatility(seconds) for n, seconds in enumerate((10, 60, 300, 1800))}
    out["F71"] = [math.pi / 2 * x for x in level(run, [abs(x) for x in both], 300)]
    out["F72"] = [clip(1 - x / v**2, -1.0, 1.0) if v != 0 else 0.0 for x, v in zip(out["F71"], out["F69"], strict=True)]
    out["F73"] = level(run, [x * x if x > 0 else 0.0 for x in dm], 300)
    out["F74"] = level(run, [x * x if x < 0 else 0.0 for x in dm], 300)
    tens = [(m[n] - m[n - 10]) ** 2 / 10 if n >= 10 else NAN for n in range(len(run))]
    two_scales = zip(level(run, tens, 300), level(run, square, 300), strict=True)
    out["F75"] = [NAN if math.isnan(slow) else math.sqrt(max(0.0, slow - fast / 10)) for slow, fast in two_scales]
    out["F76"] = [(h - low_) / (2 * math.sqrt(math.log(2))) for h, low_ in zip(high, low, strict=True)]
    b0, *slopes = given.values["har"]
    parts = [[math.log(x + 1e-4) for x in level(run, square, half)] for half in (60, 600, 3600)]
    out["F77"] = [b0 + sum(b * part[n] for b, part in zip(slopes, parts, strict=True)) for n in range(len(run))]
    out["F78"] = [x / y if y != 0 else 1.0 for x, y in zip(out["F67"], out["F69"], strict=True)]
    out["F79"] = [x * y for x, y in zip(out["F61"], out["F68"], strict=True)]
    return out


def change(run: Run, seconds: int) -> list[float]:
    """m minus m of the run's last row at or before t - seconds."""
    out, at = [], -1
    for row in run:
        while run[at + 1].ts <= row.ts - seconds * 1_000_000_000:
            at += 1
        out.append(row.m - run[at].m if at >= 0 else NAN)
    return out


def extremes(run: Run, seconds: int) -> tuple[list[float], list[float]]:
    """Highest and lowest mid over the run's rows with stamp > t - seconds."""
    high, low, start = [], [], 0
    for n, row in enumerate(run):
        while run[start].ts <= row.ts - seconds * 1_000_000_000:
            start += 1
        window = [old.m for old in run[start : n + 1]]
        high.append(max(window))
        low.append(min(window))
    return high, low


def moves(run: Run) -> tuple[list[float], list[float]]:
    """Signed number of moves in a row in one direction, and the last one's sign, halved every 20 s."""
    counts, bounce = [], []
    count, moved = 0, 0
    for row in run:
        if row.dm != 0:
            sign = 1 if row.dm > 0 else -1
            count = count + sign if count * sign > 0 else sign
            moved = row.ts
        counts.append(float(count))
        bounce.append(((count > 0) - (count < 0)) * 2 ** (-((row.ts - moved) / 1e9) / 20) if count else 0.0)
    return counts, bounce
