"""Group A: book shape."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import BOOK5, SIZES5, card

__all__ = ["CARDS"]

_core = partial(card, group="book", kernel="core")
_book = partial(card, group="book", kernel="book")
BOTH = "NaN when the level is absent on either side"
FIVE = "NaN unless all five levels of the side are there"
DAY = "half-life 4 h of trading, over breaks and from day to day"


CARDS = (
    _core("F1", "spread", "a1 - b1", unit="ticks", flip="even"),
    _book("F2", "spread is one tick", "1 where s = 1, else 0", flip="even"),
    _book(
        "F3", "relative spread", "10,000 s / m", unit="bp", flip="even",
        exempt="a ratio of two prices has no level of its own; a reflection changes m, and F3 by as much",
    ),
    _core("F4", "level 1 imbalance", "(B1 - A1) / (B1 + A1)", flip="odd"),
    _book("F5", "level 2 imbalance", "(B2 - A2) / (B2 + A2)", columns=("bid_volume2", "ask_volume2"), flip="odd", nan=BOTH),
    _core("F6", "level 3 imbalance", "(B3 - A3) / (B3 + A3)", columns=("bid_volume3", "ask_volume3"), flip="odd", nan=BOTH),
    _core("F7", "level 4 imbalance", "(B4 - A4) / (B4 + A4)", columns=("bid_volume4", "ask_volume4"), flip="odd", nan=BOTH),
    _core("F8", "level 5 imbalance", "(B5 - A5) / (B5 + A5)", columns=("bid_volume5", "ask_volume5"), flip="odd", nan=BOTH),
    _book(
        "F9", "depth imbalance 1-3", "(sum B - sum A) / (sum B + sum A), levels 1-3, absent ones 0",
        columns=SIZES5[:3] + SIZES5[5:8], flip="odd",
    ),
    _core("F10", "depth imbalance 1-5", "(sum B - sum A) / (sum B + sum A), levels 1-5, absent ones 0", columns=SIZES5, flip="odd"),
    _book(
        "F11", "distance-weighted imbalance",
        "(sum w B - sum w A) / (sum w B + sum w A) over present levels, w = 2^-|ticks from the own side's best|",
        columns=BOOK5, flip="odd",
    ),
    _core("F12", "micro-price deviation", "(b1 A1 + a1 B1)/(A1 + B1) - m = s I1 / 2", unit="ticks", flip="odd"),
    _book(
        "F13", "Stoikov micro-price", "sign(I1) T[min(4, floor(5 |I1|)), min(s, 3) - 1], I1 = F4",
        unit="ticks", flip="odd", source="Stoikov (2018), symmetrised",
        fitted=("micro",), neutral="T[i, j] = (j + 1) (i + 0.5) / 10: the weighted mid at the bin's centre",
    ),
    _book(
        "F14", "multi-level micro-price", "sum(b_i A_i + a_i B_i) / sum(A_i + B_i) - m over levels present on both sides",
        unit="ticks", columns=BOOK5, flip="odd",
    ),
    _book(
        "F15", "bid depth against its day", "x - E, x = ln(sum B), E = day level(x), weight 2^(-dt/14,400 s), dt = 0 on a run's first row; "
        "E begins with the previous day's mean of x where the history has it, else with the first x; x is taken in before it is subtracted",
        unit="ln lots", lookback=DAY, columns=SIZES5[:5], scope="day", flip="swap", partner="F16",
    ),
    _book(
        "F16", "ask depth against its day", "as F15 with x = ln(sum A)",
        unit="ln lots", lookback=DAY, columns=SIZES5[5:], scope="day", flip="swap", partner="F15",
    ),
    _book("F17", "share of depth at the best", "(B1 + A1) / (sum B + sum A)", columns=SIZES5, flip="even"),
    _book(
        "F18", "bid slope", "sum(d_i C_i) / sum(d_i^2) over present bid levels, d_i = m - b_i, C_i = B_1 + ... + B_i",
        unit="lots/tick", columns=BOOK5, flip="swap", partner="F19",
    ),
    _book(
        "F19", "ask slope", "as F18 with d_i = a_i - m, C_i = A_1 + ... + A_i",
        unit="lots/tick", columns=BOOK5, flip="swap", partner="F18",
    ),
    _book("F20", "slope asymmetry", "(F18 - F19) / (F18 + F19)", columns=BOOK5, flip="odd"),
    _book("F21", "bid curvature", "(C1 - 2 C3 + C5) / C5, C as in F18", columns=SIZES5[:5], flip="swap", partner="F22", nan=FIVE),
    _book("F22", "ask curvature", "(C1 - 2 C3 + C5) / C5, C as in F19", columns=SIZES5[5:], flip="swap", partner="F21", nan=FIVE),
    _book(
        "F23", "empty ticks inside the book", "(a5 - a1 - 4) + (b1 - b5 - 4)", unit="ticks", columns=BOOK5, flip="even",
        nan="NaN unless all ten levels are there",
    ),
    _book(
        "F24", "sweep cost asymmetry",
        "mean over X = x50, x90 of (buy(X) - sell(X)); buy(X) = average price of X lots taken from the asks, minus m, sell(X) = m minus the average "
        "price of X lots given to the bids; what the five levels lack is priced at the last one there",
        unit="ticks", columns=BOOK5, flip="odd",
        fitted=("sweep_lots",), neutral="x50 = 2 lots, x90 = 20 lots",
    ),
)  # fmt: skip
