"""The sixteen factors of `minimal16` as one would write them in numpy, pandas and polars: the same numbers (tested), for timing.

Input is one day of rows that all count (generated days have no one-sided books); runs are numbered by session part and break. Each
function returns float64 (n, 16) in the order of the set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.engine import part_ends

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["by_numpy", "by_pandas", "by_polars", "counting_rows"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
NS = 1e9
LN2_20 = np.log(2.0) / 20.0
BASE_RATE = 0.1
#: Half-lives that one exponential in float64 may span.
SPAN = 500.0


def counting_rows(ticks: DayTicks) -> DayTicks:
    """The rows of continuous trading, breaks kept."""
    return ticks.rows(ticks.phase == int(Phase.CONTINUOUS))


def _events(t: DayTicks, unit: float) -> dict[str, F64 | I64]:
    """What all three begin with: differences to the previous row of the run, 0 on a run's first row."""
    first = t.break_before.copy()
    first[0] = True
    b, a, bq, aq = t.bid_px[:, 0], t.ask_px[:, 0], t.bid_sz[:, 0].astype(float), t.ask_sz[:, 0].astype(float)
    shifted = {name: np.concatenate([value[:1], value[:-1]]) for name, value in (("b", b), ("a", a), ("B", bq), ("A", aq))}
    pb, pa, pbq, paq = shifted["b"], shifted["a"], shifted["B"], shifted["A"]
    event = np.where(b >= pb, bq, 0.0) - np.where(b <= pb, pbq, 0.0) - np.where(a <= pa, aq, 0.0) + np.where(a >= pa, paq, 0.0)
    gone_bid = np.where(b == pb, np.maximum(0.0, pbq - bq), np.where(b < pb, pbq, 0.0))
    gone_ask = np.where(a == pa, np.maximum(0.0, paq - aq), np.where(a > pa, paq, 0.0))
    lots, turnover, interest = (np.diff(value, prepend=value[0]) for value in (t.volume, t.amount, t.open_interest))
    with np.errstate(divide="ignore", invalid="ignore"):
        price = turnover / (lots * unit)
        inside = (price >= pb) & (price <= pa)
        low, high = np.where(inside, pb, np.minimum(pb, b)), np.where(inside, pa, np.maximum(pa, a))
        signed = np.where(lots > 0, np.clip((2.0 * price - low - high) / (high - low), -1.0, 1.0) * lots, 0.0)
    mid = (b + a) / 2.0
    moved = np.diff(mid, prepend=mid[0])
    out: dict[str, F64 | I64] = {
        "e": event, "gone_bid": gone_bid, "gone_ask": gone_ask, "sv": signed, "so": np.sign(signed) * interest, "dm2": moved * moved,
    }  # fmt: skip
    for value in out.values():
        value[first] = 0.0
    return {**out, "run": np.cumsum(first), "ts": t.ts_ns, "mid": mid, "depth": (bq + aq) / 2.0, "B": bq, "A": aq}


def _finish(t: DayTicks, ends: I64, flows: dict[str, F64], depth: F64, volatility: F64, returns: list[F64]) -> F64:
    """The columns in the set's order, from the decayed sums."""
    bq, aq = t.bid_sz[:, 0].astype(float), t.ask_sz[:, 0].astype(float)
    bids, asks = t.bid_sz.sum(axis=1).astype(float), t.ask_sz.sum(axis=1).astype(float)
    spread = (t.ask_px[:, 0] - t.bid_px[:, 0]).astype(float)
    first = (bq - aq) / (bq + aq)
    bid, ask = (flows["gone_bid"] * LN2_20 + BASE_RATE) / bq, (flows["gone_ask"] * LN2_20 + BASE_RATE) / aq
    columns = [
        spread, first, (bids - asks) / (bids + asks), spread * first / 2.0,
        flows["e2"] / depth, flows["e20"] / depth, flows["e60"] / depth, flows["sv5"], flows["sv60"], flows["so60"],
        *returns, np.sqrt(volatility), 0.5 * (ask - bid) / (ask + bid), (ends - t.ts_ns) / 60e9,
    ]  # fmt: skip
    return np.column_stack(columns)


#: name -> (event, half-life in seconds) of the decayed sums.
FLOWS = {
    "e2": ("e", 2.0), "e20": ("e", 20.0), "e60": ("e", 60.0), "sv5": ("sv", 5.0), "sv60": ("sv", 60.0), "so60": ("so", 60.0),
    "gone_bid": ("gone_bid", 20.0), "gone_ask": ("gone_ask", 20.0),
}  # fmt: skip


# --- numpy: decayed sums as scaled cumulative sums, in stretches that float64 can span -------------------------------------
def _numpy_flow(x: F64, seconds: F64, starts: I64, half: float) -> F64:
    out = np.empty_like(x)
    for start, stop in zip(starts, [*starts[1:], len(x)], strict=True):
        carry, at = 0.0, start
        while at < stop:
            end = int(np.searchsorted(seconds[at:stop], seconds[at] + SPAN * half, side="right")) + at
            power = (seconds[at:end] - seconds[at]) / half
            if at > start:
                carry *= 2.0 ** (-(seconds[at] - seconds[at - 1]) / half)
            out[at:end] = (np.cumsum(x[at:end] * 2.0**power) + carry) * 2.0**-power
            carry, at = float(out[end - 1]), end
    return out


def _numpy_level(x: F64, seconds: F64, starts: I64, half: float) -> F64:
    weight = 1.0 - 2.0 ** (-np.diff(seconds, prepend=seconds[0]) / half)
    weight[starts] = 1.0
    return _numpy_flow(x * weight, seconds, starts, half)


def by_numpy(t: DayTicks, sessions: DaySessions) -> F64:
    """Vectorised numpy."""
    x = _events(t, t.price_tick * t.multiplier)
    seconds, run, mid = (t.ts_ns - t.ts_ns[0]) / NS, np.asarray(x["run"]), np.asarray(x["mid"])
    starts = np.flatnonzero(np.diff(run, prepend=0))
    flows = {name: _numpy_flow(np.asarray(x[event]), seconds, starts, half) for name, (event, half) in FLOWS.items()}
    returns = []
    for window in (2, 10, 60):
        at = np.searchsorted(t.ts_ns, t.ts_ns - window * 10**9, side="right") - 1
        known = (at >= 0) & (run[at] == run)
        returns.append(np.where(known, mid - mid[at], np.nan))
    depth, dm2 = np.asarray(x["depth"], dtype=np.float64), np.asarray(x["dm2"], dtype=np.float64)
    volatility = _numpy_level(dm2, seconds, starts, 60.0)
    return _finish(t, part_ends(t, sessions), flows, _numpy_level(depth, seconds, starts, 300.0), volatility, returns)


# --- polars: ewm_mean_by is the level; a flow is the level of x / (1 - weight) ---------------------------------------------
def by_polars(t: DayTicks, sessions: DaySessions) -> F64:
    """Polars expressions over runs."""
    import polars as pl

    x = _events(t, t.price_tick * t.multiplier)
    frame = pl.DataFrame(x).with_columns(at=pl.from_epoch("ts", time_unit="ns"))
    dt = (pl.col("ts") - pl.col("ts").shift(1)).over("run") / NS

    def level(value: pl.Expr, half: float) -> pl.Expr:
        return value.ewm_mean_by("at", half_life=f"{int(half * 1000)}ms").over("run")

    def flow(event: str, half: float) -> pl.Expr:
        return level((pl.col(event) / (1.0 - 0.5 ** (dt / half))).fill_null(0.0).fill_nan(0.0), half)

    done = frame.select(
        *(flow(event, half).alias(name) for name, (event, half) in FLOWS.items()),
        level(pl.col("depth"), 300.0).alias("level_depth"),
        level(pl.col("dm2"), 60.0).alias("level_dm2"),
    )
    returns = []
    for window in (2, 10, 60):
        asked = frame.select("run", "mid", at=pl.col("ts") - window * 10**9).set_sorted("at")
        known = frame.select("run", old="mid", at="ts").set_sorted("at")
        joined = asked.join_asof(known, on="at", by="run", check_sortedness=False)
        returns.append((joined["mid"] - joined["old"]).to_numpy())
    flows = {name: done[name].to_numpy() for name in FLOWS}
    return _finish(t, part_ends(t, sessions), flows, done["level_depth"].to_numpy(), done["level_dm2"].to_numpy(), returns)


# --- pandas: ewm with times knows only means that forget their beginning; so decayed sums over runs by numpy, the rest by pandas --
def by_pandas(t: DayTicks, sessions: DaySessions) -> F64:
    """Pandas: group by run, `merge_asof` for returns; its time-weighted ewm divides by the sum of weights, which is multiplied back."""
    import pandas as pd

    x = _events(t, t.price_tick * t.multiplier)
    frame = pd.DataFrame({**x, "at": pd.to_datetime(t.ts_ns)})
    pieces = [_pandas_run(piece) for _, piece in frame.groupby("run", sort=False)]
    done = pd.concat(pieces)
    returns = []
    for window in (2, 10, 60):
        asked = frame[["run", "mid", "at"]].assign(at=frame["at"] - pd.Timedelta(seconds=window))
        known = frame[["run", "mid", "at"]].rename(columns={"mid": "old"})
        joined = pd.merge_asof(asked, known, on="at", by="run")
        returns.append((joined["mid"] - joined["old"]).to_numpy())
    flows = {name: done[name].to_numpy() for name in FLOWS}
    return _finish(t, part_ends(t, sessions), flows, done["level_depth"].to_numpy(), done["level_dm2"].to_numpy(), returns)


def _pandas_run(piece: pd.DataFrame) -> pd.DataFrame:
    """Decayed sums of one run: mean x sum of weights."""
    import pandas as pd

    out: dict[str, Any] = {}
    weights: dict[float, F64] = {}
    seconds = (piece["ts"] - piece["ts"].iloc[0]).to_numpy() / NS
    start = np.array([0])
    for half in {half for _, half in FLOWS.values()}:
        weights[half] = _numpy_flow(np.ones(len(piece)), seconds, start, half)
    for name, (event, half) in FLOWS.items():
        out[name] = piece[event].ewm(halflife=pd.Timedelta(seconds=half), times=piece["at"]).mean() * weights[half]
    for name, column, half in (("level_depth", "depth", 300.0), ("level_dm2", "dm2", 60.0)):
        taken = 1.0 - 0.5 ** (np.diff(seconds, prepend=seconds[0]) / half)
        taken[0] = 1.0
        weighted = (piece[column] * taken).ewm(halflife=pd.Timedelta(seconds=half), times=piece["at"]).mean()
        out[name] = weighted * _numpy_flow(np.ones(len(piece)), seconds, start, half)
    return pd.DataFrame(out, index=piece.index)
