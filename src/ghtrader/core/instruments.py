"""Contracts and their dated facts: price tick, multiplier, fees, margin, order limits."""

from __future__ import annotations

import re

import msgspec

from ghtrader.core.errors import UnknownInstrumentError

__all__ = [
    "CONTINUOUS_PREFIX",
    "FeeRule",
    "InstrumentSpec",
    "OrderLimits",
    "Symbol",
    "alias_of",
    "is_continuous",
    "parse_symbol",
    "product_of",
]

CONTINUOUS_PREFIX = "KQ.m@"
_SYMBOL = re.compile(r"(?P<exchange>[A-Z]+)\.(?P<product>[a-zA-Z]+)(?P<month>\d?\d(?:0[1-9]|1[0-2]))?")


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a symbol: ``exchange``, ``product`` (``SHFE.rb``), delivery ``month`` as written ("" for a product or alias)."""

    text: str
    exchange: str
    product: str
    month: str = ""
    continuous: bool = False


class FeeRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exchange fees per side: a rate of turnover plus CNY per lot, for each instruction."""

    open_rate: float = 0.0
    open_cny: float = 0.0
    close_rate: float = 0.0
    close_cny: float = 0.0
    close_today_rate: float = 0.0
    close_today_cny: float = 0.0


class OrderLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lots of one order. ``max_market_lots`` 0: the exchange takes no market orders."""

    min_lots: int
    max_limit_lots: int
    max_market_lots: int


class InstrumentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one contract on one trading day.

    price_tick in CNY of the quote, multiplier in units per lot, margin_rate of the contract value. ``listed`` is the
    product's first trading day ("" when the table does not go back so far). ``sources`` says where each fact comes from and
    ``validity`` between which days the table lets it hold ("" = open). ``carried_forward`` names the facts for which no
    source speaks of this very day: the nearest known value is carried to it. ``unverified`` names the facts that rest on
    recollection only.
    """

    symbol: str
    product: str
    exchange: str
    trading_day: str
    price_tick: float
    multiplier: float
    fee: FeeRule
    margin_rate: float
    limits: OrderLimits
    sources: dict[str, str]
    listed: str = ""
    validity: dict[str, tuple[str, str]] = {}
    carried_forward: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def tick_value_cny(self) -> float:
        """What one tick of one lot is worth in CNY."""
        return self.price_tick * self.multiplier

    @property
    def has_market_orders(self) -> bool:
        """Whether the exchange takes market orders for this contract."""
        return self.limits.max_market_lots > 0


def parse_symbol(text: str) -> Symbol:
    """Take a contract, product or continuous symbol apart; raises UnknownInstrumentError when it is none.

    >>> parse_symbol("SHFE.rb2510").month, parse_symbol("KQ.m@SHFE.cu").continuous, parse_symbol("INE.sc").product
    ('2510', True, 'INE.sc')
    """
    continuous = text.startswith(CONTINUOUS_PREFIX)
    match = _SYMBOL.fullmatch(text.removeprefix(CONTINUOUS_PREFIX))
    if match is None or (continuous and match["month"]):
        raise UnknownInstrumentError(
            f"not a symbol: {text!r}", hint="write it as EXCHANGE.contract, for example SHFE.rb2510", symbol=text
        )
    exchange, product = match["exchange"], f"{match['exchange']}.{match['product']}"
    return Symbol(text=text, exchange=exchange, product=product, month=match["month"] or "", continuous=continuous)


def product_of(symbol: str) -> str:
    """The product of a contract or continuous symbol.

    >>> product_of("SHFE.rb2510"), product_of("KQ.m@SHFE.cu"), product_of("INE.sc")
    ('SHFE.rb', 'SHFE.cu', 'INE.sc')
    """
    return parse_symbol(symbol).product


def is_continuous(symbol: str) -> bool:
    """Whether a symbol is a main-contract alias.

    >>> is_continuous("KQ.m@SHFE.cu"), is_continuous("SHFE.cu2510")
    (True, False)
    """
    return symbol.startswith(CONTINUOUS_PREFIX)


def alias_of(product: str) -> str:
    """The continuous main-contract alias of a product.

    >>> alias_of("SHFE.cu")
    'KQ.m@SHFE.cu'
    """
    return CONTINUOUS_PREFIX + product
