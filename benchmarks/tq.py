"""The TqSdk adapter beside the client itself, against one loopback exchange: history into the store, and CPU per live tick.

`python benchmarks/tq.py` runs both parts, every contestant in a process of its own, in turns. History: whole processes from
start to exit over the same days, cold caches; live: a feed and a bare loop over so many ticks at the same speed.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from ghtrader.adapters.replay import ReplayProvider
from ghtrader.core.clock import SHANGHAI, Deadline, SystemClock
from ghtrader.core.instruments import product_of
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.pipelines.bench.harness import machine
from ghtrader.testing.exchange_process import ExchangeProcess

HISTORY = ("tick_data_series", "downloader", "ghtrader_1", "ghtrader_2")
LIVE = ("client", "ghtrader")
MOST_TIMES, LEAST_SPEEDUP = 1.1, 1.6
SERIAL_ROWS = 200
WEEK_NS = 7 * 86_400 * 10**9
LIVE_TIMEOUT_S = 300.0
#: A loopback closes for no maintenance; a busy machine may be slow.
LOOPBACK = {"data.download.maintenance_window": "never", "data.download.timeout_s": "120"}
ROOT = Path(__file__).resolve().parent.parent
#: Compiled kernels, made once by a run that is not timed, as an installation has them.
KERNELS = Path(tempfile.gettempdir()) / "ghtrader-bench-kernels"


def copied(ticks: Path, weeks: int, folder: Path) -> Path:
    """The files of a folder in so many weeks one after another: the same rows at the same times of the week."""
    for path in sorted(ticks.glob("*.parquet")):
        frame, facts = pl.read_parquet(path), pl.read_parquet_metadata(path)
        for week in range(weeks):
            moved = frame.with_columns(pl.col("datetime") + week * WEEK_NS)
            moved.write_parquet(folder / f"{path.stem}.{week}.parquet", metadata={"symbol": facts["symbol"]})
    return folder


def served(ticks: Path) -> dict[str, Any]:
    """The first contract of a folder, its rows, and the moments that hold all of its days."""
    calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
    provider = ReplayProvider(ticks, calendar, instruments)
    symbol = provider.symbols()[0]
    days = provider.trading_days(symbol)
    edges = [sessions_for(product_of(symbol), day, calendar, instruments) for day in (days[0], days[-1])]
    rows = sum(len(provider.ticks(symbol, day).frame) for day in days)
    hour = 3600 * 10**9
    return {"symbol": symbol, "rows": rows, "first_ns": edges[0].first_ns - hour, "last_ns": edges[1].last_ns + hour}


# --- contestants: each runs in a process of its own and prints one JSON object ---------------------------------------------
def open_client() -> Any:
    """The client as a script opens it, without its visit to a changelog server, which no loopback has."""
    sys.modules["tqsdk.changelog_notification"] = types.ModuleType("tqsdk.changelog_notification")
    import tqsdk

    login = tqsdk.TqAuth(os.environ["TQSDK_USER"], os.environ["TQSDK_PASSWORD"])
    return tqsdk.TqApi(auth=login, debug=False, disable_print=True)


def client_history(name: str, market: dict[str, Any], folder: Path) -> dict[str, float]:
    """All days by the client's own call, as a user writes it."""
    api = open_client()
    ready = time.monotonic()
    first, last = (dt.datetime.fromtimestamp(market[edge] / 1e9, tz=SHANGHAI) for edge in ("first_ns", "last_ns"))
    if name == "tick_data_series":
        rows = len(api.get_tick_data_series(market["symbol"], first, last))
    else:
        from tqsdk.tools import DataDownloader

        path = folder / "ticks.csv"
        task = DataDownloader(api, market["symbol"], 0, first, last, str(path))
        while not task.is_finished():
            api.wait_update()
        with path.open() as lines:
            rows = sum(1 for _ in lines) - 1
    done = time.monotonic()
    api.close()
    return {"rows": rows, "ready": ready, "done": done}


class Mark:
    """A progress sink that notes when the download begins."""

    ready = 0.0

    def start(self, stage: str, total: int) -> None:
        del stage, total
        self.ready = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        del steps, note

    def finish(self, note: str = "") -> None:
        del note


def our_history(workers: int, market: dict[str, Any], folder: Path) -> dict[str, float]:
    """All days into the local store: schedule, workers, checks, hashes, manifests, everything synced to disk."""
    for kind in ("DATA", "RUNS", "ARTIFACTS"):
        os.environ[f"GHTRADER_{kind}_DIR"] = str(folder / kind.lower())
    from ghtrader.app.paths import resolve_paths
    from ghtrader.app.services import AppServices, prepare_process
    from ghtrader.pipelines.download import download_series

    paths, mark = resolve_paths(os.environ), Mark()
    prepare_process(paths, os.environ)
    services = AppServices(paths, os.environ, {**LOOPBACK, "data.download.workers": str(workers)})
    report = download_series(services, product_of(market["symbol"]), progress=mark)
    return {"rows": report.rows, "ready": mark.ready, "done": time.monotonic()}


def timed_waits(api: Any) -> list[float]:
    """CPU seconds inside the client's `wait_update`, summed up in the one element."""
    inner, spent = type(api).wait_update, [0.0]

    def wait_update(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        try:
            return inner(self, *args, **kwargs)
        finally:
            spent[0] += time.process_time() - begun

    type(api).wait_update = wait_update
    return spent


def client_live(market: dict[str, Any], count: int) -> dict[str, float]:
    """A tick serial and `wait_update`; no tick is even looked at, only the newest id."""
    api = open_client()
    serial = api.get_tick_serial(market["symbol"], data_length=SERIAL_ROWS)
    begun, updates = time.process_time(), 0
    first = newest = int(serial["id"].to_numpy()[-1])
    while newest - first < count:
        api.wait_update()
        updates += 1
        newest = int(serial["id"].to_numpy()[-1])
    spent = time.process_time() - begun
    api.close()
    return {"ticks": newest - first, "cpu_s": spent, "updates": updates}


def our_live(market: dict[str, Any], count: int, folder: Path) -> dict[str, float]:
    """The live feed, every tick as numbers in the port's form."""
    import tqsdk

    from ghtrader.tq.live import TqLiveFeed
    from ghtrader.tq.session import Credentials

    spent = timed_waits(tqsdk.TqApi.__new__(tqsdk.TqApi))
    login = Credentials(os.environ["TQSDK_USER"], os.environ["TQSDK_PASSWORD"])
    feed = TqLiveFeed(login, folder / "tq", (market["symbol"],), SystemClock(), in_session=lambda: False)
    deadline = Deadline(LIVE_TIMEOUT_S)
    while not feed.poll(0.5):
        assert not deadline.passed, feed.status
    inside, begun, ticks, polls = spent[0], time.process_time(), 0, 0
    while ticks < count:
        assert not deadline.passed, feed.status
        ticks += len(feed.poll(0.5))
        polls += 1
    total = time.process_time() - begun
    feed.close()
    return {"ticks": ticks, "cpu_s": total, "client_cpu_s": spent[0] - inside, "updates": polls}


def contestant(name: str, market: dict[str, Any], count: int, folder: Path) -> dict[str, float]:
    """Run one by name."""
    if name in {"tick_data_series", "downloader"}:
        return client_history(name, market, folder)
    if name.startswith("ghtrader_"):
        return our_history(int(name[-1]), market, folder)
    return client_live(market, count) if name == "client" else our_live(market, count, folder)


# --- the parent ---------------------------------------------------------------------------------------------------------
def run_child(name: str, market: dict[str, Any], count: int, exchange: ExchangeProcess) -> dict[str, Any]:
    """One contestant with a home and a store of its own; seconds from start to exit, CPU of it and its children, of the exchange."""
    with tempfile.TemporaryDirectory(prefix="ghtrader-bench-", ignore_cleanup_errors=True) as folder:
        options = ["--child", name, "--live-ticks", str(count), "--folder", folder]
        own = {"HOME": folder, "NUMBA_CACHE_DIR": str(KERNELS), "BENCH_MARKET": json.dumps(market)}
        process, served_by = psutil.Process(), psutil.Process(exchange.pid)
        before, serving, begun = process.cpu_times(), served_by.cpu_times(), time.monotonic()
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), *options],
            env={**os.environ, **exchange.environment, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, after, served_then = time.monotonic() - begun, process.cpu_times(), served_by.cpu_times()
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if "ready" in found:
        start_s, work_s = found.pop("ready") - begun, found.pop("done") - begun
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        serving_s = served_then.user + served_then.system - serving.user - serving.system
        found |= {"seconds": seconds, "start_s": start_s, "work_s": work_s - start_s, "cpu_s": cpu, "exchange_cpu_s": serving_s}
    return {key: round(value, 3) for key, value in found.items()}


def in_turns(names: tuple[str, ...], repeats: int, run: Callable[[str], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Every contestant once, then again, the order reversed each time."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names if turn % 2 == 0 else names[::-1]:
            found[name].append(run(name))
            print(f"{name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(run[name]) for run in runs)


@contextlib.contextmanager
def exchange_on(ticks: Path, speed: float) -> Iterator[ExchangeProcess]:
    """A loopback exchange that serves a folder."""
    with tempfile.TemporaryDirectory(prefix="ghtrader-exchange-") as folder:
        exchange = ExchangeProcess(Path(folder), ["--ticks", str(ticks), "--speed", str(speed)]).start()
        try:
            yield exchange
        finally:
            exchange.stop()


def bench_history(ticks: Path, names: tuple[str, ...], repeats: int) -> dict[str, Any]:
    market = served(ticks)
    with exchange_on(ticks, 0.0) as exchange:
        if any(name.startswith("ghtrader") for name in names) and not KERNELS.exists():
            run_child("ghtrader_1", market, 0, exchange)
        runs = in_turns(names, repeats, lambda name: run_child(name, market, 0, exchange))
    short = {
        name: [run["rows"] for run in found] for name, found in runs.items() if {run["rows"] for run in found} != {market["rows"]}
    }
    if short:
        raise SystemExit(f"{market['rows']} rows were served, but {short}")
    found = {name: {key: median(all_of, key) for key in all_of[0]} for name, all_of in runs.items()}
    report: dict[str, Any] = {"rows": market["rows"], "medians": found, "runs": runs}
    report["rows_per_s"] = {name: round(market["rows"] / of["seconds"]) for name, of in found.items()}
    report["cpu_us_per_row"] = {name: round(of["cpu_s"] / market["rows"] * 1e6, 1) for name, of in found.items()}
    peers = [name for name in HISTORY[:2] if name in found]
    for part in ("seconds", "work_s"):
        ours = {name: {peer: found[name][part] / found[peer][part] for peer in peers} for name in HISTORY[2:] if name in found}
        report[f"times_{part}"] = {name: {peer: round(value, 2) for peer, value in of.items()} for name, of in ours.items()}
        if part == "seconds" and len(ours) == 2:
            one, two = (list(of.values()) for of in ours.values())
            report["met"] = max(one) <= MOST_TIMES and max(two) <= 1 / LEAST_SPEEDUP
    return report


def bench_live(ticks: Path, repeats: int, speed: float, count: int) -> dict[str, Any]:
    market = served(ticks)

    with exchange_on(ticks, speed) as exchange:
        runs = in_turns(LIVE, repeats, lambda name: run_child(name, market, count, exchange))

    def per(name: str, unit: str) -> float:
        return statistics.median(run["cpu_s"] / run[unit] for run in runs[name])

    ours, bare = per("ghtrader", "updates"), per("client", "updates")
    return {
        "speed": speed,
        "cpu_us_per_tick": {name: round(per(name, "ticks") * 1e6, 1) for name in LIVE},
        "cpu_us_per_update": {"client": round(bare * 1e6, 1), "ghtrader": round(ours * 1e6, 1)},
        "ticks_per_update": {name: round(statistics.median(r["ticks"] / r["updates"] for r in runs[name]), 2) for name in LIVE},
        "share_of_our_code": round(statistics.median(1.0 - run["client_cpu_s"] / run["cpu_s"] for run in runs["ghtrader"]), 3),
        "share_by_difference": round((ours - bare) / ours, 3),
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=Path, default=ROOT / "samples", help="folder of tick files of one contract")
    parser.add_argument("--weeks", type=int, default=2, help="history: the folder's days again so many weeks")
    parser.add_argument("--contestants", default=",".join(HISTORY), help="history: some of these")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("history", "live"))
    parser.add_argument("--speed", type=float, default=20.0, help="market seconds per wall second of the live part")
    parser.add_argument("--live-ticks", type=int, default=1000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        market = json.loads(os.environ["BENCH_MARKET"])
        print(json.dumps(contestant(arguments.child, market, arguments.live_ticks, arguments.folder)))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the exchange and the contestant end too
    report: dict[str, Any] = {"cpu": machine().cpu, "cores": machine().cores, "load": os.getloadavg()[0]}
    if arguments.only != "live":
        with tempfile.TemporaryDirectory(prefix="ghtrader-ticks-") as folder:
            ticks = copied(arguments.ticks, arguments.weeks, Path(folder))
            report["history"] = bench_history(ticks, tuple(arguments.contestants.split(",")), arguments.repeats)
    if arguments.only != "history":
        report["live"] = bench_live(arguments.ticks, arguments.repeats, arguments.speed, arguments.live_ticks)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
