"""How fast this server is through our code and through a bare client that does the same work, in one run, in turns.

Ours are the calls that the system makes (`QuestdbTickStore`, `IlpSender`, `QuestdbQueries`); bare is the official client with
nothing around it. Every pair works on the same rows in tables of their own, which are dropped at the end.
"""

from __future__ import annotations

import io
import platform
import statistics
import threading
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ghtrader.core.clock import Clock, Deadline, SystemClock, elapsed_s
from ghtrader.core.progress import Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.manifests import column_hashes
from ghtrader.data.row_hash import ROW_HASH_VERSION, day_digest, frame_columns, row_hashes
from ghtrader.data.schema import MARKET_COLUMNS, RAW_COLUMNS, SCHEMA_VERSION
from ghtrader.data.tables import table_named
from ghtrader.ports.tick_store import DayKey, DayManifest
from ghtrader.questdb.sender import encoded
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import day_predicate, day_window_ns
from ghtrader.questdb.store import QuestdbStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BenchmarkReport", "Comparison", "run_benchmark"]

DAY_ROWS = 41_000
FLUSH_ROWS = 20_500
REPEATS = 9
QUERY_REPEATS = 41
LEAST_RATIO = 0.85
MOST_GROWTH = 1.3
MOST_QUERY_MS = 20.0
SETTLE_S = 60.0
SYMBOL = "SHFE.rb2510"
FIRST_DAY = TradingDay.parse("2024-06-03")
PROTOCOL = (
    "client and server on the same machine; 40 columns; ours and the bare client in turns, the median of {repeats} pairs counts; "
    "ratio = speed of ours / speed of bare (queries: latency on ten times the rows / latency on the rows)"
)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of work: ours and bare as people read them, the ratio, what is asked, and whether it is met."""

    work: str
    ours: str
    bare: str
    ratio: float
    target: str
    met: bool


class BenchmarkReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured; ``parts`` are rows/s of the client's encoding and of network with server, and the wait until visible."""

    results: list[Comparison]
    parts: dict[str, float]
    met: bool
    machine: str
    protocol: str
    server: str


def bench_day(calendar: Calendar, day: TradingDay, seed: int) -> tuple[DayKey, pl.DataFrame, DayManifest]:
    """A day of 41,000 rows in all columns, seeded; prices on the grid, hashes as ingest writes them."""
    import polars as pl

    random = np.random.default_rng(seed)
    key = DayKey("raw", SYMBOL, day)
    _, last = day_window_ns(calendar, key)
    stamps = last - 8 * 3600 * 10**9 + np.arange(DAY_ROWS, dtype=np.int64) * 500_000_000
    walk = 3000.0 + np.cumsum(random.integers(-1, 2, DAY_ROWS))
    columns: dict[str, Any] = {}
    for name in MARKET_COLUMNS:
        price = "price" in name or name in {"average", "highest", "lowest"}
        columns[name] = walk if price else random.integers(1, 900, DAY_ROWS).astype(np.float64)
    for name in ("volume", "amount"):
        columns[name] = np.cumsum(columns[name])
    frame = pl.DataFrame({"datetime": stamps, **columns})
    hashes = row_hashes(stamps, frame_columns(frame))
    frame = frame.with_columns(
        pl.Series("local_nano", stamps + 1_000_000),
        pl.lit(3600.0).alias("upper_limit"),
        pl.lit(2400.0).alias("lower_limit"),
        pl.lit(SYMBOL).alias("symbol"),
        pl.lit(day.iso).alias("trading_day"),
        pl.lit(3, dtype=pl.UInt8).alias("phase"),
        pl.lit(1, dtype=pl.Int8).alias("part"),
        pl.lit(0, dtype=pl.UInt32).alias("flags"),
        pl.Series("row_hash", hashes),
    ).select(list(RAW_COLUMNS))
    manifest = DayManifest(
        kind="raw",
        symbol=SYMBOL,
        trading_day=day.iso,
        rows=DAY_ROWS,
        digest=day_digest("raw", SYMBOL, day.iso, hashes),
        row_hash_version=ROW_HASH_VERSION,
        schema_version=SCHEMA_VERSION,
        columns=column_hashes(frame),
        created_ns=seed,
    )
    return key, frame, manifest


class _Bench:
    """One run: a store with tables of its own, the same rows for both sides, and a stopwatch."""

    def __init__(self, settings: QuestdbSettings, calendar: Calendar, clock: Clock) -> None:
        prefix = f"bench{uuid.uuid4().hex[:8]}_"
        self.calendar = calendar
        self.clock = clock
        self.settings = replace(settings, prefix=prefix)
        self.store = QuestdbStore(self.settings, calendar, clock, "bench")
        self.wire_only = QuestdbStore(replace(self.settings, import_folder=None), calendar, clock, "bench")
        self.bare_settings = replace(self.settings, prefix=f"bare{prefix}")
        self.bare = QuestdbStore(self.bare_settings, calendar, clock, "bench")
        self.bare_table = self.bare_settings.name("ticks_raw_v2")
        self.parts: dict[str, float] = {}
        self.pool = ThreadPoolExecutor(2)
        self._bare = threading.local()
        self.days = [bench_day(calendar, calendar.next(FIRST_DAY, n + 1), n) for n in range(4)]
        self.table = self.settings.name("ticks_raw_v2")
        self.symbols = [column.name for column in table_named("ticks_raw_v2").columns if column.type == "sym"]

    def prepare(self) -> None:
        self.store.schema().migrate()
        self.bare.schema().migrate()

    def close(self) -> None:
        self.pool.shutdown()
        for store in (self.store, self.bare):
            names = [
                name for (name,) in store.wire.query("SELECT table_name FROM tables()") if name.startswith(store.settings.prefix)
            ]
            views = {name for (name,) in store.wire.query("SELECT view_name FROM materialized_views()")}
            for name in sorted(names, key=lambda item: item not in views):
                store.wire.execute(f"DROP {'MATERIALIZED VIEW' if name in views else 'TABLE'} {name}", timeout_s=120)
        for store in (self.store, self.wire_only, self.bare):
            store.close()

    def seconds(self, work: Callable[[], object]) -> float:
        started = self.clock.monotonic_ns()
        work()
        return elapsed_s(self.clock, started)

    def pairs(
        self, ours: Callable[[int], object], bare: Callable[[int], object], repeats: int = REPEATS
    ) -> tuple[float, float, float]:
        """Median seconds of ours and of bare, and the median of bare / ours; one unmeasured pair first."""
        mine: list[float] = []
        theirs: list[float] = []
        for number in range(repeats + 1):
            order = ((mine, ours), (theirs, bare)) if number % 2 else ((theirs, bare), (mine, ours))
            for found, work in order:
                taken = self.seconds(lambda work=work, number=number: work(number))  # type: ignore[misc]
                if number:
                    found.append(taken)
        ratios = [second / first for first, second in zip(mine, theirs, strict=True)]
        return statistics.median(mine), statistics.median(theirs), statistics.median(ratios)

    # --- the bare client ------------------------------------------------------------------------------------------------
    def bare_client(self) -> Any:
        """The official client as it comes, one per thread."""
        kept = getattr(self._bare, "client", None)
        if kept is None:
            from questdb import Protocol, Sender

            login = (
                {"username": self.settings.http_user, "password": self.settings.http_password} if self.settings.http_user else {}
            )
            options: dict[str, Any] = {"protocol_version": 2, "auto_flush": False, "max_buf_size": 1 << 30, **login}
            found: Any = Sender(Protocol.Http, self.settings.host, self.settings.http_port, **options)
            found.establish()
            self._bare.client = kept = found
        return kept

    def bare_send(self, frames: list[pl.DataFrame]) -> None:
        for frame in frames:
            self.bare_client().dataframe(encoded(frame, self.symbols), table_name=self.bare_table, at="datetime")
            self.bare_client().flush()

    def bare_wait(self) -> None:
        self.bare.wire.query(f"SELECT wait_wal_table('{self.bare_table}')")

    def bare_bulk(self, frame: pl.DataFrame) -> None:
        import polars as pl

        folder = self.settings.import_folder
        assert folder is not None
        file = folder / "bare.parquet"
        staged = frame.with_columns(
            pl.col("datetime").cast(pl.Datetime("ns")), pl.col("phase", "part").cast(pl.Int16), pl.col("flags").cast(pl.Int64)
        )
        staged.write_parquet(file, compression="lz4", statistics=False)
        columns = ", ".join(staged.columns)
        self.bare.wire.execute(f"INSERT INTO {self.bare_table} ({columns}) SELECT {columns} FROM read_parquet('bare.parquet')")
        self.bare_wait()

    def bare_read(self, key: DayKey) -> int:
        import polars as pl

        columns = ", ".join(RAW_COLUMNS)
        sql = f"SELECT {columns} FROM {self.table} WHERE {day_predicate(self.calendar, key)}"
        query = urllib.parse.urlencode({"query": sql, "fmt": "parquet", "compression_codec": "lz4_raw"})
        request = urllib.request.Request(f"http://{self.settings.host}:{self.settings.http_port}/exp?{query}")
        if self.settings.http_user:
            import base64

            token = base64.b64encode(f"{self.settings.http_user}:{self.settings.http_password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            return len(pl.read_parquet(io.BytesIO(answer.read())))


def _flushes(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return [frame.slice(start, FLUSH_ROWS) for start in range(0, len(frame), FLUSH_ROWS)]


def _rate(work: str, rows: int, found: tuple[float, float, float], *, least: float = LEAST_RATIO) -> Comparison:
    mine, theirs, ratio = found
    target = f"at least {least}" if least else "reported: what the guarantees cost"
    speeds = [f"{rows / seconds:,.0f} rows/s" for seconds in (mine, theirs)]
    return Comparison(work=work, ours=speeds[0], bare=speeds[1], ratio=round(ratio, 3), target=target, met=ratio >= least)


def _writes(bench: _Bench) -> list[Comparison]:
    frames = [frame for _, frame, _ in bench.days]
    sender = bench.store.sender

    def ours_one(number: int) -> None:
        for piece in _flushes(frames[number % 4]):
            sender.send(bench.table, [piece], bench.symbols)

    def two(send: Callable[[int], object]) -> Callable[[int], None]:
        def work(number: int) -> None:
            list(bench.pool.map(send, (number, number + 1)))

        return work

    def bare_one(number: int) -> None:
        bench.bare_send(_flushes(frames[number % 4]))

    results = [_rate("ILP acknowledged, one sender", DAY_ROWS, bench.pairs(ours_one, bare_one))]
    results.append(_rate("ILP acknowledged, two senders", 2 * DAY_ROWS, bench.pairs(two(ours_one), two(bare_one))))

    def ours_day(number: int) -> None:
        bench.wire_only.ticks().write_day(*bench.days[number % 4])

    def bare_day(number: int) -> None:
        bench.bare_send([frames[number % 4]])
        bench.bare_wait()

    cost = bench.pairs(ours_day, bare_day)
    results.append(
        _rate("a day over the wire with manifest and checks, until visible; bare has neither", DAY_ROWS, cost, least=0.0)
    )
    if bench.settings.import_folder is not None:
        results.append(_bulk(bench))
    return results


def _bulk(bench: _Bench) -> Comparison:
    """Four days a call: what a bulk load of days costs, staged files until visible."""

    def ours(_number: int) -> None:
        for day in bench.days:
            bench.store.ticks().write_day(*day)

    def bare(_number: int) -> None:
        for _, frame, _ in bench.days:
            bench.bare_bulk(frame)

    return _rate("bulk through read_parquet, until visible", 4 * DAY_ROWS, bench.pairs(ours, bare))


def _read(bench: _Bench) -> Comparison:
    key, frame, manifest = bench.days[0]
    bench.store.ticks().write_day(key, frame, manifest)
    mine, theirs, ratio = bench.pairs(lambda _: bench.store.ticks().read_day(key), lambda _: bench.bare_read(key), 9)
    ours, bare = (f"{1000 * seconds:.0f} ms" for seconds in (mine, theirs))
    work = f"a day of {DAY_ROWS:,} rows into polars"
    return Comparison(
        work=work, ours=ours, bare=bare, ratio=round(ratio, 3), target=f"at least {LEAST_RATIO}", met=ratio >= LEAST_RATIO
    )


def _measure_parts(bench: _Bench) -> None:
    """Client encoding, network with server, and visibility apart, of one day over the wire."""
    _, frame, _ = bench.days[0]
    client = bench.bare_client()
    buffer = client.new_buffer()
    encode = bench.seconds(lambda: buffer.dataframe(encoded(frame, bench.symbols), table_name=bench.bare_table, at="datetime"))
    flush = bench.seconds(lambda: client.flush(buffer))
    visible = bench.seconds(bench.bare_wait)
    bench.parts = {
        "client_encode_rows_per_s": round(DAY_ROWS / encode),
        "network_and_server_rows_per_s": round(DAY_ROWS / flush),
        "server_visibility_ms": round(1000 * visible, 1),
    }


def _query_latencies(bench: _Bench) -> dict[str, float]:
    """Median milliseconds of each question."""
    queries = bench.store.queries()
    questions: dict[str, Callable[[], object]] = {
        "bounds": lambda: queries.bounds("raw", SYMBOL),
        "latest": lambda: queries.latest("raw", SYMBOL),
        "symbol counts": lambda: queries.symbol_counts("raw"),
        "coverage": lambda: queries.coverage("raw", SYMBOL),
        "day list": lambda: bench.store.ticks().days("raw", SYMBOL),
    }
    deadline = Deadline(SETTLE_S)
    while queries.symbol_counts("raw") and queries.degraded and not deadline.passed:
        deadline.pause(0.1)
    taken: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(QUERY_REPEATS):  # in turns: whatever the server does beside them meets every question
        for name, ask in questions.items():
            taken[name].append(1000 * bench.seconds(ask))
    return {name: statistics.median(times) for name, times in taken.items()}


def _fill(bench: _Bench, first: int, last: int) -> None:
    """Days ``first`` to ``last`` (exclusive) after the base day, in transactions of several days."""
    import polars as pl

    _, base, _ = bench.days[0]
    day = bench.calendar.next(FIRST_DAY, 1)
    day_ns = 24 * 3600 * 10**9
    pieces = []
    for number in range(first, last):
        target = bench.calendar.next(FIRST_DAY, number + 1)
        shift = (target.date - day.date).days * day_ns
        pieces.append(
            base.with_columns(
                pl.col("datetime") + shift,
                pl.lit(target.iso).alias("trading_day"),
                pl.lit(number + 1, dtype=pl.Int64).alias("write_id"),
            )
        )
        if len(pieces) == 6 or number == last - 1:
            bench.store.sender.send(bench.table, [pl.concat(pieces)], bench.symbols)
            pieces = []


def _queries(bench: _Bench, rows: int, progress: Progress) -> list[Comparison]:
    few, many = max(1, rows // DAY_ROWS), 10 * max(1, rows // DAY_ROWS)
    _fill(bench, 0, few)
    small = _query_latencies(bench)
    for start in range(few, many, 12):
        _fill(bench, start, min(start + 12, many))
        progress.advance(0, note=f"{start * DAY_ROWS:,} rows")
    large = _query_latencies(bench)
    results = []
    for name, before in small.items():
        growth = large[name] / before
        met = growth <= MOST_GROWTH and large[name] < MOST_QUERY_MS
        results.append(
            Comparison(
                work=f"{name}: {many * DAY_ROWS / 1e6:.1f} M rows against {few * DAY_ROWS / 1e6:.1f} M",
                ours=f"{large[name]:.1f} ms",
                bare=f"{before:.1f} ms",
                ratio=round(growth, 3),
                target=f"at most {MOST_GROWTH}, under {MOST_QUERY_MS:.0f} ms",
                met=met,
            )
        )
    return results


def run_benchmark(settings: QuestdbSettings, calendar: Calendar, *, rows: int, progress: Progress) -> BenchmarkReport:
    """Measure writes, reads and questions; ``rows`` is the small table of the questions, the large one has ten times as many."""
    bench = _Bench(settings, calendar, SystemClock())
    progress.start("db benchmark", 4)
    try:
        bench.prepare()
        results = _writes(bench)
        progress.advance(note="writes")
        results.append(_read(bench))
        progress.advance(note="reads")
        _measure_parts(bench)
        progress.advance(note="parts")
        results += _queries(bench, rows, progress)
        progress.advance(note="questions")
        server = str(bench.store.wire.scalar("SELECT build()"))
    finally:
        bench.close()
    progress.finish("measured")
    return BenchmarkReport(
        results=results,
        parts=bench.parts,
        met=all(item.met for item in results),
        machine=f"{platform.machine()}, Python {platform.python_version()}, {settings.host}",
        protocol=PROTOCOL.format(repeats=REPEATS),
        server=server,
    )
