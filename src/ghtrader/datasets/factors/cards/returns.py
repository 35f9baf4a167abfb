"""Group D: returns and volatility."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import card
from ghtrader.datasets.factors.declaration import Factor

__all__ = ["CARDS"]

_core = partial(card, group="returns", kernel="core")
_returns = partial(card, group="returns", kernel="returns")
FULL_RING = "NaN where the window holds more than 2,047 rows, which are not kept"
WARM = "NaN until the run is that old, or where the window holds more than 2,047 rows, which are not kept; state untouched on NaN input"


def _change(id_: str, seconds: int) -> Factor:
    return (_core if id_ != "F62" else _returns)(
        id_,
        f"mid return {seconds} s",
        f"m minus m of the run's last row at or before t - {seconds} s",
        unit="ticks",
        lookback=f"{seconds} s",
        flip="odd",
        nan=WARM,
    )


def _volatility(id_: str, seconds: int) -> Factor:
    return (_core if id_ == "F68" else _returns)(
        id_,
        f"realised volatility {seconds} s",
        f"sqrt(level(dm^2, {seconds} s)), 0 on a run's first row",
        unit="ticks",
        lookback=f"half-life {seconds} s",
        flip="even",
    )


CARDS = (
    _change("F59", 2), _change("F60", 10), _change("F61", 60), _change("F62", 300),
    _returns("F63", "mid against its average", "m - level(m, 60 s)", unit="ticks", lookback="half-life 60 s", flip="odd"),
    _returns(
        "F64", "position in the range of 5 min, centred", "(m - (max + min)/2) / (max - min) over the run's rows with stamp > t - 300 s; 0 where max = min",
        lookback="300 s", flip="odd", nan=FULL_RING,
    ),
    _returns(
        "F65", "run of mid moves", "number of moves of the mid in a row in one direction, with its sign; rows without a move keep it; 0 before the first",
        unit="moves", lookback="the run", flip="odd",
    ),
    _returns(
        "F66", "bounce state", "sign of the last move of the mid x 2^(-age/20 s), age = time since that row; 0 before the first",
        lookback="half-life 20 s", flip="odd",
    ),
    _volatility("F67", 10), _volatility("F68", 60), _volatility("F69", 300), _volatility("F70", 1800),
    _returns(
        "F71", "bipower variation", "(pi/2) level(|dm| |dm'|, 300 s), 0 on a run's first row (dm' = 0 there and on the second)",
        unit="ticks^2", lookback="half-life 300 s", flip="even", source="Barndorff-Nielsen, Shephard (2004)",
    ),
    _returns("F72", "jump share", "clip(1 - F71 / F69^2, -1, 1), 0 where F69 = 0", lookback="half-life 300 s", flip="even"),
    _returns(
        "F73", "upward semivariance", "level(dm^2 [dm > 0], 300 s), 0 on a run's first row",
        unit="ticks^2", lookback="half-life 300 s", flip="swap", partner="F74",
    ),
    _returns(
        "F74", "downward semivariance", "level(dm^2 [dm < 0], 300 s), 0 on a run's first row",
        unit="ticks^2", lookback="half-life 300 s", flip="swap", partner="F73",
    ),
    _returns(
        "F75", "noise-robust volatility", "sqrt(max(0, slow - fast/10)), slow = level((m - m of ten rows before)^2 / 10, 300 s), fast = level(dm^2, 300 s), 0 on a run's first row",
        unit="ticks", lookback="half-life 300 s", flip="even", nan="NaN until the run has eleven rows",
        source="Zhang, Mykland, Ait-Sahalia (2005): two scales",
    ),
    _returns(
        "F76", "Parkinson range 5 min", "(max - min) / (2 sqrt(ln 2)), max and min as in F64", unit="ticks", lookback="300 s", flip="even", nan=FULL_RING,
        source="Parkinson (1980)",
    ),
    _returns(
        "F77", "volatility forecast", "b0 + b1 ln(v60 + e) + b2 ln(v600 + e) + b3 ln(v3600 + e), v_h = level(dm^2, h), 0 on a run's first row, e = 1e-4",
        unit="ln ticks^2", lookback="half-lives 60 s, 600 s, 3,600 s", flip="even", source="Corsi (2009): HAR",
        fitted=("har",), neutral="b = 0, 0.5, 0.3, 0.2",
    ),
    _returns("F78", "volatility ratio", "F67 / F69, 1 where F69 = 0", lookback="half-lives 10 s, 300 s", flip="even"),
    _returns("F79", "trend times volatility", "F61 x F68", unit="ticks^2", lookback="60 s", flip="odd", nan=WARM, source="after Zumbach (2010)"),
)  # fmt: skip
