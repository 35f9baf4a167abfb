"""What the exchange counts per contract and trading day, with the levels at which we warn and stop, dated."""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import product_of
from ghtrader.trading.risk.limits import RiskLimits

__all__ = ["ExchangeMeters", "Level", "MeterLevels", "MeterRow", "MeterTable"]

ANYWHERE = "*"
_DEFAULT = RiskLimits()


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts of one meter: from ``warn`` on a near-miss; openings stop above ``stop``; ``free`` is the last without consequences."""

    warn: int
    stop: int
    free: int


class MeterLevels(msgspec.Struct, frozen=True, kw_only=True):
    """Levels that hold for a contract on a trading day; None where nobody counts. large_lots: a cancel of so many lots is a large one."""

    cancels: Level | None = None
    large_cancels: Level | None = None
    self_trades: Level | None = None
    messages: Level | None = None
    opened_lots: Level | None = None
    large_lots: int = 0
    carried_forward: tuple[str, ...] = ()


class MeterRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dated level: of a product, an exchange or ("*") any contract. known_until: the last day of which its source speaks."""

    meter: str
    applies_to: str
    valid_from: str
    valid_to: str = ""
    known_until: str
    warn: int
    stop: int
    free: int
    large_lots: int = 0
    source: str


class MeterTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The vendored table."""

    about: str
    retrieved: str
    sources: dict[str, str]
    rows: tuple[MeterRow, ...]


class ExchangeMeters:
    """Levels by contract and trading day; the most particular row wins: product, then exchange, then any; among equals the later one.

    Raises DataError for a table in which something is warned of only beyond where it stops.

    >>> meters = ExchangeMeters.vendored()
    >>> meters.levels("SHFE.ag2604", "2026-02-02").opened_lots
    Level(warn=640, stop=760, free=800)
    >>> meters.levels("SHFE.ag2604", "2026-02-02", RiskLimits(max_cancels=100)).cancels
    Level(warn=80, stop=100, free=499)
    """

    def __init__(self, table: MeterTable) -> None:
        wrong = [f"{row.meter} of {row.applies_to}" for row in table.rows if row.warn > row.stop]
        if wrong:
            hint = "the warning level of a meter stands at or below its stop level"
            raise DataError(f"exchange limits that warn too late: {', '.join(wrong)}", hint=hint)
        self.table = table
        self._levels: dict[tuple[str, str, int, int, float], MeterLevels] = {}

    @classmethod
    def vendored(cls) -> ExchangeMeters:
        """The table that ships with the project."""
        return cls(_vendored())

    def levels(self, symbol: str, trading_day: str, limits: RiskLimits = _DEFAULT) -> MeterLevels:
        """Levels of a contract on a trading day (ISO), under the account's own caps on cancels and messages.

        Raises UnknownInstrumentError for what is no symbol.
        """
        key = (symbol, trading_day, limits.max_cancels, limits.max_messages, limits.warn_share)
        found = self._levels.get(key)
        if found is None:
            found = self._levels[key] = _capped(self._find(symbol, trading_day), limits)
        return found

    def _find(self, symbol: str, day: str) -> MeterLevels:
        product = product_of(symbol)
        ranks = {ANYWHERE: 0, product.split(".")[0]: 1, product: 2}
        best: dict[str, MeterRow] = {}
        for row in self.table.rows:
            if row.applies_to not in ranks or not row.valid_from <= day or (row.valid_to and day > row.valid_to):
                continue
            other = best.get(row.meter)
            if other is None or (ranks[row.applies_to], row.valid_from) >= (ranks[other.applies_to], other.valid_from):
                best[row.meter] = row
        levels = {meter: Level(row.warn, row.stop, row.free) for meter, row in best.items()}
        large = best.get("large_cancels")
        return MeterLevels(
            **levels,
            large_lots=large.large_lots if large else 0,
            carried_forward=tuple(sorted(meter for meter, row in best.items() if day > row.known_until)),
        )


def _cap(level: Level | None, own: int, warn_share: float) -> Level:
    if level is None:
        return Level(math.floor(own * warn_share), own, own)
    return Level(min(level.warn, math.floor(own * warn_share)), min(level.stop, own), level.free)


def _capped(levels: MeterLevels, limits: RiskLimits) -> MeterLevels:
    return msgspec.structs.replace(
        levels,
        cancels=_cap(levels.cancels, limits.max_cancels, limits.warn_share),
        messages=_cap(levels.messages, limits.max_messages, limits.warn_share),
    )


@cache
def _vendored() -> MeterTable:
    text = resources.files("ghtrader.trading").joinpath("tables/exchange_limits.json").read_bytes()
    return msgspec.json.decode(text, type=MeterTable)
