"""Features as they could be known at a moment, from any feature store: rows stamped up to it, and no other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.clock import NS_PER_S, iso_utc
from ghtrader.core.errors import DataError, StaleFeatureError
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.feature_store import BuildManifest, FeatureStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FeatureRow", "features_as_of", "row_as_of"]


class FeatureRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last row that could be known at a moment: its stamp, the build it is of, its age in seconds, values by factor id (NaN where
    undefined).
    """

    datetime_ns: int
    build: BuildManifest
    age_s: float
    eligible: bool
    values: dict[str, float]


def features_as_of(
    store: FeatureStore,
    symbol: str,
    dataset: str,
    until_ns: int,
    *,
    first: TradingDay | None = None,
    last: TradingDay | None = None,
    factors: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows with ``datetime`` <= ``until_ns`` (ns since the epoch, UTC) of the days from ``first`` to ``last``, in time order.

    Columns: ``datetime``, ``trading_day`` (text), the factors (all or the named ones, float64), ``eligible``. A factor reads rows up to
    its own only, so these values are those of a build that ended at ``until_ns``. Raises DataError when no day of the range was
    built, or when the range mixes configurations; SchemaError for a factor that the dataset lacks.
    """
    import polars as pl

    days = [
        manifest
        for manifest in store.manifests(symbol, dataset)
        if (first is None or manifest.trading_day >= first.iso) and (last is None or manifest.trading_day <= last.iso)
    ]
    _require_one_config(days, symbol, dataset)
    parts = []
    for manifest in days:
        frame = store.features(manifest.key, factors)
        known = frame.filter(pl.col("datetime") <= until_ns)
        parts.append(known.insert_column(1, pl.lit(manifest.trading_day).alias("trading_day")))
        if len(known) < len(frame):
            break
    return pl.concat(parts)


def row_as_of(
    store: FeatureStore,
    symbol: str,
    dataset: str,
    at_ns: int,
    *,
    max_age_s: float | None = None,
    factors: Sequence[str] | None = None,
) -> FeatureRow:
    """The last row with ``datetime`` <= ``at_ns``; reads one day's values and the stamps of a few.

    Raises StaleFeatureError when that row is older than ``max_age_s`` (None: any age is an answer), DataError when none stands there
    or the dataset mixes configurations, SchemaError for a factor that it lacks.
    """
    manifests = store.manifests(symbol, dataset)
    _require_one_config(manifests, symbol, dataset)
    days = [manifest for manifest in manifests if manifest.rows]
    place = bisect_right(days, at_ns, key=lambda day: int(store.features(day.key, ())["datetime"][0]))
    if not place:
        raise DataError(
            f"no row of {symbol} in the dataset {dataset} stands at or before {iso_utc(at_ns)}",
            hint="an earlier day must be imported and built, or ask for a later moment",
            symbol=symbol,
            dataset=dataset,
        )
    build = days[place - 1]
    frame = store.features(build.key, factors)
    found = frame.row(int(frame["datetime"].search_sorted(at_ns, side="right")) - 1, named=True)
    stamp, eligible = found.pop("datetime"), found.pop("eligible")
    age_s = (at_ns - stamp) / NS_PER_S
    if max_age_s is not None and age_s > max_age_s:
        raise StaleFeatureError(
            f"the features of {symbol} at {iso_utc(at_ns)} are {age_s:.3f} s old, {max_age_s:g} s are allowed",
            hint="ask for a moment inside a session, or allow a greater age",
            retryable=False,
            symbol=symbol,
            datetime_ns=stamp,
            age_s=age_s,
        )
    return FeatureRow(datetime_ns=stamp, build=build, age_s=age_s, eligible=eligible, values=found)


def _require_one_config(days: Sequence[BuildManifest], symbol: str, dataset: str) -> None:
    if not days:
        raise DataError(
            f"no day of {symbol} in this range was built in the dataset {dataset}",
            hint=f"ghtrader build --var VAR --dataset {dataset}",
            symbol=symbol,
            dataset=dataset,
        )
    odd = next((manifest for manifest in days if manifest.config != days[0].config), None)
    if odd is not None:
        names = ", ".join(odd.config.differs_in(days[0].config))
        raise DataError(
            f"{symbol} mixes configurations in the dataset {dataset}: {days[0].trading_day} and {odd.trading_day} differ in {names}",
            hint=f"ghtrader build --var VAR --dataset {dataset} --overwrite",
            symbol=symbol,
            dataset=dataset,
        )
