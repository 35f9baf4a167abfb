"""The main-contract series: scheduled contracts' raw days under the alias, every row with its provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.manifests import column_hashes
from ghtrader.data.row_hash import day_digest
from ghtrader.data.schema import SCHEMA_VERSION
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MainL5Day", "Stamp", "derive_day", "is_level5", "plan_day", "stale_reason"]

DEEPER_LEVELS = range(2, 6)


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the days of one build, and when: what a manifest says beside the data."""

    created_ns: int
    tool_version: str
    config_hash: str


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


def plan_day(store: TickStore, schedule: MainSchedule, day: TradingDay, *, full: bool) -> MainL5Day:
    """What is to become of a scheduled day: missing, unchanged, or written (as far as manifests can tell). Writes nothing."""
    segment = schedule.segment_of(day)
    raw = store.manifest(DayKey("raw", segment.contract, day))
    planned = MainL5Day(
        trading_day=day.iso,
        contract=segment.contract,
        segment_id=segment.segment_id,
        outcome="unchanged",
        rows=raw.rows if raw else 0,
    )
    if raw is None:
        reason = f"no raw ticks of {segment.contract}: ghtrader data import FILE"
        return msgspec.structs.replace(planned, outcome="missing", reason=reason)
    old = store.manifest(DayKey("main_l5", schedule.alias, day))
    reason = "full rebuild" if full else stale_reason(old, raw, schedule, segment.segment_id)
    return msgspec.structs.replace(planned, outcome="written", reason=reason) if reason else planned


def derive_day(
    frame: pl.DataFrame, raw: DayManifest, schedule: MainSchedule, day: TradingDay, stamp: Stamp
) -> tuple[pl.DataFrame, DayManifest]:
    """A raw day's rows under the alias, every one with its provenance, and their manifest. Pure: same inputs, same bytes."""
    import polars as pl

    segment = schedule.segment_of(day)
    frame = frame.with_columns(
        pl.lit(schedule.alias, dtype=pl.String).alias("symbol"),
        pl.lit(segment.contract, dtype=pl.String).alias("underlying_symbol"),
        pl.lit(segment.segment_id, dtype=pl.Int64).alias("segment_id"),
        pl.lit(schedule.schedule_hash, dtype=pl.String).alias("schedule_hash"),
    )
    return frame, DayManifest(
        kind="main_l5",
        symbol=schedule.alias,
        trading_day=day.iso,
        rows=len(frame),
        digest=day_digest("main_l5", schedule.alias, day.iso, frame["row_hash"].to_numpy(), raw.row_hash_version),
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
        config_hash=stamp.config_hash,
        tool_version=stamp.tool_version,
        created_ns=stamp.created_ns,
    )
