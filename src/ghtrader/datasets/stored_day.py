"""A day's arrays as the frames that a feature store keeps, and the digest of their content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.ids import canonical_json
from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.labels.cost import ExecutionCost, passive_cost, taker_cost
from ghtrader.datasets.labels.day_labels import direction_columns
from ghtrader.datasets.labels.fills import FILL_MODELS, FillEnd, FillLabels, fill_labels
from ghtrader.datasets.labels.runs import Runs
from ghtrader.datasets.labels.spec import LabelSpec
from ghtrader.datasets.labels.trades import step_trades
from ghtrader.ports.feature_store import StoredDay

if TYPE_CHECKING:
    import polars as pl

__all__ = ["content_digest", "fill_frame", "frames_digest", "label_frame", "stored_day"]

NS_PER_MS = 1_000_000
SIDES: tuple[Literal["ask", "bid"], ...] = ("ask", "bid")
TAKER = "taker"
WORDS = {word: code for code, word in enumerate((*SIDES, *(model.name.lower() for model in FILL_MODELS), TAKER))}


def stored_day(dataset: DayDataset, labels: pl.DataFrame, fills: pl.DataFrame | None = None) -> StoredDay:
    """The frames of a dataset, with fill labels when there are any."""
    import polars as pl

    columns = {name: np.ascontiguousarray(dataset.factors[:, index]) for index, name in enumerate(dataset.factor_names)}
    features = pl.DataFrame({"datetime": dataset.ts_ns, **columns, "eligible": dataset.eligible})
    return StoredDay(features=features, labels=labels, fills=fills)


def label_frame(ticks: DayTicks, spec: LabelSpec, runs: Runs) -> pl.DataFrame:
    """Every label of every horizon, a row per tick, as `ports.feature_store` names the columns."""
    import polars as pl

    columns = {name: np.ascontiguousarray(values) for name, values in direction_columns(ticks, spec, runs=runs).items()}
    return pl.DataFrame({"datetime": ticks.ts_ns, **columns})


def fill_frame(ticks: DayTicks, spec: LabelSpec, runs: Runs) -> pl.DataFrame:
    """Every order that a day's rows could have placed, both sides, all queue models and the taker, with its cost; void rows have none."""
    import polars as pl

    trades = step_trades(ticks, runs.continuous & ~runs.locked & ~np.isnan(runs.mid))
    parts = []
    for side in SIDES:
        found = fill_labels(
            ticks,
            side,
            latency_ns=round(spec.latency_ms * NS_PER_MS),
            patience_ns=round(spec.patience_s * NS_PER_S),
            away_ticks=spec.away_ticks,
            runs=runs,
            trades=trades,
        )
        buys = side == "bid"
        parts += _passive(ticks, found, passive_cost(found, runs, spec.after, buys=buys), side)
        cost = taker_cost(ticks, found, runs, spec.after, buys=buys)
        placed = np.flatnonzero(~np.isnan(cost.cost))
        parts.append(_orders(ticks, side, TAKER, placed, found.arrival[placed], cost.cost, cost.adverse))
    return pl.concat(parts).sort("datetime", "side", "fill_model")


def _passive(ticks: DayTicks, found: FillLabels, cost: ExecutionCost, side: str) -> list[pl.DataFrame]:
    """Orders of one side, a frame per queue model."""
    import polars as pl

    parts = []
    for index, model in enumerate(FILL_MODELS):
        end, row = found.end[:, index], found.row[:, index]
        placed = np.flatnonzero(end != FillEnd.VOID)
        frame = _orders(ticks, side, model.name.lower(), placed, row[placed], cost.cost[:, index], cost.adverse[:, index])
        ends = pl.Series("filled", end[placed] == FillEnd.FILLED), pl.Series("censored", end[placed] >= FillEnd.BREAK)
        parts.append(frame.with_columns(*ends))
    return parts


def _orders(
    ticks: DayTicks,
    side: str,
    fill_model: str,
    placed: npt.NDArray[np.int64],
    seen: npt.NDArray[np.int64],
    cost: npt.NDArray[np.float64],
    adverse: npt.NDArray[np.float64],
) -> pl.DataFrame:
    """Orders decided at the rows ``placed`` and filled, or last seen, at the rows ``seen``."""
    import polars as pl

    return pl.DataFrame(
        {
            "datetime": ticks.ts_ns[placed],
            "side": pl.repeat(side, len(placed), eager=True, dtype=pl.String),
            "fill_model": pl.repeat(fill_model, len(placed), eager=True, dtype=pl.String),
            "filled": pl.repeat(True, len(placed), eager=True),
            "censored": pl.repeat(False, len(placed), eager=True),
            "time_to_fill_ns": ticks.ts_ns[seen] - ticks.ts_ns[placed],
            "cost": cost[placed],
            "adverse": adverse[placed],
        }
    )


def content_digest(dataset: DayDataset, labels: pl.DataFrame, fills: pl.DataFrame | None = None) -> str:
    """SHA-256 over every array of a day, by name, in a fixed byte order; NaN is one value, whatever bits it has."""
    digest = hashlib.sha256()
    digest.update(canonical_json([dataset.symbol, dataset.trading_day.iso, dataset.factor_names]))
    digest.update(canonical_json([str(horizon) for horizon in dataset.horizons]))
    for name in ("ts_ns", "part", "break_before", "mid_ticks", "factors", "eligible"):
        digest.update(name.encode())
        _feed(digest, getattr(dataset, name))
    for frame in (labels, fills):
        if frame is not None:
            _feed_frame(digest, frame)
    return digest.hexdigest()


def frames_digest(day: StoredDay) -> str:
    """SHA-256 over the frames that a store gives, the same from every store."""
    digest = hashlib.sha256()
    for frame in (day.features, day.labels, day.fills):
        if frame is not None:
            _feed_frame(digest, frame)
    return digest.hexdigest()


def _feed_frame(digest: hashlib._Hash, frame: pl.DataFrame) -> None:
    """Column by column; texts by their place in the vocabulary: two sides, three queue models, the taker."""
    import polars as pl

    for column in frame.iter_columns():
        digest.update(column.name.encode())
        coded = column.replace_strict(WORDS, return_dtype=pl.Int8) if column.dtype == pl.String else column
        _feed(digest, coded.to_numpy())


def _feed(digest: hashlib._Hash, values: npt.NDArray[np.generic]) -> None:
    assert values.dtype.kind in "bfiu"  # objects are addresses, and no content
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)
    little = values.dtype.newbyteorder("<")
    digest.update(f"{little.str}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values, dtype=little).data)
