"""Where a row comes from: dataset, day of the series, schedule, raw day, file or provider request, and the runs that did it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ghtrader.core.clock import NS_PER_S, SHANGHAI, iso_utc
from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.rehash import REHASHED_FROM
from ghtrader.pipelines.known_gaps import verdict_of_day
from ghtrader.pipelines.lineage_builds import dataset_nodes
from ghtrader.pipelines.lineage_tree import Node, RunIndex, run_nodes
from ghtrader.pipelines.main_series import HISTORY, TABLE
from ghtrader.pipelines.run_records import partition_name
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest, SourceFile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LineageReport", "RowFacts", "lineage"]

REBUILD = "ghtrader main-l5 --var VAR"


class RowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The row that was asked for; ``row`` counts from 0 in time order."""

    row: int
    datetime_ns: int
    utc: str
    shanghai: str
    row_hash: int
    last_price: float | None
    bid_price1: float | None
    ask_price1: float | None
    underlying_symbol: str


class LineageReport(msgspec.Struct, frozen=True, kw_only=True):
    """The tree behind a day or a row; ``complete`` when every step is known and none contradicts the next one."""

    symbol: str
    trading_day: str
    complete: bool
    problems: list[str]
    row: RowFacts | None
    tree: Node


def lineage(
    services: Services, symbol: str, day: str, *, row: int | None = None, at: str | None = None, build: str | None = None
) -> LineageReport:
    """Trace a stored day (or one row of it) back to files and provider requests.

    row: index in time order. at: a stamp (ns, or ISO time, Shanghai where it names no zone); the last row not after it.
    build: only datasets whose hash begins so. Raises DataError when the day is not stored or has no such row.
    """
    if row is not None and at is not None:
        raise UsageError("--row and --at are two ways to say one thing", hint="ghtrader data lineage --help")
    kind = "main_l5" if symbol.startswith(CONTINUOUS_PREFIX) else "raw"
    key = DayKey(kind, symbol, TradingDay.parse(day))
    manifest = services.tick_store().manifest(key)
    if manifest is None:
        raise DataError(f"no {kind} ticks of {symbol} on {key.trading_day}", hint="ghtrader data list", symbol=symbol, day=day)
    facts = None if row is None and at is None else _row(services, key, manifest, row, at)
    runs = RunIndex(services)
    partition = _partition(services, runs, key, manifest, facts)
    tree = partition
    if kind == "main_l5":
        number = None if facts is None else facts.row
        builds = dataset_nodes(services, runs, key, manifest, partition, build=build, row=number)
        name = f"{symbol} {key.trading_day}" + (f", {facts.row} at {facts.shanghai}" if facts else "")
        tree = Node(what="row" if facts else "day", name=name, children=builds or [partition])
    problems = [*tree.all_problems()]
    return LineageReport(
        symbol=symbol, trading_day=key.trading_day.iso, complete=not problems, problems=problems, row=facts, tree=tree
    )


def _stamp_ns(text: str) -> int:
    """A stamp as the command line takes it.

    >>> _stamp_ns("2025-06-05T09:00:00.5"), _stamp_ns("2025-06-05T01:00:00.500+00:00"), _stamp_ns("1749085200500000000")
    (1749085200500000000, 1749085200500000000, 1749085200500000000)
    """
    if text.isdigit():
        return int(text)
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        hint = "nanoseconds since 1970, or 2025-06-05T09:00:00.500 (Shanghai)"
        raise UsageError(f"not a stamp: {text!r}", hint=hint) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
    whole = aware.replace(microsecond=0)
    return int(whole.timestamp()) * NS_PER_S + aware.microsecond * 1000


def _row(services: Services, key: DayKey, manifest: DayManifest, row: int | None, at: str | None) -> RowFacts:
    names = ["datetime", "row_hash", "last_price", "bid_price1", "ask_price1"]
    if key.kind == "main_l5":
        names.append("underlying_symbol")
    frame = services.day_reader().read_day(key, names)
    index = _index(frame, row, at, f"{key.symbol} {key.trading_day}", manifest.rows)
    found: dict[str, Any] = {name: frame[name][index] for name in names}
    stamp = int(found["datetime"])
    wall = dt.datetime.fromtimestamp(stamp // NS_PER_S, tz=SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return RowFacts(
        row=index,
        datetime_ns=stamp,
        utc=iso_utc(stamp),
        shanghai=f"{wall}.{stamp % NS_PER_S // 1_000_000:03d}",
        row_hash=int(found["row_hash"]),
        last_price=found["last_price"],
        bid_price1=found["bid_price1"],
        ask_price1=found["ask_price1"],
        underlying_symbol=str(found.get("underlying_symbol", key.symbol)),
    )


def _index(frame: pl.DataFrame, row: int | None, at: str | None, subject: str, rows: int) -> int:
    if at is not None:
        index = int(np.searchsorted(frame["datetime"].to_numpy(), _stamp_ns(at), side="right")) - 1
        if index < 0:
            raise DataError(f"{subject} has no row at or before {at}", hint="ghtrader data lineage --row 0", at=at)
        return index
    assert row is not None
    if not -rows <= row < rows:
        raise DataError(f"{subject} has {rows} rows, no row {row}", hint=f"--row 0 to {rows - 1}", row=row)
    return row % rows


def _partition(services: Services, runs: RunIndex, key: DayKey, manifest: DayManifest, row: RowFacts | None) -> Node:
    name = partition_name(key.kind, key.symbol, key.trading_day.iso)
    facts: dict[str, Any] = {
        "digest": manifest.digest,
        "rows": manifest.rows,
        "row_hash_version": manifest.row_hash_version,
        "written": iso_utc(manifest.created_ns),
        "tool_version": manifest.tool_version,
        "config_hash": manifest.config_hash[:16],
    }
    if key.kind == "raw":
        facts |= {"rows_in": manifest.rows_in, "deduped": manifest.deduped, "dropped": sum(manifest.dropped.values())}
        children = [_source(source, len(manifest.sources)) for source in manifest.sources]
        problem = "" if children else f"the manifest of {name} names no source"
    else:
        kept = ("schedule_hash", "segment_id", "underlying_symbol", "raw_digest")
        facts |= {field: manifest.lineage.get(field, "") for field in kept}
        children = [_schedule(services, manifest), _raw(services, runs, manifest, row)]
        problem = ""
    facts |= {field: value for field, value in manifest.lineage.items() if field.startswith("rehashed_from")}
    verdict = verdict_of_day(services.ledger(), manifest)
    if verdict is not None:
        facts["verdict"] = f"{verdict.overall_state} ({verdict.reason_code}, {len(verdict.gaps)} gaps)"
    before = manifest.lineage.get(REHASHED_FROM[1])
    written = run_nodes(runs, name, manifest.digest) + (run_nodes(runs, name, before) if before else [])
    return Node(what=key.kind, name=name, facts=facts, problem=problem, children=[*children, *written])


def _source(source: SourceFile, of: int) -> Node:
    what = "provider request" if source.request else "source"
    facts: dict[str, Any] = {"sha256": source.sha256, "rows": source.rows, **source.request}
    if of > 1:
        facts["note"] = f"one of {of} sources that were merged; a row does not say which"
    problem = "" if source.sha256 else f"the source {source.name} has no hash"
    return Node(what=what, name=source.name, facts=facts, problem=problem)


def _schedule(services: Services, manifest: DayManifest) -> Node:
    """The schedule that the day was built under: the one that counts, or one of its history."""
    wanted, alias = manifest.lineage.get("schedule_hash", ""), manifest.symbol
    current = services.ledger().get(TABLE, alias)
    document, problem = current, ""
    if current is None or current["schedule_hash"] != wanted:
        earlier = [row for _, row in services.ledger().rows(HISTORY) if row["schedule_hash"] == wanted]
        document = earlier[-1] if earlier else None
        problem = f"the schedule of {alias} is another one now: {REBUILD}" if current else f"no schedule of {alias} is kept"
    facts: dict[str, Any] = {"schedule_hash": wanted}
    if document is not None:
        number = int(manifest.lineage.get("segment_id", "0"))
        segment = next((item for item in document["segments"] if item["segment_id"] == number), None)
        facts["from"] = document["source"]
        if segment is not None:
            facts["segment"] = f"{number}: {segment['contract']} {segment['first_day']} to {segment['last_day']}"
    return Node(what="schedule", name=alias, facts=facts, problem=problem)


def _raw(services: Services, runs: RunIndex, manifest: DayManifest, row: RowFacts | None) -> Node:
    contract = manifest.lineage.get("underlying_symbol", "")
    key = DayKey("raw", contract, TradingDay.parse(manifest.trading_day))
    name = partition_name("raw", contract, manifest.trading_day)
    raw = services.tick_store().manifest(key) if contract else None
    if raw is None:
        return Node(what="raw", name=name, problem=f"{name} is not stored any more")
    node = _partition(services, runs, key, raw, None)
    if raw.digest != manifest.lineage.get("raw_digest"):
        return msgspec.structs.replace(node, problem=f"{name} was changed after the series was built: {REBUILD}")
    if row is not None:
        stored = services.day_reader().read_day(key, ["row_hash"])["row_hash"]
        if row.row >= len(stored) or int(stored[row.row]) != row.row_hash:
            return msgspec.structs.replace(node, problem=f"row {row.row} of {name} is not the row of the series")
    return node
