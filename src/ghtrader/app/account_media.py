"""The files of the trading accounts: ``<data folder>/trading/<account>/`` with journal and kill file, and the locks beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ghtrader.adapters.local.journal_file import LocalJournalFiles
from ghtrader.adapters.local.kill_file import LocalKillFile
from ghtrader.adapters.local.locks import LocalLocks
from ghtrader.adapters.redis.server import URL_VARIABLE, RedisSettings
from ghtrader.core.clock import Clock
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from ghtrader.adapters.bus_zmq import ZmqStreamClient, ZmqStreamServer
    from ghtrader.adapters.local.statement_files import LocalStatementFiles
    from ghtrader.ports.bus import CommandClient
    from ghtrader.ports.command_source import CommandSource
    from ghtrader.ports.state_sink import StateSink, StateSource
    from ghtrader.trading.commands.ways import Way
    from ghtrader.trading.gateway.warm_side import WarmSide
    from ghtrader.trading.state.revision import StateDocument
    from ghtrader.trading.strategy.outlet import StrategyOutlet
    from ghtrader.trading.strategy.report import StrategyDocument
    from ghtrader.trading.views import StateReader

__all__ = ["LocalAccountMedia"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
JOURNAL, SOCKETS, STATE, MAILBOX, STATEMENTS = "journal", "ipc", "state", "mailbox", "statements"
STRATEGY_FILE, STRATEGY_REVISION, STRATEGY_SOCKET = "strategy.json", "strategy.revision", "strategy"


class LocalAccountMedia:
    """`pipelines.services.AccountMedia` in a folder, and on a Redis server where GHTRADER_REDIS_URL names one."""

    def __init__(self, folder: Path, clock: Clock, environment: Mapping[str, str]) -> None:
        self._folder, self._clock = folder, clock
        self._redis_url = environment.get(URL_VARIABLE, "").strip()

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

    def statements(self, account: str) -> LocalStatementFiles:
        """The account's statements."""
        from ghtrader.adapters.local.statement_files import LocalStatementFiles

        return LocalStatementFiles(self.folder(account) / STATEMENTS)

    def gateway_stream(self, account: str) -> ZmqStreamServer:
        """The gateway's end of the stream."""
        from ghtrader.adapters.bus_zmq import ZmqStreamServer

        return ZmqStreamServer(self.folder(account) / SOCKETS)

    def strategy_stream(self, account: str) -> ZmqStreamClient:
        """The strategy's end of the stream."""
        from ghtrader.adapters.bus_zmq import ZmqStreamClient

        return ZmqStreamClient(self.folder(account) / SOCKETS)

    def _redis(self) -> RedisSettings | None:
        return RedisSettings(self._redis_url) if self._redis_url else None

    def warm_side(self, account: str) -> WarmSide:
        """The gateway's sinks of state and ways of commands beside its stream."""
        from ghtrader.adapters.bus_zmq import ZmqStateSink
        from ghtrader.adapters.local.mailbox import LocalMailbox
        from ghtrader.adapters.local.state_file import LocalStateFile
        from ghtrader.trading.gateway.warm_side import WarmSide
        from ghtrader.trading.state.publish import StatePublisher

        folder, settings = self.folder(account), self._redis()
        mailbox = LocalMailbox(folder / MAILBOX)
        sinks: list[StateSink] = [LocalStateFile(folder / STATE), ZmqStateSink(folder / SOCKETS)]
        sources: list[CommandSource] = [mailbox]
        if settings is not None:
            from ghtrader.adapters.redis.link import RedisLink

            redis = RedisLink(settings, account)
            sinks.append(redis)
            sources.append(redis)
        return WarmSide(StatePublisher(sinks, [mailbox]), sources)

    def strategy_outlet(self, account: str) -> StrategyOutlet:
        """The sinks of the strategy's state; revisions go on behind those of the runs before."""
        from ghtrader.adapters.bus_zmq import ZmqStateSink
        from ghtrader.adapters.local.revisions import LocalRevisions
        from ghtrader.adapters.local.state_file import LocalStateFile
        from ghtrader.trading.state.publish import StatePublisher
        from ghtrader.trading.state.revision import Revisions
        from ghtrader.trading.strategy.outlet import StrategyOutlet

        folder, settings = self.folder(account), self._redis()
        file = LocalStateFile(folder, STRATEGY_FILE)
        sinks: list[StateSink] = [file, ZmqStateSink(folder / SOCKETS, STRATEGY_SOCKET)]
        if settings is not None:
            from ghtrader.adapters.redis.server import AccountKeys
            from ghtrader.adapters.redis.sink import RedisStateSink

            sinks.append(RedisStateSink(settings, AccountKeys(account).strategy))
        before = self._strategy_reader(account, [file]).read().document
        revisions = Revisions(LocalRevisions(folder / STRATEGY_REVISION), 0 if before is None else before.revision)
        return StrategyOutlet(StatePublisher(sinks), revisions)

    def strategy_reader(self, account: str) -> StateReader[StrategyDocument]:
        """The state that the account's strategy publishes."""
        from ghtrader.adapters.bus_zmq import ZmqStateSource
        from ghtrader.adapters.local.state_file import LocalStateFile

        folder, settings = self.folder(account), self._redis()
        sources: list[StateSource] = [
            LocalStateFile(folder, STRATEGY_FILE),
            ZmqStateSource(folder / SOCKETS, STRATEGY_SOCKET),
        ]
        if settings is not None:
            from ghtrader.adapters.redis.client import RedisStateSource
            from ghtrader.adapters.redis.server import AccountKeys

            sources.append(RedisStateSource(settings, account, AccountKeys(account).strategy))
        return self._strategy_reader(account, sources)

    def _strategy_reader(self, account: str, sources: Sequence[StateSource]) -> StateReader[StrategyDocument]:
        from ghtrader.trading.strategy.report import StrategyDocument
        from ghtrader.trading.views import StateReader

        return StateReader(account, sources, StrategyDocument)

    def state_reader(self, account: str) -> StateReader[StateDocument]:
        """The state that the account's gateway publishes."""
        from ghtrader.adapters.bus_zmq import ZmqStateSource
        from ghtrader.adapters.local.state_file import LocalStateFile
        from ghtrader.trading.state.revision import StateDocument
        from ghtrader.trading.views import StateReader

        folder, settings = self.folder(account), self._redis()
        sources: list[StateSource] = [LocalStateFile(folder / STATE), ZmqStateSource(folder / SOCKETS)]
        if settings is not None:
            from ghtrader.adapters.redis.client import RedisStateSource

            sources.append(RedisStateSource(settings, account))
        return StateReader(account, sources, StateDocument)

    def command_ways(self, account: str) -> list[Way]:
        """Ways to the account's gateway."""
        folder, settings = self.folder(account), self._redis()

        def socket() -> CommandClient:
            from ghtrader.adapters.bus_zmq import ZmqCommandClient

            return ZmqCommandClient(folder / SOCKETS)

        def redis() -> CommandClient:
            from ghtrader.adapters.redis.client import RedisCommandClient

            assert settings is not None
            return RedisCommandClient(settings, account)

        def mailbox() -> CommandClient:
            from ghtrader.adapters.local.mailbox import MailboxClient

            return MailboxClient(folder / MAILBOX)

        ways: list[Way] = [("socket", socket), ("mailbox", mailbox)]
        if settings is not None:
            ways.insert(1, ("redis", redis))
        return ways

    def locks(self) -> LocalLocks:
        """The locks."""
        return LocalLocks(self._folder / ".locks", self._clock)
