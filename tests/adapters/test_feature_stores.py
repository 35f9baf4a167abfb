"""Embedded feature stores keep the contract; what a killed writer leaves is never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.adapters.local import feature_store
from ghtrader.adapters.local.feature_store import LocalFeatures
from ghtrader.adapters.memory import MemoryFeatures
from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import write_atomically
from ghtrader.testing.contracts.feature_store import FeatureStoreContract, example_build


class TestMemoryFeatures(FeatureStoreContract):
    @pytest.fixture
    def features(self) -> MemoryFeatures:
        return MemoryFeatures()


class TestLocalFeatures(FeatureStoreContract):
    @pytest.fixture
    def features(self, tmp_path: Path) -> LocalFeatures:
        return LocalFeatures(tmp_path / "features")


def test_a_write_that_dies_between_its_files_leaves_the_old_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalFeatures(tmp_path)
    first, day = example_build()
    store.write(first, day)
    second, other = example_build(2)
    for died_at in (1, 2, 3, 4):
        calls: list[str] = []

        def dies(path: Path, content: object, calls: list[str] = calls, last: int = died_at) -> None:
            calls.append(path.name)
            if len(calls) == last:
                raise KeyboardInterrupt
            write_atomically(path, content)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(feature_store, "write_atomically", dies)
            with pytest.raises(KeyboardInterrupt):
                store.write(second, other)
        assert store.manifest(first.key) == first
        assert store.features(first.key).equals(day.features, null_equal=True)
    store.write(second, other)
    assert len(list(tmp_path.rglob("*.parquet"))) == 3


def test_damaged_files_are_named(tmp_path: Path) -> None:
    store = LocalFeatures(tmp_path)
    manifest, day = example_build()
    store.write(manifest, day)
    (file,) = tmp_path.rglob("labels-*.parquet")
    file.write_bytes(b"torn")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        store.labels(manifest.key)
    assert "ghtrader build" in caught.value.hint
    file.unlink()
    with pytest.raises(StoreError, match="is not there"):
        store.labels(manifest.key)
    (document,) = tmp_path.rglob("manifest.json")
    document.write_text("{")
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read"):
        store.manifest(manifest.key)
