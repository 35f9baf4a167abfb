"""Features as they could be known at a moment, from any feature store: rows stamped up to it, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.feature_store import BuildManifest, FeatureStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["features_as_of"]


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
