"""The first trading day on which the provider serves five levels of a variety's main contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.errors import ProviderPermanentError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_l5 import is_level5
from ghtrader.data.schema import ASK_PRICES, ASK_SIZES, BID_PRICES, BID_SIZES
from ghtrader.pipelines.download import last_closed_day
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.provider_gate import asking
from ghtrader.pipelines.services import Services
from ghtrader.ports.market_data import MarketDataProvider

if TYPE_CHECKING:
    import polars as pl

__all__ = ["L5Start", "l5_start"]

MainDays = list[tuple[TradingDay, str]]


class L5Start(msgspec.Struct, frozen=True, kw_only=True):
    """The first day with levels 2-5, its contract, and what every probed day had: ``level 5``, ``level 1`` or ``no ticks``."""

    product: str
    first_level5_day: str
    contract: str
    probes: dict[str, str]


def l5_start(services: Services, variety: str, *, progress: Progress = NO_PROGRESS) -> L5Start:
    """By bisection over the main contract's days; a day without ticks is passed over for the next one.

    Raises ProviderPermanentError when the newest day has no five levels.
    """
    product = InstrumentTable.vendored().resolve_product(variety)
    share = services.settings().get("data.main_l5.level5_min_share")
    assert isinstance(share, float)
    with asking(services) as provider:
        table = provider.continuous_table(product)
        days = _main_days(provider, table, last_closed_day(services, product, calendar_of(services)))
        progress.start("probe", 0)
        search = _Search(provider, days, share, progress)
        first = search.first()
    if first is None:
        raise ProviderPermanentError(
            f"the provider serves no five levels of {product}", hint="another account, or another variety", probes=search.probes
        )
    progress.finish(f"{days[first][0]}")
    return L5Start(
        product=product,
        first_level5_day=days[first][0].iso,
        contract=days[first][1],
        probes=dict(sorted(search.probes.items())),
    )


class _Search:
    def __init__(self, provider: MarketDataProvider, days: MainDays, share: float, progress: Progress) -> None:
        self._provider, self._days, self._share, self._progress = provider, days, share, progress
        self.probes: dict[str, str] = {}

    def _feed(self, position: int) -> str:
        """What the feed of a day supplies; every day is asked once."""
        day, contract = self._days[position]
        if day.iso not in self.probes:
            try:
                frame = self._provider.ticks(contract, day).frame
            except ProviderPermanentError as error:
                if "day" not in error.context:
                    raise  # refused, which says nothing of the day
                self.probes[day.iso] = "no ticks"
            else:
                self.probes[day.iso] = "level 5" if is_level5(_levels(frame), self._share) else "level 1"
            self._progress.advance(note=f"{day} {self.probes[day.iso]}")
        return self.probes[day.iso]

    def first(self) -> int | None:
        """Position of the first day with five levels; None when the newest day with ticks has none."""
        high = next((n for n in range(len(self._days) - 1, -1, -1) if self._feed(n) != "no ticks"), -1)
        if high < 0 or self._feed(high) != "level 5":
            return None
        low, stop, best = 0, high, high  # no level 5 before low, best is one, days from stop to best have no earlier one
        while low < stop:
            middle = (low + stop) // 2
            shown = next((n for n in range(middle, stop) if self._feed(n) != "no ticks"), None)
            if shown is None:
                stop = middle
            elif self._feed(shown) == "level 5":
                best, stop = shown, middle
            else:
                low = shown + 1
        return best


def _levels(frame: pl.DataFrame) -> pl.DataFrame:
    """A provider's frame with sizes only where there is a price, as ingest would have it."""
    import polars as pl

    return frame.with_columns(
        pl.when(pl.col(price).cast(pl.Float64).fill_nan(0.0).fill_null(0.0) > 0)
        .then(pl.col(size).fill_nan(0.0))
        .otherwise(0.0)
        .alias(size)
        for price, size in zip((*BID_PRICES, *ASK_PRICES), (*BID_SIZES, *ASK_SIZES), strict=True)
    )


def _main_days(provider: MarketDataProvider, table: Sequence[tuple[TradingDay, str]], last: TradingDay) -> MainDays:
    """Days on which each contract of the table was the main one, ascending; contracts that the provider refuses are passed over."""
    found: MainDays = []
    for position, (first, contract) in enumerate(table):
        stop = table[position + 1][0] if position + 1 < len(table) else None
        try:
            days = provider.trading_days(contract)
        except ProviderPermanentError:
            continue
        found += [(day, contract) for day in days if first <= day <= last and (stop is None or day < stop)]
    return found
