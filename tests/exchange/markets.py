"""Handmade markets of few ticks, so that every number of a test can be said beforehand."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.exchange.loading import load_market
from ghtrader.exchange.market import ServedMarket
from ghtrader.ports.market_data import HistoryChunk

RB, NEXT = "SHFE.rb2510", "SHFE.rb2601"
FIRST, SECOND, THIRD = (TradingDay.parse(day) for day in ("2025-06-05", "2025-06-06", "2025-06-09"))
MULTIPLIER = 10
#: wall time, last price, lots traded since the tick before, open interest
Tick = tuple[str, float, int, int]
#: an auction row, the open, the night's last instant, the second auction, the morning, the break's edge, the close
DAY: list[Tick] = [
    ("20:59:00.5", 3000, 10, 1000),
    ("21:00:00.5", 3001, 4, 1001),
    ("21:00:01", 3002, 6, 1002),
    ("21:01:30", 2999, 5, 1003),
    ("23:00:00", 2998, 1, 1004),
    ("08:59:00.5", 2997, 7, 1005),
    ("09:00:00.5", 2996, 3, 1006),
    ("10:15:00", 2995, 2, 1007),
    ("10:30:00.5", 2997, 2, 1008),
    ("15:00:00", 3003, 8, 1009),
]
TRADED = sum(tick[2] for tick in DAY)


def stamp(day: TradingDay, clock: str) -> int:
    """The moment of a wall time in a trading day; an evening is that of the trading day before."""
    evening = clock >= "18"
    date = Calendar.vendored().previous(day).date if evening else day.date
    moment = dt.datetime.combine(date, dt.time(), SHANGHAI)
    hours, minutes, seconds = clock.split(":")
    return int(moment.timestamp()) * NS_PER_S + int((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * NS_PER_S)


def frame(day: TradingDay, ticks: list[Tick], lots: int = 5) -> pl.DataFrame:
    """Rows with five levels one tick apart around the last price; level k shows ``lots`` times k."""
    volume, amount, rows = 0, 0.0, []
    for clock, last, traded, interest in ticks:
        volume += traded
        amount += 0.0 if math.isnan(last) else traded * last * MULTIPLIER
        row = {"datetime": stamp(day, clock), "last_price": float(last), "volume": volume, "amount": amount}
        row |= {"open_interest": interest}
        for level in range(1, 6):
            row |= {f"bid_price{level}": last - level, f"bid_volume{level}": lots * level}
            row |= {f"ask_price{level}": last + level, f"ask_volume{level}": lots * level}
        rows.append(row)
    return pl.DataFrame(rows)


class Handmade:
    """Days by contract as a provider."""

    def __init__(self, days: dict[tuple[str, TradingDay], pl.DataFrame]) -> None:
        self._days = days

    def symbols(self) -> list[str]:
        return sorted({symbol for symbol, _ in self._days})

    def trading_days(self, symbol: str) -> list[TradingDay]:
        return sorted(day for name, day in self._days if name == symbol)

    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        return HistoryChunk(symbol, trading_day, self._days[symbol, trading_day], "handmade", "")

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        return []


def served(days: dict[tuple[str, TradingDay], pl.DataFrame]) -> ServedMarket:
    return load_market(Handmade(days), Calendar.vendored(), InstrumentTable.vendored())


def two_days() -> ServedMarket:
    """One contract, the same ticks on two days, the present at the open of the second."""
    market = served({(RB, FIRST): frame(FIRST, DAY), (RB, SECOND): frame(SECOND, DAY)})
    market.start_on(SECOND)
    return market


def ticking() -> ServedMarket:
    """Ten minutes with a tick every half second, the present at their beginning."""
    clocks = [f"21:{half // 120:02d}:{half % 120 / 2:04.1f}" for half in range(1, 1200)]
    market = served({(RB, SECOND): frame(SECOND, [(clock, 3000 + n % 7, 1, 1000) for n, clock in enumerate(clocks)])})
    market.start_on(SECOND)
    return market


def rolling() -> ServedMarket:
    """Two contracts: the second joins on the second day and is alone on the third."""
    later = [(clock, last + 100, traded, interest * 2) for clock, last, traded, interest in DAY]
    market = served(
        {
            (RB, FIRST): frame(FIRST, DAY),
            (RB, SECOND): frame(SECOND, DAY),
            (NEXT, SECOND): frame(SECOND, [(clock, *rest) for clock, *rest in later if clock != "21:00:01"]),
            (NEXT, THIRD): frame(THIRD, later),
        }
    )
    market.start_on(SECOND)
    return market


def at(market: ServedMarket, day: TradingDay, clock: str) -> None:
    market.now_ns = stamp(day, clock)
