"""The market that the exchange serves: stored or generated days, their instruments, and the clock that walks through them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import DataError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, InstrumentSpec, alias_of, product_of
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import classify, sessions_for
from ghtrader.exchange.series import ABSENT, I64, Piece, TickSeries, concatenate

__all__ = ["ServedMarket"]

#: Market time without a tick that is skipped: nights, breaks, the time between days.
LONGEST_WAIT_NS = 60 * NS_PER_S
LIMIT_SHARE = 0.08


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
        self._settlements: dict[tuple[str, int], float] = {}
        self._visible: tuple[int, dict[str, int]] = (0, {})
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
        moment, known = self._visible
        if moment != self.now_ns:
            known = {}
            self._visible = self.now_ns, known
        if series.symbol not in known:
            known[series.symbol] = int(np.searchsorted(series.ts_ns, self.now_ns, side="right")) - 1
        return known[series.symbol]

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
        row = series.rows(shown, shown + 1)[str(shown)]
        if tick < 0:  # not traded yet: it has limits, but nobody has quoted it
            row = {name: 0 if isinstance(value, int) else ABSENT for name, value in row.items()} | {"datetime": self.now_ns}
        if row["highest"] == ABSENT and tick >= 0:
            high, low = (float(values[tick]) for values in series.extremes)
            row |= {"highest": high, "lowest": low} if high == high else {}  # noqa: PLR0124 - NaN
        stamp = int(row.pop("datetime"))
        upper, lower = self.limits(symbol, shown)
        ended = tick == series.day_range(position)[1] - 1
        return {
            "instrument_id": symbol,
            "datetime": dt.datetime.fromtimestamp(stamp / NS_PER_S, tz=SHANGHAI).strftime("%Y-%m-%d %H:%M:%S.%f"),
            **row,
            "open": series.first_prices[position] if row["last_price"] != ABSENT else ABSENT,
            "close": row["last_price"] if ended else ABSENT,
            "settlement": self.settlement(series, position) if ended else ABSENT,
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
            "pre_settlement": self.settlement(series, position - 1) if position else series.first_prices[0],
            "pre_close": close if close == close else series.first_prices[0],  # noqa: PLR0124 - NaN
        }

    def settlement(self, series: TickSeries, position: int) -> float:
        """The full-day volume-weighted price of a served day, truncated to the tick."""
        known = self._settlements.get((series.symbol, position))
        if known is not None:
            return known
        price = self._settlements[series.symbol, position] = self._volume_weighted(series, position)
        return price

    def _volume_weighted(self, series: TickSeries, position: int) -> float:
        stop = series.day_range(position)[1]
        spec = self.instruments.spec(series.contracts[position], series.days[position])
        volume, amount = series.columns["volume"][stop - 1], series.columns["amount"][stop - 1]
        if not (volume > 0 and amount > 0):
            return series.first_prices[position]
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
        base = self.settlement(series, position - 1) if position else series.first_prices[0]
        price_tick = self.instruments.spec(series.contracts[position], series.days[position]).price_tick
        steps = np.floor(base * LIMIT_SHARE / price_tick)
        return float(base + steps * price_tick), float(base - steps * price_tick)

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
