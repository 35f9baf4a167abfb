"""The truth machine: does the pipeline credit what was planted, and nothing else?

The planted channel needs depth beyond level 2. Two models of one family are trained on the first six days, one with the
channel's factors, one without depth beyond level 1, and judged on the rest: the paired difference of their directional
AUC is the signal gain. An absolute test would not do, because a queue-reactive book is predictable by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.canonical import canonical_day
from ghtrader.data.day_ticks import DayTicks, from_frame
from ghtrader.data.ingest import canonical_frame
from ghtrader.datasets.build import build_day
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.catalogue import SETS, factor_set
from ghtrader.datasets.labels.classes import DOWN, UP
from ghtrader.datasets.splits import Fold
from ghtrader.research.bootstrap import Interval, Resampler, auc_table, block_ids, interval_auc, interval_auc_difference
from ghtrader.research.evaluation import predict_out_of_fold
from ghtrader.research.models.lightgbm import LightGbm
from ghtrader.research.training import fit_fold, score_of
from ghtrader.sim.market.generate import GeneratedDay

__all__ = ["TRUTH_HORIZON", "SignalTruth", "channel_datasets", "day_ticks", "narrow", "signal_truth"]

TRUTH_HORIZON = Horizon("ticks", 50)
TRAIN_DAYS = 6
MIN_TEST_DAYS = 2
TEST_STRIDE = 5
UNUSED_QUANTILE = 0.98


class SignalTruth(msgspec.Struct, frozen=True, kw_only=True):
    """signal_gain: paired AUC difference, channel minus no depth. directional_auc: of the model with the channel."""

    signal_gain: Interval
    directional_auc: Interval
    train_days: int
    test_days: int


def day_ticks(day: GeneratedDay) -> DayTicks:
    """A generated day as the arrays that ingest and store would give."""
    rows = canonical_day(
        day.ts_ns,
        day.columns,
        sessions=day.sessions,
        price_tick=day.price_tick,
        upper_limit=day.upper_limit,
        lower_limit=day.lower_limit,
    )
    frame = canonical_frame(rows, day.symbol, day.trading_day)
    return from_frame(frame, price_tick=day.price_tick, multiplier=day.multiplier)


def channel_datasets(days: Iterable[GeneratedDay], horizons: Sequence[Horizon] = (TRUTH_HORIZON,)) -> list[DayDataset]:
    """Datasets with the channel's factor set, straight from generated days, nothing stored."""
    chosen = factor_set("channel")
    return [build_day(day_ticks(day), day.sessions, chosen, horizons) for day in days]


def narrow(dataset: DayDataset, set_name: str) -> DayDataset:
    """The same rows with the factors of a smaller set; eligibility is that of the wider one."""
    return dataset.keep(SETS[set_name])


def _thin(dataset: DayDataset) -> DayDataset:
    """Every fifth row judged: labels overlap 50 snapshots, so little is lost and much time is saved."""
    kept = np.zeros(len(dataset), dtype=np.bool_)
    kept[::TEST_STRIDE] = True
    return replace(dataset, eligible=dataset.eligible & kept)


def signal_truth(datasets: Sequence[DayDataset], *, seed: int, replicates: int, threads: int) -> SignalTruth:
    """Signal gain and directional AUC of datasets with the ``channel`` set, days in order."""
    days: list[TradingDay] = [dataset.trading_day for dataset in datasets]
    if len(days) < TRAIN_DAYS + MIN_TEST_DAYS:
        raise DataError(
            f"{len(days)} days: the truth needs {TRAIN_DAYS} to train on and {MIN_TEST_DAYS} to test", hint="--days 26"
        )
    names = [day.iso for day in days]
    fold = Fold(number=1, train_days=tuple(names[:TRAIN_DAYS]), test_days=tuple(names[TRAIN_DAYS:]))
    thinned = [*datasets[:TRAIN_DAYS], *(_thin(dataset) for dataset in datasets[TRAIN_DAYS:])]
    tables = []
    for set_name in ("channel", "minimal15"):
        view = [narrow(dataset, set_name) for dataset in thinned]
        fitted = fit_fold(view, fold, TRUTH_HORIZON, LightGbm(), seed=seed, threads=threads, trade_quantile=UNUSED_QUANTILE)
        oof = predict_out_of_fold(view, [fitted])
        truth = np.concatenate(oof.classes)
        moved = (truth == DOWN) | (truth == UP)
        blocks = np.concatenate(block_ids(oof.ts_ns))
        score = score_of(np.concatenate(oof.probabilities))
        tables.append(auc_table(score[moved], truth[moved] == UP, blocks[moved], int(blocks.max()) + 1))
    resampler = Resampler(tables[0][0].shape[0], replicates=replicates, seed=seed)
    return SignalTruth(
        signal_gain=interval_auc_difference(tables[0], tables[1], resampler),
        directional_auc=interval_auc(tables[0], resampler),
        train_days=TRAIN_DAYS,
        test_days=len(names) - TRAIN_DAYS,
    )
