"""Factors and labels of a day, joined row by row with its ticks, and stored by what went in."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.ids import content_hash, short_id
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS, direction_labels

__all__ = ["DatasetStore", "build_day", "build_identity"]

LABEL_VERSION = 3
ARRAYS = ("ts_ns", "part", "break_before", "mid_ticks", "factors", "y", "void", "eligible")


def build_identity(
    data_digest: str,
    chosen: FactorSet,
    horizons: Sequence[Horizon],
    gaps: Sequence[object],
    schedule_hash: str = "",
    history: Sequence[float] = (),
    peers: Sequence[object] = (),
) -> str:
    """Identity of a day's dataset: data, factor set with kernel source, labels, known gaps (start and end), schedule, what earlier
    days left where the set reads it, and the peers' days where it looks at some.
    """
    named = [str(horizon) for horizon in horizons]
    left = [content_hash([repr(value) for value in history])] if history else []
    beside = [list(peers)] if peers else []
    return short_id([data_digest, chosen.set_hash, named, LABEL_VERSION, list(gaps), schedule_hash, *left, *beside])


def build_day(
    ticks: DayTicks,
    sessions: DaySessions,
    chosen: FactorSet,
    horizons: Sequence[Horizon] = DEFAULT_HORIZONS,
    *,
    build_hash: str = "",
    history: Sequence[float] = (),
    peers: npt.NDArray[np.float64] | None = None,
) -> DayDataset:
    """Factors and labels of one trading day. Pure: the same ticks give the same arrays, bit for bit.

    history: what earlier days of the contract left (`factors.history.history_array`); empty where nothing is known. peers: what the
    peer and the next contract showed (`factors.peers.stack_peers`).
    """
    factors = compute(ticks, sessions, chosen, history=np.array(history) if history else None, peers=peers)
    y, void = direction_labels(ticks, horizons)
    mid = ticks.mid_ticks
    own = [index for index, item in enumerate(chosen.factors) if not item.needs]
    eligible = (ticks.phase == int(Phase.CONTINUOUS)) & ~np.isnan(mid) & np.isfinite(factors[:, own]).all(axis=1)
    return DayDataset(
        symbol=ticks.symbol,
        trading_day=ticks.trading_day,
        ts_ns=ticks.ts_ns,
        part=ticks.part,
        break_before=ticks.break_before,
        mid_ticks=mid,
        factor_names=chosen.ids,
        factors=factors,
        horizons=tuple(horizons),
        y=y,
        void=void,
        eligible=eligible,
        build_hash=build_hash,
        schedule_hash=ticks.schedule_hash,
        segment_ids=tuple(int(segment) for segment in np.unique(ticks.segment_id)),
    )


class _Header(msgspec.Struct, frozen=True):
    symbol: str
    trading_day: str
    schedule_hash: str
    segment_ids: tuple[int, ...]
    factor_names: tuple[str, ...]
    horizons: tuple[Horizon, ...]
    build_hash: str


class DatasetStore:
    """Day datasets as uncompressed arrays under ``folder/symbol/day/build_hash.npz``; written atomically."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, symbol: str, day: TradingDay, build_hash: str) -> Path:
        return self._folder / symbol / day.iso / f"{build_hash}.npz"

    def load(self, symbol: str, day: TradingDay, build_hash: str) -> DayDataset | None:
        """The dataset of that identity; None when it was never built (or cannot be read: then it is built again)."""
        path = self._path(symbol, day, build_hash)
        try:
            with np.load(path, allow_pickle=False) as stored:
                header = msgspec.json.decode(stored["header"].tobytes(), type=_Header)
                arrays = {name: stored[name] for name in ARRAYS}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError):
            path.unlink(missing_ok=True)
            return None
        return DayDataset(
            symbol=header.symbol,
            trading_day=day,
            factor_names=header.factor_names,
            horizons=header.horizons,
            build_hash=header.build_hash,
            schedule_hash=header.schedule_hash,
            segment_ids=header.segment_ids,
            **arrays,
        )

    def save(self, dataset: DayDataset) -> None:
        """Store a dataset under its ``build_hash``."""
        path = self._path(dataset.symbol, dataset.trading_day, dataset.build_hash)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _Header(
            symbol=dataset.symbol,
            trading_day=dataset.trading_day.iso,
            schedule_hash=dataset.schedule_hash,
            segment_ids=dataset.segment_ids,
            factor_names=dataset.factor_names,
            horizons=dataset.horizons,
            build_hash=dataset.build_hash,
        )

        def write(target: Path) -> None:
            with target.open("wb") as stream:
                encoded = np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)
                np.savez(stream, header=encoded, **{name: getattr(dataset, name) for name in ARRAYS})

        write_atomically(path, write)
