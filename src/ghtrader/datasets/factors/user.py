"""Factors of one's own: a file outside the package, through the same registry, kernel and laws.

The file is Python. Each factor is a function that numba compiles, called once for every row that counts, after the built-in ones::

    from ghtrader.datasets.factors.kernels.layout import X_I1, X_W20
    from ghtrader.datasets.factors.user import user_factor

    @user_factor("X_IMB", "imbalance, 20 s", "level(I1, 20 s)", unit="1", lookback="half-life 20 s", flip="odd", state=1)
    def imbalance(f, state, bid_px, bid_sz, ask_px, ask_sz):
        f[state] = f[X_W20] * f[state] + (1.0 - f[X_W20]) * f[X_I1]
        return f[state]

    SETS = {"mine": ("F1", "F4", "X_IMB")}

``f`` holds the row (``kernels.layout``: X_MID, X_DMID, X_SIGNED, ..., weights X_W2 .. X_WDAY) and the built-in factors of the core and of
the groups named in ``reads``, Fn at F0 + n; ``f[state:state + n]`` are the factor's own numbers, 0 at a run's first row (X_FIRST).
bid_px .. ask_sz are the row's five levels, ticks and lots. It sees rows up to this one and nothing else: it cannot look ahead.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba as nb

from ghtrader.core.errors import UsageError
from ghtrader.datasets.factors.declaration import Factor, FactorSet, Flip
from ghtrader.datasets.factors.kernels import step
from ghtrader.datasets.factors.kernels.layout import AT_USER, N_FACTORS, USER_FACTORS, USER_ROW, USER_STATE

__all__ = ["UserFactor", "UserFile", "compiled", "user_factor", "user_file"]

Kernel = Callable[..., Any]


@dataclass(frozen=True)
class UserFactor:
    """A function and its card (the slot is given when the file is read); ``state``: numbers of its own."""

    card: Factor
    function: Kernel
    state: int


@dataclass(frozen=True)
class UserFile:
    """What a file declares. source_hash: SHA-256 of its text."""

    path: str
    source_hash: str
    factors: tuple[UserFactor, ...]
    sets: dict[str, tuple[str, ...]]

    @property
    def cards(self) -> tuple[Factor, ...]:
        """The cards, in the file's order."""
        return tuple(item.card for item in self.factors)


def user_factor(
    id_: str,
    name: str,
    formula: str,
    *,
    unit: str,
    lookback: str,
    flip: Flip,
    columns: tuple[str, ...] = (),
    partner: str = "",
    nan: str = "NaN without a two-sided book; state untouched",
    source: str = "",
    reads: tuple[str, ...] = (),
    state: int = 0,
    version: int = 1,
) -> Callable[[Kernel], UserFactor]:
    """Declare a factor; see the module's description. The id begins with ``X_``, so that it never meets a built-in one."""

    def declare(function: Kernel) -> UserFactor:
        card = Factor(
            id=id_,
            name=name,
            slot=-1,
            formula=formula,
            unit=unit,
            lookback=lookback,
            columns=columns,
            flip=flip,
            nan_policy=nan,
            group="user",
            version=version,
            partner=partner,
            source=source,
            reads=reads,
            user=True,
        )
        return UserFactor(card, function, state)

    return declare


@cache
def _read(path: str, source_hash: str) -> UserFile:
    try:
        names = runpy.run_path(path)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be read as factors: {type(error).__name__}: {error}", hint="docs/reference/features.md"
        ) from error
    found = [value for value in names.values() if isinstance(value, UserFactor)]
    ids = [item.card.id for item in found]
    wrong = [id_ for id_ in ids if not id_.startswith("X_") or id_ != id_.upper()]
    if wrong or len(set(ids)) != len(ids) or not found:
        what = (
            f"ids are unique, upper case and begin with X_: {', '.join(wrong) or ', '.join(ids)}"
            if found
            else "it declares no factor"
        )
        raise UsageError(f"{path}: {what}", hint="docs/reference/features.md")
    if len(found) > USER_FACTORS or sum(item.state for item in found) > USER_STATE:
        raise UsageError(
            f"{path}: at most {USER_FACTORS} factors with {USER_STATE} numbers of state in all", hint="split the file"
        )
    placed = tuple(
        UserFactor(_with_slot(item.card, N_FACTORS + place), item.function, item.state) for place, item in enumerate(found)
    )
    sets = {str(name): tuple(members) for name, members in dict(names.get("SETS", {})).items()}
    return UserFile(path, source_hash, placed, {"user": tuple(ids), **sets})


def _with_slot(card: Factor, slot: int) -> Factor:
    import msgspec

    return msgspec.structs.replace(card, slot=slot)


def user_file(path: str | Path) -> UserFile:
    """Read a file of factors; UsageError says what is wrong with it."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="--factors FILE.py") from error
    return _read(str(path), hashlib.sha256(text).hexdigest())


def compiled(chosen: FactorSet) -> tuple[Any, Any]:
    """`step` and `run_batch` for a set: the built-in ones, or with the user's factors of the set."""
    if not chosen.user_file:
        return step.step, step.run_batch
    return _with_file(chosen.user_file, user_file(chosen.user_file).source_hash)


@cache
def _with_file(path: str, source_hash: str) -> tuple[Any, Any]:
    at = AT_USER
    chain: Any = _nobody
    for place, item in enumerate(_read(path, source_hash).factors):
        chain = _after(chain, nb.njit(item.function), at, USER_ROW + place)
        at += item.state
    return step.with_user(chain)


@nb.njit
def _nobody(f: Any, k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
    """The end of the chain."""


def _after(earlier: Any, function: Any, state: int, slot: int) -> Any:
    """One more factor behind the earlier ones."""

    @nb.njit
    def both(f: Any, k: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, at: int) -> None:
        earlier(f, k, bid_px, bid_sz, ask_px, ask_sz, at)
        f[slot] = function(f, state, bid_px[at], bid_sz[at], ask_px[at], ask_sz[at])

    return both
