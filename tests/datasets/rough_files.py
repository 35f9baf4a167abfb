"""Rough tick files: everything that arrives from a real feed on a bad day, in a few rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from hypothesis import strategies as st

from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.pipelines.feature_session import FeaturePlan

SYMBOL = "SHFE.au2512"
NAN = float("nan")
# Shanghai wall times where rules change: Thursday evening 2025-06-05 to Monday 2025-06-09, gold trades until 02:30
ANCHORS = [
    np.datetime64(text, "ns").astype(np.int64) - 8 * 3600 * 10**9
    for text in (
        "2025-06-04T20:58:59.500", "2025-06-04T20:59:59.500", "2025-06-04T23:59:59.500", "2025-06-05T02:29:59.500", "2025-06-05T05:00",
        "2025-06-05T08:59:59.500", "2025-06-05T10:14:59.500", "2025-06-05T10:29:59.500", "2025-06-05T14:59:59.500", "2025-06-05T15:30",
        "2025-06-05T17:59:59.900", "2025-06-05T21:00:00.500", "2025-06-06T13:30", "2025-06-06T21:30", "2025-06-07T02:00", "2025-06-07T12:00",
        "2025-06-09T09:00:00.500", "2025-06-09T14:59:59.900",
    )
]  # fmt: skip
STEPS = (0, 0, 1, 700, 1_000, 1_024, 2_000, 150_000, 1_000_000, 250_000_000, 500_000_000, 500_000_000, 500_000_000, 1_500_000_000)
PRICES = (780.0, 780.02, 780.04, 780.06, 779.98, 780.031)
ODD = (NAN, 0.0, float("inf"), 1.7976931348623157e308, -1.0)


@st.composite
def rough_rows(
    draw: st.DrawFn, *, most: int = 60, in_order: bool = False
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Stamps and raw values (n, 29) in arrival order: strays, auctions, breaks, nights, equal stamps, one-sided books, resets."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rough = draw(st.sampled_from((0.0, 0.05, 0.3)))
    ts, values = np.empty(count, dtype=np.int64), np.empty((count, len(COLUMNS)))
    anchor, now, volume = draw(st.integers(0, len(ANCHORS) - 1)), 0, 0.0
    for row in range(count):
        if row == 0 or rng.random() < 0.12:
            anchor = min(anchor + int(rng.integers(0 if row == 0 else 1, 4)), len(ANCHORS) - 1)
            now = max(int(ANCHORS[anchor]), now)
            volume = 0.0 if rng.random() < 0.3 else volume
        elif rng.random() < rough:
            now -= int(rng.choice((500, 1_000, 500_000_000, 60_000_000_000)))
        else:
            now += int(rng.choice(STEPS))
        volume += float(rng.choice((0, 0, 1, 5, 200)))
        ts[row], values[row] = now, _values(rng, volume, rough)
        if rng.random() < rough / 4:  # one stamp out of place, mostly ahead
            ts[row] = int(ANCHORS[rng.integers(0, len(ANCHORS))]) + 500_000_000
        if row and rng.random() < rough:
            ts[row], values[row] = ts[row - 1], values[row - 1]
        if rng.random() < rough:
            values[row, COLUMNS.index("volume")] = rng.choice((NAN, 0.0, max(0.0, volume - 3)))
    order = np.argsort(ts, kind="stable") if in_order else np.arange(count)
    return ts[order], values[order]


def _values(rng: np.random.Generator, volume: float, rough: float) -> npt.NDArray[np.float64]:
    row = dict.fromkeys(COLUMNS, NAN)
    bid = float(rng.choice(PRICES))
    for level in range(5):
        row[f"bid_price{level + 1}"], row[f"ask_price{level + 1}"] = (
            bid - 0.02 * level,
            bid + 0.02 * (level + int(rng.integers(1, 3))),
        )
        row[f"bid_volume{level + 1}"], row[f"ask_volume{level + 1}"] = (float(x) for x in rng.integers(0 if rough else 1, 9, 2))
    row |= {
        "last_price": bid,
        "volume": volume,
        "amount": volume * 780_000.0,
        "open_interest": 1000.0 + float(rng.integers(0, 5)),
    }
    row |= {"upper_limit": 900.0, "lower_limit": 700.0}
    for name in COLUMNS[:27]:
        if rng.random() < rough / 10:
            row[name] = float(rng.choice(ODD))
    if rng.random() < rough / 2:
        row |= {"ask_price1": NAN, "ask_volume1": 0.0}
    return np.array(list(row.values()))


def frame_of(ts: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> pl.DataFrame:
    """Raw rows as the frame that readers give."""
    return pl.DataFrame({"datetime": ts, **{name: values[:, place] for place, name in enumerate(COLUMNS)}}).fill_nan(None)


def plan(set_name: str = "full", symbol: str = SYMBOL) -> FeaturePlan:
    """A plan without a process around it."""
    return FeaturePlan(symbol, factor_set(set_name), Calendar.vendored(), InstrumentTable.vendored())


def same_bits(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    """Whether two frames are equal in every bit of every float, absence included."""
    if a.schema != b.schema or len(a) != len(b):
        return False
    for name in a.columns:
        if not (a[name].is_null() == b[name].is_null()).all():
            return False
        x, y = (frame[name].drop_nulls() for frame in (a, b))
        x, y = (column.to_numpy().view(np.int64) if column.dtype == pl.Float64 else column.to_numpy() for column in (x, y))
        if not (x == y).all():
            return False
    return True
