"""Group B: order flow."""

from __future__ import annotations

from tests.datasets.reference.rows import LN2, NAN, Columns, Given, Row, Run, before, best, flow, level, ratio


def columns(run: Run, given: Given, known: Columns) -> Columns:
    e1 = [row.e1 for row in run]
    d1 = level(run, [(row.B[0] + row.A[0]) / 2 for row in run], 300)
    out: Columns = {}

    def over_depth(values: list[float]) -> list[float]:
        return [value / depth for value, depth in zip(values, d1, strict=True)]

    for name, seconds in (("F25", 5), ("F31", 2), ("F32", 20), ("F33", 60), ("F34", 240)):
        out[name] = over_depth(flow(run, e1, seconds))
    for i in (1, 2, 3, 4):
        out[f"F{25 + i}"] = deep(run, i)
    weights = given.values["ofi_weights"]
    levels = [out[f"F{25 + i}"] for i in range(5)]
    out["F30"] = [sum(weight * values[n] for weight, values in zip(weights, levels, strict=True)) for n in range(len(run))]
    fast, slow = flow(run, e1, 5), flow(run, e1, 60)
    out["F35"] = over_depth([LN2 / 5 * x - LN2 / 60 * y for x, y in zip(fast, slow, strict=True)])
    out["F36"] = over_depth(surprise(e1))
    bid = share(run, [row.added_bid for row in run], [row.removed_bid for row in run])
    ask = share(run, [row.added_ask for row in run], [row.removed_ask for row in run])
    out["F37"] = [x - y for x, y in zip(bid, ask, strict=True)]
    orders = [limit_orders(row, old) for row, old in zip(run, [None, *run[:-1]], strict=True)]
    flows = [flow(run, [four[place] for four in orders], 5) for place in range(4)]
    out |= {f"F{38 + place}": over_depth(flows[place]) for place in range(4)}
    out["F42"] = [(y - x) / (y + x) if y + x >= 1e-6 else 0.0 for x, y in zip(flows[2], flows[3], strict=True)]
    return out


def deep(run: Run, i: int) -> list[float]:
    """Order-flow imbalance of a deeper level, aligned by price."""
    events, depths = [], []
    for row, old in zip(run, [None, *run[:-1]], strict=True):
        b, a = row.b[i], row.a[i]
        if b is None or a is None:
            events.append(NAN)
            depths.append(NAN)
            continue
        event = 0.0
        if old is not None:
            event += since(b, row.B[i], old.b, old.B, side=1)
            event -= since(a, row.A[i], old.a, old.A, side=-1)
        events.append(event)
        depths.append((row.B[i] + row.A[i]) / 2)
    return [x / y for x, y in zip(flow(run, events, 5), level(run, depths, 300), strict=True)]


def since(price: int, lots: int, prices: list[int | None], sizes: list[int], side: int) -> float:
    """Lots at a price minus what the previous book showed there; side 1: bids, -1: asks."""
    for old, size in zip(prices, sizes, strict=True):
        if old is not None and side * old <= side * price:  # the first that is not better
            return lots - size if old == price else float(lots)
    return 0.0


def surprise(e1: list[float]) -> list[float]:
    """e1 minus what the regression on its predecessor expected; 0 on a run's first row."""
    c = v = 0.0
    out = []
    for n, (now, old) in enumerate(zip(e1, before(e1), strict=True)):
        f = ratio(c, v, 0.0)
        out.append(now - f * old if n else 0.0)
        c, v = 0.99 * c + now * old, 0.99 * v + old**2
    return out


def share(run: Run, added: list[float], removed: list[float]) -> list[float]:
    plus, minus = flow(run, added, 10), flow(run, removed, 10)
    return [ratio(x, x + y, 0.0) for x, y in zip(plus, minus, strict=True)]


def limit_orders(row: Row, old: Row | None) -> tuple[float, float, float, float]:
    """Lots added at bid and ask, cancelled at bid and ask."""
    if old is None:
        return 0.0, 0.0, 0.0, 0.0
    bid_added, bid_cancelled = one_side(best(row.b) - best(old.b), row.B[0], old.B[0], row.sell)
    ask_added, ask_cancelled = one_side(best(old.a) - best(row.a), row.A[0], old.A[0], row.buy)
    return bid_added, ask_added, bid_cancelled, ask_cancelled


def one_side(better: int, lots: int, old: int, traded: float) -> tuple[float, float]:
    """Added and cancelled; better: by how many ticks the best price improved."""
    if better > 0:
        return lots, 0.0
    if better < 0:
        return 0.0, max(0.0, old - traded)
    change = lots - old + traded
    return max(0.0, change), max(0.0, -change)
