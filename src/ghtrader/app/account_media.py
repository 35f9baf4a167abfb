"""The files of the trading accounts: ``<data folder>/trading/<account>/`` with journal and kill file, and the locks beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ghtrader.adapters.local.journal_file import LocalJournalFiles
from ghtrader.adapters.local.kill_file import LocalKillFile
from ghtrader.adapters.local.locks import LocalLocks
from ghtrader.core.clock import Clock
from ghtrader.core.errors import StoreError, UsageError
from ghtrader.data.atomic import write_atomically

if TYPE_CHECKING:
    from ghtrader.adapters.bus_zmq import ZmqStreamClient, ZmqStreamServer
    from ghtrader.trading.state.revision import StateDocument

__all__ = ["LocalAccountMedia"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
JOURNAL, SOCKETS = "journal", "ipc"


class LocalAccountMedia:
    """`pipelines.services.AccountMedia` in a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def accounts(self) -> list[str]:
        """Folders that trading left."""
        return sorted(path.name for path in self._folder.glob("*") if path.is_dir() and _NAME.fullmatch(path.name))

    def folder(self, account: str) -> Path:
        """The account's folder; it need not exist."""
        if not _NAME.fullmatch(account):
            raise UsageError(f"{account!r} is no name of an account", hint="letters, digits, _ . and - only")
        return self._folder / account

    def journal(self, account: str) -> LocalJournalFiles:
        """The journal."""
        return LocalJournalFiles(self.folder(account) / JOURNAL, self._clock)

    def kill(self, account: str) -> LocalKillFile:
        """The kill file."""
        return LocalKillFile(self.folder(account))

    def gateway_stream(self, account: str) -> ZmqStreamServer:
        """The gateway's end of the stream."""
        from ghtrader.adapters.bus_zmq import ZmqStreamServer

        return ZmqStreamServer(self.folder(account) / SOCKETS)

    def strategy_stream(self, account: str) -> ZmqStreamClient:
        """The strategy's end of the stream."""
        from ghtrader.adapters.bus_zmq import ZmqStreamClient

        return ZmqStreamClient(self.folder(account) / SOCKETS)

    def state_publisher(self, account: str) -> Callable[[StateDocument], tuple[str, ...]]:
        """Gives the gateway's state to every sink; reason codes of those that fail."""
        place = self.folder(account) / "state" / "gateway.json"
        place.parent.mkdir(parents=True, exist_ok=True)

        def publish(document: StateDocument) -> tuple[str, ...]:
            try:
                write_atomically(place, msgspec.json.encode(document))
            except StoreError:
                return ("state_file_failed",)
            return ()

        return publish

    def locks(self) -> LocalLocks:
        """The locks."""
        return LocalLocks(self._folder / ".locks", self._clock)
