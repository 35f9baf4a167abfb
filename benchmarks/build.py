"""`ghtrader build` from its start to its exit, every run a process of its own: seconds, and peak memory for few and for many days.

python benchmarks/build.py [--set NAME ...] [--repeats N] [--weeks N] [--cold]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

SAMPLES = Path(__file__).parent.parent / "samples"
WEEK_NS = 7 * 24 * 3600 * 1_000_000_000
COMMAND = (sys.executable, "-m", "ghtrader.app")


def environment(folder: Path) -> dict[str, str]:
    folders = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "RUNS", "ARTIFACTS")}
    return {**os.environ, **folders}


def run(folder: Path, *arguments: str, **more: str) -> tuple[dict[str, object], float, float]:
    """Report, seconds and peak memory in MiB of one command (of its workers apart: the largest counts)."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--json"], env={**environment(folder), **more}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (arguments, out)
    return json.loads(out.splitlines()[-1]), time.perf_counter() - began, usage.ru_maxrss / 1024


def stored(folder: Path, weeks: int) -> None:
    """The sample days as a series, so many weeks one after another."""
    files = folder / "files"
    files.mkdir(parents=True)
    for path in sorted(SAMPLES.glob("*.parquet")):
        frame, facts = pl.read_parquet(path), pl.read_parquet_metadata(path)
        symbol = facts.get("symbol", path.name[:11])
        for week in range(weeks):
            moved = frame.with_columns(pl.col("datetime") + week * WEEK_NS)
            moved.write_parquet(files / f"{path.stem}.{week}.parquet", metadata={"symbol": symbol})
    run(folder, "data", "import", *map(str, sorted(files.iterdir())))
    run(folder, "main-schedule", "--var", "rb")
    run(folder, "main-l5", "--var", "rb")


def forget(folder: Path) -> None:
    """What a build left, so that the next one builds."""
    shutil.rmtree(folder / "data" / "features", ignore_errors=True)
    shutil.rmtree(folder / "artifacts" / "datasets", ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", dest="sets", help="factor set; several times (default minimal16)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--weeks", type=int, default=3, help="memory: the four days again so many weeks")
    parser.add_argument("--cold", action="store_true", help="also once without compiled kernels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few", Path(name) / "many"
        stored(few, 1)
        stored(many, arguments.weeks)
        for factors in arguments.sets or ["minimal16"]:
            build = ("build", "--var", "rb", "--set", factors)
            if arguments.cold:
                _, seconds, _ = run(few, *build, NUMBA_CACHE_DIR=str(Path(name) / "cold"))
                print(f"{factors}: first run, kernels compiled: {seconds:.2f} s")
            run(few, *build)
            for title, more in (("one process", ("--workers", "1")), ("two processes", ("--workers", "2"))):
                times, report = [], {}
                for _ in range(arguments.repeats):
                    forget(few)
                    report, seconds, _ = run(few, *build, *more)
                    times.append(seconds)
                rows = sum(day["rows"] for day in report["days"])  # type: ignore[attr-defined]
                print(f"{factors}: 4 days, {rows:,} rows, {title}: {statistics.median(times):.2f} s, digest {report['digest']}")
            peaks = []
            for folder in (few, many):
                forget(folder)
                report, _, peak = run(folder, *build, "--workers", "1")
                peaks.append(peak)
                print(f"{factors}: {len(report['days'])} days, peak memory {peak:.0f} MiB")  # type: ignore[arg-type]
            print(f"{factors}: memory of many days over that of few: {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
