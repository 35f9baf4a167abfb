"""Compile the kernels once, before many processes want them at the same time; they are kept in NUMBA_CACHE_DIR."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

import polars as pl

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.session import FeaturePlan, warm_up

SAMPLES = Path(__file__).parent.parent / "samples"
ROWS = 14_000


def commands(folder: Path) -> list[list[str]]:
    """What runs every kernel at least once, on the first rows of the sample days."""
    ticks = folder / "ticks"
    ticks.mkdir()
    for path in sorted(SAMPLES.glob("*.parquet")):
        pl.read_parquet(path).head(ROWS).write_parquet(ticks / path.name)
    lines = (
        f"demo --ticks {ticks}",
        f"data import {' '.join(str(path) for path in sorted(ticks.iterdir()))}",
        "main-schedule --var rb",
        "main-l5 --var rb",
        "build --var rb --set full --workers 1",
        f"market generate null --days 1 --out {folder / 'market'}",
        "simulate --seeds 1 --hours 0.1",
    )
    return [line.split() for line in lines]


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        environment = {f"GHTRADER_{room}_DIR": str(Path(name) / room.lower()) for room in ("DATA", "RUNS", "ARTIFACTS")}
        environment["GHTRADER_DATA_MAIN_L5_ENFORCE_HEALTH"] = "false"  # days cut short
        services = AppServices(resolve_paths(environment), {**os.environ, **environment})
        for command in commands(Path(name)):
            with contextlib.redirect_stdout(io.StringIO()) as said:
                code = run(services, [*command, "--json"])
            if code:
                print(f"ghtrader {' '.join(command)}: exit code {code}\n{said.getvalue()}", file=sys.stderr)
                return code
    warm_up(FeaturePlan("SHFE.rb2510", factor_set("full"), Calendar.vendored(), InstrumentTable.vendored()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
