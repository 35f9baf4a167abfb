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
from ghtrader.datasets.labels.fills import FILL_MODELS, FillEnd, fill_labels
from ghtrader.datasets.labels.runs import runs_of
from ghtrader.datasets.labels.spec import LabelSpec
from ghtrader.datasets.labels.trades import step_trades
from ghtrader.ports.feature_store import StoredDay

if TYPE_CHECKING:
    import polars as pl

__all__ = ["content_digest", "fill_frame", "stored_day"]

NS_PER_MS = 1_000_000
SIDES: tuple[Literal["ask", "bid"], ...] = ("ask", "bid")
WORDS = {word: code for code, word in enumerate((*SIDES, *(model.name.lower() for model in FILL_MODELS)))}


def stored_day(dataset: DayDataset, fills: pl.DataFrame | None = None) -> StoredDay:
    """The frames of a dataset, with fill labels when there are any."""
    import polars as pl

    stamps = pl.Series("datetime", dataset.ts_ns)
    columns = {name: np.ascontiguousarray(dataset.factors[:, index]) for index, name in enumerate(dataset.factor_names)}
    features = pl.DataFrame({"datetime": stamps, **columns, "eligible": dataset.eligible})
    labels: dict[str, object] = {"datetime": stamps}
    for index, horizon in enumerate(dataset.horizons):
        labels[f"y_{horizon}"] = np.ascontiguousarray(dataset.y[:, index])
        labels[f"void_{horizon}"] = np.ascontiguousarray(dataset.void[:, index])
    return StoredDay(features=features, labels=pl.DataFrame(labels), fills=fills)


def fill_frame(ticks: DayTicks, spec: LabelSpec) -> pl.DataFrame:
    """Fill labels of every order that a day's rows could have placed, both sides and all queue models; void rows have none."""
    import polars as pl

    runs = runs_of(ticks)
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
        for index, model in enumerate(FILL_MODELS):
            end, row = found.end[:, index], found.row[:, index]
            placed = np.flatnonzero(end != FillEnd.VOID)
            parts.append(
                pl.DataFrame(
                    {
                        "datetime": ticks.ts_ns[placed],
                        "side": pl.repeat(side, len(placed), eager=True, dtype=pl.String),
                        "fill_model": pl.repeat(model.name.lower(), len(placed), eager=True, dtype=pl.String),
                        "filled": end[placed] == FillEnd.FILLED,
                        "censored": end[placed] >= FillEnd.BREAK,
                        "time_to_fill_ns": ticks.ts_ns[row[placed]] - ticks.ts_ns[placed],
                    }
                )
            )
    return pl.concat(parts).sort("datetime", "side", "fill_model")


def content_digest(dataset: DayDataset, fills: pl.DataFrame | None = None) -> str:
    """SHA-256 over every array of a day, by name, in a fixed byte order; NaN is one value, whatever bits it has."""
    import polars as pl

    digest = hashlib.sha256()
    digest.update(canonical_json([dataset.symbol, dataset.trading_day.iso, dataset.factor_names]))
    digest.update(canonical_json([str(horizon) for horizon in dataset.horizons]))
    for name in ("ts_ns", "part", "break_before", "mid_ticks", "factors", "y", "void", "eligible"):
        digest.update(name.encode())
        _feed(digest, getattr(dataset, name))
    for column in () if fills is None else fills.iter_columns():
        digest.update(column.name.encode())
        # texts by their place in the vocabulary: two sides, three queue models
        _feed(
            digest,
            column.replace_strict(WORDS, return_dtype=pl.Int8).to_numpy() if column.dtype == pl.String else column.to_numpy(),
        )
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, values: npt.NDArray[np.generic]) -> None:
    assert values.dtype.kind in "bfiu"  # objects are addresses, and no content
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)
    little = values.dtype.newbyteorder("<")
    digest.update(f"{little.str}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values, dtype=little).data)
