"""Estimators of the fitted parameters (`parameters.PARAMETERS`), from the training days alone and never across a break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors import fit_regime
from ghtrader.datasets.factors.catalogue import factor
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.factors.parameters import PARAMETERS, FittedParameters, parameter_array

__all__ = ["FitSample", "fit_parameters", "fit_sample", "har", "micro_price", "ofi_weights"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MIN_ROWS = 5_000
AHEAD_NS = 60 * 10**9
TINY = 1e-4
BINS, SPREADS, IMBALANCES = 5, 3, 10
STATES = IMBALANCES * SPREADS
HAR_STRIDE = 20
STEPS = 500
MIN_VISITS = 100.0
READ = ("F1", "F4", "F25", "F26", "F27", "F28", "F29", "F31", "F68", "F77")
OFI = slice(2, 7)


@dataclass(frozen=True)
class FitSample:
    """Rows of one day that count. first: where a run begins. mid, spread: ticks. imbalance: F4. lots: traded since the row before.

    ofi: (n, 5) F25 to F29. logs: (n, 3) logarithms of the three variances of F77. state: (n, 4) what the regime looks at.
    """

    trading_day: str
    ts_ns: I64
    first: Bools
    mid: F64
    spread: F64
    imbalance: F64
    lots: F64
    ofi: F64
    logs: F64
    state: F64


def fit_sample(ticks: DayTicks, sessions: DaySessions) -> FitSample:
    """What the estimators read of one day."""
    chosen = FactorSet(name="fit", factors=tuple(factor(id_) for id_ in READ), set_hash="")
    values = compute(ticks, sessions, chosen)
    rows = np.flatnonzero(~np.isnan(values[:, 0]))
    run = np.cumsum(ticks.break_before)[rows]
    lots = np.diff(ticks.volume[rows], prepend=0.0)
    first = (np.diff(run, prepend=-1) != 0) | (lots < 0.0)
    lots[first] = 0.0
    logs = []
    for place in range(3):  # each slope alone gives its own logarithm
        slopes = tuple(float(place == other) for other in range(3))
        params = parameter_array({"har": (0.0, *slopes)})
        logs.append(compute(ticks, sessions, chosen, params=params)[rows, READ.index("F77")])
    flowing = fit_regime.decayed(ticks.ts_ns[rows], lots, first, 60.0)
    volatility, ofi2 = values[rows, READ.index("F68")], values[rows, READ.index("F31")]
    state = np.column_stack([np.log(volatility + 0.01), np.log1p(flowing), values[rows, 0], np.abs(ofi2)])
    mid = (ticks.bid_px[rows, 0] + ticks.ask_px[rows, 0]) / 2.0
    return FitSample(
        trading_day=ticks.trading_day.iso,
        ts_ns=ticks.ts_ns[rows],
        first=first,
        mid=mid,
        spread=values[rows, 0],
        imbalance=values[rows, 1],
        lots=lots,
        ofi=values[rows, OFI],
        logs=np.column_stack(logs),
        state=state,
    )


def fit_parameters(symbol: str, samples: Sequence[FitSample]) -> FittedParameters:
    """Every parameter from these days. Raises DataError when they hold too little."""
    rows = sum(len(sample.ts_ns) for sample in samples)
    traded = np.concatenate([sample.lots[sample.lots > 0.0] for sample in samples]) if samples else np.empty(0)
    if rows < MIN_ROWS or len(traded) < MIN_ROWS // 50:
        raise DataError(
            f"{rows} rows with {len(traded)} prints: at least {MIN_ROWS} rows are needed to fit",
            hint="name more days, or whole ones",
            days=[sample.trading_day for sample in samples],
        )
    values = {
        "micro": micro_price(samples),
        "sweep_lots": tuple(max(1.0, float(value)) for value in np.percentile(traded, (50, 90))),
        "ofi_weights": ofi_weights(np.concatenate([sample.ofi for sample in samples])),
        "large_lots": (float(np.percentile(traded, 99)),),
        "har": har(samples),
        "regime": fit_regime.regime([sample.state for sample in samples], [sample.first for sample in samples]),
    }
    return FittedParameters(
        symbol=symbol,
        days=tuple(sample.trading_day for sample in samples),
        first_ns=min(int(sample.ts_ns[0]) for sample in samples if len(sample.ts_ns)),
        last_ns=max(int(sample.ts_ns[-1]) for sample in samples if len(sample.ts_ns)),
        rows=rows,
        values={name: tuple(float(number) for number in values[name]) for name in PARAMETERS},
    )


def _states(imbalance: F64, spread: F64) -> I64:
    """State of a row: ten bins of the imbalance, mirror images of each other, by three spreads."""
    step = np.minimum(BINS - 1, np.floor(BINS * np.abs(imbalance))).astype(np.int64)
    place = np.where(imbalance >= 0.0, BINS + step, BINS - 1 - step)
    return np.asarray(place * SPREADS + np.minimum(SPREADS, spread).astype(np.int64) - 1, dtype=np.int64)


def micro_price(samples: Sequence[FitSample]) -> tuple[float, ...]:
    """Stoikov's limit of the expected mid, minus the mid, by (bin of \\|I1\\|, spread): the chain on rows, every row also mirrored.

    Bins that fewer than a hundred rows were in keep their neutral value.
    """
    stay, leave = np.zeros((STATES, STATES)), np.zeros((STATES, STATES))
    moved, visits = np.zeros(STATES), np.zeros(STATES)
    for sample in samples:
        follows = np.flatnonzero(~sample.first)
        change = sample.mid[follows] - sample.mid[follows - 1]
        for side in (1.0, -1.0):
            before = _states(side * sample.imbalance[follows - 1], sample.spread[follows - 1])
            after = _states(side * sample.imbalance[follows], sample.spread[follows])
            still = change == 0.0
            np.add.at(stay, (before[still], after[still]), 1.0)
            np.add.at(leave, (before[~still], after[~still]), 1.0)
            np.add.at(moved, before, side * change)
            np.add.at(visits, before, 1.0)
    scale = 1.0 / np.maximum(visits, 1.0)
    solve = np.linalg.inv(np.eye(STATES) * (1.0 + 1e-9) - stay * scale[:, None])
    step, onward = solve @ (moved * scale), solve @ (leave * scale[:, None])
    total, term = step.copy(), step
    for _ in range(STEPS):
        term = onward @ term
        total += term
        if np.abs(term).max() < 1e-9:
            break
    table = total.reshape(IMBALANCES, SPREADS)
    odd = (table[BINS:] - table[BINS - 1 :: -1]) / 2.0
    seen = (visits.reshape(IMBALANCES, SPREADS)[BINS:] >= MIN_VISITS) & np.isfinite(odd)
    neutral = np.array(PARAMETERS["micro"][1]).reshape(BINS, SPREADS)
    return tuple(np.where(seen, odd, neutral).ravel().tolist())


def ofi_weights(ofi: F64) -> tuple[float, ...]:
    """First principal component of F25 to F29 (n, 5), its sum positive, absolute weights summing to 1."""
    known = ofi[np.isfinite(ofi).all(axis=1)]
    if len(known) < MIN_ROWS // 50:
        return PARAMETERS["ofi_weights"][1]
    vector = np.linalg.eigh(np.cov(known.T))[1][:, -1]
    vector = vector * np.sign(vector.sum() or 1.0)
    return tuple((vector / np.abs(vector).sum()).tolist())


def har(samples: Sequence[FitSample]) -> tuple[float, ...]:
    """Least squares of ln(mean squared move of the next 60 s + 1e-4) on a constant and the three logarithms, within runs."""
    inputs, targets = [], []
    for sample in samples:
        run = np.cumsum(sample.first)
        squared = np.diff(sample.mid, prepend=sample.mid[:1]) ** 2
        squared[sample.first] = 0.0
        total = np.concatenate([[0.0], np.cumsum(squared)])
        rows = np.arange(0, len(run), HAR_STRIDE)
        ends = np.searchsorted(sample.ts_ns, sample.ts_ns[rows] + AHEAD_NS, side="right") - 1
        whole = (ends + 1 < len(run)) & (ends > rows)
        whole &= run[np.minimum(ends + 1, len(run) - 1)] == run[rows]
        rows, ends = rows[whole], ends[whole]
        inputs.append(sample.logs[rows])
        targets.append(np.log((total[ends + 1] - total[rows + 1]) / (ends - rows) + TINY))
    x, y = np.concatenate(inputs), np.concatenate(targets)
    if len(y) < 10 * x.shape[1]:
        return PARAMETERS["har"][1]
    found = np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]), y, rcond=None)[0]
    return tuple(found.tolist())
