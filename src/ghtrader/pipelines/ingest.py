"""Import files, digest and verify what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, GhtraderError, StoreError
from ghtrader.core.ids import content_hash
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import DayImport, Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import ColumnMapping, load_mapping, read_ticks
from ghtrader.data.row_hash import ROW_HASH_VERSION, column_hash, day_digest, frame_columns, row_hashes
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

__all__ = [
    "DigestReport",
    "ImportReport",
    "StoredDay",
    "VerifyReport",
    "calendar_of",
    "digest_store",
    "import_files",
    "list_store",
    "verify_store",
]

CALENDAR_OVERRIDE = "trading_days.json"
FINDINGS_SHOWN = 100


def calendar_of(services: Services) -> Calendar:
    """The refreshed calendar of the data folder, else the vendored one."""
    return Calendar.load(services.paths.data / CALENDAR_OVERRIDE)


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import did. ``rows_in`` = ``rows_written`` + ``deduped`` + all ``dropped``, over readable files."""

    rows_in: int = 0
    rows_written: int = 0
    deduped: int = 0
    reordered: int = 0
    dropped: dict[str, int] = {}
    conversions: list[str] = []
    ignored_columns: list[str] = []
    days: list[DayImport] = []
    errors: list[dict[str, Any]] = []
    files: int = 0
    seconds: float = 0.0

    def add(self, day: DayImport) -> None:
        """Count one partition's import."""
        self.days.append(day)
        self.rows_in += day.rows_in
        self.rows_written += day.rows_written
        self.deduped += day.deduped
        self.reordered += day.reordered
        for reason, count in day.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.conversions = sorted({*self.conversions, *day.conversions})


def import_files(
    services: Services,
    files: Sequence[Path],
    *,
    symbol: str | None = None,
    mapping_file: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> ImportReport:
    """Import tick files. A file that cannot be used is reported under ``errors``; the others are imported all the same.

    With a single file its error is raised as it is. A full disk ends the import at once.
    """
    started = services.clock.monotonic_ns()
    mapping = None if mapping_file is None else load_mapping(mapping_file)
    ingest = Ingest(
        services.tick_store(),
        calendar_of(services),
        InstrumentTable.vendored(),
        services.clock,
        services.tool_version,
        services.settings().config_hash,
    )
    report = ImportReport(files=len(files), dropped={}, days=[], errors=[])
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
    progress.finish(f"{report.rows_written:,} rows written, {report.deduped:,} were there")
    report.seconds = round(elapsed_s(services.clock, started), 3)
    return report


def _import_file(ingest: Ingest, path: Path, symbol: str | None, mapping: ColumnMapping | None, report: ImportReport) -> None:
    source = read_ticks(path, symbol=symbol, mapping=mapping)
    report.ignored_columns = sorted({*report.ignored_columns, *source.ignored})
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


def _keys(store: TickStore, kind: str | None, symbol: str | None, day: str | None) -> list[DayKey]:
    kinds = [kind] if kind else ["raw", "main_l5"]
    wanted = None if day is None else TradingDay.parse(day)
    return [
        DayKey(name, found, trading_day)
        for name in kinds
        for found in store.symbols(name)
        if symbol is None or found == symbol
        for trading_day in store.days(name, found)
        if wanted is None or trading_day == wanted
    ]


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
    """Digest every chosen partition from its rows; raises DataError when nothing is stored."""
    store = services.tick_store()
    days: list[StoredDay] = []
    for key in _keys(store, kind, symbol, day):
        manifest = store.manifest(key)
        if manifest is None:
            continue
        frame = store.read_day(key, ["datetime", *MARKET_COLUMNS])
        hashes = row_hashes(frame["datetime"].to_numpy(), frame_columns(frame))
        days.append(_stored(manifest, day_digest(key.kind, key.symbol, key.trading_day.iso, hashes), len(frame)))
    if not days:
        raise DataError(
            "nothing is stored that matches", hint="ghtrader data import FILE...", symbol=symbol or "", kind=kind or ""
        )
    whole = content_hash([(item.kind, item.symbol, item.trading_day, item.digest) for item in days])
    return DigestReport(digest=whole, rows=sum(item.rows for item in days), row_hash_version=ROW_HASH_VERSION, days=days)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the manifest says: where, what, and the command that mends it."""

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
    services: Services, *, kind: str | None = None, symbol: str | None = None, progress: Progress = NO_PROGRESS
) -> VerifyReport:
    """Recompute hashes of every partition and compare with stored hashes and manifest; names changed cells."""
    store = services.tick_store()
    keys = _keys(store, kind, symbol, None)
    progress.start("verify", len(keys))
    findings: list[Finding] = []
    rows = 0
    for key in keys:
        manifest = store.manifest(key)
        if manifest is not None:
            rows += manifest.rows
            findings += _verify_day(store, key, manifest)
        progress.advance(note=f"{key.symbol} {key.trading_day}")
    progress.finish(f"{len(keys)} partitions, {len(findings)} findings")
    return VerifyReport(ok=not findings, partitions=len(keys), rows=rows, findings=findings)


def _verify_day(store: TickStore, key: DayKey, manifest: DayManifest) -> list[Finding]:
    def finding(problem: str, **details: Any) -> Finding:
        return Finding(kind=key.kind, symbol=key.symbol, trading_day=key.trading_day.iso, problem=problem, **details)

    try:
        frame = store.read_day(key)
    except GhtraderError as error:
        return [finding("unreadable", detail=f"{error.message}; {error.hint}")]
    absent = [name for name in ("datetime", *MARKET_COLUMNS, "row_hash") if name not in frame.columns]
    if absent:
        return [finding("columns_missing", columns=absent)]
    if manifest.row_hash_version != ROW_HASH_VERSION:
        return [finding("hash_version", detail=f"stored with v{manifest.row_hash_version}, this is v{ROW_HASH_VERSION}")]
    found: list[Finding] = []
    hashes = row_hashes(frame["datetime"].to_numpy(), frame_columns(frame))
    wrong = (hashes != frame["row_hash"].to_numpy()).nonzero()[0][:FINDINGS_SHOWN]
    if len(wrong):
        changed = [name for name in MARKET_COLUMNS if manifest.columns.get(name) != column_hash(frame[name].to_numpy())]
        stamps = frame["datetime"].to_numpy()[wrong].tolist()
        found.append(finding("cell_changed", rows=wrong.tolist(), stamps_ns=stamps, columns=changed or ["datetime"]))
    if len(frame) != manifest.rows:
        found.append(finding("row_count", detail=f"{len(frame)} rows, the manifest says {manifest.rows}"))
    elif not found and day_digest(key.kind, key.symbol, key.trading_day.iso, hashes) != manifest.digest:
        found.append(finding("digest", detail="rows were exchanged or reordered"))
    return found
