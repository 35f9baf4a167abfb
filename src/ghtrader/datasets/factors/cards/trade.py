"""Group C: trades and open interest, by Chinese snapshot practice."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import BOOK1, TRADE, card
from ghtrader.datasets.factors.declaration import Factor

__all__ = ["CARDS"]

_core = partial(card, group="trade", kernel="core")
_trade = partial(card, group="trade", kernel="trade")
INTEREST = (*BOOK1, "volume", "amount", "open_interest")
SV = (
    "sv = dV clip((2 p - lo - hi)/(hi - lo), -1, 1), p = dM/(dV u), lo = b1', hi = a1', or min(b1', b1), max(a1', a1) where p is outside [b1', a1']; "
    "without dM: dV, -dV or 0 as the last price is >= a1', <= b1' or between or absent; 0 where dV <= 0"
)


def _signed(id_: str, seconds: int) -> Factor:
    return (_core if id_ in {"F45", "F47"} else _trade)(
        id_,
        f"signed volume flow {seconds} s",
        f"flow(sv, {seconds} s)",
        unit="lots",
        lookback=f"half-life {seconds} s",
        columns=TRADE,
        flip="odd",
    )


CARDS = (
    _trade("F43", "buy fraction, centred", f"sv / (2 dV), 0 where dV <= 0; {SV}", columns=TRADE, lookback="one row", flip="odd"),
    _signed("F44", 2), _signed("F45", 5), _signed("F46", 20), _signed("F47", 60),
    _trade(
        "F48", "trade imbalance 60 s", "flow(sv, 60 s) / flow(dV, 60 s), 0 where nothing was traded",
        lookback="half-life 60 s", columns=TRADE, flip="odd",
    ),
    _trade(
        "F49", "count imbalance 60 s", "flow(sgn, 60 s) / flow(|sgn|, 60 s), 0 where nothing was traded",
        lookback="half-life 60 s", columns=TRADE, flip="odd",
    ),
    _trade("F50", "last price against the mid", "last - m", unit="ticks", columns=(*BOOK1, "last_price"), flip="odd", nan="NaN without a last price"),
    _trade(
        "F51", "price pressure", "clip((p - m')/s', -3, 3), p = dM/(dV u); 0 where dV <= 0 or dM <= 0",
        unit="spreads", lookback="one row", columns=TRADE, flip="odd",
    ),
    _trade(
        "F52", "traded average against the mid, 60 s",
        "flow(dM - dV u M0, 60 s) / (u flow(dV, 60 s)) - (m - M0) over intervals with dV > 0 and dM > 0 (the others are 0 in both), M0 = the run's first mid; "
        "0 before the first",
        unit="ticks", lookback="half-life 60 s", columns=TRADE, flip="odd",
    ),
    _trade(
        "F53", "trade size against its day",
        "ln(E / mean), E = level(dV, 60 s) over rows of the run with dV > 0 (weight: the row's own dt), mean = the day's lots over the day's rows with dV > 0, this one "
        "included; 0 before the run's first such row",
        lookback="half-life 60 s; the day", columns=("volume",), scope="day", flip="even",
    ),
    _trade(
        "F54", "large print", "1 where dV > x99, else 0", columns=("volume",), lookback="one row", flip="even",
        fitted=("large_lots",), neutral="x99 = 100 lots",
    ),
    _trade(
        "F55", "sign persistence", "level(sgn sgn_before, 60 s) over rows with sgn != 0 (weight: the row's own dt; sgn_before: of the run's previous such row); 0 before the second",
        lookback="half-life 60 s", columns=TRADE, flip="even",
    ),
    _trade(
        "F56", "open share", "clip(flow(dV + dO, 60 s) / (2 flow(dV, 60 s)), 0, 1), 0.5 where nothing was traded",
        lookback="half-life 60 s", columns=INTEREST, flip="even",
    ),
    _core("F57", "signed open-interest flow", "flow(sgn dO, 60 s)", unit="lots", lookback="half-life 60 s", columns=INTEREST, flip="odd"),
    _trade(
        "F58", "open interest per lot", "clip(flow(dO, 60 s) / flow(dV, 60 s), -1, 1), 0 where nothing was traded",
        lookback="half-life 60 s", columns=INTEREST, flip="even",
    ),
)  # fmt: skip
