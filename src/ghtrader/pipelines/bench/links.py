"""A tick to another process and its answer back; ten million commands through the window that knows them again."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.messages import MESSAGE_VERSION, CommandAnswer, Outcome, TickDone, TickFrame
from ghtrader.pipelines.bench.media import BenchMedia, free_cores
from ghtrader.ports.bus import StreamClient
from ghtrader.trading.commands.dedupe import DedupeWindow

__all__ = ["dedupe_call", "dedupe_figures", "links_call", "links_figures"]

DAY_NS = 86_400 * NS_PER_S
#: Round trips of the figures: hot, paced, warming up; seconds between two paced ones.
HOT, PACED, WARM, PACE_S = 20_000, 500, 1_000, 0.01
COMMANDS = 10_000_000
MIB = 1 << 20


def _echo(client_of: Callable[[Path], StreamClient], folder: str) -> None:
    client = client_of(Path(folder))
    while True:
        for frame in client.receive(1.0):
            if frame.seq == 0:
                client.close()
                return
            client.send(TickDone(MESSAGE_VERSION, "run", frame.seq, frame.seq, 0))


def _round_trips(media: BenchMedia, clock: Clock, count: int, pace_s: float) -> np.ndarray:
    """Nanoseconds from a tick sent to its answer read, one after the other."""
    taken = np.empty(count)
    with tempfile.TemporaryDirectory() as folder:
        server = media.server(Path(folder))
        other = multiprocessing.get_context("spawn").Process(target=_echo, args=(media.client, folder))
        other.start()
        deadline = Deadline(60.0)
        while not server.listeners and not deadline.passed:
            server.receive(0.01)
        for seq in range(1, count + 1):
            frame = TickFrame(MESSAGE_VERSION, "gateway", seq, "SHFE.rb2510", 10**18, 10**18, (3000.5,) * 29)
            began = clock.monotonic_ns()
            server.publish(frame)
            while not server.receive(1.0):
                continue
            taken[seq - 1] = clock.monotonic_ns() - began
            if pace_s:
                Deadline(pace_s).pause(pace_s)
        server.publish(TickFrame(MESSAGE_VERSION, "gateway", 0, "", 0, 0, ()))
        other.join()
        server.close()
    return taken


def links_call(rows: int, media: BenchMedia) -> Callable[[], float]:
    """Round trips between two processes, hot."""
    from ghtrader.core.clock import SystemClock

    free_cores()
    clock = SystemClock()
    return lambda: float(len(_round_trips(media, clock, rows, 0.0)))


def links_figures(clock: Clock, repeats: int, media: BenchMedia) -> dict[str, float]:
    """Microseconds of a round trip, hot and a hundred a second."""
    del repeats
    free_cores()
    figures: dict[str, float] = {}
    for name, count, pace_s in (("hot", HOT, 0.0), ("paced", PACED, PACE_S)):
        taken = _round_trips(media, clock, count + (0 if pace_s else WARM), pace_s)[0 if pace_s else WARM :]
        p50, p99, p999 = (round(float(value) / 1e3, 1) for value in np.percentile(taken, (50, 99, 99.9)))
        figures |= {f"{name}_p50_us": p50, f"{name}_p99_us": p99, f"{name}_p999_us": p999}
    return figures


def _commands(count: int, memory: Callable[[], float]) -> tuple[int, int, list[float]]:
    """A virtual day of commands; every tenth comes again inside the window, every tenth beyond it. (wrong inside, wrong beyond, memory)."""
    window, held = DedupeWindow(max_ids=10_000, ttl_ns=3_600 * NS_PER_S), []
    inside = outside = 0
    for number in range(count):
        now, name = number * DAY_NS // count, f"command-{number:09d}"
        inside += window.first_answer(name, now) is not None
        window.begin(name, now)
        window.remember(CommandAnswer(command_id=name, outcome=Outcome.ACCEPTED, ts_ns=now), now)
        if number % 10 == 0 and number > 20_000:
            inside += window.first_answer(f"command-{number - 5_000:09d}", now) is None
            outside += window.first_answer(f"command-{number - 10_000:09d}", now) is not None
        if number % (count // 10) == count // 20:
            held.append(memory())
    return inside, outside, held


def dedupe_call(rows: int) -> Callable[[], float]:
    """A day of commands; gives how many of them were judged wrongly (none)."""
    return partial(_judged, rows)


def _judged(rows: int) -> float:
    inside, outside, _ = _commands(rows, lambda: 0.0)
    return float(inside + outside)


def dedupe_figures(clock: Clock, repeats: int) -> dict[str, float]:
    """Ten million commands: microseconds of each, and how the resident memory grew after the first tenth."""
    del repeats
    process = psutil.Process()
    began = clock.monotonic_ns()
    inside, outside, held = _commands(COMMANDS, lambda: process.memory_info().rss / MIB)
    spent = clock.monotonic_ns() - began
    return {
        "commands": float(COMMANDS),
        "us_per_command": round(spent / COMMANDS / 1e3, 2),
        "rss_first_mib": round(held[0], 1),
        "rss_last_mib": round(held[-1], 1),
        "growth_mib": round(max(held) - held[0], 1),
        "repeats_taken_as_new": float(inside),
        "old_taken_as_repeats": float(outside),
    }
