"""Identities that a restart reproduces: orders of ours by a journaled counter, and what the venue knows and we do not by its content.

An id of ours has at most 30 characters, letters, digits and underscores only: account (hashed, for its name is the user's), trading
day, epoch (the number of the gateway's start, from the journal) and a counter. Epoch and counter together are never used twice.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from ghtrader.core.ids import content_hash

__all__ = [
    "MOST_ID_LENGTH",
    "OrderIds",
    "day_of_order",
    "external_order_id",
    "is_order_of",
    "parse_order_id",
    "synthetic_trade_id",
]

MOST_ID_LENGTH = 30
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_OURS = re.compile(r"gh(?P<account>[0-9a-f]{6})_(?P<day>\d{6})_(?P<epoch>[0-9a-z]{1,5})_(?P<count>[0-9a-z]{1,6})")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


class OrderIds(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's order ids stand. trading_day: ISO date. count: of the last id that was given."""

    account: str
    trading_day: str
    epoch: int
    count: int = 0

    def take(self) -> tuple[str, OrderIds]:
        """The next id, and where ids stand after it. Journal the id before it is used.

        >>> ids = OrderIds(account="demo", trading_day="2025-06-05", epoch=3)
        >>> first, ids = ids.take()
        >>> second, ids = ids.take()
        >>> first, second
        ('gh99e509_250605_3_1', 'gh99e509_250605_3_2')
        """
        count = self.count + 1
        return _order_id(self.account, self.trading_day, self.epoch, count), msgspec.structs.replace(self, count=count)

    def on_day(self, trading_day: str) -> OrderIds:
        """The ids of another trading day; the counter goes on."""
        return msgspec.structs.replace(self, trading_day=trading_day)

    def beyond(self, client_order_id: str) -> OrderIds:
        """Ids that cannot meet one that somebody has seen: the counter goes past it when it is of this account and epoch."""
        if client_order_id == _order_id(self.account, self.trading_day, self.epoch, self.count + 1):  # without taking it apart
            return msgspec.structs.replace(self, count=self.count + 1)
        known = parse_order_id(client_order_id)
        if known is None or known[:2] != (_account_code(self.account), self.epoch):
            return self
        return msgspec.structs.replace(self, count=max(self.count, known[2]))


@lru_cache(maxsize=64)
def _account_code(account: str) -> str:
    return content_hash(account)[:6]


@lru_cache(maxsize=64)
def _prefix(account: str, trading_day: str, epoch: int) -> str:
    return f"gh{_account_code(account)}_{trading_day[2:].replace('-', '')}_{_base36(epoch)}_"


@lru_cache(maxsize=16)  # an id is made when it is given, and known again when its order is journaled
def _order_id(account: str, trading_day: str, epoch: int, count: int) -> str:
    return f"{_prefix(account, trading_day, epoch)}{_base36(count)}"


def parse_order_id(client_order_id: str) -> tuple[str, int, int] | None:
    """(account code, epoch, count) of an id of ours; None for anybody else's.

    >>> parse_order_id("gh99e509_250605_3_a"), parse_order_id("PYSDK_insert_1")
    (('99e509', 3, 10), None)
    """
    found = _OURS.fullmatch(client_order_id)
    return None if found is None else (found["account"], int(found["epoch"], 36), int(found["count"], 36))


def is_order_of(client_order_id: str, account: str) -> bool:
    """Whether an id was given by the gateway of an account.

    >>> is_order_of("gh99e509_250605_3_a", "demo"), is_order_of("gh99e509_250605_3_a", "other"), is_order_of("PYSDK_1", "demo")
    (True, False, False)
    """
    known = parse_order_id(client_order_id)
    return known is not None and known[0] == _account_code(account)


def day_of_order(client_order_id: str) -> str:
    """The trading day (ISO) on which an id of ours was given; empty for anybody else's.

    >>> day_of_order("gh99e509_250605_3_a"), day_of_order("PYSDK_1")
    ('2025-06-05', '')
    """
    found = _OURS.fullmatch(client_order_id)
    return "" if found is None else f"20{found['day'][:2]}-{found['day'][2:4]}-{found['day'][4:]}"


def external_order_id(symbol: str, exchange_order_id: str) -> str:
    """An id for an order that the venue knows by its own number only: the same for the same order, on any day's restart.

    >>> external_order_id("SHFE.rb2510", "12345") == external_order_id("SHFE.rb2510", "12345")
    True
    """
    return f"ex{content_hash([symbol, exchange_order_id])[:20]}"


def synthetic_trade_id(client_order_id: str, filled_before: int, lots: int) -> str:
    """An id for a trade that nobody reported but the position proves: named by its order and the lots filled before it.

    >>> synthetic_trade_id("gh99e509_250605_3_1", 0, 2)
    'synthetic:gh99e509_250605_3_1:0+2'
    """
    return f"synthetic:{client_order_id}:{filled_before}+{lots}"
