"""Move everything between stores, and prove that both hold the same.

Copying goes day by day; a day that the target already has, row for row as its manifest says, is skipped, so that a run that
was killed (it or the server) goes on where it stopped. What was copied is read back and compared with its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, TypeVar, get_args

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, GhtraderError, UsageError
from ghtrader.core.ids import content_hash
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.build_frames import BUILD_DOCUMENTS
from ghtrader.data.manifests import compare_with_manifest, frame_digest
from ghtrader.data.schema import MARKET_COLUMNS, TicksKind
from ghtrader.data.tables import TABLES
from ghtrader.pipelines.build_copy import (
    BuildComparison,
    CopiedBuild,
    build_keys,
    compare_build,
    copy_build,
    raise_unless_of_rows,
)
from ghtrader.pipelines.prepare import prepare_store, settle_series
from ghtrader.pipelines.services import Services, Store
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

__all__ = ["CopyReport", "DayComparison", "StoreComparison", "compare_stores", "copy_store"]

MOST_JOBS = 8
#: Not copied as documents: configuration stays with the processes that it configures, builds are copied with their rows.
STAYS = ("config", BUILD_DOCUMENTS)
Copied = TypeVar("Copied", CopiedBuild, "CopiedDay")


class CopiedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: ``outcome`` is copied, present, or mended (it was there, and not as its manifest says)."""

    kind: str
    symbol: str
    trading_day: str
    rows: int
    digest: str
    outcome: str


class CopyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy did. copied, present, mended, rows: of days of ticks. ``prepared``: migration steps that an empty target needed."""

    source: str
    target: str
    days: list[CopiedDay]
    builds: list[CopiedBuild]
    copied: int
    present: int
    mended: int
    rows: int
    ledger_documents: int
    documents: int
    scopes: int
    prepared: list[str]
    seconds: float
    rows_per_s: float


class DayComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One partition in both stores: digests recomputed from the rows, empty where it is absent."""

    kind: str
    symbol: str
    trading_day: str
    left_digest: str
    right_digest: str
    equal: bool
    problem: str = ""


class StoreComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two stores side by side; ``digests`` cover all partitions of ticks of each."""

    ok: bool
    left: str
    right: str
    partitions: int
    digests: dict[str, str]
    days: list[DayComparison]
    builds: list[BuildComparison]


def _keys(store: TickStore, symbol: str | None) -> Iterator[DayKey]:
    for kind in get_args(TicksKind):
        for name in store.symbols(kind):
            if symbol in {None, name}:
                yield from (DayKey(kind, name, day) for day in store.days(kind, name))


def _two(services: Services, left: str, right: str) -> tuple[Store, Store]:
    if left == right:
        raise UsageError(f"{left} and {right} are one store", hint="ghtrader store copy --from local --to questdb")
    stores = services.store(left), services.store(right)
    for store in stores:
        settle_series(services, store)  # a series is copied and compared whole
    return stores


def copy_store(
    services: Services,
    source_name: str,
    target_name: str,
    *,
    symbol: str | None = None,
    jobs: int = 2,
    progress: Progress = NO_PROGRESS,
) -> CopyReport:
    """Copy ticks, ledgers, documents, relational rows and builds of one store into another; what is there already is skipped.

    Raises DataError when the source holds nothing, when rows do not arrive as they were, or when a ledger has gone on
    differently in the target (nothing of it is written then).
    """
    started = services.clock.monotonic_ns()
    source, target = _two(services, source_name, target_name)
    prepared = prepare_store(target)
    keys = list(_keys(source.ticks(), symbol))
    if not keys:
        raise DataError(f"the store {source_name} holds no ticks", hint="ghtrader data import FILE...", store=source_name)
    names = build_keys(source.features(), symbol)
    progress.start(f"copy to {target_name}", len(keys) + len(names))
    days = _all([partial(_copy_day, source.ticks(), target.ticks(), key) for key in keys], jobs, progress)
    written = [day for day in days if day.outcome != "present"]
    mended = sum(day.outcome == "mended" for day in days)
    ledgers, documents = _copy_ledgers(source.ledger(), target.ledger()) if symbol is None else (0, 0)
    scopes = _copy_tables(source, target) if symbol is None else 0
    builds = _all([partial(copy_build, source.features(), target.features(), key) for key in names], jobs, progress)
    progress.finish(f"{len(written)} days copied, {len(days) - len(written)} were there; {len(builds)} days of datasets")
    seconds = elapsed_s(services.clock, started)
    return CopyReport(
        source=source_name,
        target=target_name,
        days=sorted(days, key=lambda day: (day.kind, day.symbol, day.trading_day)),
        builds=sorted(builds, key=lambda day: (day.symbol, day.dataset, day.trading_day)),
        copied=len(written),
        present=len(days) - len(written),
        mended=mended,
        rows=sum(day.rows for day in written),
        ledger_documents=ledgers,
        documents=documents,
        scopes=scopes,
        prepared=prepared,
        seconds=round(seconds, 3),
        rows_per_s=round(sum(day.rows for day in written) / seconds, 1) if seconds else 0.0,
    )


def _all(work: Sequence[Callable[[], Copied]], jobs: int, progress: Progress) -> list[Copied]:
    """Everything, ``jobs`` at once, in the order in which it is done; the first error ends it."""
    done: list[Copied] = []
    with ThreadPoolExecutor(max(1, min(jobs, MOST_JOBS))) as pool:
        futures = [pool.submit(one) for one in work]
        try:
            for future in as_completed(futures):
                done.append(future.result())
                progress.advance(note=f"{done[-1].symbol} {done[-1].trading_day} {done[-1].outcome}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _copy_day(source: TickStore, target: TickStore, key: DayKey) -> CopiedDay:
    manifest = source.manifest(key)
    if manifest is None:
        raise DataError(f"{key.symbol} {key.trading_day} was removed while it was copied", hint="run the same command again")

    def outcome(word: str) -> CopiedDay:
        return CopiedDay(
            kind=key.kind,
            symbol=key.symbol,
            trading_day=key.trading_day.iso,
            rows=manifest.rows,
            digest=manifest.digest,
            outcome=word,
        )

    there = target.manifest(key) == manifest
    if there and _is_whole(target, key, manifest):
        return outcome("present")
    frame = source.read_day(key)
    broken = compare_with_manifest(manifest, frame)
    if broken:
        raise DataError(
            f"the source's {key.symbol} {key.trading_day} is not as its manifest says: {broken[0].problem} {broken[0].detail}",
            hint="ghtrader data verify names the cells; import the day again",
            day=key.trading_day.iso,
        )
    target.write_day(key, frame, manifest)
    arrived = compare_with_manifest(manifest, target.read_day(key))
    if arrived:
        raise DataError(
            f"{key.symbol} {key.trading_day} did not arrive as it was: {arrived[0].problem} {arrived[0].detail}",
            hint="run the same command again",
            day=key.trading_day.iso,
        )
    return outcome("mended" if there else "copied")


def _is_whole(store: TickStore, key: DayKey, manifest: DayManifest) -> bool:
    """Whether the rows are as the manifest says: a column that was dropped and restored has lost its values."""
    try:
        return not compare_with_manifest(manifest, store.read_day(key))
    except GhtraderError as error:
        raise_unless_of_rows(error)
        return False


def _copy_ledgers(source: LedgerStore, target: LedgerStore) -> tuple[int, int]:
    appended = 0
    for name in source.ledgers():
        if name in STAYS:
            continue
        rows, there = source.rows(name), target.rows(name)
        if rows[: len(there)] != there:
            raise DataError(
                f"the ledger {name} has gone on differently in the target: {len(there)} documents there, {len(rows)} here",
                hint="copy in the direction in which work went on, or into an empty store",
                ledger=name,
            )
        appended += len(target.append_many(name, [document for _, document in rows[len(there) :]]))
    documents = 0
    for name in source.tables():
        if name not in STAYS:
            known = dict(target.items(name))
            changed: dict[str, Any] = {key: document for key, document in source.items(name) if known.get(key) != document}
            target.put_many(name, changed)
            documents += len(changed)
    return appended, documents


def _copy_tables(source: Store, target: Store) -> int:
    count = 0
    for table in TABLES:
        if not table.replaced_by_scope:
            continue
        for scope in source.tables().scopes(table.name):
            rows = source.tables().rows(table.name, scope)
            if _rows(target, table.name, scope) != rows:
                target.tables().replace(table.name, scope, rows)
                count += 1
    return count


def _rows(store: Store, table: str, scope: str) -> list[dict[str, Any]] | None:
    """The rows of a scope; None when they are damaged and to be replaced."""
    try:
        return store.tables().rows(table, scope)
    except GhtraderError as error:
        raise_unless_of_rows(error)
        return None


def compare_stores(
    services: Services, left: str, right: str, *, symbol: str | None = None, progress: Progress = NO_PROGRESS
) -> StoreComparison:
    """Digests of every partition and every build of both stores, recomputed from the rows that each gives; equal or not, day by day."""
    first, second = _two(services, left, right)
    stores = [(left, first.ticks()), (right, second.ticks())]
    keys = sorted({key for _, store in stores for key in _keys(store, symbol)})
    if not keys:
        raise DataError("neither store holds ticks", hint="ghtrader data import FILE...", left=left, right=right)
    features = first.features(), second.features()
    built = sorted({key for store in features for key in build_keys(store, symbol)})
    progress.start("verify", len(keys) + len(built))
    days: list[DayComparison] = []
    for key in keys:
        digests, problems = [], []
        for name, store in stores:
            digest, problem = _digest(store, key)
            digests.append(digest)
            problems += [f"{name}: {problem}"] if problem else []
        days.append(
            DayComparison(
                kind=key.kind,
                symbol=key.symbol,
                trading_day=key.trading_day.iso,
                left_digest=digests[0],
                right_digest=digests[1],
                equal=digests[0] == digests[1] and not problems,
                problem="; ".join(problems),
            )
        )
        progress.advance(note=f"{key.symbol} {key.trading_day}")
    builds = []
    for build in built:
        builds.append(compare_build(*features, (left, right), build))
        progress.advance(note=f"{build.symbol} {build.dataset} {build.trading_day}")
    different = [day.equal for day in days].count(False) + [build.equal for build in builds].count(False)
    progress.finish(f"{len(days)} partitions, {len(builds)} days of datasets, {different} different")
    return StoreComparison(
        ok=not different,
        left=left,
        right=right,
        partitions=len(days),
        digests={
            left: content_hash([(day.kind, day.symbol, day.trading_day, day.left_digest) for day in days]),
            right: content_hash([(day.kind, day.symbol, day.trading_day, day.right_digest) for day in days]),
        },
        days=days,
        builds=builds,
    )


def _digest(store: TickStore, key: DayKey) -> tuple[str, str]:
    """The recomputed digest, and what is wrong with the partition in words."""
    try:
        manifest = store.manifest(key)
        if manifest is None:
            return "", "absent"
        frame = store.read_day(key)
        differences = compare_with_manifest(manifest, frame)
        digest = frame_digest(manifest, frame.select("datetime", *MARKET_COLUMNS))
    except GhtraderError as error:
        raise_unless_of_rows(error)
        return "", error.message
    return digest, f"{differences[0].problem} {differences[0].detail}".strip() if differences else ""
