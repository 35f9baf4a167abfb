"""What the journal and the kill file cost: append, append with fdatasync, reading back, writing the kill file.

python benchmarks/journal.py [--folder DIR] [--records N]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ghtrader.adapters.local.journal_file import LocalJournalFiles
from ghtrader.adapters.local.kill_file import LocalKillFile
from ghtrader.core.clock import SystemClock
from ghtrader.core.messages import ExecutionStyle, Target
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.record import KillPhase, KillRecord, encode_kill

FACTORS = {f"F{number}": number / 7 for number in range(1, 17)}


def quantiles(call: Callable[[], None], count: int) -> dict[str, float]:
    """Microseconds of ``count`` calls."""
    taken = []
    for _ in range(count):
        began = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - began) / 1000)
    taken.sort()
    return {
        name: round(taken[min(count - 1, int(count * share))], 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    }


def measure(folder: Path, count: int) -> dict[str, object]:
    """A target with 16 factors and an order's state, alone and synced; the kill file."""
    journal = Journal(LocalJournalFiles(folder / "journal", SystemClock()), "demo")
    target = Target(1, "s", 1, "demo", "SHFE.rb2510", 2, ExecutionStyle(), 77, 0, 0, 0.25, "m" * 16, "f" * 16, FACTORS)
    order = {"client_order_id": "demo-20250605-1-17", "state": "working", "left": 3}

    def append(kind: RecordKind, body: dict[str, object], *, sync: bool) -> Callable[[], None]:
        def call() -> None:
            journal.append([Record(journal.next_seq, 0, 1_749_085_201_000_000_000, kind, body)])
            if sync:
                journal.sync()

        return call

    found: dict[str, object] = {
        "append_target_us": quantiles(append(RecordKind.TARGET, {"target": target}, sync=False), count),
        "append_order_us": quantiles(append(RecordKind.ORDER_SENT, order, sync=False), count),
        "append_order_and_sync_us": quantiles(append(RecordKind.ORDER_SENT, order, sync=True), count // 20),
    }
    began, read = time.perf_counter(), 0
    for _ in journal.read():
        read += 1
    found["read_us_a_record"] = round((time.perf_counter() - began) / read * 1e6, 2)
    store, content = LocalKillFile(folder), encode_kill(KillRecord(account="demo", phase=KillPhase.LATCHED, epoch=1))
    found["kill_write_us"] = quantiles(lambda: store.write(content), 200)
    journal.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to write (the disk that is measured); default: a temporary folder")
    parser.add_argument("--records", type=int, default=20_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        print(json.dumps(measure(folder, options.records)))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
