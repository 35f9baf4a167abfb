"""Frames of a sample day as a gateway would send them, and a model on their factors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
from tests.conftest import SAMPLES

from ghtrader.core.messages import MESSAGE_VERSION, AccountView, Heartbeat, TickFrame
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import read_ticks
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.session import FeaturePlan
from ghtrader.inference.linear import LinearArtefact, LinearPredictor
from ghtrader.inference.scaler import Scaler
from ghtrader.pipelines.feature_files import raw_rows
from ghtrader.trading.strategy.model import ModelBinding

SYMBOL = "SHFE.rb2510"


@cache
def sample_rows(day: str = "20250606") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    return raw_rows(read_ticks(SAMPLES / f"SHFE.rb2510.{day}.parquet").frame)


def plan(set_name: str = "minimal16", symbol: str = SYMBOL) -> FeaturePlan:
    return FeaturePlan(symbol, factor_set(set_name), Calendar.vendored(), InstrumentTable.vendored())


def predictor(names: tuple[str, ...], scale: float = 1.0) -> LinearPredictor:
    """A model with an opinion, not a good one: the sign of an imbalance."""
    zeros, ones = [0.0] * len(names), [scale] * len(names)
    scaler = Scaler(low=[-1e9] * len(names), high=[1e9] * len(names), centre=zeros, scale=ones)
    up = [3.0 if name == "F4" else 0.0 for name in names]
    weights = [[-weight for weight in up], zeros, up]
    return LinearPredictor(
        LinearArtefact(family="logistic", factor_names=names, scaler=scaler, weights=weights, intercepts=[0.0, 0.0, 0.0])
    )


def binding(symbol: str = SYMBOL, set_name: str = "minimal16", **other: object) -> ModelBinding:
    own = plan(set_name)
    return ModelBinding(symbol=symbol, plan=own, predictor=predictor(own.chosen.ids), threshold=0.2, **other)


def tick(row: int, seq: int, *, symbol: str = SYMBOL, session: str = "g1", shift_ns: int = 0) -> TickFrame:
    ts, raw = sample_rows()
    stamp = int(ts[row]) + shift_ns
    return TickFrame(MESSAGE_VERSION, session, seq, symbol, stamp, stamp, tuple(raw[row].tolist()))


def account(
    seq: int, *, symbol: str = SYMBOL, session: str = "g1", accepts: bool = True, reason: str = "", **held: object
) -> AccountView:
    known = {"position": 0, "working": 0, "target": 0, "target_session": "", "target_seq": 0, **held}
    return AccountView(
        version=MESSAGE_VERSION, session=session, seq=seq, ts_ns=0, symbol=symbol, mode="paper", accepts=accepts, reason=reason, **known
    )  # fmt: skip


def beat(seq: int, session: str = "g1") -> Heartbeat:
    return Heartbeat(MESSAGE_VERSION, session, seq, 0, "gateway")


def ticks(first: int, count: int, seq: int) -> Iterator[TickFrame]:
    """Rows that follow each other, numbered from ``seq`` on."""
    return (tick(first + place, seq + place) for place in range(count))
