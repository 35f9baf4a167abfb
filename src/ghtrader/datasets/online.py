"""The online feature store: what each factor was last, in this process, for a limited time."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import SchemaError, StaleFeatureError
from ghtrader.datasets.factors.declaration import FactorSet

__all__ = ["OnlineFeatures"]

F64 = npt.NDArray[np.float64]


class OnlineFeatures:
    """Last values by symbol, of one factor set: the definitions, order and kernel of the offline store. Safe for threads.

    A value older than its time to live is an error and never an answer: whoever asks must not trade on it.

    Parameters: chosen - the factor set; ttl_s - seconds after which a value is stale, counted from its tick's stamp;
    ttl_by_factor_s - other times to live by factor id.

    >>> from ghtrader.datasets.factors.catalogue import factor_set
    >>> store = OnlineFeatures(factor_set("channel"), ttl_s=2.0)
    >>> store.push("SHFE.rb2510", 1_000_000_000, np.arange(len(store.ids), dtype=float))
    True
    >>> store.get("SHFE.rb2510", 2_000_000_000, store.ids[1:2]).tolist()
    [1.0]
    """

    def __init__(self, chosen: FactorSet, *, ttl_s: float, ttl_by_factor_s: dict[str, float] | None = None) -> None:
        self.ids = chosen.ids
        self.set_hash = chosen.set_hash
        self._at = {name: index for index, name in enumerate(self.ids)}
        own = ttl_by_factor_s or {}
        for name in own:
            self._index(name)
        self._ttl_ns = np.array([round(own.get(name, ttl_s) * NS_PER_S) for name in self.ids], dtype=np.int64)
        self._last: dict[str, tuple[int, F64]] = {}
        self._lock = threading.Lock()

    def push(self, symbol: str, ts_ns: int, values: F64) -> bool:
        """Keep the factors after a tick (what `FactorStream.step` returned); False for a tick older than what is there."""
        if values.shape != (len(self.ids),):
            raise SchemaError(f"{values.shape} values of {symbol}, the set has {len(self.ids)} factors", symbol=symbol)
        with self._lock:
            there = self._last.get(symbol)
            if there is not None and ts_ns < there[0]:
                return False
            self._last[symbol] = (ts_ns, values.copy())
            return True

    def get(self, symbol: str, now_ns: int, factors: Sequence[str] | None = None) -> F64:
        """Values of the factors (all or the named ones), float64; NaN where the last tick left one undefined.

        Raises StaleFeatureError when one is older than its time to live or nothing was pushed yet, SchemaError for an unknown one.
        """
        wanted = [self._index(name) for name in (self.ids if factors is None else factors)]
        with self._lock:
            there = self._last.get(symbol)
        hint = "check the feed (ghtrader account verify NAME), and wait for its next tick"
        if there is None:
            raise StaleFeatureError(f"no features of {symbol} yet", hint=hint, symbol=symbol)
        ts_ns, values = there
        stale = [self.ids[index] for index in wanted if now_ns - ts_ns > self._ttl_ns[index]]
        if stale:
            age_s = (now_ns - ts_ns) / NS_PER_S
            raise StaleFeatureError(
                f"{stale[0]} of {symbol} is {age_s:.3f} s old, {self._ttl_ns[self._at[stale[0]]] / NS_PER_S:g} s are allowed",
                hint=hint,
                symbol=symbol,
                factors=stale,
                age_s=age_s,
            )
        found: F64 = values[wanted]
        return found

    def stamp_ns(self, symbol: str) -> int | None:
        """Stamp of the last tick of a symbol; None when there was none."""
        there = self._last.get(symbol)
        return None if there is None else there[0]

    def _index(self, name: str) -> int:
        if name not in self._at:
            near = difflib.get_close_matches(name, self.ids, n=1)
            hint = f"did you mean {near[0]}?" if near else "ghtrader features list"
            raise SchemaError(f"the online store has no factor {name}", hint=hint, factor=name)
        return self._at[name]
