"""Run a benchmark: contestants in turn, each in its own pinned process; report with machine, versions and ratios."""

from __future__ import annotations

import difflib

from ghtrader.core.errors import UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.pipelines.bench.harness import BenchReport, machine, run_children, versions

__all__ = ["BENCHES", "run_bench"]

CHILD = "ghtrader.app.bench_child"
PROTOCOL = (
    "one process per contestant, pinned to one core, libraries on one thread; input prepared, one warm-up call, then the "
    "median of the repeats; memory is the highest resident size during the timed calls minus the one before them"
)
#: bench -> (contestants, rows of one call, what is done, target in rows/s, memory target in MiB or 0)
BENCHES: dict[str, tuple[list[str], int, str, float, float]] = {
    "sim": (["ghtrader", "hftbacktest"], 1_000_000, "snapshots with one order every 20", 5e6, 150.0),
    "factors": (["ghtrader", "numpy", "polars", "pandas"], 200_000, "rows of minimal16", 3e6, 0.0),
    "labels": (["ghtrader", "numpy"], 1_000_000, "rows, six horizons", 3e6, 0.0),
    "rowhash": (["ghtrader", "numpy", "polars", "pandas"], 1_000_000, "rows of 28 lanes", 15e6, 0.0),
    "store": (["ghtrader", "polars", "pandas"], 55_784, "rows of one stored day, all columns, warm", 50_000 / 0.015, 0.0),
    "validate": (["ghtrader", "polars"], 55_784, "rows of one loaded day", 41_000 / 0.025, 0.0),
    "strategy": (["ghtrader"], 20_000, "ticks from frame to target, one by one", 5_000.0, 0.0),
    "gateway": (["ghtrader"], 2_000, "targets to orders, without fdatasync", 2_000.0, 0.0),
    "links": (["ghtrader"], 5_000, "round trips between two processes", 2_000.0, 0.0),
    "dedupe": (["ghtrader"], 200_000, "commands through the window of known ones", 20_000.0, 0.0),
    "import": (["ghtrader", "polars", "pandas"], 200_000, "rows of tick files into the store", 3e5, 0.0),
}
#: bench -> figure among our extras -> (bound, whether it is the least or the most), shown and required beside the target.
MORE: dict[str, dict[str, tuple[float, bool]]] = {
    "factors": {"full_rows_per_s": (1.5e6, True), "tick_p50_us": (6.0, False)},
    "strategy": {"compute_p99_us": (150.0, False)},
    "gateway": {"hot_step_p99_us": (100.0, False)},
    "links": {"hot_p50_us": (250.0, False)},
    "dedupe": {"growth_mib": (2.0, False), "repeats_taken_as_new": (0.0, False), "old_taken_as_repeats": (0.0, False)},
}
PACKAGES = ("ghtrader", "numpy", "numba", "polars", "pandas", "hftbacktest")


def run_bench(name: str, *, rows: int | None = None, repeats: int = 5, progress: Progress = NO_PROGRESS) -> BenchReport:
    """Measure our code and its peers in one run; a peer that is not installed is reported as unavailable."""
    if name not in BENCHES:
        near = difflib.get_close_matches(name, BENCHES, n=1)
        raise UsageError(f"no benchmark {name!r}", hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(BENCHES)}")
    names, usual, work, speed, memory = BENCHES[name]
    count = rows or usual
    progress.start(f"bench {name}", 0)
    ours, *peers = run_children(CHILD, name, names, [str(count), str(repeats)])
    progress.finish(f"{ours.rows_per_s:,.0f} rows/s")
    met = ours.rows_per_s >= speed and (not memory or ours.rss_above_baseline_mb <= memory)
    more = MORE.get(name, {})
    met &= all(ours.extra[key] >= bound if least else ours.extra[key] <= bound for key, (bound, least) in more.items())
    asked = "".join(f", {key} {'at least' if least else 'at most'} {bound:,.0f}" for key, (bound, least) in more.items())
    return BenchReport(
        bench=name,
        work=f"{count:,} {work}",
        protocol=PROTOCOL,
        ours=ours,
        peers=peers,
        ratios={peer.name: round(ours.rows_per_s / peer.rows_per_s, 2) for peer in peers if peer.rows_per_s},
        target=f"{speed:,.0f} rows/s" + (f", under {memory:.0f} MiB above baseline" if memory else "") + asked,
        target_met=met,
        machine=machine(),
        versions=versions(*PACKAGES),
    )
