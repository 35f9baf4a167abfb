"""Where the server is and how long to wait for it. Addresses and credentials come from the environment only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ghtrader.core.errors import ConfigError

__all__ = ["DEFAULT_PREFIX", "QuestdbSettings", "settings_from"]

DEFAULT_PREFIX = "ghtrader_"
HTTP_PORT, PG_PORT = 9000, 8812


@dataclass(frozen=True)
class QuestdbSettings:
    """Connection to one server. ``repr`` never shows a credential.

    http_user/http_password: only where the server asks for them (``http.user``). import_folder: the server's
    ``cairo.sql.copy.root`` as this process sees it; None when the server is elsewhere, then rows go over the wire.
    lock_folder: where writers of one installation exclude each other.
    """

    lock_folder: Path
    host: str = "127.0.0.1"
    http_port: int = HTTP_PORT
    pg_port: int = PG_PORT
    pg_user: str = "admin"
    pg_password: str = field(default="quest", repr=False)
    pg_database: str = "qdb"
    http_user: str = ""
    http_password: str = field(default="", repr=False)
    import_folder: Path | None = None
    prefix: str = DEFAULT_PREFIX
    ticks_partition_by: str = "DAY"
    connection_limit: int = 64
    connection_reserve: int = 8
    connect_timeout_s: float = 1.5
    query_timeout_s: float = 30.0
    flush_attempts: int = 4

    @property
    def place(self) -> str:
        """Host and PGWire port, for messages."""
        return f"{self.host}:{self.pg_port}"

    @property
    def connection_budget(self) -> int:
        """PGWire connections that all processes of this installation may hold together."""
        return max(1, self.connection_limit - self.connection_reserve)

    def name(self, table: str) -> str:
        """The full name of a declared table."""
        return self.prefix + table


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name}={text}: expected a port number", hint=f"export {name}={default}")
    return int(text)


def settings_from(environment: Mapping[str, str], values: Mapping[str, object], *, data_folder: Path) -> QuestdbSettings:
    """Settings of a process: GHTRADER_QUESTDB_* of the environment, and the keys ``store.*``.

    HOST, HTTP_PORT, PG_PORT, PG_USER, PG_PASSWORD, PG_DATABASE, HTTP_USER, HTTP_PASSWORD, IMPORT_DIR, TABLE_PREFIX.

    >>> found = settings_from({"GHTRADER_QUESTDB_PG_PASSWORD": "s3cret"}, {}, data_folder=Path("data"))
    >>> found.place, "s3cret" in repr(found)
    ('127.0.0.1:8812', False)
    """

    def text(name: str, default: str) -> str:
        return environment.get(f"GHTRADER_QUESTDB_{name}", "").strip() or default

    folder = text("IMPORT_DIR", "")
    host, pg_port = text("HOST", "127.0.0.1"), _port(environment, "GHTRADER_QUESTDB_PG_PORT", PG_PORT)
    known = {name.removeprefix("store."): value for name, value in values.items()}
    return QuestdbSettings(
        lock_folder=data_folder / "locks" / f"questdb-{host}-{pg_port}",
        host=host,
        http_port=_port(environment, "GHTRADER_QUESTDB_HTTP_PORT", HTTP_PORT),
        pg_port=pg_port,
        pg_user=text("PG_USER", "admin"),
        pg_password=text("PG_PASSWORD", "quest"),
        pg_database=text("PG_DATABASE", "qdb"),
        http_user=text("HTTP_USER", ""),
        http_password=text("HTTP_PASSWORD", ""),
        import_folder=Path(folder) if folder else None,
        prefix=text("TABLE_PREFIX", DEFAULT_PREFIX),
        ticks_partition_by=str(known.get("ticks_partition_by", "DAY")),
        connection_limit=int(str(known.get("pg_connection_limit", 64))),
        connection_reserve=int(str(known.get("pg_connection_reserve", 8))),
        connect_timeout_s=float(str(known.get("connect_timeout_s", 1.5))),
        query_timeout_s=float(str(known.get("query_timeout_s", 30.0))),
        flush_attempts=int(str(known.get("flush_attempts", 4))),
    )
