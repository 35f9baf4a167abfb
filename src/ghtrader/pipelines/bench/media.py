"""What the benchmarks of the trading runtime need of the machine: a disk to journal on, sockets between processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ghtrader.core.clock import Clock
from ghtrader.ports.bus import StreamClient, StreamServer
from ghtrader.ports.journal import JournalStore
from ghtrader.ports.kill_store import KillStore
from ghtrader.ports.tick_store import TickStore

__all__ = ["BenchMedia", "free_cores"]


class BenchMedia(NamedTuple):
    """Factories of adapters, each of something in a folder. ``client`` is made in another process: a class, not a closure."""

    store: Callable[[Path], TickStore]
    journal: Callable[[Path, Clock], JournalStore]
    kill: Callable[[Path], KillStore]
    server: Callable[[Path], StreamServer]
    client: Callable[[Path], StreamClient]


def free_cores() -> None:
    """Take every core: a benchmark of two processes is no benchmark on one."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
