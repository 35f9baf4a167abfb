"""Group E: liquidity, toxicity, impact."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import BOOK1, TRADE, card

__all__ = ["CARDS"]

_core = partial(card, group="liquidity", kernel="core")
_liquidity = partial(card, group="liquidity", kernel="liquidity")
HAZARD = "h = (ln 2 / 20 s flow(removed, 20 s) + 0.1 lots/s) / size, per side, removed as in F37"
PENDING = "a print is a row with sgn != 0; it is judged at the run's first row at or after its stamp + 5 s, with m5 = m of the run's last row at or before its stamp + 5 s; a print that 2,047 rows or more have followed by then is dropped, its rows are no longer kept"

CARDS = (
    _liquidity(
        "F80", "VPIN", "mean of |bought - sold| / size over the day's last 50 full buckets (NaN below 10), size = previous day's lots / 50; an interval's dV and sv fill "
        "buckets in proportion; buckets go on over breaks",
        lookback="50 buckets of the day", columns=TRADE, scope="day", flip="even", nan="NaN until ten buckets of the day are full",
        source="Easley, Lopez de Prado, O'Hara (2012)", needs="history", absent="needs the volume of the previous trading day",
    ),
    _liquidity(
        "F81", "VPIN percentile", "share of the last five days' F80 values (taken whenever a bucket closed, bins of 0.01) in bins below that of F80, "
        "plus half of its own bin",
        lookback="five days", columns=TRADE, scope="day", flip="even", needs="history", absent="needs VPIN values of earlier trading days",
    ),
    _liquidity(
        "F82", "Kyle's lambda", "C / (Q + 1), C = 0.999 C + dm sv, Q = 0.999 Q + sv^2, from 0", unit="ticks/lot", lookback="0.999 per row", columns=TRADE,
        flip="even", source="Kyle (1985)",
    ),
    _liquidity(
        "F83", "lambda z-score", "(F82 - E) / sqrt(Z), before this row's update, clipped to [-10, 10], 0 where Z < 1e-12; then d = F82 - E, E = E + (1 - w) d, Z = w (Z + (1 - w) d^2), w = 2^(-dt/600 s); "
        "on a run's first row E = F82, Z = 0",
        lookback="half-life 600 s", columns=TRADE, flip="even",
    ),
    _liquidity(
        "F84", "Amihud illiquidity", "level(|dm|, 300 s) / level(dM / 10^6, 300 s), both 0 on a run's first row; 0 where the second is",
        unit="ticks/million CNY", lookback="half-life 300 s", columns=(*BOOK1, "amount"), flip="even", source="Amihud (2002)",
        exempt="turnover carries the price; a reflection changes dM, and F84 by as much",
    ),
    _liquidity(
        "F85", "Roll spread", "2 sqrt(max(0, -level(dm dm', 300 s))), 0 on a run's first row (dm' = 0 there and on the second)",
        unit="ticks", lookback="half-life 300 s", flip="even", source="Roll (1984)",
    ),
    _liquidity(
        "F86", "realised over effective spread", f"clip(flow(real, 300 s) / flow(eff, 300 s), -2, 2), 0 where flow(eff) <= 0; {PENDING}; "
        "p = dM/(dV u) of the print, m' of the print's own row; real = sgn (p - m5) dV, eff = sgn (p - m') dV; both enter at the row of judgement; prints without dM do not count",
        lookback="half-life 300 s", columns=TRADE, flip="even",
    ),
    _liquidity(
        "F87", "impact of a print after 5 s", f"C / (N + 1), at each judgement C = 0.999 C + sgn (m5 - m of the print's own row), N = 0.999 N + 1, from 0; {PENDING}",
        unit="ticks", lookback="0.999 per print", columns=TRADE, flip="even", source="after Hasbrouck (1991)",
    ),
    _liquidity(
        "F88", "resiliency", "-ln 2 / ln f, f = clip(C/V, 0.01, 0.9999), C = 0.999 C + I1 I1', V = 0.999 V + I1'^2, from 0 (I1' = 0 on a run's first row); f = 0.01 where V = 0",
        unit="rows", lookback="0.999 per row", flip="even",
    ),
    _liquidity(
        "F89", "queue half-life", "ln 2 (B1 + A1) / (ln 2 / 20 s (flow(removed bid, 20 s) + flow(removed ask, 20 s)) + 0.2 lots/s)",
        unit="s", lookback="half-life 20 s", flip="even",
    ),
    _core(
        "F90", "which side depletes first", f"(h_ask - h_bid) / (2 (h_ask + h_bid)); {HAZARD}", lookback="half-life 20 s", flip="odd",
    ),
    _liquidity("F91", "expected time to a move", f"1 / (h_bid + h_ask); {HAZARD}", unit="s", lookback="half-life 20 s", flip="even"),
)  # fmt: skip
