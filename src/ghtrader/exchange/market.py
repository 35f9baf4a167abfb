"""The market that the exchange serves: stored or generated days, their instruments, and the clock that walks through them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import DataError, UnknownInstrumentError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, InstrumentSpec, alias_of, parse_symbol, product_of
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import ClosingRow, switches_from_closing
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import DaySessions, classify, sessions_for
from ghtrader.exchange.series import ABSENT, F64, I64, Piece, TickSeries, concatenate
from ghtrader.ports.market_data import MarketDataProvider

__all__ = ["ServedMarket", "load_market"]

#: Market time without a tick that is skipped: nights, breaks, the time between days.
LONGEST_WAIT_NS = 60 * NS_PER_S
LIMIT_SHARE = 0.08


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


class ServedMarket:
    """Contracts and continuous aliases with their ticks, and what is visible of them at the market's present moment."""

    def __init__(
        self,
        contracts: dict[str, TickSeries],
        mains: dict[str, list[tuple[TradingDay, str]]],
        calendar: Calendar,
        instruments: InstrumentTable,
    ) -> None:
        self.contracts = contracts
        self.mains = mains
        self.calendar = calendar
        self.instruments = instruments
        self._aliases: dict[str, TickSeries] = {}
        self.days = sorted({day for series in contracts.values() for day in series.days})
        self.now_ns = min(int(series.ts_ns[0]) for series in contracts.values()) - 1

    # --- what there is --------------------------------------------------------------------------------------------------
    @property
    def symbols(self) -> list[str]:
        """Contracts and aliases."""
        return [*sorted(self.contracts), *(alias_of(product) for product in sorted(self.mains))]

    def series(self, symbol: str) -> TickSeries | None:
        """Ticks of a contract or an alias; None for what is not served."""
        if not symbol.startswith(CONTINUOUS_PREFIX):
            return self.contracts.get(symbol)
        product = symbol.removeprefix(CONTINUOUS_PREFIX)
        if product not in self.mains:
            return None
        if symbol not in self._aliases:
            self._aliases[symbol] = self._alias_series(symbol, product)
        return self._aliases[symbol]

    def main_contract(self, product: str, day: TradingDay) -> str:
        """The main contract of a product on a trading day (the first one before the table begins)."""
        table = self.mains[product]
        return next((contract for first, contract in reversed(table) if first <= day), table[0][1])

    def _alias_series(self, alias: str, product: str) -> TickSeries:
        pieces: list[Piece] = []
        for day in self.days:
            series = self.contracts.get(self.main_contract(product, day))
            if series is None or day not in series.days:
                continue
            chosen = slice(*series.day_range(series.days.index(day)))
            columns = {name: values[chosen] for name, values in series.columns.items()}
            limits = series.upper_limit[chosen], series.lower_limit[chosen]
            pieces.append((day, series.symbol, series.ts_ns[chosen], columns, *limits, series.bar_ns[chosen]))
        if not pieces:
            raise DataError(f"no day of {alias} is served")
        return concatenate(alias, pieces)

    def spec(self, symbol: str, day: TradingDay | None = None) -> InstrumentSpec:
        """Facts of a contract on a day; default: today in the market."""
        return self.instruments.spec(symbol, day or self.today)

    @property
    def today(self) -> TradingDay:
        """The trading day of the present moment: that of the newest visible tick, else the first."""
        newest = None
        for series in self.contracts.values():
            tick = self.visible(series)
            if tick >= 0 and (newest is None or series.ts_ns[tick] > newest[0]):
                newest = (series.ts_ns[tick], series.days[series.day_index(tick)])
        return self.days[0] if newest is None else newest[1]

    def visible(self, series: TickSeries) -> int:
        """Id of the newest tick that the present moment knows; -1 before the first."""
        return int(np.searchsorted(series.ts_ns, self.now_ns, side="right")) - 1

    # --- time -----------------------------------------------------------------------------------------------------------
    def start_on(self, day: TradingDay) -> None:
        """Put the present moment at the day's first tick in continuous trading (its first tick when there is none)."""
        moments: list[int] = []
        for symbol, series in self.contracts.items():
            if day not in series.days:
                continue
            stamps = series.ts_ns[slice(*series.day_range(series.days.index(day)))]
            traded = stamps[self.phases(symbol, day, stamps) == Phase.CONTINUOUS]
            moments.append(int((traded if len(traded) else stamps)[0]))
        if not moments:
            names = ", ".join(item.iso for item in self.days[:10])
            raise DataError(f"no ticks of {day} are served; there are {names}", hint=f"--from {self.days[0]}")
        self.now_ns = min(moments)

    def phases(self, symbol: str, day: TradingDay, ts_ns: I64) -> npt.NDArray[np.uint8]:
        """Phase of each stamp in a trading day of a contract."""
        return classify(ts_ns, sessions_for(product_of(symbol), day, self.calendar, self.instruments))[0]

    def phase(self, symbol: str) -> Phase:
        """Phase of a contract at the present moment."""
        return Phase(int(self.phases(symbol, self.today, np.array([self.now_ns], dtype=np.int64))[0]))

    @property
    def moved(self) -> set[str]:
        """Contracts that have a tick at the present moment."""
        found = ((symbol, series, self.visible(series)) for symbol, series in self.contracts.items())
        return {symbol for symbol, series, tick in found if tick >= 0 and series.ts_ns[tick] == self.now_ns}

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after the present moment."""
        return self.now_ns >= max(int(series.ts_ns[-1]) for series in self.contracts.values())

    def moments(self) -> Iterator[tuple[int, int]]:
        """Moments with ticks after the present one, and the market time to wait before each (long silences are skipped)."""
        stamps = np.unique(np.concatenate([series.ts_ns for series in self.contracts.values()]))
        before = self.now_ns
        for stamp in stamps[stamps > self.now_ns].tolist():
            gap = stamp - before
            yield stamp, gap if gap <= LONGEST_WAIT_NS else NS_PER_S
            before = stamp

    # --- what a client asks for -----------------------------------------------------------------------------------------
    def quote(self, symbol: str) -> dict[str, Any]:
        """The whole quote of a symbol at the present moment; empty for what is not served. An alias shows its main contract."""
        if symbol.startswith(CONTINUOUS_PREFIX):
            product = symbol.removeprefix(CONTINUOUS_PREFIX)
            found = self.quote(self.main_contract(product, self.today)) if product in self.mains else {}
            return {**found, "instrument_id": symbol} if found else {}
        series = self.contracts.get(symbol)
        if series is None:
            return {}
        tick = self.visible(series)
        shown = max(tick, 0)
        position = series.day_index(shown)
        begin, _ = series.day_range(position)
        row = series.rows(shown, shown + 1)[str(shown)]
        if tick < 0:  # not traded yet: it has limits, but nobody has quoted it
            row = {name: 0 if isinstance(value, int) else ABSENT for name, value in row.items()} | {"datetime": self.now_ns}
        prices = series.columns["last_price"][begin : tick + 1]
        known = prices[~np.isnan(prices)]
        upper, lower = self.limits(symbol, shown)
        if row["highest"] == ABSENT and len(known):
            row["highest"], row["lowest"] = float(known.max()), float(known.min())
        stamp = int(row.pop("datetime"))
        return {
            "instrument_id": symbol,
            "datetime": dt.datetime.fromtimestamp(stamp / NS_PER_S, tz=SHANGHAI).strftime("%Y-%m-%d %H:%M:%S.%f"),
            **row,
            "open": float(known[0]) if len(known) else ABSENT,
            "close": ABSENT,
            "settlement": ABSENT,
            "upper_limit": upper,
            "lower_limit": lower,
            **self._day_before(series, position),
        }

    def _day_before(self, series: TickSeries, position: int) -> dict[str, Any]:
        """What the day before left: its settlement, close and open interest; of the first day, what its first tick says."""
        before = max(series.day_range(position)[0] - 1, 0)
        close = float(series.columns["last_price"][before])
        return {
            "pre_open_interest": int(series.columns["open_interest"][before]),
            "pre_settlement": self.settlement(series, position - 1) if position else self._first_price(series, 0),
            "pre_close": close if close == close else self._first_price(series, 0),  # noqa: PLR0124 - NaN
        }

    def _first_price(self, series: TickSeries, position: int) -> float:
        """The first price of a day (its first bid or ask where nothing traded); 0 when it has none."""
        day = slice(*series.day_range(position))
        for name in ("last_price", "bid_price1", "ask_price1"):
            known = series.columns[name][day]
            known = known[~np.isnan(known)]
            if len(known):
                return float(known[0])
        return 0.0

    def settlement(self, series: TickSeries, position: int) -> float:
        """The full-day volume-weighted price of a served day, truncated to the tick."""
        stop = series.day_range(position)[1]
        spec = self.instruments.spec(series.contracts[position], series.days[position])
        volume, amount = series.columns["volume"][stop - 1], series.columns["amount"][stop - 1]
        if not (volume > 0 and amount > 0):
            return self._first_price(series, position)
        price = amount / volume / spec.multiplier
        return float(np.floor(price / spec.price_tick + 1e-9) * spec.price_tick)

    def limits(self, symbol: str, tick: int) -> tuple[float, float]:
        """Price limits at a tick: the source's, else 8 % around the day before (or the first price)."""
        series = self.series(symbol)
        assert series is not None
        upper, lower = float(series.upper_limit[tick]), float(series.lower_limit[tick])
        if upper == upper and lower == lower:  # noqa: PLR0124 - NaN
            return upper, lower
        position = series.day_index(tick)
        base = self.settlement(series, position - 1) if position else self._first_price(series, 0)
        price_tick = self.instruments.spec(series.contracts[position], series.days[position]).price_tick
        steps = np.floor(base * LIMIT_SHARE / price_tick)
        return float(base + steps * price_tick), float(base - steps * price_tick)

    def instrument(self, symbol: str) -> dict[str, Any] | None:
        """The instrument service's node of a contract or an alias; None for what is not served."""
        if symbol.startswith(CONTINUOUS_PREFIX):
            product = symbol.removeprefix(CONTINUOUS_PREFIX)
            if product not in self.mains:
                return None
            underlying = self.instrument(self.main_contract(product, self.today))
            node = {"underlying_multiple": 1, "node": underlying}
            facts = (
                {name: underlying[name] for name in ("price_tick", "price_decs", "trading_time", "product_id")}
                if underlying
                else {}
            )
            return {
                "instrument_id": symbol,
                "exchange_id": "KQ",
                "class": "CONT",
                "instrument_name": f"{product} main",
                "english_name": f"{product} main contract",
                "expired": False,
                **facts,
                "volume_multiple": underlying["volume_multiple"] if underlying else 1,
                "underlying": {"count": 1, "edges": [node]},
            }
        series = self.contracts.get(symbol)
        return None if series is None else self._contract_node(symbol, series)

    def _contract_node(self, symbol: str, series: TickSeries) -> dict[str, Any]:
        day = next((item for item in reversed(series.days) if item <= self.today), series.days[0])
        spec, parsed = self.instruments.spec(symbol, day), parse_symbol(symbol)
        quote = self.quote(symbol)
        month = parsed.month
        year = 2000 + int(month[:2])
        expiry = dt.datetime(year, int(month[2:]), 15, 15, tzinfo=SHANGHAI)
        fee = spec.fee.open_cny + spec.fee.open_rate * float(quote["pre_settlement"]) * spec.multiplier
        decimals = f"{spec.price_tick:.10f}".rstrip("0").split(".")[1]
        return {
            "instrument_id": symbol,
            "exchange_id": parsed.exchange,
            "class": "FUTURE",
            "instrument_name": symbol,
            "english_name": symbol,
            "ins_id": symbol.split(".")[1],
            "price_tick": spec.price_tick,
            "price_decs": len(decimals),
            "volume_multiple": spec.multiplier,
            "quote_multiple": 1,
            "trading_day": day.compact,
            "trading_time": self.trading_time(symbol, day),
            "upper_limit": quote["upper_limit"],
            "lower_limit": quote["lower_limit"],
            "pre_close": quote["pre_close"],
            "pre_open_interest": quote["pre_open_interest"],
            "settlement_price": quote["pre_settlement"],
            "expired": False,
            "product_id": parsed.product.split(".")[1],
            "product_short_name": parsed.product.split(".")[1],
            "delivery_year": year,
            "delivery_month": int(month[2:]),
            "expire_datetime": int(expiry.timestamp()) * NS_PER_S,
            "max_limit_order_volume": spec.limits.max_limit_lots,
            "min_limit_order_volume": spec.limits.min_lots,
            "max_market_order_volume": spec.limits.max_market_lots,
            "min_market_order_volume": 0,
            "open_limit": 0,
            "position_limit": 0,
            "margin": spec.margin_rate * float(quote["pre_settlement"]) * spec.multiplier,
            "commission": fee,
            "mmsa": True,
            "categories": [],
        }

    def trading_time(self, symbol: str, day: TradingDay) -> dict[str, list[list[str]]]:
        """Hours as the instrument service writes them; ends after midnight go past 24."""
        found: dict[str, list[list[str]]] = {"day": [[*window[1:]] for window in self.instruments.day_hours(symbol, day).windows]}
        night = self.instruments.night_hours(symbol, day)
        found["night"] = [list(window) for window in night.windows] if night else []
        return {name: [[f"{edge}:00" for edge in window] for window in windows] for name, windows in found.items()}

    def holidays(self) -> list[str]:
        """Days of the served years that are weekdays and no trading days, as the holiday file has them."""
        first, last = self.calendar.first.date.year, self.calendar.last.date.year
        day, end, found = dt.date(first, 1, 1), dt.date(last, 12, 31), []
        while day <= end:
            if day.weekday() < 5 and not self._trades(day):
                found.append(day.isoformat())
            day += dt.timedelta(days=1)
        return found

    def _trades(self, day: dt.date) -> bool:
        trading_day = TradingDay(day)
        return self.calendar.first <= trading_day <= self.calendar.last and self.calendar.is_trading_day(trading_day)

    def continuous_table(self) -> dict[str, list[list[str]]]:
        """The continuous table: product to [effective trading day, contract] pairs."""
        return {product: [[day.compact, contract] for day, contract in table] for product, table in self.mains.items()}

    def known_symbols(self, wanted: Sequence[str]) -> list[dict[str, Any]]:
        """Nodes of those of the wanted symbols that are served."""
        found = []
        for symbol in wanted:
            try:
                node = self.instrument(symbol)
            except UnknownInstrumentError:
                node = None
            if node is not None:
                found.append(node)
        return found

    def select(self, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Nodes of every symbol for which ``keep`` holds."""
        return [node for node in self.known_symbols(self.symbols) if keep(node)]
