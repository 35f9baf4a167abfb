"""Every declared factor and the named sets. docs/reference/factors.md is made from here."""

from __future__ import annotations

import difflib
from functools import cache

from ghtrader.core.errors import UsageError
from ghtrader.core.ids import content_hash
from ghtrader.datasets.factors.cards import book, clock, cross, extra, flow, liquidity, returns, trade
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.kernels.step import kernel_hash
from ghtrader.datasets.factors.user import user_file

__all__ = ["CATALOGUE", "SETS", "factor", "factor_set", "kernel_hash"]

CATALOGUE: tuple[Factor, ...] = (
    *book.CARDS,
    *flow.CARDS,
    *trade.CARDS,
    *returns.CARDS,
    *liquidity.CARDS,
    *clock.CARDS,
    *cross.CARDS,
    *extra.CARDS,
)

_MINIMAL = ("F1", "F4", "F10", "F12", "F31", "F32", "F33", "F45", "F47", "F57", "F59", "F60", "F61", "F68", "F90", "F95")
_DEEP = ("F6", "F7", "F8", "IMB35_5S", "IMB35_20S", "IMB35_60S")


def _numbered(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"F{number}" for number in range(first, last + 1))


#: Named sets: the minimal set, the same without depth beyond level 1, with the planted channel's depth; book shape; order and
#: trade flow; every numbered factor; everything declared.
SETS: dict[str, tuple[str, ...]] = {
    "minimal16": _MINIMAL,
    "minimal15": tuple(name for name in _MINIMAL if name != "F10"),
    "channel": (*_MINIMAL, *_DEEP),
    "book": _numbered(1, 24),
    "flow": _numbered(25, 58),
    "full": _numbered(1, 108),
    "all": tuple(item.id for item in CATALOGUE),
}


def factor(id_: str, file: str = "") -> Factor:
    """One declaration by id, built-in or of a user's file; raises UsageError with the nearest match."""
    known = {item.id: item for item in (*CATALOGUE, *(user_file(file).cards if file else ()))}
    found = known.get(id_.upper())
    if found is None:
        near = difflib.get_close_matches(id_.upper(), known, n=1)
        raise UsageError(f"no factor {id_}", hint=f"did you mean {near[0]}?" if near else "ghtrader features list")
    return found


def factor_set(name: str, file: str = "") -> FactorSet:
    """A named set; ``file`` declares factors and sets of one's own (`user`). Raises UsageError for an unknown name."""
    return _factor_set(name, file, user_file(file).source_hash if file else "")


@cache
def _factor_set(name: str, file: str, source_hash: str) -> FactorSet:
    sets = {**SETS, **(user_file(file).sets if file else {})}
    if name not in sets:
        near = difflib.get_close_matches(name, sets, n=1)
        known = f"one of {', '.join(sets)}"
        raise UsageError(f"no factor set {name!r}", hint=f"did you mean {near[0]}? {known}" if near else known)
    factors = tuple(factor(id_, file) for id_ in sets[name])
    own = [source_hash] if any(item.user for item in factors) else []
    hashed = content_hash([kernel_hash(), factors, *own])
    return FactorSet(name=name, factors=factors, set_hash=hashed, user_file=file if own else "")
