"""Group A: book shape."""

# ruff: noqa: N806 - the letters are those of the cards
from __future__ import annotations

from tests.datasets.reference.rows import NAN, Columns, Given, Row, Run, best, clip, level, ratio


def columns(run: Run, given: Given, known: Columns) -> Columns:
    out: Columns = {}
    for row in run:
        for name, value in shape(row, given).items():
            out.setdefault(name, []).append(value)
    deep = [ratio(sum(row.B[2:]) - sum(row.A[2:]), sum(row.B[2:]) + sum(row.A[2:]), NAN) for row in run]
    for seconds in (5, 20, 60):
        out[f"IMB35_{seconds}S"] = level(run, deep, seconds)
    return out


def shape(row: Row, given: Given) -> dict[str, float]:
    b1, a1, B, A, m, s, first = best(row.b), best(row.a), row.B, row.A, row.m, row.s, row.imbalance
    bids = [(price, lots) for price, lots in zip(row.b, B, strict=True) if price is not None]
    asks = [(price, lots) for price, lots in zip(row.a, A, strict=True) if price is not None]
    near_bid = sum(lots * 2.0 ** -abs(b1 - price) for price, lots in bids)
    near_ask = sum(lots * 2.0 ** -abs(price - a1) for price, lots in asks)
    both = [(b, q, a, r) for b, q, a, r in zip(row.b, B, row.a, A, strict=True) if b is not None and a is not None]
    micro = given.values["micro"]
    x50, x90 = given.values["sweep_lots"]
    out = {
        "F1": s,
        "F2": float(s == 1),
        "F3": 10_000 * s / m,
        "F4": first,
        "F9": (sum(B[:3]) - sum(A[:3])) / (sum(B[:3]) + sum(A[:3])),
        "F10": (sum(B) - sum(A)) / (sum(B) + sum(A)),
        "F11": (near_bid - near_ask) / (near_bid + near_ask),
        "F12": (b1 * A[0] + a1 * B[0]) / (A[0] + B[0]) - m,
        "F13": ((first > 0) - (first < 0)) * micro[3 * min(4, int(5 * abs(first))) + min(int(s), 3) - 1],
        "F14": sum(b * r + a * q for b, q, a, r in both) / sum(r + q for _, q, _, r in both) - m,
        "F17": (B[0] + A[0]) / (sum(B) + sum(A)),
        "F18": slope([(m - price, lots) for price, lots in bids]),
        "F19": slope([(price - m, lots) for price, lots in asks]),
        "F21": curvature(bids),
        "F22": curvature(asks),
        "F23": (best(row.a[4:]) - a1 - 4) + (b1 - best(row.b[4:]) - 4) if len(bids) == len(asks) == 5 else NAN,
        "F24": sum((taken(asks, x) - m) - (m - taken(bids, x)) for x in (x50, x90)) / 2,
    }
    out["F20"] = (out["F18"] - out["F19"]) / (out["F18"] + out["F19"])
    for name, i in (("F5", 1), ("F6", 2), ("F7", 3), ("F8", 4)):
        there = row.b[i] is not None and row.a[i] is not None
        out[name] = (B[i] - A[i]) / (B[i] + A[i]) if there else NAN
    return out


def slope(levels: list[tuple[float, int]]) -> float:
    """sum(d C) / sum(d^2) over (distance from the mid, lots)."""
    return sum(d * sum(lots for _, lots in levels[: i + 1]) for i, (d, _) in enumerate(levels)) / sum(d * d for d, _ in levels)


def curvature(levels: list[tuple[int, int]]) -> float:
    if len(levels) < 5:
        return NAN
    c1, c3, c5 = (sum(lots for _, lots in levels[:n]) for n in (1, 3, 5))
    return (c1 - 2 * c3 + c5) / c5


def taken(levels: list[tuple[int, int]], lots: float) -> float:
    """Average price of so many lots taken from the levels; what they lack is priced at the last one."""
    paid, left = 0.0, lots
    for price, size in levels:
        here = clip(left, 0.0, size)
        paid, left = paid + here * price, left - here
    return (paid + left * levels[-1][0]) / lots
