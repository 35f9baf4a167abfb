"""What has no number: the deep imbalance of the planted channel, and the filtered regime."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import BOOK1, card
from ghtrader.datasets.factors.declaration import Factor
from ghtrader.datasets.factors.kernels.layout import IMB35_5, IMB35_20, IMB35_60, REGIME1, REGIME2, REGIME3, ROW

__all__ = ["CARDS"]

_regime = partial(
    card, group="regime", kernel="regime", columns=(*BOOK1, "volume"), flip="even", lookback="the run", fitted=("regime",),
    source="Hamilton (1989); forward filter only, never smoothed",
    neutral="three states at quartiles of quiet, usual and busy markets, staying probability 0.98",
)  # fmt: skip


def _deep(seconds: int, slot: int) -> Factor:
    return card(
        f"IMB35_{seconds}S",
        f"deep imbalance {seconds} s",
        f"level((B3+B4+B5 - A3-A4-A5) / (sum of all six), {seconds} s)",
        slot=slot - ROW,
        lookback=f"half-life {seconds} s",
        columns=tuple(f"{side}_volume{number}" for side in ("bid", "ask") for number in (3, 4, 5)),
        flip="odd",
        group="book",
        kernel="core",
        nan="NaN when levels 3-5 are empty on both sides; state untouched",
    )


CARDS = (
    _deep(5, IMB35_5), _deep(20, IMB35_20), _deep(60, IMB35_60),
    _regime("REGIME1", "probability of the quiet state", "filtered P(state 1): a_t, sum 1, proportional to (P^T a_(t-1)) N(z_t; mean, sd) per state, z = (ln(F68 + 0.01), ln(1 + flow(dV, 60 s)), s, |F31|), each (z - mean)/sd clipped to "
            "[-4, 4]; on a run's first row a = start x N", slot=REGIME1 - ROW),
    _regime("REGIME2", "probability of the usual state", "filtered P(state 2), as REGIME1", slot=REGIME2 - ROW),
    _regime("REGIME3", "probability of the busy state", "filtered P(state 3), as REGIME1", slot=REGIME3 - ROW),
)  # fmt: skip
