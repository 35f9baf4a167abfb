"""How a benchmark is measured: one child process per contestant, pinned to one core, in turn, several runs each.

Protocol (limits first, see benchmarks/README.md): a contestant prepares its input, runs once to warm up (compilation,
caches), notes its resident memory, then repeats the timed call; the figure is the median of the repeats. Memory is the
highest resident size seen during the timed calls minus the size before them. Contestants alternate in one parent run,
so that ratios hold when the machine's speed drifts; absolute numbers belong to the machine that is printed with them.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.errors import GhtraderError

__all__ = ["BenchReport", "Contestant", "Machine", "Measurement", "measure", "run_children"]

MIB = 1 << 20
SAMPLE_S = 0.002
THREAD_VARIABLES = (
    "POLARS_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
SINGLE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one contestant did. ``rows_per_s`` is rows over the median of ``seconds``; ``rss_above_baseline_mb`` in MiB."""

    name: str
    rows: int
    seconds: list[float]
    rows_per_s: float
    baseline_rss_mb: float
    rss_above_baseline_mb: float
    note: str = ""
    extra: dict[str, float] = {}
    unavailable: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that the figures belong to."""

    cpu: str
    cores: int
    memory_mb: int
    system: str
    python: str


class BenchReport(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: what was done, our figure, the peers' figures of the same run, and the ratios ours/peer."""

    bench: str
    work: str
    protocol: str
    ours: Measurement
    peers: list[Measurement]
    ratios: dict[str, float]
    target: str
    target_met: bool
    machine: Machine
    versions: dict[str, str]


class Contestant(msgspec.Struct, frozen=True):
    """A function to time: ``prepare()`` returns the timed call; ``rows`` is the work of one call."""

    name: str
    rows: int
    prepare: Callable[[], Callable[[], Any]]
    note: str = ""


class _PeakRss:
    """Highest resident size of this process while the block runs, sampled by a thread."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._stop = threading.Event()
        self.peak = 0

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, self._process.memory_info().rss)
            self._stop.wait(SAMPLE_S)

    def __enter__(self) -> _PeakRss:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, self._process.memory_info().rss)


def measure(
    contestant: Contestant, clock: Clock, *, repeats: int, extra: Callable[[Any], dict[str, float]] | None = None
) -> Measurement:
    """Time one contestant in this process: prepare, warm up once, then ``repeats`` timed calls.

    extra: figures taken from the last call's result (work done, checksums), shown beside the speed.
    """
    call = contestant.prepare()
    result = call()
    gc.collect()
    baseline = psutil.Process().memory_info().rss
    seconds: list[float] = []
    with _PeakRss() as watch:
        for _ in range(repeats):
            start = clock.monotonic_ns()
            result = call()
            seconds.append((clock.monotonic_ns() - start) / NS_PER_S)
    return Measurement(
        name=contestant.name,
        rows=contestant.rows,
        seconds=[round(value, 6) for value in seconds],
        rows_per_s=round(contestant.rows / statistics.median(seconds), 1),
        baseline_rss_mb=round(baseline / MIB, 1),
        rss_above_baseline_mb=round(max(0, watch.peak - baseline) / MIB, 1),
        note=contestant.note,
        extra={} if extra is None else extra(result),
    )


def machine() -> Machine:
    """The machine this process runs on."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown",
    )
    return Machine(
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)),
        memory_mb=psutil.virtual_memory().total // MIB,
        system=platform.platform(),
        python=platform.python_version(),
    )


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of the named distributions; absent ones are left out."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def run_children(module: str, bench: str, names: list[str], arguments: list[str]) -> list[Measurement]:
    """Run ``python -m module BENCH NAME ARGUMENTS...`` once per contestant, pinned to one core with single-threaded libraries.

    The child prints one `Measurement` as JSON on its last line. A child that fails gives a measurement whose
    ``unavailable`` says why (a peer that is not installed), so that one absent peer does not end the benchmark.
    """
    core = max(os.sched_getaffinity(0))
    results: list[Measurement] = []
    for name in names:
        child = subprocess.run(  # noqa: S603 - our own module, run by this interpreter
            [sys.executable, "-m", module, bench, name, *arguments],
            env={**os.environ, **SINGLE_THREAD},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        if child.returncode == 0:
            results.append(msgspec.json.decode(child.stdout.splitlines()[-1], type=Measurement))
            continue
        why = child.stderr.strip().splitlines()[-1] if child.stderr.strip() else f"exit code {child.returncode}"
        results.append(
            Measurement(
                name=name, rows=0, seconds=[], rows_per_s=0.0, baseline_rss_mb=0.0, rss_above_baseline_mb=0.0, unavailable=why
            )
        )
    if results[0].unavailable:
        raise GhtraderError(f"benchmark of our own code failed: {results[0].unavailable}")
    return results
