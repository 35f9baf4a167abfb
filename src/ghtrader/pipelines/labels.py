"""Labels of a bare file of ticks, one row for each of its rows; the label cards for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import UsageError
from ghtrader.core.ids import canonical_json
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.day_dataset import VoidReason
from ghtrader.datasets.labels.day_labels import ABSENT_CLASS, Columns, direction_columns, fill_columns, reason_names
from ghtrader.datasets.labels.fees import TakerFees, taker_fees
from ghtrader.datasets.labels.fills import FillEnd
from ghtrader.datasets.labels.runs import runs_of
from ghtrader.datasets.labels.spec import LABEL_CARDS, LabelCard, LabelSpec, label_card, parse_horizon
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.tick_file import TickFile, load_tick_file
from ghtrader.pipelines.validate import thresholds_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LabelDay", "LabelReport", "LabelSpec", "card", "cards", "compute_labels", "label_spec"]


class LabelDay(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of the file: kept rows, gaps found in them, fees of its taker labels, share of rows with a label by horizon."""

    trading_day: str
    rows: int
    gaps: int
    fees: TakerFees
    labelled: dict[str, float]


class LabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. rows = kept + all of ``dropped``.

    void: rows without a direction label by horizon and reason. fills: share of orders filled within the patience by side and
    model, among those whose end was seen. mean_ticks: mean of net taker ticks and of passive cost and adverse move, by column.
    """

    symbol: str
    out: str
    rows: int
    kept: int
    dropped: dict[str, int]
    days: list[LabelDay]
    void: dict[str, dict[str, int]]
    fills: dict[str, float]
    mean_ticks: dict[str, float]
    columns: int
    spec: LabelSpec
    spec_hash: str
    notes: list[str]
    seconds: float


def cards() -> list[LabelCard]:
    """The card of every label."""
    return list(LABEL_CARDS)


def card(label_id: str) -> LabelCard:
    """One label's card; raises UsageError naming the nearest one."""
    return label_card(label_id)


def label_spec(horizons: Sequence[str] = (), *, after: str | None = None, **parameters: float | None) -> LabelSpec:
    """A label spec from what a command line says; what it does not say (None) keeps its default."""
    given: dict[str, object] = {name: value for name, value in parameters.items() if value is not None}
    if horizons:
        given["horizons"] = tuple(parse_horizon(text) for text in horizons)
    if after is not None:
        given["after"] = parse_horizon(after)
    return LabelSpec(**given)  # type: ignore[arg-type]


def compute_labels(
    services: Services,
    path: Path,
    out: Path,
    *,
    symbol: str | None = None,
    until_ns: int | None = None,
    spec: LabelSpec | None = None,
    mapping_file: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> LabelReport:
    """Label every row of a tick file and write them to ``out`` (Parquet), in the file's order.

    Evident holes, as validation judges them, are gaps; until_ns: rows stamped later are not read. Raises UsageError when
    ``out`` cannot be, and what :func:`load_tick_file` raises.
    """
    started, spec = services.clock.monotonic_ns(), spec or LabelSpec()
    if not out.parent.is_dir() or out.is_dir() or (out.exists() and out.samefile(path)):
        raise UsageError(f"{out} cannot be written: no file in an existing folder, or the input itself", path=str(out))
    file = load_tick_file(
        path, symbol, calendar_of(services), InstrumentTable.vendored(),
        until_ns=until_ns, mapping_file=mapping_file, gap_limits=thresholds_of(services.settings()),
    )  # fmt: skip
    progress.start("labels", len(file.days))
    parts: list[Columns] = []
    for day in file.days:
        runs = runs_of(day.ticks)
        parts.append({**direction_columns(day.ticks, spec, runs=runs), **fill_columns(day.ticks, spec, runs=runs)})
        progress.advance(note=day.ticks.trading_day.iso)
    frame = _frame(file, parts)
    metadata = {
        "kind": "labels",
        "symbol": file.symbol,
        "label_spec": canonical_json(msgspec.to_builtins(spec)).decode(),
        "label_spec_hash": spec.spec_hash,
        "taker_fees": canonical_json(
            {day.ticks.trading_day.iso: msgspec.to_builtins(_fees(day.ticks, spec)) for day in file.days}
        ).decode(),
        "source": path.name,
        "source_sha256": file.sha256,
        "until_ns": "" if until_ns is None else str(until_ns),
        "tool_version": services.tool_version,
    }
    write_atomically(out, lambda target: frame.write_parquet(target, compression="zstd", metadata=metadata))
    progress.finish(f"{file.rows:,} rows")
    return _report(file, parts, spec, out, frame.width, round(elapsed_s(services.clock, started), 3))


def _fees(ticks: DayTicks, spec: LabelSpec) -> TakerFees:
    return taker_fees(ticks.symbol, ticks.trading_day, spec.fee_ticks)


def _scattered(file: TickFile, values: Sequence[npt.NDArray[np.generic]], absent: object) -> npt.NDArray[np.generic]:
    """Values of the kept rows at their places in the file, ``absent`` elsewhere."""
    out = np.full(file.rows, absent, dtype=values[0].dtype)
    for day, part in zip(file.days, values, strict=True):
        out[day.arrival] = part
    return out


def _frame(file: TickFile, parts: Sequence[Columns]) -> pl.DataFrame:
    import polars as pl

    days = [np.full(len(day.arrival), day.ticks.trading_day.iso, dtype=np.object_) for day in file.days]
    frame: dict[str, pl.Series] = {
        "datetime": pl.Series(file.datetime_ns),
        "trading_day": pl.Series(_scattered(file, days, None), dtype=pl.String),
        "dropped": pl.Series(file.dropped, dtype=pl.String),
    }
    kept = pl.Series(file.dropped == "")
    for name in parts[0]:
        values = [part[name] for part in parts]
        kind = values[0].dtype.kind
        column = pl.Series(name, _scattered(file, values, np.nan if kind == "f" else 0))
        if kind == "f":
            frame[name] = column.fill_nan(None)
            continue
        frame[name] = _nulled(column, ~kept if kind == "u" else ~kept | (column == ABSENT_CLASS))
        if kind == "u":
            ends = FillEnd if name.startswith("fill_") else VoidReason
            words = [reason_names(part[name], ends) for part in parts]
            told = name.replace("void", "reason") if ends is VoidReason else name.removesuffix("_end") + "_reason"
            frame[told] = pl.Series(_scattered(file, words, None), dtype=pl.String)
    return pl.DataFrame(frame)


def _nulled(column: pl.Series, rows: pl.Series) -> pl.Series:
    import polars as pl

    return pl.select(pl.when(~rows).then(column).otherwise(None)).to_series()


def _mean(parts: Sequence[Columns], name: str) -> float:
    values = np.concatenate([part[name] for part in parts])
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 6) if len(known) else float("nan")


def _report(file: TickFile, parts: Sequence[Columns], spec: LabelSpec, out: Path, columns: int, seconds: float) -> LabelReport:
    reasons, counts = np.unique(file.dropped[file.dropped != ""].astype(str), return_counts=True)
    horizons = [str(horizon) for horizon in spec.horizons]
    void: dict[str, dict[str, int]] = {}
    for name in horizons:
        codes = np.bincount(np.concatenate([part[f"void_{name}"] for part in parts]), minlength=max(VoidReason) + 1)
        void[name] = {item.name.lower(): int(codes[item]) for item in VoidReason if item and codes[item]}
    orders = [name.removesuffix("_end") for name in parts[0] if name.endswith("_end")]
    means = [name for name in parts[0] if name.startswith(("taker_long_", "taker_short_", "cost_", "adverse_"))]
    return LabelReport(
        symbol=file.symbol,
        out=str(out),
        rows=file.rows,
        kept=sum(len(day.arrival) for day in file.days),
        dropped=dict(zip(reasons.tolist(), counts.tolist(), strict=True)),
        days=[
            LabelDay(
                trading_day=day.ticks.trading_day.iso,
                rows=len(day.ticks),
                gaps=day.gaps,
                fees=_fees(day.ticks, spec),
                labelled={name: round(float((part[f"void_{name}"] == 0).mean()), 4) for name in horizons},
            )
            for day, part in zip(file.days, parts, strict=True)
        ],
        void=void,
        fills={name.removeprefix("fill_"): _mean(parts, name) for name in orders},
        mean_ticks={name: _mean(parts, name) for name in means},
        columns=columns,
        spec=spec,
        spec_hash=spec.spec_hash,
        notes=list(file.notes),
        seconds=seconds,
    )
