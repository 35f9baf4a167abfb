"""`ghtrader features compute`: factors of a tick file, day by day, one row per input row."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import StoreError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.data.live_canonical import DayFacts, LiveCanonical, LiveRows
from ghtrader.data.live_kernel import COLUMNS, REASON_CODES
from ghtrader.data.readers import load_mapping, read_tick_batches
from ghtrader.datasets.factors.engine import compute_day
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.pipelines.feature_session import FeaturePlan, plan_features
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import code_hash

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CODE_ROOMS", "FeatureWriter", "FeaturesReport", "compute_features", "feature_frames", "file_metadata", "raw_rows"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
#: The rooms whose source the numbers depend on.
CODE_ROOMS = ("core", "data", "datasets")


class FeaturesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was computed. rows = computed + all of ``dropped``.

    differs_from_import: rows that `data import` may treat otherwise, because it sees the whole file: ``late_row`` (there they are
    sorted in where they fit) and ``late_volume_fell`` (there they stay where the feed had restarted). until: the cut, 0 for none.
    """

    symbol: str
    factor_set: str
    set_hash: str
    params_hash: str
    code: str
    out: str
    rows: int
    computed: int
    dropped: dict[str, int]
    differs_from_import: dict[str, int]
    trading_days: list[str]
    until: int = 0
    seconds: float = 0.0


def raw_rows(frame: pl.DataFrame) -> tuple[I64, F64]:
    """Stamps and values (n, 29) of source rows, NaN where absent: what the canonical form reads."""
    import polars as pl

    absent = pl.lit(float("nan"), dtype=pl.Float64)
    names = [pl.col(name).fill_null(float("nan")) if name in frame.columns else absent.alias(name) for name in COLUMNS]
    return frame["datetime"].to_numpy(), np.ascontiguousarray(frame.select(names).to_numpy())


class _Days:
    """Rows in arrival order, gathered until their trading day is over."""

    def __init__(self, plan: FeaturePlan) -> None:
        self.plan = plan
        self.live: LiveCanonical = plan.live()
        self._held: list[LiveRows] = []
        self._day = -1
        self._earlier: list[DaySummary] = []
        self._facts = {}  # type: dict[int, DayFacts]
        self._params = plan.params

    def take(self, ts_ns: I64, raw: F64, until: int | None) -> Iterator[pl.DataFrame]:
        """Judge the next rows and give the days that are over."""
        rows = self.live.push_many(ts_ns, raw)
        rows = rows if until is None else rows.rows(ts_ns <= until)
        kept = np.flatnonzero(rows.code == 0)
        first = 0
        days = rows.day[kept]
        for place in np.flatnonzero(np.diff(days, prepend=self._day)).tolist():
            start = int(kept[place])
            if self._day >= 0:
                self._held.append(rows.rows(slice(first, start)))
                yield self._computed()
                first = start
            self._day = int(days[place])
        self._held.append(rows.rows(slice(first, len(rows))))

    def rest(self) -> Iterator[pl.DataFrame]:
        """The last day, and rows of none."""
        if any(len(piece) for piece in self._held):
            yield self._computed()

    def _computed(self) -> pl.DataFrame:
        rows, self._held = LiveRows.joined(self._held), []
        values = np.full((len(rows), len(self.plan.chosen.factors)), np.nan)
        kept = rows.code == 0
        if kept.any():
            self.plan.require_out_of_sample(int(rows.ts_ns[kept][0]))
            facts = self.live.facts_of_number(self._day)
            ticks = rows.day_ticks(self.plan.symbol, facts)
            history = history_array(self._earlier)
            found, summary = compute_day(ticks, facts.sessions, self.plan.chosen, params=self._params, history=history)
            values[kept] = found
            self._earlier.append(summary)
        return feature_frame(self.plan, rows.ts_ns, values, rows.code)


def feature_frame(plan: FeaturePlan, ts_ns: I64, values: F64, codes: npt.NDArray[np.uint8]) -> pl.DataFrame:
    """Answers as the frame that is stored: ``datetime``, a column per factor (null where undefined), ``dropped`` (null: kept)."""
    import polars as pl

    names = plan.chosen.ids
    columns = {name: np.where(np.isfinite(values[:, place]), values[:, place], np.nan) for place, name in enumerate(names)}
    reasons = pl.Series("dropped", [None, *REASON_CODES[1:]], dtype=pl.String)
    frame = pl.DataFrame({"datetime": ts_ns, **columns}).with_columns(pl.col(names).fill_nan(None))
    return frame.with_columns(reasons.gather(pl.Series(codes.astype(np.uint32))))


def feature_frames(plan: FeaturePlan, batches: Iterator[pl.DataFrame], *, until: int | None = None) -> Iterator[pl.DataFrame]:
    """Features of source rows, a frame per trading day, in input order; ``until``: only rows with stamps up to it."""
    days = _Days(plan)
    for batch in batches:
        yield from days.take(*raw_rows(batch), until)
    yield from days.rest()


def file_metadata(plan: FeaturePlan, tool_version: str) -> dict[str, str]:
    """What a file of features says about itself."""
    return {
        "symbol": plan.symbol,
        "factor_set": plan.chosen.name,
        "set_hash": plan.chosen.set_hash,
        "params_hash": plan.params_hash,
        "tool_version": tool_version,
        "code": code_hash(*CODE_ROOMS),
    }


class FeatureWriter:
    """Writes frames behind each other into one Parquet file that appears whole at the end; holds one frame in memory."""

    def __init__(self, out: Path, plan: FeaturePlan, tool_version: str) -> None:
        self._out = out
        self._metadata = file_metadata(plan, tool_version)
        self._empty = feature_frame(plan, np.empty(0, np.int64), np.empty((0, len(plan.chosen.factors))), np.empty(0, np.uint8))
        self.rows, self.dropped = 0, {}  # type: int, dict[str, int]
        self._parts: list[Path] = []

    def __enter__(self) -> FeatureWriter:
        try:
            self._folder = tempfile.TemporaryDirectory(dir=self._out.parent, prefix=f".{self._out.name}.")
        except OSError as error:
            raise StoreError(f"cannot write in {self._out.parent}: {error.strerror}", path=str(self._out)) from error
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append a frame."""
        self.rows += len(frame)
        for reason, count in frame["dropped"].drop_nulls().value_counts().iter_rows():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        part = Path(self._folder.name) / f"{len(self._parts):06d}.parquet"
        frame.write_parquet(part, compression="lz4")
        self._parts.append(part)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                write_atomically(self._out, self._join)
        finally:
            self._folder.cleanup()

    def _join(self, target: Path) -> None:
        import polars as pl

        if self._parts:
            pl.scan_parquet(self._parts).sink_parquet(target, metadata=self._metadata, maintain_order=True)
        else:
            self._empty.write_parquet(target, metadata=self._metadata)


def compute_features(
    services: Services,
    path: Path,
    out: Path,
    *,
    symbol: str | None,
    set_name: str,
    until: int | None = None,
    params: Path | None = None,
    in_sample: bool = False,
    mapping: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> FeaturesReport:
    """Compute factors of every row of a tick file into a Parquet file. Memory: a few batches and one trading day.

    Raises DataError for a file that cannot be read, CalendarError for stamps of days that nobody knows.
    """
    started = services.clock.monotonic_ns()
    resolved, batches = read_tick_batches(path, symbol=symbol, mapping=None if mapping is None else load_mapping(mapping))
    plan = plan_features(services, resolved, set_name, params=params, in_sample=in_sample)
    days: list[str] = []
    progress.start("features", 0)
    with FeatureWriter(out, plan, services.tool_version) as writer:
        for frame in feature_frames(plan, batches, until=until):
            writer.write(frame)
            progress.advance(len(frame), note=f"{writer.rows:,} rows")
    progress.finish(f"{writer.rows:,} rows")
    return features_report(
        plan, writer, out, until=until or 0, trading_days=days, seconds=round(elapsed_s(services.clock, started), 3)
    )
