"""Where built features and labels live: one build per symbol, dataset and trading day, seen whole or not at all.

A dataset is a name under which the days of a symbol are built with one configuration (`BuildConfig`). A day's rows are
features, labels and, when asked for, fill labels; `write` replaces them all at once: a reader in any process sees the old build
or the new one, never half of one, whatever is killed when. Writing the same build again changes nothing.

Frames (polars), rows in time order:

- ``features``: ``datetime`` (int64 ns), one float64 column per factor id (NaN where undefined), ``eligible`` (bool).
- ``labels``: ``datetime`` and by horizon ``y_H`` (float64, mid change in ticks, whole or half), ``void_H`` (uint8), ``weight_H``,
  ``taker_long_H``, ``taker_short_H`` (float64), ``taker_class_H`` (int8), ``taker_void_H`` (uint8). Where void: NaN, and class -1.
- ``fills``: ``datetime``, ``side``, ``fill_model`` (text, ``taker`` for the order that crosses), ``filled``, ``censored`` (bool),
  ``time_to_fill_ns`` (int64: to the fill, or to the last sight of the order), ``cost``, ``adverse`` (float64, ticks, NaN without a
  fill); sorted by the first three; a row without an order has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from ghtrader.core.trading_day import TradingDay

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BuildConfig", "BuildKey", "BuildManifest", "FeatureStore", "StoredDay"]


class BuildKey(msgspec.Struct, frozen=True, order=True):
    """Name of a build. ``symbol`` is a contract or a continuous alias."""

    symbol: str
    dataset: str
    trading_day: TradingDay


class BuildConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all days of a dataset share; two of them in one dataset are never mixed.

    set_hash: factor declarations and kernel source. labels: hash of the labels' horizons, parameters and code. fills: of the fill
    labels' parameters and code, empty without them. peer, following: symbols that cross-asset factors look at, empty where none.
    """

    kind: str
    factor_set: str
    set_hash: str
    horizons: tuple[str, ...]
    labels: str
    fills: str
    row_hash_version: int
    peer: str = ""
    following: str = ""

    def differs_in(self, other: BuildConfig) -> dict[str, tuple[object, object]]:
        """Fields that differ: name -> (this one's value, the other's)."""
        names = self.__struct_fields__
        return {
            name: (getattr(self, name), getattr(other, name)) for name in names if getattr(self, name) != getattr(other, name)
        }


class BuildManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Build metadata of a day.

    build_hash: identity of what went into features and direction labels; label_hash: of what went into all labels of a horizon;
    fill_hash: of what went into fill labels, empty without them.
    content_digest: SHA-256 over every array of the day. tick_digest: digest of the ticks it was built of. gaps: known gaps; -1 when
    nobody judged the rows. labelled: share of labelled rows by horizon.
    """

    symbol: str
    dataset: str
    trading_day: str
    config: BuildConfig
    build_hash: str
    fill_hash: str
    content_digest: str
    tick_digest: str
    factors: tuple[str, ...]
    rows: int
    eligible: int
    fill_rows: int
    gaps: int
    labelled: dict[str, float]
    label_hash: str = ""
    schedule_hash: str = ""
    segment_ids: tuple[int, ...] = ()
    tool_version: str = ""
    created_ns: int = 0

    @property
    def key(self) -> BuildKey:
        """Its name."""
        return BuildKey(self.symbol, self.dataset, TradingDay.parse(self.trading_day))


class StoredDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day's frames; ``fills`` is None without fill labels."""

    features: pl.DataFrame
    labels: pl.DataFrame
    fills: pl.DataFrame | None = None


class FeatureStore(Protocol):
    """Read and write builds. Raises StoreError when the medium fails, DataError when rows and manifest do not fit.

    Safe for concurrent readers and writers; of two writers of one day the later one wins whole.
    """

    def write(self, manifest: BuildManifest, day: StoredDay) -> None:
        """Replace the build of a day whole; durable and visible when the call returns."""

    def manifest(self, key: BuildKey) -> BuildManifest | None:
        """Metadata of the build that counts; None when there is none."""

    def manifests(self, symbol: str, dataset: str) -> list[BuildManifest]:
        """Metadata of every day of a dataset, ascending."""

    def datasets(self) -> list[tuple[str, str]]:
        """``(symbol, dataset)`` that have days, sorted."""

    def features(self, key: BuildKey, factors: Sequence[str] | None = None) -> pl.DataFrame:
        """The day's features, all or the named ones. Raises DataError when it was not built, SchemaError for factors it lacks."""

    def labels(self, key: BuildKey) -> pl.DataFrame:
        """The day's labels. Raises DataError when it was not built."""

    def fills(self, key: BuildKey) -> pl.DataFrame:
        """The day's fill labels. Raises DataError when it was not built, or built without them."""

    def delete(self, key: BuildKey) -> bool:
        """Take a build out of sight; False when there was none."""
