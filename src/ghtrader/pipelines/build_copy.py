"""Built features and labels from one store into another, and both side by side. Part of `pipelines.store_copy`."""

from __future__ import annotations

import msgspec

from ghtrader.core.errors import DataError, GhtraderError
from ghtrader.datasets.stored_day import frames_digest
from ghtrader.ports.feature_store import BuildKey, BuildManifest, FeatureStore, StoredDay

__all__ = ["BuildComparison", "CopiedBuild", "build_keys", "compare_build", "copy_build", "raise_unless_of_rows"]


class CopiedBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One day of a dataset: ``outcome`` is copied, present, or mended (it was there, and its rows were not the source's)."""

    symbol: str
    dataset: str
    trading_day: str
    rows: int
    outcome: str


class BuildComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One day of a dataset in both stores: digests recomputed from the frames, empty where it is absent or cannot be read."""

    symbol: str
    dataset: str
    trading_day: str
    left_digest: str
    right_digest: str
    equal: bool
    problem: str = ""


def raise_unless_of_rows(error: GhtraderError) -> None:
    """Raise again what is about a whole server (away, busy, another login) and says nothing about the rows it holds."""
    if error.retryable or "host" in error.context:
        raise error


def build_keys(store: FeatureStore, symbol: str | None) -> list[BuildKey]:
    """Every build that a store holds, of all symbols or of one."""
    datasets = [found for found in store.datasets() if symbol in {None, found[0]}]
    return [manifest.key for names in datasets for manifest in store.manifests(*names)]


def _frames(store: FeatureStore, manifest: BuildManifest) -> StoredDay:
    key = manifest.key
    fills = store.fills(key) if manifest.fill_hash else None
    return StoredDay(features=store.features(key), labels=store.labels(key), fills=fills)


def _manifest(store: FeatureStore, key: BuildKey) -> BuildManifest:
    found = store.manifest(key)
    if found is None:
        raise _replaced(key)
    return found


def _replaced(key: BuildKey) -> DataError:
    return DataError(
        f"{key.symbol} {key.trading_day} of the dataset {key.dataset} was replaced while it was copied",
        hint="run the same command again",
        retryable=True,
    )


def copy_build(source: FeatureStore, target: FeatureStore, key: BuildKey) -> CopiedBuild:
    """Copy one build unless the target has it, frame for frame; what was copied is read back.

    Raises DataError when it was replaced meanwhile or did not arrive as it was.
    """
    manifest = _manifest(source, key)
    day = _frames(source, manifest)
    digest = frames_digest(day)
    if source.manifest(key) != manifest:  # the frames may be of two builds
        raise _replaced(key)
    there = target.manifest(key) == manifest
    outcome = "mended" if there else "copied"
    if there and _digest(target, manifest)[0] == digest:
        outcome = "present"
    else:
        target.write(manifest, day)
        if frames_digest(_frames(target, manifest)) != digest:
            raise DataError(
                f"{key.symbol} {key.trading_day} of the dataset {key.dataset} did not arrive as it was",
                hint="run the same command again",
                day=key.trading_day.iso,
            )
    return CopiedBuild(
        symbol=key.symbol, dataset=key.dataset, trading_day=key.trading_day.iso, rows=manifest.rows, outcome=outcome
    )


def _digest(store: FeatureStore, manifest: BuildManifest | None) -> tuple[str, str]:
    """The digest of a build's frames, and what is wrong with it in words."""
    if manifest is None:
        return "", "absent"
    try:
        return frames_digest(_frames(store, manifest)), ""
    except GhtraderError as error:
        raise_unless_of_rows(error)
        return "", error.message


def compare_build(left: FeatureStore, right: FeatureStore, names: tuple[str, str], key: BuildKey) -> BuildComparison:
    """A build in both stores; ``names`` are theirs, for what is wrong."""
    manifests = left.manifest(key), right.manifest(key)
    first, second = _digest(left, manifests[0]), _digest(right, manifests[1])
    problems = [f"{name}: {found[1]}" for name, found in zip(names, (first, second), strict=True) if found[1]]
    if not problems and manifests[0] != manifests[1]:
        problems.append("other metadata")
    return BuildComparison(
        symbol=key.symbol,
        dataset=key.dataset,
        trading_day=key.trading_day.iso,
        left_digest=first[0],
        right_digest=second[0],
        equal=first[0] == second[0] and not problems,
        problem="; ".join(problems),
    )
