"""Comparing the live path with the batch path: a recorded file line by line, stored days tick by tick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import file_sha256
from ghtrader.core.phases import Phase
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.readers import read_tick_batches
from ghtrader.data.sessions import DaySessions, sessions_for, trading_day_of
from ghtrader.datasets.factors.engine import FactorStream, compute_day, part_ends, part_starts
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.pipelines.feature_files import feature_frames
from ghtrader.pipelines.feature_session import FeaturePlan
from ghtrader.pipelines.feature_stream import stream_frames
from ghtrader.pipelines.known_gaps import stored_ticks
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Compared", "Mismatch", "compare_file", "compare_frames", "compare_stored", "compare_values", "stream_day"]

F64 = npt.NDArray[np.float64]


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """The first number that differs. row: from 0, within the file or the stored day. None: absent."""

    source: str
    row: int
    column: str
    stream: float | str | int | None
    batch: float | str | int | None


class Compared(msgspec.Struct, kw_only=True):
    """One file or stored day, with the identity of its rows."""

    name: str
    digest: str
    rows: int = 0
    days: int = 0
    mismatches: int = 0
    first: Mismatch | None = None


def _differences(
    found: Compared, column: str, batch: npt.NDArray[Any], stream: npt.NDArray[Any], different: npt.NDArray[np.bool_]
) -> None:
    """Count where a column differs; note the first."""
    count = int(np.count_nonzero(different))
    row = int(np.argmax(different)) if count else 0
    if count and (found.first is None or found.rows + row < found.first.row):
        found.first = Mismatch(
            source=found.name, row=found.rows + row, column=column, stream=_plain(stream[row]), batch=_plain(batch[row])
        )
    found.mismatches += count


def _plain(value: Any) -> float | str | int | None:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and plain != plain else plain  # noqa: PLR0124 - only NaN differs from itself


def _bits_differ(batch: F64, stream: F64) -> npt.NDArray[np.bool_]:
    both_absent = np.isnan(batch) & np.isnan(stream)
    different: npt.NDArray[np.bool_] = np.ascontiguousarray(batch).view(np.int64) != np.ascontiguousarray(stream).view(np.int64)
    return different & ~both_absent


def compare_values(found: Compared, names: Sequence[str], batch: F64, stream: F64) -> None:
    """Compare factors (n, F) of the next rows, and count the rows."""
    for place, name in enumerate(names):
        left, right = batch[:, place], stream[:, place]
        _differences(found, name, left, right, _bits_differ(left, right))
    found.rows += len(batch)


def compare_frames(found: Compared, plan: FeaturePlan, batch: pl.DataFrame, stream: pl.DataFrame) -> None:
    """Compare two frames of features, and count their rows."""
    for column in ("datetime", "dropped"):
        left, right = batch[column], stream[column]
        _differences(found, column, left.to_numpy(), right.to_numpy(), left.ne_missing(right).to_numpy())
    names = list(plan.chosen.ids)
    compare_values(found, names, batch.select(names).to_numpy(), stream.select(names).to_numpy())


def _in_pieces(frames: Iterator[pl.DataFrame], sizes: Iterator[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Frames of ``sizes`` beside the same rows of ``frames``."""
    import polars as pl

    held: pl.DataFrame | None = None
    for wanted in sizes:
        while held is None or len(held) < len(wanted):
            held = next(frames) if held is None else pl.concat([held, next(frames)])
        yield wanted, held.head(len(wanted))
        held = held.slice(len(wanted))


def compare_file(plan: FeaturePlan, path: Path) -> Compared:
    """A recorded stream: every line through the line path, the file through the batch path."""
    found = Compared(name=path.name, digest=file_sha256(str(path)))

    def rows() -> Iterator[pl.DataFrame]:
        return read_tick_batches(path, symbol=plan.symbol)[1]

    product, days = plan.instruments.product(plan.symbol).product, set()
    for batch, stream in _in_pieces(stream_frames(plan, rows()), feature_frames(plan, rows())):
        compare_frames(found, plan, batch, stream)
        kept = batch.filter(batch["dropped"].is_null())["datetime"]
        days |= {trading_day_of(int(stamp), product, plan.calendar, plan.instruments) for stamp in kept.head(1)}
    found.days = len(days)
    return found


def stream_day(ticks: DayTicks, sessions: DaySessions, plan: FeaturePlan, *, params: F64, history: F64) -> tuple[F64, DaySummary]:
    """A stored day tick by tick, as a live process goes through it."""
    live = FactorStream(plan.chosen, tick_value_cny=ticks.price_tick * ticks.multiplier, params=params, history=history)
    starts, ends = part_starts(ticks, sessions), part_ends(ticks, sessions)
    rolls = np.zeros(len(ticks), dtype=np.bool_)
    rolls[1:] = ticks.segment_id[1:] != ticks.segment_id[:-1]
    out = np.empty((len(ticks), len(plan.chosen.factors)))
    for row in range(len(ticks)):
        out[row] = live.step(
            int(ticks.ts_ns[row]),
            ticks.bid_px[row],
            ticks.bid_sz[row],
            ticks.ask_px[row],
            ticks.ask_sz[row],
            int(ticks.last_px[row]),
            float(ticks.volume[row]),
            float(ticks.amount[row]),
            float(ticks.open_interest[row]),
            break_before=bool(ticks.break_before[row]),
            continuous=bool(ticks.phase[row] == int(Phase.CONTINUOUS)),
            part=int(ticks.part[row]),
            part_start_ns=int(starts[row]),
            part_end_ns=int(ends[row]),
            new_contract=bool(rolls[row]),
        )
    return out, live.summary(ticks.trading_day.iso)


def compare_stored(
    services: Services, plan: FeaturePlan, keys: Sequence[DayKey], progress: Progress = NO_PROGRESS
) -> list[Compared]:
    """Stored days in order, known gaps as hard segments; what earlier days of the same contract left is carried on."""
    product = plan.instruments.product(plan.symbol).product
    results: list[Compared] = []
    batch_left: list[DaySummary] = []
    stream_left: list[DaySummary] = []
    contract = ""
    for key in keys:
        manifest = services.tick_store().manifest(key)
        ticks = stored_ticks(services, key)
        sessions = sessions_for(product, key.trading_day, plan.calendar, plan.instruments)
        if ticks.underlying_symbol != contract:
            contract, batch_left, stream_left = ticks.underlying_symbol, [], []
        found = Compared(
            name=f"{key.kind}/{key.symbol}/{key.trading_day}", digest="" if manifest is None else manifest.digest, days=1
        )
        batch, left = compute_day(ticks, sessions, plan.chosen, params=plan.params, history=history_array(batch_left))
        stream, also = stream_day(ticks, sessions, plan, params=plan.params, history=history_array(stream_left))
        compare_values(found, plan.chosen.ids, batch, stream)
        batch_left.append(left)
        stream_left.append(also)
        results.append(found)
        progress.advance(note=found.name)
    return results
