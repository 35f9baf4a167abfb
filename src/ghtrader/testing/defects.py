"""Defects of real feeds, injected into a clean day: what each must be called, and the same path to a verdict as the command's.

A maker takes the source rows of one trading day (as a file holds them) and gives the rows of the broken file. The corpus is
built from any clean level-5 day with a night session; `docs/reference/validation.md` holds its table, made of the sample days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl

from ghtrader.adapters.memory import MemoryLedger, MemoryTickStore
from ghtrader.core.clock import NS_PER_S, SystemClock
from ghtrader.core.phases import PART_NAMES
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.link_evidence import DayEvidence, LinkWindow, ProviderAnswer
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES
from ghtrader.data.sessions import sessions_for
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.validation import validate_day
from ghtrader.data.verdict import Cause, DayVerdict, ReasonCode
from ghtrader.pipelines.day_context import DayContexts
from ghtrader.pipelines.evidence import TABLE
from ghtrader.ports.tick_store import DayKey

__all__ = ["CLEAN", "DEFECTS", "Broken", "Defect", "cut", "judge"]

R = ReasonCode
DAY_NS = 86_400 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S


@dataclass(frozen=True)
class Broken:
    """Rows of a broken file, the trading day to look at, the gaps that are there, and what came with the import."""

    frame: pl.DataFrame
    trading_day: str
    gaps: tuple[tuple[int, int], ...] = ()
    evidence: DayEvidence = field(default_factory=DayEvidence)


@dataclass(frozen=True)
class Defect:
    """One kind of defect: ``codes`` must be among the reasons, ``cause`` is that of every gap (None: no gap is there)."""

    name: str
    make: Callable[[pl.DataFrame, str], Broken]
    codes: tuple[ReasonCode, ...] = ()
    cause: Cause | None = None


def judge(broken: Broken, symbol: str, limits: Thresholds | None = None) -> DayVerdict:
    """Import the rows and judge the day, as ``ghtrader data import`` and ``ghtrader data main-l5-validate`` do."""
    limits = limits or Thresholds()
    calendar, instruments, store, ledger = Calendar.vendored(), InstrumentTable.vendored(), MemoryTickStore(), MemoryLedger()
    product, day = instruments.product(symbol).product, TradingDay.parse(broken.trading_day)
    Ingest(store, calendar, instruments, SystemClock(), "test").import_frame(symbol, broken.frame, source="file", sha256="f")
    if broken.evidence != DayEvidence():
        import msgspec

        ledger.put(TABLE, f"{symbol}/{day.iso}", msgspec.to_builtins(broken.evidence))
    contexts = DayContexts(store, ledger, calendar, limits, product=product)
    contexts.learn_files(symbol, store.days("raw", symbol))
    key = DayKey("raw", symbol, day)
    manifest = store.manifest(key)
    assert manifest is not None
    context, _ = contexts.of(manifest)
    return validate_day(
        store.read_day(key), sessions_for(product, day, calendar, instruments), limits, symbol=symbol, context=context
    )


def _part(frame: pl.DataFrame, day: str, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Row numbers of one session part, auction rows left out (of the days of the corpus, rb)."""
    sessions = sessions_for("SHFE.rb", TradingDay.parse(day), Calendar.vendored(), InstrumentTable.vendored())
    window = next(window for window in sessions.parts if PART_NAMES[window.part] == name)
    ts = frame["datetime"].to_numpy()
    return np.flatnonzero((ts >= window.start_ns) & (ts <= window.end_ns))


def cut(frame: pl.DataFrame, first: int, stop: int) -> tuple[pl.DataFrame, tuple[int, int]]:
    """The frame without rows ``first`` to ``stop - 1``, and the stamps of the rows on both sides."""
    ts = frame["datetime"]
    return pl.concat([frame[:first], frame[stop:]]), (int(ts[first - 1]), int(ts[stop]))


def _outage(frame: pl.DataFrame, day: str, *, part: str, seconds: int, evidence: str = "") -> Broken:
    rows = _part(frame, day, part)
    first = int(rows[len(rows) // 3])
    start = int(frame["datetime"][first])
    stop = int(np.searchsorted(frame["datetime"].to_numpy(), start + seconds * NS_PER_S))
    rest, gap = cut(frame, first, stop)
    known = {
        "": DayEvidence(),
        "link": DayEvidence(link=(LinkWindow(gap[0] + NS_PER_S, gap[1] - NS_PER_S // 2),)),
        "empty": DayEvidence(answers=(ProviderAnswer(gap[0], gap[1], "empty"),)),
        "rows": DayEvidence(answers=(ProviderAnswer(gap[0], gap[1], "rows"),)),
    }[evidence]
    return Broken(rest, day, (gap,), known)


def _late(frame: pl.DataFrame, day: str) -> Broken:
    """A receiver that stood still: the first row after the outage came ten seconds later than usual."""
    broken = _outage(frame, day, part="am1", seconds=60)
    late = pl.when(pl.col("datetime") == broken.gaps[0][1]).then(10 * NS_PER_S).otherwise(5_000_000)
    return Broken(broken.frame.with_columns((pl.col("datetime") + late).alias("local_nano")), day, broken.gaps)


def _row(frame: pl.DataFrame, position: int, **values: float) -> pl.DataFrame:
    """The frame with other values in one row."""
    changed = [
        pl.when(pl.int_range(pl.len()) == position)
        .then(pl.lit(value))
        .otherwise(pl.col(name))
        .cast(frame.schema[name])
        .alias(name)
        for name, value in values.items()
    ]
    return frame.with_columns(changed)


def _heartbeats(frame: pl.DataFrame, day: str) -> Broken:
    """Two rows hours before the session, without prices and volume."""
    names = [name for name in frame.columns if name != "datetime"]
    empty = frame[:2].with_columns([pl.lit(0).cast(frame.schema[name]).alias(name) for name in names])
    before = empty.with_columns((pl.col("datetime") - pl.Series([3 * HOUR_NS, 2 * HOUR_NS])).alias("datetime"))
    return Broken(pl.concat([before, frame]), day)


def _stray(frame: pl.DataFrame, day: str) -> Broken:
    """A row of the night's close that comes again at 06:00."""
    night = _part(frame, day, "night")
    stray = frame[int(night[-1])].with_columns((pl.col("datetime") + 7 * HOUR_NS).alias("datetime"))
    return Broken(pl.concat([frame[: int(night[-1]) + 1], stray, frame[int(night[-1]) + 1 :]]), day)


def _zeroed(frame: pl.DataFrame, day: str) -> Broken:
    names = [*BID_PRICES[1:], *BID_SIZES[1:], *ASK_PRICES[1:], *ASK_SIZES[1:]]
    return Broken(_row(frame, int(_part(frame, day, "am1")[500]), **dict.fromkeys(names, 0.0)), day)


def _repeated(frame: pl.DataFrame, day: str) -> Broken:
    position = int(_part(frame, day, "am2")[500])
    return Broken(_row(frame, position, bid_price3=float(frame["bid_price2"][position])), day)


def _misordered(frame: pl.DataFrame, day: str) -> Broken:
    position = int(_part(frame, day, "am2")[700])
    second, third = float(frame["ask_price2"][position]), float(frame["ask_price3"][position])
    return Broken(_row(frame, position, ask_price2=third, ask_price3=second), day)


def _crossed(frame: pl.DataFrame, day: str) -> Broken:
    position = int(_part(frame, day, "pm")[900])
    return Broken(_row(frame, position, bid_price1=float(frame["ask_price1"][position])), day)


def _without_night(frame: pl.DataFrame, day: str) -> Broken:
    """A file without the night session that the day had."""
    first = int(_part(frame, day, "night")[-1]) + 1
    sessions = sessions_for("SHFE.rb", TradingDay.parse(day), Calendar.vendored(), InstrumentTable.vendored())
    return Broken(frame[first:], day, ((sessions.parts[0].start_ns, sessions.parts[0].end_ns),))


def _half_day(frame: pl.DataFrame, day: str) -> Broken:
    """A recorder that ended in the middle of the morning's second part."""
    rows = _part(frame, day, "am2")
    stop = int(rows[len(rows) // 4])
    sessions = sessions_for("SHFE.rb", TradingDay.parse(day), Calendar.vendored(), InstrumentTable.vendored())
    am2, pm = sessions.parts[-2], sessions.parts[-1]
    return Broken(frame[:stop], day, ((int(frame["datetime"][stop - 1]), am2.end_ns), (pm.start_ns, pm.end_ns)))


def _spill(frame: pl.DataFrame, day: str) -> Broken:
    """Thirty rows of the afternoon in the file of the next trading day."""
    next_day = Calendar.vendored().next(TradingDay.parse(day))
    moved = _earlier(frame, -1)
    sessions = sessions_for("SHFE.rb", next_day, Calendar.vendored(), InstrumentTable.vendored())
    moved = moved.filter(pl.col("datetime") >= sessions.first_ns)
    rows = _part(frame, day, "pm")
    return Broken(pl.concat([frame[int(rows[100]) : int(rows[130])], moved]), day)


def _respaced(frame: pl.DataFrame, day: str) -> Broken:
    """Fifty stamps that come twice, the second time with another volume."""
    rows = _part(frame, day, "pm")[1000:1100:2]
    repeat = pl.int_range(pl.len()).is_in([int(row) + 1 for row in rows])
    return Broken(
        frame.with_columns(pl.when(repeat).then(pl.col("datetime").shift(1)).otherwise(pl.col("datetime")).alias("datetime")), day
    )


def _spaced(frame: pl.DataFrame, day: str) -> Broken:
    """The same, spaced by a microsecond in the file, as sources do that have been through a float."""
    broken = _respaced(frame, day)
    repeats = pl.col("datetime") == pl.col("datetime").shift(1)
    return Broken(
        broken.frame.with_columns((pl.col("datetime") + pl.when(repeats).then(1024).otherwise(0)).alias("datetime")), day
    )


def _level1(frame: pl.DataFrame, day: str) -> Broken:
    names = [f"{side}_{what}{level}" for side in ("bid", "ask") for what in ("price", "volume") for level in range(2, 6)]
    return Broken(frame.drop(names), day)


def _on_day(frame: pl.DataFrame, day: str, other: str) -> pl.DataFrame:
    """The rows moved to another trading day; the day's auction row goes, it did not stand there before 2023."""
    apart = (TradingDay.parse(day).date - TradingDay.parse(other).date).days
    rows = np.concatenate([_part(frame, day, name) for name in PART_NAMES.values()])
    return _earlier(frame[rows], apart)


def _earlier(frame: pl.DataFrame, days: int) -> pl.DataFrame:
    """The rows so many days earlier, receive times too."""
    stamps = [name for name in ("datetime", "local_nano") if name in frame.columns]
    return frame.with_columns([(pl.col(name) - days * DAY_NS).alias(name) for name in stamps])


def _in_2019(day: str) -> str:
    """A trading day of 2019 whose night was the same weekday's."""
    return "2019-06-10" if TradingDay.parse(day).date.weekday() == 0 else "2019-06-05"


def _double_counted(frame: pl.DataFrame, day: str) -> Broken:
    """A day of 2019 with volume, amount and open interest counted on both sides, as feeds did."""
    moved = _on_day(frame, day, _in_2019(day))
    doubled = [(pl.col(name) * 2).alias(name) for name in ("volume", "amount", "open_interest")]
    return Broken(moved.with_columns(doubled), _in_2019(day))


def _counted_once(frame: pl.DataFrame, day: str) -> Broken:
    """A day of 2019 whose source counted one side already: halving it was wrong."""
    return Broken(_on_day(frame, day, _in_2019(day)), _in_2019(day))


def _shuffled(frame: pl.DataFrame, day: str) -> Broken:
    return Broken(frame.sample(fraction=1.0, shuffle=True, seed=7), day)


def _fell_back(frame: pl.DataFrame, day: str) -> Broken:
    """Five rows with the volume of the hour before."""
    rows = _part(frame, day, "pm")
    stale = float(frame["volume"][int(rows[10])])
    mask = pl.int_range(pl.len()).is_between(int(rows[5000]), int(rows[5004]))
    return Broken(
        frame.with_columns(
            pl.when(mask).then(pl.lit(stale)).otherwise(pl.col("volume")).cast(frame.schema["volume"]).alias("volume")
        ),
        day,
    )


def _jump(frame: pl.DataFrame, day: str) -> Broken:
    position = int(_part(frame, day, "am1")[3000])
    return Broken(_row(frame, position, last_price=round(float(frame["last_price"][position]) * 1.1)), day)


def _one_sided(frame: pl.DataFrame, day: str) -> Broken:
    """Two minutes without bids, the price at no limit."""
    rows = _part(frame, day, "pm")[2000:2240]
    mask = pl.int_range(pl.len()).is_between(int(rows[0]), int(rows[-1]))
    names = (*BID_PRICES, *BID_SIZES)
    return Broken(
        frame.with_columns(
            [pl.when(mask).then(0.0).otherwise(pl.col(name)).cast(frame.schema[name]).alias(name) for name in names]
        ),
        day,
    )


_outages = [
    Defect(f"outage of {words} in {part}", partial(_outage, part=part, seconds=seconds), (R.GAPS,), Cause.UNKNOWN)
    for part in ("night", "am1", "am2", "pm")
    for words, seconds in (("20 s", 20), ("70 s", 70), ("30 min", 1800))
]
DEFECTS: tuple[Defect, ...] = (
    *_outages,
    Defect(
        "outage with a link log",
        partial(_outage, part="pm", seconds=300, evidence="link"),
        (R.OUR_OUTAGE, R.GAPS),
        Cause.OUR_OUTAGE,
    ),
    Defect(
        "outage that the provider has too",
        partial(_outage, part="pm", seconds=300, evidence="empty"),
        (R.PROVIDER_MISSING, R.GAPS),
        Cause.PROVIDER_MISSING,
    ),
    Defect(
        "outage of which the provider has rows",
        partial(_outage, part="pm", seconds=300, evidence="rows"),
        (R.OUR_OUTAGE,),
        Cause.OUR_OUTAGE,
    ),
    Defect("receiver stood still", _late, (R.GAPS,), Cause.LATE),
    Defect("heartbeat rows", _heartbeats, (R.HEARTBEATS,)),
    Defect("stray row outside the sessions", _stray, (R.STRAY_ROWS,)),
    Defect("levels 2-5 zero in one row", _zeroed, (R.ZEROED_LEVELS,)),
    Defect("repeated level", _repeated, (R.REPEATED_LEVELS,)),
    Defect("misordered levels", _misordered, (R.DISORDERED_LEVELS,)),
    Defect("crossed book", _crossed, (R.CROSSED_BOOKS,)),
    Defect("night session missing", _without_night, (R.PART_MISSING, R.GAPS), Cause.UNKNOWN),
    Defect("half the day missing", _half_day, (R.PART_MISSING, R.PART_INCOMPLETE, R.SILENCE), Cause.UNKNOWN),
    Defect("rows spilled from another day's file", _spill, (R.WRONG_DAY_SPILL,), Cause.UNKNOWN),
    Defect("duplicated stamps", _respaced, (R.RESPACED_STAMPS,)),
    Defect("duplicated stamps, spaced by 1 us", _spaced, (R.RESPACED_STAMPS,)),
    Defect("level 1 only", _level1, (R.LEVEL1_ONLY,)),
    Defect("2019 day counted on both sides", _double_counted, (R.TWO_SIDED_VOLUME,)),
    Defect("2019 day counted once", _counted_once, (R.TWO_SIDED_DOUBT,)),
    Defect("shuffled rows", _shuffled, (R.REORDERED_ROWS,)),
    Defect("volume fell for a few rows", _fell_back, (R.CONTRADICTING_ROWS,)),
    Defect("price jump", _jump, (R.PRICE_JUMPS,)),
    Defect("one side missing", _one_sided, (R.MISSING_SIDE,)),
)


def _quiet_removed(frame: pl.DataFrame, day: str, *, share: float) -> Broken:
    """A share of the rows whose volume did not change goes; the feed would not have sent them had it been quiet."""
    volume = frame["volume"].to_numpy()
    quiet = np.concatenate(([False], np.diff(volume) == 0))
    chosen = quiet & (np.random.default_rng(11).random(len(frame)) < share)
    return Broken(frame.filter(pl.Series(~chosen)), day)


def _thinned(frame: pl.DataFrame, day: str, *, keep: float) -> Broken:
    chosen = np.random.default_rng(13).random(len(frame)) < keep
    return Broken(frame.filter(pl.Series(chosen)), day)


def _holiday_eve(frame: pl.DataFrame, day: str) -> Broken:
    """The first trading day after a holiday: it has no night, and the file has none."""
    other = "2025-06-03"
    rows = np.concatenate([_part(frame, day, name) for name in ("am1", "am2", "pm")])
    apart = (TradingDay.parse(day).date - TradingDay.parse(other).date).days
    volume = float(frame["volume"][int(rows[0])] - 1)
    counted = (pl.col("volume") - volume).cast(frame.schema["volume"]).alias("volume")
    moved = _earlier(frame[rows], apart).with_columns(counted)
    return Broken(moved, other)


#: Days that nothing is wrong with: no gap may be found in them.
CLEAN: tuple[Defect, ...] = (
    Defect("the day as it is", Broken),
    Defect("one quiet row in ten removed", partial(_quiet_removed, share=0.1)),
    Defect("half of the quiet rows removed", partial(_quiet_removed, share=0.5)),
    Defect("every quiet row removed", partial(_quiet_removed, share=1.0)),
    Defect("89 % of the slots filled", partial(_thinned, keep=0.89)),
    Defect("76 % of the slots filled", partial(_thinned, keep=0.76)),
    Defect("a tick every ten seconds", partial(_thinned, keep=0.05)),
    Defect("a tick every thirty seconds", partial(_thinned, keep=0.017)),
    Defect("a day without a night session", _holiday_eve),
)
