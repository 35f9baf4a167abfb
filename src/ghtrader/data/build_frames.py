"""What every feature store checks and says alike: frames that fit their manifest, factors that are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ghtrader.core.errors import DataError, SchemaError
from ghtrader.ports.feature_store import BuildKey, BuildManifest, StoredDay

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "BUILD_DOCUMENTS",
    "FILL_COLUMNS",
    "LABEL_KINDS",
    "check_day",
    "label_columns",
    "not_built",
    "wanted_factors",
    "without_fills",
]

FILL_COLUMNS = ("datetime", "side", "fill_model", "filled", "censored", "time_to_fill_ns", "cost", "adverse")
#: Documents by which a store without files says which build of a day counts: part of its builds, worth nothing without their rows.
BUILD_DOCUMENTS = "feature_builds"
#: Of each horizon.
LABEL_KINDS = ("y", "void", "weight", "taker_long", "taker_short", "taker_class", "taker_void")


def label_columns(horizons: Sequence[str]) -> list[str]:
    """Columns of the labels' frame.

    >>> label_columns(["50t"])[:4]
    ['datetime', 'y_50t', 'void_50t', 'weight_50t']
    """
    return ["datetime", *(f"{kind}_{horizon}" for horizon in horizons for kind in LABEL_KINDS)]


def _require(frame: pl.DataFrame, columns: Sequence[str], rows: int, what: str, manifest: BuildManifest) -> None:
    if frame.columns != list(columns) or len(frame) != rows:
        raise DataError(
            f"{what} of {manifest.symbol} {manifest.trading_day} do not fit their manifest: {len(frame)} rows of {frame.columns}",
            hint="build the day again",
            symbol=manifest.symbol,
            day=manifest.trading_day,
        )


def check_day(manifest: BuildManifest, day: StoredDay) -> None:
    """Raise DataError unless columns and rows are those of the manifest."""
    _require(day.features, ["datetime", *manifest.factors, "eligible"], manifest.rows, "features", manifest)
    _require(day.labels, label_columns(manifest.config.horizons), manifest.rows, "labels", manifest)
    if day.fills is not None:
        _require(day.fills, FILL_COLUMNS, manifest.fill_rows, "fill labels", manifest)
    if bool(manifest.fill_hash) != (day.fills is not None):
        raise DataError("fill labels and the manifest's fill_hash come together or not at all", hint="build the day again")


def not_built(key: BuildKey) -> DataError:
    """The error for a build that is not there."""
    return DataError(
        f"{key.symbol} {key.trading_day} was not built in the dataset {key.dataset}",
        hint=f"ghtrader build --var VAR --dataset {key.dataset}",
        symbol=key.symbol,
        day=key.trading_day.iso,
    )


def without_fills(key: BuildKey) -> DataError:
    """The error for a build that has no fill labels."""
    return DataError(
        f"{key.symbol} {key.trading_day} was built without fill labels in the dataset {key.dataset}",
        hint="ghtrader build --var VAR --fills --overwrite --dataset " + key.dataset,
        symbol=key.symbol,
        day=key.trading_day.iso,
    )


def wanted_factors(manifest: BuildManifest, factors: Sequence[str] | None) -> list[str]:
    """The chosen factors, all without a choice; raises SchemaError for one that the build lacks."""
    absent = [name for name in factors or () if name not in manifest.factors]
    if absent:
        raise SchemaError(
            f"the dataset {manifest.dataset} of {manifest.symbol} has no factor {absent[0]}",
            hint="ghtrader features list --set " + manifest.config.factor_set,
            factors=absent,
        )
    return list(manifest.factors if factors is None else factors)
