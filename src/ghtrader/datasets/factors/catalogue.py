"""Every factor's declaration and the named sets. Formulas: docs/reference/factors.md is made from here."""

from __future__ import annotations

import difflib
import hashlib
from functools import cache
from importlib import resources

from ghtrader.core.errors import UsageError
from ghtrader.core.ids import content_hash
from ghtrader.datasets.factors import kernels
from ghtrader.datasets.factors.declaration import Factor, FactorSet, Flip

__all__ = ["CATALOGUE", "SETS", "factor", "factor_set", "kernel_hash"]

STEP = "one step"
BOOK1 = ("bid_price1", "bid_volume1", "ask_price1", "ask_volume1")
UNTOUCHED = "NaN without a two-sided book; state untouched"
WARM = "NaN until the run is that old; state untouched on NaN input"
CKS = "Cont, Kukanov, Stoikov (2014)"


def _declare(
    id_: str,
    name: str,
    slot: int,
    formula: str,
    *,
    unit: str,
    lookback: str,
    columns: tuple[str, ...],
    flip: Flip,
    group: str,
    nan: str = UNTOUCHED,
    source: str = "",
) -> Factor:
    return Factor(
        id=id_,
        name=name,
        slot=slot,
        formula=formula,
        unit=unit,
        lookback=lookback,
        columns=columns,
        flip=flip,
        nan_policy=nan,
        group=group,
        source=source,
    )


def _level(id_: str, slot: int, level: int) -> Factor:
    return _declare(
        id_,
        f"level {level} imbalance",
        slot,
        f"(B{level} - A{level}) / (B{level} + A{level})",
        unit="1",
        lookback="none",
        columns=(f"bid_volume{level}", f"ask_volume{level}"),
        flip="odd",
        group="book",
        nan="NaN when either level is absent",
    )


def _ofi(id_: str, slot: int, seconds: int) -> Factor:
    return _declare(
        id_,
        f"order-flow imbalance {seconds} s",
        slot,
        f"EWMA flow of e1, half-life {seconds} s, over the EWMA of (B1 + A1)/2, half-life 300 s",
        unit="1",
        lookback=f"half-life {seconds} s",
        columns=BOOK1,
        flip="odd",
        group="flow",
        source=CKS,
    )


def _signed_flow(id_: str, slot: int, seconds: int) -> Factor:
    return _declare(
        id_,
        f"signed volume flow {seconds} s",
        slot,
        f"EWMA flow of bought minus sold lots (average price against quotes), half-life {seconds} s",
        unit="lots",
        lookback=f"half-life {seconds} s",
        columns=(*BOOK1, "volume", "amount", "last_price"),
        flip="odd",
        group="trade",
    )


def _return(id_: str, slot: int, seconds: int) -> Factor:
    return _declare(
        id_,
        f"mid return {seconds} s",
        slot,
        f"m_t minus m as of t - {seconds} s, within the run",
        unit="ticks",
        lookback=f"{seconds} s",
        columns=BOOK1,
        flip="odd",
        group="returns",
        nan=WARM,
    )


def _deep(seconds: int, slot: int) -> Factor:
    return _declare(
        f"IMB35_{seconds}S",
        f"deep imbalance {seconds} s",
        slot,
        f"EWMA, half-life {seconds} s, of (B3+B4+B5 - A3-A4-A5) / (sum of all six)",
        unit="1",
        lookback=f"half-life {seconds} s",
        columns=tuple(f"{side}_volume{level}" for side in ("bid", "ask") for level in (3, 4, 5)),
        flip="odd",
        group="book",
        nan="NaN when levels 3-5 are empty on both sides; state untouched",
    )


CATALOGUE: tuple[Factor, ...] = (
    _declare("F1", "spread", kernels.F1, "a1 - b1", unit="ticks", lookback="none", columns=BOOK1, flip="even", group="book"),
    _declare(
        "F4", "level 1 imbalance", kernels.F4, "(B1 - A1) / (B1 + A1)",
        unit="1", lookback="none", columns=BOOK1, flip="odd", group="book",
    ),
    _level("F6", kernels.F6, 3),
    _level("F7", kernels.F7, 4),
    _level("F8", kernels.F8, 5),
    _declare(
        "F10", "depth imbalance 1-5", kernels.F10, "(sum B - sum A) / (sum B + sum A), levels 1-5",
        unit="1", lookback="none", columns=tuple(f"{side}_volume{n}" for side in ("bid", "ask") for n in range(1, 6)),
        flip="odd", group="book",
    ),
    _declare(
        "F12", "micro-price deviation", kernels.F12, "(b1 A1 + a1 B1)/(A1 + B1) - m = s I1 / 2",
        unit="ticks", lookback="none", columns=BOOK1, flip="odd", group="book",
    ),
    _ofi("F31", kernels.F31, 2),
    _ofi("F32", kernels.F32, 20),
    _ofi("F33", kernels.F33, 60),
    _signed_flow("F45", kernels.F45, 5),
    _signed_flow("F47", kernels.F47, 60),
    _declare(
        "F57", "signed open-interest flow", kernels.F57, "EWMA flow of sign(bought - sold) x dO, half-life 60 s",
        unit="lots", lookback="half-life 60 s", columns=(*BOOK1, "volume", "amount", "open_interest"), flip="odd", group="trade",
    ),
    _return("F59", kernels.F59, 2),
    _return("F60", kernels.F60, 10),
    _return("F61", kernels.F61, 60),
    _declare(
        "F68", "realised volatility 60 s", kernels.F68, "sqrt(EWMA of dm^2), half-life 60 s",
        unit="ticks", lookback="half-life 60 s", columns=BOOK1, flip="even", group="returns",
    ),
    _declare(
        "F90", "which side depletes first", kernels.F90,
        "half of (h_ask - h_bid)/(h_ask + h_bid), h = (removal rate, half-life 20 s, + 0.1 lots/s) / size",
        unit="1", lookback="half-life 20 s", columns=BOOK1, flip="odd", group="liquidity",
    ),
    _declare(
        "F95", "minutes to close", kernels.F95, "(end of the session part - t) / 60 s",
        unit="min", lookback="none", columns=("datetime",), flip="even", group="clock",
    ),
    _deep(5, kernels.IMB35_5),
    _deep(20, kernels.IMB35_20),
    _deep(60, kernels.IMB35_60),
)  # fmt: skip

_MINIMAL = ("F1", "F4", "F10", "F12", "F31", "F32", "F33", "F45", "F47", "F57", "F59", "F60", "F61", "F68", "F90", "F95")
_DEEP = ("F6", "F7", "F8", "IMB35_5S", "IMB35_20S", "IMB35_60S")

#: Named sets: the minimal set, the same without depth beyond level 1, and with the planted channel's depth.
SETS: dict[str, tuple[str, ...]] = {
    "minimal16": _MINIMAL,
    "minimal15": tuple(name for name in _MINIMAL if name != "F10"),
    "channel": (*_MINIMAL, *_DEEP),
}


def factor(id_: str) -> Factor:
    """One declaration by id; raises UsageError with the nearest match."""
    found = next((item for item in CATALOGUE if item.id == id_.upper()), None)
    if found is None:
        near = difflib.get_close_matches(id_.upper(), [item.id for item in CATALOGUE], n=1)
        raise UsageError(f"no factor {id_}", hint=f"did you mean {near[0]}?" if near else "ghtrader features list")
    return found


@cache
def kernel_hash() -> str:
    """Hash of the kernel's source: another kernel, other builds."""
    source = resources.files("ghtrader.datasets.factors").joinpath("kernels.py").read_bytes()
    return hashlib.sha256(source).hexdigest()


@cache
def factor_set(name: str) -> FactorSet:
    """A named set; raises UsageError for an unknown name."""
    if name not in SETS:
        raise UsageError(f"no factor set {name!r}", hint=f"one of {', '.join(SETS)}")
    factors = tuple(factor(id_) for id_ in SETS[name])
    return FactorSet(name=name, factors=factors, set_hash=content_hash([kernel_hash(), factors]))
