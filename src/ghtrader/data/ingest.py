"""Source rows into day partitions: split by trading day, made canonical, merged with what is stored, written once.

Merging is idempotent: rows that are there already are counted as deduped and nothing is written. A partition is read,
merged and written under its exclusive lock, so that two imports of one day lose no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import Clock, iso_utc
from ghtrader.core.errors import DataError, HashVersionError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import CanonicalDay, canonical_day
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.manifests import column_hashes, compare_with_manifest
from ghtrader.data.row_hash import REHASH_COMMAND, ROW_HASH_VERSION, day_digest
from ghtrader.data.schema import MARKET_COLUMNS, SCHEMA_VERSION
from ghtrader.data.sessions import sessions_for, trading_days_of
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.ports.tick_store import DayKey, DayManifest, SourceFile, TickStore

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DayImport", "Ingest", "SourceArrays", "canonical_frame", "frame_arrays"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


class DayImport(msgspec.Struct, frozen=True, kw_only=True):
    """What importing rows did to one partition. rows_in = rows_written + deduped + sum(dropped).

    rows_written: new rows that were kept. superseded: rows stored earlier that the new ones proved stale.
    """

    symbol: str
    trading_day: str
    rows_in: int
    rows_written: int
    rows_stored: int
    deduped: int
    reordered: int
    superseded: int
    dropped: dict[str, int]
    conversions: tuple[str, ...]
    digest: str


@dataclass
class SourceArrays:
    """Rows in arrival order: stamps, the 27 market columns as float64 with NaN for absent, optional columns filled."""

    ts_ns: I64
    columns: dict[str, F64]
    local_nano: I64
    upper_limit: F64
    lower_limit: F64

    def rows(self, selection: npt.NDArray[Any]) -> SourceArrays:
        """The selected rows."""
        return SourceArrays(
            self.ts_ns[selection],
            {name: values[selection] for name, values in self.columns.items()},
            self.local_nano[selection],
            self.upper_limit[selection],
            self.lower_limit[selection],
        )

    def after(self, other: SourceArrays) -> SourceArrays:
        """These rows behind those of ``other``."""
        return SourceArrays(
            np.concatenate((other.ts_ns, self.ts_ns)),
            {name: np.concatenate((other.columns[name], values)) for name, values in self.columns.items()},
            np.concatenate((other.local_nano, self.local_nano)),
            np.concatenate((other.upper_limit, self.upper_limit)),
            np.concatenate((other.lower_limit, self.lower_limit)),
        )


def frame_arrays(frame: pl.DataFrame) -> SourceArrays:
    """A source or stored frame as arrays: float64 market columns with NaN for null, optional columns filled."""

    def f64(name: str) -> F64:
        if name not in frame.columns:
            return np.full(len(frame), np.nan)
        return frame[name].fill_null(float("nan")).to_numpy()

    local = frame["local_nano"].fill_null(0).to_numpy() if "local_nano" in frame.columns else np.zeros(len(frame), dtype=np.int64)
    return SourceArrays(
        frame["datetime"].to_numpy(),
        {name: f64(name) for name in MARKET_COLUMNS},
        local,
        f64("upper_limit"),
        f64("lower_limit"),
    )


def canonical_frame(day: CanonicalDay, symbol: str, trading_day: TradingDay) -> pl.DataFrame:
    """A canonical day as the frame that stores hold (`RAW_COLUMNS`)."""
    import polars as pl

    return pl.DataFrame(
        {
            "datetime": day.ts_ns,
            **{name: day.columns[name] for name in MARKET_COLUMNS},
            "local_nano": day.local_nano,
            "upper_limit": day.upper_limit,
            "lower_limit": day.lower_limit,
            "symbol": pl.repeat(symbol, len(day.ts_ns), dtype=pl.String, eager=True),
            "trading_day": pl.repeat(trading_day.iso, len(day.ts_ns), dtype=pl.String, eager=True),
            "phase": day.phase,
            "part": day.part,
            "flags": day.flags,
            "row_hash": day.row_hash,
        }
    )


@dataclass(frozen=True)
class Ingest:
    """Imports frames into a store. Values only: store, calendar, instruments, clock, identity of the run."""

    store: TickStore
    calendar: Calendar
    instruments: InstrumentTable
    clock: Clock
    tool_version: str
    config_hash: str = ""

    def import_frame(
        self,
        symbol: str,
        frame: pl.DataFrame,
        *,
        source: str,
        sha256: str,
        only: TradingDay | None = None,
        request: Mapping[str, str] | None = None,
    ) -> list[DayImport]:
        """Import one source frame; returns what happened to each trading day it touches, in day order.

        only: the trading day that all rows must belong to. request: what a provider was asked for. Raises
        UnknownInstrumentError for a product nobody declared, CalendarError for a day outside the calendar, DataError for a
        row of another day than ``only``; all before anything is written.
        """
        product = self.instruments.product(symbol).product
        arrays = frame_arrays(frame)
        days, index = trading_days_of(arrays.ts_ns, product, self.calendar, self.instruments)
        others = [day.iso for day in days if only not in {None, day}]
        if others:
            message = f"{source} was to hold {symbol} on {only}, but has rows of {', '.join(others)}"
            raise DataError(message, hint="import the file on its own: it is split by day", days=others)
        results: list[DayImport] = []
        origin = SourceFile(source, sha256, 0, dict(request or {}))
        for position, day in enumerate(days):
            chosen = arrays if len(days) == 1 else arrays.rows(np.flatnonzero(index == position))
            if len(chosen.ts_ns):
                results.append(self._import_day(DayKey("raw", symbol, day), product, chosen, origin))
        return results

    def import_chunk(self, chunk: HistoryChunk) -> DayImport:
        """Import what a provider gave for one trading day; raises DataError when rows belong to another day."""
        request = {**chunk.request, "received": iso_utc(self.clock.now_ns())}
        days = self.import_frame(
            chunk.symbol, chunk.frame, source=chunk.source, sha256=chunk.sha256, only=chunk.trading_day, request=request
        )
        if not days:
            raise DataError(f"{chunk.source} gave no rows of {chunk.symbol} on {chunk.trading_day}", symbol=chunk.symbol)
        return days[0]

    def _import_day(self, key: DayKey, product: str, rows: SourceArrays, source: SourceFile) -> DayImport:
        sessions = sessions_for(product, key.trading_day, self.calendar, self.instruments)
        spec = self.instruments.spec(key.symbol, key.trading_day)
        with self.store.exclusive(key):
            old = self.store.manifest(key)
            if old is not None and old.row_hash_version != ROW_HASH_VERSION:
                versions = f"v{old.row_hash_version}, this is v{ROW_HASH_VERSION}"
                raise HashVersionError(
                    f"{key.symbol} {key.trading_day} is stored with row hash {versions}",
                    hint=f"{REHASH_COMMAND} --symbol {key.symbol}",
                    symbol=key.symbol,
                    day=key.trading_day.iso,
                )
            held = None if old is None else self.store.read_day(key)
            # rows that are not as their manifest says are not merged: beside them, each new row would count as another
            base = old if old is not None and held is not None and not compare_with_manifest(old, held) else None
            stored = 0 if base is None else base.rows
            merged = rows if base is None or held is None else rows.after(frame_arrays(held))
            day = canonical_day(
                merged.ts_ns,
                merged.columns,
                sessions=sessions,
                price_tick=spec.price_tick,
                local_nano=merged.local_nano,
                upper_limit=merged.upper_limit,
                lower_limit=merged.lower_limit,
                already_canonical=stored,
            )
            digest = day_digest(key.kind, key.symbol, key.trading_day.iso, day.row_hash)
            if old is not None and base is None and digest != old.digest:
                raise DataError(
                    f"the stored rows of {key.symbol} {key.trading_day} are not as their manifest says, and this file alone does "
                    "not give them back: nothing was written",
                    hint="ghtrader data verify names the cells; copy the day from another store, or import a file that holds all of it",
                    symbol=key.symbol,
                    day=key.trading_day.iso,
                )
            unchanged = (base is not None and digest == base.digest) or (old is None and not len(day.ts_ns))
            if not unchanged:
                frame = canonical_frame(day, key.symbol, key.trading_day)
                origin = msgspec.structs.replace(source, rows=len(rows.ts_ns))
                self.store.write_day(key, frame, self._manifest(key, frame, day, digest, origin, base))
        return DayImport(
            symbol=key.symbol,
            trading_day=key.trading_day.iso,
            rows_in=len(rows.ts_ns),
            rows_written=day.added,
            rows_stored=len(day.ts_ns),
            deduped=day.deduped,
            reordered=0 if base is not None else day.reordered,
            superseded=day.superseded,
            dropped=day.dropped,
            conversions=day.conversions,
            digest=digest if len(day.ts_ns) else "",
        )

    def _manifest(
        self, key: DayKey, frame: pl.DataFrame, day: CanonicalDay, digest: str, source: SourceFile, old: DayManifest | None
    ) -> DayManifest:
        earlier: Sequence[SourceFile] = () if old is None else old.sources
        dropped = dict(day.dropped)
        for reason, count in ({} if old is None else old.dropped).items():
            dropped[reason] = dropped.get(reason, 0) + count
        return DayManifest(
            kind=key.kind,
            symbol=key.symbol,
            trading_day=key.trading_day.iso,
            rows=len(day.ts_ns),
            digest=digest,
            row_hash_version=ROW_HASH_VERSION,
            schema_version=SCHEMA_VERSION,
            rows_in=source.rows + (0 if old is None else old.rows_in),
            deduped=day.deduped + (0 if old is None else old.deduped),
            reordered=day.reordered if old is None else old.reordered,
            dropped=dropped,
            conversions=day.conversions,
            sources=(*(item for item in earlier if item.sha256 != source.sha256), source),
            columns=column_hashes(frame),
            config_hash=self.config_hash,
            tool_version=self.tool_version,
            created_ns=self.clock.now_ns(),
        )
