"""Import files, digest and verify what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, GhtraderError, StoreError, UsageError
from ghtrader.core.ids import content_hash
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import DayImport, Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.link_evidence import Evidence
from ghtrader.data.manifests import Difference, compare_with_manifest, frame_digest
from ghtrader.data.readers import ColumnMapping, load_mapping, read_ticks
from ghtrader.data.row_hash import require_one_version
from ghtrader.data.schema import MARKET_COLUMNS, TicksKind
from ghtrader.pipelines.evidence import keep_evidence
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_import
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest, SourceFile, TickStore

__all__ = [
    "DigestReport",
    "ImportReport",
    "StoredDay",
    "VerifyReport",
    "calendar_of",
    "digest_store",
    "import_files",
    "ingest_of",
    "list_store",
    "open_ingest",
    "verify_store",
]

CALENDAR_OVERRIDE = "trading_days.json"
READ_ATTEMPTS = 10


def calendar_of(services: Services) -> Calendar:
    """The refreshed calendar of the data folder, else the vendored one."""
    return Calendar.load(services.paths.data / CALENDAR_OVERRIDE)


def open_ingest(services: Services) -> Ingest:
    """The one way of ticks into the tick store, whoever has them; the store is prepared."""
    prepare_store(services.store())
    return ingest_of(services)


def ingest_of(services: Services) -> Ingest:
    """The same way into a store that somebody has prepared."""
    return Ingest(
        services.tick_store(),
        calendar_of(services),
        InstrumentTable.vendored(),
        services.clock,
        services.tool_version,
        services.settings().config_hash,
    )


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import did. ``rows_in`` = ``rows_written`` + ``deduped`` + all ``dropped``, over readable files.

    sources: the readable files with their hashes. run: the folder under ``runs/`` with manifest and report, empty for a no-op.
    """

    rows_in: int = 0
    rows_written: int = 0
    deduped: int = 0
    reordered: int = 0
    superseded: int = 0
    dropped: dict[str, int] = {}
    conversions: list[str] = []
    ignored_columns: list[str] = []
    notes: list[str] = []
    evidence: list[str] = []
    days: list[DayImport] = []
    errors: list[dict[str, Any]] = []
    sources: list[SourceFile] = []
    files: int = 0
    seconds: float = 0.0
    run: str = ""

    def add(self, day: DayImport) -> None:
        """Count one partition's import."""
        self.days.append(day)
        self.rows_in += day.rows_in
        self.rows_written += day.rows_written
        self.deduped += day.deduped
        self.reordered += day.reordered
        self.superseded += day.superseded
        for reason, count in day.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.conversions = sorted({*self.conversions, *day.conversions})


def import_files(
    services: Services,
    files: Sequence[Path],
    *,
    symbol: str | None = None,
    mapping_file: Path | None = None,
    evidence: Evidence | None = None,
    progress: Progress = NO_PROGRESS,
) -> ImportReport:
    """Import tick files. A file that cannot be used is reported under ``errors``; the others are imported all the same.

    With a single file its error is raised as it is. A full disk ends the import at once. evidence: what the link's log and
    the provider say about the imported days; kept in the ledger for validation.
    """
    started = services.clock.monotonic_ns()
    mapping = None if mapping_file is None else load_mapping(mapping_file)
    ingest = open_ingest(services)
    report = ImportReport(files=len(files), dropped={}, days=[], errors=[], sources=[])
    progress.start("import", len(files))
    for path in files:
        try:
            _import_file(ingest, path, symbol, mapping, report)
        except StoreError:
            raise
        except GhtraderError as error:
            if len(files) == 1:
                raise
            report.errors.append({"file": str(path), **error.as_dict()})
        progress.advance(note=path.name)
    if evidence is not None:
        days = [(day.symbol, TradingDay.parse(day.trading_day)) for day in report.days]
        report.evidence = keep_evidence(services.ledger(), evidence, days, calendar_of(services))
    progress.finish(f"{report.rows_written:,} rows written, {report.deduped:,} were there")
    report.seconds = round(elapsed_s(services.clock, started), 3)
    report.run = record_import(services, report, started)
    return report


def _import_file(ingest: Ingest, path: Path, symbol: str | None, mapping: ColumnMapping | None, report: ImportReport) -> None:
    source = read_ticks(path, symbol=symbol, mapping=mapping)
    report.ignored_columns = sorted({*report.ignored_columns, *source.ignored})
    report.notes += source.notes
    report.sources.append(SourceFile(path.name, source.sha256, len(source.frame)))
    for day in ingest.import_frame(source.symbol, source.frame, source=path.name, sha256=source.sha256):
        report.add(day)


class StoredDay(msgspec.Struct, frozen=True, kw_only=True):
    """One partition as its manifest describes it."""

    kind: str
    symbol: str
    trading_day: str
    rows: int
    digest: str
    row_hash_version: int
    sources: list[str]


class DigestReport(msgspec.Struct, frozen=True, kw_only=True):
    """Digests recomputed from the rows; ``digest`` covers all of them."""

    digest: str
    rows: int
    row_hash_version: int
    days: list[StoredDay]


def _kinds(kind: str | None) -> list[str]:
    kinds: list[str] = list(get_args(TicksKind))
    if kind is not None and kind not in kinds:
        raise UsageError(f"no kind {kind!r}: expected {' or '.join(kinds)}", hint="ghtrader data list", kind=kind)
    return kinds if kind is None else [kind]


def _chosen(keys: Iterable[DayKey], symbol: str | None, day: str | None) -> list[DayKey]:
    wanted = None if day is None else TradingDay.parse(day)
    return [key for key in keys if symbol in {None, key.symbol} and wanted in {None, key.trading_day}]


def _keys(store: TickStore, kind: str | None, symbol: str | None, day: str | None) -> list[DayKey]:
    everything = (
        DayKey(name, found, trading_day)
        for name in _kinds(kind)
        for found in store.symbols(name)
        if symbol in {None, found}
        for trading_day in store.days(name, found)
    )
    return _chosen(everything, symbol, day)


def _stored(manifest: DayManifest, digest: str, rows: int) -> StoredDay:
    return StoredDay(
        kind=manifest.kind,
        symbol=manifest.symbol,
        trading_day=manifest.trading_day,
        rows=rows,
        digest=digest,
        row_hash_version=manifest.row_hash_version,
        sources=[source.name for source in manifest.sources],
    )


def list_store(services: Services, *, kind: str | None = None, symbol: str | None = None) -> list[StoredDay]:
    """Every partition, from the manifests."""
    store = services.tick_store()
    found = [(key, store.manifest(key)) for key in _keys(store, kind, symbol, None)]
    return [_stored(manifest, manifest.digest, manifest.rows) for _, manifest in found if manifest is not None]


def digest_store(
    services: Services, *, kind: str | None = "raw", symbol: str | None = None, day: str | None = None
) -> DigestReport:
    """Digest every chosen partition from its rows; raises DataError when nothing is stored, HashVersionError when versions mix."""
    store = services.tick_store()
    days: list[StoredDay] = []
    for key in _keys(store, kind, symbol, day):
        manifest = store.manifest(key)
        if manifest is None:
            continue
        frame = store.read_day(key, ["datetime", *MARKET_COLUMNS])
        days.append(_stored(manifest, frame_digest(manifest, frame), len(frame)))
    if not days:
        raise DataError(
            "nothing is stored that matches", hint="ghtrader data import FILE...", symbol=symbol or "", kind=kind or ""
        )
    version = require_one_version(
        [(f"{item.symbol} {item.trading_day}", item.row_hash_version) for item in days], subject="the store"
    )
    whole = content_hash([(item.kind, item.symbol, item.trading_day, item.digest) for item in days])
    return DigestReport(digest=whole, rows=sum(item.rows for item in days), row_hash_version=version, days=days)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the manifest says: where, what, and more words where they help.

    problem: cell_changed, row_count, digest, columns_missing, column_types, hash_version, unreadable or no_manifest.
    rows count from 0 in time order; stamps_ns are those rows' stamps.
    """

    kind: str
    symbol: str
    trading_day: str
    problem: str
    rows: list[int] = []
    stamps_ns: list[int] = []
    columns: list[str] = []
    detail: str = ""


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a verification; ``ok`` when no partition differs from its manifest."""

    ok: bool
    partitions: int
    rows: int
    findings: list[Finding]


def verify_store(
    services: Services,
    *,
    kind: str | None = None,
    symbol: str | None = None,
    day: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> VerifyReport:
    """Recompute hashes of every partition and compare with stored hashes and manifest; names changed cells."""
    store = services.tick_store()
    keys = _keys(store, kind, symbol, day)
    progress.start("verify", len(keys))
    findings: list[Finding] = []
    rows = 0
    for key in keys:
        found, checked = _verify_day(store, key)
        rows += checked
        findings += [_finding(key, difference) for difference in found]
        progress.advance(note=f"{key.symbol} {key.trading_day}")
    for key in _chosen([stray for name in _kinds(kind) for stray in store.strays(name)], symbol, day):
        detail = "data without a manifest (a first import was killed, or the manifest was removed): import the day again"
        findings.append(_finding(key, Difference(problem="no_manifest", detail=detail)))
    progress.finish(f"{len(keys)} partitions, {len(findings)} findings")
    return VerifyReport(ok=not findings, partitions=len(keys), rows=rows, findings=findings)


def _finding(key: DayKey, difference: Difference) -> Finding:
    return Finding(kind=key.kind, symbol=key.symbol, trading_day=key.trading_day.iso, **msgspec.structs.asdict(difference))


def _verify_day(store: TickStore, key: DayKey) -> tuple[list[Difference], int]:
    """Differences and rows of one partition. Rows and manifest are of one write, even while somebody writes."""
    try:
        for _ in range(READ_ATTEMPTS):
            manifest = store.manifest(key)
            if manifest is None:
                return [], 0
            frame = store.read_day(key)
            if store.manifest(key) == manifest:
                return compare_with_manifest(manifest, frame), len(frame)
    except GhtraderError as error:
        return [Difference(problem="unreadable", detail=f"{error.message}; {error.hint}")], 0
    return [Difference(problem="unreadable", detail="the partition is written all the time; try again")], 0
