"""PGWire and HTTP to one server: every connection and every answer has a deadline, every failure is a clear error.

PGWire (psycopg) carries DDL and small reads, HTTP carries whole days as Parquet. Connections are few, shared by threads, and
counted against the budget of the installation (`ghtrader.questdb.locks`).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import math
import os
import select
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, DataError, GhtraderError, SchemaError, StoreError
from ghtrader.questdb.locks import ConnectionBudget
from ghtrader.questdb.settings import QuestdbSettings

if TYPE_CHECKING:
    import psycopg

__all__ = ["HttpReader", "PgWire", "check_http", "check_pg", "http_login_refused", "unreachable"]

START_HINT = "start it (make questdb), or set GHTRADER_QUESTDB_HOST, GHTRADER_QUESTDB_HTTP_PORT and GHTRADER_QUESTDB_PG_PORT"
EXTRA_HINT = "pip install 'ghtrader[questdb]'"
MOST_PER_PROCESS = 8
MOST_IDLE = 2
ROWS_PER_STATEMENT = 500
#: Text of one statement's values; the server hangs up on a message beyond its receive buffer (1 MiB).
TEXT_PER_STATEMENT = 256 * 1024
BUSY_PAUSE_S = 0.05
LEAST_WAIT_S = 0.01
LEAST_CONNECT_S = 2
TRUSTED_S = 5.0
#: PostgreSQL's SSLRequest: a server answers one letter at once, before any login.
SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
#: Words of the server that mean: come back later.
BUSY_WORDS = ("connection limit", "too many", "max connections", "busy")


def unreachable(settings: QuestdbSettings, port: int, error: BaseException | str) -> StoreError:
    """The error for a server that does not answer."""
    return StoreError(
        f"QuestDB at {settings.host}:{port} does not answer: {error}",
        hint=START_HINT,
        retryable=True,
        host=settings.host,
        port=port,
    )


def http_login_refused(settings: QuestdbSettings) -> StoreError:
    """The error for a server that wants another user or password over HTTP."""
    return StoreError(
        f"QuestDB at {settings.host}:{settings.http_port} refuses the login",
        hint="set GHTRADER_QUESTDB_HTTP_USER and GHTRADER_QUESTDB_HTTP_PASSWORD",
        host=settings.host,
        port=settings.http_port,
    )


def _first_answer(settings: QuestdbSettings, port: int, request: bytes) -> bytes:
    """The first bytes a server says to ``request``, within the connection timeout; empty when it hangs up."""
    deadline = Deadline(settings.connect_timeout_s)
    try:
        with socket.create_connection((settings.host, port), timeout=settings.connect_timeout_s) as probe:
            probe.sendall(request)
            probe.settimeout(max(deadline.left_s, LEAST_WAIT_S))
            return probe.recv(16)
    except TimeoutError as error:
        raise unreachable(settings, port, f"nothing came within {settings.connect_timeout_s:g} s") from error
    except OSError as error:
        raise unreachable(settings, port, error.strerror or str(error)) from error


def check_pg(settings: QuestdbSettings) -> None:
    """Ask a PGWire port whether it speaks TLS, and hang up: libraries wait longer for a server that hangs than people do."""
    if not _first_answer(settings, settings.pg_port, SSL_REQUEST):
        raise unreachable(settings, settings.pg_port, "it hung up; is it a PGWire port?")


def check_http(settings: QuestdbSettings) -> None:
    """Ping an HTTP port, and hang up; any answer will do, also a refusal."""
    request = f"GET /ping HTTP/1.1\r\nHost: {settings.host}\r\nConnection: close\r\n\r\n".encode()
    if not _first_answer(settings, settings.http_port, request).startswith(b"HTTP/"):
        raise unreachable(settings, settings.http_port, "what came is no HTTP")


def server_error(message: str, sql: str) -> GhtraderError:
    """What the server said, as one of our errors."""
    text = " ".join(message.split())
    lowered = text.lower()
    if "invalid column" in lowered or "does not exist" in lowered or "column not found" in lowered:
        return SchemaError(f"QuestDB: {text}", hint="ghtrader db check, then ghtrader db migrate", sql=sql[:200])
    if "query aborted" in lowered or "timeout" in lowered or "cancelled by user" in lowered:
        return StoreError(f"QuestDB gave up on a query: {text}", hint="narrow the query, or raise query.timeout", sql=sql[:200])
    return StoreError(f"QuestDB refused: {text}", hint="ghtrader db questdb-health", sql=sql[:200])


def _statements(rows: Sequence[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Rows in pieces that one statement can carry."""
    some: list[Sequence[object]] = []
    size = 0
    for row in rows:
        text = sum(len(value.encode()) for value in row if isinstance(value, str))
        if some and (len(some) == ROWS_PER_STATEMENT or size + text > TEXT_PER_STATEMENT):
            yield some
            some, size = [], 0
        some.append(row)
        size += text
    if some:
        yield some


class PgWire:
    """Small statements over PGWire. Safe for threads; a broken connection is dropped, and a read is tried once more."""

    def __init__(self, settings: QuestdbSettings) -> None:
        self._settings = settings
        self._budget = ConnectionBudget(settings.lock_folder, settings.connection_budget)
        self._idle: list[tuple[psycopg.Connection[Any], int]] = []
        self._lock = threading.Lock()
        self._answering = Deadline(0.0)
        self._most = threading.BoundedSemaphore(min(MOST_PER_PROCESS, settings.connection_budget))

    def _connect(self) -> tuple[psycopg.Connection[Any], int]:
        settings = self._settings
        slot = self._budget.take(settings.query_timeout_s)
        try:
            # a storm of connections is not doubled by questions: whoever answered just now is asked again only when it fails
            if self._answering.passed:
                check_pg(settings)
            psycopg = _driver()
            connection = psycopg.connect(
                host=settings.host,
                port=settings.pg_port,
                user=settings.pg_user,
                password=settings.pg_password,
                dbname=settings.pg_database,
                connect_timeout=max(LEAST_CONNECT_S, math.ceil(settings.connect_timeout_s)),
                autocommit=True,
                prepare_threshold=None,
            )
        except BaseException as error:
            os.close(slot)
            self._answering = Deadline(0.0)
            if type(error).__module__.startswith("psycopg"):
                raise self._refused(error) from error
            raise
        self._answering = Deadline(TRUSTED_S)
        return connection, slot

    def _refused(self, error: BaseException) -> StoreError:
        settings = self._settings
        text = str(error).strip() or type(error).__name__
        if "password" in text or "authentication" in text:
            hint = "set GHTRADER_QUESTDB_PG_USER and GHTRADER_QUESTDB_PG_PASSWORD"
            message = f"QuestDB at {settings.place} refuses the login of {settings.pg_user}"
            return StoreError(message, hint=hint, host=settings.host, port=settings.pg_port)
        return unreachable(settings, settings.pg_port, text)

    def _idle_one(self) -> tuple[psycopg.Connection[Any], int] | None:
        """A kept connection that the server has not closed meanwhile."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, slot = self._idle.pop()
            if not _hung_up(connection):
                return connection, slot
            self._give_back(connection, slot, healthy=False)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        if not self._most.acquire(timeout=self._settings.query_timeout_s):
            raise StoreError(
                "every QuestDB connection of this process is busy", hint="ghtrader db questdb-health", retryable=True
            )
        try:
            connection, slot = self._idle_one() or self._connect()
            healthy = False
            try:
                yield connection
                healthy = not connection.closed and not connection.broken
            finally:
                self._give_back(connection, slot, healthy)
        finally:
            self._most.release()

    def _give_back(self, connection: psycopg.Connection[Any], slot: int, healthy: bool) -> None:
        if healthy:
            with self._lock:
                if len(self._idle) < MOST_IDLE:
                    self._idle.append((connection, slot))
                    return
        with contextlib.suppress(Exception):
            connection.close()
        os.close(slot)

    def close(self) -> None:
        """Hang up idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, slot in idle:
            self._give_back(connection, slot, healthy=False)

    def query(self, sql: str, values: Sequence[object] = (), *, timeout_s: float | None = None) -> list[tuple[Any, ...]]:
        """Rows of a read; tried once more when the connection had died meanwhile."""
        try:
            return self._run(sql, values, timeout_s)
        except StoreError as error:
            if not error.context.get("broken"):
                raise
        return self._run(sql, values, timeout_s)

    def scalar(self, sql: str, values: Sequence[object] = ()) -> Any:
        """The first cell of a read; None when there is none."""
        rows = self.query(sql, values)
        return rows[0][0] if rows else None

    def execute(self, sql: str, values: Sequence[object] = (), *, timeout_s: float | None = None) -> None:
        """Run a statement once: whoever calls decides whether it may be repeated."""
        self._run(sql, values, timeout_s)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows in one transaction, however many; the first column is the designated timestamp in ns."""
        marks = "(%s::timestamp_ns" + ", %s" * (len(columns) - 1) + ")"
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        with self._connection() as connection, self._guarded(connection, text, None), connection.transaction():
            for some in _statements(rows):
                values = [value for row in some for value in row]
                connection.execute((text + ", ".join([marks] * len(some))).encode(), values)

    def _run(self, sql: str, values: Sequence[object], timeout_s: float | None) -> list[tuple[Any, ...]]:
        with self._connection() as connection, self._guarded(connection, sql, timeout_s):
            cursor = connection.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description is not None else []

    @contextlib.contextmanager
    def _guarded(self, connection: psycopg.Connection[Any], sql: str, timeout_s: float | None) -> Iterator[None]:
        """A deadline around work on a connection, and the driver's errors as ours."""
        import psycopg

        limit = timeout_s or self._settings.query_timeout_s
        late = threading.Event()
        timer = threading.Timer(limit, _hang_up, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.Error as error:
            if late.is_set():
                raise StoreError(
                    f"QuestDB at {self._settings.place} did not answer within {limit:g} s",
                    hint="ghtrader db questdb-health; the limit is the key store.query_timeout_s",
                    retryable=True,
                ) from error
            if connection.broken or connection.closed:
                gone = unreachable(self._settings, self._settings.pg_port, "the connection broke")
                gone.context["broken"] = True
                raise gone from error
            raise server_error(str(error), sql) from error
        finally:
            timer.cancel()


def _driver() -> Any:
    """psycopg, loaded once a server answers."""
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError("QuestDB needs its client libraries", hint=EXTRA_HINT) from error
    return psycopg


def _hung_up(connection: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection has something to read: an idle server says nothing, so that is its farewell."""
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _hang_up(connection: psycopg.Connection[Any], late: threading.Event) -> None:
    """Wake whoever waits for this connection: a server that hangs keeps its sockets open for ever."""
    late.set()
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)


class HttpReader:
    """Query results as Parquet over HTTP (``/exp``); one connection per thread, made again when it broke."""

    def __init__(self, settings: QuestdbSettings) -> None:
        self._settings = settings
        self._local = threading.local()

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            check_http(self._settings)
            found = http.client.HTTPConnection(
                self._settings.host, self._settings.http_port, timeout=self._settings.connect_timeout_s
            )
            try:
                found.connect()
            except OSError as error:
                raise unreachable(self._settings, self._settings.http_port, error.strerror or str(error)) from error
            found.sock.settimeout(self._settings.query_timeout_s)
            self._local.connection = found
        return found

    def _drop(self) -> None:
        found = getattr(self._local, "connection", None)
        self._local.connection = None
        if found is not None:
            found.close()

    def _get(self, path: str) -> tuple[int, bytes]:
        user = self._settings.http_user
        headers = {}
        if user:
            token = base64.b64encode(f"{user}:{self._settings.http_password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        for attempt in (1, 2):
            kept = getattr(self._local, "connection", None) is not None
            connection = self._connection()
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if isinstance(error, TimeoutError) or not kept or attempt == 2:
                    raise unreachable(self._settings, self._settings.http_port, str(error) or type(error).__name__) from error
        raise AssertionError("unreachable")

    def parquet(self, sql: str) -> bytes:
        """The result of a query as a Parquet file. A server whose export slots are taken is asked again until the deadline."""
        path = "/exp?" + urllib.parse.urlencode({"query": sql, "fmt": "parquet", "compression_codec": "lz4_raw"})
        deadline = Deadline(self._settings.query_timeout_s)
        while True:
            status, body = self._get(path)
            if status == 200 and body[:4] == b"PAR1":
                return body
            text = body[:2000].decode(errors="replace")
            if status in {401, 403}:
                raise http_login_refused(self._settings)
            busy = status in {429, 503} or any(word in text.lower() for word in BUSY_WORDS)
            if not busy or deadline.passed:
                raise server_error(text or f"HTTP {status}", sql)
            self._drop()
            deadline.pause(BUSY_PAUSE_S)

    def frame(self, sql: str) -> Any:
        """The result of a query as a polars frame; raises DataError when the answer is no Parquet."""
        import io

        import polars as pl

        try:
            return pl.read_parquet(io.BytesIO(self.parquet(sql)))
        except pl.exceptions.PolarsError as error:
            raise DataError(f"QuestDB sent a result that is no Parquet: {error}", hint="run it again", sql=sql[:200]) from error
