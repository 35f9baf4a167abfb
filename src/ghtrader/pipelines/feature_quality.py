"""Quality of every factor of a set, composed from the battery: values, intervals, and what can be said of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.factors.declaration import Factor
from ghtrader.datasets.quality.battery import Battery
from ghtrader.datasets.quality.decay import HalfLife, half_life
from ghtrader.datasets.quality.ic import correlation, partial_correlation
from ghtrader.datasets.quality.redundancy import clusters, rank_correlations, repeated
from ghtrader.pipelines.feature_cost import GroupCost
from ghtrader.research.bootstrap import Resampler

__all__ = ["CONTROLS", "FactorQuality", "Ic", "PartIc", "Redundancy", "factor_qualities", "redundancy"]

F64 = npt.NDArray[np.float64]

#: Marginal ICs are those after these two: what a first model knows already.
CONTROLS = ("F4", "F31")
PART_NAMES = ("night", "morning", "late morning", "afternoon")
BARS = 24
TAIL = 0.01
MIN_R2 = 0.5


class Ic(msgspec.Struct, frozen=True, kw_only=True):
    """Spearman IC with one horizon, its 95 % interval, Pearson's beside it; None where there is none.

    marginal: Spearman IC of what is left of the factor after F4 and F31 (of these two: after the other), at some horizons.
    """

    horizon: str
    rows: int
    ic: float | None
    low: float | None
    high: float | None
    pearson: float | None
    pearson_low: float | None
    pearson_high: float | None
    marginal: float | None = None
    marginal_low: float | None = None
    marginal_high: float | None = None


class PartIc(msgspec.Struct, frozen=True, kw_only=True):
    """Spearman IC within one session part, ranks taken within the part of a day."""

    part: str
    horizon: str
    rows: int
    ic: float | None
    low: float | None
    high: float | None


class FactorQuality(msgspec.Struct, frozen=True, kw_only=True):
    """One factor on these days.

    coverage: share of continuous rows with a value. nan_rate: share without one among rows with a two-sided book. psi, ks: by day,
    against the reference days. half_life: in snapshots, where the ICs of tick horizons decay and the strongest is not 0.
    cost_ns: the kernel group's measured time per row over its factors. same_as: factors that say the same. cluster: number on the
    correlation map. bars: counts of 24 equal bins between low and high: the 1 % and
    99 % quantile, or the extremes where these two are the same. absent: why there is no value.
    """

    id: str
    name: str
    unit: str
    group: str
    flip: str
    partner: str
    coverage: float
    nan_rate: float
    coverage_by_day: list[float]
    nan_rate_by_day: list[float]
    psi: list[float | None]
    ks: list[float | None]
    psi_max: float | None
    ks_max: float | None
    ic: list[Ic]
    parts: list[PartIc]
    half_life: HalfLife | None
    cost_ns: float | None
    constant: bool
    same_as: list[str]
    cluster: int
    bars: list[int]
    low: float | None
    high: float | None
    absent: str


class Redundancy(msgspec.Struct, frozen=True, kw_only=True):
    """Rank correlations of a row sample: ids in map order, cluster by id, constants, pairs that say the same with correlation."""

    order: list[str]
    cluster: dict[str, int]
    constant: list[str]
    same: list[tuple[str, str, float]]
    correlation: list[list[float | None]]


def _known(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


class _Bounded:
    """A statistic of (..., blocks) sums with bounds from resampled blocks: value, low, high, each (...)."""

    def __init__(self, value: F64, replicates: F64, width: float) -> None:
        known = np.isfinite(replicates)
        count = np.maximum(known.sum(axis=-1), 1)
        mean = np.where(known, replicates, 0.0).sum(axis=-1) / count
        square = np.where(known, (replicates - mean[..., None]) ** 2, 0.0).sum(axis=-1) / np.maximum(count - 1, 1)
        half = np.where(count > 1, width * np.sqrt(square), np.nan)
        self.value, self.low, self.high = value, np.clip(value - half, -1.0, 1.0), np.clip(value + half, -1.0, 1.0)

    def at(self, *place: int) -> tuple[float | None, float | None, float | None]:
        """Value, low and high in one place."""
        return _known(self.value[place]), _known(self.low[place]), _known(self.high[place])


def _bounded(sums: F64, resampler: Resampler) -> _Bounded:
    return _Bounded(correlation(sums.sum(axis=-1)), correlation(sums @ resampler.counts.T), resampler.width)


def _marginal(sums: F64, id_: str, resampler: Resampler) -> _Bounded:
    """After both controls; a control itself after the other."""
    taken = (id_ != CONTROLS[0], id_ != CONTROLS[1])
    value = partial_correlation(sums.sum(axis=-1), controls=taken)
    return _Bounded(value, partial_correlation(sums @ resampler.counts.T, controls=taken), resampler.width)


def _ics(
    id_: str, spearman: F64, pearson: F64, control: F64, horizons: Sequence[Horizon], controlled: Sequence[int], draw: Resampler
) -> list[Ic]:
    ranks, raw, left = _bounded(spearman, draw), _bounded(pearson, draw), _marginal(control, id_, draw)
    found: list[Ic] = []
    for at, horizon in enumerate(horizons):
        ic, low, high = ranks.at(at)
        pearson_ic, pearson_low, pearson_high = raw.at(at)
        marginal = left.at(controlled.index(at)) if at in controlled else (None, None, None)
        rows = int(spearman[0, at].sum())
        found.append(
            Ic(
                horizon=str(horizon), rows=rows, ic=ic, low=low, high=high,
                pearson=pearson_ic, pearson_low=pearson_low, pearson_high=pearson_high,
                marginal=marginal[0], marginal_low=marginal[1], marginal_high=marginal[2],
            )
        )  # fmt: skip
    return found


def _part_ics(part: F64, horizons: Sequence[Horizon], controlled: Sequence[int], draw: Resampler) -> list[PartIc]:
    found = _bounded(part, draw)
    rows = part[0].sum(axis=-1)
    out: list[PartIc] = []
    for at, column in enumerate(controlled):
        for number, name in enumerate(PART_NAMES):
            if rows[at, number]:
                ic, low, high = found.at(at, number)
                out.append(
                    PartIc(part=name, horizon=str(horizons[column]), rows=int(rows[at, number]), ic=ic, low=low, high=high)
                )
    return out


def _decay(ics: Sequence[Ic], horizons: Sequence[Horizon]) -> HalfLife | None:
    """The half-life over tick horizons, where the strongest IC differs from 0 and the curve explains the rest."""
    ticks = [(h.length, ic) for h, ic in zip(horizons, ics, strict=True) if h.unit == "ticks" and ic.ic is not None]
    if not ticks:
        return None
    strongest = max((ic for _, ic in ticks), key=lambda ic: abs(ic.ic or 0.0))
    if strongest.low is None or strongest.high is None or strongest.low <= 0.0 <= strongest.high:
        return None
    found = half_life(np.array([float(length) for length, _ in ticks]), np.array([ic.ic or 0.0 for _, ic in ticks]))
    return found if found is not None and found.r2 >= MIN_R2 else None


def _bars(column: F64) -> tuple[list[int], float | None, float | None]:
    known = column[np.isfinite(column)]
    if not len(known):
        return [], None, None
    low, high = np.quantile(known, [TAIL, 1.0 - TAIL])
    if low == high:  # nearly always one value: show the rest too
        low, high = known.min(), known.max()
    if low == high:
        return [len(known)], float(low), float(high)
    counts, _ = np.histogram(np.clip(known, low, high), bins=BARS, range=(low, high))
    return counts.tolist(), float(low), float(high)


def redundancy(factors: Sequence[Factor], sample: F64) -> Redundancy:
    """Constants, duplicates and clusters of a sample of rows (m, F)."""
    ids = [item.id for item in factors]
    found = rank_correlations(sample)
    order, cluster = clusters(found)
    constant, same = repeated(sample)
    return Redundancy(
        order=[ids[at] for at in order],
        cluster=dict(zip(ids, cluster, strict=True)),
        constant=[ids[at] for at in constant],
        same=[(ids[first], ids[second], value) for first, second, value in same],
        correlation=[[None if np.isnan(value) else round(float(value), 4) for value in row] for row in found],
    )


def _worst(by_day: Sequence[float | None]) -> float | None:
    return max((value for value in by_day if value is not None), default=None)


def factor_qualities(
    factors: Sequence[Factor],
    horizons: Sequence[Horizon],
    battery: Battery,
    costs: Sequence[GroupCost],
    doubles: Redundancy,
    draw: Resampler,
) -> list[FactorQuality]:
    """Quality of every factor, in the set's order."""
    sums, sample, counted = battery.sums, battery.sample, np.array([rows for _, rows in battery.rows], dtype=np.float64)
    coverage, absent, psi, ks = (np.array(table) for table in (battery.coverage, battery.absent, battery.psi, battery.ks))
    weights = counted / counted.sum() if counted.sum() else counted
    cost = {item.group: item.ns_per_factor for item in costs}
    out: list[FactorQuality] = []
    for at, item in enumerate(factors):
        tables = (sums.spearman[:, at], sums.pearson[:, at], sums.control[:, at])
        ics = _ics(item.id, *tables, horizons, battery.controlled, draw)
        bars, low, high = _bars(sample[:, at])
        by_day = [[_known(value) for value in table[:, at]] for table in (psi, ks)]
        out.append(
            FactorQuality(
                id=item.id,
                name=item.name,
                unit=item.unit,
                group=item.group,
                flip=item.flip,
                partner=item.partner,
                coverage=round(float(coverage[:, at].mean()), 6),
                nan_rate=round(float(absent[:, at] @ weights), 6),
                coverage_by_day=coverage[:, at].round(6).tolist(),
                nan_rate_by_day=absent[:, at].round(6).tolist(),
                psi=by_day[0],
                ks=by_day[1],
                psi_max=_worst(by_day[0]),
                ks_max=_worst(by_day[1]),
                ic=ics,
                parts=_part_ics(sums.part[:, at], horizons, battery.controlled, draw),
                half_life=_decay(ics, horizons),
                cost_ns=None if item.user else round(cost[item.kernel], 2),
                constant=item.id in doubles.constant,
                same_as=sorted({b if a == item.id else a for a, b, _ in doubles.same if item.id in {a, b}}),
                cluster=doubles.cluster[item.id],
                bars=bars,
                low=low,
                high=high,
                absent=(item.absent_reason or "no value on these days") if not bars else "",
            )
        )
    return out
