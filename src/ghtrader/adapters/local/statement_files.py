"""Statements of an account as files: ``<folder>/<trading day>.json``, and ``running.json`` of the day that is not settled yet."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from ghtrader.core.errors import DataError, StoreError
from ghtrader.data.atomic import sync_folder, write_atomically
from ghtrader.ports.account_day import KeptDay
from ghtrader.ports.statement import AccountStatement

__all__ = ["LocalStatementFiles"]

SUFFIX, RUNNING = ".json", "running"
Kept = TypeVar("Kept")


class LocalStatementFiles:
    """`ports.statement.StatementStore` in a folder, which is made by the first `put`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, statement: AccountStatement) -> None:
        """Keep a statement."""
        self._write(statement.trading_day, statement)

    def get(self, trading_day: str) -> AccountStatement | None:
        """The statement of a day."""
        return self._read(trading_day, AccountStatement)

    def keep_running(self, kept: KeptDay) -> None:
        """Keep what is known of the running day."""
        self._write(RUNNING, kept)

    def running(self) -> KeptDay | None:
        """What was kept of the running day."""
        return self._read(RUNNING, KeptDay)

    def _write(self, name: str, document: msgspec.Struct) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            content = msgspec.json.format(msgspec.json.encode(document), indent=1)
            write_atomically(self._folder / f"{name}{SUFFIX}", content)
            sync_folder(self._folder)
        except OSError as error:
            raise StoreError(f"cannot write in {self._folder}: {error.strerror or error}", path=str(self._folder)) from error

    def _read(self, name: str, kind: type[Kept]) -> Kept | None:
        path = self._folder / f"{name}{SUFFIX}"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}", path=str(path)) from error
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path} is no statement: {error}", hint="ghtrader trade statement --file STATEMENT.json", path=str(path)
            ) from error

    def days(self) -> list[str]:
        """Trading days with a file."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"????-??-??{SUFFIX}"))
