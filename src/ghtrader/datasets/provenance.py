"""The provenance gate (P0-B2): main_l5 rows must say which segment of which schedule they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ghtrader.core.errors import ProvenanceError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["provenance_problem", "require_provenance"]


def provenance_problem(frame: pl.DataFrame) -> str:
    """What is wrong with a day's provenance, in words; empty when every row has segment_id and one schedule_hash."""
    for name in ("segment_id", "schedule_hash"):
        if name not in frame.columns:
            return f"no column {name}"
        if frame[name].null_count():
            return f"{frame[name].null_count()} rows without {name}"
    if bool((frame["schedule_hash"] == "").any()):
        return "rows with an empty schedule_hash"
    if bool((frame["segment_id"] <= 0).any()):
        return "rows with segment_id below 1"
    if frame["schedule_hash"].n_unique() > 1:
        return f"{frame['schedule_hash'].n_unique()} different schedule hashes in one day"
    return ""


def require_provenance(problems: Mapping[str, str], hashes: Mapping[str, str], *, strict: bool) -> list[str]:
    """Days to leave out. Strict: raises ProvenanceError listing the offending days instead.

    problems: ISO day -> what is wrong (empty: nothing). hashes: ISO day -> schedule hash; days of a minority schedule
    are offending too, because one dataset follows one schedule.
    """
    offending = {day: problem for day, problem in problems.items() if problem}
    known = [value for day, value in hashes.items() if day not in offending]
    if known:
        leading = max(sorted(set(known)), key=known.count)
        offending |= {
            day: f"schedule {value[:12]} where the dataset follows {leading[:12]}"
            for day, value in hashes.items()
            if day not in offending and value != leading
        }
    if offending and strict:
        listed = "; ".join(f"{day}: {problem}" for day, problem in sorted(offending.items()))
        raise ProvenanceError(
            f"{len(offending)} days without clean provenance: {listed}",
            hint="ghtrader main-l5 --var VAR --full, or --non-strict to leave these days out",
            days=sorted(offending),
        )
    return sorted(offending)
