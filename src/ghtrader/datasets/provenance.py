"""The provenance gate: rows of the main-contract series must say which segment of which schedule they belong to.

It stands before factors and labels (`ghtrader.pipelines.build`, and `from_frame`, which makes no arrays of such rows) and before
training (`require_trainable`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ghtrader.core.errors import ProvenanceError
from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.datasets.day_dataset import DayDataset

if TYPE_CHECKING:
    import polars as pl

__all__ = ["provenance_problem", "require_provenance", "require_trainable"]


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


def require_trainable(datasets: Sequence[DayDataset], *, strict: bool) -> tuple[list[DayDataset], list[str]]:
    """Datasets that may be trained on, and the days left out; strict: ProvenanceError lists the offending days instead.

    Days of a series need segment ids and one schedule; days of a dated contract need neither.
    """
    problems, hashes = {}, {}
    for dataset in datasets:
        day = dataset.trading_day.iso
        if dataset.symbol.startswith(CONTINUOUS_PREFIX):
            whole = bool(dataset.schedule_hash) and bool(dataset.segment_ids) and min(dataset.segment_ids) > 0
            problems[day] = "" if whole else "factors and labels without segment_id or schedule_hash"
            hashes[day] = dataset.schedule_hash
    left_out = require_provenance(problems, hashes, strict=strict)
    return [dataset for dataset in datasets if dataset.trading_day.iso not in left_out], left_out
