"""Quality of the fields of one trading day, by session: counts and rates. Flags, never edits. Pure.

Rows that canonical form has flagged already are not looked for again: its flags say where a book is crossed, disordered,
one-sided or shallow, so that a clean day costs a few passes over a few columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import TickFlag
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, LEVELS
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.verdict import ReasonCode

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DayRows", "Quality", "field_quality", "null_rate"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Quality = dict[str, dict[str, float]]

#: Neighbours further apart than this are no neighbours: a price may have moved.
NEIGHBOUR_NS = 2 * NS_PER_S
#: A book of fewer levels than this is thin: its outer levels come and go.
DEEP = 3
#: Rows in a row without outer levels, at most, that count as zeroed by mistake.
ZEROED_RUN = 3
SPIKE_LOTS = 100.0
#: Volume steps that must all be even before a day is doubted.
EVEN_STEPS = 1000
WIDE_SHARE = 1e-3
#: Share of rows with a second level below which a day's feed supplies one level.
OUTER_SHARE = 0.01


class DayRows:
    """Columns of chosen rows of a frame as arrays, each taken once: floats with NaN for null, NaN throughout where absent."""

    def __init__(self, frame: pl.DataFrame, chosen: Mask | None = None) -> None:
        self._frame = frame
        self._chosen = chosen
        self._taken: dict[str, F64] = {}
        self.size = len(frame) if chosen is None else int(np.count_nonzero(chosen))

    def floats(self, name: str) -> F64:
        """A column as float64, (size,)."""
        if name not in self._taken:
            self._taken[name] = self._take(name)
        return self._taken[name]

    def _take(self, name: str) -> F64:
        if name not in self._frame.columns:
            return np.full(self.size, np.nan)
        series = self._frame[name]
        values: F64 = (series.fill_null(float("nan")) if series.null_count() else series).to_numpy()
        return values if self._chosen is None else values[self._chosen]

    def integers(self, name: str) -> npt.NDArray[np.int64]:
        """A column of integers without nulls, (size,), in its own width."""
        values: npt.NDArray[np.int64] = self._frame[name].to_numpy()
        return values if self._chosen is None else values[self._chosen]

    def absent(self, names: tuple[str, ...]) -> Mask:
        """Rows in which any of the columns is absent; a column that the frame lacks is absent in every row."""
        mask = np.zeros(self.size, dtype=np.bool_)
        for name in names:
            mask |= np.isnan(self.floats(name))
        return mask


def null_rate(frame: pl.DataFrame, columns: tuple[str, ...]) -> float | None:
    """Share of rows in which any of the columns is absent; fail-closed: a missing column is absent in every row.

    None when there are no rows to judge.
    """
    return None if frame.is_empty() else float(DayRows(frame).absent(columns).mean())


def _rate(absent: Mask, locked: Mask) -> float:
    """Share of absent rows among those that are not limit-locked; 0 on a day that was locked throughout."""
    judged = absent[~locked]
    return float(judged.mean()) if len(judged) else 0.0


def _flagged(flags: npt.NDArray[Any], flag: TickFlag) -> Mask:
    mask: Mask = (flags & np.uint32(flag)) != 0
    return mask


def _neighbours(ts: I64, part: I64) -> Mask:
    """Pairs of rows that follow each other closely in the same session part, (n - 1,)."""
    mask: Mask = (np.diff(part) == 0) & (np.diff(ts) <= NEIGHBOUR_NS)
    return mask


def _longest_run_s(mask: Mask, ts: I64, part: I64) -> float:
    """Longest time that a mask holds without a break of session, in seconds."""
    if not mask.any():
        return 0.0
    cut = np.concatenate(([True], (np.diff(part) != 0) | (np.diff(mask.astype(np.int8)) != 0)))
    starts = np.flatnonzero(cut)
    lasts = np.append(starts[1:], len(mask)) - 1
    held = mask[starts]
    return float((ts[lasts] - ts[starts])[held].max() / NS_PER_S)


def _zeroed(rows: DayRows, shallow: Mask, one_sided: Mask) -> int:
    """Rows with a touch but no outer level on either side, for at most a few rows between deep ones."""
    candidates = np.flatnonzero(shallow & ~one_sided)
    if not len(candidates):
        return 0
    sizes = np.stack([rows.floats(name) for name in (*BID_SIZES[1:], *ASK_SIZES[1:])])
    bare = shallow & ~one_sided & ~(sizes > 0).any(axis=0)
    if not bare.any():
        return 0
    depth = np.minimum((sizes[: LEVELS - 1] > 0).sum(axis=0), (sizes[LEVELS - 1 :] > 0).sum(axis=0)) + 1
    if float(np.median(depth)) < DEEP:
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bare, [False])).astype(np.int8)))
    found = 0
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        around = [row for row in (start - 1, stop) if 0 <= row < len(bare)]
        if stop - start <= ZEROED_RUN and all(depth[row] >= DEEP for row in around):
            found += int(stop - start)
    return found


def _levels(rows: DayRows, disordered: Mask) -> tuple[int, int]:
    """(rows with levels out of order or a hole between them, rows with the same price on two levels)."""
    chosen = np.flatnonzero(disordered)
    if not len(chosen):
        return 0, 0
    bids = np.stack([rows.floats(name)[chosen] for name in BID_PRICES])
    asks = np.stack([rows.floats(name)[chosen] for name in ASK_PRICES])
    with np.errstate(invalid="ignore"):
        repeated = (bids[1:] == bids[:-1]).any(axis=0) | (asks[1:] == asks[:-1]).any(axis=0)
        wrong = (bids[1:] > bids[:-1]).any(axis=0) | (asks[1:] < asks[:-1]).any(axis=0)
    return int(np.count_nonzero(wrong | ~repeated)), int(np.count_nonzero(repeated))


def _prices(rows: DayRows, near: Mask, limits: Thresholds) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("last_price", BID_PRICES[0], ASK_PRICES[0]):
        values = rows.floats(name)
        with np.errstate(invalid="ignore"):
            jumps = near & (np.abs(np.diff(values)) > limits.price_jump_share * values[:-1])
        found[name] = float(np.count_nonzero(jumps))
    return found


def _volume(volume: F64, near: Mask, limits: Thresholds) -> dict[str, float]:
    steps = np.diff(volume)[near]
    traded = steps[steps > 0]
    if not len(traded):
        return {"spikes": 0.0, "step_p999": 0.0, "odd_steps": 0.0, "steps": 0.0, "fractional": 0.0}
    usual = float(np.quantile(steps, 0.999))
    spikes = np.count_nonzero(traded > max(SPIKE_LOTS, limits.volume_spike_ratio * usual))
    return {
        "spikes": float(spikes),
        "step_p999": usual,
        "odd_steps": float(np.count_nonzero(traded % 2 != 0)),
        "steps": float(len(traded)),
        "fractional": float(np.mean(traded % 1 != 0)),
    }


def _spread(rows: DayRows, limits: Thresholds) -> dict[str, float]:
    spread = rows.floats(ASK_PRICES[0]) - rows.floats(BID_PRICES[0])
    spread = spread[spread > 0]
    if not len(spread):
        return {"median": 0.0, "wide_rate": 0.0}
    median = float(np.median(spread))
    return {"median": round(median, 9), "wide_rate": float(np.mean(spread > limits.wide_spread_ratio * median))}


def field_quality(rows: DayRows, limits: Thresholds) -> tuple[Quality, list[ReasonCode]]:
    """Quality by field and metric, and what is to be said about it.

    rows: the day's canonical rows of continuous trading, in time order. Counts are rows; rates are shares of rows.
    """
    ts, part, flags = rows.integers("datetime"), rows.integers("part"), rows.integers("flags")
    near = _neighbours(ts, part)
    one_sided, locked = _flagged(flags, TickFlag.ONE_SIDED), _flagged(flags, TickFlag.AT_LIMIT)
    l1 = _rate(rows.absent((BID_PRICES[0], ASK_PRICES[0])), locked)
    l5 = _rate(rows.absent((*BID_PRICES, *ASK_PRICES)), locked)
    disordered, repeated = _levels(rows, _flagged(flags, TickFlag.DISORDERED_LEVELS))
    amount, volume = rows.floats("amount"), rows.floats("volume")
    rates = {name: float(np.isnan(rows.floats(name)).mean()) for name in ("last_price", BID_PRICES[0], ASK_PRICES[0])}
    jumps = _prices(rows, near, limits)
    fell = int(np.count_nonzero((np.diff(amount) < 0) & (np.diff(volume) >= 0) & (np.diff(part) == 0)))
    quality: Quality = {
        "book": {
            "null_rate_l1": l1,
            "null_rate_l5": l5,
            "outer_rate": float(1.0 - np.mean(rows.absent((BID_PRICES[1],)) & rows.absent((ASK_PRICES[1],)))),
            "crossed": float(np.count_nonzero(_flagged(flags, TickFlag.CROSSED))),
            "one_sided": float(np.count_nonzero(one_sided)),
            "missing_side_longest_s": _longest_run_s(one_sided & ~locked, ts, part),
            "disordered_levels": float(disordered),
            "repeated_levels": float(repeated),
            "zeroed_levels": float(_zeroed(rows, _flagged(flags, TickFlag.SHALLOW), one_sided)),
            "at_limit": float(np.count_nonzero(locked)),
            "off_tick": float(np.count_nonzero(_flagged(flags, TickFlag.OFF_TICK))),
        },
        **{name: {"null_rate": rates[name], "jumps": jumps[name]} for name in rates},
        "volume": {"fell": float(np.count_nonzero(_flagged(flags, TickFlag.VOLUME_FELL))), **_volume(volume, near, limits)},
        "amount": {"fell": float(fell)},
        "spread": _spread(rows, limits),
        "datetime": {
            "respaced": float(np.count_nonzero(_flagged(flags, TickFlag.RESPACED))),
            "not_increasing": float(np.count_nonzero(np.diff(ts) <= 0)),
            "late": float(np.count_nonzero(_flagged(flags, TickFlag.LATE))),
        },
    }
    return quality, _reasons(quality, limits, halved=bool(_flagged(flags, TickFlag.HALVED).any()))


def _reasons(quality: Quality, limits: Thresholds, *, halved: bool) -> list[ReasonCode]:
    book, volume, stamps = quality["book"], quality["volume"], quality["datetime"]
    level1 = book["outer_rate"] < OUTER_SHARE and book["null_rate_l1"] < 1.0
    doubt = volume["fractional"] > 0 if halved else volume["steps"] >= EVEN_STEPS and volume["odd_steps"] == 0
    checks = {
        ReasonCode.NULL_RATE_L1: book["null_rate_l1"] > limits.null_rate_l1_max,
        ReasonCode.LEVEL1_ONLY: level1,
        ReasonCode.NULL_RATE_L5: book["null_rate_l5"] > limits.null_rate_l5_max and not level1,
        ReasonCode.CROSSED_BOOKS: book["crossed"] > 0,
        ReasonCode.MISSING_SIDE: book["missing_side_longest_s"] > limits.missing_side_s,
        ReasonCode.DISORDERED_LEVELS: book["disordered_levels"] > 0,
        ReasonCode.REPEATED_LEVELS: book["repeated_levels"] > 0,
        ReasonCode.ZEROED_LEVELS: book["zeroed_levels"] > 0,
        ReasonCode.OFF_TICK: book["off_tick"] > 0,
        ReasonCode.PRICE_JUMPS: any(quality[name]["jumps"] > 0 for name in ("last_price", BID_PRICES[0], ASK_PRICES[0])),
        ReasonCode.VOLUME_FELL: volume["fell"] > 0,
        ReasonCode.AMOUNT_FELL: quality["amount"]["fell"] > 0,
        ReasonCode.VOLUME_SPIKES: volume["spikes"] > 0,
        ReasonCode.WIDE_SPREADS: quality["spread"]["wide_rate"] > WIDE_SHARE,
        ReasonCode.LATE_ROWS: stamps["late"] > 0,
        ReasonCode.RESPACED_STAMPS: stamps["respaced"] > 0,
        ReasonCode.TIME_NOT_INCREASING: stamps["not_increasing"] > 0,
        ReasonCode.TWO_SIDED_VOLUME: halved,
        ReasonCode.TWO_SIDED_DOUBT: doubt,
    }
    return [code for code, holds in checks.items() if holds]
