"""What lives through the day, over breaks: depth and trade size against the day, VPIN, the residual to the peer; the summary."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.datasets.reference.clock import minute
from tests.datasets.reference.cross import PEER, seen
from tests.datasets.reference.rows import NAN, Columns, Given, Run, held_level

from ghtrader.datasets.factors.history import DaySummary
from ghtrader.datasets.factors.kernels.layout import PEER_R10

BUCKETS, LEAST, BINS = 50, 10, 100


def columns(runs: Sequence[Run], given: Given, known: Columns) -> Columns:
    vpin, _ = buckets(runs, given)
    yesterday = [day for day in given.earlier[-1:] if sum(day.activity) > 0]
    return {
        "F15": against_the_day(runs, log_depth(runs, "B"), [day.log_bid for day in yesterday]),
        "F16": against_the_day(runs, log_depth(runs, "A"), [day.log_ask for day in yesterday]),
        "F53": trade_size(runs),
        "F80": vpin,
        "F81": [percentile(x, given) for x in vpin],
        "F104": residual(runs, given, known.get("F60", [])),
    }


def log_depth(runs: Sequence[Run], side: str) -> list[float]:
    return [math.log(sum(getattr(row, side))) for run in runs for row in run]


def against_the_day(runs: Sequence[Run], x: list[float], yesterday: list[float]) -> list[float]:
    """x minus its level over the day, which begins with yesterday's mean or the first x."""
    e = yesterday[0] if yesterday else NAN
    out = []
    for row, value in zip([row for run in runs for row in run], x, strict=True):
        w = 2 ** (-row.dt / 14_400)
        e = value if math.isnan(e) else w * e + (1 - w) * value
        out.append(value - e)
    return out


def trade_size(runs: Sequence[Run]) -> list[float]:
    out, lots, rows = [], 0.0, 0
    for run in runs:
        for row, e in zip(run, held_level(run, [row.dV if row.dV > 0 else NAN for row in run], 60), strict=True):
            lots, rows = lots + row.dV, rows + (row.dV > 0)
            out.append(0.0 if math.isnan(e) else math.log(e / (lots / rows)))
    return out


def buckets(runs: Sequence[Run], given: Given) -> tuple[list[float], list[float]]:
    """VPIN of every row, and its value at every closing of a bucket. Bucket j holds the day's lots from j to j + 1 sizes."""
    volume = given.earlier[-1].volume if given.earlier else 0.0
    rows = [row for run in runs for row in run]
    if volume <= 0:
        return [NAN] * len(rows), []
    size = volume / BUCKETS
    full: list[float] = []  # |bought - sold| / size
    at_closing: list[float] = []
    out, lots, signed, signed_at_start = [], 0.0, 0.0, 0.0
    for row in rows:
        while (len(full) + 1) * volume <= BUCKETS * (lots + row.dV):
            edge = (len(full) + 1) * size
            here = signed + row.sv * (edge - lots) / row.dV
            full.append(abs(here - signed_at_start) / size)
            signed_at_start = here
            if len(full) >= LEAST:
                at_closing.append(mean(full[-BUCKETS:]))
        lots, signed = lots + row.dV, signed + row.sv
        out.append(at_closing[-1] if at_closing else NAN)
    return out, at_closing


def mean(x: list[float]) -> float:
    return math.fsum(x) / len(x)


def bin_of(x: float) -> int:
    return min(BINS - 1, int(x * BINS))


def percentile(x: float, given: Given) -> float:
    counts = [sum(day.vpin[n] for day in given.earlier[-5:]) for n in range(BINS)]
    if math.isnan(x) or sum(counts) == 0:
        return NAN
    own = bin_of(x)
    return (sum(counts[:own]) + counts[own] / 2) / sum(counts)


def residual(runs: Sequence[Run], given: Given, r10: list[float]) -> list[float]:
    """F60 minus what the regression on the peer's expected."""
    c = q2 = 0.0
    out = []
    for row, r in zip([row for run in runs for row in run], r10, strict=True):
        peer = seen(given, PEER, row)
        q = peer[PEER_R10] if peer else NAN
        if math.isnan(q) or math.isnan(r):
            out.append(NAN)
            continue
        out.append(r - c / (q2 + 1e-6) * q)
        w = 2 ** (-row.dt / 14_400)
        c, q2 = w * c + r * q, w * q2 + q * q
    return out


def summary(trading_day: str, runs: Sequence[Run], given: Given) -> DaySummary:
    """What the day leaves to the following ones."""
    rows = [row for run in runs for row in run]
    activity, vpin = [0.0] * (4 * 360), [0.0] * BINS
    for row in rows:
        activity[row.part * 360 + minute(row, given.windows[row.part][0])] += 1
    for x in buckets(runs, given)[1]:
        vpin[bin_of(x)] += 1
    return DaySummary(
        trading_day=trading_day,
        volume=sum(row.dV for row in rows),
        log_bid=sum(log_depth(runs, "B")) / max(1, len(rows)),
        log_ask=sum(log_depth(runs, "A")) / max(1, len(rows)),
        vpin=tuple(vpin),
        activity=tuple(activity),
    )
