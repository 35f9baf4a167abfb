"""Products of SHFE and INE with effective dates: price tick, sessions, fees, margin, order limits."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources

import msgspec

from ghtrader.core.errors import UnknownInstrumentError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, FeeRule, InstrumentSpec, OrderLimits, product_of
from ghtrader.core.trading_day import TradingDay

__all__ = ["InstrumentTable", "NightHours", "ProductRow"]


class _Dated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    valid_from: str
    source: str
    valid_to: str = ""
    known_until: str = ""

    def covers(self, day: str) -> bool:
        return self.valid_from <= day and (not self.valid_to or day <= self.valid_to)


class PriceTick(_Dated, frozen=True, kw_only=True):
    """The price tick between two days, in CNY of the quote."""

    tick: float


class NightHours(_Dated, frozen=True, kw_only=True):
    """Night session between two trading days; hours past 24 are after midnight."""

    open: str
    close: str


class FeeRow(_Dated, frozen=True, kw_only=True):
    """Exchange fees between two days."""

    open_rate: float = 0.0
    open_cny: float = 0.0
    close_rate: float = 0.0
    close_cny: float = 0.0
    close_today_rate: float = 0.0
    close_today_cny: float = 0.0


class MarginRow(_Dated, frozen=True, kw_only=True):
    """Exchange margin between two days, as a rate of the contract's value."""

    rate: float


class OrderLimitRow(_Dated, frozen=True, kw_only=True):
    """Lots of one order between two days."""

    min_lots: int
    max_limit_lots: int
    max_market_lots: int


class ProductRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One product with its dated facts."""

    product: str
    name: str
    multiplier: float
    price_ticks: tuple[PriceTick, ...]
    day_parts: tuple[tuple[str, str], ...]
    nights: tuple[NightHours, ...]
    fees: tuple[FeeRow, ...]
    margins: tuple[MarginRow, ...]
    order_limits: tuple[OrderLimitRow, ...]


class NightSuspension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Trading days without a night session, for every product."""

    first_trading_day: str
    last_trading_day: str
    source: str


class SpecialNight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trading day whose night session opened at another hour."""

    trading_day: str
    open: str
    source: str


class AuctionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the call auction stands before an open, and from when there is one by day after a night session."""

    minutes_before_open: int
    match_minutes: int
    day_auction_after_night_from: str


class InstrumentDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vendored table."""

    about: str
    retrieved: str
    auction: AuctionRule
    night_suspensions: tuple[NightSuspension, ...]
    special_nights: tuple[SpecialNight, ...]
    products: tuple[ProductRow, ...]


class InstrumentTable:
    """Dated facts by symbol and trading day.

    >>> table = InstrumentTable.vendored()
    >>> table.spec("SHFE.au2006", TradingDay.parse("2019-06-05")).price_tick
    0.05
    >>> table.spec("SHFE.au2006", TradingDay.parse("2020-03-02")).price_tick
    0.02
    """

    def __init__(self, document: InstrumentDocument) -> None:
        self.document = document
        self._products = {row.product: row for row in document.products}

    @classmethod
    def vendored(cls) -> InstrumentTable:
        """The table that ships with the package."""
        return _vendored()

    @property
    def products(self) -> list[str]:
        """Every declared product, sorted."""
        return sorted(self._products)

    def product(self, symbol: str) -> ProductRow:
        """The product's row for a product, contract or continuous symbol; raises UnknownInstrumentError otherwise."""
        name = product_of(symbol)
        row = self._products.get(name)
        if row is None:
            near = difflib.get_close_matches(name, self.products, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UnknownInstrumentError(
                f"no instrument table knows {name}", hint=f"{hint}ghtrader instruments list", symbol=symbol, product=name
            )
        return row

    def resolve_product(self, text: str) -> str:
        """``rb``, ``SHFE.rb``, ``SHFE.rb2510`` or ``KQ.m@SHFE.rb`` as ``SHFE.rb``."""
        if "." in text:
            return self.product(text).product
        found = [name for name in self.products if name.split(".")[1] == text]
        return found[0] if found else self.product(f"SHFE.{text}").product

    def spec(self, symbol: str, trading_day: TradingDay) -> InstrumentSpec:
        """What holds for a symbol on a trading day."""
        row = self.product(symbol)
        day = trading_day.iso
        carried: list[str] = []

        def pick(name: str, rows: tuple[_Dated, ...]) -> _Dated:
            fact = next((item for item in reversed(rows) if item.covers(day)), None)
            if fact is None:
                raise UnknownInstrumentError(f"{row.product} has no {name} on {day}", symbol=symbol, day=day)
            if fact.known_until and day > fact.known_until:
                carried.append(name)
            return fact

        tick, fee = pick("price_tick", row.price_ticks), pick("fee", row.fees)
        margin, limits = pick("margin", row.margins), pick("order_limits", row.order_limits)
        assert isinstance(tick, PriceTick)
        assert isinstance(fee, FeeRow)
        assert isinstance(margin, MarginRow)
        assert isinstance(limits, OrderLimitRow)
        names = ("open_rate", "open_cny", "close_rate", "close_cny", "close_today_rate", "close_today_cny")
        return InstrumentSpec(
            symbol=symbol,
            product=row.product,
            exchange=row.product.split(".")[0],
            trading_day=day,
            price_tick=tick.tick,
            multiplier=row.multiplier,
            fee=FeeRule(**{name: getattr(fee, name) for name in names}),
            margin_rate=margin.rate,
            limits=OrderLimits(
                min_lots=limits.min_lots, max_limit_lots=limits.max_limit_lots, max_market_lots=limits.max_market_lots
            ),
            sources={"price_tick": tick.source, "fee": fee.source, "margin": margin.source, "order_limits": limits.source},
            carried_forward=tuple(carried),
        )

    def night_hours(self, symbol: str, trading_day: TradingDay) -> NightHours | None:
        """The product's ordinary night hours on a trading day, suspensions applied, holidays not (the calendar's part)."""
        day = trading_day.iso
        if any(gap.first_trading_day <= day <= gap.last_trading_day for gap in self.document.night_suspensions):
            return None
        hours = next((item for item in reversed(self.product(symbol).nights) if item.covers(day)), None)
        special = next((item for item in self.document.special_nights if item.trading_day == day), None)
        if hours is None or special is None:
            return hours
        return msgspec.structs.replace(hours, open=special.open, source=special.source)


def is_continuous(symbol: str) -> bool:
    """Whether a symbol is a main-contract alias."""
    return symbol.startswith(CONTINUOUS_PREFIX)


@cache
def _vendored() -> InstrumentTable:
    text = resources.files("ghtrader.data").joinpath("tables/instruments.json").read_bytes()
    return InstrumentTable(msgspec.json.decode(text, type=InstrumentDocument))
