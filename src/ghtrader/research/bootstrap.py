"""Block bootstrap: intervals for means, ratios and AUC from per-block sums; pairs share their resampled blocks.

Rows of one block are dependent (overlapping labels, one market mood); blocks are drawn with replacement. Blocks are 30
minutes below 20 test days, trading days from 20 on. The interval is the estimate plus and minus Student's t times the
bootstrap standard error, widened for the number of blocks, so that few blocks give wide intervals instead of false ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCK_NS",
    "Interval",
    "Resampler",
    "auc_table",
    "block_ids",
    "interval_auc",
    "interval_auc_difference",
    "interval_ratio",
]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

BLOCK_NS = 30 * 60 * 1_000_000_000
DAYS_FOR_DAY_BLOCKS = 20
SCORE_BINS = 2048
CONFIDENCE = 0.95


class Interval(msgspec.Struct, frozen=True):
    """An estimate with its interval (95 % unless said otherwise); NaN bounds where too few blocks allow none."""

    value: float
    low: float
    high: float


def block_ids(ts_ns: Sequence[I64]) -> list[I64]:
    """Block number of every row, per day: 30-minute blocks below 20 days, whole days from 20 on."""
    if len(ts_ns) >= DAYS_FOR_DAY_BLOCKS:
        return [np.full(len(stamps), day, dtype=np.int64) for day, stamps in enumerate(ts_ns)]
    blocks: list[I64] = []
    base = 0
    for stamps in ts_ns:
        _, index = np.unique(stamps // BLOCK_NS, return_inverse=True)
        blocks.append(index.astype(np.int64) + base)
        base += int(index.max()) + 1 if len(index) else 0
    return blocks


class Resampler:
    """How often each block is drawn in each replicate: (replicates, blocks) counts, drawn once and shared by pairs.

    ``width``: standard errors from the estimate to a bound; NaN for a single block.
    """

    def __init__(self, blocks: int, *, replicates: int, seed: int, confidence: float = CONFIDENCE) -> None:
        from scipy.stats import t

        self.blocks = blocks
        generator = np.random.default_rng(seed)
        self.counts = generator.multinomial(blocks, np.full(blocks, 1.0 / max(blocks, 1)), size=replicates).astype(np.float64)
        self.width = float(t.ppf(0.5 + confidence / 2.0, blocks - 1)) * np.sqrt(blocks / (blocks - 1)) if blocks > 1 else np.nan

    def interval(self, value: float, replicates: F64) -> Interval:
        """Interval around ``value`` from the statistic's replicates."""
        known = replicates[np.isfinite(replicates)]
        half = self.width * float(known.std(ddof=1)) if len(known) > 1 else np.nan
        return Interval(float(value), float(value - half), float(value + half))


def interval_ratio(numerator: F64, denominator: F64, resampler: Resampler) -> Interval:
    """Interval of sum(numerator)/sum(denominator), both given as per-block sums."""
    total = denominator.sum()
    value = float(numerator.sum() / total) if total else np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = (resampler.counts @ numerator) / (resampler.counts @ denominator)
    return resampler.interval(value, replicates)


def auc_table(score: F64, positive: npt.NDArray[np.bool_], blocks: I64, count: int) -> tuple[F64, F64]:
    """Histograms of scores by block, (blocks, bins) for positives and negatives; equal scores share a bin."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, SCORE_BINS + 1)[1:-1])) if len(score) else np.zeros(0)
    bins = np.searchsorted(edges, score, side="right")
    shape = (count, len(edges) + 1)
    flat = blocks * shape[1] + bins
    ups = np.bincount(flat[positive], minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    downs = np.bincount(flat[~positive], minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return ups, downs


def _auc(ups: F64, downs: F64) -> F64:
    """AUC of each row of summed histograms: P(score of an up > score of a down), ties count half."""
    below = np.cumsum(downs, axis=-1) - downs
    with np.errstate(invalid="ignore", divide="ignore"):
        value: F64 = (ups * (below + downs / 2.0)).sum(axis=-1) / (ups.sum(axis=-1) * downs.sum(axis=-1))
    return value


def interval_auc(table: tuple[F64, F64], resampler: Resampler) -> Interval:
    """Interval of the AUC of an :func:`auc_table`."""
    ups, downs = table
    value = float(_auc(ups.sum(axis=0), downs.sum(axis=0)))
    return resampler.interval(value, _auc(resampler.counts @ ups, resampler.counts @ downs))


def interval_auc_difference(first: tuple[F64, F64], second: tuple[F64, F64], resampler: Resampler) -> Interval:
    """Interval of AUC(first) - AUC(second) on the same rows, resampled together."""
    value = float(_auc(first[0].sum(axis=0), first[1].sum(axis=0)) - _auc(second[0].sum(axis=0), second[1].sum(axis=0)))
    one = _auc(resampler.counts @ first[0], resampler.counts @ first[1])
    two = _auc(resampler.counts @ second[0], resampler.counts @ second[1])
    return resampler.interval(value, one - two)
