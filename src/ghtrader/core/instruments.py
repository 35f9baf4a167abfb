"""Contracts and their dated facts: price tick, multiplier, fees, margin, order limits."""

from __future__ import annotations

import re

import msgspec

from ghtrader.core.errors import UnknownInstrumentError

__all__ = ["CONTINUOUS_PREFIX", "FeeRule", "InstrumentSpec", "OrderLimits", "alias_of", "product_of"]

CONTINUOUS_PREFIX = "KQ.m@"
_SYMBOL = re.compile(r"(?P<exchange>[A-Z]+)\.(?P<product>[a-zA-Z]+)(?P<month>\d{3,4})?")


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

    price_tick in CNY of the quote, multiplier in units per lot, margin_rate of the contract value. ``sources`` says where
    each fact comes from; ``carried_forward`` names the facts that lie beyond the date of their source.
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
    carried_forward: tuple[str, ...] = ()

    @property
    def tick_value_cny(self) -> float:
        """What one tick of one lot is worth in CNY."""
        return self.price_tick * self.multiplier


def product_of(symbol: str) -> str:
    """The product of a contract or continuous symbol.

    >>> product_of("SHFE.rb2510"), product_of("KQ.m@SHFE.cu"), product_of("INE.sc")
    ('SHFE.rb', 'SHFE.cu', 'INE.sc')
    """
    match = _SYMBOL.fullmatch(symbol.removeprefix(CONTINUOUS_PREFIX))
    if match is None:
        raise UnknownInstrumentError(
            f"not a symbol: {symbol!r}", hint="write it as EXCHANGE.contract, for example SHFE.rb2510", symbol=symbol
        )
    return f"{match['exchange']}.{match['product']}"


def alias_of(product: str) -> str:
    """The continuous main-contract alias of a product.

    >>> alias_of("SHFE.cu")
    'KQ.m@SHFE.cu'
    """
    return CONTINUOUS_PREFIX + product
