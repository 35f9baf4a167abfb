"""Statements of an account as files: ``<folder>/<trading day>.json``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, StoreError
from ghtrader.data.atomic import sync_folder, write_atomically
from ghtrader.ports.statement import AccountStatement

__all__ = ["LocalStatementFiles"]

SUFFIX = ".json"


class LocalStatementFiles:
    """`ports.statement.StatementStore` in a folder, which is made by the first `put`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, statement: AccountStatement) -> None:
        """Keep a statement."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            content = msgspec.json.format(msgspec.json.encode(statement), indent=1)
            write_atomically(self._folder / f"{statement.trading_day}{SUFFIX}", content)
            sync_folder(self._folder)
        except OSError as error:
            raise StoreError(f"cannot write in {self._folder}: {error.strerror or error}", path=str(self._folder)) from error

    def get(self, trading_day: str) -> AccountStatement | None:
        """The statement of a day."""
        path = self._folder / f"{trading_day}{SUFFIX}"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}", path=str(path)) from error
        try:
            return msgspec.json.decode(content, type=AccountStatement)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path} is no statement: {error}", hint="ghtrader trade statement --file STATEMENT.json", path=str(path)
            ) from error

    def days(self) -> list[str]:
        """Trading days with a file."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"????-??-??{SUFFIX}"))
