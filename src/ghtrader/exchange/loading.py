"""Days of a provider made into a served market: ticks in order, stamps for bars, a main-contract table for each product."""

from __future__ import annotations

import numpy as np

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import product_of
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import ClosingRow, switches_from_closing
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import DaySessions, sessions_for
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.series import F64, I64, Piece, TickSeries, concatenate
from ghtrader.ports.market_data import MarketDataProvider

__all__ = ["load_market"]


def _bar_stamps(ts_ns: I64, sessions: DaySessions) -> I64:
    """Stamps moved into the session that they count for: auctions into the one they open, later prints into the one before."""
    starts = np.array([part.start_ns for part in sessions.parts], dtype=np.int64)
    ends = np.array([part.end_ns for part in sessions.parts], dtype=np.int64)
    part = np.maximum(np.searchsorted(starts, ts_ns, side="right") - 1, 0)
    moved: I64 = np.clip(ts_ns, starts[part], ends[part] - 1)
    for window in sessions.windows:
        if window.phase in {Phase.ORDER_ENTRY, Phase.MATCH}:
            opens = next(item.start_ns for item in sessions.parts if item.part == window.part)
            moved[(ts_ns >= window.start_ns) & (ts_ns < window.end_ns)] = opens
    return moved


def _piece(provider: MarketDataProvider, symbol: str, day: TradingDay, sessions: DaySessions) -> Piece:
    frame = provider.ticks(symbol, day).frame
    stamps = frame["datetime"].to_numpy()
    order = np.argsort(stamps, kind="stable")

    def column(name: str) -> F64:
        if name not in frame.columns:
            return np.full(len(stamps), np.nan)
        values: F64 = frame[name].cast(float).fill_null(float("nan")).to_numpy()
        return values[order]

    columns = {name: column(name) for name in MARKET_COLUMNS}
    for name in MARKET_COLUMNS:
        if "volume" in name or name == "open_interest":
            columns[name] = np.nan_to_num(columns[name])
    ts_ns = stamps[order]
    return day, symbol, ts_ns, columns, column("upper_limit"), column("lower_limit"), _bar_stamps(ts_ns, sessions)


def load_market(
    provider: MarketDataProvider,
    calendar: Calendar,
    instruments: InstrumentTable,
    *,
    tables: dict[str, list[tuple[TradingDay, str]]] | None = None,
) -> ServedMarket:
    """Everything that a provider has, with a main-contract table for each product (its own, else by open interest)."""
    contracts: dict[str, TickSeries] = {}
    for symbol in provider.symbols():
        product = product_of(symbol)
        pieces = [
            _piece(provider, symbol, day, sessions_for(product, day, calendar, instruments))
            for day in provider.trading_days(symbol)
        ]
        if pieces:
            contracts[symbol] = concatenate(symbol, pieces)
    if not contracts:
        raise DataError("there is nothing to serve", hint="ghtrader serve-exchange --ticks samples")
    mains = dict(tables or {})
    for product in sorted({product_of(symbol) for symbol in contracts}):
        found = mains.get(product) or provider.continuous_table(product)
        mains[product] = found or _by_open_interest(product, contracts, calendar)
    return ServedMarket(contracts, mains, calendar, instruments)


def _by_open_interest(product: str, contracts: dict[str, TickSeries], calendar: Calendar) -> list[tuple[TradingDay, str]]:
    rows: list[ClosingRow] = []
    first: dict[TradingDay, list[str]] = {}
    for symbol, series in contracts.items():
        if product_of(symbol) != product:
            continue
        for position, day in enumerate(series.days):
            last = series.day_range(position)[1] - 1
            interest, volume = float(series.columns["open_interest"][last]), float(series.columns["volume"][last])
            rows.append(ClosingRow(day, symbol, interest, volume))
            first.setdefault(day, []).append(symbol)
    opening = min(first)
    known = {day: {row.contract for row in rows if row.trading_day == day} for day in first}
    table: list[tuple[TradingDay, str]] = [(opening, min(first[opening]))]
    switches = dict(switches_from_closing(rows, calendar))
    for day in sorted(first):
        wanted = switches.get(day, table[-1][1])
        if table[-1][1] not in known[day]:  # the main contract has no ticks any more: the next one takes over
            wanted = max(known[day]) if wanted not in known[day] else wanted
        if wanted != table[-1][1] and wanted > table[-1][1]:
            table.append((day, wanted))
    return table
