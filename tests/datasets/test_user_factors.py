from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghtrader.core.errors import UsageError
from ghtrader.datasets.factors.catalogue import factor, factor_set
from ghtrader.datasets.factors.engine import FactorStream, breaks_of, compute, flip, part_ends, part_starts

OWN = """
from ghtrader.datasets.factors.kernels.layout import F0, X_FIRST, X_I1, X_W20
from ghtrader.datasets.factors.user import user_factor


@user_factor("X_IMB", "imbalance, 20 s", "level(I1, 20 s)", unit="1", lookback="half-life 20 s", flip="odd", state=1)
def imbalance(f, state, bid_px, bid_sz, ask_px, ask_sz):
    f[state] = f[X_I1] if f[X_FIRST] == 1.0 else f[X_W20] * f[state] + (1.0 - f[X_W20]) * f[X_I1]
    return f[state]


@user_factor("X_TWO", "twice the spread", "2 s", unit="ticks", lookback="none", flip="even")
def twice(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return 2.0 * (ask_px[0] - bid_px[0])


@user_factor("X_SUM", "I1 + I3", "F4 + F6", unit="1", lookback="none", flip="odd")
def both(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return f[F0 + 4] + f[F0 + 6]


SETS = {"mine": ("F1", "X_SUM", "X_IMB", "F4", "F6", "X_TWO")}
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def test_factors_of_ones_own_are_computed_in_batch_and_per_tick_like_any_other(sample_day: Callable, own: str) -> None:
    ticks, sessions = sample_day("2025-06-05")
    ticks = ticks.rows(slice(0, 3000))
    chosen = factor_set("mine", own)
    batch = compute(ticks, sessions, chosen)
    spread, total, imbalance, first, third, twice = batch.T
    assert same(twice, 2.0 * spread)
    assert same(total, first + third)
    known = np.flatnonzero(~np.isnan(first))
    assert imbalance[known[0]] == first[known[0]]
    assert 0.0 < np.nanstd(imbalance) < np.nanstd(first)
    live = FactorStream(chosen, tick_value_cny=ticks.price_tick * ticks.multiplier)
    starts, ends, broken = part_starts(ticks, sessions), part_ends(ticks, sessions), breaks_of(ticks)
    stepped = [
        live.step(
            int(ticks.ts_ns[i]), ticks.bid_px[i], ticks.bid_sz[i], ticks.ask_px[i], ticks.ask_sz[i], int(ticks.last_px[i]),
            float(ticks.volume[i]), float(ticks.amount[i]), float(ticks.open_interest[i]), break_before=bool(broken[i]),
            continuous=bool(ticks.phase[i] == 3), part=int(ticks.part[i]), part_start_ns=int(starts[i]), part_end_ns=int(ends[i]),
        )
        for i in range(len(ticks))
    ]  # fmt: skip
    assert same(np.array(stepped), batch)
    mirrored = compute(flip(ticks), sessions, chosen)
    odd = [item.flip == "odd" for item in chosen.factors]
    assert same(mirrored, np.where(odd, -batch, batch))


def test_a_changed_file_is_another_set_and_a_built_in_set_stays_what_it_is(own: str) -> None:
    before = factor_set("mine", own).set_hash
    assert factor_set("minimal16", own) == factor_set("minimal16")
    assert factor_set("user", own).ids == ("X_IMB", "X_TWO", "X_SUM")
    assert factor("x_two", own).user
    Path(own).write_text(OWN.replace("2.0 *", "3.0 *"))
    assert factor_set("mine", own).set_hash != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "declares no factor"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        (OWN.replace('"X_TWO"', '"F2"'), "begin with X_: F2"),
        (OWN.replace('"X_TWO"', '"X_IMB"'), "unique"),
        (OWN.replace("state=1", "state=1000"), "numbers of state"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        factor_set("user", str(path))


def test_an_unknown_member_or_file_is_named(tmp_path: Path, own: str) -> None:
    with pytest.raises(UsageError, match="No such file"):
        factor_set("user", str(tmp_path / "none.py"))
    Path(own).write_text(OWN.replace('"F4", "F6", "X_TWO"', '"F4", "X_THREE"'))
    with pytest.raises(UsageError, match="X_THREE"):
        factor_set("mine", own)
