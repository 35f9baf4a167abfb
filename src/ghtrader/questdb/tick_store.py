"""Ticks in QuestDB: one partition is the rows of a symbol and trading day that carry the same write id.

A write replaces a partition in one transaction: its rows, with the write id of its manifest, and for every old row that has
no successor a row without trading day, which takes it out of sight (QuestDB cannot delete). The manifest is stored before,
under the same write id. So readers see the old rows with the old manifest, or the new rows with the new one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ghtrader.core.errors import DataError, SchemaError, StoreError
from ghtrader.core.ids import content_hash
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.schema import MAIN_L5_COLUMNS, ColumnType
from ghtrader.data.tables import Table, table_named, tick_table
from ghtrader.ports.tick_store import DayKey, DayManifest
from ghtrader.questdb.locks import NamedLocks
from ghtrader.questdb.queries import DailyIndex
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.sender import IlpSender, Visibility
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.sql import day_predicate, day_window_ns, quote, timestamp
from ghtrader.questdb.wire import HttpReader, PgWire

if TYPE_CHECKING:
    import polars as pl

__all__ = ["QuestdbTickStore", "write_id_of"]

I64_ABSENT = -(1 << 63)
#: What rows carry that something else wrote: no manifest describes them.
NO_WRITE = 0
WRITE_ATTEMPTS = 3


def write_id_of(manifest: DayManifest) -> int:
    """The id of a write: 62 bits of its manifest's hash, so that the same write has the same id."""
    return int(content_hash(msgspec.to_builtins(manifest))[:16], 16) >> 2


def _cells(column: pl.Series) -> tuple[str, int, int]:
    """A sum over a column in the server's words, and its least and greatest value: how many cells hold something.

    Small integers have no null there, so they are added up; whether infinite numbers are counted depends on the query.
    """
    import polars as pl

    if column.dtype in {pl.UInt8, pl.Int8}:
        total = int(column.cast(pl.Int64).sum())
        return f"sum({column.name})", total, total
    if column.dtype.is_float():
        return f"count({column.name})", int(column.is_finite().sum()), int(column.is_not_nan().sum())
    present = int(((column != I64_ABSENT) if column.dtype == pl.Int64 else column.is_not_null()).sum())
    return f"count({column.name})", present, present


def _restored(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Server types back to those of the tick columns; the server's null is our NaN, or our smallest integer."""
    import polars as pl

    kinds: dict[ColumnType, Any] = {"u8": pl.UInt8, "u32": pl.UInt32, "i8": pl.Int8}
    columns = []
    for name in names:
        kind = MAIN_L5_COLUMNS[name]
        column = pl.col(name)
        if name == "datetime":
            column = column.cast(pl.Int64)
        elif kind == "f64":
            column = column.fill_null(float("nan"))
        elif kind == "i64":
            column = column.fill_null(I64_ABSENT)
        elif kind == "str":
            column = column.cast(pl.String)
        else:
            column = column.cast(kinds[kind])
        columns.append(column)
    return frame.select(columns)


class QuestdbTickStore:
    """`ports.tick_store.TickStore` on a server. Writers of one installation exclude each other by partition."""

    def __init__(
        self,
        settings: QuestdbSettings,
        wire: PgWire,
        reader: HttpReader,
        sender: IlpSender,
        schema: QuestdbSchema,
        calendar: Calendar,
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._reader = reader
        self._sender = sender
        self._schema = schema
        self._calendar = calendar
        self._visible = Visibility(settings, wire)
        self._locks = NamedLocks(settings.lock_folder)
        self._index = DailyIndex(settings, wire)
        self._manifests = settings.name("manifests_v2")

    @contextmanager
    def exclusive(self, key: DayKey) -> Iterator[None]:
        """Hold the partition among the processes of this installation. Re-entrant within a thread."""
        with self._locks.exclusive(f"{self._settings.prefix}{key.kind}/{key.symbol}/{key.trading_day.iso}"):
            yield

    # --- writing --------------------------------------------------------------------------------------------------------
    def write_day(self, key: DayKey, frame: pl.DataFrame, manifest: DayManifest) -> None:
        """Replace the partition in one transaction; returns when the rows can be read."""
        if len(frame) != manifest.rows:
            raise DataError(f"{len(frame)} rows with a manifest of {manifest.rows}", symbol=key.symbol, day=key.trading_day.iso)
        table, _ = tick_table(key.kind)
        self._require_window(key, frame)
        with self.exclusive(key):
            self._schema.require_tables(table, table_named("manifests_v2"))
            write_id = write_id_of(manifest)
            gone = self._gone(key, table, frame, write_id)
            self._put_manifest(key, manifest, write_id)
            for _ in range(WRITE_ATTEMPTS):
                self._put_rows(key, table, frame, gone, write_id)
                if self._arrived(key, table, frame, write_id):
                    return
                self._sender.close()
        raise StoreError(
            f"rows of {key.symbol} on {key.trading_day} were acknowledged and are not there",
            hint="ghtrader db questdb-health, then write the day again",
            symbol=key.symbol,
            day=key.trading_day.iso,
        )

    def _arrived(self, key: DayKey, table: Table, frame: pl.DataFrame, write_id: int) -> bool:
        """Whether every column holds as many values as were written.

        Through an ILP connection that was kept while a column was dropped and added again, perhaps by another process, the
        server acknowledges rows and leaves that column empty (9.3.4).
        """
        if frame.is_empty():
            return True
        cells = [_cells(frame[column.name]) for column in table.columns if column.name in frame.columns]
        sums = ", ".join(words for words, _, _ in cells)
        where = f"{self._where(key)} AND write_id = {write_id}"
        found = self._wire.query(f"SELECT count(), {sums} FROM {self._settings.name(table.name)} WHERE {where}")[0]
        return found[0] == len(frame) and all(
            least <= (value or 0) <= most for value, (_, least, most) in zip(found[1:], cells, strict=True)
        )

    def _require_window(self, key: DayKey, frame: pl.DataFrame) -> None:
        if not bool((frame["datetime"].diff().drop_nulls() > 0).all()):
            raise DataError(
                f"stamps of {key.symbol} on {key.trading_day} do not ascend strictly: equal ones would replace each other",
                hint="import the file: ingest spaces equal stamps",
                symbol=key.symbol,
                day=key.trading_day.iso,
            )
        first, last = day_window_ns(self._calendar, key)
        outside = ~frame["datetime"].is_between(first, last)
        if outside.any():
            stamp = int(frame["datetime"].filter(outside)[0])
            raise DataError(
                f"{int(outside.sum())} rows of {key.symbol} lie outside the trading day {key.trading_day}, the first at {stamp}",
                hint="import the file again: it is split by trading day",
                symbol=key.symbol,
                day=key.trading_day.iso,
            )

    def _gone(self, key: DayKey, table: Table, frame: pl.DataFrame, write_id: int) -> pl.DataFrame:
        """Keys of live rows that the new rows do not replace; none when the same write is repeated."""
        import polars as pl

        names = [name for name in table.keys if name != "symbol"]
        empty = pl.DataFrame(schema={"datetime": pl.Int64, "symbol": pl.String})
        name = self._settings.name(table.name)
        live = {found for (found,) in self._wire.query(f"SELECT DISTINCT write_id FROM {name} WHERE {self._where(key)}")}
        if live <= {write_id}:
            return empty
        old = self._reader.frame(f"SELECT {', '.join(names)} FROM {name} WHERE {self._where(key)}")
        old = old.with_columns(pl.col("datetime").cast(pl.Int64), *(pl.col(name).cast(pl.String) for name in names[1:]))
        new = frame.with_columns(
            *(pl.lit(None, dtype=pl.String).alias(name) for name in names if name not in frame.columns)
        ).select(names)
        gone = old.join(new, on=names, how="anti", nulls_equal=True)
        return gone.with_columns(pl.lit(key.symbol).alias("symbol")) if len(gone) else empty

    def _put_manifest(self, key: DayKey, manifest: DayManifest, write_id: int) -> None:
        document = msgspec.json.encode(manifest).decode()
        values = (
            key.trading_day.stamp_ns,
            key.kind,
            key.symbol,
            key.trading_day.iso,
            write_id,
            manifest.rows,
            manifest.digest,
            manifest.row_hash_version,
            document,
        )
        self._wire.execute(
            f"INSERT INTO {self._manifests} (datetime, kind, symbol, trading_day, write_id, rows, digest, row_hash_version, "
            "document) VALUES (%s::timestamp_ns, %s, %s, %s, %s, %s, %s, %s, %s)",
            values,
        )

    def _put_rows(self, key: DayKey, table: Table, frame: pl.DataFrame, gone: pl.DataFrame, write_id: int) -> None:
        import polars as pl

        declared = [column.name for column in table.columns if column.name in frame.columns]
        rows = frame.select(declared).with_columns(
            pl.lit(key.symbol).alias("symbol"),
            pl.lit(key.trading_day.iso).alias("trading_day"),
            pl.lit(write_id, dtype=pl.Int64).alias("write_id"),
        )
        symbols = [column.name for column in table.columns if column.type == "sym"]
        name = self._settings.name(table.name)

        def manifest_is_visible() -> None:
            self._visible.wait(self._manifests)

        if not self._put_staged(name, rows, gone, manifest_is_visible):
            self._sender.send(name, [rows, gone], symbols, manifest_is_visible)
        self._visible.wait(name)

    def _put_staged(self, name: str, rows: pl.DataFrame, gone: pl.DataFrame, before: Callable[[], None]) -> bool:
        """Through a Parquet file that the server reads by itself; False when it cannot (then the rows go over the wire)."""
        import polars as pl

        folder = self._settings.import_folder
        if folder is None:
            return False
        file = folder / f"ghtrader-{uuid.uuid4().hex}.parquet"
        staged = pl.concat([rows, gone], how="diagonal").with_columns(pl.col("datetime").cast(pl.Datetime("ns")))
        staged = staged.with_columns(pl.col(pl.UInt8, pl.Int8).cast(pl.Int16), pl.col(pl.UInt32).cast(pl.Int64))
        columns = ", ".join(staged.columns)
        try:
            staged.write_parquet(file, compression="lz4", statistics=False)
            before()
            self._wire.execute(f"INSERT ATOMIC INTO {name} ({columns}) SELECT {columns} FROM read_parquet({quote(file.name)})")
        except (OSError, pl.exceptions.PolarsError):
            return False
        except SchemaError:
            raise
        except StoreError as error:
            if error.retryable:
                raise
            return False
        finally:
            file.unlink(missing_ok=True)
        return True

    def delete_day(self, key: DayKey) -> bool:
        """Take the partition out of sight, in one transaction on the server."""
        with self.exclusive(key):
            if self._live_write(key) is None:
                return False
            table, _ = tick_table(key.kind)
            name, keys = self._settings.name(table.name), ", ".join(table.keys)
            self._schema.require_tables(table)
            self._wire.execute(f"INSERT ATOMIC INTO {name} ({keys}) SELECT {keys} FROM {name} WHERE {self._where(key)}")
            self._visible.wait(name)
            return True

    # --- reading --------------------------------------------------------------------------------------------------------
    def _where(self, key: DayKey) -> str:
        return day_predicate(self._calendar, key)

    def _live_write(self, key: DayKey) -> int | None:
        table, _ = tick_table(key.kind)
        name = self._settings.name(table.name)
        rows = self._wire.query(f"SELECT write_id FROM {name} WHERE {self._where(key)} LIMIT 1")
        return None if not rows else int(rows[0][0] or NO_WRITE)

    def _manifest_of(self, key: DayKey, write_id: int) -> DayManifest | None:
        sql = (
            f"SELECT document FROM {self._manifests} WHERE datetime = {timestamp(key.trading_day.stamp_ns)} AND kind = {quote(key.kind)} "
            f"AND symbol = {quote(key.symbol)} AND write_id = {write_id}"
        )
        rows = self._wire.query(sql)
        if not rows or rows[0][0] is None:
            return None
        try:
            return msgspec.json.decode(rows[0][0].encode(), type=DayManifest)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"the manifest of {key.symbol} {key.trading_day} cannot be read: {error}", hint="import the day again"
            ) from error

    def manifest(self, key: DayKey) -> DayManifest | None:
        """The manifest of the rows that are stored now; None when there are none, or none that a manifest describes."""
        write_id = self._live_write(key)
        return None if write_id is None else self._manifest_of(key, write_id)

    def read_day(self, key: DayKey, columns: list[str] | None = None) -> pl.DataFrame:
        """Rows of a partition in one query, so of one write. Raises DataError when it does not exist."""
        table, _ = tick_table(key.kind)
        declared = [column.name for column in table.columns if column.name != "write_id"]
        wanted = declared if columns is None else list(dict.fromkeys([*columns, "datetime"]))
        unknown = [name for name in wanted if name not in declared]
        if unknown:
            raise SchemaError(f"{table.name} has no column {unknown[0]}", hint="ghtrader db check", columns=unknown)
        sql = f"SELECT {', '.join(wanted)}, write_id FROM {self._settings.name(table.name)} WHERE {self._where(key)}"
        frame = self._reader.frame(sql)
        manifest = None if frame.is_empty() else self._manifest_of(key, int(frame["write_id"][0] or NO_WRITE))
        if manifest is None:
            found = f"{len(frame)} rows without a manifest, and so" if len(frame) else ""
            raise DataError(
                f"{found} no {key.kind} ticks of {key.symbol} on {key.trading_day}".strip(),
                hint="import or copy the day again" if found else "ghtrader data list",
                symbol=key.symbol,
                day=key.trading_day.iso,
            )
        if frame["write_id"].n_unique() > 1:
            raise StoreError(
                f"rows of {key.symbol} on {key.trading_day} come from several writes: something else wrote into {table.name}",
                hint="import the day again",
                symbol=key.symbol,
                day=key.trading_day.iso,
            )
        if columns is not None:
            return _restored(frame, columns)
        stored = [name for name in manifest.columns if name in declared] or [name for name in declared if name != "write_id"]
        return _restored(frame, list(dict.fromkeys([*stored, "symbol", "trading_day"])))

    def days(self, kind: str, symbol: str) -> list[TradingDay]:
        """Trading days that have a partition, ascending."""
        return [TradingDay.parse(day) for day in self._index.days(kind, symbol)]

    def symbols(self, kind: str) -> list[str]:
        """Symbols that have a partition of this kind, sorted."""
        return self._index.symbols(kind)

    def strays(self, kind: str) -> list[DayKey]:
        """Partitions whose rows no manifest describes."""
        known = {
            write_id
            for (write_id,) in self._wire.query(f"SELECT DISTINCT write_id FROM {self._manifests} WHERE kind = %s", (kind,))
        }
        found = {(symbol, day) for symbol, day, write_id in self._index.writes(kind) if write_id not in known}
        return sorted(DayKey(kind, symbol, TradingDay.parse(day)) for symbol, day in found)
