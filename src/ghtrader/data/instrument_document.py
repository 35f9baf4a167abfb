"""The form of the vendored instrument table: what is stored, how it is dated, and by whom it is said."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "AuctionRule",
    "Dated",
    "DayHours",
    "FeeRow",
    "InstrumentDocument",
    "MarginRow",
    "Multiplier",
    "NightException",
    "NightHours",
    "NightSuspension",
    "OrderLimitRow",
    "PriceTick",
    "ProductRow",
    "Source",
]

PartName = Literal["am1", "am2", "pm"]


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who says so. ``table``: a data table; ``notice``: an exchange notice or rule, read or quoted; ``recollection``: unverified."""

    title: str
    kind: Literal["table", "notice", "recollection"]
    url: str = ""


class Dated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact between two trading days, both included.

    The table lets it hold from ``valid_from`` to ``valid_to`` (open when empty); its sources speak of ``known_from`` to
    ``known_until`` only. A day of validity outside the known days takes a value that is carried to it.
    """

    valid_from: str
    sources: tuple[str, ...]
    known_from: str
    known_until: str
    valid_to: str = ""

    def covers(self, day: str) -> bool:
        """Whether the row holds on an ISO day."""
        return self.valid_from <= day and (not self.valid_to or day <= self.valid_to)

    def is_known_on(self, day: str) -> bool:
        """Whether a source speaks of that ISO day."""
        return self.known_from <= day <= self.known_until


class PriceTick(Dated, frozen=True, kw_only=True):
    """The price tick, in CNY of the quote."""

    tick: float


class Multiplier(Dated, frozen=True, kw_only=True):
    """Units of the quote per lot."""

    units: float


class DayHours(Dated, frozen=True, kw_only=True):
    """Day session: part, opening and closing time, any number of them; a part may have breaks of its own."""

    windows: tuple[tuple[PartName, str, str], ...]


class NightHours(Dated, frozen=True, kw_only=True):
    """Night session by trading day, any number of windows; hours past 24 are after midnight."""

    windows: tuple[tuple[str, str], ...]


class FeeRow(Dated, frozen=True, kw_only=True):
    """Exchange fees of speculation: rate of turnover plus CNY per lot."""

    open_rate: float = 0.0
    open_cny: float = 0.0
    close_rate: float = 0.0
    close_cny: float = 0.0
    close_today_rate: float = 0.0
    close_today_cny: float = 0.0


class MarginRow(Dated, frozen=True, kw_only=True):
    """Exchange margin of speculation, as a rate of the contract's value."""

    rate: float


class OrderLimitRow(Dated, frozen=True, kw_only=True):
    """Lots of one order; ``max_market_lots`` 0: no market orders."""

    min_lots: int
    max_limit_lots: int
    max_market_lots: int


class AuctionRule(Dated, frozen=True, kw_only=True):
    """Call auctions: minutes before the open, of them the matching; whether there is one by day after a night session."""

    minutes_before_open: int
    match_minutes: int
    by_day_after_a_night: bool


class ProductRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One product with its dated facts; ``listed`` is its first trading day ("" when before the table)."""

    product: str
    name: str
    listed: str
    listed_sources: tuple[str, ...]
    multipliers: tuple[Multiplier, ...]
    price_ticks: tuple[PriceTick, ...]
    day_hours: str
    nights: tuple[NightHours, ...]
    fees: tuple[FeeRow, ...]
    margins: tuple[MarginRow, ...]


class NightSuspension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trading days without a night session, for every product."""

    first_trading_day: str
    last_trading_day: str
    sources: tuple[str, ...]


class NightException(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trading day whose night session opened at another hour, for every product."""

    trading_day: str
    open: str
    sources: tuple[str, ...]


class InstrumentDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The vendored table."""

    about: str
    retrieved: str
    sources: dict[str, Source]
    auctions: tuple[AuctionRule, ...]
    night_suspensions: tuple[NightSuspension, ...]
    night_exceptions: tuple[NightException, ...]
    day_hours: dict[str, tuple[DayHours, ...]]
    order_limits: dict[str, tuple[OrderLimitRow, ...]]
    products: tuple[ProductRow, ...]
