"""What is timed: our code and its peers, each as a function that prepares input and returns the timed call.

Input is the same for all: days of the generated ``planted`` market, whole days, as many as the asked rows need, at most
eight distinct ones in turn. A timed call returns a number that depends on all of its work, so that nothing is skipped.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S, Clock, SystemClock
from ghtrader.core.orders import FillModel, OrderKind
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import read_ticks
from ghtrader.data.row_hash import row_hashes, row_hashes_numpy
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.validation import validate_day
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import FactorStream, compute, part_ends, part_starts
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.pipelines.bench.factor_peers import by_numpy, by_pandas, by_polars, counting_rows
from ghtrader.pipelines.bench.gateway_orders import gateway_call, gateway_figures
from ghtrader.pipelines.bench.links import dedupe_call, dedupe_figures, links_call, links_figures
from ghtrader.pipelines.bench.media import BenchMedia
from ghtrader.pipelines.bench.strategy_ticks import strategy_call, strategy_figures
from ghtrader.ports.tick_store import DayKey, TickStore
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import GeneratedDay, generate_market
from ghtrader.sim.orders import NEVER_NS, OrderArray, simulate_orders

__all__ = ["Entry", "contestants"]

DISTINCT_DAYS = 8
ORDER_EVERY = 20
LATENCY_NS = 100_000_000
#: The full set: rows of a batch call, ticks of the stream and how many of them warm up.
FULL_ROWS, TICK_ROWS, WARM_TICKS = 200_000, 27_000, 500
PATIENCE_NS = 10_000_000_000
Call = Callable[[], float]


class Entry(NamedTuple):
    """One contestant: how it prepares itself for so many rows, and what should be known about it."""

    prepare: Callable[[int], Call]
    note: str = ""
    figures: Callable[[Clock, int], dict[str, float]] | None = None


def _generated(rows: int) -> list[GeneratedDay]:
    """Whole days until there are at least ``rows``; at most eight distinct ones, in turn."""
    distinct: list[GeneratedDay] = []
    source = generate_market("planted", 1, days=DISTINCT_DAYS)
    total = 0
    days: list[GeneratedDay] = []
    while total < rows:
        if len(distinct) < DISTINCT_DAYS:
            distinct.append(next(source))
        day = distinct[len(days) % len(distinct)] if len(distinct) == DISTINCT_DAYS else distinct[-1]
        days.append(day)
        total += len(day.ts_ns)
    return days


def _days(rows: int) -> list[tuple[DayTicks, DaySessions]]:
    """Days as arrays, the last one cut so that the rows are exact; equal days share their memory."""
    known: dict[int, tuple[DayTicks, DaySessions]] = {}
    chosen: list[tuple[DayTicks, DaySessions]] = []
    left = rows
    for day in _generated(rows):
        if id(day) not in known:
            known[id(day)] = (day_ticks(day), day.sessions)
        ticks, sessions = known[id(day)]
        chosen.append((ticks if len(ticks) <= left else ticks.rows(slice(0, left)), sessions))
        left -= len(chosen[-1][0])
    return chosen


def _orders(ticks: DayTicks) -> OrderArray:
    rows = np.arange(0, len(ticks) - 1, ORDER_EVERY)
    side = np.where(np.arange(len(rows)) % 2 == 0, 1, -1).astype(np.int64)
    price = np.where(side == 1, ticks.bid_px[rows, 0], ticks.ask_px[rows, 0])
    decision = ticks.ts_ns[rows]
    ones = np.ones(len(rows), np.int64)
    return OrderArray(side, price, ones, decision, ones * int(OrderKind.GFD), np.minimum(decision + PATIENCE_NS, NEVER_NS))


def _sim(rows: int) -> Call:
    days = [(ticks, _orders(ticks)) for ticks, _ in _days(rows)]
    return lambda: float(sum(simulate_orders(t, o, FillModel.PRO_RATA, latency_ns=LATENCY_NS).lots.sum() for t, o in days))


def _sim_hft(rows: int) -> Call:
    from ghtrader.pipelines.bench.hft_peer import prepare

    runs = [prepare(ticks, every=ORDER_EVERY, latency_ns=LATENCY_NS) for ticks, _ in _days(rows)]
    return lambda: sum(run() for run in runs)


def _factor_days(rows: int) -> list[tuple[DayTicks, DaySessions]]:
    return [(counting_rows(ticks), sessions) for ticks, sessions in _days(rows)]


def _factors(rows: int, set_name: str = "minimal16") -> Call:
    days, chosen = _factor_days(rows), factor_set(set_name)
    return lambda: float(sum(np.nansum(compute(ticks, sessions, chosen)[-1]) for ticks, sessions in days))


def _factors_by(rows: int, *, peer: Callable[[DayTicks, DaySessions], npt.NDArray[np.float64]]) -> Call:
    days = _factor_days(rows)
    return lambda: float(sum(np.nansum(peer(ticks, sessions)[-1]) for ticks, sessions in days))


def _full_set(clock: Clock, repeats: int) -> dict[str, float]:
    """The full set: rows/s in batch, and microseconds per tick through `FactorStream`, resets and day's start included."""
    call, seconds = _factors(FULL_ROWS, "full"), []
    call()
    for _ in range(repeats):
        begun = clock.monotonic_ns()
        call()
        seconds.append((clock.monotonic_ns() - begun) / NS_PER_S)
    ticks, sessions = _days(TICK_ROWS)[0]
    stream = FactorStream(factor_set("full"), tick_value_cny=ticks.price_tick * ticks.multiplier)
    starts, ends, broken = part_starts(ticks, sessions), part_ends(ticks, sessions), ticks.break_before
    spent = np.empty(len(ticks))
    calls = [
        partial(
            stream.step,
            int(ticks.ts_ns[i]), ticks.bid_px[i], ticks.bid_sz[i], ticks.ask_px[i], ticks.ask_sz[i], int(ticks.last_px[i]),
            float(ticks.volume[i]), float(ticks.amount[i]), float(ticks.open_interest[i]),
            break_before=bool(broken[i]), continuous=bool(ticks.phase[i] == int(Phase.CONTINUOUS)), part=int(ticks.part[i]),
            part_start_ns=int(starts[i]), part_end_ns=int(ends[i]),
        )
        for i in range(len(ticks))
    ]  # fmt: skip
    for index, step in enumerate(calls):
        begun = clock.monotonic_ns()
        step()
        spent[index] = clock.monotonic_ns() - begun
    p50, p99, p999 = (round(float(value) / 1e3, 2) for value in np.percentile(spent[WARM_TICKS:], (50, 99, 99.9)))
    rate = round(FULL_ROWS / statistics.median(seconds))
    return {"full_rows_per_s": rate, "tick_p50_us": p50, "tick_p99_us": p99, "tick_p999_us": p999, "ticks": float(len(ticks))}


def _labels(rows: int) -> Call:
    days = _days(rows)
    return lambda: float(sum(np.nansum(direction_labels(ticks)[0][:, 1]) for ticks, _ in days))


def _labels_numpy(rows: int) -> Call:
    days = _days(rows)

    def call() -> float:
        total = 0.0
        for ticks, _ in days:
            mid = ticks.mid_ticks
            for ahead in (10, 50, 200):
                total += float(np.nansum(mid[ahead:] - mid[:-ahead]))
            for seconds in (5, 25, 100):
                end = np.searchsorted(ticks.ts_ns, ticks.ts_ns + seconds * 1_000_000_000, side="right") - 1
                total += float(np.nansum(mid[end] - mid))
        return total

    return call


def _columns(rows: int) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.float64]]]:
    days = _generated(rows)
    stamps = np.concatenate([day.ts_ns for day in days])[:rows]
    columns = [np.concatenate([day.columns[name] for day in days])[:rows] for name in MARKET_COLUMNS]
    for column in columns:
        column.flags.writeable = False
    return stamps, columns


def _rowhash(rows: int) -> Call:
    stamps, columns = _columns(rows)
    return lambda: float(row_hashes(stamps, columns)[-1])


def _rowhash_numpy(rows: int) -> Call:
    stamps, columns = _columns(rows)
    return lambda: float(row_hashes_numpy(stamps, columns)[-1])


def _rowhash_polars(rows: int) -> Call:
    import polars as pl

    stamps, columns = _columns(rows)
    frame = pl.DataFrame({"datetime": stamps, **dict(zip(MARKET_COLUMNS, columns, strict=True))})
    return lambda: float(frame.hash_rows()[-1])


def _rowhash_pandas(rows: int) -> Call:
    import pandas as pd

    stamps, columns = _columns(rows)
    frame = pd.DataFrame({"datetime": stamps, **dict(zip(MARKET_COLUMNS, columns, strict=True))})
    return lambda: float(pd.util.hash_pandas_object(frame, index=False).iloc[-1])


def _files(rows: int, folder: Path) -> list[Path]:
    """Tick files of whole days with at least ``rows`` rows in all; every file another contract's, so none merges."""
    import polars as pl

    paths: list[Path] = []
    for number, day in enumerate(_generated(rows)):
        path = folder / f"{number}.parquet"
        frame = pl.DataFrame({"datetime": day.ts_ns, **day.columns})
        frame.write_parquet(path, metadata={"symbol": f"SHFE.cu{2001 + number % 12 + 100 * (number // 12)}"})
        paths.append(path)
    return paths


def _ingest(store: TickStore) -> Ingest:
    return Ingest(store, Calendar.vendored(), InstrumentTable.vendored(), SystemClock(), "bench")


def _import(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    folder = Path(tempfile.mkdtemp(prefix="ghtrader-bench-"))
    files = _files(rows, folder)

    def call() -> float:
        target = folder / "store"
        shutil.rmtree(target, ignore_errors=True)
        ingest = _ingest(store_factory(target))
        written = 0
        for path in files:
            source = read_ticks(path)
            imported = ingest.import_frame(source.symbol, source.frame, source=path.name, sha256=source.sha256)
            written += sum(day.rows_written for day in imported)
        return float(written)

    return call


def _import_frames(rows: int, *, library: str) -> Call:
    import polars as pl

    folder = Path(tempfile.mkdtemp(prefix="ghtrader-bench-"))
    files = _files(rows, folder)

    def call() -> float:
        written = 0
        for path in files:
            if library == "polars":
                frame: Any = pl.read_parquet(path)
                frame.unique().sort("datetime").write_parquet(folder / "copy", compression="zstd", compression_level=1)
            else:
                import pandas as pd

                frame = pd.read_parquet(path)
                frame.drop_duplicates().sort_values("datetime").to_parquet(folder / "copy", compression="zstd")
            written += len(frame)
        return float(written)

    return call


def _stored_day(rows: int, store_factory: Callable[[Path], TickStore]) -> tuple[TickStore, DayKey, Path]:
    folder = Path(tempfile.mkdtemp(prefix="ghtrader-bench-"))
    store = store_factory(folder / "store")
    day = next(generate_market("planted", 1, days=1, contract="SHFE.cu2106", first_day="2021-03-02"))
    import polars as pl

    frame = pl.DataFrame({"datetime": day.ts_ns, **day.columns})
    _ingest(store).import_frame(day.symbol, frame, source="bench", sha256="")
    key = DayKey("raw", day.symbol, TradingDay.parse("2021-03-02"))
    path = next((folder / "store").glob("**/part-*.parquet"))
    del rows
    return store, key, path


def _store(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    store, key, _ = _stored_day(rows, store_factory)
    return lambda: float(len(store.read_day(key)))


def _store_polars(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    import polars as pl

    _, _, path = _stored_day(rows, store_factory)
    return lambda: float(len(pl.read_parquet(path, hive_partitioning=False)))


def _store_pandas(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    import pandas as pd

    _, _, path = _stored_day(rows, store_factory)
    return lambda: float(len(pd.read_parquet(path.open("rb"))))


def _validate(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    store, key, _ = _stored_day(rows, store_factory)
    calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
    sessions = sessions_for(instruments.product(key.symbol).product, key.trading_day, calendar, instruments)
    frame, limits = store.read_day(key), Thresholds()
    return lambda: float(validate_day(frame, sessions, limits, symbol=key.symbol).rows)


def _validate_polars(rows: int, store_factory: Callable[[Path], TickStore]) -> Call:
    import polars as pl

    store, key, _ = _stored_day(rows, store_factory)
    frame = store.read_day(key)
    prices = [name for name in frame.columns if "price" in name]

    def call() -> float:
        nulls = frame.select(pl.col(prices).is_nan().sum()).row(0)
        steps = frame.select(pl.col("datetime", "volume").diff())
        return float(sum(nulls) + steps.select(pl.all().quantile(0.99)).row(0)[0])

    return call


def _runtime(media: BenchMedia) -> dict[str, dict[str, Entry]]:
    """Benchmarks of the trading runtime: no peers."""
    gateway = "target to order: risk, executor, journal; the calls without fdatasync, extra: with it too, hot and 50 a second"
    return {
        "gateway": {
            "ghtrader": Entry(partial(gateway_call, media=media), gateway, partial(gateway_figures, media=media)),
        },
        "links": {
            "ghtrader": Entry(
                partial(links_call, media=media),
                "a tick to another process and its answer back, one after the other; on every core",
                partial(links_figures, media=media),
            ),
        },
        "dedupe": {
            "ghtrader": Entry(dedupe_call, "a virtual day of commands, a fifth asked again; extra: ten million", dedupe_figures),
        },
    }


def contestants(media: BenchMedia) -> dict[str, dict[str, Entry]]:
    """Every benchmark with its contestants, ours first."""
    store_factory = media.store
    return _runtime(media) | {
        "sim": {
            "ghtrader": Entry(_sim, "one order every 20 snapshots, joins the touch, waits 10 s; pro_rata queue"),
            "hftbacktest": Entry(_sim_hft, "the same orders on its events; conversion not timed"),
        },
        "factors": {
            "ghtrader": Entry(
                _factors, "minimal16, resets and void rows included; extra: the full set, batch and per tick", _full_set
            ),
            "numpy": Entry(partial(_factors_by, peer=by_numpy), "the same sixteen, decayed sums as scaled cumulative sums"),
            "polars": Entry(partial(_factors_by, peer=by_polars), "the same sixteen, ewm_mean_by over runs, join_asof"),
            "pandas": Entry(partial(_factors_by, peer=by_pandas), "the same sixteen, ewm with times, merge_asof"),
        },
        "labels": {
            "ghtrader": Entry(_labels, "six horizons with void reasons"),
            "numpy": Entry(_labels_numpy, "six horizons by shift and search, no void reasons"),
        },
        "rowhash": {
            "ghtrader": Entry(_rowhash, "28 lanes"),
            "numpy": Entry(_rowhash_numpy, "the reference form, same numbers"),
            "polars": Entry(_rowhash_polars, "hash_rows: other numbers in other versions"),
            "pandas": Entry(_rowhash_pandas, "hash_pandas_object"),
        },
        "store": {
            "ghtrader": Entry(partial(_store, store_factory=store_factory), "a day through manifest and Parquet"),
            "polars": Entry(partial(_store_polars, store_factory=store_factory), "the bare file"),
            "pandas": Entry(partial(_store_pandas, store_factory=store_factory), "the bare file"),
        },
        "strategy": {
            "ghtrader": Entry(
                strategy_call,
                "frame to target: decode, the full set, logistic, taker, encode; every target filled at once",
                strategy_figures,
            ),
        },
        "validate": {
            "ghtrader": Entry(
                partial(_validate, store_factory=store_factory), "verdict on a loaded day: all layers, holes, fields"
            ),
            "polars": Entry(partial(_validate_polars, store_factory=store_factory), "nulls of prices, steps of time and volume"),
        },
        "import": {
            "ghtrader": Entry(partial(_import, store_factory=store_factory), "canonical, hashed, flagged, synced to disk"),
            "polars": Entry(partial(_import_frames, library="polars"), "read, unique, sort, write; nothing checked or synced"),
            "pandas": Entry(partial(_import_frames, library="pandas"), "read, unique, sort, write; nothing checked or synced"),
        },
    }
