"""Rows to the server over ILP/HTTP (protocol 2, acknowledged), and the wait until they can be read.

One flush is one request and one transaction: readers see all of its rows or none. When the transport fails, the client is
dropped, made again, and the same rows are sent again (the tables' keys make a repeat harmless), a bounded number of times
with backoff; a flush that still fails is a failed write. A refusal by the server is never repeated.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, StoreError
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.wire import EXTRA_HINT, PgWire, check_http, http_login_refused, unreachable

if TYPE_CHECKING:
    import polars as pl

__all__ = ["IlpSender", "Visibility", "encoded"]

FIRST_BACKOFF_S = 0.2
FIRST_BUFFER_BYTES = 8 << 20
#: A flush is one request: the largest that the client will build.
LARGEST_FLUSH_BYTES = 2 << 30
#: A request may take its timeout and what it needs at this pace: a hanging server is given up all the same.
LEAST_BYTES_PER_S = 4 << 20
FIRST_POLL_S, SLOWEST_POLL_S = 0.001, 0.005
SETTLE_S = 2.0
LOW_DISK_MB = 256


def encoded(frame: pl.DataFrame, symbols: Sequence[str]) -> Any:
    """A frame as the client takes it (pandas), without copying numbers; absent cells stay absent."""
    import pandas as pd
    import polars as pl

    columns: dict[str, Any] = {}
    for name in frame.columns:
        series = frame[name]
        if name == "datetime":
            columns[name] = series.to_numpy().view("datetime64[ns]")
        elif name in symbols:
            coded = series.cast(pl.Categorical)
            values = coded.drop_nulls().unique().cast(pl.String).to_list()
            codes = series.replace_strict(values, range(len(values)), default=-1, return_dtype=pl.Int32) if values else None
            columns[name] = pd.Categorical.from_codes(codes.to_numpy() if codes is not None else [-1] * len(frame), values)
        elif series.dtype in {pl.UInt8, pl.Int8, pl.UInt32}:
            columns[name] = series.cast(pl.Int64).to_numpy()
        elif series.dtype == pl.String:
            columns[name] = pd.array(series.to_list(), dtype="string")
        else:
            columns[name] = series.to_numpy()
    return pd.DataFrame(columns, copy=False)


class IlpSender:
    """Acknowledged writes. Safe for threads: each has a client of its own."""

    def __init__(self, settings: QuestdbSettings) -> None:
        self._settings = settings
        self._local = threading.local()

    def _client(self) -> Any:
        kept = getattr(self._local, "client", None)
        if kept is not None:
            return kept
        settings = self._settings
        check_http(settings)
        try:
            from questdb import Protocol, Sender
        except ImportError as error:
            raise ConfigError("QuestDB needs its client libraries", hint=EXTRA_HINT) from error
        login: dict[str, Any] = {}
        if settings.http_user:
            login = {"username": settings.http_user, "password": settings.http_password}
        found: Any = Sender(
            Protocol.Http,
            settings.host,
            settings.http_port,
            protocol_version=2,
            auto_flush=False,
            retry_timeout=0,
            request_timeout=int(settings.query_timeout_s * 1000),
            request_min_throughput=LEAST_BYTES_PER_S,
            init_buf_size=FIRST_BUFFER_BYTES,
            max_buf_size=LARGEST_FLUSH_BYTES,
            **login,
        )
        found.establish()
        self._local.client = found
        return found

    def close(self) -> None:
        """Drop this thread's client."""
        found = getattr(self._local, "client", None)
        self._local.client = None
        if found is not None:
            found.close(flush=False)

    def send(
        self,
        table: str,
        frames: Sequence[pl.DataFrame],
        symbols: Sequence[str],
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Send frames of one table in one transaction; returns when the server has acknowledged it.

        Each frame has ``datetime`` (int64 ns). ``before`` runs when the rows are encoded and before any is sent. Raises
        StoreError when the server refuses or stays away.
        """
        prepared = [encoded(frame, symbols) for frame in frames if len(frame)]
        if not prepared:
            return
        backoff = FIRST_BACKOFF_S
        for attempt in range(1, self._settings.flush_attempts + 1):
            try:
                self._flush(table, prepared, before)
                return
            except StoreError as error:
                self.close()
                if not error.retryable or attempt == self._settings.flush_attempts:
                    raise
                Deadline(backoff).pause(backoff)
                backoff *= 2

    def _flush(self, table: str, prepared: Sequence[Any], before: Callable[[], None]) -> None:
        from questdb import QuestDBError, QuestDBErrorCode

        client = self._client()
        buffer = client.new_buffer()
        try:
            for frame in prepared:
                buffer.dataframe(frame, table_name=table, at="datetime")
            before()
            client.flush(buffer, transactional=True)
        except QuestDBError as error:
            text = " ".join(str(error).split())
            if error.code in {QuestDBErrorCode.SocketError, QuestDBErrorCode.CouldNotResolveAddr}:
                raise unreachable(self._settings, self._settings.http_port, text) from error
            if error.code == QuestDBErrorCode.AuthError or "code: 401" in text or "code: 403" in text:
                raise http_login_refused(self._settings) from error
            lowered = text.lower()
            retryable = error.code == QuestDBErrorCode.ServerFlushError and ("could not flush buffer: http" in lowered)
            busy = any(code in lowered for code in ("503", "504", "529", "timeout", "connection"))
            raise StoreError(
                f"QuestDB refused rows of {table}: {text}",
                hint="ghtrader db questdb-health, then ghtrader db check",
                retryable=retryable and busy,
                table=table,
            ) from error


class Visibility:
    """Waits until acknowledged rows can be read, and names a table whose WAL does not go on (disk full, suspended)."""

    def __init__(self, settings: QuestdbSettings, wire: PgWire) -> None:
        self._settings = settings
        self._wire = wire

    def wait(self, table: str, *, transaction: int = -1) -> None:
        """Return when everything committed to ``table`` so far, or up to ``transaction``, is applied.

        Raises StoreError when the table is suspended or too slow.
        """
        sql = 'SELECT suspended, "writerTxn", "sequencerTxn", "errorTag", "errorMessage" FROM wal_tables() WHERE name = %s'
        deadline = Deadline(self._settings.query_timeout_s)
        target, pause = transaction, FIRST_POLL_S
        while True:
            rows = self._wire.query(sql, (table,))
            if not rows:
                raise StoreError(f"QuestDB has no table {table}", hint="ghtrader db migrate", table=table)
            suspended, applied, committed, tag, message = rows[0]
            if suspended:
                why = " ".join(word for word in (tag, message) if word) or "no reason given"
                raise StoreError(
                    f"QuestDB has suspended {table}: {why}{self._disk_words()}",
                    hint=f"free disk space or mend the cause, then: ghtrader db resume-wal {table}",
                    table=table,
                    error_tag=tag or "",
                )
            target = committed if target < 0 else target
            if applied >= target:
                return
            if deadline.passed:
                raise StoreError(
                    f"rows of {table} were acknowledged but cannot be read after {self._settings.query_timeout_s:g} s",
                    hint="ghtrader db questdb-health",
                    retryable=True,
                    table=table,
                    transactions_behind=target - applied,
                )
            deadline.pause(pause)
            pause = min(pause * 2, SLOWEST_POLL_S)

    def _disk_words(self) -> str:
        """The server's disk, when it is nearly full and this process can see it."""
        folder = self._settings.import_folder
        if folder is None or not folder.exists():
            return ""
        free_mb = shutil.disk_usage(folder).free >> 20
        return f"; DISK FULL: {free_mb} MB free under {folder}" if free_mb < LOW_DISK_MB else ""

    def settle(self, prefix: str) -> None:
        """Give changes of structure that were accepted a moment to be applied; a table that stands still is left alone."""
        sql = 'SELECT name FROM wal_tables() WHERE NOT suspended AND "writerTxn" < "sequencerTxn"'
        deadline = Deadline(min(SETTLE_S, self._settings.query_timeout_s))
        while any(name.startswith(prefix) for (name,) in self._wire.query(sql)) and not deadline.passed:
            deadline.pause(SLOWEST_POLL_S)
