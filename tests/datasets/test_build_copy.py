"""Builds move between stores frame for frame, and what differs is named."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ghtrader.adapters.local.feature_store import LocalFeatures
from ghtrader.adapters.memory import MemoryFeatures
from ghtrader.core.errors import DataError, StoreError
from ghtrader.datasets.stored_day import frames_digest
from ghtrader.pipelines.build_copy import build_keys, compare_build, copy_build
from ghtrader.ports.feature_store import BuildKey, BuildManifest, StoredDay
from ghtrader.testing.contracts.feature_store import example_build

NAMES = ("memory", "local")


@pytest.fixture
def source() -> MemoryFeatures:
    store = MemoryFeatures()
    for seed, day in ((1, "2025-06-05"), (2, "2025-06-06")):
        store.write(*example_build(seed, day=day))
    store.write(*example_build(3, symbol="KQ.m@SHFE.rb", with_fills=False))
    return store


@pytest.fixture
def target(tmp_path: Path) -> LocalFeatures:
    return LocalFeatures(tmp_path / "features")


def test_every_build_arrives_once_and_is_equal_then(source: MemoryFeatures, target: LocalFeatures) -> None:
    keys = build_keys(source, None)
    assert [(key.symbol, key.trading_day.iso) for key in keys] == [
        ("KQ.m@SHFE.rb", "2025-06-05"), ("SHFE.rb2510", "2025-06-05"), ("SHFE.rb2510", "2025-06-06"),
    ]  # fmt: skip
    assert build_keys(source, "SHFE.rb2510") == keys[1:]
    assert compare_build(source, target, NAMES, keys[0]).problem == "local: absent"
    for outcome in ("copied", "present"):
        assert {copy_build(source, target, key).outcome for key in keys} == {outcome}
    assert build_keys(target, None) == keys
    for key in keys:
        assert target.manifest(key) == source.manifest(key)
        assert target.features(key).equals(source.features(key))
        found = compare_build(source, target, NAMES, key)
        assert (found.equal, found.left_digest, found.problem) == (True, found.right_digest, "")


def test_a_damaged_copy_is_named_and_mended(source: MemoryFeatures, target: LocalFeatures, tmp_path: Path) -> None:
    key = build_keys(source, "SHFE.rb2510")[0]
    copy_build(source, target, key)
    (file,) = (tmp_path / "features" / "symbol=SHFE.rb2510").rglob("fills-*.parquet")
    file.write_bytes(b"torn")
    assert "local: " in compare_build(source, target, NAMES, key).problem
    assert copy_build(source, target, key).outcome == "mended"
    pl.read_parquet(file).with_columns(pl.col("cost") + 1).write_parquet(file)
    found = compare_build(source, target, NAMES, key)
    assert (found.equal, found.problem) == (False, "")
    assert copy_build(source, target, key).outcome == "mended"
    assert compare_build(source, target, NAMES, key).equal
    manifest, day = example_build(1, tool_version="other")
    target.write(manifest, day)
    assert compare_build(source, target, NAMES, key).problem == "other metadata"


def test_what_is_replaced_or_lost_on_the_way_is_an_error(source: MemoryFeatures, target: LocalFeatures) -> None:
    key = build_keys(source, "SHFE.rb2510")[0]

    class Replaced(MemoryFeatures):
        def labels(self, key: BuildKey) -> pl.DataFrame:
            found = super().labels(key)
            self.write(*example_build(7))
            return found

    class Losing(MemoryFeatures):
        def write(self, manifest: BuildManifest, day: StoredDay) -> None:
            assert day.fills is not None
            super().write(manifest, StoredDay(features=day.features, labels=day.labels, fills=day.fills.fill_nan(0.0)))

    busy = Replaced()
    busy.write(*example_build())
    with pytest.raises(DataError, match="replaced while it was copied") as caught:
        copy_build(busy, target, key)
    assert caught.value.retryable
    assert target.manifest(key) is None
    with pytest.raises(DataError, match="did not arrive as it was"):
        copy_build(source, Losing(), key)
    source.delete(key)
    with pytest.raises(DataError, match="replaced"):
        copy_build(source, target, key)

    class Away(MemoryFeatures):
        def features(self, key: BuildKey, factors: object = None) -> pl.DataFrame:
            raise StoreError("away", retryable=True)

    away = Away()
    away.write(*example_build())
    with pytest.raises(StoreError, match="away"):
        compare_build(away, target, NAMES, key)


def test_a_digest_of_frames_is_of_every_cell() -> None:
    manifest, day = example_build()
    assert frames_digest(day) == frames_digest(example_build()[1])
    labels = day.labels.with_columns(pl.col("taker_class_5s").shift(1, fill_value=-1))
    for changed in (
        StoredDay(features=day.features.with_columns(~pl.col("eligible")), labels=day.labels, fills=day.fills),
        StoredDay(features=day.features, labels=labels, fills=day.fills),
        StoredDay(features=day.features, labels=day.labels),
    ):
        assert frames_digest(changed) != frames_digest(day)
    assert manifest.rows == len(day.features)
