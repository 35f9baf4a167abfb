"""`ghtrader features compute`: factors of a tick file, day by day, one row per input row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import elapsed_s
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.live_canonical import LiveCanonical, LiveRows
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.data.readers import load_mapping, read_tick_batches
from ghtrader.datasets.factors.engine import compute_day
from ghtrader.datasets.factors.history import DaySummary
from ghtrader.pipelines.feature_peers import load_peer, peers_of_day
from ghtrader.pipelines.feature_session import FeaturePlan, history_of, plan_features
from ghtrader.pipelines.feature_table import FeaturesReport, FeatureWriter, feature_frame, features_report, require_another_file
from ghtrader.pipelines.services import Services

if TYPE_CHECKING:
    import polars as pl

__all__ = ["compute_features", "feature_frames", "raw_rows"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def raw_rows(frame: pl.DataFrame) -> tuple[I64, F64]:
    """Stamps and values (n, 29) of source rows, NaN where absent: what the canonical form reads."""
    import polars as pl

    absent = pl.lit(float("nan"), dtype=pl.Float64)
    names = [pl.col(name).fill_null(float("nan")) if name in frame.columns else absent.alias(name) for name in COLUMNS]
    return frame["datetime"].to_numpy(), np.ascontiguousarray(frame.select(names).to_numpy())


class _Stretches:
    """Rows in arrival order, gathered until their stretch (a trading day, as a rule) is over."""

    def __init__(self, plan: FeaturePlan) -> None:
        self.plan = plan
        self.live: LiveCanonical = plan.live()
        self._held: list[LiveRows] = []
        self._stretch = -1
        self._day = -1
        self._left: dict[str, DaySummary] = {}
        self._params = plan.params

    def take(self, ts_ns: I64, raw: F64, until: int | None) -> Iterator[pl.DataFrame]:
        """Judge the next rows and give the stretches that are over."""
        rows = self.live.push_many(ts_ns, raw)
        rows = rows if until is None else rows.rows(ts_ns <= until)
        kept = np.flatnonzero(rows.code == 0)
        first = 0
        for place in np.flatnonzero(np.diff(rows.stretch[kept], prepend=self._stretch)).tolist():
            start = int(kept[place])
            if self._stretch >= 0:
                self._held.append(rows.rows(slice(first, start)))
                yield self._computed()
                first = start
            self._stretch, self._day = int(rows.stretch[start]), int(rows.day[start])
        self._held.append(rows.rows(slice(first, len(rows))))

    def rest(self) -> Iterator[pl.DataFrame]:
        """The last stretch, and rows of none."""
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
            history = history_of(self._left, facts.day)
            peers = peers_of_day(ticks.trading_day, ticks.ts_ns, peer=self.plan.peer, following=self.plan.following)
            found, summary = compute_day(
                ticks, facts.sessions, self.plan.chosen, params=self._params, history=history, peers=peers
            )
            values[kept] = found
            self._left[facts.day.iso] = summary
        return feature_frame(self.plan, rows.ts_ns, values, rows.code)


def feature_frames(plan: FeaturePlan, batches: Iterator[pl.DataFrame], *, until: int | None = None) -> Iterator[pl.DataFrame]:
    """Features of source rows, a frame per trading day (or stretch of one), in input order; ``until``: only rows with stamps up to it."""
    stretches = _Stretches(plan)
    for batch in batches:
        yield from stretches.take(*raw_rows(batch), until)
    yield from stretches.rest()


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
    factors: Path | None = None,
    peer: Path | None = None,
    following: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> FeaturesReport:
    """Compute factors of every row of a tick file into a Parquet file. Memory: a few batches and one trading day, and the whole files
    of ``peer`` and ``following`` (another instrument, the next main contract), which the cross-asset factors read.

    Raises DataError for a file that cannot be read, CalendarError for stamps of days that nobody knows.
    """
    started = services.clock.monotonic_ns()
    require_another_file(path, out)
    resolved, batches = read_tick_batches(path, symbol=symbol, mapping=None if mapping is None else load_mapping(mapping))
    plan = plan_features(services, resolved, set_name, params=params, in_sample=in_sample, factors=factors)
    others = [
        None if other is None else load_peer(other, resolved, plan.calendar, plan.instruments) for other in (peer, following)
    ]
    plan = replace(plan, peer=others[0], following=others[1])
    progress.start("features", 0)
    with FeatureWriter(out, plan, services.tool_version) as writer:
        for frame in feature_frames(plan, batches, until=until):
            writer.write(frame)
            progress.advance(len(frame), note=f"{writer.rows:,} rows")
    progress.finish(f"{writer.rows:,} rows")
    return features_report(plan, writer, until=until, seconds=round(elapsed_s(services.clock, started), 3))
