"""Builds in QuestDB: rows carry their build's hash; one document per symbol, dataset and day says which build counts.

Rows go down first, in the tables features_v2, labels_v2 and fill_labels_v2, one transaction each; the document is the commit
point. Rows of a build that no document names are out of sight. A label is stored in half ticks, which are whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.errors import StoreError
from ghtrader.data.build_frames import (
    BUILD_DOCUMENTS,
    FILL_COLUMNS,
    LABEL_KINDS,
    check_day,
    label_columns,
    not_built,
    wanted_factors,
    without_fills,
)
from ghtrader.data.calendar import Calendar
from ghtrader.data.tables import table_named
from ghtrader.ports.feature_store import BuildKey, BuildManifest, StoredDay
from ghtrader.ports.tick_store import DayKey
from ghtrader.questdb.ledger_store import QuestdbLedger
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.sender import IlpSender, Visibility
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import day_predicate, quote
from ghtrader.questdb.wire import HttpReader, PgWire

if TYPE_CHECKING:
    import polars as pl

__all__ = ["QuestdbFeatures"]

FEATURES, LABELS, FILLS = "features_v2", "labels_v2", "fill_labels_v2"
#: ``y`` of a row without a label.
NO_LABEL = -(1 << 62)
HALF_TICKS = 2


def _document(key: BuildKey) -> str:
    return f"{key.symbol}/{key.dataset}/{key.trading_day.iso}"


class QuestdbFeatures:
    """`ports.feature_store.FeatureStore` on a server."""

    def __init__(
        self,
        settings: QuestdbSettings,
        wire: PgWire,
        reader: HttpReader,
        sender: IlpSender,
        schema: QuestdbSchema,
        calendar: Calendar,
        ledger: QuestdbLedger,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._sender = sender
        self._schema = schema
        self._calendar = calendar
        self._ledger = ledger
        self._visible = Visibility(settings, wire)

    # --- writing --------------------------------------------------------------------------------------------------------
    def write(self, manifest: BuildManifest, day: StoredDay) -> None:
        """Replace the build of a day: rows, then the document that makes them count."""
        check_day(manifest, day)
        names = [FEATURES, LABELS, *([FILLS] if day.fills is not None else [])]
        self._schema.require_tables(*(table_named(name) for name in names))
        self._put(FEATURES, _feature_rows(manifest, day.features), manifest, manifest.build_hash)
        self._put(LABELS, _label_rows(manifest, day.labels), manifest, manifest.label_hash)
        if day.fills is not None:
            self._put(FILLS, day.fills, manifest, manifest.fill_hash)
        self._ledger.put(BUILD_DOCUMENTS, _document(manifest.key), msgspec.to_builtins(manifest))

    def _put(self, table: str, rows: pl.DataFrame, manifest: BuildManifest, build_hash: str) -> None:
        import polars as pl

        names = {"symbol": manifest.symbol, "trading_day": manifest.trading_day, "build_hash": build_hash}
        rows = rows.with_columns(pl.lit(value).alias(name) for name, value in names.items())
        symbols = [column.name for column in table_named(table).columns if column.type == "sym"]
        name = self._settings.name(table)
        self._sender.send(name, [rows], symbols)
        self._visible.wait(name)

    def delete(self, key: BuildKey) -> bool:
        """Take a build out of sight."""
        return self._ledger.delete(BUILD_DOCUMENTS, _document(key))

    # --- reading --------------------------------------------------------------------------------------------------------
    def manifest(self, key: BuildKey) -> BuildManifest | None:
        """Metadata of the build that counts."""
        found = self._ledger.get(BUILD_DOCUMENTS, _document(key))
        return None if found is None else msgspec.convert(found, BuildManifest)

    def manifests(self, symbol: str, dataset: str) -> list[BuildManifest]:
        """Metadata of every day of a dataset."""
        found = self._ledger.items(BUILD_DOCUMENTS, prefix=f"{symbol}/{dataset}/")
        return [msgspec.convert(document, BuildManifest) for _, document in found]

    def datasets(self) -> list[tuple[str, str]]:
        """``(symbol, dataset)`` that have days."""
        return sorted({(key.split("/")[0], key.split("/")[1]) for key, _ in self._ledger.items(BUILD_DOCUMENTS)})

    def _rows(self, table: str, columns: Sequence[str], key: BuildKey, build_hash: str, expected: int) -> pl.DataFrame:
        """Rows of a build; raises StoreError when some are gone."""
        where = day_predicate(self._calendar, DayKey("main_l5", key.symbol, key.trading_day))
        sql = f"SELECT {', '.join(columns)} FROM {self._settings.name(table)} WHERE {where} AND build_hash = {quote(build_hash)}"
        frame: pl.DataFrame = self._reader.frame(sql)
        if len(frame) != expected:
            raise StoreError(
                f"{self._settings.name(table)} holds {len(frame)} rows of {key.symbol} {key.trading_day}, {expected} were written",
                hint="ghtrader build --var VAR --overwrite",
                table=table,
                symbol=key.symbol,
                day=key.trading_day.iso,
            )
        return frame

    def _required(self, key: BuildKey) -> BuildManifest:
        manifest = self.manifest(key)
        if manifest is None:
            raise not_built(key)
        return manifest

    def features(self, key: BuildKey, factors: Sequence[str] | None = None) -> pl.DataFrame:
        """The day's features."""
        import polars as pl

        manifest = self._required(key)
        names = wanted_factors(manifest, factors)
        chosen = [f"factors[{manifest.factors.index(name) + 1}] {name}" for name in names]
        frame = self._rows(FEATURES, ["datetime", *chosen, "eligible"], key, manifest.build_hash, manifest.rows)
        values = [pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in names]
        return frame.select(pl.col("datetime").cast(pl.Int64), *values, "eligible")

    def labels(self, key: BuildKey) -> pl.DataFrame:
        """The day's labels."""
        import polars as pl

        manifest = self._required(key)
        horizons = manifest.config.horizons
        rows = manifest.rows * len(horizons)
        long = self._rows(LABELS, ["datetime", "horizon", *LABEL_KINDS], key, manifest.label_hash, rows)
        y = pl.when(pl.col("y") == NO_LABEL).then(float("nan")).otherwise(pl.col("y") / HALF_TICKS)
        floats = pl.col("weight", "taker_long", "taker_short").fill_null(float("nan"))
        codes = pl.col("void", "taker_void").cast(pl.UInt8), pl.col("taker_class").cast(pl.Int8)
        long = long.with_columns(
            pl.col("datetime").cast(pl.Int64), pl.col("horizon").cast(pl.String), y.alias("y"), floats, *codes
        )
        parts = long.partition_by("horizon", as_dict=True, include_key=False)
        columns: dict[str, pl.Series] = {}
        for horizon in horizons:
            part = parts[(horizon,)]
            columns["datetime"] = part["datetime"]
            columns |= {f"{kind}_{horizon}": part[kind] for kind in LABEL_KINDS}
        return pl.DataFrame(columns).select(label_columns(horizons))

    def fills(self, key: BuildKey) -> pl.DataFrame:
        """The day's fill labels."""
        import polars as pl

        manifest = self._required(key)
        if not manifest.fill_hash:
            raise without_fills(key)
        frame = self._rows(FILLS, FILL_COLUMNS, key, manifest.fill_hash, manifest.fill_rows)
        costs = pl.col("cost", "adverse").fill_null(float("nan"))
        frame = frame.with_columns(pl.col("datetime").cast(pl.Int64), pl.col("side", "fill_model").cast(pl.String), costs)
        return frame.sort("datetime", "side", "fill_model")


def _feature_rows(manifest: BuildManifest, features: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    values = features.select(manifest.factors).to_numpy()
    factors = pl.Series("factors", values, dtype=pl.Array(pl.Float64, values.shape[1])).cast(pl.List(pl.Float64))
    return features.select("datetime", factors, "eligible", pl.lit(manifest.config.set_hash).alias("set_hash"))


def _label_rows(manifest: BuildManifest, labels: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    parts = []
    for horizon in manifest.config.horizons:
        y = (pl.col(f"y_{horizon}") * HALF_TICKS).fill_nan(NO_LABEL).cast(pl.Int64)
        codes = [pl.col(f"{kind}_{horizon}").cast(pl.Int64).alias(kind) for kind in ("void", "taker_class", "taker_void")]
        floats = [pl.col(f"{kind}_{horizon}").alias(kind) for kind in ("weight", "taker_long", "taker_short")]
        parts.append(labels.select("datetime", pl.lit(horizon).alias("horizon"), y.alias("y"), *codes, *floats))
    return pl.concat(parts)
