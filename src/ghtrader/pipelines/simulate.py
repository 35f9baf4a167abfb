"""`ghtrader simulate`: seeds of the deterministic simulation, on one process or several, with or without a planted bug."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

import msgspec

from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.trading.simulation.coverage import EXCLUDED, counted_tables
from ghtrader.trading.simulation.plants import PLANTS, plant_named
from ghtrader.trading.simulation.run import SeedResult, SimRun

__all__ = ["DEFAULT_HOURS", "SimulationReport", "TableCoverage", "list_plants", "simulate_seeds"]

DEFAULT_HOURS = 0.5
CHUNK = 10


class TableCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a table that were gone through; missed: the others. Rows that cannot be are not counted, excluded says why.

    share: of the rows that can be.
    """

    used: int
    rows: int
    share: float
    missed: list[str]
    excluded: dict[str, str]


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What seeds came to. failing: results of seeds with a violation, each with its last events.

    trace_hash: of the one seed that was asked for, else of all of them together in order.
    """

    first_seed: int
    seeds: int
    hours: float
    plant: str
    found_by: int | None
    violations: int
    failing: list[SeedResult]
    trace_hash: str
    faults: dict[str, int]
    orders: int
    commands: int
    restarts: int
    virtual_h: float
    tables: dict[str, TableCoverage]
    replay: str


class _Chunk(msgspec.Struct, frozen=True):
    results: list[SeedResult]
    used: dict[str, list[str]]
    rows: dict[str, list[str]]


def list_plants() -> list[tuple[str, str]]:
    """(name, what it breaks) of every planted bug."""
    return [(plant.name, plant.about) for plant in PLANTS.values()]


def _run_chunk(seeds: Sequence[int], hours: float, plant: str, *, stop: bool) -> bytes:
    """Some seeds in this process. stop: after the first that is violated."""
    chosen = plant_named(plant) if plant else None
    results: list[SeedResult] = []
    with counted_tables() as tables:
        for seed in seeds:
            if chosen is None:
                results.append(SimRun(seed, hours).run())
            else:
                with chosen.patch():
                    results.append(SimRun(seed, hours, build=chosen.shell, kill_store=chosen.kill_store).run())
            if stop and results[-1].violations:
                break
    used = {name: sorted(found[0]) for name, found in tables.items()}
    rows = {name: sorted(found[1]) for name, found in tables.items()}
    return msgspec.msgpack.encode(_Chunk(results, used, rows))


def _chunks(seeds: range, hours: float, plant: str, workers: int) -> Iterator[_Chunk]:
    pieces = [list(islice(seeds, at, at + CHUNK)) for at in range(0, len(seeds), CHUNK)]
    stop = bool(plant)
    if workers <= 1 or len(pieces) == 1:
        for piece in pieces:
            yield msgspec.msgpack.decode(_run_chunk(piece, hours, plant, stop=stop), type=_Chunk)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_run_chunk, piece, hours, plant, stop=stop) for piece in pieces]
        try:
            for future in futures:
                yield msgspec.msgpack.decode(future.result(), type=_Chunk)
        finally:
            for future in futures:
                future.cancel()


def simulate_seeds(
    first: int,
    count: int,
    *,
    hours: float = DEFAULT_HOURS,
    plant: str = "",
    workers: int = 1,
    progress: Progress = NO_PROGRESS,
) -> SimulationReport:
    """Run seeds; with a planted bug it ends with the first seed that finds it. Raises UsageError for an unknown plant."""
    if plant:
        plant_named(plant)
    progress.start("simulate", count)
    results: list[SeedResult] = []
    used: dict[str, set[str]] = {}
    rows: dict[str, set[str]] = {}
    for chunk in _chunks(range(first, first + count), hours, plant, workers):
        results += chunk.results
        for name in chunk.rows:
            used.setdefault(name, set()).update(chunk.used[name])
            rows.setdefault(name, set()).update(chunk.rows[name])
        failing = sum(bool(result.violations) for result in results)
        progress.advance(len(chunk.results), note=f"{failing} seeds violated")
        if plant and failing:
            break
    progress.finish(f"{len(results)} seeds")
    return _report(first, hours, plant, results, used, rows)


def _report(
    first: int, hours: float, plant: str, results: list[SeedResult], used: dict[str, set[str]], rows: dict[str, set[str]]
) -> SimulationReport:
    failing = [result for result in results if result.violations]
    faults: dict[str, int] = {}
    for result in results:
        for name, times in result.faults.items():
            faults[name] = faults.get(name, 0) + times
    seed = failing[0].seed if failing else first
    words = f"ghtrader simulate --seed {seed} --hours {hours!r}" + (f" --plant {plant}" if plant else "")
    return SimulationReport(
        first_seed=first,
        seeds=len(results),
        hours=hours,
        plant=plant,
        found_by=failing[0].seed if plant and failing else None,
        violations=sum(len(result.violations) for result in results),
        failing=failing[:10],
        trace_hash=results[0].trace_hash if len(results) == 1 else _joined(results),
        faults=dict(sorted(faults.items())),
        orders=sum(result.orders for result in results),
        commands=sum(result.commands for result in results),
        restarts=sum(result.restarts for result in results),
        virtual_h=round(sum(result.virtual_s for result in results) / 3600, 2),
        tables={name: _coverage(name, used[name], rows[name]) for name in rows},
        replay=words,
    )


def _joined(results: list[SeedResult]) -> str:
    from ghtrader.core.ids import content_hash

    return content_hash([result.trace_hash for result in results])


def _coverage(name: str, used: set[str], rows: set[str]) -> TableCoverage:
    return TableCoverage(
        used=len(used),
        rows=len(rows),
        share=round(len(used) / max(len(rows), 1), 4),
        missed=sorted(rows - used),
        excluded=EXCLUDED.get(name, {}),
    )
