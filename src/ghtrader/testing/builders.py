"""Small days of ticks for tests: source frames, canonical frames, manifests and `DayTicks`, seeded and exact.

Every builder takes a seed and gives the same rows for it on any machine; prices lie on the tick grid and stamps inside
the sessions of the day, so that a test changes only what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ghtrader.core.errors import UsageError
from ghtrader.core.phases import PART_NAMES, SessionPart
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import canonical_day
from ghtrader.data.day_ticks import DayTicks, from_frame
from ghtrader.data.ingest import canonical_frame, frame_arrays
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.manifests import column_hashes
from ghtrader.data.row_hash import ROW_HASH_VERSION, day_digest
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES, LEVELS, MARKET_COLUMNS, SCHEMA_VERSION
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.ports.tick_store import DayKey, DayManifest, SourceFile

__all__ = ["DAY", "STEP_NS", "SYMBOL", "book_ticks", "day_manifest", "day_sessions", "day_ticks", "source_frame", "tick_frame"]

SYMBOL = "SHFE.rb2510"
DAY = "2025-06-05"
STEP_NS = 500_000_000
_PART_CODES = {name: part for part, name in PART_NAMES.items()}


def day_sessions(symbol: str = SYMBOL, trading_day: str = DAY) -> DaySessions:
    """Session windows of a contract's trading day, from the vendored tables."""
    calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
    return sessions_for(instruments.product(symbol).product, TradingDay.parse(trading_day), calendar, instruments)


def _stamps(rows: int, sessions: DaySessions, parts: Sequence[str] | None) -> npt.NDArray[np.int64]:
    wanted = [window.part for window in sessions.parts] if parts is None else [_PART_CODES[name] for name in parts]
    windows = [window for window in sessions.parts if window.part in wanted]
    if not windows:
        raise UsageError(f"{sessions.product} has none of the parts {parts} on {sessions.trading_day}")
    shares = [rows // len(windows) + (index < rows % len(windows)) for index in range(len(windows))]
    pieces = []
    for window, share in zip(windows, shares, strict=True):
        if (share - 1) * STEP_NS > window.end_ns - window.start_ns:
            raise UsageError(f"{share} rows do not fit into the part {SessionPart(window.part).name}")
        pieces.append(window.start_ns + STEP_NS * np.arange(share, dtype=np.int64))
    return np.concatenate(pieces)


def source_frame(
    rows: int = 200,
    *,
    symbol: str = SYMBOL,
    trading_day: str = DAY,
    seed: int = 0,
    parts: Sequence[str] | None = None,
    price_ticks: int = 3000,
) -> pl.DataFrame:
    """Rows as a provider sends them: ``datetime`` (int64 ns UTC) and the 27 market columns (float64), two-sided, five levels.

    rows are shared evenly by ``parts`` (night, am1, am2, pm; all that the day has), 500 ms apart from each part's start.
    The bid walks by at most one tick a row from ``price_ticks``; spread one or two ticks; lots 1 to 60.

    >>> frame = source_frame(8)
    >>> frame.height, frame.width, bool((frame["bid_price1"] < frame["ask_price1"]).all())
    (8, 28, True)
    """
    spec = InstrumentTable.vendored().spec(symbol, TradingDay.parse(trading_day))
    random = np.random.default_rng(seed)
    stamps = _stamps(rows, day_sessions(symbol, trading_day), parts)
    bid = (price_ticks + np.cumsum(random.integers(-1, 2, rows))).astype(np.float64)
    ask = bid + random.integers(1, 3, rows)
    last = np.where(random.random(rows) < 0.5, bid, ask)
    traded = random.integers(0, 40, rows)
    volume = np.cumsum(traded)
    amount = np.cumsum(traded * last * spec.price_tick * spec.multiplier)
    columns: dict[str, npt.NDArray[np.float64]] = {
        "last_price": last * spec.price_tick,
        "average": np.where(volume > 0, amount / np.maximum(volume, 1) / spec.multiplier, np.nan),
        "highest": np.maximum.accumulate(last) * spec.price_tick,
        "lowest": np.minimum.accumulate(last) * spec.price_tick,
        "volume": volume.astype(np.float64),
        "amount": amount.astype(np.float64),
        "open_interest": (1_000_000 + np.cumsum(random.integers(-5, 6, rows))).astype(np.float64),
    }
    for level in range(LEVELS):
        columns[BID_PRICES[level]] = (bid - level) * spec.price_tick
        columns[ASK_PRICES[level]] = (ask + level) * spec.price_tick
        columns[BID_SIZES[level]] = random.integers(1, 61, rows).astype(np.float64)
        columns[ASK_SIZES[level]] = random.integers(1, 61, rows).astype(np.float64)
    return pl.DataFrame({"datetime": stamps, **{name: columns[name] for name in MARKET_COLUMNS}})


def tick_frame(
    rows: int = 200,
    *,
    symbol: str = SYMBOL,
    trading_day: str = DAY,
    seed: int = 0,
    parts: Sequence[str] | None = None,
    price_ticks: int = 3000,
    source: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Canonical rows of one day as the stores hold them (`RAW_COLUMNS`), of ``source`` or of :func:`source_frame`.

    >>> frame = tick_frame(8)
    >>> frame["symbol"][0], frame["trading_day"][0], sorted(set(frame["part"].to_list()))
    ('SHFE.rb2510', '2025-06-05', [0, 1, 2, 3])
    """
    if source is None:
        source = source_frame(rows, symbol=symbol, trading_day=trading_day, seed=seed, parts=parts, price_ticks=price_ticks)
    day = TradingDay.parse(trading_day)
    arrays = frame_arrays(source)
    canonical = canonical_day(
        arrays.ts_ns,
        arrays.columns,
        sessions=day_sessions(symbol, trading_day),
        price_tick=InstrumentTable.vendored().spec(symbol, day).price_tick,
        local_nano=arrays.local_nano,
        upper_limit=arrays.upper_limit,
        lower_limit=arrays.lower_limit,
    )
    return canonical_frame(canonical, symbol, day)


def day_manifest(frame: pl.DataFrame, *, kind: str = "raw", created_ns: int = 0) -> tuple[DayKey, DayManifest]:
    """Key and manifest of canonical rows, with the digest that the rows have.

    >>> key, manifest = day_manifest(tick_frame(8))
    >>> key.symbol, manifest.rows, len(manifest.digest)
    ('SHFE.rb2510', 8, 64)
    """
    symbol, day = str(frame["symbol"][0]), str(frame["trading_day"][0])
    manifest = DayManifest(
        kind=kind,
        symbol=symbol,
        trading_day=day,
        rows=frame.height,
        digest=day_digest(kind, symbol, day, frame["row_hash"].to_numpy()),
        row_hash_version=ROW_HASH_VERSION,
        schema_version=SCHEMA_VERSION,
        rows_in=frame.height,
        sources=(SourceFile("builder", "0" * 64, frame.height),),
        columns=column_hashes(frame),
        created_ns=created_ns,
    )
    return DayKey(kind, symbol, TradingDay.parse(day)), manifest


def day_ticks(
    rows: int = 200,
    *,
    symbol: str = SYMBOL,
    trading_day: str = DAY,
    seed: int = 0,
    parts: Sequence[str] | None = None,
    price_ticks: int = 3000,
    source: pl.DataFrame | None = None,
) -> DayTicks:
    """The day of :func:`tick_frame` as the arrays that kernels read.

    >>> ticks = day_ticks(8)
    >>> len(ticks), ticks.bid_px.shape, ticks.break_before.tolist()
    (8, (8, 5), [True, False, True, False, True, False, True, False])
    """
    frame = tick_frame(
        rows, symbol=symbol, trading_day=trading_day, seed=seed, parts=parts, price_ticks=price_ticks, source=source
    )
    spec = InstrumentTable.vendored().spec(symbol, TradingDay.parse(trading_day))
    return from_frame(frame, price_tick=spec.price_tick, multiplier=spec.multiplier)


def book_ticks(
    rows: Sequence[tuple[int, int, int, int, int]],
    *,
    symbol: str = SYMBOL,
    trading_day: str = DAY,
    part: str = "am1",
    step_ns: int = STEP_NS,
) -> DayTicks:
    """A hand-written day: one ``(bid ticks, bid lots, ask ticks, ask lots, lots traded)`` per row, from the part's start.

    Levels 2-5 follow one tick apart with ten lots. The traded lots print at the ask when the row's bid rose, else at the
    bid (of this row); 0 ticks means an empty side.

    >>> ticks = book_ticks([(100, 5, 101, 7, 0), (101, 2, 102, 9, 3)])
    >>> ticks.bid_px[:, 0].tolist(), ticks.ask_sz[:, 0].tolist(), ticks.volume.tolist()
    ([100, 101], [7, 9], [0.0, 3.0])
    """
    spec = InstrumentTable.vendored().spec(symbol, TradingDay.parse(trading_day))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    bid, bid_lots, ask, ask_lots, traded = table.T
    rose = np.diff(bid, prepend=bid[:1]) > 0
    last = np.where(rose, np.where(ask > 0, ask, bid), np.where(bid > 0, bid, ask))
    frame = source_frame(len(rows), symbol=symbol, trading_day=trading_day, parts=[part])
    start = int(frame["datetime"][0])
    amount = np.cumsum(traded * last * spec.price_tick * spec.multiplier)
    columns: dict[str, npt.NDArray[np.float64]] = {
        "last_price": last * spec.price_tick,
        "volume": np.cumsum(traded),
        "amount": amount,
        "open_interest": np.full(len(rows), 1_000_000.0),
    }
    for level in range(LEVELS):
        columns[BID_PRICES[level]] = np.where(bid > 0, (bid - level) * spec.price_tick, np.nan)
        columns[ASK_PRICES[level]] = np.where(ask > 0, (ask + level) * spec.price_tick, np.nan)
        columns[BID_SIZES[level]] = np.where(bid > 0, bid_lots if level == 0 else 10.0, 0.0)
        columns[ASK_SIZES[level]] = np.where(ask > 0, ask_lots if level == 0 else 10.0, 0.0)
    stamps = start + step_ns * np.arange(len(rows), dtype=np.int64)
    filled = {name: columns.get(name, np.full(len(rows), np.nan)) for name in MARKET_COLUMNS}
    return day_ticks(symbol=symbol, trading_day=trading_day, source=pl.DataFrame({"datetime": stamps, **filled}))
