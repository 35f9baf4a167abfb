"""The filtered regime."""

from __future__ import annotations

import math

from tests.datasets.reference.rows import Columns, Given, Run, clip, flow


def columns(run: Run, given: Given, known: Columns) -> Columns:
    numbers = given.values["regime"]
    transition = [numbers[3 * i : 3 * i + 3] for i in range(3)]
    mean = [numbers[9 + 4 * i : 13 + 4 * i] for i in range(3)]
    sd = [numbers[21 + 4 * i : 25 + 4 * i] for i in range(3)]
    a = list(numbers[33:36])
    out: Columns = {f"REGIME{state}": [] for state in (1, 2, 3)}
    lots = flow(run, [row.dV for row in run], 60)
    for n, row in enumerate(run):
        z = (math.log(known["F68"][n] + 0.01), math.log(1 + lots[n]), row.s, abs(known["F31"][n]))
        expected = a if row.first else [sum(transition[i][j] * a[i] for i in range(3)) for j in range(3)]
        a = [expected[j] * density(z, mean[j], sd[j]) for j in range(3)]
        a = [x / sum(a) for x in a]
        for state in (1, 2, 3):
            out[f"REGIME{state}"].append(a[state - 1])
    return out


def density(z: tuple[float, ...], mean: tuple[float, ...], sd: tuple[float, ...]) -> float:
    """Product of normal densities, each quantity clipped to 4 sd of the state."""
    out = 1.0
    for x, centre, width in zip(z, mean, sd, strict=True):
        out *= math.exp(-(clip((x - centre) / width, -4.0, 4.0) ** 2) / 2) / width
    return out
