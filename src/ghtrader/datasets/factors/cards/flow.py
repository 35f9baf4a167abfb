"""Group B: order flow."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import BOOK5, CKS, TRADE, card
from ghtrader.datasets.factors.declaration import Factor

__all__ = ["CARDS"]

_core = partial(card, group="flow", kernel="core")
_flow = partial(card, group="flow", kernel="flow")
DEPTH1 = "D1 = level((B1 + A1)/2, 300 s)"
E1 = "e1 = [b1 >= b1'] B1 - [b1 <= b1'] B1' - [a1 <= a1'] A1 + [a1 >= a1'] A1'"
BID_PART = (
    "dB = B1 - B1' + sell where b1 = b1'; where b1 > b1' added = B1, cancelled = 0; where b1 < b1' added = 0, "
    "cancelled = max(0, B1' - sell)"
)


def _deep(level: int) -> Factor:
    return _flow(
        f"F{24 + level}",
        f"order-flow imbalance of level {level}, 5 s",
        f"flow(e, 5 s) / level((B{level} + A{level})/2, 300 s), e = (B{level} - prev(b{level})) - (A{level} - prev(a{level})), 0 on a run's first row; prev(price) = "
        "of the previous book's levels of that side, the first from the best that is there and not better than the price: its lots where it stands at "
        "the price, 0 where it is worse; where all are better (the price lies beyond what was shown) the side's term is 0",
        lookback="half-life 5 s",
        columns=BOOK5,
        flip="odd",
        nan="NaN when the level is absent on either side; state untouched",
        source="Xu, Cont, Cucuringu (2019), aligned by price",
    )


def _ofi(id_: str, seconds: int) -> Factor:
    return (_core if id_ != "F34" else _flow)(
        id_,
        f"order-flow imbalance {seconds} s",
        f"flow(e1, {seconds} s) / D1; {E1}; {DEPTH1}",
        lookback=f"half-life {seconds} s",
        flip="odd",
        source=CKS,
    )


CARDS = (
    _flow("F25", "order-flow imbalance of level 1, 5 s", "flow(e1, 5 s) / D1, e1 and D1 as in F31", lookback="half-life 5 s", flip="odd", source=CKS),
    _deep(2), _deep(3), _deep(4), _deep(5),
    _flow(
        "F30", "integrated order-flow imbalance", "sum over i of w_i F(24 + i), sum of |w| = 1",
        lookback="half-life 5 s", columns=BOOK5, flip="odd", nan="NaN when any of F25 to F29 is",
        source="Cont, Cucuringu, Zhang (2023): first principal component",
        fitted=("ofi_weights",), neutral="w = 0.2 each",
    ),
    _ofi("F31", 2), _ofi("F32", 20), _ofi("F33", 60), _ofi("F34", 240),
    _flow(
        "F35", "order-flow acceleration", "(ln 2 / 5 s flow(e1, 5 s) - ln 2 / 60 s flow(e1, 60 s)) / D1",
        unit="1/s", lookback="half-lives 5 s, 60 s", flip="odd",
    ),
    _flow(
        "F36", "order-flow surprise",
        "(e1 - f e1') / D1, f = C/V before this row, 0 while V = 0; then C = 0.99 C + e1 e1', V = 0.99 V + e1'^2, from 0 (e1' = 0 on a run's first row); "
        "0 on a run's first row",
        lookback="0.99 per row", flip="odd",
    ),
    _flow(
        "F37", "net replenishment",
        "r_bid - r_ask, r = flow(added, 10 s) / (flow(added, 10 s) + flow(removed, 10 s)), 0 where both are 0; at the bid: b1 = b1' added = max(0, B1 - B1'), "
        "removed = max(0, B1' - B1); b1 > b1' added = B1, removed = 0; b1 < b1' added = 0, removed = B1'; the ask mirrored",
        lookback="half-life 10 s", flip="odd",
    ),
    _flow(
        "F38", "limit orders added, bid", f"flow(added, 5 s) / D1, added = max(0, dB); {BID_PART}",
        lookback="half-life 5 s", columns=TRADE, flip="swap", partner="F39",
    ),
    _flow(
        "F39", "limit orders added, ask", "F38 mirrored: buy for sell, a1 < a1' for b1 > b1'",
        lookback="half-life 5 s", columns=TRADE, flip="swap", partner="F38",
    ),
    _flow(
        "F40", "orders cancelled, bid", f"flow(cancelled, 5 s) / D1, cancelled = max(0, -dB); {BID_PART}",
        lookback="half-life 5 s", columns=TRADE, flip="swap", partner="F41",
    ),
    _flow("F41", "orders cancelled, ask", "F40 mirrored", lookback="half-life 5 s", columns=TRADE, flip="swap", partner="F40"),
    _flow(
        "F42", "cancel imbalance", "(F41 - F40) / (F41 + F40), 0 where both flows(cancelled, 5 s) together are below 10^-6 lots", lookback="half-life 5 s", columns=TRADE, flip="odd",
    ),
)  # fmt: skip
