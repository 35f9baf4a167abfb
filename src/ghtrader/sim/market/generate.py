"""Days of a generated market in the columns of a tick file, with their truth apart."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.sim.market.engine import GRID, LEVELS, run_book, run_null
from ghtrader.sim.market.params import MARKETS, MarketSpec

__all__ = ["DEFAULT_CONTRACT", "DEFAULT_DAYS", "DEFAULT_FIRST_DAY", "GeneratedDay", "generate_market", "market_spec"]

DEFAULT_CONTRACT = "SHFE.cu2006"
#: No night sessions in these weeks (they were suspended), so a day is 3 h 45 min: 27,000 snapshots.
DEFAULT_FIRST_DAY = "2020-02-04"
DEFAULT_DAYS = 26
SLOT_NS = 500_000_000
OVERNIGHT_TICKS = 6.0
LIMIT_SHARE = 0.08
OPENING_PRICE_TICKS = 4600

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GeneratedDay:
    """One trading day: stamps and source columns (as a tick file has them), truth beside them.

    truth_alpha: sign of the hidden state at each row; truth_phase: 0 off, 1 leak, 2 effect.
    """

    symbol: str
    trading_day: TradingDay
    sessions: DaySessions
    price_tick: float
    multiplier: float
    ts_ns: I64
    columns: dict[str, F64]
    upper_limit: F64
    lower_limit: F64
    truth_alpha: npt.NDArray[np.int8]
    truth_phase: npt.NDArray[np.int8]


def market_spec(name: str) -> MarketSpec:
    """A market by name; raises UsageError with the nearest match."""
    if name not in MARKETS:
        near = difflib.get_close_matches(name, MARKETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(MARKETS)}"
        raise UsageError(f"no market {name!r}", hint=hint)
    return MARKETS[name]


def _seed(name: str, seed: int, day: TradingDay, contract: str) -> int:
    digest = hashlib.sha256(f"{name}\0{seed}\0{contract}\0{day.iso}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def _slots(sessions: DaySessions) -> I64:
    """Stamps of every slot of continuous trading, ns, parts separated by -1."""
    parts: list[I64] = []
    for window in sessions.parts:
        parts += [np.arange(window.start_ns + SLOT_NS, window.end_ns + 1, SLOT_NS, dtype=np.int64), np.array([-1])]
    return np.concatenate(parts)


def _parameters(spec: MarketSpec) -> F64:
    book = msgspec.structs.astuple(spec.book)
    return np.array([*book, spec.kappa, spec.eta, spec.off_s, spec.leak_s, spec.effect_s], dtype=np.float64)


def generate_market(
    name: str,
    seed: int,
    *,
    days: int = DEFAULT_DAYS,
    contract: str = DEFAULT_CONTRACT,
    first_day: str = DEFAULT_FIRST_DAY,
    calendar: Calendar | None = None,
    instruments: InstrumentTable | None = None,
) -> Iterator[GeneratedDay]:
    """Trading days of a market, one after the other. Same arguments, same ticks, bit for bit, on any machine.

    A day depends on the market, the seed, the contract, the date and the price it opens at; nothing else is carried
    over night. Raises UsageError for an unknown market, CalendarError beyond the calendar.
    """
    spec = market_spec(name)
    calendar, instruments = calendar or Calendar.vendored(), instruments or InstrumentTable.vendored()
    if days < 1:
        raise UsageError(f"{days} days cannot be generated", hint="--days 26")
    day = calendar.require(TradingDay.parse(first_day))
    opening = OPENING_PRICE_TICKS
    for _ in range(days):
        generated, closing = _generate_day(spec, seed, contract, day, opening, calendar, instruments)
        yield generated
        jump = np.random.default_rng(_seed(name, seed, day, contract)).normal(0.0, OVERNIGHT_TICKS)
        opening = max(500, closing + round(jump))
        day = calendar.next(day)


def _generate_day(
    spec: MarketSpec, seed: int, contract: str, day: TradingDay, opening: int, calendar: Calendar, instruments: InstrumentTable
) -> tuple[GeneratedDay, int]:
    sessions = sessions_for(instruments.product(contract).product, day, calendar, instruments)
    facts = instruments.spec(contract, day)
    slots = _slots(sessions)
    size = len(slots)
    stamps, last = np.zeros(size, np.int64), np.zeros(size, np.int64)
    bid_px, bid_sz = np.zeros((size, LEVELS), np.int64), np.zeros((size, LEVELS), np.int64)
    ask_px, ask_sz = np.zeros((size, LEVELS), np.int64), np.zeros((size, LEVELS), np.int64)
    volume, amount, interest = np.zeros(size), np.zeros(size), np.zeros(size)
    alpha, phase = np.zeros(size), np.zeros(size)
    number = _seed(spec.name, seed, day, contract)
    if spec.kind == "null":
        rows = run_null(number, slots, stamps, bid_px, bid_sz, ask_px, ask_sz, last, volume, amount, interest)
    else:
        seconds = float(np.count_nonzero(slots >= 0)) * 0.5
        rows = run_book(
            number,
            _parameters(spec),
            slots,
            seconds,
            stamps,
            bid_px,
            bid_sz,
            ask_px,
            ask_sz,
            last,
            volume,
            amount,
            interest,
            alpha,
            phase,
        )
    if rows <= 0:
        raise DataError(f"the {spec.name} market ran off its price ladder on {day} (seed {seed})", hint="try another seed")
    shift = opening - GRID // 2
    closing = int(last[rows - 1]) + shift
    auction_ns = next(w.start_ns for w in sessions.windows if w.phase == Phase.MATCH) + SLOT_NS
    index = np.concatenate(([0], np.arange(rows)))
    books = [bid_px[index] + shift, bid_sz[index], ask_px[index] + shift, ask_sz[index]]
    columns = _columns(
        books,
        last[index] + shift,
        volume[index],
        amount[index] + shift * volume[index],
        interest[index],
        facts.price_tick,
        facts.multiplier,
    )
    stamps = np.concatenate(([auction_ns], stamps[:rows]))
    _auction_row(columns, opening, facts.price_tick, facts.multiplier)
    limit = round(opening * LIMIT_SHARE)
    generated = GeneratedDay(
        symbol=contract,
        trading_day=day,
        sessions=sessions,
        price_tick=facts.price_tick,
        multiplier=facts.multiplier,
        ts_ns=stamps,
        columns=columns,
        upper_limit=np.full(len(stamps), (opening + limit) * facts.price_tick),
        lower_limit=np.full(len(stamps), (opening - limit) * facts.price_tick),
        truth_alpha=alpha[index].astype(np.int8),
        truth_phase=phase[index].astype(np.int8),
    )
    return generated, closing


def _columns(
    books: list[I64], last: I64, volume: F64, amount: F64, interest: F64, price_tick: float, multiplier: float
) -> dict[str, F64]:
    bid_px, bid_sz, ask_px, ask_sz = books
    prices: F64 = last.astype(np.float64) * price_tick
    columns: dict[str, F64] = {
        "last_price": prices,
        "average": amount / volume * price_tick,
        "highest": np.maximum.accumulate(prices),
        "lowest": np.minimum.accumulate(prices),
        "volume": volume.copy(),
        "amount": amount * price_tick * multiplier,
        "open_interest": interest.copy(),
    }
    for level in range(LEVELS):
        columns[BID_PRICES[level]] = bid_px[:, level].astype(np.float64) * price_tick
        columns[BID_SIZES[level]] = bid_sz[:, level].astype(np.float64)
        columns[ASK_PRICES[level]] = ask_px[:, level].astype(np.float64) * price_tick
        columns[ASK_SIZES[level]] = ask_sz[:, level].astype(np.float64)
    return columns


def _auction_row(columns: dict[str, F64], opening: int, price_tick: float, multiplier: float) -> None:
    """Row 0 is the call auction: everything matched at the opening price, the book as the first snapshot shows it."""
    price = opening * price_tick
    traded = np.floor(columns["volume"][0] * 0.5)
    columns["volume"][0] = traded
    columns["amount"][0] = traded * price * multiplier
    for name in ("last_price", "average", "highest", "lowest"):
        columns[name][0] = price
    columns["highest"][:] = np.maximum(columns["highest"], price)
    columns["lowest"][:] = np.minimum(columns["lowest"], price)
