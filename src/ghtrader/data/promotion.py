"""How a change of the main-contract series becomes visible: all of its days at once, whatever is killed when.

A day of the series is a function of a raw day and the schedule, so nothing has to be staged on the medium. A promotion is one
ledger document that names the schedule, the days to write with the digest that each must have, and the days to remove. While it
is absent the old days stand. Putting it is the moment of change: from then on nobody reads a day of the series before all of them
are written, by the promoter or, when that was killed, by whoever comes next. Then the document goes.

Raw days beneath a series are written under its shared lock, after a pending promotion was finished, so that what a promotion
names is still there when it is finished.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.errors import DataError, UnknownInstrumentError
from ghtrader.core.instruments import alias_of, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.main_l5 import Stamp, derive_day
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.series_lock import SeriesLocks
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PROMOTIONS", "PromotedTicks", "Promotion", "Promotions"]

#: Ledger table of pending promotions, by alias.
PROMOTIONS = "main_l5_promotion"
SERIES = "main_l5"


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What a series becomes. written: ISO day -> digest that its rows must have; removed: ISO days that go."""

    alias: str
    schedule: MainSchedule
    written: dict[str, str]
    removed: list[str]
    stamp: Stamp


class Promotions:
    """Promotions of the series in one store."""

    def __init__(self, ticks: TickStore, ledger: LedgerStore, folder: Path) -> None:
        self._ticks = ticks
        self._ledger = ledger
        self.locks = SeriesLocks(folder)

    def promote(self, promotion: Promotion) -> None:
        """Let the series become this. The caller holds its lock, and has judged exactly these days."""
        self._ledger.put(PROMOTIONS, promotion.alias, msgspec.to_builtins(promotion))
        self._finish(promotion)

    def settle(self, alias: str) -> None:
        """Return when no promotion of the series is pending: wait for the one who promotes, or finish for one who was killed.

        Raises DataError when raw days have changed behind the promotion's back; ``ghtrader main-l5`` builds them again.
        """
        if self.locks.holds(alias) or self._ledger.get(PROMOTIONS, alias) is None:
            return
        with self.locks.exclusive(alias):
            self.settle_held(alias)

    def settle_held(self, alias: str) -> None:
        """:meth:`settle` for who holds the lock."""
        document = self._ledger.get(PROMOTIONS, alias)
        if document is not None:
            self._finish(msgspec.convert(document, Promotion))

    def settle_all(self) -> None:
        """Finish whatever is pending."""
        for alias, _ in self._ledger.items(PROMOTIONS):
            self.settle(alias)

    def _finish(self, promotion: Promotion) -> None:
        for iso, digest in promotion.written.items():
            self._write(promotion, TradingDay.parse(iso), digest)
        for iso in promotion.removed:
            self._ticks.delete_day(DayKey(SERIES, promotion.alias, TradingDay.parse(iso)))
        self._ledger.delete(PROMOTIONS, promotion.alias)

    def _write(self, promotion: Promotion, day: TradingDay, digest: str) -> None:
        key, schedule = DayKey(SERIES, promotion.alias, day), promotion.schedule
        there = self._ticks.manifest(key)
        promised = (promotion.stamp.created_ns, digest, schedule.schedule_hash)
        if there is not None and (there.created_ns, there.digest, there.lineage.get("schedule_hash")) == promised:
            return
        raw_key = DayKey("raw", schedule.segment_of(day).contract, day)
        raw = self._ticks.manifest(raw_key)
        if raw is not None:
            frame, manifest = derive_day(self._ticks.read_day(raw_key), raw, schedule, day, promotion.stamp)
            if manifest.digest == digest:
                self._ticks.write_day(key, frame, manifest)
                return
        raise DataError(
            f"{raw_key.symbol} {day} changed after it was judged: the series cannot be finished as it was promised",
            hint=f"ghtrader main-l5 --var {schedule.product}",
            alias=promotion.alias,
            day=day.iso,
        )

    @contextlib.contextmanager
    def beneath(self, symbol: str) -> Iterator[None]:
        """Write a raw day of ``symbol``: no promotion is pending, and none begins meanwhile."""
        try:
            alias = alias_of(product_of(symbol))
        except UnknownInstrumentError:
            yield
            return
        stuck = False
        while True:
            try:
                self.settle(alias)
            except DataError:
                stuck = True  # it can never be finished from these raw days: better ones are welcome
            with self.locks.shared(alias):
                if stuck or self._ledger.get(PROMOTIONS, alias) is None:
                    yield
                    return


class PromotedTicks:
    """`ports.tick_store.TickStore` over a store: whoever asks for the series sees it before a promotion, or after it."""

    def __init__(self, ticks: TickStore, promotions: Promotions) -> None:
        self._ticks = ticks
        self._promotions = promotions

    @contextlib.contextmanager
    def exclusive(self, key: DayKey) -> Iterator[None]:
        """Hold the partition, after the lock of the series that it belongs to."""
        with self._writing(key), self._ticks.exclusive(key):
            yield

    @contextlib.contextmanager
    def _writing(self, key: DayKey) -> Iterator[None]:
        if key.kind != SERIES:
            with self._promotions.beneath(key.symbol):
                yield
            return
        held = self._promotions.locks.holds(key.symbol)
        with self._promotions.locks.exclusive(key.symbol):
            if not held:
                self._promotions.settle_held(key.symbol)
            yield

    def _settle(self, kind: str, symbol: str) -> None:
        if kind == SERIES:
            self._promotions.settle(symbol)

    def write_day(self, key: DayKey, frame: pl.DataFrame, manifest: DayManifest) -> None:
        """Replace the partition whole."""
        with self._writing(key):
            self._ticks.write_day(key, frame, manifest)

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition."""
        self._settle(key.kind, key.symbol)
        return self._ticks.read_day(key, columns)

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The partition's manifest."""
        self._settle(key.kind, key.symbol)
        return self._ticks.manifest(key)

    def days(self, kind: str, symbol: str) -> list[TradingDay]:
        """Trading days that have a partition."""
        self._settle(kind, symbol)
        return self._ticks.days(kind, symbol)

    def symbols(self, kind: str) -> list[str]:
        """Symbols that have a partition of this kind."""
        if kind == SERIES:
            self._promotions.settle_all()
        return self._ticks.symbols(kind)

    def strays(self, kind: str) -> list[DayKey]:
        """Partitions with data and no manifest."""
        return self._ticks.strays(kind)

    def delete_day(self, key: DayKey) -> bool:
        """Remove a partition."""
        with self._writing(key):
            return self._ticks.delete_day(key)
