"""One stored day moved to another version of the row hash: the same cells, new hashes, the same history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.data.manifests import column_hashes, compare_with_manifest
from ghtrader.data.row_hash import day_digest, frame_columns, require_version, row_hashes
from ghtrader.ports.tick_store import DayManifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["REHASHED_FROM", "rehashed_day"]

#: Keys of a manifest's lineage: version and digest that the day had before it was moved.
REHASHED_FROM = ("rehashed_from_version", "rehashed_from_digest")


def rehashed_day(
    manifest: DayManifest, frame: pl.DataFrame, version: int, *, raw: DayManifest | None, tool_version: str, now_ns: int
) -> tuple[pl.DataFrame, DayManifest]:
    """Rows and manifest of a day with hashes of ``version``; counters, sources and lineage stay.

    raw: for a day of the main series, the manifest of the raw day beneath it, moved before; its new digest takes the place
    of the old one. Raises DataError when the rows are not those of the manifest (a new hash would cover that up), and
    HashVersionError for a version that nobody knows.
    """
    import polars as pl

    subject = f"{manifest.symbol} {manifest.trading_day}"
    require_version(version, subject=subject)
    different = compare_with_manifest(manifest, frame)
    if different:
        raise DataError(
            f"{subject} is not as its manifest says ({different[0].problem}): it keeps its row hash",
            hint=f"ghtrader data verify --symbol {manifest.symbol}; then import the day again",
            symbol=manifest.symbol,
            day=manifest.trading_day,
        )
    hashes = row_hashes(frame["datetime"].to_numpy(), frame_columns(frame), version)
    moved = frame.with_columns(pl.Series("row_hash", hashes))
    lineage = dict(manifest.lineage)
    lineage |= dict(zip(REHASHED_FROM, (str(manifest.row_hash_version), manifest.digest), strict=True))
    if raw is not None and raw.lineage.get(REHASHED_FROM[1]) == lineage.get("raw_digest"):
        lineage["raw_digest"] = raw.digest
    return moved, msgspec.structs.replace(
        manifest,
        digest=day_digest(manifest.kind, manifest.symbol, manifest.trading_day, hashes, version),
        row_hash_version=version,
        columns=column_hashes(moved),
        lineage=lineage,
        tool_version=tool_version,
        created_ns=now_ns,
    )
