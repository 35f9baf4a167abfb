"""Every label of a trading day, column by column, as the label cards name them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.data.day_ticks import DayTicks
from ghtrader.datasets.day_dataset import VoidReason
from ghtrader.datasets.labels.cost import passive_cost, taker_cost
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.labels.fees import taker_fees
from ghtrader.datasets.labels.fills import FILL_MODELS, fill_labels
from ghtrader.datasets.labels.runs import Runs, runs_of
from ghtrader.datasets.labels.spec import LabelSpec
from ghtrader.datasets.labels.taker import taker_labels
from ghtrader.datasets.labels.trades import step_trades
from ghtrader.datasets.labels.weights import uniqueness_weights

__all__ = ["ABSENT_CLASS", "Columns", "direction_columns", "fill_columns", "reason_names"]

Columns = dict[str, npt.NDArray[Any]]
#: Absent values: NaN in float columns, this in ``taker_class_H``, -1 in ``*_ticks``.
ABSENT_CLASS = -1
NS_PER_MS = 1_000_000


def reason_names(codes: npt.NDArray[np.uint8], kind: type[IntEnum]) -> npt.NDArray[np.object_]:
    """Names of stored codes in lower case, "" for `VoidReason.NONE`."""
    names = np.full(max(kind) + 1, "", dtype=np.object_)
    for item in kind:
        names[item] = "" if item is VoidReason.NONE else item.name.lower()
    return names[codes]


def direction_columns(ticks: DayTicks, spec: LabelSpec, *, runs: Runs | None = None) -> Columns:
    """Direction and taker labels and weights of every row: y, void, weight, taker_long, taker_short, taker_class, taker_void."""
    known = runs_of(ticks) if runs is None else runs
    fees = taker_fees(ticks.symbol, ticks.trading_day, spec.fee_ticks)
    y, void = direction_labels(ticks, spec.horizons, runs=known)
    columns: Columns = {}
    for index, horizon in enumerate(spec.horizons):
        taker = taker_labels(ticks, horizon, latency_snapshots=spec.latency_snapshots, fees=fees, runs=known)
        columns[f"y_{horizon}"] = y[:, index]
        columns[f"void_{horizon}"] = void[:, index]
        columns[f"weight_{horizon}"] = uniqueness_weights(known, horizon, void[:, index] == 0)
        columns[f"taker_long_{horizon}"] = taker.long
        columns[f"taker_short_{horizon}"] = taker.short
        columns[f"taker_class_{horizon}"] = taker.classes
        columns[f"taker_void_{horizon}"] = taker.void
    return columns


def fill_columns(ticks: DayTicks, spec: LabelSpec, *, runs: Runs | None = None) -> Columns:
    """Passive orders at both quotes under the three queue models, and their cost: fill, _end, _ticks, _seconds, cost, adverse."""
    known = runs_of(ticks) if runs is None else runs
    trades = step_trades(ticks, known.continuous & ~known.locked & ~np.isnan(known.mid))
    sides: tuple[Literal["bid", "ask"], ...] = ("bid", "ask")
    columns: Columns = {}
    for side in sides:
        fills = fill_labels(
            ticks,
            side,
            latency_ns=round(spec.latency_ms * NS_PER_MS),
            patience_ns=round(spec.patience_s * NS_PER_S),
            away_ticks=spec.away_ticks,
            runs=known,
            trades=trades,
        )
        filled, waited, seconds = fills.filled(), fills.ticks(), fills.seconds(ticks.ts_ns)
        passive = passive_cost(fills, known, spec.after, buys=side == "bid")
        for index, model in enumerate(FILL_MODELS):
            name = f"{side}_{model.name.lower()}"
            columns[f"fill_{name}"] = filled[:, index]
            columns[f"fill_{name}_end"] = fills.end[:, index]
            columns[f"fill_{name}_ticks"] = waited[:, index].astype(np.int32)
            columns[f"fill_{name}_seconds"] = seconds[:, index]
            columns[f"cost_{name}"] = passive.cost[:, index]
            columns[f"adverse_{name}"] = passive.adverse[:, index]
        taker = taker_cost(ticks, fills, known, spec.after, buys=side == "bid")
        columns[f"cost_{side}_taker"], columns[f"adverse_{side}_taker"] = taker.cost, taker.adverse
    return columns
