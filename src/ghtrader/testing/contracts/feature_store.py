"""Contract of ``ports.feature_store.FeatureStore``. Inherit `FeatureStoreContract` and give a fixture ``features``."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ghtrader.core.errors import DataError, SchemaError
from ghtrader.core.trading_day import TradingDay
from ghtrader.ports.feature_store import BuildConfig, BuildKey, BuildManifest, FeatureStore, StoredDay

__all__ = ["FeatureStoreContract", "example_build"]

#: 09:00:01 Shanghai time of the trading day 2025-06-05.
FIRST_NS = 1_749_085_201_000_000_000
SYMBOL, DATASET = "SHFE.rb2510", "minimal"
CONFIG = BuildConfig(
    kind="raw", factor_set="own", set_hash="s1", horizons=("50t", "5s"), labels="l1", fills="f1", row_hash_version=1
)


def example_build(
    seed: int = 1, *, rows: int = 40, day: str = "2025-06-05", symbol: str = SYMBOL, with_fills: bool = True, **values: Any
) -> tuple[BuildManifest, StoredDay]:
    """A small build: NaN, minus zero, half ticks, voids, costs, and rows without an order."""
    random = np.random.default_rng(seed)
    shift = (TradingDay.parse(day).stamp_ns - TradingDay.parse("2025-06-05").stamp_ns) if day != "2025-06-05" else 0
    stamps = pl.Series("datetime", FIRST_NS + shift + np.arange(rows) * 500_000_000)
    factors = random.normal(size=(rows, 3))
    factors[0], factors[1, 1], factors[2, 2] = np.nan, -0.0, 1e300
    features = pl.DataFrame({"datetime": stamps, "A": factors[:, 0], "B": factors[:, 1], "C": factors[:, 2]})
    features = features.with_columns(pl.Series("eligible", random.random(rows) < 0.8))
    labels = pl.DataFrame({"datetime": stamps, **_labels(random, rows, "50t"), **_labels(random, rows, "5s")})
    filled = random.random(rows - 5) < 0.5
    cost = np.where(filled, random.normal(size=rows - 5), np.nan)
    fills = pl.DataFrame(
        {
            "datetime": stamps[5:],
            "side": pl.repeat("bid", rows - 5, eager=True),
            "fill_model": pl.repeat("back", rows - 5, eager=True),
            "filled": filled,
            "censored": random.random(rows - 5) < 0.1,
            "time_to_fill_ns": random.integers(0, 10**10, rows - 5),
            "cost": cost,
            "adverse": np.where(random.random(rows - 5) < 0.5, cost / 3, np.nan),
        }
    )
    manifest = BuildManifest(
        symbol=symbol,
        dataset=DATASET,
        trading_day=day,
        config=CONFIG if with_fills else BuildConfig(**{**_fields(CONFIG), "fills": ""}),
        build_hash=f"b{seed}",
        label_hash=f"l{seed}",
        fill_hash=f"f{seed}" if with_fills else "",
        content_digest=f"c{seed}",
        tick_digest="t",
        factors=("A", "B", "C"),
        rows=rows,
        eligible=int(features["eligible"].sum()),
        fill_rows=rows - 5 if with_fills else 0,
        gaps=0,
        labelled={"50t": 0.5, "5s": 0.5},
        created_ns=seed,
        **values,
    )
    return manifest, StoredDay(features=features, labels=labels, fills=fills if with_fills else None)


def _labels(random: np.random.Generator, rows: int, horizon: str) -> dict[str, Any]:
    """Labels of one horizon; what is void differs between direction and taker."""
    void, late = random.random((2, rows)) < 0.3
    long, short = random.normal(size=(2, rows))
    return {
        f"y_{horizon}": np.where(void, np.nan, random.integers(-9, 9, rows) / 2),
        f"void_{horizon}": np.where(void, 5, 0).astype(np.uint8),
        f"weight_{horizon}": np.where(void, np.nan, random.random(rows)),
        f"taker_long_{horizon}": np.where(late, np.nan, long),
        f"taker_short_{horizon}": np.where(late, np.nan, short),
        f"taker_class_{horizon}": np.where(late, -1, random.integers(0, 3, rows)).astype(np.int8),
        f"taker_void_{horizon}": np.where(late, 9, 0).astype(np.uint8),
    }


def _fields(config: BuildConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


class FeatureStoreContract:
    """Laws of every feature store."""

    def test_a_build_comes_back_as_it_was(self, features: FeatureStore) -> None:
        """Bit for bit, with types, order, NaN and minus zero; chosen factors in the chosen order."""
        manifest, day = example_build()
        features.write(manifest, day)
        key = manifest.key
        assert features.manifest(key) == manifest
        for found, written in (
            (features.features(key), day.features),
            (features.labels(key), day.labels),
            (features.fills(key), day.fills),
        ):
            assert written is not None
            assert_frame_equal(found, written, check_exact=True)
        assert np.signbit(features.features(key)["B"][1])
        assert_frame_equal(features.features(key, ["C", "A"]), day.features.select("datetime", "C", "A", "eligible"))

    def test_a_build_is_replaced_whole(self, features: FeatureStore) -> None:
        """Fewer rows, and no fill labels, leave nothing of the old build; the same build again changes nothing."""
        features.write(*example_build())
        manifest, day = example_build(2, rows=7, with_fills=False)
        for _ in range(2):
            features.write(manifest, day)
            assert features.manifests(SYMBOL, DATASET) == [manifest]
            assert_frame_equal(features.features(manifest.key), day.features)
            assert_frame_equal(features.labels(manifest.key), day.labels)
            with pytest.raises(DataError, match="without fill labels"):
                features.fills(manifest.key)

    def test_an_earlier_build_may_come_back(self, features: FeatureStore) -> None:
        """After another one stood there."""
        for seed in (1, 2, 1):
            manifest, day = example_build(seed)
            features.write(manifest, day)
            assert_frame_equal(features.features(manifest.key), day.features)

    def test_days_symbols_and_datasets_are_apart(self, features: FeatureStore) -> None:
        """Each is listed, and taking one out of sight leaves the others."""
        first, day = example_build()
        second, other = example_build(3, day="2025-06-06")
        third, series = example_build(4, symbol="KQ.m@SHFE.rb")
        for manifest, rows in ((second, other), (first, day), (third, series)):
            features.write(manifest, rows)
        assert features.manifests(SYMBOL, DATASET) == [first, second]
        assert features.datasets() == sorted([(SYMBOL, DATASET), ("KQ.m@SHFE.rb", DATASET)])
        assert features.delete(first.key)
        assert not features.delete(first.key)
        assert features.manifest(first.key) is None
        assert features.manifests(SYMBOL, DATASET) == [second]
        assert_frame_equal(features.features(third.key), series.features)

    def test_what_is_not_there_is_an_error(self, features: FeatureStore) -> None:
        """A day that was not built, a factor that the build lacks."""
        key = BuildKey(SYMBOL, DATASET, TradingDay.parse("2025-06-05"))
        assert features.manifest(key) is None
        assert features.datasets() == []
        for read in (features.features, features.labels, features.fills):
            with pytest.raises(DataError, match="was not built") as caught:
                read(key)
            assert "ghtrader build" in caught.value.hint
        features.write(*example_build())
        with pytest.raises(SchemaError, match="no factor Z"):
            features.features(key, ["A", "Z"])

    def test_rows_that_do_not_fit_the_manifest_are_refused(self, features: FeatureStore) -> None:
        """Before anything is written."""
        manifest, day = example_build()
        wrong = [
            StoredDay(features=day.features[1:], labels=day.labels, fills=day.fills),
            StoredDay(features=day.features.drop("B"), labels=day.labels, fills=day.fills),
            StoredDay(features=day.features, labels=day.labels.drop("taker_long_5s"), fills=day.fills),
            StoredDay(features=day.features, labels=day.labels, fills=None if day.fills is None else day.fills.drop("cost")),
            StoredDay(features=day.features, labels=day.labels, fills=None),
        ]
        for rows in wrong:
            with pytest.raises(DataError):
                features.write(manifest, rows)
        assert features.manifest(manifest.key) is None
