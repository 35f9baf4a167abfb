"""One contestant in a process of its own: ``python -m ghtrader.app.bench_child BENCH NAME ROWS REPEATS``."""

from __future__ import annotations

import sys

import msgspec

from ghtrader.adapters.bus_zmq import ZmqStreamClient, ZmqStreamServer
from ghtrader.adapters.local.journal_file import LocalJournalFiles
from ghtrader.adapters.local.kill_file import LocalKillFile
from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.core.clock import SystemClock
from ghtrader.pipelines.bench.contestants import contestants
from ghtrader.pipelines.bench.harness import Contestant, measure
from ghtrader.pipelines.bench.media import BenchMedia

__all__ = ["main"]


MEDIA = BenchMedia(LocalTickStore, LocalJournalFiles, LocalKillFile, ZmqStreamServer, ZmqStreamClient)


def main(arguments: list[str]) -> None:
    """Measure and print one `Measurement` as JSON."""
    bench, name, rows, repeats = arguments[0], arguments[1], int(arguments[2]), int(arguments[3])
    entry = contestants(MEDIA)[bench][name]
    contestant = Contestant(name, rows, lambda: entry.prepare(rows), entry.note)
    clock = SystemClock()
    more = entry.figures(clock, repeats) if entry.figures else {}
    measured = measure(contestant, clock, repeats=repeats, extra=lambda result: {"work": float(result), **more})
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
