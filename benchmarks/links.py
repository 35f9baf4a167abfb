"""Commands: ten million through the window that knows them again, on a virtual day. Bus: a tick to another process, and its answer back.

python benchmarks/links.py [--commands N] [--round-trips N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import psutil

from ghtrader.adapters.bus_zmq import ZmqStreamClient, ZmqStreamServer
from ghtrader.core.messages import MESSAGE_VERSION, CommandAnswer, Outcome, TickDone, TickFrame
from ghtrader.trading.commands.dedupe import DedupeWindow

DAY_NS = 86_400 * 1_000_000_000


def dedupe(count: int) -> dict[str, object]:
    """A virtual day; every tenth command comes again inside the window, every tenth beyond it. RSS every tenth of the way."""
    window, process = DedupeWindow(max_ids=10_000, ttl_ns=3_600 * 1_000_000_000), psutil.Process()
    memory, inside, outside = [], 0, 0
    began = time.perf_counter()
    for number in range(count):
        now = number * DAY_NS // count
        name = f"command-{number:09d}"
        assert window.first_answer(name, now) is None
        window.begin(name, now)
        window.remember(CommandAnswer(command_id=name, outcome=Outcome.ACCEPTED, ts_ns=now), now)
        if number % 10 == 0 and number > 20_000:
            inside += window.first_answer(f"command-{number - 5_000:09d}", now) is not None
            outside += window.first_answer(f"command-{number - 10_000:09d}", now) is None
        if number % (count // 10) == count // 20:
            memory.append(round(process.memory_info().rss / 2**20, 2))
    asked = len(range(20_010, count, 10))
    return {
        "commands": count,
        "us_per_command": round((time.perf_counter() - began) / count * 1e6, 2),
        "rss_mib": memory,
        "known_inside": inside == asked,
        "new_beyond": outside == asked,
    }


def echo(folder: str) -> None:
    client = ZmqStreamClient(Path(folder))
    while True:
        for frame in client.receive(1.0):
            if frame.seq == 0:
                client.close()
                return
            client.send(TickDone(MESSAGE_VERSION, "run", frame.seq, frame.seq, 0))


def round_trips(count: int) -> dict[str, float]:
    """Microseconds from a tick sent to its answer read, hot: one after the other."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        server = ZmqStreamServer(Path(folder))
        other = multiprocessing.get_context("spawn").Process(target=echo, args=(folder,))
        other.start()
        while not server.listeners:
            server.receive(0.01)
        for seq in range(1, count + 1):
            frame = TickFrame(MESSAGE_VERSION, "gateway", seq, "SHFE.rb2510", 10**18, 10**18, (3000.5,) * 29)
            began = time.perf_counter_ns()
            server.publish(frame)
            while not server.receive(1.0):
                continue
            taken.append((time.perf_counter_ns() - began) / 1000)
        server.publish(TickFrame(MESSAGE_VERSION, "gateway", 0, "", 0, 0, ()))
        other.join()
        server.close()
    taken = sorted(taken[count // 10 :])
    return {name: round(taken[int(len(taken) * share)], 1) for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=10_000_000)
    parser.add_argument("--round-trips", type=int, default=20_000)
    arguments = parser.parse_args()
    print(json.dumps({"round_trip_us": round_trips(arguments.round_trips), "dedupe": dedupe(arguments.commands)}))


if __name__ == "__main__":
    main()
