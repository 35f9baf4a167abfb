"""`ghtrader simulate`: the real gateway on virtual time, with everything around it failing by a seed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.simulate import SimulationReport

__all__ = ["simulate_app"]

VIOLATED = 8
LAST_SEED, MOST_SEEDS = 1 << 62, 10_000_000
simulate_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@simulate_app.command(
    epilog="Examples:  ghtrader simulate --seed 7  |  ghtrader simulate --seeds 500 --json  |  ghtrader simulate --list-plants  |  "
    "ghtrader simulate --plant kill_not_fsynced --seeds 500  |  ghtrader simulate --seeds 1000 --hours 1 --coverage 0.95"
)
def simulate(
    context: typer.Context,
    seed: int | None = typer.Option(None, "--seed", min=0, max=LAST_SEED, help="One seed; the same every time."),
    seeds: int | None = typer.Option(
        None, "--seeds", min=1, max=MOST_SEEDS, help="So many seeds, from --first-seed on; default: 20."
    ),
    first_seed: int | None = typer.Option(None, "--first-seed", min=0, max=LAST_SEED, help="The first of --seeds; default: 1."),
    hours: float = typer.Option(0.5, "--hours", min=0.02, max=3.5, help="Market time of each seed, over two trading days."),
    coverage: float = typer.Option(
        0.0, "--coverage", min=0.0, max=1.0, help="Share of every table's rows that the seeds must go through together."
    ),
    plant: str = typer.Option("", "--plant", help="Plant a bug and see it found; --list-plants names them."),
    list_plants: bool = typer.Option(False, "--list-plants", help="Names of the planted bugs."),
    workers: int = typer.Option(0, "--workers", min=0, help="Processes; default: one per core."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Crashes, torn writes, lost and doubled messages, link drops, clock jumps, a full disk, operators: no invariant may break.

    Exit code 8 when one does; the report names the seed, what was seen last, and the command that replays it. The same code when the
    seeds leave more of a table out than --coverage allows.
    """
    from ghtrader.pipelines import simulate as pipeline

    if list_plants:
        plants = pipeline.list_plants()
        emit(
            {"plants": [{"name": name, "about": about} for name, about in plants]},
            as_json=as_json,
            render=lambda console: table(console, "", ("plant", "what it breaks"), plants),
        )
        return
    if seed is not None and (seeds is not None or first_seed is not None):
        raise UsageError(
            "--seed runs one seed, --first-seed and --seeds several", hint="ghtrader simulate --first-seed N --seeds 500"
        )
    count = 1 if seed is not None else seeds or 20
    first = next(number for number in (seed, first_seed, 1) if number is not None)
    with progress_for(context.obj.clock) as progress:
        report = pipeline.simulate_seeds(
            first, count, hours=hours, plant=plant, workers=workers or os.cpu_count() or 1, progress=progress
        )
    emit(report, as_json=as_json, render=lambda console: _show(console, report))
    if report.violations or any(item.share < coverage for item in report.tables.values()):
        raise typer.Exit(VIOLATED)


def _show(console: Console, report: SimulationReport) -> None:
    rows = [
        ("seeds", f"{report.first_seed} to {report.first_seed + report.seeds - 1}, {report.virtual_h:,.1f} h of market time"),
        ("violations", report.violations),
        ("orders, commands, restarts", f"{report.orders:,}, {report.commands:,}, {report.restarts:,}"),
        ("faults", ", ".join(f"{name} {count:,}" for name, count in report.faults.items())),
        ("trace", report.trace_hash),
    ]
    table(console, f"planted: {report.plant}" if report.plant else "", ("", ""), rows)
    shares = [(name, item.used, item.rows, f"{item.share:.0%}", ", ".join(item.missed)) for name, item in report.tables.items()]
    table(console, "transitions", ("table", "used", "rows", "share", "missed"), shares)
    for result in report.failing[:1]:
        console.print(f"\nseed {result.seed}:")
        for violation in result.violations[:5]:
            console.print(f"  {violation['invariant']}: {violation['detail']}", soft_wrap=True)
        console.print("last events:")
        for line in result.last[-15:]:
            console.print(f"  {line}", soft_wrap=True, highlight=False)
        console.print(f"replay: {report.replay}", soft_wrap=True)
