"""What a live gateway costs while it runs: three contracts, two ticks a second each, a target every two seconds, without the tqsdk client.

python benchmarks/gateway_cpu.py [--seconds N] [--samples DIR] [--no-ticks]

Feed and broker stand in for the client's sessions: they wait in threads of their own and cost next to nothing. `gateway_percent` is the
thread that owns the state, of one core; `process_percent` all threads. The target is 2 % of a core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.messages import MESSAGE_VERSION, ExecutionStyle, Heartbeat, Style, Target
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.gateway import GatewayRequest
from ghtrader.pipelines.gateway_live import LiveGateway
from ghtrader.pipelines.stopping import StopWish
from ghtrader.ports.broker import BrokerOrder
from ghtrader.ports.live_feed import FeedState, FeedStatus, LiveTick
from ghtrader.testing.fakes import FakeBroker, FakeVenue

SYMBOLS = ("SHFE.rb2510", "SHFE.rb2601", "SHFE.hc2510")
FILE, FIRST_ROW, BETWEEN_S = "SHFE.rb2510.20250605.parquet", 400, 0.5


class Feed:
    """Ticks as they are put, in one batch for all contracts, as a session of the client gives them."""

    def __init__(self, batches: queue.SimpleQueue[list[LiveTick]]) -> None:
        self._batches, self._given = batches, 0

    def poll(self, timeout_s: float) -> list[LiveTick]:
        try:
            found = self._batches.get(timeout=timeout_s)
        except queue.Empty:
            return []
        self._given += len(found)
        return found

    @property
    def status(self) -> FeedStatus:
        return FeedStatus(state=FeedState.LIVE, ticks=self._given, rebuilds=0, lost=0, last_receive_ns=0)

    def close(self) -> None:
        return


class Broker(FakeBroker):
    """Waits for what does not come, as the client does."""

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        found = super().poll(timeout_s)
        if not found:
            time.sleep(timeout_s)
        return found


class Stand(AppServices):
    """Services whose feed and broker are ours."""

    def __init__(self, folder: Path) -> None:
        names = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "RUNS", "ARTIFACTS")}
        environment = {**os.environ, **names}
        super().__init__(resolve_paths(environment), environment)
        self.batches: queue.SimpleQueue[list[LiveTick]] = queue.SimpleQueue()
        self._venue = FakeVenue(ask=2960.0, bid=2950.0)

    def has_provider(self) -> bool:
        return True

    def broker_kind(self, name: str) -> str:
        del name
        return "sim"

    def live_feed(self, symbols: tuple[str, ...], begin: dict[str, int], in_session: Callable[[], bool]) -> Any:
        del symbols, begin, in_session
        return Feed(self.batches)

    def broker(self, name: str, *, for_research: bool = False) -> Any:
        del name, for_research
        return Broker(self._venue)


def batches_of(samples: Path) -> list[list[LiveTick]]:
    """The rows of a sample day, each as a tick of every contract."""
    frame = pl.read_parquet(samples / FILE).slice(FIRST_ROW, 4000)
    found = []
    for number, row in enumerate(frame.iter_rows(named=True)):
        values = tuple(float(row[name]) if row.get(name) is not None else float("nan") for name in MARKET_COLUMNS)
        found.append([LiveTick(symbol, FIRST_ROW + number, int(row["datetime"]), 1, values) for symbol in SYMBOLS])
    return found


def measure(folder: Path, samples: Path, seconds: float, *, ticks: bool) -> dict[str, float]:
    """Percent of one core, after a gateway has come to trade."""
    stand, rows, stop = Stand(folder), itertools.chain(batches_of(samples)), threading.Event()
    stand.batches.put(next(rows))
    request = GatewayRequest(account="bench", symbols=SYMBOLS, mode="sim", market_time=True, record=False)
    gateway = LiveGateway(stand, request, lambda *_: None)
    gateway.start(StopWish())
    stream, state = stand.trading().strategy_stream("bench"), gateway.shell.state
    numbers, execution = itertools.count(1), ExecutionStyle(style=Style.TAKER)

    def strategy() -> None:
        for number in numbers:
            stand.batches.put(next(rows))
            if number % 4 == 0 and SYMBOLS[0] in state.markets:
                seen, lots = state.markets[SYMBOLS[0]], number // 4 % 2
                stream.send(
                    Target(MESSAGE_VERSION, "s", number // 4, "bench", SYMBOLS[0], lots, execution, seen.seq, seen.ts_ns, 0, 0.5)
                )
            elif number % 2 == 0:
                stream.send(Heartbeat(MESSAGE_VERSION, "s", number // 4, 0, "strategy", "trading"))
            if stop.wait(BETWEEN_S):
                return

    thread = threading.Thread(target=strategy, daemon=True)
    thread.start()
    warm = time.monotonic() + 5.0
    while time.monotonic() < warm or state.halts():
        gateway.turn()
    if not ticks:
        stop.set()
        thread.join()
    turns, counted, begun = 0, dict(state.counters), time.monotonic()
    own, all_threads = time.thread_time(), time.process_time()
    while time.monotonic() - begun < seconds:
        gateway.turn()
        turns += 1
    wall = time.monotonic() - begun
    found = {
        "gateway_percent": round(100 * (time.thread_time() - own) / wall, 2),
        "process_percent": round(100 * (time.process_time() - all_threads) / wall, 2),
        "turns_per_s": round(turns / wall, 1),
        "ticks_per_s": round((state.counters.get("ticks", 0) - counted.get("ticks", 0)) / wall, 2),
        "orders": state.counters.get("orders", 0) - counted.get("orders", 0),
    }
    stop.set()
    thread.join()
    stream.close()
    gateway.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--samples", type=Path, default=Path("samples"))
    parser.add_argument("--no-ticks", action="store_true", help="a gateway that only waits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), options.samples, options.seconds, ticks=not options.no_ticks)))


if __name__ == "__main__":
    main()
