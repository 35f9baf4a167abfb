"""Products of SHFE and INE with effective dates: price tick, multiplier, sessions, fees, margin, order limits."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TypeVar

import msgspec

from ghtrader.core.errors import UnknownInstrumentError
from ghtrader.core.instruments import FeeRule, InstrumentSpec, OrderLimits, parse_symbol
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instrument_document import AuctionRule, Dated, DayHours, InstrumentDocument, NightHours, ProductRow

__all__ = ["InstrumentTable"]

LIST_COMMAND = "ghtrader instruments list"
RECOLLECTION = "recollection"
FEE_FIELDS = ("open_rate", "open_cny", "close_rate", "close_cny", "close_today_rate", "close_today_cny")
Row = TypeVar("Row", bound=Dated)


def _on(rows: Sequence[Row], day: str) -> Row | None:
    """The row that holds on an ISO day; of overlapping ones the last."""
    return next((row for row in reversed(rows) if row.covers(day)), None)


class InstrumentTable:
    """Dated facts by symbol and trading day.

    >>> table = InstrumentTable.vendored()
    >>> table.spec("SHFE.au2006", TradingDay.parse("2019-12-09")).price_tick
    0.05
    >>> table.spec("SHFE.au2006", TradingDay.parse("2019-12-10")).price_tick
    0.02
    """

    def __init__(self, document: InstrumentDocument) -> None:
        self.document = document
        self._products = {row.product: row for row in document.products}
        self._suspended = tuple((gap.first_trading_day, gap.last_trading_day) for gap in document.night_suspensions)
        self._exceptions = {night.trading_day: night for night in document.night_exceptions}

    @classmethod
    def vendored(cls) -> InstrumentTable:
        """The table that ships with the package."""
        return _vendored()

    @property
    def products(self) -> list[str]:
        """Every declared product, sorted."""
        return sorted(self._products)

    def product_of(self, symbol: str) -> str:
        """The declared product of a contract, product or continuous symbol; raises UnknownInstrumentError otherwise.

        >>> InstrumentTable.vendored().product_of("KQ.m@SHFE.rb")
        'SHFE.rb'
        """
        return self.product(symbol).product

    def product(self, symbol: str) -> ProductRow:
        """The product's row for a product, contract or continuous symbol; raises UnknownInstrumentError otherwise."""
        name = parse_symbol(symbol).product
        row = self._products.get(name)
        if row is None:
            elsewhere = [known for known in self.products if known.split(".")[1] == name.split(".")[1].lower()]
            near = elsewhere or difflib.get_close_matches(name, self.products, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UnknownInstrumentError(
                f"no instrument table knows {name}", hint=f"{hint}{LIST_COMMAND}", symbol=symbol, product=name
            )
        return row

    def resolve_product(self, text: str) -> str:
        """``rb``, ``SHFE.rb``, ``SHFE.rb2510`` or ``KQ.m@SHFE.rb`` as ``SHFE.rb``."""
        if "." in text:
            return self.product(text).product
        found = [name for name in self.products if name.split(".")[1] == text]
        return found[0] if found else self.product(f"SHFE.{text}").product

    def source_text(self, sources: Sequence[str]) -> str:
        """Titles of sources, for people."""
        return "; ".join(self.document.sources[name].title for name in sources)

    def is_unverified(self, sources: Sequence[str]) -> bool:
        """Whether a fact rests on recollection only."""
        return all(self.document.sources[name].kind == RECOLLECTION for name in sources)

    def spec(self, symbol: str, trading_day: TradingDay) -> InstrumentSpec:
        """What holds for a symbol on a trading day.

        Raises UnknownInstrumentError for an unknown product and for a day before its first trading day.
        """
        row, day = self.product(symbol), trading_day.iso
        if day < row.listed:
            raise UnknownInstrumentError(
                f"{row.product} did not trade on {day}: its first trading day is {row.listed}", symbol=symbol, day=day
            )
        exchange = row.product.split(".")[0]

        def pick(name: str, rows: Sequence[Row]) -> Row:
            fact = _on(rows, day)
            if fact is None:
                raise UnknownInstrumentError(f"{row.product} has no {name} on {day}", hint=LIST_COMMAND, symbol=symbol, day=day)
            return fact

        tick, multiplier = pick("price_tick", row.price_ticks), pick("multiplier", row.multipliers)
        fee, margin = pick("fee", row.fees), pick("margin", row.margins)
        limits = pick("order_limits", self.document.order_limits.get(exchange, ()))
        facts: dict[str, Dated] = {
            "price_tick": tick,
            "multiplier": multiplier,
            "fee": fee,
            "margin": margin,
            "order_limits": limits,
        }
        unverified = tuple(name for name, fact in facts.items() if self.is_unverified(fact.sources))
        return InstrumentSpec(
            symbol=symbol,
            product=row.product,
            exchange=exchange,
            trading_day=day,
            price_tick=tick.tick,
            multiplier=multiplier.units,
            fee=FeeRule(**{name: getattr(fee, name) for name in FEE_FIELDS}),
            margin_rate=margin.rate,
            limits=OrderLimits(
                min_lots=limits.min_lots, max_limit_lots=limits.max_limit_lots, max_market_lots=limits.max_market_lots
            ),
            sources={name: self.source_text(fact.sources) for name, fact in facts.items()},
            listed=row.listed,
            validity={name: (fact.valid_from, fact.valid_to) for name, fact in facts.items()},
            carried_forward=tuple(name for name, fact in facts.items() if name in unverified or not fact.is_known_on(day)),
            unverified=unverified,
        )

    def day_hours(self, symbol: str, trading_day: TradingDay) -> DayHours:
        """Windows of the day session on a trading day."""
        hours = _on(self.document.day_hours[self.product(symbol).day_hours], trading_day.iso)
        if hours is None:
            raise UnknownInstrumentError(f"no day session is known for {symbol} on {trading_day}", hint=LIST_COMMAND)
        return hours

    def night_hours(self, symbol: str, trading_day: TradingDay) -> NightHours | None:
        """The product's night hours on a trading day, suspensions and special nights applied, holidays not (the calendar's part).

        >>> table = InstrumentTable.vendored()
        >>> table.night_hours("SHFE.cu", TradingDay.parse("2019-12-26")).windows
        (('22:30', '25:00'),)
        """
        day = trading_day.iso
        hours = _on(self.product(symbol).nights, day)
        if hours is None or any(first <= day <= last for first, last in self._suspended):
            return None
        special = self._exceptions.get(day)
        if special is None:
            return hours
        windows = tuple((max(start, special.open), end) for start, end in hours.windows if end > special.open)
        return msgspec.structs.replace(hours, windows=windows, sources=special.sources) if windows else None

    def auction(self, trading_day: TradingDay) -> AuctionRule:
        """The rule of the call auctions on a trading day."""
        rule = _on(self.document.auctions, trading_day.iso)
        if rule is None:
            raise UnknownInstrumentError(f"no auction rule is known on {trading_day}", day=trading_day.iso)
        return rule


@cache
def _vendored() -> InstrumentTable:
    text = resources.files("ghtrader.data").joinpath("tables/instruments.json").read_bytes()
    return InstrumentTable(msgspec.json.decode(text, type=InstrumentDocument))
