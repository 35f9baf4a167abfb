"""Move stored days to another version of the row hash, day by day; killed at any moment, it goes on when run again."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from ghtrader.core.errors import GhtraderError, UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.rehash import rehashed_day
from ghtrader.data.row_hash import ROW_HASH_VERSION, VERSIONS
from ghtrader.data.schema import TicksKind
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_rehash
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

__all__ = ["RehashReport", "RehashedDay", "rehash_store"]


class RehashedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: ``outcome`` is moved, current, would_move (dry run) or refused (then ``reason`` says why)."""

    kind: str
    symbol: str
    trading_day: str
    rows: int
    from_version: int
    to_version: int
    outcome: str
    digest_before: str
    digest: str
    reason: str = ""


class RehashReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehash did; ``ok`` when every chosen partition has the version (or, dry, would get it). ``run``: its folder."""

    ok: bool
    to_version: int
    dry_run: bool
    moved: int
    current: int
    refused: int
    days: list[RehashedDay]
    run: str = ""


def rehash_store(
    services: Services,
    *,
    symbol: str | None = None,
    to_version: int | None = None,
    dry_run: bool = False,
    progress: Progress = NO_PROGRESS,
) -> RehashReport:
    """Give every stored day (of ``symbol``, else of all) row hashes of ``to_version``, default the current one.

    Each partition is replaced whole and atomically, raw days before those of the main series: readers see a day with its
    old hashes or with its new ones. A day whose rows are not those of its manifest is refused and left as it is.
    """
    version = ROW_HASH_VERSION if to_version is None else to_version
    if version not in VERSIONS:
        known = ", ".join(str(number) for number in sorted(VERSIONS))
        raise UsageError(f"no row hash version {version}: expected {known}", hint="ghtrader data rehash --dry-run", to=version)
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    store = services.tick_store()
    keys = [
        DayKey(kind, name, day)
        for kind in get_args(TicksKind)
        for name in store.symbols(kind)
        if symbol in {None, name}
        for day in store.days(kind, name)
    ]
    progress.start("rehash", len(keys))
    days: list[RehashedDay] = []
    for key in keys:
        day = _rehash_day(services, store, key, version, dry_run)
        if day is not None:
            days.append(day)
            progress.advance(note=f"{key.symbol} {key.trading_day} {day.outcome}")
    counts: dict[str, Any] = {name: sum(day.outcome == name for day in days) for name in ("moved", "current", "refused")}
    progress.finish(f"{counts['moved']} moved to v{version}, {counts['current']} current, {counts['refused']} refused")
    report = RehashReport(ok=not counts["refused"], to_version=version, dry_run=dry_run, days=days, **counts)
    return msgspec.structs.replace(report, run=record_rehash(services, report, started))


def _rehash_day(services: Services, store: TickStore, key: DayKey, version: int, dry_run: bool) -> RehashedDay | None:
    with store.exclusive(key):
        manifest = store.manifest(key)
        if manifest is None:
            return None

        def told(outcome: str, digest: str = "", reason: str = "") -> RehashedDay:
            return RehashedDay(
                kind=key.kind,
                symbol=key.symbol,
                trading_day=key.trading_day.iso,
                rows=manifest.rows,
                from_version=manifest.row_hash_version,
                to_version=version,
                outcome=outcome,
                digest_before=manifest.digest,
                digest=digest or manifest.digest,
                reason=reason,
            )

        if manifest.row_hash_version == version:
            return told("current")
        if dry_run:
            return told("would_move")
        try:
            frame, moved = rehashed_day(
                manifest,
                store.read_day(key),
                version,
                raw=_raw_beneath(store, manifest),
                tool_version=services.tool_version,
                now_ns=services.clock.now_ns(),
            )
        except GhtraderError as error:
            return told("refused", reason=f"{error.message}; {error.hint}")
        store.write_day(key, frame, moved)
        return told("moved", digest=moved.digest)


def _raw_beneath(store: TickStore, manifest: DayManifest) -> DayManifest | None:
    contract = manifest.lineage.get("underlying_symbol", "")
    return store.manifest(DayKey("raw", contract, TradingDay.parse(manifest.trading_day))) if contract else None
