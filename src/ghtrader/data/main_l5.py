"""The main-contract series: scheduled contracts' raw days under the alias, every row with its provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ghtrader.core.clock import Clock
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.manifests import column_hashes
from ghtrader.data.row_hash import day_digest
from ghtrader.data.schema import SCHEMA_VERSION
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MainL5Day", "build_day", "is_level5", "stale_reason"]

DEEPER_LEVELS = range(2, 6)


class MainL5Day(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one scheduled trading day: written, unchanged, missing, not_level5 or removed."""

    trading_day: str
    contract: str
    segment_id: int
    outcome: str
    reason: str = ""
    rows: int = 0


def is_level5(frame: pl.DataFrame, min_share: float) -> bool:
    """Whether the day's feed supplies levels 2-5: a property of the day, decided by the share of rows that have them."""
    if frame.is_empty():
        return False
    deep = np.zeros(len(frame), dtype=np.bool_)
    for level in DEEPER_LEVELS:
        deep |= (frame[f"bid_volume{level}"].to_numpy() > 0) | (frame[f"ask_volume{level}"].to_numpy() > 0)
    return bool(deep.mean() >= min_share)


def stale_reason(old: DayManifest | None, raw: DayManifest, schedule: MainSchedule, segment_id: int) -> str:
    """Why a stored day must be built again; empty when it is current."""
    if old is None:
        return "new"
    if old.lineage.get("raw_digest") != raw.digest:
        return "raw ticks changed"
    if old.lineage.get("schedule_hash") != schedule.schedule_hash or old.lineage.get("segment_id") != str(segment_id):
        return "schedule changed"
    if (old.schema_version, old.row_hash_version) != (SCHEMA_VERSION, raw.row_hash_version):
        return "schema or row hash version changed"
    return ""


def build_day(
    store: TickStore,
    schedule: MainSchedule,
    day: TradingDay,
    *,
    min_level5_share: float,
    full: bool,
    clock: Clock,
    tool_version: str,
    config_hash: str,
) -> MainL5Day:
    """Materialise one trading day under the alias, or say why not. Idempotent; the write is atomic."""
    import polars as pl

    segment = schedule.segment_of(day)
    key, raw_key = DayKey("main_l5", schedule.alias, day), DayKey("raw", segment.contract, day)

    def outcome(name: str, reason: str = "", rows: int = 0) -> MainL5Day:
        return MainL5Day(
            trading_day=day.iso, contract=segment.contract, segment_id=segment.segment_id, outcome=name, reason=reason, rows=rows
        )

    raw = store.manifest(raw_key)
    if raw is None:
        return outcome("missing", reason=f"no raw ticks of {segment.contract}: ghtrader data import FILE")
    reason = "full rebuild" if full else stale_reason(store.manifest(key), raw, schedule, segment.segment_id)
    if not reason:
        return outcome("unchanged", rows=raw.rows)
    frame = store.read_day(raw_key)
    if not is_level5(frame, min_level5_share):
        return outcome("not_level5", reason="the feed supplies level 1 only on this day")
    frame = frame.with_columns(
        pl.lit(schedule.alias, dtype=pl.String).alias("symbol"),
        pl.lit(segment.contract, dtype=pl.String).alias("underlying_symbol"),
        pl.lit(segment.segment_id, dtype=pl.Int64).alias("segment_id"),
        pl.lit(schedule.schedule_hash, dtype=pl.String).alias("schedule_hash"),
    )
    manifest = DayManifest(
        kind=key.kind,
        symbol=key.symbol,
        trading_day=day.iso,
        rows=len(frame),
        digest=day_digest(key.kind, key.symbol, day.iso, frame["row_hash"].to_numpy(), raw.row_hash_version),
        row_hash_version=raw.row_hash_version,
        schema_version=SCHEMA_VERSION,
        rows_in=len(frame),
        conversions=raw.conversions,
        sources=raw.sources,
        columns=column_hashes(frame),
        lineage={
            "raw_digest": raw.digest,
            "schedule_hash": schedule.schedule_hash,
            "segment_id": str(segment.segment_id),
            "underlying_symbol": segment.contract,
        },
        config_hash=config_hash,
        tool_version=tool_version,
        created_ns=clock.now_ns(),
    )
    store.write_day(key, frame, manifest)
    return outcome("written", reason=reason, rows=len(frame))
